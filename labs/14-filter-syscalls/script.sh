#!/bin/sh
# seccomp: a filter in front of every system call, for a kernel that all containers share.

## No capability, and yet
# This user has no capability at all. It makes one system call, unshare(2), and has them all, in a user namespace of its
# own (the numbers are sets of bits):
#varies ^CapEff:\s+0+$ => CapEff: [none]
#varies ^CapEff:\s+0+[137]f+$ => CapEff: [all]
unshare --map-user=1000 --map-group=1000 sh -c '
    grep CapEff /proc/self/status
    unshare --map-root-user --mount sh -c "
        grep CapEff /proc/self/status
        mount -t tmpfs none /mnt && echo I can mount"'

# Nothing is broken yet. But mount(2), and packet filters, and much else in the kernel that was written for root alone can
# now be called by anybody. Many escapes of the last years began there. Who needs unshare(2) in a container?

## A filter of four instructions
# A filter is a program that the kernel runs before each system call. Here is one as perl hands it over, since a shell
# cannot: it loads the call's number, compares it, and answers.
#needs tool perl
cat > filter.pl <<'END'
# perl filter.pl CALL ERRNO COMMAND...: the command's calls of that name fail with this errno
my %number = `uname -m` =~ /x86_64/ ? (prctl => 157, unshare => 272, fchownat => 260)
                                    : (prctl => 167, unshare => 97, fchownat => 54);
my ($call, $errno, @command) = @ARGV;
my $filter = pack "(SCCL)4",
    0x20, 0, 0, 0,                      # load the number of the call
    0x15, 0, 1, $number{$call},         # not this one? leave the next line out
    0x06, 0, 0, 0x00050000 | $errno,    # SECCOMP_RET_ERRNO: do not do it, return this
    0x06, 0, 0, 0x7fff0000;             # SECCOMP_RET_ALLOW
syscall $number{prctl}, 38, 1, 0, 0, 0;                     # PR_SET_NO_NEW_PRIVS
syscall $number{prctl}, 22, 2, pack("S x6 P", 4, $filter);  # PR_SET_SECCOMP: a filter
exec @command;
END

# Errno 1 is EPERM. The kernel's code for unshare(2) is not even reached:
perl filter.pl unshare 1 unshare --user true

# /proc tells that there is a filter, but not what it says:
perl filter.pl unshare 1 grep Seccomp: /proc/self/status

## Never off again
# A filter stays over execve and fork, for all descendants. Another can be put on top, and of all answers the strictest
# counts: one that allows takes nothing away from one that refuses.
#needs tool perl
perl filter.pl unshare 1 \
    sh -c 'perl filter.pl fchownat 1 sh -c "unshare --user true"' 2>/dev/null || echo 'still refused'

## A filter may lie
# The answer can be any errno: also 0. Then the call is not done, and reports success.
#needs tool perl
touch file
perl filter.pl fchownat 0 chown 12345:12345 file && echo 'chown is content'
test -O file && echo 'and the file is mine as before'

## The same with boxwright
# Its built-in profile is an allow-list like docker's: what is not on it is refused.
boxwright filter-syscalls

boxwright filter-syscalls -q -- unshare --user true

# At this stage root still has all capabilities. It does not help:
boxwright filter-syscalls -q -- sh -c 'mount -t tmpfs none /tmp' 2>/dev/null || echo 'may not mount'

## A profile of your own
# In docker's format; this one allows everything but to make directories, and is not polite about it.
cat > profile.json <<'END'
{
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS" }]
}
END

# 159 is 128 and the number of a signal, SIGSYS: bad system call.
boxwright filter-syscalls -q --security-opt seccomp=profile.json -- mkdir /tmp/new

# A profile replaces the built-in one. What that refused, this one allows:
boxwright filter-syscalls -q --security-opt seccomp=profile.json -- \
    unshare --user echo 'in a user namespace of its own'

## What a filter cannot see
# It sees the numbers in the registers, but not what a pointer points to. clone3(2), by which a user namespace can be made
# too, has its flags in memory. Outside, the kernel finds these arguments (none) invalid...
#needs tool perl
perl -e 'syscall 435, 0, 0; print "$!\n"'

# ...and inside, it says that it has never heard of such a call. So the C library takes the older clone(2), whose flags are
# in a register, where the filter can read them.
boxwright filter-syscalls -q -- perl -e 'syscall 435, 0, 0; print "$!\n"'

## Break it
# A whole container but for the filter, and the first step's attack:
attack='unshare --map-root-user --mount sh -c "mount -t tmpfs none /tmp && echo I can mount"'
boxwright drop-caps -q --without filter-syscalls -- sh -c "$attack"

# And the whole container:
boxwright drop-caps -q -- sh -c "$attack" 2>/dev/null || echo 'the door is locked'
