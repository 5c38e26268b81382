#!/bin/sh
# Exercise: a guest who invites everybody.
#
# The first line starts fifty processes, the second one is the host who stays
# to the end. Both shall be in one cgroup with room for 20. Some of the fifty
# will not be let in; but the host must still be there afterwards.
#
# (Run it as it is and look: what does a shell do when it cannot fork?)
#
# You may do it by hand, with boxwright, or with both. Leave it running: the
# check looks at it, ends it, and removes the cgroup.

for n in $(seq 50); do sleep 300 & done
exec tail -f /dev/null
