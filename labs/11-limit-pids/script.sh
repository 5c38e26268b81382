#!/bin/sh
# How many processes: the one limit that stops a fork bomb.

## A namespace is no fence
# A shell in a PID namespace of its own, and a child of another user namespace besides, starts 200 processes. All of them
# have numbers of the host too, of which there are only so many (`kernel.pid_max`):
before=$(ps -e | wc -l)
unshare --map-root-user --pid --fork sh -c 'for n in $(seq 200); do sleep 300 & done; touch full; exec sleep 300' 2>/dev/null &

until [ -e full ]; do sleep 0.1; done
[ $(ps -e | wc -l) -gt $((before + 150)) ] && echo 'the host has them all'

pkill -KILL -P $!; rm full

## A limit by hand
# The file is the same on both versions. Version 1 has a tree for it; on version 2 the controller is handed down. (What
# `top` is: see limit-cpu.)
#needs stage limit-pids
#varies ^max [1-9][0-9]*$ => max [1 or more]
top=/sys/fs/cgroup/pids
if [ ! -d $top ]; then
  top=/sys/fs/cgroup
  [ "$(id -u)" = 0 ] || top=$top$(sed 's/^0:://; s,/[^/]*$,,' /proc/self/cgroup)
  echo +pids > $top/cgroup.subtree_control
fi
group=$top/boxwright-lab.$$
mkdir $group && cat $group/pids.max
echo 16 > $group/pids.max

# A shell in there wants to start 30 others. Its 16th fork(2) fails with EAGAIN, "Resource temporarily unavailable", and the
# kernel counts that:
sh -c "echo 0 > $group/cgroup.procs; for n in \$(seq 30); do sleep 300 & done" 2>/dev/null || echo 'refused'
head -n 1 $group/pids.events

until [ $(cat $group/pids.current) = 0 ]; do kill $(cat $group/cgroup.procs); sleep 0.1; done 2>/dev/null

## A fork bomb
# The real thing: a function that calls itself twice, in the background. **Not outside of a group with a limit!** (This is
# what the first half of the line makes sure of.)
#needs stage limit-pids
sh -c "echo 0 > $group/cgroup.procs && read -r max < $group/pids.max && [ \$max = 16 ] &&
  bomb() { bomb | bomb & } && bomb" 2>/dev/null

# In there nothing goes any more. Out here there is no more to be noticed than 16 busy shells:
sh -c 'echo "out here, all is well"'
[ $(cat $group/pids.current) -le 16 ] && echo 'never more than 16'

# How does one get rid of a bomb? By hand, every process that is killed makes room for another. So first nobody may fork
# any more at all; then those who are there can be killed one by one:
echo 0 > $group/pids.max
until rmdir $group; do kill -KILL $(cat $group/cgroup.procs); sleep 0.1; done 2>/dev/null; echo 'nobody is left'

## The guard looks at those who are born, not at those who come
# Only fork(2) and clone(2) ask. Who was born elsewhere and is moved here, is let in:
#needs stage limit-pids
mkdir $group; echo 4 > $group/pids.max
for n in 1 2 3 4 5 6; do sh -c "echo 0 > $group/cgroup.procs; exec sleep 300" & done
until [ $(cat $group/pids.current) = 6 ]; do sleep 0.1; done; echo "$(cat $group/pids.current) of $(cat $group/pids.max)"

until rmdir $group; do kill $(cat $group/cgroup.procs); sleep 0.1; done 2>/dev/null

## The same with boxwright
# The limit belongs to the container. --prove lets the container fork until it is refused, and says what it felt and what
# the kernel counted:
#needs stage limit-pids
boxwright limit-pids --pids-limit 16 --prove

# The bomb, in a container. Process 1 waits until the kernel has refused something, with nothing but what its shell has built
# in: there is no room for cat(1) or sleep(1). When it ends, all of it is gone:
boxwright limit-pids -q --pids-limit 16 -- sh -c '
  file=/sys/fs/cgroup/pids.events; [ -e $file ] || file=/sys/fs/cgroup/pids/pids.events
  bomb() { bomb | bomb & }; bomb
  until read -r _ count < $file && [ $count -gt 0 ]; do :; done; echo "forks were refused"' 2>/dev/null

## Break it
# Without the limit, 30 processes are no more than 30 processes (and a bomb would be the end of this machine):
#needs stage limit-pids
boxwright limit-pids -q --pids-limit 16 -- \
  sh -c 'for n in $(seq 30); do sleep 300 & done; echo "all started"' 2>/dev/null || echo 'refused'

boxwright limit-pids -q --pids-limit 16 --without limit-pids -- \
  sh -c 'for n in $(seq 30); do sleep 300 & done; echo "all started"'
