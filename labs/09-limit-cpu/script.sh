#!/bin/sh
# CPU time: a quota stops a cgroup, whoever is in it and however idle the machine is; a weight only says who goes first.

## Nobody says stop
# A loop that does nothing takes all the time that it gets. `nice` makes it polite to others, and that is all:
nice -n 19 sh -c 'while :; do :; done' &
until [ "$(ps -o cputimes= -p $!)" -ge 1 ]; do sleep 0.1; done; echo 'a second of CPU time, and it goes on'

kill $!

## A quota by hand
# On version 2 a controller must be handed down before a cgroup has its files. (Root may do that at the top of the tree. An
# ordinary user may where it was delegated to them: beside the cgroup of this shell.)
#needs cgroup v2
#needs stage limit-cpu
top=/sys/fs/cgroup
[ "$(id -u)" = 0 ] || top=$top$(sed 's/^0:://; s,/[^/]*$,,' /proc/self/cgroup)
echo +cpu > $top/cgroup.subtree_control

# No more than 10 milliseconds (10000 µs) in every 100:
group=$top/boxwright-lab.$$
mkdir $group && cat $group/cpu.max
echo '10000 100000' > $group/cpu.max && cat $group/cpu.max

# A loop in there is stopped as soon as its 10 milliseconds are over, and has to wait for the next period. The kernel
# counts the periods in which it had to do that:
sh -c "echo 0 > $group/cgroup.procs; while :; do :; done" &
until grep -q 'nr_throttled [1-9]' $group/cpu.stat; do sleep 0.1; done; echo 'throttled'

kill $!; until rmdir $group; do sleep 0.1; done 2>/dev/null

## A quota by hand, on version 1
# Version 1 has a tree for the CPU alone, and two files. -1 is no quota.
#needs cgroup v1
#needs root
group=/sys/fs/cgroup/cpu/boxwright-lab.$$
mkdir $group && cat $group/cpu.cfs_quota_us $group/cpu.cfs_period_us

# No more than 10 milliseconds (10000 µs) in every 100:
echo 10000 > $group/cpu.cfs_quota_us
sh -c "echo 0 > $group/cgroup.procs; while :; do :; done" &
until grep -q 'nr_throttled [1-9]' $group/cpu.stat; do sleep 0.1; done; echo 'throttled'

kill $!; until rmdir $group; do sleep 0.1; done 2>/dev/null

## Weights
# A weight is no limit. Alone, the lightest group gets all there is; it is only among those who want the same CPU that
# time is dealt out by weight. Two loops on one CPU, 1000 against 100:
#needs cgroup v2
#needs stage limit-cpu
cpu=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
mkdir $top/boxwright-lab.$$.heavy $top/boxwright-lab.$$.light
echo 1000 > $top/boxwright-lab.$$.heavy/cpu.weight; cat $top/boxwright-lab.$$.light/cpu.weight

for name in heavy light; do
  taskset -c $cpu sh -c "echo 0 > $top/boxwright-lab.$$.$name/cgroup.procs; while :; do :; done" &
  echo $! > $name
done
used() { cut -d' ' -f14 /proc/$(cat $1)/stat; }
until [ $(used heavy) -gt 100 ] && [ $(used heavy) -gt $(($(used light) * 3)) ]; do sleep 0.1; done
echo 'the heavy one has had more than three times as much'

kill $(cat heavy light)
for name in heavy light; do until rmdir $top/boxwright-lab.$$.$name; do sleep 0.1; done; done 2>/dev/null

## Weights on version 1
# There they are called shares, and 1024 is what everybody has. Two loops on one CPU, 10240 against 1024:
#needs cgroup v1
#needs root
top=/sys/fs/cgroup/cpu
cpu=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
mkdir $top/boxwright-lab.$$.heavy $top/boxwright-lab.$$.light
echo 10240 > $top/boxwright-lab.$$.heavy/cpu.shares; cat $top/boxwright-lab.$$.light/cpu.shares

for name in heavy light; do
  taskset -c $cpu sh -c "echo 0 > $top/boxwright-lab.$$.$name/cgroup.procs; while :; do :; done" &
  echo $! > $name
done
used() { cut -d' ' -f14 /proc/$(cat $1)/stat; }
until [ $(used heavy) -gt 100 ] && [ $(used heavy) -gt $(($(used light) * 3)) ]; do sleep 0.1; done
echo 'the heavy one has had more than three times as much'

kill $(cat heavy light)
for name in heavy light; do until rmdir $top/boxwright-lab.$$.$name; do sleep 0.1; done; done 2>/dev/null

## The same with boxwright
# Half a CPU, unless another number is given with --cpus. The report uses version 2's names and units on both versions:
#needs stage limit-cpu
boxwright limit-cpu

# From stage 8 on, a container can read the files of its own cgroup, in a view of its own. So it can see what was done to it:
boxwright limit-cpu -q --cpus 0.1 -- sh -c '
  yes > /dev/null &
  until grep -qs "nr_throttled [1-9]" /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpu*/cpu.stat; do sleep 0.1; done
  echo throttled'

## It cannot be seen where programs look
# How many threads should a program start? Many ask how many CPUs there are, and a quota does not change that: a container
# with half a CPU on a machine with 64 starts 64 threads, which use up its time at once and then all stand still.
#needs stage limit-cpu
[ "$(boxwright limit-cpu -q -- nproc)" = "$(nproc)" ] && echo 'it sees all the CPUs of the host'

## Break it
# The same loop without the limit, for a second of CPU time:
#needs stage limit-cpu
boxwright limit-cpu -q --cpus 0.1 --without limit-cpu -- sh -c '
  yes > /dev/null &
  until [ "$(ps -o cputimes= -p $!)" -ge 1 ]; do sleep 0.1; done
  cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpu*/cpu.stat 2>/dev/null | grep nr_throttled | sort -u'
