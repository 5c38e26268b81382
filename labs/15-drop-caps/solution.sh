#!/bin/sh
#without -all,+kill,+net_bind_service => +all
# Each program changes something that survives execve(2), and becomes the next. unshare gives an ordinary user the
# CAP_SETPCAP that cutting the bounding set takes. setpriv still has all capabilities when it has cut it: they go when it
# executes prlimit, because then root's sets are made anew from the bounding set (and the inheritable one, which is
# empty). The limit comes last, and needs no privilege to go down.
exec unshare --map-root-user \
    setpriv --bounding-set -all,+kill,+net_bind_service --no-new-privs \
    prlimit --nofile=64 \
    sleep 600
