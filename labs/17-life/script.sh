#!/bin/sh
# A container's life: from create to rm, what there is of it, and who remembers how it ended.

## Nobody remembers
# How a process ended, the kernel tells to one other: its parent, and only once. Here is a container by hand, in the
# background of a shell that goes away:
sh -c 'unshare --map-root-user --pid --fork sh -c "echo last words; exit 7" > /dev/null 2>&1 & echo $! > number'

# How did it end? 127 is what a shell answers when it is asked about a process that is no child of its own.
wait "$(cat number)" 2>/dev/null
echo "the answer is $?"

## Made, and nothing runs
# A container that is to be remembered is first of all a record: a name, and a file that says what is to be run. (The
# first line removes what an earlier run of this lab has left, had it been interrupted.)
#needs stage full-run
#varies ^[0-9a-f]{64}$ => [its id]
boxwright rm -f lab-life lab-note lab-again > /dev/null 2>&1
boxwright create --name lab-life host sh -c 'echo hello > /note; while :; do echo tick; sleep 0.1; done'

boxwright inspect --format '{{.Name}} is {{.State.Status}}, its process is {{.State.Pid}}' lab-life

## Started: a process, and one that watches it
# Now there is a process, with namespaces of its own:
#needs stage full-run
boxwright start lab-life
pid=$(boxwright inspect --format '{{.State.Pid}}' lab-life)

for type in pid mnt net; do
  test "$(readlink /proc/$pid/ns/$type)" = "$(readlink /proc/$$/ns/$type)" && echo "$type: yours" || echo "$type: its own"
done

# And a second one, its parent: the monitor. It is in no container. It keeps the log, waits for the end, and writes it
# down. Each container that runs has one, and there is nothing else: no daemon.
monitor=$(awk '/^PPid/ { print $2 }' /proc/$pid/status)
ps -o comm= -p $monitor
test "$(readlink /proc/$monitor/ns/pid)" = "$(readlink /proc/$$/ns/pid)" && echo 'in your PID namespace'

awk '/^RssAnon/ { print ($2 < 512 ? "less than half a MiB" : $2 " kB") " of memory of its own" }' /proc/$monitor/status

## What it says is kept
# Nobody is connected with the container. What it prints goes through a pipe to the monitor, and from there into a file.
#needs stage full-run
until boxwright logs lab-life | grep -q tick; do sleep 0.1; done
boxwright logs lab-life | head -n 1

test "$(readlink /proc/$pid/fd/1 | cut -d : -f 1)" = pipe && echo 'its standard output is a pipe'

## One more command in it
# The namespaces have names in /proc: by these, setns(2) lets another process in. By hand, nsenter does it:
#needs stage full-run
cat > facts <<'END'
cat /note
echo "process 1 is $(cat /proc/1/comm)"
grep -q 'Seccomp:.2' /proc/self/status && echo "a filter is on my calls" || echo "no filter is on my calls"
grep -q CapBnd:.00000000a80425fb /proc/self/status && echo "14 capabilities at most" || echo "any capability"
END
test "$(readlink /proc/$pid/ns/user)" = "$(readlink /proc/$$/ns/user)" || user='--user --preserve-credentials'
nsenter --target $pid $user --mount --pid --uts --ipc --net sh < facts

# It was let in, but a namespace is only what one sees: filter, capabilities and cgroup are not in it. `exec` brings them,
# before the command runs.
#needs stage full-run
boxwright exec -i lab-life sh < facts

## Frozen
# A cgroup can be frozen. None of its processes gets a turn then, and none can notice, or do anything about it.
#needs stage join-cgroup
boxwright pause lab-life
ticks=$(boxwright logs lab-life | wc -l)
sleep 1
test "$(boxwright logs lab-life | wc -l)" = "$ticks" && echo "not one more tick in a second"

boxwright unpause lab-life
until [ "$(boxwright logs lab-life | wc -l)" -gt "$ticks" ]; do sleep 0.1; done; echo "and on it goes"

## Asked to end, then made to
# stop asks with SIGTERM. But this shell is process 1, which gets no signal that it has no handler for (lab 16). So stop
# waits, for as long as it is told, and then sends SIGKILL: 137 is 128 + 9.
#needs stage full-run
boxwright stop --time 1 lab-life
boxwright inspect --format '{{.State.Status}}, exit code {{.State.ExitCode}}' lab-life

kill -0 $pid 2>/dev/null || echo 'its process is gone'

# What is left: what it said, and the layer on which it has written.
boxwright logs --tail 1 lab-life
boxwright diff lab-life

## One layer, many lives
# Each start is a new process in new namespaces. The layer is the old one:
#needs stage full-run
#varies ^[0-9a-f]{64}$ => [its id]
boxwright create --name lab-note host sh -c 'cat /note 2> /dev/null || echo nobody was here; echo I was here > /note'

boxwright start -a lab-note

boxwright start -a lab-note

## It comes back
# As the monitor is told of the end anyway, it may as well begin again. This container fails, and is started again, twice
# at most:
#needs stage full-run
#varies ^[0-9a-f]{64}$ => [its id]
boxwright run -d --restart on-failure:2 --name lab-again host sh -c 'echo born; exit 1'

until [ "$(boxwright inspect --format '{{.State.Status}}' lab-again)" = exited ]; do sleep 0.1; done
boxwright logs lab-again

boxwright inspect --format 'started again: {{.RestartCount}}, exit code {{.State.ExitCode}}' lab-again

## Break it
# The one that remembers can be killed as well. Then nobody is told how the container ends. So it does not live on
# unwatched: the next command that looks at it ends it, and says what is known.
#needs stage full-run
boxwright start lab-life
pid=$(boxwright inspect --format '{{.State.Pid}}' lab-life)
kill -KILL $(awk '/^PPid/ { print $2 }' /proc/$pid/status)

until boxwright inspect --format '{{.State.Status}}: {{.State.Error}}' lab-life | grep exited; do sleep 0.1; done

kill -0 $pid 2>/dev/null || echo 'its process is gone'

## Removed
# Record, log and layer go together. Nothing remembers them.
#needs stage full-run
boxwright rm lab-life lab-note lab-again

boxwright ps -a -q --filter name=lab-
