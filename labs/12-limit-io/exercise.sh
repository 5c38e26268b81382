#!/bin/sh
# Exercise: a slow pen.
#
# This dd(1) writes 32 MiB, directly. It shall not write more than 1 MiB
# (1048576 bytes) a second to the disk on which its file is; and if it can,
# not only because that is how fast the disk is.
#
# You may do it by hand, with boxwright, or with both. The file may be
# anywhere on a disk (not all machines have /tmp on one). Leave it running:
# the check looks at it, ends it, and removes the cgroup. The file you remove
# yourself.

dd if=/dev/zero of=/var/tmp/exercise bs=64k count=512 oflag=direct
rm /var/tmp/exercise
