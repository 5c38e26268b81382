//! `events`: what happened to containers, and what happens.

use super::{format, value, word, words};
use crate::cli::template::{self, Format};
use crate::container::events::{Event, Reader};
use crate::container::store::Store;
use crate::container::times;
use crate::error::{Error, Result};
use clap::{ArgAction, ArgMatches, Command};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;

pub fn commands() -> Vec<Command> {
    vec![Command::new("events").about("What happens to containers, as it happens").defer(|c| {
        let filter = "Only those: container, event, image, label, type, volume, network, scope";
        c.arg(value("since", None, "TIME", "Also what happened since: 2026-01-31T12:00:00Z, or 10m"))
            .arg(value("until", None, "TIME", "Only until then; a time to come is waited for"))
            .arg(value("filter", Some('f'), "KEY=VALUE", filter).action(ArgAction::Append))
            .arg(value("format", None, "FORMAT", "json, or a template: {{.Action}} {{json .Actor}}"))
    })]
}

pub fn dispatch(name: &str, matches: &ArgMatches, store: Store<'_>) -> Option<Result<ExitCode>> {
    (name == "events").then(|| events(matches, store))
}

fn events(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let format = format(matches)?;
    let filters = filters(&words(matches, "filter"))?;
    let time = |flag: &str| word(matches, flag).map(|text| times::parse(&format!("--{flag}"), text)).transpose();
    let (since, until) = (time("since")?, time("until")?);
    // With only an end, docker begins with all that it knows.
    let mut reader = Reader::new(store.state, since.is_some() || until.is_some())?;
    let bell = reader.bell()?;
    loop {
        for event in reader.look() {
            let in_time = since.is_none_or(|t| event.time_nano >= t) && until.is_none_or(|t| event.time_nano <= t);
            if in_time && passes(&event, &filters) {
                let line = line(&event, &format)? + "\n";
                if std::io::stdout().write_all(line.as_bytes()).is_err() {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        let left = until.map(|until| until - times::now());
        if left.is_some_and(|left| left <= 0) || !wait(&bell, left)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Sleeps until something happens or the time (in nanoseconds) is over. False when nobody reads us any more.
fn wait(bell: &nix::sys::inotify::Inotify, left: Option<i64>) -> Result<bool> {
    let stdout = std::io::stdout();
    // Without any bits of its own: only the end of its reader wakes us.
    let mut fds = [PollFd::new(bell.as_fd(), PollFlags::POLLIN), PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let timeout =
        left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left / 1_000_000 + 1).unwrap_or(PollTimeout::MAX));
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(e) => return Err(Error::call("poll(the journal)", e)),
    }
    let gone = fds[1].any().unwrap_or(false);
    while bell.read_events().is_ok_and(|events| !events.is_empty()) {}
    Ok(!gone)
}

/// docker's: `TIME container start ID (image=host, name=web)`.
fn line(event: &Event, format: &Format) -> Result<String> {
    let wrong = |e| Error::new(format!("an event as JSON: {e}"));
    match format {
        Format::Table => {
            let attributes: Vec<String> = event.actor.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let attributes =
                if attributes.is_empty() { String::new() } else { format!(" ({})", attributes.join(", ")) };
            let time = times::rfc3339(event.time_nano);
            Ok(format!("{time} {} {} {}{attributes}", event.kind, event.action, event.actor.id))
        }
        Format::Json => serde_json::to_string(event).map_err(wrong),
        Format::Template(template, _) => {
            let whole = serde_json::to_value(event).map_err(wrong)?;
            // docker's templates have other names for some of it.
            let object = json!({
                "Status": event.action,
                "ID": event.actor.id,
                "From": event.from,
                "Type": event.kind,
                "Action": event.action,
                "Actor": whole["Actor"],
                "Scope": event.scope,
                "Time": event.time,
                "TimeNano": event.time_nano,
            });
            template::fill(template, if template.shows_all() { &whole } else { &object })
        }
    }
}

const KEYS: [&str; 8] = ["container", "event", "image", "label", "type", "volume", "network", "scope"];

fn filters<'a>(given: &[&'a str]) -> Result<Vec<(&'a str, &'a str)>> {
    let one = |text: &&'a str| {
        text.split_once('=').filter(|(key, _)| KEYS.contains(key)).ok_or_else(|| {
            Error::new(format!("--filter {text}: no such filter")).hint(
                "container=NAME, event=start, image=IMAGE, label=KEY, label=KEY=VALUE, type=container, volume=NAME",
            )
        })
    };
    given.iter().map(one).collect()
}

/// docker's: of one kind any must hold, of different kinds all; every label must.
fn passes(event: &Event, filters: &[(&str, &str)]) -> bool {
    let attribute = |key: &str| event.actor.attributes.get(key).map(String::as_str);
    let named = |kind: &str, value: &str| {
        event.kind == kind && (attribute("name") == Some(value) || event.actor.id.starts_with(value))
    };
    let holds = |(key, value): &(&str, &str)| match *key {
        // `health_status` is the beginning of `health_status: healthy`.
        "event" => event.action == *value || event.action.split(':').next() == Some(value),
        "image" => event.from == *value || named("image", value),
        "label" => match value.split_once('=') {
            Some((key, value)) => attribute(key) == Some(value),
            None => attribute(value).is_some(),
        },
        "type" => event.kind == *value,
        "scope" => event.scope == *value,
        // A volume's events, and those of others that are about it.
        kind => named(kind, value) || event.kind != kind && attribute(kind) == Some(value),
    };
    filters.iter().all(|filter| {
        filter.0 == "label" && holds(filter)
            || filter.0 != "label" && filters.iter().filter(|f| f.0 == filter.0).any(holds)
    })
}
