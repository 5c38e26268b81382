//! The built-in profile: an allow-list, at least as tight as docker's. What is not here is refused with EPERM.
//!
//! Absent for everybody, because containers share one kernel:
//! - `add_key`, `request_key`, `keyctl`: keyrings have no namespace of their own by default, one container could read
//!   another's keys;
//! - `io_uring_*`: it does other calls' work without passing this filter, and has had more than its share of holes;
//! - `userfaultfd`: stops the kernel in the middle of a copy, which is half of many an exploit;
//! - `kexec_load`, `kexec_file_load`, `swapon`, `swapoff`, `nfsservctl`: they are about the machine, not the container;
//! - `migrate_pages`, `move_pages`: move other processes' memory;
//! - `uselib`, `ustat`, `sysfs`, `_sysctl`, `vm86` and their like: obsolete, unused, untested;
//! - what is newer than the newest call in the list: that gives ENOSYS, see [`super::compile::Fallback`].
//!
//! The lists become sets of numbers when boxwright is compiled (a name that does not exist stops the compiler), so that
//! a start only joins the sets that the container's capabilities call for, and writes the program.

use super::arch::Arch;
use super::compile::{ARM_OWN, Calls, Fallback, Op, Rule, Section, Test, program};
use super::table;
use super::{ALLOW, ENOSYS, EPERM, KILL_PROCESS, bpf::Instruction};
use crate::caps::{self, Set};
use oci_spec::runtime as oci;
use std::ops::Range;

/// A process's own memory.
const MEMORY: &str = "\
    brk cachestat get_thread_area madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock \
    mlock2 mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free \
    pkey_mprotect process_mrelease remap_file_pages set_thread_area";

/// Files and directories: open, read, write, change.
const FILES: &str = "\
    _llseek access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat \
    faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl \
    fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs \
    fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat ioctl lchown \
    lchown32 lgetxattr link linkat listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat \
    lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 \
    preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat \
    rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64 \
    statmount statx symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat \
    utime utimensat utimensat_time64 utimes vmsplice write writev";

/// Waiting for files and sockets, being told of changes, and the old asynchronous reading and writing (aio(7)).
const EVENTS: &str = "\
    _newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait \
    epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch \
    io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit poll ppoll \
    ppoll_time64 pselect6 pselect6_time64 select";

/// Sockets; `socket` itself stands in [`TESTED`]. `socketcall` hides the family behind a pointer, where no filter can
/// look, but i386's C library still makes all its sockets with it.
const SOCKETS: &str = "\
    accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 \
    recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair";

/// System V's and POSIX's messages, semaphores and shared memory: the IPC namespace keeps them apart.
const IPC: &str = "\
    ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 \
    mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt \
    shmget";

/// Processes and threads: make, run, wait, schedule. `clone` itself stands in [`TESTED`]. ptrace has been safe since
/// Linux 4.8, when a tracer lost the way round a filter; it reaches processes of one's own user and namespace only.
const PROCESSES: &str = "\
    execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake \
    get_robust_list getcpu getpgid getpgrp getpid getppid getpriority getrlimit getrusage getsid gettid \
    ioprio_get ioprio_set pause pidfd_open prctl prlimit64 process_vm_readv process_vm_writev ptrace rseq \
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr \
    sched_setparam sched_setscheduler sched_yield set_robust_list set_tid_address setpgid setpriority setrlimit \
    setsid ugetrlimit uretprobe vfork wait4 waitid waitpid";

/// Signals.
const SIGNALS: &str = "\
    kill pidfd_send_signal restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo \
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd \
    signalfd4 sigprocmask sigreturn tgkill tkill";

/// Clocks and timers. `adjtimex` reads too, and lets nobody write without CAP_SYS_TIME.
const TIME: &str = "\
    adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 \
    clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create \
    timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create \
    timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times";

/// Who one is, and giving up more of it: users, groups, capabilities, filters of one's own (seccomp, landlock). The
/// kernel asks for a capability wherever one could gain something. Also what the set-up itself needs after this filter
/// is loaded.
const IDENTITY: &str = "\
    capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid \
    getresgid32 getresuid getresuid32 getuid getuid32 landlock_add_rule landlock_create_ruleset \
    landlock_restrict_self seccomp setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 \
    setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32";

/// What a program asks about the machine.
const MACHINE: &str = "getrandom sysinfo uname";

/// What one kind of processor needs: thread pointers and segments on x86, cache and thread pointer on arm.
const PROCESSOR: &str =
    "arch_prctl arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush modify_ldt set_tls sync_file_range2";

/// Allowed for everybody.
const ALWAYS: [&str; 11] =
    [MEMORY, FILES, EVENTS, SOCKETS, IPC, PROCESSES, SIGNALS, TIME, IDENTITY, MACHINE, PROCESSOR];

/// Allowed with a capability. Without it the kernel would refuse most of them anyway; the filter is there for the day
/// on which the kernel's own check has a hole.
const WITH_CAPABILITY: [(u8, &str); 14] = [
    // Opens a file by its number, past every directory: how "shocker" read the host's files from a container.
    (caps::DAC_READ_SEARCH, "open_by_handle_at"),
    // Mounts, namespaces, hostnames, quotas: what containers are made of.
    (
        caps::SYS_ADMIN,
        "\
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr \
        lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl \
        quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    (caps::SYS_BOOT, "reboot"),
    (caps::SYS_CHROOT, "chroot"),
    (caps::SYS_MODULE, "delete_module finit_module init_module"),
    (caps::SYS_PACCT, "acct"),
    // Looking into other processes beyond what ptrace's own rules allow.
    (caps::SYS_PTRACE, "kcmp pidfd_getfd process_madvise"),
    (caps::SYS_RAWIO, "ioperm iopl"),
    (caps::SYS_TIME, "clock_settime clock_settime64 settimeofday stime"),
    (caps::SYS_TTY_CONFIG, "vhangup"),
    (caps::SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    (caps::SYSLOG, "syslog"),
    (caps::BPF, "bpf"),
    (caps::PERFMON, "perf_event_open"),
];

// ANCHOR: clone
/// CLONE_NEW*: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. A user namespace makes anyone root over the
/// kernel code behind mount, netfilter and the like: the way in of most container escapes. (CLONE_NEWTIME is among the
/// bits of the exit signal here, and means something only to unshare and clone3.)
const NAMESPACES: u64 = 0x7e02_0000;

/// `clone` without CAP_SYS_ADMIN.
const CLONE: &[Rule<'static>] = &[allow(&[Test { argument: 0, op: Op::MaskedEq, value: NAMESPACES, datum: 0 }])];
// ANCHOR_END: clone

/// Execution domains: Linux (0), the 32-bit one (8), each also with UNAME26 (0x20000), and "which is it?". Not those
/// that switch off address randomisation or make pages executable.
const PERSONALITY: &[Rule<'static>] = &[
    allow(&[Test::new(0, Op::Eq, 0)]),
    allow(&[Test::new(0, Op::Eq, 8)]),
    allow(&[Test::new(0, Op::Eq, 0x2_0000)]),
    allow(&[Test::new(0, Op::Eq, 0x2_0008)]),
    allow(&[Test::new(0, Op::Eq, 0xffff_ffff)]),
];

/// Address families that a Linux of today has, but for AF_ALG (38: the kernel's ciphers, CVE-2026-31431) and AF_VSOCK
/// (40: reaches the hypervisor and its guests, and no network namespace stands between). Families that were removed
/// (12, 19, 20, 23, 25, 34, 37) are absent too: where they still exist nobody looks after them. An allow-list, because
/// the kernel takes the lower half of the argument only: "anything but 40" would let 1<<32 | 40 pass.
const FAMILIES: [u64; 25] =
    [13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45];

static FAMILY: [Test; 26] = {
    let (mut tests, mut i) = ([Test::new(0, Op::Lt, 12); 26], 0);
    while i < FAMILIES.len() {
        tests[i + 1] = Test::new(0, Op::Eq, FAMILIES[i]);
        i += 1;
    }
    tests
};

static SOCKET: [Rule<'static>; 26] = {
    let (mut rules, mut i) = ([allow(&[]); 26], 0);
    while i < FAMILY.len() {
        rules[i] = allow(std::slice::from_ref(&FAMILY[i]));
        i += 1;
    }
    rules
};

// ANCHOR: clone3
/// clone3's flags are behind a pointer, where no filter can look: ENOSYS, and the C library takes `clone`.
const CLONE3: &[Rule<'static>] = &[Rule { tests: &[], action: ENOSYS }];
// ANCHOR_END: clone3

const fn allow(tests: &'static [Test]) -> Rule<'static> {
    Rule { tests, action: ALLOW }
}

/// Calls that depend on their arguments, or have an answer of their own. Without the capability of the first column.
static TESTED: [(Option<u8>, &str, &[Rule<'static>]); 4] = [
    (None, "personality", PERSONALITY),
    (None, "socket", &SOCKET),
    (Some(caps::SYS_ADMIN), "clone", CLONE),
    (Some(caps::SYS_ADMIN), "clone3", CLONE3),
];

/// The architectures that a container may use. Not x32: no distribution has programs for it, and most kernels are built
/// without.
const ARCHES: [Arch; 2] = match Arch::NATIVE {
    Arch::Aarch64 | Arch::Arm => [Arch::Aarch64, Arch::Arm],
    _ => [Arch::X86_64, Arch::X86],
};

/// A set of call numbers: 512 bits, and 64 more for arm's own.
#[derive(Clone, Copy)]
struct Numbers([u64; 9]);

impl Numbers {
    const fn add(&mut self, number: u32) {
        match number {
            0..512 => self.0[number as usize / 64] |= 1 << (number % 64),
            _ => {
                assert!(number >= ARM_OWN.start && number < ARM_OWN.end, "make Numbers larger");
                self.0[8] |= 1 << (number - ARM_OWN.start);
            }
        }
    }

    fn join(&mut self, other: &Numbers) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }

    /// Numbers in a row, each row as one (a row ends with its word at the latest).
    fn rows(&self) -> impl Iterator<Item = Range<u32>> {
        self.0.into_iter().enumerate().flat_map(|(word, mut bits)| {
            let first = if word == 8 { ARM_OWN.start } else { 64 * word as u32 };
            std::iter::from_fn(move || {
                let start = (bits != 0).then(|| bits.trailing_zeros())?;
                let end = start + (bits >> start).trailing_ones();
                bits &= u64::MAX.checked_shl(end).unwrap_or(0);
                Some(first + start..first + end)
            })
        })
    }
}

/// The numbers of the calls named in `list`, on each of [`ARCHES`].
const fn numbers(mut sets: [Numbers; 2], list: &str) -> [Numbers; 2] {
    let list = list.as_bytes();
    let (mut start, mut i) = (0, 0);
    while i <= list.len() {
        if i == list.len() || list[i] == b' ' {
            let (_, name) = list.split_at(start);
            let (name, _) = name.split_at(i - start);
            let Some(row) = table::row(name) else { panic!("a name that is no system call's") };
            let mut a = 0;
            while a < ARCHES.len() {
                if let Some(number) = table::number_at(row, ARCHES[a]) {
                    sets[a].add(number);
                }
                a += 1;
            }
            start = i + 1;
        }
        i += 1;
    }
    sets
}

const NONE: [Numbers; 2] = [Numbers([0; 9]); 2];

static ALWAYS_NUMBERS: [Numbers; 2] = {
    let (mut sets, mut i) = (NONE, 0);
    while i < ALWAYS.len() {
        sets = numbers(sets, ALWAYS[i]);
        i += 1;
    }
    sets
};

static WITH_CAPABILITY_NUMBERS: [[Numbers; 2]; WITH_CAPABILITY.len()] = {
    let (mut all, mut i) = ([NONE; WITH_CAPABILITY.len()], 0);
    while i < all.len() {
        all[i] = numbers(NONE, WITH_CAPABILITY[i].1);
        i += 1;
    }
    all
};

static TESTED_NUMBERS: [[Option<u32>; 2]; TESTED.len()] = {
    let (mut all, mut i) = ([[None; 2]; TESTED.len()], 0);
    while i < all.len() {
        all[i] = [table::number(TESTED[i].1, ARCHES[0]), table::number(TESTED[i].1, ARCHES[1])];
        i += 1;
    }
    all
};

/// The profile's program for a container with these capabilities (its bounding set).
pub fn compile(granted: Set) -> Vec<Instruction> {
    let sections = [section(0, granted), section(1, granted)];
    program(&sections, Fallback { unnamed: EPERM, newer: ENOSYS, foreign: KILL_PROCESS })
}

fn section(a: usize, granted: Set) -> Section<'static> {
    let mut set = ALWAYS_NUMBERS[a];
    for ((capability, _), numbers) in WITH_CAPABILITY.iter().zip(&WITH_CAPABILITY_NUMBERS) {
        if granted.has(*capability) {
            set.join(&numbers[a]);
        }
    }
    let mut calls = Vec::with_capacity(128);
    for ((unless, _, rules), numbers) in TESTED.iter().zip(&TESTED_NUMBERS) {
        let Some(number) = numbers[a].filter(|_| unless.is_none_or(|capability| !granted.has(capability))) else {
            continue;
        };
        // None of them is in a set that was joined: they stand in no other list but the capability's own.
        let numbers = number..number + 1;
        calls.push(match rules {
            // A rule without tests is simply the answer.
            [Rule { tests: [], action }] => Calls { numbers, rules: vec![], otherwise: *action },
            rules => Calls { numbers, rules: rules.to_vec(), otherwise: EPERM },
        });
    }
    calls.extend(set.rows().map(|numbers| Calls { numbers, rules: vec![], otherwise: ALLOW }));
    calls.sort_unstable_by_key(|c| c.numbers.start);
    let last = calls.iter().rev().map(|c| c.numbers.end - 1).find(|n| *n < ARM_OWN.start).unwrap_or(0);
    Section { arch: ARCHES[a], calls, last }
}

/// The profile in OCI's words, for whoever wants to read it or hand it on.
#[allow(dead_code)] // so far only the tests read it
pub fn profile(granted: Set) -> oci::LinuxSeccomp {
    let words = |list: &str| list.split_whitespace().map(String::from).collect::<Vec<_>>();
    let mut names: Vec<String> = ALWAYS.iter().flat_map(|list| words(list)).collect();
    for (_, list) in WITH_CAPABILITY.iter().filter(|(capability, _)| granted.has(*capability)) {
        names.extend(words(list));
    }
    let mut syscalls = vec![syscall(names, &Rule { tests: &[], action: ALLOW })];
    for (unless, name, rules) in TESTED {
        if unless.is_none_or(|capability| !granted.has(capability)) {
            syscalls.extend(rules.iter().map(|rule| syscall(words(name), rule)));
        }
    }
    let arches = match Arch::NATIVE {
        Arch::Aarch64 | Arch::Arm => vec![oci::Arch::ScmpArchAarch64, oci::Arch::ScmpArchArm],
        _ => vec![oci::Arch::ScmpArchX86_64, oci::Arch::ScmpArchX86],
    };
    let mut all = oci::LinuxSeccomp::default();
    all.set_default_action(oci::LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(libc::EPERM as u32))
        .set_architectures(Some(arches))
        .set_syscalls(Some(syscalls));
    all
}

#[allow(dead_code)] // as `profile`
fn syscall(names: Vec<String>, rule: &Rule<'_>) -> oci::LinuxSyscall {
    use oci::LinuxSeccompOperator as O;
    let arg = |test: &Test| {
        let op = match test.op {
            Op::Ne => O::ScmpCmpNe,
            Op::Lt => O::ScmpCmpLt,
            Op::Le => O::ScmpCmpLe,
            Op::Eq => O::ScmpCmpEq,
            Op::Ge => O::ScmpCmpGe,
            Op::Gt => O::ScmpCmpGt,
            Op::MaskedEq => O::ScmpCmpMaskedEq,
        };
        let arg = oci::LinuxSeccompArgBuilder::default().index(test.argument).value(test.value).op(op);
        let arg = if test.op == Op::MaskedEq { arg.value_two(test.datum) } else { arg };
        // All fields have defaults, so nothing can be missing.
        arg.build().unwrap_or_default()
    };
    let mut call = oci::LinuxSyscall::default();
    call.set_names(names);
    if rule.action == ALLOW {
        call.set_action(oci::LinuxSeccompAction::ScmpActAllow);
    } else {
        call.set_action(oci::LinuxSeccompAction::ScmpActErrno).set_errno_ret(Some(rule.action & 0xffff));
    }
    if !rule.tests.is_empty() {
        call.set_args(Some(rule.tests.iter().map(arg).collect()));
    }
    call
}
