#!/bin/sh
# Exercise: a very small root.
#
# Make `sleep 600` run as root (user 0 in its user namespace, which may be one
# of its own) that
#   - has two capabilities, CAP_KILL and CAP_NET_BIND_SERVICE, in force; and
#     no other one ever, whatever it executes,
#   - can gain nothing by executing a setuid program either,
#   - may have 64 files open at most, and may not raise that.
#
# You may use unshare(1), setpriv(1), prlimit(1), boxwright, or all of them.
# Leave it running: the check looks at it and ends it.

sleep 600
