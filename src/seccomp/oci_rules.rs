//! OCI's `linux.seccomp` becomes sections, calls and rules for the compiler.

use super::arch::Arch;
use super::compile::{ARM_OWN, Calls, Fallback, Op, Rule, Section, Test, program};
use super::{ENOSYS, Filter, KILL_PROCESS, table, too_long};
use crate::error::{Error, Result};
use oci_spec::runtime as oci;
use oci_spec::runtime::LinuxSeccompAction as Action;
use std::collections::BTreeMap;

/// See [`Filter::compile`].
pub fn compile(profile: &oci::LinuxSeccomp) -> Result<Filter> {
    refuse_listeners(profile)?;
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let named = Named::collect(profile, default)?;
    // Nobody needs ENOSYS from a profile that lets unknown calls pass; a tracer decides for itself.
    let passes = matches!(profile.default_action(), Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace);
    let fallback = Fallback { unnamed: default, newer: if passes { default } else { ENOSYS }, foreign: KILL_PROCESS };
    let sections: Vec<Section<'_>> = arches(profile).into_iter().map(|arch| named.section(arch, default)).collect();
    let program = program(&sections, fallback);
    match too_long(program.len()) {
        Some(e) => Err(e),
        None => Ok(Filter { program, flags: flags(profile)?, notes: named.notes() }),
    }
}

fn refuse_listeners(profile: &oci::LinuxSeccomp) -> Result<()> {
    let refuse = |what: &str| {
        Err(Error::new(format!("the seccomp profile has {what}"))
            .why("it hands system calls to a helper program, and boxwright does not talk to one")
            .hint("SCMP_ACT_ERRNO instead, or a runtime that supports listeners"))
    };
    if profile.listener_path().is_some() {
        return refuse("a listenerPath");
    }
    let all = profile.syscalls().as_deref().unwrap_or_default();
    if let Some(call) = all.iter().find(|s| s.action() == Action::ScmpActNotify) {
        return refuse(&format!("SCMP_ACT_NOTIFY for {}", call.names().join(", ")));
    }
    if profile.default_action() == Action::ScmpActNotify { refuse("SCMP_ACT_NOTIFY as its default") } else { Ok(()) }
}

/// The filter's return value for an action. `SCMP_ACT_KILL` is the thread, as in libseccomp.
fn action(action: Action, data: Option<u32>) -> Result<u32> {
    // The value's lower half is data: the errno, or what the tracer is told.
    let data = data.unwrap_or(libc::EPERM as u32);
    if data > 0xffff || (action == Action::ScmpActErrno && data > 4095) {
        return Err(Error::new(format!("the seccomp profile has an errnoRet of {data}"))
            .why("there is no such errno (the largest is 4095)")
            .hint("errno(1) lists them"));
    }
    Ok(match action {
        Action::ScmpActKill | Action::ScmpActKillThread => 0,
        Action::ScmpActKillProcess => KILL_PROCESS,
        Action::ScmpActTrap => 0x0003_0000,
        Action::ScmpActErrno => 0x0005_0000 | data,
        Action::ScmpActTrace => 0x7ff0_0000 | data,
        Action::ScmpActLog => 0x7ffc_0000,
        Action::ScmpActAllow => super::ALLOW,
        Action::ScmpActNotify => return Err(Error::new("SCMP_ACT_NOTIFY is not supported")),
    })
}

fn flags(profile: &oci::LinuxSeccomp) -> Result<u32> {
    use oci::LinuxSeccompFilterFlag as F;
    let flags = profile.flags().as_deref().unwrap_or_default();
    flags.iter().try_fold(0, |all, flag| {
        Ok(all
            | match flag {
                F::SeccompFilterFlagTsync => 1,
                F::SeccompFilterFlagLog => 2,
                F::SeccompFilterFlagSpecAllow => 4,
                F::SeccompFilterFlagWaitKillableRecv => {
                    return Err(Error::new("the seccomp profile has SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")
                        .why("it is about a listener, and boxwright does not talk to one")
                        .hint("take the flag out"));
                }
            })
    })
}

/// This machine's own first, in any case; then the others that are listed and that it can run.
fn arches(profile: &oci::LinuxSeccomp) -> Vec<Arch> {
    let mut arches = vec![Arch::NATIVE];
    let listed = profile.architectures().as_deref().unwrap_or_default();
    for arch in listed.iter().filter_map(|a| Arch::from_oci(*a)).filter(|a| a.is_beside(Arch::NATIVE)) {
        if !arches.contains(&arch) {
            arches.push(arch);
        }
    }
    arches
}

/// What a profile says about the calls it names, by row of the table.
#[derive(Default)]
struct Named {
    rows: BTreeMap<usize, Said>,
    unknown: Vec<String>,
}

/// What it says about one call.
#[derive(Default)]
struct Said {
    always: Option<u32>,
    rules: Vec<(Vec<Test>, u32)>,
}

impl Named {
    fn collect(profile: &oci::LinuxSeccomp, default: u32) -> Result<Named> {
        let mut all = Named::default();
        for rule in profile.syscalls().as_deref().unwrap_or_default() {
            let action = action(rule.action(), rule.errno_ret())?;
            let args = rule.args().as_deref().unwrap_or_default();
            let tests = args.iter().map(test).collect::<Result<Vec<Test>>>()?;
            for name in rule.names() {
                let Some(row) = table::row(name.as_bytes()) else {
                    all.unknown.push(name.clone());
                    continue;
                };
                let said = all.rows.entry(row).or_default();
                if action == default {
                    continue;
                }
                match &tests[..] {
                    [] => _ = said.always.get_or_insert(action),
                    tests if repeats(tests) => said.rules.extend(tests.iter().map(|t| (vec![*t], action))),
                    tests => said.rules.push((tests.to_vec(), action)),
                }
            }
        }
        Ok(all)
    }

    fn section(&self, arch: Arch, default: u32) -> Section<'_> {
        let mut calls = Vec::with_capacity(self.rows.len());
        let mut last = 0;
        for (row, said) in &self.rows {
            let Some(number) = table::number_at(*row, arch) else { continue };
            if !ARM_OWN.contains(&number) {
                last = last.max(number);
            }
            let rules = match said.always {
                Some(_) => vec![],
                None => said.rules.iter().map(|(tests, action)| Rule { tests, action: *action }).collect(),
            };
            calls.push(Calls { numbers: number..number + 1, rules, otherwise: said.always.unwrap_or(default) });
        }
        calls.sort_unstable_by_key(|c| c.numbers.start);
        // arm has calls of which the table knows two names.
        calls.dedup_by_key(|c| c.numbers.start);
        Section { arch, calls, last }
    }

    fn notes(&self) -> Vec<String> {
        let mut unknown = self.unknown.clone();
        unknown.sort_unstable();
        unknown.dedup();
        match unknown.len() {
            0 => vec![],
            _ => vec![format!("the seccomp profile names what is no system call, ignored: {}", unknown.join(", "))],
        }
    }
}

/// Is an argument tested twice?
fn repeats(tests: &[Test]) -> bool {
    tests.iter().enumerate().any(|(i, t)| tests[..i].iter().any(|other| other.argument == t.argument))
}

fn test(arg: &oci::LinuxSeccompArg) -> Result<Test> {
    use oci::LinuxSeccompOperator as O;
    let argument = u8::try_from(arg.index()).ok().filter(|i| *i < 6).ok_or_else(|| {
        Error::new(format!("the seccomp profile tests argument {} of a system call", arg.index()))
            .why("a system call has six arguments, 0 to 5")
            .hint("correct the `index`")
    })?;
    let op = match arg.op() {
        O::ScmpCmpNe => Op::Ne,
        O::ScmpCmpLt => Op::Lt,
        O::ScmpCmpLe => Op::Le,
        O::ScmpCmpEq => Op::Eq,
        O::ScmpCmpGe => Op::Ge,
        O::ScmpCmpGt => Op::Gt,
        O::ScmpCmpMaskedEq => Op::MaskedEq,
    };
    Ok(Test { argument, op, value: arg.value(), datum: arg.value_two().unwrap_or(0) })
}
