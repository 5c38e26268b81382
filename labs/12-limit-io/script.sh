#!/bin/sh
# Disks: bytes and operations a second, for each disk; and why it matters who hands a write to the disk.

## As fast as it goes
# Most writes do not go to a disk: they go to the page cache, and the kernel writes that out later. `oflag=direct` goes
# around the cache, so that the process waits for the disk itself. (In /var/tmp, for /tmp may be in memory.) Nothing holds it back:
file=/var/tmp/boxwright-lab.$$
timeout 60 dd if=/dev/zero of=$file bs=64k count=512 oflag=direct 2>/dev/null && stat -c '%s bytes written' $file
rm $file

# (The politest way to write, `ionice -c idle`, is a wish. Only some of the disk schedulers hear it.)

## Which disk?
# A limit is on a disk, by its two numbers. A file system is on a device; and that may be a partition, or something that
# is mapped, of which the disk is the last one in the list:
#needs stage limit-io
#varies ^[0-9]+:[0-9]+$ => MAJOR:MINOR
disk=$(lsblk -rsno MAJ:MIN "$(findmnt -nvo SOURCE -T /var/tmp)" | tail -n 1)
echo $disk

## A limit by hand
# One MiB a second for what is written to that disk. (What `top` is: see limit-cpu. Why `memory` too: we will see.)
#needs cgroup v2
#needs stage limit-io
#varies ^[0-9]+:[0-9]+ => MAJOR:MINOR
top=/sys/fs/cgroup
[ "$(id -u)" = 0 ] || top=$top$(sed 's/^0:://; s,/[^/]*$,,' /proc/self/cgroup)
echo '+io +memory' > $top/cgroup.subtree_control
group=$top/boxwright-lab.$$; file=/var/tmp/boxwright-lab.$$
mkdir $group && echo "$disk wbps=1048576" > $group/io.max && cat $group/io.max

# These 32 MiB would take 32 seconds. After three of them timeout(1) ends it:
sh -c "echo 0 > $group/cgroup.procs; timeout 3 dd if=/dev/zero of=$file bs=64k count=512 oflag=direct" 2>/dev/null
[ $(stat -c %s $file) -lt 16777216 ] && echo 'not even half of it'

## Who writes the cache out?
# Now without `direct`: 2 MiB go into the cache at once. Then sync(1), which is not in the group, makes the kernel write
# them out. It is a thread of the kernel that does it. But the pages know whose memory they are, and so the kernel knows
# who has to pay:
#needs cgroup v2
#needs stage limit-io
wbytes() { sed -n "s/^$disk .*wbytes=\([0-9]*\).*/\1/p" $group/io.stat; }
before=$(wbytes)
sh -c "echo 0 > $group/cgroup.procs; dd if=/dev/zero of=$file.2 bs=64k count=32" 2>/dev/null; sync -f $file.2
[ $(wbytes) -ge $((before + 2097152)) ] && echo 'it was charged to the group'

rm $file $file.2; until rmdir $group; do sleep 0.1; done 2>/dev/null

## A limit by hand, on version 1
# One MiB a second for what is written to that disk:
#needs cgroup v1
#needs root
#needs stage limit-io
#varies ^[0-9]+:[0-9]+ => MAJOR:MINOR
group=/sys/fs/cgroup/blkio/boxwright-lab.$$; file=/var/tmp/boxwright-lab.$$
mkdir $group && echo "$disk 1048576" > $group/blkio.throttle.write_bps_device
cat $group/blkio.throttle.write_bps_device

# These 32 MiB would take 32 seconds. After three of them timeout(1) ends it:
sh -c "echo 0 > $group/cgroup.procs; timeout 3 dd if=/dev/zero of=$file bs=64k count=512 oflag=direct" 2>/dev/null
[ $(stat -c %s $file) -lt 16777216 ] && echo 'not even half of it'

## Who writes the cache out, on version 1?
# Now without `direct`: 2 MiB go into the cache at once. Then sync(1), which is not in the group, makes the kernel write
# them out. It is a thread of the kernel that does it, in the group of the kernel's threads. Version 1 holds back only
# those who go to the disk themselves:
#needs cgroup v1
#needs root
#needs stage limit-io
wbytes() { sed -n "s/^$disk Write //p" $group/blkio.throttle.io_service_bytes; }
before=$(wbytes)
sh -c "echo 0 > $group/cgroup.procs; dd if=/dev/zero of=$file.2 bs=64k count=32" 2>/dev/null; sync -f $file.2
[ $(wbytes) -lt $((before + 2097152)) ] && echo 'nobody knows whose it was'

rm $file $file.2; until rmdir $group; do sleep 0.1; done 2>/dev/null

## The same with boxwright
# If no disk is named (`--device-write-bps /dev/sda:1mb`), it is the one on which the container's own files are, and the
# limit is 1 MiB a second. In version 2's names on both versions:
#needs stage limit-io
boxwright limit-io

# In there, after three seconds:
boxwright limit-io -q -- sh -c '
  timeout 3 dd if=/dev/zero of=/var/tmp/file bs=64k count=512 oflag=direct
  [ $(stat -c %s /var/tmp/file) -lt 16777216 ] && echo "not even half of it"' 2>/dev/null

## Break it
# The same without the limit:
#needs stage limit-io
boxwright limit-io -q --without limit-io -- sh -c '
  timeout 60 dd if=/dev/zero of=/var/tmp/file bs=64k count=512 oflag=direct
  stat -c "%s bytes written" /var/tmp/file' 2>/dev/null
