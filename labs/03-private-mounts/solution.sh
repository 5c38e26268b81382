#!/bin/sh
#without --propagation private => --propagation unchanged
mkdir -p desk
# private: for the copies of all mounts the ties to their originals are cut. The shell is born into the PID namespace as
# its number 1, so the proc that it mounts shows that namespace; and exec keeps the number.
unshare --mount --propagation private --pid --fork sh -c '
    mount -t proc proc /proc
    mount -t tmpfs desk desk
    echo mine > desk/note
    exec sleep 600'
