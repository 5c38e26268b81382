#!/bin/sh
#without -t overlay -o lowerdir=image,upperdir=upper,workdir=work,userxattr overlay => --bind image
mkdir -p image/etc image/usr/bin upper work merged
echo 'under construction' > image/etc/motd
echo 'hunter2' > image/etc/password
dd if=/dev/zero of=image/usr/large bs=1M count=4 2> /dev/null
cp "$(command -v busybox)" image/usr/bin/busybox
for tool in sh rm sleep; do ln -s busybox image/usr/bin/$tool; done

# Both changes are made through the mount and land in upper/: the new motd as a file that hides the old one, and the
# password as a whiteout. Nobody outside of this mount namespace sees any of it, and the image is only read.
unshare --map-root-user --mount sh -c '
	mount -t overlay -o lowerdir=image,upperdir=upper,workdir=work,userxattr overlay merged
	cd merged
	echo "open for business" > etc/motd
	rm etc/password
	exec sleep 600'
