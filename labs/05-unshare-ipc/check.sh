# What shared memory does the learner's sleep see, of both kinds, and what does the host see?

# The sizes of all pieces of System V memory that there are for a process; "none"; nothing when it cannot be known.
segments() {
	inside "$1" --ipc cat /proc/sysvipc/shm | awk 'NR > 1 { all = all " " $4 } END { if (NR) print all ? all : " none" }'
}

sees_memory_if_there_is_some() {
	unshare --map-root-user --ipc sh -c 'ipcmk --shmem 12288; cat /proc/sysvipc/shm' | grep -qw 12288
}
baseline 'memory that somebody has made can be seen' sees_memory_if_there_is_some

# The world that plays the host has a /dev/shm that nobody else uses.
REAL=$EXERCISE
EXERCISE=$PWD/world.sh
export REAL
echo 'mount -t tmpfs shm /dev/shm && exec sh "$REAL"' > "$EXERCISE"
begin_in_world --ipc --mount
payload sleep 600

expect 'it has an IPC namespace of its own' test "$(namespace_of "$pid" ipc)" != "$(namespace_of "$exercise" ipc)"
expect 'with one piece of memory, of 8192 bytes' test "$(segments "$pid")" = ' 8192'
# /proc/PID/root is the root that the process has, with its mounts.
expect 'and a note in its /dev/shm' test -s "/proc/$pid/root/dev/shm/note"

expect 'the host has no such memory' test "$(segments "$exercise")" = ' none'
expect 'and nothing in its /dev/shm' test "$(ls -A "/proc/$exercise/root/dev/shm" && echo empty)" = empty
