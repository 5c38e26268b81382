#!/bin/sh
# The last exercise: a cell.
#
# Somebody wants to run a program of whom nobody knows what it does. Let `sleep 600` stand for it. Build it a cell:
#    1. it is process 1 of a PID namespace of its own, and the host's name is not told: its hostname is `cell`;
#    2. its network has no link but lo;
#    3. its root is not yours, and nothing can be written to it; only /tmp, which is in memory, is writable;
#    4. it has no capabilities, and can never get any: not in the bounding set, and no setuid program gives it one;
#    5. a filter is on its system calls;
#    6. it may hold 64 files open, and not one more;
#    7. it knows nothing of the variables of this shell (there is a TOKEN among them);
#    8. its cgroup lets it have 20 processes. (Where you may not limit, as an ordinary user without a cgroup of your own,
#       leave this one out: the check does, too. `boxwright doctor` says how it is here.)
#
# `boxwright full-run --help` has the words for all of it. Leave it running: the check looks at it and ends it.

boxwright full-run --rm host sleep 600
