#!/bin/sh
#without quota=10000 => quota=-1
# 10 of every 20 milliseconds: half a CPU, with pauses of 10. (Why not 1 of every 2? Each period costs the kernel a timer
# and every switch costs the program its caches.)
quota=10000
period=20000

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	# Version 2: below a group that has no processes of its own, so that it can hand the controller down.
	top=/sys/fs/cgroup
	[ "$(id -u)" = 0 ] || top=$top$(sed 's/^0:://; s,/[^/]*$,,' /proc/self/cgroup)
	echo +cpu > $top/cgroup.subtree_control
	group=$top/half
	mkdir -p "$group"
	echo "$quota $period" > "$group/cpu.max"
else
	# Version 1: the period first, because the quota is checked against it.
	group=/sys/fs/cgroup/cpu/half
	mkdir -p "$group"
	echo $period > "$group/cpu.cfs_period_us"
	echo $quota > "$group/cpu.cfs_quota_us"
fi

echo 0 > "$group/cgroup.procs"
exec yes > /dev/null
