#!/bin/sh
# Exercise: masks that stay.
#
# Make `sleep 600` run in a mount namespace of its own, in which
#   - /proc/cmdline (how this machine was booted; people put secrets there) is
#     an empty file,
#   - /proc/irq is an empty directory,
#   - /proc/sys can be read, but is read-only,
# and see to it that neither sleep nor any program that it could start can
# take these masks off again.
#
# You may use unshare(1), mount(8), setpriv(1), boxwright, or all of them.
# Leave it running: the check looks at it and ends it.

sleep 600
