# Is the learner's sleep in a mount namespace whose root is not the host's?

command -v busybox > /dev/null || skip 'there is no busybox here'

# What is mounted as our root: the device, and which directory of it.
root=$(awk '$5 == "/" { root = $3 " " $4 " " } END { print root }' /proc/self/mountinfo)
echo treasure > treasure

# What a process holds open stays open, and mounted, when it has been unmounted; also the directory in which it stands. Such
# a mount is in nobody's list any more.
stands_in_its_tree() {
	mount=$(sed -n 's/^mnt_id:[[:space:]]*//p' /proc/self/fdinfo/3 3< "/proc/$1/cwd")
	awk -v mount="$mount" '$1 == mount { found = 1 } END { exit !found }' "/proc/$1/mountinfo"
}

baseline 'the root of this shell is mounted in its mount namespace' grep -qF " $root" /proc/self/mountinfo
baseline 'a process of ours has the root of this shell' test /proc/$$/root -ef /
baseline 'this shell stands in what is mounted in its mount namespace' stands_in_its_tree $$

begin
payload sleep 600

expect 'its / is not ours' test ! "/proc/$pid/root" -ef /
expect 'it is in a mount namespace of its own' test "$(namespace_of "$pid" mnt)" != "$(namespace_of $$ mnt)"
expect 'where it stands is mounted there, and no rest of ours' stands_in_its_tree "$pid"

# Whoever enters a mount namespace stands at the namespace's root, whatever a process in it has been told by chroot.
sees() {
	inside "$pid" --mount sh -c "if test -e '$1'; then echo yes; else echo no; fi"
}
expect 'from the root of that namespace, no path leads to our files' test "$(sees "$PWD/treasure")" = no
expect 'and our root is mounted nowhere in it' ! grep -qF " $root" "/proc/$pid/mountinfo"
