#!/bin/sh
# Exercise: no new directories.
#
# This script is called with a command: `exercise.sh COMMAND [ARG...]`. Run
# this command so that it (and whatever it starts) can do all that it needs,
# writing files among it, but cannot make a directory: the call shall fail
# with EPERM, and the command go on. It is the system call that shall be
# refused, so file permissions and read-only mounts are no solution.
#
# You may use boxwright, with a profile of yours, or anything else that loads
# a filter.

exec "$@"
