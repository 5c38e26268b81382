//! A container with a life of its own: it has a name, can be started again, and is there until somebody removes it. No
//! daemon keeps it. What it is, is a directory ([`store`]); while it runs, one small process watches it ([`monitor`]);
//! and whether it runs is a question to the kernel: does the process live that holds its journal's lock?

pub mod attach;
pub mod copy;
pub mod events;
pub mod exec;
pub mod health;
pub mod log;
pub mod monitor;
pub mod names;
pub mod store;
pub mod times;

use crate::journal::{Made, Process};
use crate::spec::build::Options;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a container is. Written when it is created, and changed only by `rename` and `update`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// 64 hexadecimal digits; the first twelve are what people see.
    pub id: String,
    /// Unique among this user's containers.
    pub name: String,
    /// When it was created: nanoseconds since 1970.
    pub created: i64,
    /// The image, as it was asked for; the directory of `--rootfs`.
    pub image: String,
    /// All flags, with everything in them that depended on the caller's directory and environment resolved.
    pub options: Options,
    /// `--label`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `--restart`.
    #[serde(default)]
    pub restart: Restart,
    /// `--stop-signal`: a number.
    #[serde(default)]
    pub stop_signal: Option<i32>,
    /// `--stop-timeout`, in seconds.
    #[serde(default)]
    pub stop_timeout: Option<u64>,
    /// Remove it when it ends.
    #[serde(default)]
    pub rm: bool,
    /// `-d`: nobody was attached to it when it was made.
    #[serde(default)]
    pub detached: bool,
    /// The volumes that it has.
    #[serde(default)]
    pub volumes: Vec<crate::volume::Use>,
    /// `--health-cmd` and what belongs to it.
    #[serde(default)]
    pub health: Option<health::Check>,
    /// What becomes of its output.
    #[serde(default)]
    pub log: log::Options,
}

impl Record {
    /// The first twelve digits: its directory, its journal, its cgroup, its hostname.
    pub fn short(&self) -> &str {
        &self.id[..12]
    }
}

/// When a container that has ended is started again by its monitor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// When its exit code is not zero; so many times in a row, or for ever.
    OnFailure(Option<u32>),
    /// Always; also after a reboot (`system start-enabled`).
    Always,
    /// The same, except that one which was stopped stays stopped over a reboot.
    UnlessStopped,
}

/// What happened to it so far: in its directory, written by whoever has its lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// Nanoseconds since 1970, or zero: never.
    pub started: i64,
    /// The same.
    pub finished: i64,
    /// Its exit code; none while it runs, or when nobody saw it end.
    pub exit_code: Option<i32>,
    /// Why it could not be started, or what became of its monitor.
    pub error: String,
    /// Was one of its processes killed for want of memory?
    pub oom_killed: bool,
    /// How often its monitor has started it again since somebody last started it.
    pub restarts: u32,
    /// How many of these came one soon after the other: the more, the longer the next one waits.
    pub hasty: u32,
    /// The commands that are about to start it again, having stopped it: as long as one lives, it is not over.
    pub restarters: Vec<Process>,
    /// Somebody asked it to stop: no policy starts it again.
    pub stopped: bool,
    /// It was stopped because the machine shuts down (`system stop-all`): no policy starts it again before the next boot.
    pub halted: bool,
    /// The boot in which it was started last (proc_sys_kernel(5), random/boot_id).
    pub boot: String,
}

impl History {
    /// Is it to stay as it is, whatever its policy says?
    pub fn rests(&self) -> bool {
        self.stopped || self.halted
    }
}

impl History {
    /// Was it started and has not ended, as far as anybody has written down?
    pub fn open(&self) -> bool {
        self.started > self.finished
    }

    /// Is a `restart` between its two halves?
    pub fn between(&self) -> bool {
        self.restarters.iter().any(|p| p.open().is_some())
    }
}

/// What is true of it now.
#[derive(Debug, Clone)]
pub enum Now {
    /// It was never started.
    Created,
    /// It runs: this is what it has made, and the process that watches it.
    Running {
        /// Its journal.
        made: Box<Made>,
        /// The monitor, or the `full-run` in whose foreground it runs.
        watcher: i32,
        /// Is its cgroup frozen?
        paused: bool,
    },
    /// Its monitor waits until it starts it again.
    Restarting {
        /// The monitor.
        watcher: i32,
    },
    /// It has ended.
    Exited,
}

impl Now {
    /// docker's word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Now::Created => "created",
            Now::Running { paused: false, .. } => "running",
            Now::Running { paused: true, .. } => "paused",
            Now::Restarting { .. } => "restarting",
            Now::Exited => "exited",
        }
    }

    /// Is there a process of it?
    pub fn runs(&self) -> bool {
        matches!(self, Now::Running { .. })
    }

    /// Is there none, and nobody who is about to make one?
    pub fn is_over(&self) -> bool {
        matches!(self, Now::Created | Now::Exited)
    }
}
