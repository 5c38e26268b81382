//! Health checks: a command that is run in the container again and again, and says by its exit code whether what runs
//! there is of any use. The monitor keeps the time ([`checks`]); each probe is a process of its own ([`probe`]), which
//! writes down what it found in the container's directory. What counts as healthy, and when, is as docker has it.

pub mod checks;
pub mod probe;

use super::store::{self, Container};
use super::times;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// What is asked, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// docker's form: `CMD-SHELL` and a line for the shell, or `CMD` and the words of a command.
    pub test: Vec<String>,
    /// From the end of one probe to the next, once it has started.
    pub interval: Duration,
    /// A probe that takes longer is killed, and has failed.
    pub timeout: Duration,
    /// So long it may take to start: until then a failure does not count.
    pub start_period: Duration,
    /// From one probe to the next until then.
    pub start_interval: Duration,
    /// So many failures in a row make it unhealthy.
    pub retries: u32,
}

impl Check {
    /// docker's defaults.
    pub fn new(test: Vec<String>) -> Check {
        Check {
            test,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            start_period: Duration::ZERO,
            start_interval: Duration::from_secs(5),
            retries: 3,
        }
    }

    /// `--health-cmd`: a line for the shell, or podman's list in JSON, `["CMD", "program", "argument"]`. None: `none`.
    ///
    /// # Errors
    /// A list that is not of that form; nothing.
    pub fn parse(text: &str) -> Result<Option<Check>> {
        let wrong = || {
            Error::new(format!("--health-cmd {text}: not a command"))
                .hint("--health-cmd 'curl -f localhost', or '[\"CMD\", \"curl\", \"-f\", \"localhost\"]'")
        };
        if text.trim_start().starts_with('[') {
            let words: Vec<String> = serde_json::from_str(text).map_err(|_| wrong())?;
            return match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["NONE"] => Ok(None),
                ["CMD", _, ..] | ["CMD-SHELL", _] => Ok(Some(Check::new(words))),
                _ => Err(wrong()),
            };
        }
        match text {
            "none" => Ok(None),
            text if text.trim().is_empty() => Err(wrong()),
            line => Ok(Some(Check::new(vec!["CMD-SHELL".into(), line.into()]))),
        }
    }

    /// The command and its arguments.
    pub fn command(&self) -> Vec<String> {
        match self.test.split_first() {
            Some((kind, line)) if kind == "CMD-SHELL" => {
                ["/bin/sh", "-c"].into_iter().map(str::to_string).chain(line.iter().cloned()).collect()
            }
            Some((_, words)) => words.to_vec(),
            None => vec![],
        }
    }

    /// docker's document about it, with times in nanoseconds.
    pub fn document(&self) -> Value {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        json!({
            "Test": self.test,
            "Interval": nanos(self.interval),
            "Timeout": nanos(self.timeout),
            "StartPeriod": nanos(self.start_period),
            "StartInterval": nanos(self.start_interval),
            "Retries": self.retries,
        })
    }
}

/// What is known of a container's health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing yet.
    #[default]
    Starting,
    /// The last probe went well.
    Healthy,
    /// Too many in a row did not.
    Unhealthy,
}

impl Status {
    /// docker's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Status::Starting => "starting",
            Status::Healthy => "healthy",
            Status::Unhealthy => "unhealthy",
        }
    }
}

/// What one probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When it began: nanoseconds since 1970.
    pub start: i64,
    /// When it ended.
    pub end: i64,
    /// Its exit code; -1 when it took too long.
    pub exit_code: i32,
    /// The first of what it wrote.
    pub output: String,
}

/// All that the probes have found. Of this run of the container; in its directory, written by each probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The sum of it.
    pub status: Status,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last probes.
    pub log: Vec<Probe>,
}

/// So many probes are remembered.
const REMEMBERED: usize = 5;

impl Health {
    /// Of this container; nothing known, if nothing is written down.
    pub fn of(container: &Container<'_>) -> Health {
        store::read(&container.dir().join("health.json")).ok().flatten().unwrap_or_default()
    }

    /// Writes it down. It is of this boot only.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn write(&self, container: &Container<'_>) -> Result<()> {
        store::write(&container.dir(), "health.json", self, false)
    }

    /// Takes in what a probe found; `started` is when the container was.
    pub fn add(&mut self, check: &Check, started: i64, probe: Probe) {
        if probe.exit_code == 0 {
            (self.status, self.failing_streak) = (Status::Healthy, 0);
        } else if self.status != Status::Starting || !is_within(check.start_period, started, probe.start) {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.failing_streak >= check.retries {
                self.status = Status::Unhealthy;
            }
        }
        self.log.push(probe);
        let old = self.log.len().saturating_sub(REMEMBERED);
        self.log.drain(..old);
    }

    /// Is it still allowed to be starting? Then the next probe comes sooner.
    pub fn is_starting(&self, check: &Check, started: i64) -> bool {
        self.status == Status::Starting && is_within(check.start_period, started, times::now())
    }

    /// docker's document about it.
    pub fn document(&self) -> Value {
        let probe = |probe: &Probe| {
            json!({
                "Start": times::rfc3339(probe.start),
                "End": times::rfc3339(probe.end),
                "ExitCode": probe.exit_code,
                "Output": probe.output,
            })
        };
        json!({
            "Status": self.status.word(),
            "FailingStreak": self.failing_streak,
            "Log": self.log.iter().map(probe).collect::<Vec<_>>(),
        })
    }
}

fn is_within(period: Duration, started: i64, time: i64) -> bool {
    i128::from(time) - i128::from(started) < period.as_nanos() as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn probe(at: i64, exit_code: i32) -> Probe {
        Probe { start: at * SECOND, end: at * SECOND, exit_code, output: String::new() }
    }

    fn after(check: &Check, codes: &[(i64, i32)]) -> (Status, u32) {
        let mut health = Health::default();
        codes.iter().for_each(|(at, code)| health.add(check, 0, probe(*at, *code)));
        assert!(health.log.len() <= REMEMBERED);
        (health.status, health.failing_streak)
    }

    #[test]
    fn failures_in_a_row_count() {
        let check = Check::new(vec![]);
        assert_eq!(after(&check, &[]), (Status::Starting, 0));
        assert_eq!(after(&check, &[(1, 1), (2, -1)]), (Status::Starting, 2));
        assert_eq!(after(&check, &[(1, 1), (2, 1), (3, 1)]), (Status::Unhealthy, 3));
        assert_eq!(after(&check, &[(1, 1), (2, 1), (3, 1), (4, 0)]), (Status::Healthy, 0));
        assert_eq!(after(&check, &[(1, 0), (2, 1), (3, 1), (4, 0), (5, 1), (6, 1)]), (Status::Healthy, 2));
    }

    #[test]
    fn a_start_takes_its_time() {
        let check = Check { start_period: Duration::from_secs(10), ..Check::new(vec![]) };
        assert_eq!(after(&check, &[(1, 1), (2, 1), (3, 1), (9, 1)]), (Status::Starting, 0));
        assert_eq!(after(&check, &[(1, 1), (9, 1), (10, 1), (11, 1), (12, 1)]), (Status::Unhealthy, 3));
        // Once it was healthy it has started, and failures count.
        assert_eq!(after(&check, &[(1, 0), (2, 1), (3, 1), (4, 1)]), (Status::Unhealthy, 3));
    }

    #[test]
    fn commands_come_in_two_forms() {
        let command = |text| Check::parse(text).unwrap().map(|check| check.command());
        assert_eq!(command("test -e /x"), Some(vec!["/bin/sh".into(), "-c".into(), "test -e /x".into()]));
        assert_eq!(command("[\"CMD\", \"a\", \"b c\"]"), Some(vec!["a".into(), "b c".into()]));
        assert_eq!((command("none"), command("[\"NONE\"]")), (None, None));
        for bad in ["", "  ", "[\"CMD\"]", "[\"RUN\", \"x\"]", "[1]", "[\"CMD\""] {
            assert!(Check::parse(bad).is_err(), "{bad}");
        }
    }
}
