#!/bin/sh
# Memory: what a cgroup may use in all, and who pays when it is too little: somebody in it, and nobody else.

## A limit for each is none for all
# `ulimit -v` limits the memory of a process, here to 64 MiB. This pipe is a hog: tail(1) has to keep 80 MiB, because there
# is no end of a line in them. It fails:
(ulimit -v 65536; head -c 80m /dev/zero | tail 2>/dev/null | wc -c)

# But the next process has a limit of its own, and the next. Four smaller hogs use more than twice as much together, and
# nobody objects:
(ulimit -v 65536
for n in 1 2 3 4; do head -c 40m /dev/zero | tail | wc -c & done; wait)

## A limit by hand
# 32 MiB for all processes of a cgroup together, and nothing more in swap. (What `top` is: see limit-cpu.)
#needs cgroup v2
#needs stage limit-memory
top=/sys/fs/cgroup
[ "$(id -u)" = 0 ] || top=$top$(sed 's/^0:://; s,/[^/]*$,,' /proc/self/cgroup)
echo +memory > $top/cgroup.subtree_control
group=$top/boxwright-lab.$$
mkdir $group && cat $group/memory.max
echo 32M > $group/memory.max; echo 0 > $group/memory.swap.max; cat $group/memory.max

# The hog, in there, beside somebody who does no harm:
sleep 300 &
sh -c "echo 0 > $group/cgroup.procs; head -c 80m /dev/zero | tail > /dev/null; echo \"tail ended with \$?\"" 2>/dev/null

# The kernel first looks for memory that can be taken back. When nothing is left, it kills the largest process *of this
# group*, and counts it:
grep -q '^oom_kill [1-9]' $group/memory.events && echo 'the kernel has killed'
kill -0 $! && echo 'who was outside lives'; kill $!

until rmdir $group; do sleep 0.1; done 2>/dev/null

## A limit by hand, on version 1
# Version 1 limits memory, and then memory and swap together: so 32 MiB of both means no swap.
#needs cgroup v1
#needs root
group=/sys/fs/cgroup/memory/boxwright-lab.$$
mkdir $group && echo 32M > $group/memory.limit_in_bytes && cat $group/memory.limit_in_bytes
[ ! -e $group/memory.memsw.limit_in_bytes ] || echo 32M > $group/memory.memsw.limit_in_bytes

# The hog, in there, beside somebody who does no harm:
sleep 300 &
sh -c "echo 0 > $group/cgroup.procs; head -c 80m /dev/zero | tail > /dev/null; echo \"tail ended with \$?\"" 2>/dev/null

# The kernel first looks for memory that can be taken back. When nothing is left, it kills the largest process *of this
# group*, and counts it:
grep -q '^oom_kill [1-9]' $group/memory.oom_control && echo 'the kernel has killed'
kill -0 $! && echo 'who was outside lives'; kill $!

until rmdir $group; do sleep 0.1; done 2>/dev/null

## The same with boxwright
# 64 MiB of memory and as much swap, unless told otherwise. In version 2's names on both versions:
#needs stage limit-memory
boxwright limit-memory

# The hog, in a container with half of that, which can read in its own cgroup's files what happened to it:
boxwright limit-memory -q --memory 32m -- sh -c '
  head -c 80m /dev/zero | tail > /dev/null; echo "tail ended with $?"
  cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control |
    grep -q "^oom_kill [1-9]" && echo "the kernel has killed"' 2>/dev/null

## When it hits number one
# If the hog is process 1 of its PID namespace, all others go with it, and the container ends as if somebody had sent
# SIGKILL: 128 + 9. (This is what Docker and Kubernetes call `OOMKilled`.)
#needs stage limit-memory
head -c 80m /dev/zero | boxwright limit-memory -q --memory 32m -- tail 2>/dev/null

## Memory that can be taken back
# Pages of files count too: the cache belongs to whoever has filled it. But it can be written out and forgotten, so that
# a file may be larger than the limit:
#needs stage limit-memory
boxwright limit-memory -q --memory 32m -- sh -c '
  dd if=/dev/zero of=/var/tmp/large bs=1M count=64; stat -c "%s bytes written" /var/tmp/large
  cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control | grep "^oom_kill "' 2>/dev/null

## It cannot be seen where programs look
# /proc/meminfo is about the machine, and free(1) and many programs read it. Those who plan with it use too much:
#needs stage limit-memory
[ "$(boxwright limit-memory -q -- grep MemTotal /proc/meminfo)" = "$(grep MemTotal /proc/meminfo)" ] &&
  echo 'it sees all the memory of the host'

## Break it
# The same hog without the limit gets all that it wants:
#needs stage limit-memory
boxwright limit-memory -q --memory 32m --without limit-memory -- sh -c '
  head -c 80m /dev/zero | tail | wc -c
  cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control | grep "^oom_kill "' 2>/dev/null
