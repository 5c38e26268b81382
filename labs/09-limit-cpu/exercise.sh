#!/bin/sh
# Exercise: half a CPU, and no long pauses.
#
# A busy program (here: `yes`) shall have at most half a CPU. But half a
# second of work and then half a second of silence would be of no use for a
# game or a telephone call: whenever it has used up its share, it must not
# have to wait for more than 15 milliseconds.
#
# Do it by hand, and leave it running: the check looks at it, ends it, and
# removes the cgroup.

yes > /dev/null
