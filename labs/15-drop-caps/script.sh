#!/bin/sh
# What is left of root: capabilities, the user, resource limits.

## Root is forty-one things
# Root reads what nobody may read. That is one of its powers, CAP_DAC_OVERRIDE, and it can be taken alone:
unshare --map-root-user sh -c 'echo "a secret" > file; chmod 000 file; cat file'

unshare --map-root-user setpriv --bounding-set -dac_override,-dac_read_search cat file 2>/dev/null ||
    echo 'root may not read it'

# Another one is CAP_NET_ADMIN. Root who has it is the same root otherwise:
unshare --map-root-user --net ip link set lo up && echo 'lo is up'

unshare --map-root-user --net setpriv --bounding-set -net_admin ip link set lo up

## Sets of bits
# /proc shows them in hexadecimal, a bit for each. Here are all five sets of a root with two capabilities, number 0 and
# number 5:
unshare --map-root-user setpriv --bounding-set -all,+chown,+kill grep Cap /proc/self/status

# Bnd is the bounding set, and the only one that was changed here. When root executes a program, it gets (Prm, Eff) as much
# as the bounding set lets it have.

## Another user has none
# unshare(1) makes a user namespace and has all capabilities in it. Then it executes grep(1), as user 1000 of that
# namespace: and execve(2) leaves a user other than root none of them.
#varies ^(Cap...):\s+0+$ => $1: [none]
#varies ^(Cap...):\s+0+[137]f+$ => $1: [all]
unshare --map-user=1000 --map-group=1000 grep CapEff /proc/self/status

# But for those that are in the fifth set, the ambient one. It was made (in Linux 4.3) for just that:
unshare --map-user=1000 --map-group=1000 --keep-caps grep -E 'CapEff|CapAmb' /proc/self/status

## A way back: setuid
# No capabilities, and user 65534. But there is a program that belongs to root and has the setuid bit. Whoever executes it
# is root again (as far as the bounding set goes):
#needs root
unshare --mount sh -c '
    mount -t tmpfs none /mnt
    cp "$(command -v id)" /mnt/id; chmod u+s /mnt/id
    setpriv --reuid 65534 --clear-groups /mnt/id -u
    setpriv --reuid 65534 --clear-groups --no-new-privs /mnt/id -u'

# The second one had no_new_privs: a promise to the kernel that execve(2) shall never give more than there was before.

## The device node trick
# A device is two numbers, and a file that has them is the device, whatever its name and wherever it is. 1 and 11 are the
# log of the kernel. With those of the disk, from /proc/partitions, it would be the disk, with all files of the host.
#needs root
unshare --mount sh -c '
    mount -t tmpfs none /mnt
    mknod /mnt/log c 1 11
    head -n 1 /mnt/log > /dev/null && echo "read the log of the machine"'

# To make such a file takes CAP_MKNOD:
setpriv --bounding-set -mknod mknod log c 1 11

## Not every root is asked
# A capability counts in the user namespace that owns the thing. Devices belong to the first one, and so root of another
# may not make them, with all capabilities that it has there:
unshare --map-root-user mknod log c 1 11

## The same with boxwright
# All that has been root until now becomes what docker leaves of it:
boxwright drop-caps

# By its name it is still root. A name is all that it is:
boxwright drop-caps -q -- sh -c 'id -un; hostname pwned' 2>/dev/null || echo 'but may not name its machine'

# Resource limits are part of it, and they only ever go down: to raise one takes CAP_SYS_RESOURCE.
boxwright drop-caps -q --ulimit nofile=64 -- \
    sh -c 'ulimit -n; prlimit --pid $$ --nofile=65' 2>/dev/null || echo 'and not one more'

## Two layers in front of a device
# CAP_MKNOD is among the 14: packages have devices in them. So the file can be made, and the next layer stops it: the
# device cgroup, which was there since `join-cgroup`, refuses to open what is not on its list.
#needs root
boxwright drop-caps -q -- sh -c 'mknod /tmp/log c 1 11 && echo made; head -n 1 /tmp/log'

# Without the capability it is not even made:
boxwright drop-caps -q --cap-drop mknod -- mknod /tmp/log c 1 11

# And with neither, it is open. (This is the stage pivot-root: capabilities have not been dropped.)
boxwright pivot-root -q --without join-cgroup -- \
    sh -c 'mknod /tmp/log c 1 11; head -n 1 /tmp/log > /dev/null && echo "read the log of the machine"'

## Another user, and no way back
# With -u all are gone at once but for the bounding set; with no-new-privileges there is no way back to that.
#needs root
boxwright drop-caps -q -u 1000 --security-opt no-new-privileges -- \
    grep -E 'Uid|CapEff|CapBnd|NoNewPrivs' /proc/self/status

## Break it
# The filter would refuse it too, so leave it out, and then the capabilities:
boxwright drop-caps -q --without filter-syscalls -- hostname pwned 2>/dev/null || echo 'no CAP_SYS_ADMIN'

boxwright drop-caps -q --without filter-syscalls --without drop-caps -- \
    sh -c 'hostname pwned && hostname'
