#!/bin/sh
#without unshare --map-root-user --cgroup => env
# Which tree does not matter. Version 2's, if there is one, has a file of this name at its top or, beside version 1, in
# unified/. Else version 1's freezer.
for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/freezer; do
	[ ! -e "$tree/cgroup.procs" ] || break
done

# Below this shell's own place in that tree, so that it works for an ordinary user too, where this place was delegated.
case $tree in
*/freezer) own=$(sed -n 's/.*:freezer://p' /proc/self/cgroup) ;;
*) own=$(sed -n 's/^0:://p' /proc/self/cgroup) ;;
esac
group=$tree$own/room
mkdir -p "$group"

# First the room, then the view: the namespace's top is where its maker is at that moment.
echo 0 > "$group/cgroup.procs"
exec unshare --map-root-user --cgroup sleep 600
