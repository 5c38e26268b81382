#!/bin/sh
# Exercise: a shell for nobody.
#
# Make `sleep 600` run as process 1 of a PID namespace of its own. It shall
# itself be number 1: not the child of a shell or of another program that is.
# Everything else (mounts, network...) may stay as it is.
#
# You may use unshare(1), boxwright, or both. Leave it running: the check
# looks at it and ends it.

sleep 600
