//! limit-pids: a fork loop. It is refused at the limit, and the kernel counts that. Its children only wait for the end
//! of a pipe, so they all go with the experiment, whatever becomes of it; without a limit it stops by itself.

use super::{Evidence, Experiment, Verdict, encode};
use crate::error::{Error, Result};
use crate::spec::Spec;
use crate::state::State;
use crate::sys::process;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::io::Read;

/// See the head of this file.
pub struct ForkLoop;

/// How far above the limit it goes.
const ABOVE: i64 = 16;
/// More children than this would be a burden even for the moment that they live.
const MOST: i64 = 4096;

#[derive(Serialize, Deserialize)]
struct Report {
    /// Processes there were, with the one that forked.
    processes: i64,
    /// What fork(2) said at last.
    refused: Option<i32>,
}

fn limit(spec: &Spec) -> Option<i64> {
    spec.pids_limit().filter(|&l| l > 0)
}

impl Experiment for ForkLoop {
    fn primitive(&self) -> &'static str {
        "limit-pids"
    }

    fn claim(&self, spec: &Spec) -> String {
        format!("a fork loop stops at {} processes", limit(spec).unwrap_or(0))
    }

    fn prepare(&self, spec: &Spec, _: &State) -> std::result::Result<(), String> {
        match limit(spec) {
            None => Err("no limit on processes is asked for".into()),
            Some(limit) if limit > MOST => {
                Err(format!("without harm it can be tried with up to {MOST} processes; --pids-limit {MOST}"))
            }
            Some(_) => Ok(()),
        }
    }

    fn run(&self, spec: &Spec) -> Result<serde_json::Value> {
        let (mut end, hold) = std::io::pipe().map_err(|e| Error::io("pipe2()", &e))?;
        let (mut children, mut refused) = (Vec::new(), None);
        while (children.len() as i64) < limit(spec).unwrap_or(0) + ABOVE {
            match process::fork() {
                Ok(Some(child)) => children.push(child),
                Ok(None) => {
                    drop(hold);
                    let _ = end.read(&mut [0]);
                    process::exit_now(0)
                }
                Err(e) => {
                    refused = e.errno;
                    break;
                }
            }
        }
        drop(hold);
        let processes = children.len() as i64 + 1;
        children.into_iter().try_for_each(|child| process::wait(child).map(drop))?;
        Ok(encode(&Report { processes, refused }))
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        let Some(Report { processes, refused }) = evidence.report::<Report>(0) else {
            return Verdict::silent();
        };
        let limit = limit(evidence.spec).unwrap_or(0);
        let refusals = evidence.counters.pids_max.unwrap_or(0);
        let felt = match refused {
            Some(errno) => format!("{processes} processes, then fork() => {:?}", Errno::from_raw(errno)),
            None => format!("{processes} processes, and fork() refused none"),
        };
        let counted = match evidence.counters.pids_max {
            Some(n) => format!("pids.events: max {n}"),
            None => "refusals are not counted: it was in no cgroup with a pids controller".into(),
        };
        // EAGAIN may also come from RLIMIT_NPROC: only the cgroup's own counter says that it was this limit.
        let held = refused == Some(Errno::EAGAIN as i32) && processes <= limit && refusals > 0;
        Verdict::new(held, vec![felt, counted])
    }
}
