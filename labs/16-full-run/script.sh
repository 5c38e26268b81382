#!/bin/sh
# The whole list: a command in a container, what it inherits, what it answers, and what it still shares with you.

## Alone, with your papers in its pocket
# Here is a secret in the environment, and a file that is open, as in any shell that has been used for a while:
export TOKEN=hunter2
echo 'a file of the host' > file && exec 9<file

# And here are six namespaces by hand. The command in them sees nobody else, but it has inherited both; and its session,
# 0, is one of somebody outside, whose terminal it shares:
cat > inherited <<'END'
echo "the token is '$TOKEN'"
test -e /proc/self/fd/9 && cat /proc/self/fd/9
echo "session $(cut -d ' ' -f 6 /proc/self/stat)"
END
unshare --map-root-user --pid --fork --mount-proc --uts --ipc --net --cgroup sh inherited

## The same with boxwright
# full-run has docker run's grammar: an image (host is the one with your own /usr), a command. -i connects its input;
# --rm leaves nothing of the container when it has ended.
#needs stage full-run
#never hunter2|of the host
boxwright full-run --rm -i host sh < inherited

exec 9<&-

## It answers with an exit code
# Whoever runs a container wants to know how it ended. The code is the command's own; or it says why there was none:
#needs stage full-run
boxwright run --rm host sh -c 'exit 7'

boxwright run --rm host no-such-command

boxwright run --rm host /etc

boxwright run --rm --rootfs no-such-directory sh

## Process 1 does not die as others do
# A signal to process 1 from inside of its namespace has no effect, unless there is a handler for it: nobody shall end an
# init by accident. Not even SIGKILL does.
#needs stage full-run
boxwright run --rm host sh -c 'kill -TERM $$; kill -KILL $$; echo "I live, as process $$"'

# With --init, process 1 is a small init, and the command is its child, an ordinary one: 143 is 128 + 15, SIGTERM.
#needs stage full-run
boxwright run --rm --init host sh -c 'kill -TERM $$; echo "I live, as process $$"'

## All of it together
# A container looks at itself: one fact for each of the primitives that made it.
#needs stage full-run
cat > facts <<'END'
test $$ = 1 && echo "I am process 1" || echo "I have a number of the host"
test "$(hostname)" = box && echo "my name is box" || echo "I have the name of the host"
test "$(readlink /proc/self/ns/net)" != "$NET" && echo "my network is my own" || echo "my network is the host's"
test -e "$HERE" && echo "I see your files" || echo "I see none of your files"
test -w / && echo "I may write, on my own layer" || echo "I may not write at all"
test -z "$(ls /sys/firmware)" && echo "/sys/firmware is empty" || echo "/sys/firmware is the machine's"
grep -q 'Seccomp:.2' /proc/self/status && echo "a filter is on my calls" || echo "no filter is on my calls"
grep -q CapEff:.00000000a80425fb /proc/self/status && echo "14 capabilities are left" || echo "I am as mighty as root"
END
look() { boxwright run --rm -i -h box -e HERE=$PWD -e NET=$(readlink /proc/self/ns/net) "$@" host sh < facts; }
look | tee whole

## Break it
# Take one stone out of the wall at a time, and look which fact falls:
#needs stage full-run
for stone in unshare-pid set-hostname add-net stack-layers pivot-root mask-paths filter-syscalls drop-caps; do
  echo "without $stone:" && look --without $stone 2>/dev/null | diff whole - | sed -n 's/^>/ /p'
done

## And yet there is one kernel
# What no primitive of the list gives a container: a kernel, a boot, a clock. A virtual machine has its own.
#needs stage full-run
boxwright run --rm host cat /proc/sys/kernel/random/boot_id > inside
cmp inside /proc/sys/kernel/random/boot_id && echo 'the same boot of the same kernel'

readlink /proc/self/ns/time
boxwright run --rm host readlink /proc/self/ns/time

## The files that tell about it
# Files that tell about the machine tell about the whole machine. A program that sizes itself by them asks for too much:
#needs stage limit-memory
boxwright run --rm --memory 64m host grep MemTotal /proc/meminfo > inside
grep MemTotal /proc/meminfo | cmp - inside && echo 'it may use 64 MiB, and reads that it has all the memory there is'

## To the host it is a process
# From outside, a container is nothing but processes with other namespaces than yours. The host sees them all, by its own
# numbers:
#needs stage full-run
boxwright run --rm host sleep 3007 2>/dev/null &
until pid=$(pgrep -P $! -x -f 'sleep 3007'); do sleep 0.1; done

for type in user pid mnt uts ipc net time; do
  test "$(readlink /proc/$pid/ns/$type)" = "$(readlink /proc/self/ns/$type)" && echo "$type: yours" || echo "$type: its own"
done

# And may end it. Against a SIGKILL from outside, process 1 has no protection:
#needs stage full-run
kill -KILL $pid
wait $!
