#!/bin/sh
#without --pid =>
# clone(2) with CLONE_NEWPID is what --fork comes to: the child is born in the namespace, as its number 1, and execve(2)
# does not change the number.
unshare --map-root-user --pid --fork sleep 600
