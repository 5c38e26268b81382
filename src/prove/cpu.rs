//! limit-cpu: busy loops for a second of wall-clock time, one more than the quota has CPUs. They get the quota, and
//! the kernel counts the periods in which it had to stop them.

use super::{Evidence, Experiment, Verdict, encode};
use crate::error::{Error, Result};
use crate::spec::Spec;
use crate::state::State;
use crate::sys::process;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// See the head of this file.
pub struct BusyLoop;

const SECONDS: u64 = 1;
/// A period that began before the loop did, and the slices of 5 ms in which the kernel hands out a quota.
const SLACK: f64 = 1.15;

#[derive(Serialize, Deserialize)]
struct Report {
    /// CPU time over wall-clock time.
    cpus: f64,
    /// Which CPUs they could run on.
    allowed: Vec<usize>,
}

/// The quota as a number of CPUs.
fn quota(spec: &Spec) -> Option<f64> {
    let cpu = spec.cpu()?;
    let quota = cpu.quota().filter(|&q| q > 0)?;
    Some(quota as f64 / cpu.period().filter(|&p| p > 0).unwrap_or(100_000) as f64)
}

fn pinned(spec: &Spec) -> Option<Vec<usize>> {
    spec.cpu()?.cpus().as_deref().map(parse_list)
}

/// `0-2,5`
fn parse_list(list: &str) -> Vec<usize> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<usize>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect()
}

impl Experiment for BusyLoop {
    fn primitive(&self) -> &'static str {
        "limit-cpu"
    }

    fn claim(&self, spec: &Spec) -> String {
        let time = quota(spec).map(|cpus| format!("busy loops get {cpus:.2} CPUs and no more"));
        let place = pinned(spec).map(|cpus| format!("they run on CPUs {cpus:?} only"));
        let both: Vec<String> = time.into_iter().chain(place).collect();
        if both.is_empty() { "its weight decides against a rival".into() } else { both.join(", and ") }
    }

    fn prepare(&self, spec: &Spec, _: &State) -> std::result::Result<(), String> {
        let cpus = pinned(spec).unwrap_or_else(allowed).len();
        match quota(spec) {
            Some(quota) if quota >= cpus as f64 => {
                Err(format!("the quota is as much as the {cpus} CPUs there are, so nothing can be more than it"))
            }
            None if pinned(spec).is_none() => {
                Err("only a weight is asked for, and that shows against another cgroup only".into())
            }
            _ => Ok(()),
        }
    }

    fn run(&self, spec: &Spec) -> Result<serde_json::Value> {
        let loops = quota(spec).unwrap_or(0.0).floor() as usize + 1;
        let start = Instant::now();
        for _ in 0..loops {
            if process::fork()?.is_none() {
                while start.elapsed() < Duration::from_secs(SECONDS) {
                    std::hint::black_box((0..1000).sum::<u64>());
                }
                process::exit_now(0);
            }
        }
        (0..loops).try_for_each(|_| process::wait(Pid::from_raw(-1)).map(drop))?;
        let wall = start.elapsed().as_secs_f64();
        let used = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| Error::call("getrusage(RUSAGE_CHILDREN)", e))?;
        let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
        let cpu = seconds(used.user_time()) + seconds(used.system_time());
        Ok(encode(&Report { cpus: cpu / wall, allowed: allowed() }))
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        let Some(report) = evidence.report::<Report>(0) else {
            return Verdict::unproved("the busy loops did not come to an end", vec![]);
        };
        let (mut held, mut measured) = (true, Vec::new());
        if let Some(quota) = quota(evidence.spec) {
            let throttled = evidence.counters.nr_throttled.unwrap_or(0);
            if throttled == 0 && report.cpus < quota * 0.9 && evidence.counters.nr_throttled.is_some() {
                let measured = vec![format!("{:.2} CPUs over {SECONDS} s", report.cpus)];
                return Verdict::unproved("the machine is so busy that it did not get as much as the quota", measured);
            }
            held &= report.cpus <= quota * SLACK + 0.02 && throttled > 0;
            measured.push(format!("{:.2} CPUs over {SECONDS} s", report.cpus));
            measured.push(match evidence.counters.throttled_usec {
                Some(usec) => format!("nr_throttled {throttled}, for {} ms together", usec / 1000),
                None => "nr_throttled is not counted: the loops were in no cgroup with a CPU controller".into(),
            });
            // Others can take so much that nothing reaches the quota; that says nothing about it.
            if report.cpus < quota && throttled == 0 {
                return Verdict::unproved(
                    "this machine is too busy: the loops did not get as far as the quota",
                    measured,
                );
            }
        }
        if let Some(pinned) = pinned(evidence.spec) {
            held &= report.allowed == pinned;
            measured.push(format!("could run on CPUs {:?}", report.allowed));
        }
        Verdict::new(held, measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(parse_list("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(parse_list("3"), [3]);
    }
}
