//! `cp`: copies files between a container and the host.

use super::{find, flag, word};
use crate::cli::is_on;
use crate::container::copy::{self, Asked, Copied, How};
use crate::container::events;
use crate::container::store::Store;
use crate::error::{Error, Result};
use clap::{Arg, ArgMatches, Command};
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

pub fn commands() -> Vec<Command> {
    vec![
        Command::new("cp")
            .about("Copy files out of a container or into one, also while it does not run")
            .override_usage(
                "boxwright cp [OPTIONS] CONTAINER:SOURCE DEST|-\n       boxwright cp [OPTIONS] SOURCE|- CONTAINER:DEST",
            )
            .defer(|c| {
                let path =
                    |name, of, help| Arg::new(name).value_name(of).required(true).allow_hyphen_values(true).help(help);
                c.arg(path(
                    "source",
                    "SOURCE",
                    "CONTAINER:PATH, a path, or - for a stream of tar; DIR/. is what is in DIR",
                ))
                .arg(path("dest", "DEST", "The same; a directory takes the source in"))
                .arg(flag(
                    "archive",
                    Some('a'),
                    "With user and group, by number [default: yours; root's in a container]",
                ))
                .arg(flag("follow-link", Some('L'), "What SOURCE links to, and not the link"))
                .arg(flag("quiet", Some('q'), "Do not say what was copied"))
            }),
    ]
}

pub fn dispatch(name: &str, matches: &ArgMatches, store: Store<'_>) -> Option<Result<ExitCode>> {
    (name == "cp").then(|| cp(matches, store))
}

/// `CONTAINER:PATH`; none for a path of ours. docker's rule: what begins with `/` or `.` is ours, whatever is in it.
fn split(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(['/', '.']) {
        None
    } else {
        text.split_once(':').filter(|(container, _)| !container.is_empty())
    }
}

fn cp(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let (source, dest) = (word(matches, "source").unwrap_or_default(), word(matches, "dest").unwrap_or_default());
    let how = How { archive: is_on(matches, "archive"), follow: is_on(matches, "follow-link") };
    let here = std::env::current_dir().map_err(|e| Error::io("getcwd()", &e))?;
    let ours = |text: &str| {
        if text.is_empty() { Err(Error::new("an empty path")) } else { Ok(Asked::new(text, &here)) }
    };
    let theirs = |text: &str| Asked::new(text, Path::new("/"));
    let (name, copied, event) = match (split(source), split(dest)) {
        (Some(_), Some(_)) => {
            return Err(Error::new("both are in containers").hint("boxwright cp A:PATH - | boxwright cp - B:PATH"));
        }
        (None, None) => {
            return Err(Error::new("neither is in a container").hint("boxwright cp CONTAINER:PATH DEST"));
        }
        (Some((name, path)), None) => {
            let container = find(store, name)?;
            let copied = match dest {
                "-" => copy::out_stream(&container, &theirs(path), &stream(&std::io::stdout())?, how),
                dest => copy::out(&container, &theirs(path), &ours(dest)?, how),
            };
            (name, copied?, "archive-path")
        }
        (None, Some((name, path))) => {
            let container = find(store, name)?;
            let copied = match source {
                "-" => copy::into_stream(&container, &stream(&std::io::stdin())?, &theirs(path)),
                source => copy::into(&container, &ours(source)?, &theirs(path), how),
            };
            (name, copied?, "extract-to-dir")
        }
    };
    if let Ok(container) = store.find(name) {
        events::note(&container, event, &[]);
    }
    say(matches, dest, &copied);
    Ok(ExitCode::SUCCESS)
}

fn stream(stream: &(impl IsTerminal + AsFd)) -> Result<OwnedFd> {
    if stream.is_terminal() {
        return Err(
            Error::new("- is a stream of tar, and this is a terminal").hint("boxwright cp CONTAINER:PATH - | tar -t")
        );
    }
    stream.as_fd().try_clone_to_owned().map_err(|e| Error::io("dup()", &e))
}

fn say(matches: &ArgMatches, dest: &str, copied: &Copied) {
    copied.notes.iter().for_each(|note| eprintln!("boxwright: note: {note}"));
    if !is_on(matches, "quiet") && dest != "-" {
        eprintln!("Successfully copied {} to {dest}", super::usage::bytes(copied.bytes, 1000.0));
    }
}
