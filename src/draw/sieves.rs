//! What stands between a process and the kernel: files that are hidden, system calls that are refused, capabilities
//! that are gone.

use super::scene::{Line, Sieve};
use super::{Portrait, many};
use crate::caps;
use crate::observe::Fact;

/// From the outermost to the innermost.
pub fn sieves(p: &Portrait) -> Vec<Sieve> {
    vec![masks(p), calls(p), capabilities(p)]
}

fn masks(p: &Portrait) -> Sieve {
    let own: Vec<&String> =
        p.many(Fact::MaskedPaths).iter().filter(|m| !many(&p.caller, Fact::MaskedPaths).contains(m)).collect();
    let of = |kind: &str| own.iter().filter(|m| m.ends_with(kind)).count();
    let text = match (p.seen.contains_key(&Fact::MaskedPaths), own.is_empty()) {
        (false, _) => "cannot be seen".to_string(),
        (true, true) => "as on the host".into(),
        (true, false) => format!("{} hidden, {} read-only", of("(masked)"), of("(read-only)")),
    };
    let value = Line::new("masked-paths", text);
    Sieve { name: "/proc and /sys", closed: !own.is_empty(), new: p.is_new(&[Fact::MaskedPaths]), value, holes: vec![] }
}

fn calls(p: &Portrait) -> Sieve {
    let mode = p.one(Fact::Seccomp);
    let no_new_privs = p.one(Fact::NoNewPrivs) == Some("1");
    let mut text = match mode {
        Some("none") => "all of them".to_string(),
        Some("filter") => match p.one(Fact::SeccompFilters) {
            Some("1") | None => "seccomp filter".into(),
            Some(n) => format!("{n} seccomp filters"),
        },
        Some(other) => format!("seccomp {other}"),
        None => "cannot be seen".into(),
    };
    if no_new_privs {
        text += ", no_new_privs";
    }
    let closed = !matches!(mode, Some("none") | None);
    let new = p.is_new(&[Fact::Seccomp, Fact::SeccompFilters, Fact::NoNewPrivs]);
    Sieve { name: "system calls", closed, new, value: Line::new("seccomp", text), holes: vec![] }
}

/// One hole for each capability of the kernel's, in the order of their numbers.
fn capabilities(p: &Portrait) -> Sieve {
    let new = p.is_new(&[Fact::CapEff, Fact::CapPrm, Fact::CapBnd]);
    let name = "capabilities";
    if !p.seen.contains_key(&Fact::CapEff) {
        let value = Line::new("capabilities", "cannot be seen");
        return Sieve { name, closed: false, new, value, holes: vec![] };
    }
    let has = p.many(Fact::CapEff);
    let bare = |n: u8| caps::name(n).trim_start_matches("CAP_").to_ascii_lowercase();
    let holes: Vec<bool> = (0..p.capabilities.min(64) as u8).map(|n| has.contains(&bare(n))).collect();
    let closed = holes.contains(&false);
    let mut text = match has.len() {
        0 => "none".to_string(),
        n if !closed => format!("all {n}"),
        n => format!("{n} of {}", p.capabilities),
    };
    if closed && p.shares(Fact::CapEff) == Some(true) {
        text += ", as the caller";
    }
    Sieve { name, closed, new, value: Line::new("capabilities", text), holes }
}
