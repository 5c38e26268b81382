//! Which parts a picture has, whose they are, and what they say. Nothing here knows where on the page they will be.

use super::{Portrait, files, group, namespaces, one, sieves, wires};
use crate::observe::Fact;

/// Whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The caller's, too.
    Shared,
    /// Its own.
    Own,
    /// It cannot be seen.
    Unseen,
}

impl Standing {
    /// As in the picture's attributes.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Shared => "shared",
            Standing::Own => "own",
            Standing::Unseen => "unseen",
        }
    }

    /// From what a comparison has said.
    pub fn of(shares: Option<bool>) -> Standing {
        match shares {
            Some(true) => Standing::Shared,
            Some(false) => Standing::Own,
            None => Standing::Unseen,
        }
    }
}

/// A line of text, and which fact it tells: a name in the picture, so that a program can find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As in `data-fact`.
    pub fact: &'static str,
    /// For a reader.
    pub text: String,
}

impl Line {
    /// A line about a fact.
    pub fn new(fact: &'static str, text: impl Into<String>) -> Line {
        Line { fact, text: text.into() }
    }
}

/// A namespace: a lane of the container, open towards the host when it is shared.
#[derive(Debug)]
pub struct Lane {
    /// Its name in /proc/PID/ns.
    pub kind: &'static str,
    /// Whose it is.
    pub standing: Standing,
    /// Has the stage made it?
    pub new: bool,
    /// What it holds.
    pub lines: Vec<Line>,
}

/// The cgroup.
#[derive(Debug)]
pub struct Group {
    /// Whose it is.
    pub standing: Standing,
    /// Has the stage made it?
    pub new: bool,
    /// Its path.
    pub path: Line,
    /// Its limits; none for a cgroup that is the caller's, too.
    pub gauges: Vec<Gauge>,
}

/// A limit.
#[derive(Debug)]
pub struct Gauge {
    /// Its name.
    pub name: &'static str,
    /// Its value, for a reader.
    pub limit: Line,
    /// Is it its own, and not only one that the caller is under as well?
    pub own: bool,
    /// Has the stage set it?
    pub new: bool,
    /// What is in use.
    pub used: Option<Line>,
    /// More about it, on a line of its own.
    pub note: Option<Line>,
    /// How full the gauge is, from 0 to 1; none: it has nothing to show.
    pub level: Option<f32>,
}

/// A root filesystem.
#[derive(Debug)]
pub struct Files {
    /// Whose it is.
    pub standing: Standing,
    /// Has the stage changed it?
    pub new: bool,
    /// What it is, or where in the tree the slabs are seen, merged.
    pub place: Line,
    /// Layers that lie ready, but are not the root yet: a sentence.
    pub ready: Option<&'static str>,
    /// The layers, from the top.
    pub slabs: Vec<Slab>,
}

/// One layer.
#[derive(Debug)]
pub struct Slab {
    /// May it be written to? (The upper one.)
    pub writable: bool,
    /// What it is called in the picture.
    pub name: &'static str,
    /// Where it is on the host.
    pub path: Line,
}

/// What stands between the process and the kernel.
#[derive(Debug)]
pub struct Sieve {
    /// Its name.
    pub name: &'static str,
    /// Does it keep anything back?
    pub closed: bool,
    /// Has the stage put it there?
    pub new: bool,
    /// What it says.
    pub value: Line,
    /// Its holes, in order: is it open?
    pub holes: Vec<bool>,
}

/// The way from the container to the world.
#[derive(Debug)]
pub struct Wires {
    /// Has the stage laid them?
    pub new: bool,
    /// The cable's end in the bridge.
    pub port: Line,
    /// The bridge's name, where it is, and its address.
    pub bridge: Vec<Line>,
    /// The rule that lends the host's address; none: there is no such rule, or it cannot be seen.
    pub nat: Option<Line>,
    /// Does it lead on from here?
    pub leads_out: bool,
}

/// A whole picture.
#[derive(Debug)]
pub struct Scene {
    /// Number, name, sentence.
    pub heading: (String, String, String),
    /// Was it made by a stage (and not found)?
    pub staged: bool,
    /// The host's name and kernel.
    pub host: [Line; 2],
    /// The process: its number, and more about it.
    pub process: Vec<Line>,
    /// Has the stage changed who it is?
    pub process_new: bool,
    /// The namespaces.
    pub lanes: Vec<Lane>,
    /// The cgroup.
    pub group: Group,
    /// The root filesystem.
    pub files: Files,
    /// Between it and the kernel.
    pub sieves: Vec<Sieve>,
    /// Its cable.
    pub wires: Option<Wires>,
    /// What could not be seen, and what was skipped.
    pub notes: Vec<String>,
}

impl Scene {
    /// From what was seen.
    pub fn of(p: &Portrait) -> Scene {
        let name = one(&p.caller, Fact::Hostname).unwrap_or_default();
        Scene {
            heading: p.heading.clone(),
            staged: p.staged,
            host: [Line::new("host", name), Line::new("kernel", format!("Linux {}", p.kernel))],
            process: process(p),
            process_new: p.is_new(&[Fact::Pid, Fact::User]) || p.staged && p.command.is_some(),
            lanes: namespaces::lanes(p),
            group: group::group(p),
            files: files::files(p),
            sieves: sieves::sieves(p),
            wires: wires::wires(p),
            notes: notes(p),
        }
    }

    /// The picture in words, for those who hear it.
    pub fn words(&self) -> String {
        let kinds = |standing| -> String {
            let all: Vec<&str> = self.lanes.iter().filter(|l| l.standing == standing).map(|l| l.kind).collect();
            if all.is_empty() { "none".into() } else { all.join(", ") }
        };
        let mut words = vec![
            self.process.iter().map(|l| l.text.as_str()).collect::<Vec<_>>().join(", "),
            format!("Own namespaces: {}. Shared with the host: {}", kinds(Standing::Own), kinds(Standing::Shared)),
            format!("Cgroup {}: {}", self.group.standing.name(), self.group.path.text),
        ];
        let limits = self.group.gauges.iter().filter(|g| g.own);
        words.extend(limits.map(|g| format!("{} limit: {}", g.name, g.limit.text)));
        words.push(format!("Root filesystem {}: {}", self.files.standing.name(), self.files.place.text));
        words.extend(self.files.slabs.iter().map(|s| format!("{}: {}", s.name, s.path.text)));
        words.extend(self.sieves.iter().map(|s| format!("{}: {}", s.name, s.value.text)));
        if let Some(wires) = &self.wires {
            let bridge: Vec<&str> = wires.bridge.iter().map(|l| l.text.as_str()).collect();
            words.push(format!("A cable leads to port {} of {}", wires.port.text, bridge.join(", ")));
        }
        words.extend(self.notes.iter().cloned());
        words.join(". ") + "."
    }
}

/// Who the process is, inside and outside.
fn process(p: &Portrait) -> Vec<Line> {
    let own = p.shares(Fact::PidNs) == Some(false);
    let mut lines = vec![match p.one(Fact::Pid).filter(|_| own) {
        Some(pid) => Line::new("pid", format!("process {pid}")),
        None => Line::new("pid", format!("process {}", p.pid)),
    }];
    if own {
        lines.push(Line::new("host-pid", format!("the host calls it {}", p.pid)));
    }
    if let Some(command) = &p.command {
        lines.push(Line::new("command", format!("runs {command}")));
    }
    if let Some(user) = p.one(Fact::User) {
        // Who looks from outside sees the host's numbers.
        let outside = !p.staged && p.shares(Fact::UserNs) == Some(false);
        let uid = user.split(',').next().unwrap_or(user);
        lines.push(if outside { Line::new("host-user", format!("{uid} outside")) } else { Line::new("user", user) });
    }
    lines
}

fn notes(p: &Portrait) -> Vec<String> {
    let unseen = p.unseen.iter().map(|what| format!("Not seen: {what}"));
    unseen.chain(p.skipped.iter().map(|what| format!("Skipped: {what}"))).collect()
}
