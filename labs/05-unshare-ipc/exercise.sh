#!/bin/sh
# Exercise: a room with two cupboards.
#
# `sleep 600` shall have what programs share memory with, all of it its own: a
# piece of System V shared memory of 8192 bytes in its IPC namespace (`ipcmk`
# makes one), and a file `note` in its /dev/shm. The host shall have neither.
#
# The check runs this as root of a user namespace, in a world that plays the
# host. To try it without the check, make one: unshare --map-root-user --ipc
# --mount sh
#
# You may use unshare(1), ipcmk(1) and mount(8), or boxwright (--root
# "$PWD/state" gives it a place to write to). Leave it running: the check
# looks at it and ends it.

sleep 600
