#!/bin/sh
# The smallest namespace: two strings. And what uname(2) tells.

## One name for all
# Here is a container that has nearly everything of its own: processes, mounts, IPC. It gives itself a name. (To rename
# your machine would be rude, so `host` is a world with a name of its own, in which we play the host.)
#needs tool hostname
host() { unshare --map-root-user --uts sh -c "hostname host; $1"; }

host 'unshare --pid --fork --mount --ipc hostname box
      echo "the host is now called $(uname -n)"'

## A name of its own
# With --uts, it renames nobody but itself:
#needs tool hostname
#never host is now called box
host 'unshare --uts sh -c "hostname box; echo inside: \$(uname -n)"
      echo "the host is now called $(uname -n)"'

# A new namespace begins as a copy. From then on the two names have nothing to do with each other, in either direction:
host 'unshare --uts sh -c "nsenter --target \$PPID --uts hostname renamed; echo inside: \$(uname -n)"
      echo "outside: $(uname -n)"'

## Where the name is
# It is a string in the kernel, which uname(2) returns and /proc shows. This /proc is still the host's, and yet it tells
# the reader's own name, and not the host's as ps did: these files look at who reads them.
#needs tool hostname
host 'unshare --uts sh -c "hostname box; cat /proc/sys/kernel/hostname"'

# And /etc/hostname is but a file, which somebody reads once, at boot. Nobody has written to it:
host 'grep -qx host /etc/hostname 2>/dev/null || echo "/etc/hostname knows nothing of it"'

## What is a name?
# For the kernel, a string of at most 64 bytes, no more. (A network is stricter: 63 in a part of a name, letters, digits and
# hyphens. And the 64 characters of a container's whole id would fit just so.)
#needs tool hostname
long=0123456789012345678901234567890123456789012345678901234567890123
host "hostname $long && uname -n"

host "hostname ${long}4 2>/dev/null || echo 'too long'"

## What a container cannot change
# The UTS namespace has all that uname(2) tells, the kernel's release too. But there are system calls for two of the
# strings only, hostname and NIS domain name. An old release can be feigned, for programs that want one: that is the
# personality(2) of a process, and no namespace.
#varies ^2\.6\.[0-9]+.*$ => 2.6.[n]
setarch --uname-2.6 uname -r

boxwright set-hostname -q -- uname -r > inside
uname -r | diff - inside && echo 'one kernel, one release'

## The same with boxwright
# Two calls:
boxwright set-hostname

before=$(uname -n)
boxwright set-hostname -q --hostname web -- uname -n

test "$(uname -n)" = "$before" && echo 'and the host is called as before'

## Break it
# Leave it out, and the name is the host's. (A hostname of its own cannot be asked for then: it would be the host's too.)
boxwright set-hostname -q --without set-hostname -- uname -n > name
test "$(cat name)" = "$(uname -n)" && echo 'called like the host'

readlink /proc/self/ns/uts

boxwright set-hostname -q -- readlink /proc/self/ns/uts

boxwright set-hostname -q --without set-hostname -- readlink /proc/self/ns/uts
