#!/bin/sh
# Exercise: a harmless root.
#
# Make `sleep 600` run as user 0 of a user namespace of its own, while it is
# NOT user 0 for the host. If you are an ordinary user, that is easy. If you
# are root, think about who stands behind the 0.
#
# You may use unshare(1), setpriv(1), boxwright, or any of them together.
# Leave it running: the check looks at it and ends it.

sleep 600
