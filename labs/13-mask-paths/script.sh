#!/bin/sh
# Masked paths: a part of /proc and /sys is about the whole machine, whoever mounted it. It is hidden, or made read-only.

## One kernel behind every /proc
# A container with a /proc of its own sees its own processes. But a good half of /proc is about no process. Here it shows
# the interrupts of the machine, and by their counts when somebody presses a key:
unshare --map-root-user --mount --pid --fork --mount-proc \
    sh -c 'echo "I am process $$"; grep -q CPU /proc/interrupts && echo "and see every interrupt"'

## Switches of the machine
# Root, in a container without a user namespace, is the owner of these files, and may write. (It writes back what was
# there. What the kernel does when it panics is now up to a container.)
#needs root
unshare --mount --pid --fork --mount-proc \
    sh -c 'x=$(cat /proc/sys/kernel/panic); echo $x > /proc/sys/kernel/panic && echo "wrote kernel.panic"'

# Beside it is `core_pattern`: a program that the kernel runs, as root and outside of all containers, when a process
# crashes. Whoever may write its name there and crash is out.
unshare --mount --pid --fork --mount-proc \
    sh -c 'test -w /proc/sys/kernel/core_pattern && echo "core_pattern can be written"'

## Cover what must not be seen
# There is no call to hide a file of /proc. But whatever is mounted over a path covers it. /dev/null covers a file:
unshare --map-root-user --mount \
    sh -c 'mount --bind /dev/null /proc/interrupts; wc -c < /proc/interrupts'

# An empty tmpfs covers a directory:
unshare --map-root-user --mount \
    sh -c 'mount -t tmpfs -o ro none /proc/irq; ls -A /proc/irq | wc -l'

# What may be read but not written is mounted on itself, and that mount is made read-only. (`: >` opens a file to write.)
unshare --map-root-user --mount sh -c '
    mount --bind /proc/sys /proc/sys
    mount -o remount,bind,ro /proc/sys
    : > /proc/sys/kernel/panic' 2>&1 | sed 's/.*: //'

## Whoever may mount may unmount
# This is the trap in all of it: a mask is a mount, and root here may take it off again.
unshare --map-root-user --mount sh -c '
    mount --bind /dev/null /proc/interrupts
    umount /proc/interrupts
    grep -q CPU /proc/interrupts && echo "every interrupt is back"'

# So masks are worth something only for who has no CAP_SYS_ADMIN:
unshare --map-root-user --mount sh -c '
    mount --bind /dev/null /proc/interrupts
    exec setpriv --bounding-set -sys_admin umount /proc/interrupts' 2>/dev/null || echo 'the mask stays'

## What the kernel does about it
# A new user namespace gives all capabilities, CAP_SYS_ADMIN too: so make one, and unmount there? No. Mounts that come
# from a more privileged namespace are locked.
#never is back
unshare --map-root-user --mount sh -c '
    mount --bind /dev/null /proc/interrupts
    unshare --map-root-user --mount umount /proc/interrupts' 2>/dev/null || echo 'the mask is locked'

# Then mount a fresh /proc, which has no masks? The kernel looks whether anything covers the one that you see already.
# Nothing does, and it lets you; one mask, and it does not.
unshare --map-root-user --mount sh -c '
    fresh="unshare --map-root-user --mount --pid --fork --mount-proc"
    $fresh echo "a fresh /proc"
    mount --bind /dev/null /proc/interrupts
    $fresh echo "another one, where every interrupt is back"' 2>/dev/null || echo 'not behind a mask'

## The same with boxwright
# The paths are docker's list, as far as this kernel has them:
boxwright mask-paths

boxwright mask-paths -q -- \
    sh -c 'wc -c < /proc/interrupts; (: > /proc/sys/kernel/panic) 2>&1 | sed "s/.*: //"'

# At this stage the trap is still open:
boxwright mask-paths -q -- sh -c 'umount /proc/interrupts && grep -q CPU /proc/interrupts && echo "it is back"'

## Closed two stages later
# The next stage refuses umount(2), and the one after it takes CAP_SYS_ADMIN away. Either is enough:
#never is back
attack='umount /proc/interrupts 2>/dev/null && echo "it is back" || echo "the mask stays"'
boxwright drop-caps -q --without drop-caps -- sh -c "$attack"
boxwright drop-caps -q --without filter-syscalls -- sh -c "$attack"

## What nobody hides
# The list is one of harm, not of truth. Memory, processors, load and uptime in /proc are the host's in every container,
# with 64 MB or without:
grep MemTotal /proc/meminfo > outside
boxwright drop-caps -q -- grep MemTotal /proc/meminfo | cmp - outside && echo 'all of the memory'

## Break it
# All the rest of a container, capabilities dropped and calls filtered, but no masks:
boxwright drop-caps -q --without mask-paths -- sh -c 'grep -q CPU /proc/interrupts && echo "I see every interrupt"'

# And may it write? It asks for no capability, and write(2) is a call that no filter can do without. All that counts is
# whether this root is the owner of the file: root of the host is; root of a user namespace is not.
boxwright drop-caps -q --without mask-paths -- \
    sh -c 'x=$(cat /proc/sys/kernel/panic); echo $x > /proc/sys/kernel/panic' 2>/dev/null &&
    echo 'wrote kernel.panic' || echo 'somebody else owns it'
