#!/bin/sh
# Exercise: mend an image that you must not touch.
#
# Somebody has made an image with two mistakes in it: etc/motd says "under
# construction", and etc/password should not be there at all. Others use that
# image, so it must stay as it is.
#
# Run `sleep 600` in a directory (let it be its working directory) that shows
# the image as it should be: its etc/motd says "open for business", and there
# is no etc/password. All else is seen through it, and not copied.
#
# You may use unshare(1), mount(8), boxwright, or all of them. Leave it
# running: the check looks at it and ends it.

mkdir -p image/etc image/usr/bin upper work merged
echo 'under construction' > image/etc/motd
echo 'hunter2' > image/etc/password
dd if=/dev/zero of=image/usr/large bs=1M count=4 2> /dev/null
# For those who want to make it the root of something: a shell, and a sleep.
cp "$(command -v busybox)" image/usr/bin/busybox
for tool in sh rm sleep; do ln -s busybox image/usr/bin/$tool; done

cd image
exec sleep 600
