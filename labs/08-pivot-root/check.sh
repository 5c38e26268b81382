# Is the learner's sleep in a mount namespace whose root is not the host's?

command -v busybox > /dev/null || skip 'there is no busybox here'

# What is mounted as our root: the device, and which directory of it.
root=$(awk '$5 == "/" { root = $3 " " $4 " " } END { print root }' /proc/self/mountinfo)
echo treasure > treasure

baseline 'the root of this shell is mounted in its mount namespace' grep -qF " $root" /proc/self/mountinfo
baseline 'a process of ours has the root of this shell' test /proc/$$/root -ef /

begin
payload sleep 600

expect 'its / is not ours' test ! "/proc/$pid/root" -ef /
expect 'it is in a mount namespace of its own' test "$(namespace_of "$pid" mnt)" != "$(namespace_of $$ mnt)"

# Whoever enters a mount namespace stands at the namespace's root, whatever a process in it has been told by chroot.
sees() {
	inside "$pid" --mount sh -c "if test -e '$1'; then echo yes; else echo no; fi"
}
expect 'from the root of that namespace, no path leads to our files' test "$(sees "$PWD/treasure")" = no
expect 'and our root is mounted nowhere in it' ! grep -qF " $root" "/proc/$pid/mountinfo"
