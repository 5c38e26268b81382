#!/bin/sh
# Exercise: three names.
#
# Two processes shall run at the same time: `sleep 600`, on a host that is
# called `castle`, and `tail -f /dev/null`, on a host that is called
# `village`. And the machine shall keep the name that it has, or there would
# be some anger.
#
# The check runs this as root of a user namespace, with a UTS namespace that
# plays the machine's. To try it without the check, make one: unshare
# --map-root-user --uts sh
#
# You may use unshare(1) and hostname(1), or boxwright (--root "$PWD/state"
# gives it a place to write to), or both. Leave the two running, and the
# script too: the check looks at them and ends them.

sleep 600 &
tail -f /dev/null &
wait
