//! Which device numbers a container may make nodes of and open. Without this, root in a container that keeps CAP_MKNOD
//! (docker's default) makes itself a node of the host's disk and reads it. The rules belong to the cgroup from its
//! birth, so there is no moment at which the container is in it without them.
//!
//! v1 has a controller with a list; v2 asks a BPF program at every mknod(2) and open(2), so the list becomes one here.
//! An ordinary user needs neither: in a user namespace no device node can be made, and what the host's own nodes allow
//! is what their owner and mode allow that user anyhow.

use crate::error::{Error, Result};
use crate::spec::Spec;
use crate::sys::bpf::{self, Insn};
use crate::sys::fs;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use std::os::fd::BorrowedFd;
use std::path::Path;

/// linux/bpf.h, BPF_DEVCG_ACC_*: what a process wants to do with a device.
const MKNOD: u8 = 1;
const READ: u8 = 2;
const WRITE: u8 = 4;
const ALL: u8 = MKNOD | READ | WRITE;

/// linux/bpf.h, BPF_DEVCG_DEV_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block = 1,
    Char = 2,
}

/// One rule; what is `None` is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    allow: bool,
    kind: Option<Kind>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u8,
}

impl Rule {
    fn is_everything(&self) -> bool {
        self.kind.is_none() && self.major.is_none() && self.minor.is_none() && self.access == ALL
    }

    fn same_devices(&self, other: &Rule) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
    }
}

/// Does this spec restrict devices, and are we somebody who can?
pub fn wanted(spec: &Spec) -> bool {
    nix::unistd::geteuid().is_root() && !rules(spec).iter().any(Rule::is_everything)
}

/// The spec's list in its order, on top of "nothing is allowed": of a rule that allows or denies everything, the ones
/// before it mean nothing, so the list begins behind the last of those.
fn rules(spec: &Spec) -> Vec<Rule> {
    let list = spec.resources().and_then(|r| r.devices().as_deref());
    // No list: no restriction, as in the runtime-spec's own schema.
    let Some(list) = list.filter(|l| !l.is_empty()) else { return vec![everything()] };
    let mut rules: Vec<Rule> = Vec::new();
    for rule in list.iter().filter_map(parse) {
        if rule.is_everything() {
            rules.clear();
            rules.extend(rule.allow.then_some(rule));
            continue;
        }
        // "r" here and "w" there make "rw": the kernel asks for both at once, and one rule has to say yes.
        let mut alike = rules.iter_mut().rev().take_while(|r| r.allow);
        match alike.find(|r| rule.allow && r.same_devices(&rule)) {
            Some(earlier) => earlier.access |= rule.access,
            None => rules.push(rule),
        }
    }
    rules
}

fn everything() -> Rule {
    Rule { allow: true, kind: None, major: None, minor: None, access: ALL }
}

fn parse(rule: &LinuxDeviceCgroup) -> Option<Rule> {
    let kind = match rule.typ().unwrap_or_default() {
        LinuxDeviceType::A => None,
        LinuxDeviceType::B => Some(Kind::Block),
        LinuxDeviceType::C | LinuxDeviceType::U => Some(Kind::Char),
        // A named pipe is no device: nothing stands between a process and it.
        LinuxDeviceType::P => return None,
    };
    // -1 is OCI's "any".
    let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
    let access = rule.access().as_deref().unwrap_or("rwm").bytes().fold(0, |all, letter| {
        all | match letter {
            b'm' => MKNOD,
            b'r' => READ,
            b'w' => WRITE,
            _ => 0,
        }
    });
    Some(Rule { allow: rule.allow(), kind, major: number(rule.major()), minor: number(rule.minor()), access })
}

/// On v1: the controller's list, a write for each rule.
///
/// # Errors
/// EPERM for what the parent's list does not allow, or without CAP_SYS_ADMIN over the whole machine.
pub fn restrict_v1(group: &Path, spec: &Spec) -> Result<()> {
    let [allow, deny] = ["devices.allow", "devices.deny"].map(|f| fs::open(&group.join(f), OFlag::O_WRONLY, 0));
    let (allow, deny) = (allow?, deny?);
    fs::write(&deny, b"a")?;
    for rule in rules(spec) {
        for line in lines(&rule) {
            fs::write(if rule.allow { &allow } else { &deny }, line.as_bytes())?;
        }
    }
    Ok(())
}

/// `c 1:3 rwm`. v1 has no line for "this number, of either kind": `a` means everything there, whatever follows it.
fn lines(rule: &Rule) -> Vec<String> {
    if rule.is_everything() {
        return vec!["a".into()];
    }
    let number = |n: Option<u32>| n.map_or("*".into(), |n| n.to_string());
    let access: String = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')]
        .iter()
        .filter(|(bit, _)| rule.access & bit != 0)
        .map(|l| l.1)
        .collect();
    [(Kind::Char, 'c'), (Kind::Block, 'b')]
        .iter()
        .filter(|(kind, _)| rule.kind.is_none_or(|k| k == *kind))
        .map(|(_, letter)| format!("{letter} {}:{} {access}", number(rule.major), number(rule.minor)))
        .collect()
}

/// On v2: a BPF program, which lives as long as the cgroup that it is attached to.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN (or CAP_BPF and CAP_NET_ADMIN), EINVAL on a kernel without CONFIG_CGROUP_BPF.
pub fn restrict_v2(group: BorrowedFd<'_>, spec: &Spec) -> Result<()> {
    let loaded = bpf::load_device_filter(&compile(&rules(spec)))?;
    bpf::attach_device_filter(&loaded, group)
}

/// What to make of a failure: where device nodes cannot be made anyhow, it is none.
///
/// # Errors
/// The failure itself, elsewhere.
pub fn excuse(result: Result<()>) -> Result<()> {
    result
        .or_else(|e| {
            let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
            let nested = !map.split_whitespace().eq(["0", "0", "4294967295"]);
            // Root of a user namespace: mknod(2) is refused to it and its children, and whoever made the namespace answers
            // for the nodes that are there.
            if nested && e.is(Errno::EPERM) { Ok(()) } else { Err(e) }
        })
        .map_err(|e: Error| {
            e.why("without device rules, root in the container could make a node of the host's disk and read it")
                .hint("--userns auto makes its root nobody here; --privileged gives it all devices, and says so")
        })
}

/// The rules as a program: R1 points to `{ access << 16 | kind, major, minor }` (struct bpf_cgroup_dev_ctx), and the
/// answer is 1 or 0 in R0. The last rule that fits wins, so they are asked in reverse.
fn compile(rules: &[Rule]) -> Vec<Insn> {
    use bpf::{and, copy, exit, jump_if_not, jump_if_zero, load, set, shift_right};
    let (kind, access, major, minor, scratch, answer) = (2, 3, 4, 5, 1, 0);
    let mut program = vec![
        load(kind, 1, 0),
        copy(access, kind),
        and(kind, 0xffff),
        shift_right(access, 16),
        load(major, 1, 4),
        load(minor, 1, 8),
    ];
    for rule in rules.iter().rev() {
        // Each test jumps over the rest of the rule when it does not fit; how far is known once the rule is complete.
        let mut tests: Vec<Insn> = Vec::new();
        if let Some(k) = rule.kind {
            tests.push(jump_if_not(kind, k as i32));
        }
        if rule.access != ALL {
            let (mask, jump) = if rule.allow {
                // Fits only when nothing is wanted beyond it.
                (ALL & !rule.access, jump_if_not(scratch, 0))
            } else {
                // Fits as soon as some of it is wanted.
                (rule.access, jump_if_zero(scratch))
            };
            tests.extend([copy(scratch, access), and(scratch, i32::from(mask)), jump]);
        }
        tests.extend(rule.major.map(|n| jump_if_not(major, n as i32)));
        tests.extend(rule.minor.map(|n| jump_if_not(minor, n as i32)));
        let verdict = [set(answer, i32::from(rule.allow)), exit()];
        let length = tests.len() + verdict.len();
        for (at, test) in tests.iter_mut().enumerate() {
            test.aim((length - at - 1) as i16);
        }
        program.extend(tests);
        program.extend(verdict);
    }
    program.extend([set(answer, 0), exit()]);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docker's list: any node may be made; null and the terminals may be opened.
    fn docker() -> Vec<Rule> {
        let any = |kind| Rule { allow: true, kind: Some(kind), major: None, minor: None, access: MKNOD };
        let char = |major, minor| Rule { allow: true, kind: Some(Kind::Char), major: Some(major), minor, access: ALL };
        vec![any(Kind::Char), any(Kind::Block), char(1, Some(3)), char(136, None)]
    }

    fn ask(rules: &[Rule], access: u8, kind: Kind, major: u32, minor: u32) -> bool {
        bpf::interpret(&compile(rules), &[u32::from(access) << 16 | kind as u32, major, minor]) == 1
    }

    #[test]
    fn nodes_may_be_made_but_not_opened() {
        let rules = docker();
        assert!(ask(&rules, MKNOD, Kind::Block, 8, 0));
        assert!(!ask(&rules, READ, Kind::Block, 8, 0));
        assert!(!ask(&rules, READ | MKNOD, Kind::Block, 8, 0));
        assert!(ask(&rules, READ | WRITE, Kind::Char, 1, 3));
        assert!(!ask(&rules, READ, Kind::Char, 1, 1));
        assert!(!ask(&rules, READ, Kind::Block, 1, 3));
        assert!(ask(&rules, WRITE, Kind::Char, 136, 77));
        assert!(!ask(&[], MKNOD, Kind::Char, 1, 3));
    }

    #[test]
    fn the_last_rule_that_fits_wins() {
        let mut rules = docker();
        rules.push(Rule { allow: false, kind: None, major: Some(1), minor: Some(3), access: WRITE });
        assert!(ask(&rules, READ, Kind::Char, 1, 3));
        assert!(!ask(&rules, WRITE, Kind::Char, 1, 3));
        assert!(!ask(&rules, READ | WRITE, Kind::Char, 1, 3));
    }

    #[test]
    fn lines_of_v1() {
        let all: Vec<String> = docker().iter().flat_map(lines).collect();
        assert_eq!(all, ["c *:* m", "b *:* m", "c 1:3 rwm", "c 136:* rwm"]);
        let both = Rule { allow: false, kind: None, major: Some(9), minor: None, access: READ };
        assert_eq!(lines(&both), ["c 9:* r", "b 9:* r"]);
        assert_eq!(lines(&everything()), ["a"]);
    }
}
