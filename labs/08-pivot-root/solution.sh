#!/bin/sh
#without pivot_root . old => true
mkdir -p room/usr/bin && ln -s usr/bin room/bin && cp "$(command -v busybox)" room/bin/busybox
for tool in sh sleep umount; do ln -s busybox room/bin/$tool; done

# The bind makes a mount of the directory. The cd takes the shell into the new root before it is one: pivot_root moves
# those who stand in the old root itself, and nobody else. From then on all tools are the room's. The umount is a lazy
# one: as long as somebody uses it (this shell's own program is a file in it), no other would be allowed.
unshare --map-root-user --mount sh -c '
	mount --bind room room
	cd room
	mkdir -p old
	pivot_root . old
	umount -l /old
	exec sleep 600'
