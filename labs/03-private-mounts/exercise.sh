#!/bin/sh
# Exercise: a desk nobody else sees.
#
# This script puts a tmpfs on `desk` and a note on it, for `sleep 600` alone.
# But it leaks: the host has the desk, too. And whoever looks into /proc from
# there sees all the host's processes.
#
# Mend it: the sleep shall be process 1 with a /proc that shows nobody else,
# it shall have the note on its desk, and the host shall have an empty
# directory.
#
# The check runs this as root of a user namespace, in a world in which all
# mounts are shared, as on most hosts. To try it without the check, make one:
# unshare --map-root-user --mount --propagation shared sh
#
# You may use unshare(1) and mount(8), or boxwright (--root "$PWD/state" gives
# it a place to write to).

mkdir -p desk
unshare --mount --propagation unchanged sh -c '
    mount -t tmpfs desk desk
    echo mine > desk/note
    exec sleep 600'
