//! `boxwright doctor`: what this machine can and cannot do, and how to mend it. Every check looks at one thing, by
//! trying it where trying is possible: in a forked child with namespaces of its own, so that nothing of it stays. What
//! the stages themselves need is asked last, with the same probes that a start uses ([`crate::primitive::Need`]), so
//! that doctor and the stages cannot disagree.
//!
//! The exit code is 0 when every stage can do its work here, and 1 when something is missing that a stage needs. What is
//! only `limited` (a flag that will not work) or could not be looked at (`unknown`) does not change it.

mod cgroups;
mod identity;
mod kernel;
mod mounts;
mod network;
mod probe;
mod render;
mod storage;

use crate::primitive::{LIST, Lack, Primitive};
use crate::spec::build::{self, Options, Purpose};
use crate::state::State;
use crate::ui::{self, Style};
use serde::Serialize;
use std::process::ExitCode;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is there and it works.
    Ok,
    /// It works, but not all of it.
    Limited,
    /// It is not there, and a stage needs it.
    Missing,
    /// It could not be looked at; `found` says why.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What it is called.
    pub name: &'static str,
    /// How it ended.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What follows from it; null when all is well.
    pub consequence: Option<String>,
    /// The stages that it concerns.
    pub stages: Vec<&'static str>,
    /// The command that mends it. One that only root may give begins with `as root: `.
    pub remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, status: Status::Ok, found: found.into(), consequence: None, stages: vec![], remedy: None }
    }

    fn limited(self, stages: &[&'static str], consequence: impl Into<String>) -> Check {
        self.not_ok(Status::Limited, stages, consequence.into())
    }

    fn missing(self, stages: &[&'static str], consequence: impl Into<String>) -> Check {
        self.not_ok(Status::Missing, stages, consequence.into())
    }

    fn unknown(name: &'static str, why: impl Into<String>) -> Check {
        Check { status: Status::Unknown, ..Check::ok(name, why) }
    }

    fn not_ok(self, status: Status, stages: &[&'static str], consequence: String) -> Check {
        Check { status, stages: stages.to_vec(), consequence: Some(consequence), ..self }
    }

    fn remedy(self, command: impl Into<String>) -> Check {
        Check { remedy: Some(command.into()), ..self }
    }
}

/// Can this stage do its work here?
#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// Can it?
    pub possible: bool,
    /// What is missing.
    pub need: Option<&'static str>,
    /// Why it is.
    pub reason: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// All that doctor found. `--format json` prints exactly this; fields are added to it, never changed or taken away
/// without another `version`.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// Of this format.
    pub version: u32,
    /// Of boxwright.
    pub boxwright: &'static str,
    /// Who asked: what root can and what an ordinary user can are two things.
    pub uid: u32,
    /// Can every stage do its work?
    pub ok: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// What follows for each stage.
    pub stages: Vec<Stage>,
}

/// How to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a person.
    Text,
    /// For a script.
    Json,
}

/// All stages, for what concerns each of them.
fn every_stage() -> Vec<&'static str> {
    LIST.iter().map(|p| p.name()).collect()
}

/// Looks, and prints what it found. What the machine lacks is no error, but exit code 1.
pub fn run(format: Format, state: &State) -> ExitCode {
    let diagnosis = diagnose(state);
    match format {
        Format::Json => ui::print(&render::json(&diagnosis)),
        Format::Text => ui::print(&render::text(&diagnosis, Style::of(&std::io::stdout()), render::utf8())),
    }
    ExitCode::from(u8::from(!diagnosis.ok))
}

fn diagnose(state: &State) -> Diagnosis {
    let checks = [
        kernel::checks(),
        identity::checks(),
        mounts::checks(state),
        network::checks(state),
        cgroups::checks(),
        storage::checks(state),
    ]
    .concat();
    let stages = stages(state);
    let ok = checks.iter().all(|c| c.status != Status::Missing) && stages.iter().all(|s| s.possible);
    let uid = nix::unistd::geteuid().as_raw();
    Diagnosis { version: 1, boxwright: env!("CARGO_PKG_VERSION"), uid, ok, checks, stages }
}

/// What each primitive's own probes say, for a container as the stages make it.
fn stages(state: &State) -> Vec<Stage> {
    let spec = build::build(&Options::default(), Purpose::Stage, state);
    let stage = |p: &&'static dyn Primitive| {
        let lack = match &spec {
            Ok(spec) => p.needs().iter().find_map(|need| Some((need.name, (need.probe)(spec).err()?))),
            Err(e) => {
                let lack = Lack { reason: e.to_string(), remedy: e.hint.clone().unwrap_or_default() };
                Some(("a container to try it with", lack))
            }
        };
        let possible = lack.is_none();
        let (need, lack) = lack.unzip();
        let (reason, remedy) = lack.map(|l| (l.reason, l.remedy)).unzip();
        Stage { name: p.name(), possible, need, reason, remedy }
    };
    LIST.iter().map(stage).collect()
}

/// The text of a kernel file, without the newline at its end.
fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim_end().to_string())
}
