//! filter-syscalls: harmless forms of calls that a profile usually forbids, each tried before the filter and after it,
//! in the same container by the same process. What the kernel answered differently is the filter's doing.

use super::{Attempt, Evidence, Experiment, Verdict, encode};
use crate::error::Result;
use crate::spec::Spec;
use crate::state::State;
use crate::sys::{attempt, process};
use serde::{Deserialize, Serialize};

/// See the head of this file.
pub struct ForbiddenCalls;

/// A call, in strace's shape, and a way to make it that changes nothing.
type Call = (&'static str, fn() -> nix::Result<()>);

const CALLS: [Call; 4] = [
    ("unshare(0)", || nix::sched::unshare(nix::sched::CloneFlags::empty())),
    ("keyctl(-1)", attempt::keyctl),
    ("add_key(NULL, NULL, NULL, 0, 0)", attempt::add_key),
    ("perf_event_open(NULL, 0, 0, -1, 0)", attempt::perf_event_open),
];

#[derive(Serialize, Deserialize)]
struct Report {
    attempts: Vec<Attempt>,
    /// 0 without a filter, 2 with one (prctl(2), PR_GET_SECCOMP).
    mode: i32,
}

impl Experiment for ForbiddenCalls {
    fn primitive(&self) -> &'static str {
        "filter-syscalls"
    }

    fn claim(&self, _: &Spec) -> String {
        "calls that the profile forbids are refused".into()
    }

    fn prepare(&self, _: &Spec, _: &State) -> std::result::Result<(), String> {
        Ok(())
    }

    fn also_before(&self) -> bool {
        true
    }

    fn run(&self, _: &Spec) -> Result<serde_json::Value> {
        let attempts = CALLS.iter().map(|(_, make)| Attempt::at(make)).collect::<Result<_>>()?;
        let mode = process::prctl("PR_GET_SECCOMP", libc::PR_GET_SECCOMP, 0)?;
        Ok(encode(&Report { attempts, mode }))
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        let Some((before, after)) = evidence.before_and_after::<Report>() else { return Verdict::silent() };
        let pairs = CALLS.iter().zip(before.attempts.iter().zip(&after.attempts));
        let (differ, same): (Vec<_>, Vec<_>) = pairs.partition(|(_, (before, after))| before != after);
        let show = |((name, _), (before, after)): &(&Call, (&Attempt, &Attempt))| {
            format!("{name}: {before} without the filter, {after} with it")
        };
        if !differ.is_empty() {
            return Verdict::new(true, differ.iter().map(show).collect());
        }
        let unchanged = same.iter().map(|((name, _), (_, after))| format!("{name}: {after}, as before")).collect();
        if after.mode == 0 {
            Verdict::new(false, unchanged)
        } else {
            Verdict::unproved("there is a filter, but it allows all calls that can be tried without harm", unchanged)
        }
    }
}
