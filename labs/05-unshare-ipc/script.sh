#!/bin/sh
# Memory by number: what has no path is hidden by no mount.

## A key is all it takes
# System V shared memory is found by a number. A database puts its secret under key 42, for nobody but its own user (0600):
#needs tool perl
cat > database <<'END'
$id = shmget(42, 4096, 01600);    # IPC_CREAT | 0600
shmwrite($id, "the pin is 1234", 0, 15);
END

# And a spy asks for whatever is there:
cat > spy <<'END'
$id = shmget(42, 0, 0);
print("nobody has key 42\n"), exit unless defined $id;
shmread($id, $text, 0, 15);
print "$text\n";
END

# The spy sits in a container: other processes, other mounts, another hostname. (`host` is a world that plays the host, so
# that nothing stays on yours.) But both are user 0, and there is one table of keys:
host() { unshare --map-root-user --ipc sh -c "$1"; }

host 'perl database
      unshare --pid --fork --mount --uts perl spy'

## A table of one's own
# With an IPC namespace there are two tables, and the spy's is empty:
#needs tool perl
#never the pin is
host 'perl database
      unshare --ipc perl spy'

## It outlives its maker
# Such memory belongs to no process. ipcmk makes a piece and ends; the memory stays, attached to nobody, until somebody
# removes it or the machine is switched off:
#varies 0x[0-9a-f]{8} => [some key]
host() { unshare --map-root-user --ipc sh -c "$1"; }

host 'ipcmk --shmem 4096
      ipcs --shmems'

# In an IPC namespace, it stays as long as the namespace does. When its last process ends, the kernel clears up:
host 'unshare --ipc ipcmk --shmem 4096
      ipcs --shmems'

## Which is a folder
# POSIX shared memory has the same purpose, and is something else: files in /dev/shm, a tmpfs. For these, an IPC namespace
# does nothing at all, and a mount does everything:
host() { unshare --map-root-user --mount sh -c "mount -t tmpfs shm /dev/shm; $1"; }

host 'echo "the pin is 1234" > /dev/shm/secret
      unshare --ipc cat /dev/shm/secret'

host 'echo "the pin is 1234" > /dev/shm/secret
      unshare --ipc --mount sh -c "mount -t tmpfs shm /dev/shm; ls /dev/shm | wc -l"'

## Queues that are both
# POSIX message queues are in the IPC namespace, and can be looked at as files. Here is one, made by a touch:
host() { unshare --map-root-user --ipc --mount sh -c "mount -t mqueue queues queues; $1"; }
mkdir queues

host 'touch queues/jobs; ls queues'

# In another IPC namespace it is not there. But the old mount still shows it, as /proc shows old processes: it remembers who
# mounted it, whoever looks. So with a namespace there always comes a mount.
host 'touch queues/jobs
      unshare --ipc --mount sh -c "
          echo the old mount: \$(ls queues)
          mount -t mqueue queues queues
          echo a new mount: \$(ls queues)"'

## The same with boxwright
# One call for the namespace, and two mounts with it:
boxwright unshare-ipc

# /dev/shm is memory, so it needs a bound. The default is docker's, and many a browser has crashed in it:
boxwright unshare-ipc -q -- df -h --output=target,size /dev/shm

boxwright unshare-ipc -q --shm-size 1g -- df -h --output=target,size /dev/shm

# The host has a piece of memory, and the container has none. (--root: where this boxwright keeps its state; the root of
# that host may not write to /var.)
#varies 0x[0-9a-f]{8} => [some key]
#never 4096
host() { unshare --map-root-user --ipc sh -c "$1"; }

host "ipcmk --shmem 4096
      boxwright --root '$PWD/state' unshare-ipc -q -- ipcs --shmems"

## Break it
# The same without the primitive: there it is.
#varies 0x[0-9a-f]{8} => [some key]
host "ipcmk --shmem 4096
      boxwright --root '$PWD/state' unshare-ipc -q --without unshare-ipc -- ipcs --shmems"
