//! limit-memory: a process that allocates and touches more than the limit, one megabyte at a time. It is killed at the
//! limit, and the kernel counts it. Without a limit it stops by itself, a little above.

use super::{Evidence, Experiment, Verdict, encode};
use crate::error::{Error, Result};
use crate::spec::Spec;
use crate::state::State;
use crate::sys::process::{self, End};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

/// See the head of this file.
pub struct OneMegabyteTooMany;

const MB: i64 = 1 << 20;
/// How far above the limit it goes. The kernel charges in batches, and lets a dying process have a little more.
const ABOVE: i64 = 32;

#[derive(Serialize, Deserialize)]
struct Report {
    /// What it had touched, in megabytes.
    touched: i64,
    /// The signal that ended it.
    signal: Option<i32>,
}

fn limit(spec: &Spec) -> Option<i64> {
    spec.memory()?.limit().filter(|&l| l > 0)
}

/// What can be touched before it is too much, in megabytes: memory, and swap where there is some.
fn enough(spec: &Spec) -> Option<i64> {
    let limit = limit(spec)?;
    let swap = spec.memory()?.swap().unwrap_or(-1);
    let total = if meminfo("SwapTotal:") == 0 { limit } else { swap.max(limit) };
    Some((total + MB - 1) / MB)
}

/// A line of /proc/meminfo, in bytes.
fn meminfo(key: &str) -> i64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kb = text.lines().find_map(|l| l.strip_prefix(key)?.trim().strip_suffix(" kB")?.parse::<i64>().ok());
    kb.unwrap_or(0) << 10
}

impl Experiment for OneMegabyteTooMany {
    fn primitive(&self) -> &'static str {
        "limit-memory"
    }

    fn claim(&self, spec: &Spec) -> String {
        match enough(spec) {
            Some(mb) => format!("a process that touches more than {mb} MB is killed"),
            None => "a process that touches too much is killed".into(),
        }
    }

    fn prepare(&self, spec: &Spec, _: &State) -> std::result::Result<(), String> {
        let memory = spec.memory();
        let Some(enough) = enough(spec) else { return Err("no limit on memory is asked for".into()) };
        if memory.and_then(|m| m.disable_oom_killer()) == Some(true) {
            return Err("the spec turns the OOM killer off, so the process would wait for ever".into());
        }
        if memory.and_then(|m| m.swap()).is_none_or(|s| s < 0) && meminfo("SwapTotal:") > 0 {
            return Err("swap is not limited, and filling it all would harm the machine".into());
        }
        // Room for as much again, so that the container's limit is met and not the machine's.
        if (enough + ABOVE) * MB * 2 > meminfo("MemAvailable:") + meminfo("SwapFree:") {
            return Err(format!("this machine has no {} MB to spare", (enough + ABOVE) * 2));
        }
        Ok(())
    }

    fn run(&self, spec: &Spec) -> Result<serde_json::Value> {
        let goal = enough(spec).unwrap_or(0) + ABOVE;
        let (mut progress, step) = std::io::pipe().map_err(|e| Error::io("pipe2()", &e))?;
        // A process of its own, the largest one here, so that the kernel chooses it and we can tell of it.
        let Some(child) = process::fork()? else {
            drop(progress);
            touch(goal, step);
            process::exit_now(0)
        };
        drop(step);
        // One byte for each megabyte; what the kernel killed says no more.
        let mut steps = Vec::new();
        progress.read_to_end(&mut steps).map_err(|e| Error::io("read(the progress)", &e))?;
        let signal = match process::wait(child)? {
            End::Signal(signal) => Some(signal),
            End::Code(_) => None,
        };
        Ok(encode(&Report { touched: steps.len() as i64, signal }))
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        let killed = evidence.counters.oom_kill.unwrap_or(0);
        let counted = match evidence.counters.oom_kill {
            Some(n) => format!("oom_kill {n}"),
            None => "oom_kill is not counted: it was in no cgroup with a memory controller".into(),
        };
        let (by_signal, felt) = match (evidence.report::<Report>(0), evidence.end) {
            (Some(Report { touched, signal: Some(9) }), _) => (true, format!("killed after {touched} MB")),
            (Some(Report { touched, .. }), _) => (false, format!("touched {touched} MB and lived")),
            // The limit was so small that process 1 was as good as any.
            (None, End::Signal(9)) => (true, "killed, and process 1 with it".into()),
            (None, _) => return Verdict::unproved("the experiment ended without a word", vec![counted]),
        };
        Verdict::new(by_signal && killed > 0, vec![felt, counted])
    }
}

fn touch(megabytes: i64, mut step: impl Write) {
    let mut all = Vec::new();
    for _ in 0..megabytes {
        // Not zeroes: those could be one page, many times.
        all.push(std::hint::black_box(vec![0xa5_u8; MB as usize]));
        let _ = step.write_all(b".");
    }
    std::hint::black_box(&all);
}
