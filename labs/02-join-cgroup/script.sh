#!/bin/sh
# A cgroup of its own: what a container starts is counted, frozen and killed as one, wherever it hides.

## The one that got away
# A daemon leaves its session and its parent, so that nothing connects it with who started it. This one also writes down
# its number:
cat > daemon <<'END'
cd "$(dirname "$0")"
setsid -f sh -c 'echo $$ > runaway; exec sleep 300'
until [ -s runaway ]; do sleep 0.1; done
END

# A shell starts it, and something else besides. Then the shell and its children are ended: all that belongs to it, as
# far as anybody can tell.
(sh daemon; sleep 300; :) 2>/dev/null &
until [ -s runaway ]; do sleep 0.1; done
pkill -P $!; kill $! 2>/dev/null; kill -0 $(cat runaway) && echo 'one lives on'

kill $(cat runaway); rm runaway

## Counted as one
# A cgroup is a directory, and mkdir(1) makes one. On version 2 of cgroups there is one tree of them. (Root may use all of
# it; an ordinary user only a part that was given to them, and an ordinary user's shell may well be in one.)
#needs cgroup v2
#needs stage join-cgroup
group=/sys/fs/cgroup$(sed 's/^0:://' /proc/self/cgroup)/boxwright-lab.$$
mkdir $group && cat $group/cgroup.events

# A process joins by its number in `cgroup.procs`; 0 is "myself". What it starts from then on is born in there, and no
# session or parent has a say in it:
sh -c "echo 0 > $group/cgroup.procs; setsid -f sleep 300; setsid -f sleep 300"
echo "$(wc -l < $group/cgroup.procs) processes"

## Frozen and killed as one
# One write stops all of them, without a signal that they could notice...
#needs cgroup v2
#needs stage join-cgroup
echo 1 > $group/cgroup.freeze
until grep -q 'frozen 1' $group/cgroup.events; do sleep 0.1; done; cat $group/cgroup.events

# ...and one write kills all of them, also those who are being born at this moment. An empty group can be removed:
echo 1 > $group/cgroup.kill
until grep -q 'populated 0' $group/cgroup.events; do sleep 0.1; done; rmdir $group && echo 'nobody got away'

## The same on version 1
# Version 1 has a tree for each controller, and a process has a place in each of them. The freezer is one:
#needs cgroup v1
#needs root
group=/sys/fs/cgroup/freezer/boxwright-lab.$$
mkdir $group && cat $group/freezer.state

sh -c "echo 0 > $group/cgroup.procs; setsid -f sleep 300; setsid -f sleep 300"
echo "$(wc -l < $group/cgroup.procs) processes"

# There is no file that kills. But who is frozen cannot fork, so a list of them stays true while they are killed one by one:
echo FROZEN > $group/freezer.state
until grep -q FROZEN $group/freezer.state; do sleep 0.1; done; cat $group/freezer.state

# And frozen is frozen: SIGKILL waits until they thaw. (On version 2 it does not.)
kill -KILL $(cat $group/cgroup.procs); echo "$(wc -l < $group/cgroup.procs) processes, killed and still there"

echo THAWED > $group/freezer.state
until rmdir $group; do sleep 0.1; done 2>/dev/null; echo 'nobody got away'

## What it sees of the tree
# /proc/self/cgroup says where in the tree one is, and so it says how the host is built. A cgroup namespace puts the top of
# the tree where one is when it is made, whatever the version and wherever this shell is:
unshare --map-root-user --cgroup sed 's/.*:/I am in /' /proc/self/cgroup | sort -u

# It is a change of view. Nobody has moved:
unshare --map-root-user --cgroup sleep 300 &
until [ "$(ps -o comm= $!)" = sleep ]; do sleep 0.1; done
cmp /proc/self/cgroup /proc/$!/cgroup && echo 'seen from here, it is where we are'; kill $!

## The same with boxwright
# The cgroup first, then the namespace: the other way round, its top would be one too high.
#needs stage join-cgroup
boxwright join-cgroup

boxwright join-cgroup -q -- sed 's/.*:/I am in /' /proc/self/cgroup | sort -u

# And now the daemon. Even without a PID namespace, whose end would end it too, it goes with the container:
boxwright join-cgroup -q --without unshare-pid -- sh "$PWD/daemon"
while kill -0 $(cat runaway) 2>/dev/null; do sleep 0.1; done; echo 'nobody got away'; rm runaway

## A door that is not locked
# The namespace hides where the others are. But the host's tree is still mounted at /sys/fs/cgroup, and root may write
# there. On version 1 that is enough to walk out, above one's own root:
#needs cgroup v1
#needs root
#varies /\.\.(/\.\.)*$ => above its own root
boxwright join-cgroup -q -- sh -c 'echo 0 > /sys/fs/cgroup/pids/tasks; sed -n "s/.*:pids:/I am at /p" /proc/self/cgroup'

# With a root filesystem of its own the container has a view of its own cgroups only, and read-only:
boxwright pivot-root -q -- sh -c 'echo 0 > /sys/fs/cgroup/pids/tasks' 2>/dev/null || echo 'read-only'

## A door that is
# On version 2 the kernel guards the border, where the tree is mounted with the option `nsdelegate`, as systemd does: no
# process is moved across the root of a cgroup namespace from inside.
#needs cgroup v2
#needs stage join-cgroup
#never I am out
boxwright join-cgroup -q -- sh -c \
  'up=/sys/fs/cgroup; (echo 0 > $up/cgroup.procs) 2>/dev/null && echo I am out || sed "s/.*:/I am still in /" /proc/self/cgroup'

## Break it
# Without a cgroup of its own (and without a PID namespace) the daemon is a process of the host like any other:
#needs stage join-cgroup
boxwright join-cgroup -q --without unshare-pid --without join-cgroup -- sh "$PWD/daemon"
kill -0 $(cat runaway) && echo 'one lives on'; kill $(cat runaway)
