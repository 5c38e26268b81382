#!/bin/sh
# Exercise: a room that looks like the house.
#
# Make `sleep 600` run in a cgroup of its own (in one tree at least, if this
# machine has several), in which there is nobody else, and in a cgroup
# namespace whose top is this very cgroup: asked where it is, it must answer
# "/".
#
# You may do it by hand, with boxwright, or with both. Leave it running: the
# check looks at it, ends it, and removes the cgroup.

sleep 600
