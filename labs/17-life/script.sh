#!/bin/sh
# A container's life: from create to rm, what there is of it, and who remembers how it ended.

## Nobody remembers
# How a process ended, the kernel tells to one other: to its parent, and only once. Here is a container by hand, in the
# background of a shell that goes away:
sh -c 'unshare --map-root-user --pid --fork sh -c "echo last words >&2; exit 7" 2>/dev/null & echo $! > number'

# What did it say, and how did it end? 127 is the shell's answer to that: no child of mine.
wait "$(cat number)" 2>/dev/null
echo "the answer is $?"

## Made, and nothing runs
# A container that is to be remembered is first of all a record: a name, and a file in which it says what is to be run.
#needs stage full-run
#varies ^[0-9a-f]{64}$ => [its id]
boxwright create --name lab-life host sh -c 'echo a note > /root/note; while :; do echo tick; sleep 0.1; done'

boxwright inspect --format '{{.Name}} is {{.State.Status}}, its process is {{.State.Pid}}' lab-life

## Started: a process, and one that watches it
# Now there is a process; and another one, that is its parent.
#needs stage full-run
boxwright start lab-life
pid=$(boxwright inspect --format '{{.State.Pid}}' lab-life)
monitor=$(ps -o ppid= -p "$pid")

for type in pid mnt net; do
  test "$(readlink /proc/$pid/ns/$type)" = "$(readlink /proc/$$/ns/$type)" && echo "$type: yours" || echo "$type: its own"
done

# The parent is the monitor. It is in no container: it keeps the log, waits for the end, and writes that down. There is
# one for each container that runs, and nothing else: no daemon.
test "$(readlink /proc/$monitor/ns/pid)" = "$(readlink /proc/$$/ns/pid)" && ps -o comm= -p $monitor

awk '/^RssAnon/ { print ($2 < 512 ? "less than half a MiB" : $2 " kB") " of memory of its own" }' /proc/$monitor/status

## What it says is kept
# Nobody is connected with the container. What it prints goes through a pipe to the monitor, and from there to a file.
#needs stage full-run
until boxwright logs lab-life | grep -q tick; do sleep 0.1; done
boxwright logs lab-life | head -n 1

## Frozen
# Its cgroup can be frozen. Nothing in it runs, nothing in it can notice; a frozen process does not even get a signal.
#needs stage join-cgroup
boxwright pause lab-life
ticks=$(boxwright logs lab-life | wc -l)
sleep 1
test "$(boxwright logs lab-life | wc -l)" = "$ticks" && echo "not one more tick in a second"

boxwright unpause lab-life
until [ "$(boxwright logs lab-life | wc -l)" -gt "$ticks" ]; do sleep 0.1; done; echo "and on it goes"

## Asked to end, then made to
# stop asks with SIGTERM. But this shell is process 1, and to process 1 no signal happens that it has no handler for (lab
# 16). So stop waits for as long as it is told, and sends SIGKILL: 137 is 128 + 9.
#needs stage full-run
boxwright stop --time 1 lab-life
boxwright inspect --format '{{.State.Status}}, exit code {{.State.ExitCode}}' lab-life

kill -0 $pid 2>/dev/null || echo 'its process is gone'

# What is left: what it said, and the layer on which it has written.
boxwright logs --tail 1 lab-life
boxwright diff lab-life

## One layer, many lives
# Each start is a new process with new namespaces. The layer is the old one:
#needs stage full-run
#varies ^[0-9a-f]{64}$ => [its id]
boxwright create --name lab-note host sh -c 'cat /root/note || echo nobody was here; echo I was here > /root/note'

boxwright start -a lab-note 2>/dev/null

boxwright start -a lab-note 2>/dev/null

## It comes back
# A monitor can also do what it was told for that case. This container fails, is started again, twice at most, and fails:
#needs stage full-run
#varies ^[0-9a-f]{64}$ => [its id]
boxwright run -d --restart on-failure:2 --name lab-phoenix host sh -c 'echo born; exit 1'

boxwright wait lab-phoenix
boxwright logs lab-phoenix

## Break it
# The one that remembers can be killed as well. Nobody is then told how the container ends; so it does not live on without
# being watched. The next command ends it, and says what it knows:
#needs stage full-run
boxwright start lab-life
pid=$(boxwright inspect --format '{{.State.Pid}}' lab-life)
kill -KILL $(ps -o ppid= -p $pid)

boxwright inspect --format '{{.State.Status}}: {{.State.Error}}' lab-life

kill -0 $pid 2>/dev/null || echo 'its process is gone'

## Removed
# Record, log and layer go together. Nothing remembers it any more.
#needs stage full-run
boxwright rm lab-life lab-note lab-phoenix

boxwright ps -a -q --filter name=lab-
