#!/bin/sh
# Exercise: a house with a neighbour.
#
# Run `sleep 600` in a network namespace of its own, and give it all that a
# network takes:
#   - it reaches itself at 127.0.0.1,
#   - there is a second link with an address of its own, and a default route,
#   - and the router at the other end of that route answers when it is pinged.
# The network of this shell stays as it is. (Another namespace can be the
# router.)
#
# You may use unshare(1), ip(8), nsenter(1), boxwright, or all of them. Leave
# it running: the check pings from inside.

unshare --map-root-user --net sleep 600
