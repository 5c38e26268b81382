#!/bin/sh
#without --mount --ipc => --mount
# The namespace hides the System V memory, the tmpfs on top of /dev/shm hides the host's files. `exec`, so that the program
# stays and the shell goes; the memory would outlive both, as long as anybody is in the namespace.
unshare --mount --ipc sh -c '
    mount -t tmpfs shm /dev/shm
    echo mine > /dev/shm/note
    ipcmk --shmem 8192
    exec sleep 600'
