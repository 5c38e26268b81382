//! The report of a stage: which kernel calls were made and by which side, what they changed, what stayed the host's,
//! and what comes next. [`Report`] watches a start and collects; `text` and `json` show it. It knows primitives only by
//! what they declare, so a new one is reported without a line here.

mod calls;
mod json;
mod lessons;
mod mounts;
mod text;
mod trace;

pub use lessons::{explain, explain_json, stages, stages_json, stages_markdown};
pub use trace::{Several, Trace};

use crate::observe::{Change, Fact, Snapshot, diff, hand_over};
use crate::primitive::{LIST, Lack, Primitive, number};
use crate::prove::Proof;
use crate::spawn::{Side, Watcher};
use crate::spec::Spec;
use nix::unistd::Pid;
use serde::Serialize;

/// One kernel call, as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Who made it.
    pub side: Who,
    /// In strace's shape.
    pub call: String,
}

/// Who made a call, in the words of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The parent, on the host.
    Host,
    /// The child, which becomes the container.
    Child,
}

impl From<Side> for Who {
    fn from(side: Side) -> Who {
        match side {
            Side::Outside => Who::Host,
            Side::Inside => Who::Child,
        }
    }
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Who::Host => "host",
            Who::Child => "child",
        }
    }
}

/// What one primitive did.
struct Entry {
    primitive: &'static dyn Primitive,
    calls: Vec<Call>,
    changes: Vec<Change>,
    /// Made by an earlier step, and this primitive's doing: clone3 and all `prepare` come before the first `inside`.
    early: Vec<Change>,
    /// What of its own may be seen early.
    may_be_early: Vec<Fact>,
    /// Does clone3 do its work, or part of it?
    born: bool,
}

/// A primitive of the prefix that this machine cannot do.
struct Skipped {
    name: &'static str,
    lack: Lack,
}

/// Shows a report.
type Show = Box<dyn FnMut(&Report)>;

/// A report in the making.
pub struct Report {
    stage: &'static dyn Primitive,
    all: bool,
    command: bool,
    entries: Vec<Entry>,
    skipped: Vec<Skipped>,
    notes: Vec<String>,
    proofs: Option<Vec<Proof>>,
    first: Option<Snapshot>,
    last: Snapshot,
    pid: Option<Pid>,
    when_ready: Option<Show>,
}

impl Report {
    /// A report on `stage`, which sets up the primitives of `prefix`.
    pub fn new(stage: &'static dyn Primitive, prefix: &[&'static dyn Primitive], spec: &Spec) -> Report {
        let entries = prefix.iter().map(|&primitive| Entry {
            primitive,
            calls: Vec::new(),
            changes: Vec::new(),
            early: Vec::new(),
            may_be_early: early_facts(primitive, spec),
            born: !primitive.clone_flags(spec).is_empty(),
        });
        Report {
            stage,
            all: false,
            command: !spec.args().is_empty(),
            entries: entries.collect(),
            skipped: Vec::new(),
            notes: Vec::new(),
            proofs: None,
            first: None,
            last: Snapshot::new(),
            pid: None,
            when_ready: None,
        }
    }

    /// `--all`: every primitive of the prefix, not only the stage's own.
    pub fn all(mut self, all: bool) -> Report {
        self.all = all;
        self
    }

    /// Called once, when all is set up and before the command can print anything.
    pub fn when_ready(mut self, show: impl FnMut(&Report) + 'static) -> Report {
        self.when_ready = Some(Box::new(show));
        self
    }

    /// This machine cannot do that one, and the stage goes on without it.
    pub fn skip(&mut self, primitive: &'static dyn Primitive, lack: Lack) {
        self.skipped.push(Skipped { name: primitive.name(), lack });
    }

    /// Something the user should hear of, which is no error; once, however often it is said.
    pub fn note(&mut self, note: &str) {
        if !self.notes.iter().any(|n| n == note) {
            self.notes.push(note.to_string());
        }
    }

    /// `--prove`: what was measured.
    pub fn prove(&mut self, proofs: impl IntoIterator<Item = Proof>) {
        self.proofs.get_or_insert_default().extend(proofs);
    }

    /// What a primitive changed: for a test that compares it with what it declares.
    pub fn changes(&self, name: &str) -> &[Change] {
        self.entries.iter().find(|e| e.primitive.name() == name).map_or(&[], |e| &e.changes)
    }

    /// What the process that started it sees of itself; nothing before the first step.
    pub fn before(&self) -> Option<&Snapshot> {
        self.first.as_ref()
    }

    /// What is true of the container after the last step.
    pub fn after(&self) -> &Snapshot {
        &self.last
    }

    /// The container's process, on the host; nothing before all is set up.
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// The entries to show, in the order of the list.
    fn shown(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| self.all || e.primitive.name() == self.stage.name())
    }

    /// What is still as it was for the process that started it: namespaces, cgroup, root.
    fn kept(&self) -> Vec<Fact> {
        let Some(first) = &self.first else { return Vec::new() };
        let shareable = |fact: &Fact| fact.namespace().is_some() || matches!(fact, Fact::Cgroup | Fact::Root);
        Fact::ALL
            .into_iter()
            .filter(shareable)
            .filter(|f| first.contains_key(f) && first.get(f) == self.last.get(f))
            .collect()
    }

    /// The namespaces that are its own.
    fn own_namespaces(&self) -> Vec<Fact> {
        let Some(first) = &self.first else { return Vec::new() };
        let differs = |f: &Fact| f.namespace().is_some() && first.get(f) != self.last.get(f);
        Fact::ALL.into_iter().filter(differs).collect()
    }

    /// What the next stage adds.
    fn next(&self) -> Option<&'static dyn Primitive> {
        LIST.get(number(self.stage.name())? + 1).copied()
    }

    /// What to type to look for oneself: with a command, in a second terminal.
    fn look(&self) -> Vec<String> {
        let Some(pid) = self.pid.filter(|_| self.command) else {
            return vec![format!("boxwright {} -- sh", self.stage.name())];
        };
        let changed = |fact: Fact| self.changes(self.stage.name()).iter().any(|c| c.fact == fact);
        let mut look = Vec::new();
        if let Some(tool) = TOOLS.iter().find(|(facts, _)| facts.iter().any(|f| changed(*f))).map(|(_, tool)| tool) {
            look.push(tool.replace("PID", &pid.to_string()));
        }
        let own = self.own_namespaces();
        if !own.is_empty() {
            // Not --all: that enters those which are the host's too, and there an ordinary user may not go.
            let brief = own.len() > 3;
            let kinds =
                own.iter().filter_map(|f| f.namespace()).map(|(_, long, short)| if brief { short } else { long });
            let kinds = kinds.collect::<Vec<_>>().join(" ");
            // nsenter becomes root of the namespace with setgroups(2), which an ordinary user's namespace forbids.
            let user = own.contains(&Fact::UserNs) && !nix::unistd::geteuid().is_root();
            let keep = if user { " --preserve-credentials" } else { "" };
            look.push(format!("nsenter -t {pid} {kinds}{keep} {}", self.inside_tool()));
        }
        look.push(format!("ls -l /proc/{pid}/ns"));
        look
    }

    fn inside_tool(&self) -> &'static str {
        let changed = |fact: Fact| self.changes(self.stage.name()).iter().any(|c| c.fact == fact);
        INSIDE_TOOLS.iter().find(|(fact, _)| changed(*fact)).map_or("sh", |(_, tool)| tool)
    }
}

/// What shows a fact from outside the container.
const TOOLS: [(&[Fact], &str); 4] = [
    (&[Fact::UidMap], "cat /proc/PID/uid_map"),
    (&[Fact::Cgroup, Fact::CpuMax, Fact::MemoryMax, Fact::PidsMax, Fact::IoMax], "cat /proc/PID/cgroup"),
    (&[Fact::Seccomp, Fact::NoNewPrivs, Fact::CapEff, Fact::CapBnd], "grep -E 'Cap|Seccomp|NoNew' /proc/PID/status"),
    (&[Fact::Propagation, Fact::MaskedPaths, Fact::Root], "cat /proc/PID/mountinfo"),
];

/// What shows it from within.
const INSIDE_TOOLS: [(Fact, &str); 8] = [
    (Fact::Processes, "ps ax"),
    (Fact::Pid, "ps ax"),
    (Fact::Hostname, "hostname"),
    (Fact::IpcNs, "ipcs"),
    (Fact::Links, "ip addr"),
    (Fact::Root, "ls -l /"),
    (Fact::Mounts, "cat /proc/self/mounts"),
    (Fact::UserNs, "id"),
];

/// What a primitive may change before its turn: everything, if clone3 does its work; and what only the host sees,
/// because `prepare` runs before clone3.
fn early_facts(primitive: &dyn Primitive, spec: &Spec) -> Vec<Fact> {
    let born_with = !primitive.clone_flags(spec).is_empty();
    primitive.changes().iter().copied().filter(|fact| born_with || fact.is_outside()).collect()
}

impl Watcher for Report {
    fn observes(&self) -> bool {
        true
    }

    fn call(&mut self, primitive: usize, side: Side, line: &str) {
        let call = Call { side: side.into(), call: line.to_string() };
        // One clone3 does the work of several primitives: each shows it, because none is complete without it.
        let (clone3, into_cgroup) = (line.starts_with("clone3("), line.contains("CLONE_INTO_CGROUP"));
        let shares = |e: &Entry| e.born || into_cgroup && e.primitive.changes().contains(&Fact::Cgroup);
        if clone3 && self.entries.iter().any(shares) {
            self.entries.iter_mut().filter(|e| shares(e)).for_each(|e| e.calls.push(call.clone()));
        } else if let Some(entry) = self.entry(primitive) {
            entry.calls.push(call);
        }
    }

    fn step(&mut self, primitive: usize, before: &Snapshot, after: &Snapshot) {
        let mut observed = diff(before, after, self.first.as_ref().unwrap_or(before));
        if self.first.is_none() {
            self.first = Some(before.clone());
            let later =
                self.entries.iter().position(|e| number(e.primitive.name()) == Some(primitive)).unwrap_or(0) + 1;
            let declared: Vec<&[Fact]> = self.entries[later..].iter().map(|e| e.may_be_early.as_slice()).collect();
            for (index, change) in hand_over(&mut observed, LIST[primitive].changes(), &declared) {
                self.entries[later + index].early.push(change);
            }
        }
        self.last = after.clone();
        if let Some(entry) = self.entry(primitive) {
            entry.changes = joined(std::mem::take(&mut entry.early), observed);
        }
    }

    fn ready(&mut self, child: Pid, notes: &[String]) {
        notes.iter().for_each(|note| self.note(note));
        self.pid = Some(child);
        if let Some(mut show) = self.when_ready.take() {
            show(self);
        }
    }
}

impl Report {
    fn entry(&mut self, primitive: usize) -> Option<&mut Entry> {
        let name = LIST.get(primitive)?.name();
        self.entries.iter_mut().find(|e| e.primitive.name() == name)
    }
}

/// What changed early and what changes now; a fact that is in both has changed from the former's to the latter's.
fn joined(early: Vec<Change>, now: Vec<Change>) -> Vec<Change> {
    let mut all = early;
    for change in now {
        match all.iter_mut().find(|c| c.fact == change.fact) {
            Some(earlier) => earlier.after = change.after,
            None => all.push(change),
        }
    }
    all.retain(|c| c.before != c.after);
    all.sort_by_key(|c| c.fact);
    all
}
