#!/bin/sh
# Layers: containers that share the files of one image, write as they like, and leave it as it was.

## One directory for everybody
# Here is an image: a directory with a few files.
mkdir -p image/etc
echo 'welcome to version 1' > image/etc/motd
echo 'made by the image' > image/etc/issue

# Two containers use it. (A mount namespace each, and the image bound to where they want it.) The first one has a bad day,
# and the second one reads what the first one wrote:
mkdir box1 box2
unshare --map-root-user --mount sh -c 'mount --bind image box1; echo broken > box1/etc/motd'
unshare --map-root-user --mount sh -c 'mount --bind image box2; cat box2/etc/motd'

echo 'welcome to version 1' > image/etc/motd

## A glass sheet over the image
# An overlay shows two directories as one: the lower one through the upper one, as through a sheet of glass. All writing is
# on the glass. This script mounts one and runs a command in there. (`userxattr` is for those who are root in a user
# namespace only.)
mkdir upper work merged
cat > stacked <<'END'
mount -t overlay -o "lowerdir=$1,upperdir=upper,workdir=work,userxattr" overlay merged
cd merged && shift && exec "$@"
END

#never broken
unshare --map-root-user --mount sh stacked image sh -c 'cat etc/motd; echo changed > etc/motd; cat etc/motd'

# The image knows nothing of it. The change is in the upper directory, and stays there when the mount has gone:
#never broken
cat image/etc/motd
cat upper/etc/motd

## What is deleted leaves a hole that is a thing
# How can a file be deleted that lies in a directory which is never written? By something in the upper one that says "not
# here": a whiteout, a character device with the number 0:0, which no driver will ever have.
unshare --map-root-user --mount sh stacked image sh -c 'rm etc/issue; ls etc'

stat -c '%n: %F %t:%T' upper/etc/issue
ls image/etc

## A copy for one bit
# A file is copied up as a whole before the first change to it, were it only to its permissions. Here are 8 MiB:
dd if=/dev/zero of=image/data bs=1M count=8 2>/dev/null
unshare --map-root-user --mount sh stacked image chmod 600 data

stat -c '%n: %s bytes' upper/data

## The next layer
# What a container wrote is a directory. Put it below another upper one, and it is a layer: that is what an image is made
# of. Here the one on top is new, and there are two below it:
mv upper layer2 && mkdir upper
unshare --map-root-user --mount sh stacked layer2:image sh -c 'ls etc; cat etc/motd; echo 3 > etc/version'

# Three directories, each with its own changes:
ls -A upper/etc layer2/etc image/etc

## The same with boxwright
# boxwright mounts the layers of the image, with an upper directory for each container:
#needs stage stack-layers
boxwright stack-layers

# From pivot-root on, that is the container's root. The first container deletes a file of its /etc, and writes another one;
# the second one has the image as it always was.
#needs stage pivot-root
boxwright pivot-root -q -- sh -c 'rm /etc/passwd; echo changed > /etc/motd; cat /etc/motd'

boxwright pivot-root -q -- sh -c 'ls /etc/passwd; test -e /etc/motd || echo "there is no motd"'

## Break it
# Without the glass there is only the image. boxwright does not let it be written, by anybody:
#needs stage pivot-root
boxwright pivot-root -q --without stack-layers -- touch /etc/new 2>&1 | grep -o 'Read-only file system'
