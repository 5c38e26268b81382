//! Pictures of what is really there: a process, the namespaces around it, its cgroup, its layers, its cable. Three
//! steps: what was seen ([`Portrait`]) becomes a [`scene`] (which parts there are, whose they are, what they say), the
//! scene becomes shapes with places ([`layout`]), the shapes become text ([`svg`]). The same facts give the same picture.

mod files;
mod group;
mod layout;
mod namespaces;
mod scene;
mod sieves;
mod svg;
mod wires;

use crate::cgroup::{self, Counters};
use crate::error::Result;
use crate::observe::{self, Fact, Snapshot, Value};
use crate::primitive::{Primitive, number};
use crate::report::Report;
use crate::state::State;
use nix::unistd::Pid;

/// Everything that was seen for one picture.
#[derive(Debug)]
pub struct Portrait {
    /// Its heading: a number (a stage's, a process's), a name, and a sentence.
    pub heading: (String, String, String),
    /// Was it set up for the picture (and not found)?
    pub staged: bool,
    /// What the caller sees of itself: what is the same is shared.
    pub caller: Snapshot,
    /// What is true of the process.
    pub seen: Snapshot,
    /// What the stage has changed; nothing for a process that was there before.
    pub new: Vec<Fact>,
    /// Its number, as the caller knows it.
    pub pid: Pid,
    /// What it runs; none: nothing yet.
    pub command: Option<String>,
    /// What its own groups have used.
    pub used: Counters,
    /// What could not be seen: sentences.
    pub unseen: Vec<String>,
    /// What this machine cannot do of a stage: sentences.
    pub skipped: Vec<String>,
    /// The kernel's release.
    pub kernel: String,
    /// How many capabilities it knows.
    pub capabilities: usize,
}

impl Portrait {
    /// Of a stage that is set up and still lives; none if it was not looked at.
    pub fn of_stage(stage: &'static dyn Primitive, report: &Report) -> Option<Portrait> {
        let (mut caller, pid) = (report.before()?.clone(), report.pid()?);
        // By now the bridge is there, if it is on this side.
        caller.insert(Fact::Addresses, Value::Many(crate::net::look().addresses));
        let number = number(stage.name()).unwrap_or_default().to_string();
        let heading = (number, stage.name().to_string(), stage.summary().to_string());
        let new = report.changes(stage.name()).iter().map(|change| change.fact).collect();
        Some(Portrait { new, staged: true, ..Portrait::new(heading, caller, report.after().clone(), pid) })
    }

    /// Of any process.
    ///
    /// # Errors
    /// When there is none of that number.
    pub fn of_process(pid: Pid, state: &State) -> Result<Portrait> {
        let mut caller = observe::inside();
        caller.extend(observe::cgroups(None));
        let observe::Stranger { seen, unseen } = observe::stranger(pid, &caller, state)?;
        let command = command(pid);
        let heading = (pid.to_string(), command.clone().unwrap_or_default(), "a running process".to_string());
        Ok(Portrait { unseen, command, ..Portrait::new(heading, caller, seen, pid) })
    }

    fn new(heading: (String, String, String), caller: Snapshot, seen: Snapshot, pid: Pid) -> Portrait {
        let uname = nix::sys::utsname::uname();
        Portrait {
            heading,
            staged: false,
            caller,
            seen,
            new: vec![],
            pid,
            command: None,
            used: cgroup::usage(pid),
            unseen: vec![],
            skipped: vec![],
            kernel: uname.map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default(),
            capabilities: observe::capability_count(),
        }
    }

    /// The picture.
    pub fn svg(&self) -> String {
        let scene = scene::Scene::of(self);
        svg::write(&scene, &layout::place(&scene))
    }

    fn one(&self, fact: Fact) -> Option<&str> {
        one(&self.seen, fact)
    }

    fn many(&self, fact: Fact) -> &[String] {
        many(&self.seen, fact)
    }

    /// Is it the caller's, too? `None`: one of the two cannot be seen.
    fn shares(&self, fact: Fact) -> Option<bool> {
        Some(self.seen.get(&fact)? == self.caller.get(&fact)?)
    }

    fn is_new(&self, facts: &[Fact]) -> bool {
        facts.iter().any(|fact| self.new.contains(fact))
    }
}

fn one(seen: &Snapshot, fact: Fact) -> Option<&str> {
    match seen.get(&fact) {
        Some(Value::One(value)) => Some(value),
        _ => None,
    }
}

fn many(seen: &Snapshot, fact: Fact) -> &[String] {
    match seen.get(&fact) {
        Some(Value::Many(values)) => values,
        _ => &[],
    }
}

/// What a process runs: the name that the kernel has for it, which is there also when it has just ended.
pub fn command(pid: Pid) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    let name = String::from_utf8_lossy(&name).trim_end_matches('\n').to_string();
    (!name.is_empty()).then_some(name)
}
