#!/bin/sh
# Become process 1: in a PID namespace nobody sees, or can signal, a process outside.

## One list of processes for everybody
# A machine has one list of processes. Whoever may signal a process on it can end it. Here is one that minds its own
# business:
sleep 300 &
victim=$!

# And here is a shell that wants to be a container: it has a mount namespace and a UTS namespace of its own, and believes
# that it is root. But it shares the list:
unshare --map-root-user --mount --uts sh -c "kill $victim && echo 'killed a process of the host'"

## Born into another list
# unshare(1) makes a PID namespace. But the process that asks for it stays where it is: the namespace is for its
# children. The first child becomes process 1... (The `:` does nothing. Without it, some shells would not start what is
# last, but become it, and there would be no child.)
unshare --map-root-user --pid sh -c 'sh -c "echo I am process \$\$"; :'

# ...which has ended by now, and its namespace with it. With --fork, unshare makes a first child that stays:
unshare --map-root-user --pid --fork sh -c 'echo I am process $$; sh -c "echo I am process \$\$"; :'

## What has no number cannot be killed
# The same attack, from inside of a PID namespace:
sleep 300 &
victim=$!

#never killed
unshare --map-root-user --pid --fork sh -c "kill $victim && echo killed" 2>/dev/null || echo 'no such process'

kill -0 $victim && echo 'the victim lives'

## When the first one goes, all go
# Process 1 of a namespace is its init. When it ends, the kernel kills all the others. So a container ends as a whole:
unshare --map-root-user --pid --fork sh -c 'sleep 3001 & echo process 1 ends'

pgrep -f 'sleep 3001' || echo 'no sleep is left'

## The same with boxwright
# boxwright makes the namespace with clone3(2), so that the child is born in it. Here is what that changed, as the child
# itself saw it, and the call that did it:
boxwright unshare-pid

# Words after -- are a command that runs there. (-q is for quiet: no report.)
boxwright unshare-pid -q -- sh -c 'echo I am process $$'

## And ps still lies
# Process 1 asks ps(1) who else is there, and gets the list of the host:
boxwright unshare-pid -q -- sh -c 'test "$(ps ax | wc -l)" -gt 3 && echo "I am $$, and ps shows me strangers"'

# ps makes no system call to ask. It reads /proc, and /proc is still the one that was mounted by the host. What ends this
# lie is another primitive, private-mounts, two labs from here.
#varies ^[0-9]+$ => [a number of the host]
boxwright unshare-pid -q -- sh -c 'readlink /proc/self; echo "but I am $$"'

## Break it
# Leave the primitive out of its own prefix, and the child is one more process of the host:
boxwright unshare-pid -q --without unshare-pid -- sh -c 'test $$ -gt 1 && echo "my number is one of the host"'
