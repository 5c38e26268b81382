//! The report as JSON: the same facts as the text, complete. The schema, version 1 (a field may be added; none goes
//! away or changes its meaning without a new number):
//!
//! ```text
//! schema      1
//! stage       the stage's name            number   its place in the list, from 0
//! summary     what it adds
//! primitives  the stage's own, or with --all every one of the prefix, in the order of the list:
//!   name, number, summary
//!   changes     in the order of the facts:
//!     fact        its name, stable: mnt_ns, mounts, cpu_max…         label   the same for people
//!     before      a string, or a list of strings; null: could not be seen
//!     after       likewise
//!     added       for lists: what is in `after` only        removed   what is in `before` only
//!   calls       in the order in which each side made them; a clone3 that several primitives share is in each:
//!     side        "host" (the parent) or "child"            call   in strace's shape
//! kept        facts that are still those of the caller: namespaces, cgroup, root
//! skipped     what this machine cannot do: primitive, reason, remedy
//! notes       sentences
//! proofs      null without --prove; else one for each experiment:
//!   primitive, claim
//!   held        was it so? false also when it could not be found out
//!   unproved    why it could not be found out; null otherwise
//!   measured    sentences
//! next        the next stage: name, number, summary; null after the last
//! look        commands to look for oneself
//! pid         the process, on the host; null when it ends with the report
//! ```

use super::{Call, Entry, Report};
use crate::observe::{Change, Fact, Value};
use crate::primitive::{Primitive, number};
use crate::prove::Proof;
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    stage: &'a str,
    number: Option<usize>,
    summary: &'a str,
    primitives: Vec<Done<'a>>,
    kept: Vec<Fact>,
    skipped: Vec<Skipped<'a>>,
    notes: &'a [String],
    proofs: Option<&'a [Proof]>,
    next: Option<Named>,
    look: Vec<String>,
    pid: Option<i32>,
}

#[derive(Serialize)]
struct Named {
    name: &'static str,
    number: Option<usize>,
    summary: &'static str,
}

#[derive(Serialize)]
struct Done<'a> {
    #[serde(flatten)]
    named: Named,
    changes: Vec<Changed<'a>>,
    calls: &'a [Call],
}

#[derive(Serialize)]
struct Changed<'a> {
    fact: Fact,
    label: &'static str,
    before: Option<&'a Value>,
    after: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Vec<&'a str>>,
}

#[derive(Serialize)]
struct Skipped<'a> {
    primitive: &'a str,
    reason: &'a str,
    remedy: &'a str,
}

impl Report {
    /// The report as JSON, with a line break behind it.
    pub fn json(&self) -> String {
        let document = Document {
            schema: 1,
            stage: self.stage.name(),
            number: number(self.stage.name()),
            summary: self.stage.summary(),
            primitives: self.shown().map(done).collect(),
            kept: self.kept(),
            skipped: self.skipped.iter().map(skipped).collect(),
            notes: &self.notes,
            proofs: self.proofs.as_deref(),
            next: self.next().map(named),
            look: self.look(),
            pid: self.pid.filter(|_| self.command).map(nix::unistd::Pid::as_raw),
        };
        pretty(&document)
    }
}

/// Any document of ours, in lines.
pub(super) fn pretty(document: &impl Serialize) -> String {
    // Strings, numbers and lists only: encoding them into memory cannot fail.
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    format!("{text}\n")
}

fn named(primitive: &dyn Primitive) -> Named {
    Named { name: primitive.name(), number: number(primitive.name()), summary: primitive.summary() }
}

fn skipped(s: &super::Skipped) -> Skipped<'_> {
    Skipped { primitive: s.name, reason: &s.lack.reason, remedy: &s.lack.remedy }
}

fn done(entry: &Entry) -> Done<'_> {
    Done { named: named(entry.primitive), changes: entry.changes.iter().map(changed).collect(), calls: &entry.calls }
}

fn changed(change: &Change) -> Changed<'_> {
    let lists = change.lists();
    Changed {
        fact: change.fact,
        label: change.fact.label(),
        before: change.before.as_ref(),
        after: change.after.as_ref(),
        added: lists.as_ref().map(|(added, _)| added.clone()),
        removed: lists.map(|(_, removed)| removed),
    }
}
