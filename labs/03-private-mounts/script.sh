#!/bin/sh
# A mount table of one's own: nothing that is mounted in here appears out there, and ps tells the truth.

## A mount that leaks
# On most hosts every mount is *shared*: systemd says so at boot. To leak into your host would be rude, so `host` is a world
# of our own in which mounts are shared too. Within it, unshare --mount makes a container; in there, something is mounted:
mkdir data
host() { unshare --map-root-user --mount --propagation shared sh -c "$1" || true; }

host 'unshare --mount --propagation unchanged mount -t tmpfs leak data
      mountpoint data'

# It was the host that asked: the mount is here! The container has a mount table of its own, and has even ended. But the
# copy of a shared mount is a peer of the original, and peers tell each other what is mounted below them.

## Cut off
# So a container's first act is to make all its mounts private. (It is what unshare --mount does unless told otherwise;
# the system call unshare(2) does not.)
#never is a mountpoint
host 'unshare --mount --propagation private mount -t tmpfs leak data
      mountpoint data'

## A one-way mirror
# Between the two there is *slave*: what the host mounts appears inside, and not the other way around. Here the host (the
# shell's parent, whom nsenter visits) plugs in a stick. The container sees it, and removes it for itself alone:
host 'unshare --mount --propagation slave sh -c "
          nsenter --target \$PPID --mount --wd mount -t tmpfs stick data
          echo inside: \$(mountpoint data)
          umount data
          echo inside: \$(mountpoint data)"
      echo outside: $(mountpoint data)'

## A proc of one's own
# Now for the lie of an earlier lab: process 1 asks ps who is there, and is shown the host:
unshare --map-root-user --pid --fork sh -c 'test "$(ps ax | wc -l)" -gt 3 && echo "I am $$, among strangers"'

# A proc file system shows the PID namespace of whoever *mounted* it, whoever reads it. So mount another one. That covers
# /proc in this mount namespace only; the host's is as it was:
unshare --map-root-user --pid --fork --mount sh -c '
    mount -t proc proc /proc
    ps -e -o pid:4,comm
    echo "I am $$"'

# A new proc belongs to whom the PID namespace belongs. Without one of its own, this root asks for one more view of the
# host's processes, and over those it has no power:
unshare --map-root-user --mount mount -t proc proc /proc 2>/dev/null || echo 'not permitted'

## The same with boxwright
# The mount namespace, the propagation, the proc: one primitive, because each is dangerous or untrue without the others.
#never ^data is a mountpoint
boxwright private-mounts

boxwright private-mounts -q -- ps -e -o pid:4,comm

boxwright private-mounts -q -- findmnt -n -o TARGET,PROPAGATION /

# On our shared host again. (--root: where this boxwright keeps its state; the root of that host may not write to /var.)
#never ^data is a mountpoint
host "boxwright --root '$PWD/state' private-mounts -q -- mount -t tmpfs leak '$PWD/data'
      mountpoint data"

## The same files
# A mount table of one's own is a list of what is where. What it lists are the same file systems as before, and a file
# that is written there is written for all:
boxwright private-mounts -q -- sh -c "echo written in the container > '$PWD/data/file'"

cat data/file

# That is for later primitives: stack-layers makes writes go elsewhere, pivot-root takes the host's files out of sight.

## Break it
# Without private-mounts, the mount is the host's and ps lies again:
host "boxwright --root '$PWD/state' private-mounts -q --without private-mounts -- mount -t tmpfs leak '$PWD/data'
      mountpoint data"

boxwright private-mounts -q --without private-mounts -- \
    sh -c 'test "$(ps ax | wc -l)" -gt 3 && echo "I am $$, among strangers"'
