#!/bin/sh
#without --bounding-set -sys_admin => --no-new-privs
# The mounts are made while there is CAP_SYS_ADMIN (in a user namespace of ours, so that root is not needed). Then it
# goes from the bounding set: whenever root executes a program, it gains what is in that set or in the inheritable one,
# which is empty in a new user namespace. So neither sleep nor anything after it can unmount. --no-new-privs would not do: it stops gains by setuid programs, and
# takes nothing from who is root already.
exec unshare --map-root-user --mount sh -c '
    mount --bind /dev/null /proc/cmdline
    mount -t tmpfs -o ro none /proc/irq
    mount --bind /proc/sys /proc/sys
    mount -o remount,bind,ro /proc/sys
    exec setpriv --bounding-set -sys_admin sleep 600'
