//! The commands about containers that are kept: creating and starting them, looking at them, ending them, removing them.
//! Names, flags, columns and exit codes are docker's.

mod cp;
pub(super) mod end;
mod events;
mod exec;
pub(super) mod inspect;
mod logs;
pub(super) mod look;
pub(super) mod prune;
pub(super) mod sizes;
mod start;
mod usage;

use super::template;
use crate::container::store::{Container, Store};
use crate::error::{Error, Result};
use crate::state::State;
use crate::sys::process;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::process::ExitCode;

pub use start::{is_kept, run, run_alone};

/// Their command lines.
pub fn commands() -> Vec<Command> {
    let own = vec![exec::command(), inspect::command(), logs::command()];
    [start::commands(), own, end::commands(), look::commands(), usage::commands(), events::commands(), cp::commands()]
        .concat()
}

/// `container`: the same commands once more, in docker's group of them.
pub fn group() -> Command {
    Command::new("container")
        .about("The commands about containers, as a group: ls, rm, prune and all the others")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .defer(|c| {
            let own = commands().into_iter().filter(|c| c.get_name() != "events").map(|c| match c.get_name() {
                "ps" => c.name("ls").visible_aliases(["list", "ps"]),
                _ => c,
            });
            c.subcommands(own).subcommand(super::run::command()).subcommand(prune::command())
        })
}

/// Runs one of the group.
///
/// # Errors
/// 125 and what it says.
pub fn run_group(matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("prune", sub)) => prune::run(sub, Store::new(state)),
        Some(("full-run", sub)) => super::run::run(sub, state),
        Some((name, sub)) => {
            let name = if name == "ls" { "ps" } else { name };
            dispatch(name, sub, state).unwrap_or_else(|| Err(Error::new("no subcommand")))
        }
        None => Err(Error::new("no subcommand")),
    }
}

/// Runs one of them; none if it is not one of them.
///
/// # Errors
/// 125 and what it says.
pub fn dispatch(name: &str, matches: &ArgMatches, state: &State) -> Option<Result<ExitCode>> {
    let store = Store::new(state);
    if name == "exec" {
        return Some(exec::run(matches, store));
    }
    start::dispatch(name, matches, store)
        .or_else(|| end::dispatch(name, matches, store))
        .or_else(|| look::dispatch(name, matches, store))
        .or_else(|| usage::dispatch(name, matches, store))
        .or_else(|| events::dispatch(name, matches, store))
        .or_else(|| cp::dispatch(name, matches, store))
        .or_else(|| (name == "inspect").then(|| inspect::run(matches, store)))
        .or_else(|| (name == "logs").then(|| logs::run(matches, store)))
}

/// The flags of `full-run` and `create` that are about the container's life.
pub fn life_flags(command: Command) -> Command {
    start::life_flags(command)
}

/// CONTAINER…
fn containers() -> Arg {
    Arg::new("containers")
        .value_name("CONTAINER")
        .num_args(1..)
        .required(true)
        .help("Name, id, or the beginning of an id")
}

fn one_container() -> Arg {
    Arg::new("containers").value_name("CONTAINER").required(true).help("Name, id, or the beginning of an id")
}

pub(super) fn words<'a>(matches: &'a ArgMatches, name: &str) -> Vec<&'a str> {
    let words = matches.try_get_many::<String>(name).ok().flatten();
    words.map(|w| w.map(String::as_str).collect()).unwrap_or_default()
}

pub(super) fn word<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}

pub(super) fn value(name: &'static str, short: Option<char>, of: &'static str, help: &'static str) -> Arg {
    let arg = Arg::new(name).long(name).value_name(of).help(help);
    short.map_or(arg.clone(), |short| arg.short(short))
}

pub(super) fn flag(name: &'static str, short: Option<char>, help: &'static str) -> Arg {
    let arg = Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    short.map_or(arg.clone(), |short| arg.short(short))
}

pub(super) fn format_flag() -> Arg {
    value("format", None, "FORMAT", "table, json, [table] and a template: {{.Names}} {{json .Labels}}")
}

pub(super) fn format(matches: &ArgMatches) -> Result<template::Format> {
    template::parse(word(matches, "format").unwrap_or_default())
}

/// The container of that name, after the truth about it has been written down.
fn find<'a>(store: Store<'a>, word: &str) -> Result<Container<'a>> {
    let container = store.find(word)?;
    container.settle();
    // With --rm, settling may have removed it.
    store.find(word)
}

/// Does something with each, prints the words that it was called by, and goes on after a failure: the exit code is 1
/// when one failed, as docker's.
fn each(store: Store<'_>, names: &[&str], work: impl Fn(Container<'_>) -> Result<()>) -> Result<ExitCode> {
    each_name(names, |name| find(store, name).and_then(&work))
}

/// The same, for things of any kind that have names.
pub(super) fn each_name(names: &[&str], work: impl Fn(&str) -> Result<()>) -> Result<ExitCode> {
    let mut failed = false;
    for name in names {
        match work(name) {
            Ok(()) => crate::ui::print(&format!("{name}\n")),
            Err(e) => {
                eprint!("{}", crate::ui::error(&e.to_string()));
                failed = true;
            }
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// As [`each`], for what may take its time: all at once, and told in the order in which they were named.
fn all_at_once(store: Store<'_>, names: &[&str], work: impl Fn(Container<'_>) -> Result<()>) -> Result<ExitCode> {
    if names.len() < 2 {
        return each(store, names, work);
    }
    let mut at_work = Vec::new();
    for name in names {
        match process::fork()? {
            Some(pid) => at_work.push((name, pid)),
            None => {
                let done = find(store, name).and_then(&work);
                if let Err(e) = &done {
                    eprint!("{}", crate::ui::error(&e.to_string()));
                }
                process::exit_now(i32::from(done.is_err()));
            }
        }
    }
    let mut failed = false;
    for (name, pid) in at_work {
        match process::wait(pid)? {
            process::End::Code(0) => crate::ui::print(&format!("{name}\n")),
            _ => failed = true,
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// A signal by name (`TERM`, `SIGTERM`) or number.
fn signal(text: &str) -> Result<i32> {
    let wrong = || Error::new(format!("{text}: no such signal")).hint("kill -l lists them: TERM, SIGKILL, 9");
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=libc::SIGRTMAX()).contains(&number) { Ok(number) } else { Err(wrong()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |rest: &str, from: i32, sign: i32| match rest {
        "" => Some(from),
        rest => rest.strip_prefix(['+', '-']).and_then(|n| n.parse::<i32>().ok()).map(|n| from + sign * n),
    };
    name.strip_prefix("RTMIN")
        .and_then(|rest| real_time(rest, libc::SIGRTMIN(), 1))
        .or_else(|| name.strip_prefix("RTMAX").and_then(|rest| real_time(rest, libc::SIGRTMAX(), -1)))
        .or_else(|| format!("SIG{name}").parse::<nix::sys::signal::Signal>().ok().map(|s| s as i32))
        .filter(|n| (1..=libc::SIGRTMAX()).contains(n))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    #[test]
    fn signals_have_names_and_numbers() {
        let number = |text| super::signal(text).ok();
        assert_eq!([number("TERM"), number("sigterm"), number("15")], [Some(15); 3]);
        assert_eq!(number("RTMIN+1"), Some(libc::SIGRTMIN() + 1));
        assert_eq!([number("0"), number("NONSENSE"), number("99"), number("")], [None; 4]);
    }
}
