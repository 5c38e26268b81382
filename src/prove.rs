//! `--prove`: a setting is only a file; this measures what it is good for. An experiment runs in the container in place
//! of a command and does what the primitive forbids: a busy loop, one allocation too many, a fork loop. The verdict is
//! given outside, from what the experiment felt *and* from what the kernel counted, and it can be no: every experiment
//! is bounded, so that without the primitive (`--without`) it does no harm and fails.

mod caps;
mod cpu;
mod io;
mod memory;
mod pids;
mod syscalls;

use crate::cgroup::Counters;
use crate::error::Result;
use crate::observe::Fact;
use crate::primitive::{Lesson, Primitive, number};
use crate::spawn::{self, Guest, Job};
use crate::spec::Spec;
use crate::state::State;
use crate::sys::process::{self, End};
use serde::{Deserialize, Serialize};

/// What came of one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The primitive.
    pub primitive: &'static str,
    /// What should be so.
    pub claim: String,
    /// Was it so? Also `false` when it could not be found out.
    pub held: bool,
    /// Why it could not be found out.
    pub unproved: Option<String>,
    /// What was measured, as sentences.
    pub measured: Vec<String>,
    /// What the user should hear of the start that was made for it.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// An experiment on one primitive.
trait Experiment: Sync {
    /// The primitive's name.
    fn primitive(&self) -> &'static str;
    /// What should be so, in numbers.
    fn claim(&self, spec: &Spec) -> String;
    /// In the parent, before anything is made: can it be done here, without harm? Opens what it will need.
    ///
    /// # Errors
    /// Why not, as a clause.
    fn prepare(&self, spec: &Spec, state: &State) -> std::result::Result<(), String>;
    /// Is it run just before the primitive, too, to be compared?
    fn also_before(&self) -> bool {
        false
    }
    /// In the container, as its last step.
    ///
    /// # Errors
    /// What went wrong with the experiment itself.
    fn run(&self, spec: &Spec) -> Result<serde_json::Value>;
    /// In the parent.
    fn judge(&self, evidence: &Evidence) -> Verdict;
}

/// What there is to judge by.
struct Evidence<'a> {
    spec: &'a Spec,
    /// What [`Experiment::run`] returned, each time. The last is missing when the experiment did not survive.
    reports: &'a [serde_json::Value],
    /// The kernel's counters, from a cgroup that was new when it began.
    counters: Counters,
    /// How process 1 of the container ended.
    end: End,
}

impl Evidence<'_> {
    /// One of the reports, as the experiment's own structure.
    fn report<T: for<'d> Deserialize<'d>>(&self, index: usize) -> Option<T> {
        serde_json::from_value(self.reports.get(index)?.clone()).ok()
    }

    /// The two reports of an experiment that runs before its primitive and after it.
    fn before_and_after<T: for<'d> Deserialize<'d>>(&self) -> Option<(T, T)> {
        self.report(0).zip(self.report(1))
    }
}

/// An experiment's outcome.
struct Verdict {
    held: bool,
    unproved: Option<String>,
    measured: Vec<String>,
}

impl Verdict {
    fn new(held: bool, measured: Vec<String>) -> Verdict {
        Verdict { held, unproved: None, measured }
    }

    /// It could not be found out.
    fn unproved(why: impl Into<String>, measured: Vec<String>) -> Verdict {
        Verdict { held: false, unproved: Some(why.into()), measured }
    }

    /// There is nothing to judge by.
    fn silent() -> Verdict {
        Verdict::unproved("the experiment ended without a word", vec![])
    }
}

/// An experiment as steps of the list.
struct Steps {
    experiment: &'static dyn Experiment,
    before: Step,
    last: Step,
}

static EXPERIMENTS: [Steps; 6] = [
    steps(&cpu::BusyLoop),
    steps(&memory::OneMegabyteTooMany),
    steps(&pids::ForkLoop),
    steps(&io::DirectWriter),
    steps(&syscalls::ForbiddenCalls),
    steps(&caps::RootNoMore),
];

const fn steps(experiment: &'static dyn Experiment) -> Steps {
    Steps { experiment, before: Step { experiment, last: false }, last: Step { experiment, last: true } }
}

/// The primitives whose effect can be measured.
pub fn primitives() -> Vec<&'static str> {
    EXPERIMENTS.iter().map(|s| s.experiment.primitive()).collect()
}

/// Starts the job's container once more, up to and including this primitive (where it is not left out), and measures
/// what the primitive does. `None`: there is no experiment for it.
///
/// # Errors
/// When the container cannot be started, or the user interrupts.
pub fn prove(primitive: &dyn Primitive, job: &Job<'_>) -> Result<Option<Proof>> {
    let Some(steps) = EXPERIMENTS.iter().find(|s| s.experiment.primitive() == primitive.name()) else {
        return Ok(None);
    };
    let experiment = steps.experiment;
    let (verdict, notes) = match possible(primitive, experiment, job) {
        Ok(()) => measure(primitive, steps, job)?,
        Err(why) => (Verdict::unproved(why, vec![]), vec![]),
    };
    Ok(Some(Proof {
        primitive: primitive.name(),
        claim: experiment.claim(job.spec),
        held: verdict.held && verdict.unproved.is_none(),
        unproved: verdict.unproved,
        measured: verdict.measured,
        notes,
    }))
}

fn possible(primitive: &dyn Primitive, experiment: &dyn Experiment, job: &Job<'_>) -> std::result::Result<(), String> {
    if !primitive.wanted(job.spec) {
        return Err("nothing of the kind is asked for".into());
    }
    primitive.needs().iter().try_for_each(|need| (need.probe)(job.spec)).map_err(|lack| lack.reason)?;
    experiment.prepare(job.spec, job.state)
}

fn measure(primitive: &dyn Primitive, steps: &'static Steps, job: &Job<'_>) -> Result<(Verdict, Vec<String>)> {
    let own = number(primitive.name());
    let mut prefix: Vec<&'static dyn Primitive> = job.prefix.iter().copied().filter(|p| !p.is_last()).collect();
    prefix.retain(|p| number(p.name()) <= own);
    // Also where the primitive is left out: then nothing lies between, and both measure the same.
    let at = prefix.iter().position(|p| number(p.name()) >= own).unwrap_or(prefix.len());
    prefix.insert(at, &steps.before);
    prefix.push(&steps.last);
    let again = Job { prefix, watcher: None, ..*job };
    let mut running = spawn::start(&again)?;
    let notes = std::mem::take(&mut running.host.notes);
    let counters = running.host.cgroup.as_ref().map(|c| c.counters()).unwrap_or_default();
    let end = process::wait(running.pid)?;
    let verdict = steps.experiment.judge(&Evidence { spec: job.spec, reports: &running.host.measured, counters, end });
    running.finish()?;
    Ok((verdict, notes))
}

/// One step of an experiment.
struct Step {
    experiment: &'static dyn Experiment,
    last: bool,
}

impl Primitive for Step {
    fn name(&self) -> &'static str {
        "prove"
    }

    fn summary(&self) -> &'static str {
        "an experiment"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn changes(&self) -> &'static [Fact] {
        &[]
    }

    fn is_last(&self) -> bool {
        self.last
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        if self.last {
            guest.measured(self.experiment.run(guest.spec)?)?;
            // In place of execve: the parent hears the end of the wire.
            process::exit_now(0)
        }
        match self.experiment.also_before() {
            true => guest.measured(self.experiment.run(guest.spec)?),
            false => Ok(()),
        }
    }
}

static LESSON: Lesson = Lesson { what: "", why: "", kernel: "", by_hand: "", docker: "", pages: "" };

/// Encodes a report. Numbers and strings only: it cannot fail.
fn encode(report: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(report).unwrap_or_default()
}

/// How one attempt of a forbidden thing went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Attempt {
    /// The kernel did it.
    Done,
    /// It refused, with this errno.
    Refused(i32),
    /// It killed whoever asked, with this signal.
    Killed(i32),
}

impl Attempt {
    /// Tries something in a process of its own, which ends with it: so neither its effect nor the kernel's anger lasts.
    ///
    /// # Errors
    /// EAGAIN at a limit on processes.
    fn at(what: impl FnOnce() -> nix::Result<()>) -> Result<Attempt> {
        match process::fork()? {
            // The largest errno is 133, which fits into an exit code.
            None => process::exit_now(what().err().map_or(0, |e| e as i32)),
            Some(child) => Ok(match process::wait(child)? {
                End::Code(0) => Attempt::Done,
                End::Code(errno) => Attempt::Refused(errno),
                End::Signal(signal) => Attempt::Killed(signal),
            }),
        }
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Attempt::Done => write!(f, "done"),
            Attempt::Refused(errno) => write!(f, "{:?}", nix::errno::Errno::from_raw(*errno)),
            Attempt::Killed(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_experiment_is_about_a_primitive() {
        for name in primitives() {
            assert!(number(name).is_some(), "{name}");
        }
    }
}
