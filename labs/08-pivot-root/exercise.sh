#!/bin/sh
# Exercise: a room without a way out.
#
# `room` is a small root filesystem, and this script runs its `sleep 600` in
# there with chroot. Make it a room that cannot be left: it shall be the root
# of a mount namespace of its own, with the host's root mounted nowhere in it.
#
# You may use unshare(1), mount(8), pivot_root(8), boxwright, or all of them.
# Leave it running: the check enters its mount namespace, looks around, and
# ends it. (It needs a `sh` in there to look around with.)

mkdir -p room/usr/bin && ln -s usr/bin room/bin && cp "$(command -v busybox)" room/bin/busybox
for tool in sh sleep umount; do ln -s busybox room/bin/$tool; done

unshare --map-root-user --mount chroot room sleep 600
