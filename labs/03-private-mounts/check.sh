# Does the learner's sleep have mounts of its own, in a world where mounts are shared?

leaks() {
	mkdir probe
	unshare --map-root-user --mount --propagation shared sh -c \
		'unshare --mount --propagation unchanged mount -t tmpfs probe probe; mountpoint probe'
}
baseline 'where mounts are shared, a mount leaks from a mere copy of the mount table' leaks

# Which kind of file system a process has there; fails when it cannot be known. mountinfo has its blanks in octal. (By the
# environment, because awk would take what -v gives it out of octal again.)
DESK=$(printf '%s/desk' "$PWD" | sed 's/\\/\\134/g; s/ /\\040/g')
export DESK
mounted_on_desk() {
	awk '$5 == ENVIRON["DESK"] { sub(/.* - /, ""); kind = $1 } END { if (NR) print kind; else exit 1 }' "/proc/$1/mountinfo"
}

begin_in_world --mount --propagation shared
payload sleep 600

expect 'it has a mount namespace of its own' test "$(namespace_of "$pid" mnt)" != "$(namespace_of "$exercise" mnt)"
expect 'with a tmpfs on desk' test "$(mounted_on_desk "$pid")" = tmpfs
# /proc/PID/root is the root that the process has, with its mounts.
expect 'and the note on it' test -s "/proc/$pid/root$PWD/desk/note"

# `x`, because an empty answer is a good one only if there was an answer.
host_has=$(mounted_on_desk "$exercise") && host_has=x$host_has
expect 'the host has nothing on its desk' test "$host_has" = x

expect 'it is process 1' test "$(status_of "$pid" NSpid | awk '{ print $NF }')" = 1
expect 'and its /proc shows no other process' \
	test "$(cd "/proc/$pid/root/proc" && ls -d [0-9]*)" = 1
