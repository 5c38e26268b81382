//! `logs`: what a container has printed, all of it or its end, now or as it comes.

use super::{find, flag, value, word};
use crate::cli::is_on;
use crate::container::log::{Entry, Reader, Stream};
use crate::container::store::{Container, Store};
use crate::container::times;
use crate::error::{Error, Result};
use clap::{ArgMatches, Command};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

pub fn command() -> Command {
    Command::new("logs").about("What a container has printed").defer(|c| {
        c.arg(super::one_container())
            .arg(flag("follow", Some('f'), "Wait for more, until it ends"))
            .arg(value("tail", Some('n'), "N", "Only the last N lines [default: all]"))
            .arg(value("since", None, "TIME", "Only what came after: 2026-01-31T12:00:00Z, or 10m"))
            .arg(value("until", None, "TIME", "Only what came before"))
            .arg(flag("timestamps", Some('t'), "Each line with its time"))
    })
}

/// What of a log is shown.
struct Shown {
    since: Option<String>,
    until: Option<String>,
    times: bool,
    /// Of each stream: is a line begun that has no end yet? Its other pieces have no time of their own.
    begun: [Cell<bool>; 2],
}

impl Shown {
    fn has(&self, entry: &Entry) -> bool {
        self.since.as_ref().is_none_or(|since| entry.time >= *since)
            && self.until.as_ref().is_none_or(|until| entry.time < *until)
    }

    fn print(&self, entry: &Entry) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let begun = self.begun[entry.stream as usize].replace(!entry.bytes.ends_with(b"\n"));
        if self.times && !begun {
            bytes.extend_from_slice(format!("{} ", entry.time).as_bytes());
        }
        bytes.extend_from_slice(&entry.bytes);
        match entry.stream {
            Stream::Out => std::io::stdout().write_all(&bytes),
            Stream::Err => std::io::stderr().write_all(&bytes),
        }
    }
}

pub fn run(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let container = find(store, word(matches, "containers").unwrap_or_default())?;
    let time = |flag: &str| word(matches, flag).map(|text| times::parse(&format!("--{flag}"), text)).transpose();
    let tail = match word(matches, "tail") {
        None | Some("all") => usize::MAX,
        Some(n) => {
            n.parse().map_err(|_| Error::new(format!("--tail {n}: not a number of lines")).hint("--tail 20, or all"))?
        }
    };
    let shown = Shown {
        since: time("since")?.map(times::rfc3339),
        until: time("until")?.map(times::rfc3339),
        times: is_on(matches, "timestamps"),
        begun: Default::default(),
    };
    let mut reader = Reader::new(&container.dir(), container.record.log);
    let mut last = Tail { most: tail, entries: VecDeque::new(), lines: 0 };
    while let Some(entry) = reader.next() {
        if !shown.has(&entry) {
            continue;
        }
        // Who reads us may have seen enough.
        if tail != usize::MAX {
            last.push(entry);
        } else if shown.print(&entry).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    for entry in &last.entries {
        if shown.print(entry).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    if is_on(matches, "follow") {
        follow(&container, reader, &shown)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The last lines so far. The pieces of a line, and one at the very end that is not yet whole, are one line.
struct Tail {
    most: usize,
    entries: VecDeque<Entry>,
    /// How many of these end a line.
    lines: usize,
}

impl Tail {
    fn push(&mut self, entry: Entry) {
        let ends = |entry: &Entry| entry.bytes.ends_with(b"\n");
        let whole = ends(&entry);
        self.lines += usize::from(whole);
        self.entries.push_back(entry);
        while self.lines + usize::from(!whole) > self.most {
            match self.entries.pop_front() {
                Some(first) => self.lines -= usize::from(ends(&first)),
                None => return,
            }
        }
    }
}

/// Waits for more until the container has ended, and no policy starts it again.
fn follow(container: &Container<'_>, mut reader: Reader, shown: &Shown) -> Result<()> {
    loop {
        // Asked before the last look, so that nothing which was printed before the end is missed.
        let ended = container.now().is_over() && !container.history().between();
        while let Some(entry) = reader.next() {
            if shown.has(&entry) && shown.print(&entry).is_err() {
                return Ok(());
            }
        }
        if ended || shown.until.as_ref().is_some_and(|until| times::rfc3339(times::now()) > *until) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
