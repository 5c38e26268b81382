#!/bin/sh
# Exercise: one dies, the others live on.
#
# Below is a hog, and then somebody who waits. Both shall be in one cgroup
# that may use 32 MiB in all, whatever the machine has of swap. The hog must
# meet its end there; the one who waits must not.
#
# You may do it by hand, with boxwright, or with both. Leave it running: the
# check looks at it, ends it, and removes the cgroup.

head -c 64m /dev/zero | tail | wc -c
exec sleep 600
