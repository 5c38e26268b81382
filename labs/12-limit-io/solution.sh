#!/bin/sh
#without boxwright limit-io -q => boxwright limit-io --without limit-io -q
# The container's /var/tmp is in the writable layer, whose files are in boxwright's state directory on the host; and the
# disk behind that directory is the one that limit-io limits if no other is named. The layer goes with the container, and
# the file with it.
exec boxwright limit-io -q -- dd if=/dev/zero of=/var/tmp/exercise bs=64k count=512 oflag=direct
