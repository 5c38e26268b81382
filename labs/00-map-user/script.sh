#!/bin/sh
# Root that is not root: in a user namespace you are user 0, and for the host you are who you were.

## What escapes is root
# Here is a file that only the host's root may read:
#needs root
echo 'the key to the house' > key
chmod 600 key

# And here is a container with five namespaces of its own. But root in there is root out here, and where a container has
# a hole (a forgotten mount, a bug in the kernel), nothing stands behind it:
unshare --pid --fork --mount --uts --ipc --net cat key

## Root, for the asking
# What follows is done by an ordinary user. If you are root, `as_user` makes you one; otherwise you are one already.
#needs tool hostname
if [ "$(id -u)" = 0 ]; then
    as_user() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }
else
    as_user() { "$@"; }
fi

# An ordinary user may make none of the namespaces that a container is made of...
for kind in pid mount uts ipc net; do
    as_user unshare --$kind true 2>/dev/null || echo "$kind: not permitted"
done

# ...but for one, in which they are user 0. And user 0 may make all the others:
as_user unshare --map-root-user --uts sh -c 'hostname box; echo "user $(id -u) on $(uname -n)"'

# This is what made the difference: no capabilities before, and all that there are after.
#varies \b0{3,7}[0-9a-f]?f{8,}$ => [all]
as_user grep CapEff /proc/self/status

as_user unshare --map-root-user grep CapEff /proc/self/status

## Whose file is it?
# The map says it in three numbers: from id 0 inside, from your id outside, one id.
#varies ^ +0 +[0-9]+ +1$ => 0 [your id] 1
#varies ^outside: (.*) to [0-9]+$ => outside: $1 to [your id]
as_user unshare --map-root-user cat /proc/self/uid_map

# A file made by this root bears your id on the disk. And a file of the host's root belongs to 65534: the kernel says so
# of all ids that are not in the map.
mkdir -m 777 shared

as_user unshare --map-root-user sh -c '
    touch shared/mine
    stat -c "inside: %n belongs to %u" shared/mine /etc/passwd'

stat -c 'outside: %n belongs to %u' shared/mine

## What this root may, and what it may not
# Setting a hostname takes CAP_SYS_ADMIN. This root has it, and may:
#needs tool hostname
#never the host's hostname: yes
as_user unshare --map-root-user --uts hostname box && echo 'its own hostname: yes'

# Without --uts it is the same user, with the same capability, and the same call. But the UTS namespace is the host's, so
# the kernel asks: CAP_SYS_ADMIN *where*? In the user namespace that owns the thing. And there you are nobody special.
as_user unshare --map-root-user hostname box 2>/dev/null \
    && echo "the host's hostname: yes" || echo "the host's hostname: no"

# So it goes with all that belongs to the host:
as_user unshare --map-root-user sh -c '
    cat /etc/shadow > /dev/null  || echo "read the passwords: no"
    chown 0 /etc/passwd          || echo "take a file of the host: no"
    mknod shared/disk b 8 0      || echo "make the node of a disk: no"
    kill -0 1                    || echo "signal a process of the host: no"' 2>/dev/null

## Groups that take away
# A group may be there to take rights away: all the world may read this file, but not group 4321.
#needs root
#never ^not for group
echo 'not for group 4321' > notice
chgrp 4321 notice
chmod 604 notice

banned() { setpriv --reuid=1234 --regid=1234 --groups=4321 "$@"; }
banned cat notice 2>/dev/null || echo 'denied'

# As root of a user namespace, could they not leave the group, and read? It was so until 2014 (CVE-2014-8989). Since then
# an ordinary user who maps a group must give up setgroups(2) first, and `--map-root-user` does.
banned unshare --map-root-user cat /proc/self/setgroups

banned unshare --map-root-user setpriv --clear-groups cat notice 2>/dev/null || echo 'still denied'

## The same with boxwright
# boxwright makes the user namespace together with the process, which then waits while the *host* side writes its maps: a
# process can give itself no ids but its own.
boxwright map-user

# Root's children get ids that nobody else has; yours get your id, as above.
boxwright map-user -q -- id -u

## What escapes is nobody
# The container of the first step again, but now with somebody else's root:
#needs root
#never key to the house
boxwright map-user -q -- cat "$PWD/key" 2>/dev/null || echo 'denied'

## Break it
# Three processes, and two user namespaces. Without the primitive you are in the first one, which is the host's:
readlink /proc/self/ns/user

boxwright map-user -q -- readlink /proc/self/ns/user

boxwright map-user -q --without map-user -- readlink /proc/self/ns/user

# And whoever started it as root has the key:
boxwright map-user -q --without map-user -- cat "$PWD/key" 2>/dev/null || echo 'not started as root: no key'
