//! Programs are run by a BPF machine of the test's own and compared with what a plain reading of the profile says.

use super::arch::{Arch, X32_BIT};
use super::bpf::{self, Instruction};
use super::{Filter, default, table};
use crate::caps::{self, Set};
use nix::errno::Errno;
use oci_spec::runtime as oci;
use oci_spec::runtime::{LinuxSeccompAction as Action, LinuxSeccompOperator as O};

/// `struct seccomp_data`.
#[derive(Debug, Clone, Copy)]
struct Data {
    number: u32,
    arch: u32,
    args: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 => (self.args[(offset as usize - 16) / 8] >> (8 * (offset % 8))) as u32,
            _ => panic!("no word at {offset}"),
        }
    }
}

fn run(program: &[Instruction], data: &Data) -> u32 {
    let (mut a, mut at) = (0u32, 0usize);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let skip = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            bpf::LOAD => a = data.word(k),
            bpf::AND => a &= k,
            bpf::JUMP => at += k as usize,
            bpf::IF_EQ => at += skip(a == k),
            bpf::IF_GT => at += skip(a > k),
            bpf::IF_GE => at += skip(a >= k),
            bpf::IF_ANY => at += skip(a & k != 0),
            bpf::RETURN => return k,
            _ => panic!("unknown instruction {code:#x}"),
        }
    }
}

/// A plain reading of a profile, as the head of `seccomp` tells, with none of the compiler's code.
struct Plain<'a> {
    profile: &'a oci::LinuxSeccomp,
    /// The numbers that each rule is about, on x86-64, i386 and x32.
    numbers: Vec<[Vec<u32>; 3]>,
}

impl<'a> Plain<'a> {
    fn new(profile: &'a oci::LinuxSeccomp) -> Self {
        let of = |call: &oci::LinuxSyscall, arch| call.names().iter().filter_map(|n| table::number(n, arch)).collect();
        let arches = [Arch::X86_64, Arch::X86, Arch::X32];
        let numbers = profile.syscalls().iter().flatten().map(|call| arches.map(|arch| of(call, arch))).collect();
        Plain { profile, numbers }
    }

    fn answer(&self, data: &Data) -> u32 {
        let default = self.profile.default_action().as_u32(self.profile.default_errno_ret());
        let listed = |arch: oci::Arch| self.profile.architectures().iter().flatten().any(|a| *a == arch);
        let marked = data.number & X32_BIT != 0 && data.number != u32::MAX;
        let (arch, number) = match data.arch {
            0xc000_003e if marked && listed(oci::Arch::ScmpArchX32) => (2, data.number & !X32_BIT),
            0xc000_003e if marked => return 0x8000_0000,
            0xc000_003e => (0, data.number),
            0x4000_0003 if listed(oci::Arch::ScmpArchX86) => (1, data.number),
            _ => return 0x8000_0000,
        };
        let newest = self.numbers.iter().flat_map(|n| &n[arch]).max().copied().unwrap_or(0);
        if number > newest && !matches!(self.profile.default_action(), Action::ScmpActAllow | Action::ScmpActLog) {
            return 0x0005_0000 | 38;
        }
        let args = |call: &'a oci::LinuxSyscall| call.args().as_deref().unwrap_or_default();
        let rules = self.profile.syscalls().iter().flatten().zip(&self.numbers);
        let mine: Vec<(&[oci::LinuxSeccompArg], u32)> = rules
            .filter(|(_, numbers)| numbers[arch].contains(&number))
            .map(|(call, _)| (args(call), call.action().as_u32(call.errno_ret())))
            .filter(|(_, action)| *action != default)
            .collect();
        let always = mine.iter().find(|(args, _)| args.is_empty());
        let first = mine.iter().find(|(args, _)| holds(args, arch == 1, data));
        always.or(first).map_or(default, |(_, action)| *action)
    }
}

fn holds(args: &[oci::LinuxSeccompArg], narrow: bool, data: &Data) -> bool {
    let one = |arg: &oci::LinuxSeccompArg| {
        let given = data.args[arg.index()] & if narrow { 0xffff_ffff } else { u64::MAX };
        match arg.op() {
            O::ScmpCmpNe => given != arg.value(),
            O::ScmpCmpLt => given < arg.value(),
            O::ScmpCmpLe => given <= arg.value(),
            O::ScmpCmpEq => given == arg.value(),
            O::ScmpCmpGe => given >= arg.value(),
            O::ScmpCmpGt => given > arg.value(),
            O::ScmpCmpMaskedEq => given & arg.value() == arg.value_two().unwrap_or(0),
        }
    };
    let twice = args.iter().enumerate().any(|(i, a)| args[..i].iter().any(|b| a.index() == b.index()));
    if twice { args.iter().any(one) } else { args.iter().all(one) }
}

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 33) % n
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
    /// Numbers at which comparisons go wrong: small ones, both sides of the halves' borders, masks.
    fn value(&mut self) -> u64 {
        let edge =
            self.pick(&[0, 1, 2, 7, 40, 0xffff_fffe, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, u64::MAX, 1 << 63]);
        if self.below(8) == 0 { self.next() } else { edge }
    }
}

const OPS: [O; 7] =
    [O::ScmpCmpNe, O::ScmpCmpLt, O::ScmpCmpLe, O::ScmpCmpEq, O::ScmpCmpGe, O::ScmpCmpGt, O::ScmpCmpMaskedEq];

fn arg(index: usize, op: O, value: u64, two: u64) -> oci::LinuxSeccompArg {
    oci::LinuxSeccompArgBuilder::default().index(index).op(op).value(value).value_two(two).build().unwrap()
}

fn rule(names: &[&str], action: Action, errno: Option<u32>, args: Vec<oci::LinuxSeccompArg>) -> oci::LinuxSyscall {
    let mut call = oci::LinuxSyscall::default();
    call.set_names(names.iter().map(ToString::to_string).collect())
        .set_action(action)
        .set_errno_ret(errno)
        .set_args((!args.is_empty()).then_some(args));
    call
}

fn profile(default: Action, arches: &[oci::Arch], rules: Vec<oci::LinuxSyscall>) -> oci::LinuxSeccomp {
    let mut all = oci::LinuxSeccomp::default();
    all.set_default_action(default).set_architectures(Some(arches.to_vec())).set_syscalls(Some(rules));
    all
}

fn random_profile(random: &mut Random, names: &[&str]) -> oci::LinuxSeccomp {
    let actions = [Action::ScmpActAllow, Action::ScmpActErrno, Action::ScmpActKillProcess, Action::ScmpActLog];
    let arches = [oci::Arch::ScmpArchX86_64, oci::Arch::ScmpArchX86, oci::Arch::ScmpArchX32];
    let arches = &arches[..1 + random.below(3) as usize];
    let mut rules = Vec::new();
    for _ in 0..random.below(120) {
        let names: Vec<&str> = (0..=random.below(4)).map(|_| random.pick(names)).collect();
        let mut args = Vec::new();
        if random.below(3) == 0 {
            for _ in 0..=random.below(3) {
                args.push(arg(random.below(6) as usize, random.pick(&OPS), random.value(), random.value()));
            }
        }
        let action = random.pick(&actions);
        let errno = (action == Action::ScmpActErrno).then(|| random.below(4) as u32 + 1);
        rules.push(rule(&names, action, errno, args));
    }
    profile(random.pick(&actions), arches, rules)
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_program_does_what_its_profile_says() {
    let names: Vec<&str> = table::CALLS.iter().map(|c| c.0).collect();
    let mut random = Random(0x5eed);
    for round in 0..200 {
        // Few names: their rules meet. Many: the program is long, and its jumps far.
        let some = if round % 2 == 0 { &names[200..230] } else { &names[..] };
        let profile = random_profile(&mut random, some);
        let filter = Filter::compile(&profile).unwrap();
        let plain = Plain::new(&profile);
        let named = profile.syscalls().iter().flatten().flat_map(|s| s.names()).map(String::as_str).collect::<Vec<_>>();
        for _ in 0..1000 {
            let mark = random.pick(&[0, 0, 0, X32_BIT]);
            let number = match named.is_empty() || random.below(4) == 0 {
                true => random.pick(&[0, 101, 334, 511, 1000, u32::MAX, u32::MAX - 1]),
                false => {
                    let arch = random.pick(&[Arch::X86_64, Arch::X86, Arch::X32]);
                    table::number(random.pick(&named), arch).unwrap_or(3)
                }
            };
            let arch = random.pick(&[0xc000_003e, 0xc000_003e, 0x4000_0003, 0xc000_00b7]);
            let data = Data { number: number | mark, arch, args: std::array::from_fn(|_| random.value()) };
            let (is, should) = (run(&filter.program, &data), plain.answer(&data));
            assert_eq!(is, should, "{is:#x} {should:#x} for {data:x?} in {profile:#?}");
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_default_program_is_its_profile_for_every_number() {
    let sys_admin = Set::of(&[caps::SYS_ADMIN]);
    for granted in [Set::EMPTY, Set::DOCKER, Set::DOCKER.or(sys_admin), Set::of(&[caps::BPF, caps::SYS_TIME]), Set::ALL]
    {
        let (program, profile) = (default::compile(granted), default::profile(granted));
        assert!(program.len() < 260, "{} instructions", program.len());
        let (compiled, plain) = (Filter::compile(&profile).unwrap(), Plain::new(&profile));
        assert!(compiled.notes.is_empty());
        for arch in [0xc000_003e, 0x4000_0003, 0x4000_0028] {
            for number in (0..1100).chain(X32_BIT..X32_BIT + 600).chain([0xf_0002, u32::MAX - 1, u32::MAX]) {
                let tested = ["personality", "socket", "clone", "clone3"]
                    .map(|n| [table::number(n, Arch::X86_64), table::number(n, Arch::X86)]);
                let firsts = if tested.as_flattened().contains(&Some(number)) { usize::MAX } else { 1 };
                let firsts =
                    (0..50).chain([0x2_0000, 0x2_0008, 0x1000_0000, 0x1_0000_0028, 0xffff_ffff, u64::MAX]).take(firsts);
                for first in firsts {
                    let data = Data { number, arch, args: [first, 0, 0, 0, 0, 0] };
                    let should = plain.answer(&data);
                    assert_eq!(run(&program, &data), should, "{data:x?}");
                    assert_eq!(run(&compiled.program, &data), should, "{data:x?}");
                }
            }
        }
    }
}

/// What the default profile says of a native call with this first argument.
fn answer(granted: Set, name: &str, first: u64) -> u32 {
    let number = table::number(name, Arch::NATIVE).unwrap();
    run(&default::compile(granted), &Data { number, arch: Arch::NATIVE.audit(), args: [first, 0, 0, 0, 0, 0] })
}

#[test]
fn the_default_profile_refuses_what_docker_refuses() {
    let refused = "mount umount2 unshare setns keyctl add_key request_key bpf perf_event_open userfaultfd io_uring_setup \
                   io_uring_enter io_uring_register kexec_load init_module finit_module delete_module swapon swapoff \
                   reboot settimeofday clock_settime open_by_handle_at pivot_root acct quotactl move_mount open_tree \
                   fsopen fsmount kcmp vhangup mbind move_pages sethostname syslog pidfd_getfd process_madvise \
                   fanotify_init nfsservctl";
    for name in refused.split_whitespace() {
        assert_eq!(answer(Set::DOCKER, name, 0), super::EPERM, "{name}");
    }
    // What the set-up does behind the filter.
    let needed = "prctl capset capget setresuid setresgid setgroups prlimit64 close_range execve sendmsg recvmsg read \
                  write openat close exit_group chroot newfstatat fcntl dup3 setsid ioctl rt_sigprocmask chdir fchdir \
                  umask kill getpid seccomp openat2 fchown fchownat lseek pidfd_open brk mmap munmap getrandom";
    for name in needed.split_whitespace() {
        assert_eq!(answer(Set::DOCKER, name, 0), super::ALLOW, "{name}");
    }
    assert_eq!(answer(Set::DOCKER, "clone3", 0), super::ENOSYS);
    assert_eq!(answer(Set::DOCKER, "clone", libc::CLONE_NEWUSER as u64 | 17), super::EPERM);
    assert_eq!(answer(Set::DOCKER, "clone", libc::CLONE_VM as u64 | 17), super::ALLOW);
    for (family, allowed) in [(1, true), (2, true), (10, true), (16, true), (38, false), (40, false), (39, true)] {
        assert_eq!(answer(Set::DOCKER, "socket", family) == super::ALLOW, allowed, "family {family}");
        // The kernel takes the lower half for the family.
        assert_eq!(answer(Set::DOCKER, "socket", family | 1 << 32), super::EPERM);
    }
    assert_eq!(answer(Set::DOCKER, "personality", 0x0040_0000), super::EPERM);
    assert_eq!(answer(Set::DOCKER, "file_getattr", 0), super::ENOSYS);
}

#[test]
fn capabilities_bring_their_calls_back() {
    let with = |name, capability| answer(Set::of(&[capability]), name, u64::MAX);
    for (name, capability) in [
        ("mount", caps::SYS_ADMIN),
        ("clone", caps::SYS_ADMIN),
        ("clone3", caps::SYS_ADMIN),
        ("unshare", caps::SYS_ADMIN),
        ("kcmp", caps::SYS_PTRACE),
        ("settimeofday", caps::SYS_TIME),
        ("bpf", caps::BPF),
        ("perf_event_open", caps::PERFMON),
        ("chroot", caps::SYS_CHROOT),
        ("open_by_handle_at", caps::DAC_READ_SEARCH),
    ] {
        assert_eq!(with(name, capability), super::ALLOW, "{name}");
        assert_ne!(with(name, 0), super::ALLOW, "{name}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn seccompiler_agrees() {
    use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule};
    let names: Vec<&str> = table::CALLS.iter().filter(|c| c.1[0] < 512).map(|c| c.0).collect();
    let mut random = Random(0xface);
    for _ in 0..100 {
        let mut theirs = std::collections::BTreeMap::<i64, Vec<SeccompRule>>::new();
        let mut ours = Vec::new();
        for _ in 0..random.below(60) {
            let name = random.pick(&names);
            // One condition for each argument: two are two rules to us, as to runc.
            let conditions: Vec<_> =
                (0..random.below(3)).map(|i| (i, random.pick(&OPS), random.value(), random.value())).collect();
            ours.push(rule(
                &[name],
                Action::ScmpActErrno,
                Some(5),
                conditions
                    .iter()
                    .map(|&(i, op, v, mask)| match op {
                        O::ScmpCmpMaskedEq => arg(i as usize, op, mask, v & mask),
                        _ => arg(i as usize, op, v, 0),
                    })
                    .collect(),
            ));
            let entry = theirs.entry(table::number(name, Arch::X86_64).unwrap().into()).or_default();
            let conditions = conditions.iter().map(|&(i, op, v, mask)| {
                let (op, v) = match op {
                    O::ScmpCmpNe => (SeccompCmpOp::Ne, v),
                    O::ScmpCmpLt => (SeccompCmpOp::Lt, v),
                    O::ScmpCmpLe => (SeccompCmpOp::Le, v),
                    O::ScmpCmpEq => (SeccompCmpOp::Eq, v),
                    O::ScmpCmpGe => (SeccompCmpOp::Ge, v),
                    O::ScmpCmpGt => (SeccompCmpOp::Gt, v),
                    O::ScmpCmpMaskedEq => (SeccompCmpOp::MaskedEq(mask), v & mask),
                };
                SeccompCondition::new(i as u8, SeccompCmpArgLen::Qword, op, v).unwrap()
            });
            let conditions: Vec<_> = conditions.collect();
            // To seccompiler no rules at all means "always", and so it stays.
            if conditions.is_empty() {
                entry.clear();
                entry.push(always());
            } else {
                entry.push(SeccompRule::new(conditions).unwrap());
            }
        }
        let filter = SeccompFilter::new(
            theirs,
            SeccompAction::Log,
            SeccompAction::Errno(5),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        let theirs: seccompiler::BpfProgram = filter.unwrap().try_into().unwrap();
        let theirs: Vec<Instruction> =
            theirs.iter().map(|i| Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k }).collect();
        let ours = Filter::compile(&profile(Action::ScmpActLog, &[], ours)).unwrap().program;
        for number in 0..470 {
            for _ in 0..8 {
                let data = Data { number, arch: 0xc000_003e, args: std::array::from_fn(|_| random.value()) };
                assert_eq!(run(&ours, &data), run(&theirs, &data), "{data:x?}");
            }
        }
    }

    /// A rule that always holds.
    fn always() -> SeccompRule {
        SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Ge, 0).unwrap()]).unwrap()
    }
}

#[test]
fn the_table_is_the_kernels() {
    assert!(table::CALLS.is_sorted_by(|a, b| a.0 < b.0));
    fn same(arch: Arch, count: usize, theirs: fn(&str) -> Option<i32>) {
        let mut known = 0;
        for (name, _) in table::CALLS {
            let number = table::number(name, arch);
            // Arm's own calls and their second names are ours alone.
            if arch == Arch::Arm && (number >= Some(0xf_0000) || ["fadvise64_64", "sync_file_range2"].contains(&name)) {
                continue;
            }
            // The crate has Rust's spelling of what is a keyword.
            let theirs = theirs(name).or_else(|| theirs(&format!("r#{name}")));
            assert_eq!(number, theirs.map(|n| n as u32), "{name} on {arch:?}");
            known += usize::from(number.is_some());
        }
        assert_eq!(known, count, "calls on {arch:?}");
    }
    macro_rules! same {
        ($arch:ident, $module:ident) => {
            use syscalls::$module::Sysno as $arch;
            same(Arch::$arch, $arch::count(), |name| name.parse::<$arch>().ok().map(|s| s.id()));
        };
    }
    same!(X86_64, x86_64);
    same!(X86, x86);
    same!(Aarch64, aarch64);
    same!(Arm, arm);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let error = |profile: &oci::LinuxSeccomp| Filter::compile(profile).unwrap_err().what;
    let one = |rule| profile(Action::ScmpActErrno, &[], vec![rule]);
    assert!(error(&one(rule(&["mkdir"], Action::ScmpActNotify, None, vec![]))).contains("SCMP_ACT_NOTIFY for mkdir"));
    assert!(error(&profile(Action::ScmpActNotify, &[], vec![])).contains("as its default"));
    let mut listener = one(rule(&["read"], Action::ScmpActAllow, None, vec![]));
    listener.set_listener_path(Some("/run/listener".into()));
    assert!(error(&listener).contains("listenerPath"));
    let six = rule(&["read"], Action::ScmpActAllow, None, vec![arg(6, O::ScmpCmpEq, 0, 0)]);
    assert!(error(&one(six)).contains("argument 6"));
    assert!(error(&one(rule(&["read"], Action::ScmpActErrno, Some(5000), vec![]))).contains("errnoRet of 5000"));
    let unknown = Filter::compile(&one(rule(&["read", "frobnicate"], Action::ScmpActAllow, None, vec![]))).unwrap();
    assert_eq!(unknown.notes, ["the seccomp profile names what is no system call, ignored: frobnicate"]);
}

/// The kernel's own opinion: it takes the program, and what is refused is refused.
#[test]
fn the_kernel_agrees() {
    let child = crate::sys::process::fork().unwrap();
    let Some(pid) = child else {
        let checks = || -> crate::error::Result<bool> {
            // Without a namespace flag it is a call that anybody may make.
            crate::sys::process::unshare(nix::sched::CloneFlags::empty())?;
            crate::sys::caps::no_new_privs()?;
            crate::sys::seccomp::set_filter(&default::compile(Set::DOCKER), 0)?;
            let refused = crate::sys::process::unshare(nix::sched::CloneFlags::empty());
            let newer = crate::sys::process::clone3(nix::sched::CloneFlags::empty(), None);
            Ok(refused.is_err_and(|e| e.is(Errno::EPERM))
                && newer.is_err_and(|e| e.is(Errno::ENOSYS))
                && nix::unistd::getcwd().is_ok())
        };
        crate::sys::process::exit_now(if checks().unwrap_or(false) { 0 } else { 1 });
    };
    assert_eq!(crate::sys::process::wait(pid).unwrap(), crate::sys::process::End::Code(0));
}
