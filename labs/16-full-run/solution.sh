#!/bin/sh
#without --network none =>
# Points 1 (the number), 5 and 7 are so by default. Each of the flags is for one primitive of the list; the comment says
# what in the kernel it becomes.
set -- --hostname cell                          # sethostname(2) in a UTS namespace
set -- "$@" --network none                      # a network namespace, and nobody plugs a cable into it
set -- "$@" --read-only --tmpfs /tmp            # mount_setattr(MOUNT_ATTR_RDONLY) on the root; a tmpfs above it
set -- "$@" --cap-drop ALL                      # prctl(PR_CAPBSET_DROP) for each, and capset(2)
set -- "$@" --security-opt no-new-privileges    # prctl(PR_SET_NO_NEW_PRIVS): no setuid, no file capabilities
set -- "$@" --ulimit nofile=64                  # prlimit(RLIMIT_NOFILE)

# A cgroup's pids.max; where nobody has given us a cgroup, boxwright would refuse to promise it.
if boxwright limit-pids -q -- true 2> /dev/null; then
	set -- "$@" --pids-limit 20
fi
exec boxwright full-run --rm "$@" host sleep 600
