//! The command line. Stage commands are generated from the list; their flags are the knobs of the primitives so far.
//! Only the subcommand that is called is built (clap's `defer`), because building all of them costs more than a
//! namespace.

mod completion;
mod container;
mod draw;
pub mod flags;
mod lab;
mod list;
mod run;
mod stage;
mod system;
mod template;
mod volume;

use crate::error::{Error, Result, code};
use crate::primitive::LIST;
use crate::state::State;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Parses the command line and runs what it says.
///
/// # Errors
/// Everything that can go wrong, once.
pub fn main() -> Result<ExitCode> {
    let matches = match parse(std::env::args_os().collect()) {
        Ok(matches) => matches,
        Err(e) => {
            let _ = e.print();
            if e.kind() == ErrorKind::InvalidSubcommand {
                eprintln!("\n'boxwright stages' lists the stages in their order.");
            }
            // docker's: a usage error is boxwright's own failure, and no exit code of the command's.
            return Ok(if e.use_stderr() { ExitCode::from(code::FAILED) } else { ExitCode::SUCCESS });
        }
    };
    let root = matches.get_one::<PathBuf>("root").map(PathBuf::as_path);
    let Some((name, sub)) = matches.subcommand() else { return Err(Error::new("no subcommand")) };
    dispatch(name, sub, root)
}

/// Reads the command line with the habits of docker's (Go's) flags on top: a switch may say its value (`--rm=true`,
/// `--tty=false`). clap has no such switches, but it says exactly which one it stumbled over.
fn parse(mut args: Vec<OsString>) -> std::result::Result<ArgMatches, clap::Error> {
    loop {
        match command().try_get_matches_from(&args) {
            Err(e) if take_value(&e, &mut args) => {}
            Err(e) => return Err(explained(e)),
            Ok(matches) => return Ok(matches),
        }
    }
}

/// The value goes; with one that means no, the switch does, too. False: it was another error.
fn take_value(error: &clap::Error, args: &mut Vec<OsString>) -> bool {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (Some(switch), Some(value)) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue)) else {
        return false;
    };
    let at = args.iter().position(|arg| *arg == *format!("{switch}={value}"));
    // What Go's strconv.ParseBool takes.
    let on = match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        _ => return false,
    };
    match at {
        Some(at) if error.kind() == ErrorKind::TooManyValues && on => args[at] = switch.into(),
        Some(at) if error.kind() == ErrorKind::TooManyValues => drop(args.remove(at)),
        _ => return false,
    }
    true
}

/// For a flag that is not known, clap proposes to pass it as a value: here that would make it the image's name.
fn explained(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument {
        error.remove(ContextKind::Suggested);
        if let Some(ContextValue::String(arg)) = error.get(ContextKind::InvalidArg)
            && let Some(said) = crate::lab::chapter::missing_flag(arg.trim_start_matches('-'))
        {
            error.remove(ContextKind::SuggestedArg);
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![said.into()]));
        }
    }
    error
}

fn dispatch(name: &str, sub: &ArgMatches, root: Option<&Path>) -> Result<ExitCode> {
    let state = || State::find(root);
    match name {
        "stages" => list::stages(sub),
        "explain" => list::explain(sub),
        "doctor" => list::doctor(sub, &state()?),
        "draw" => draw::run(sub, &state()?),
        "lab" => lab::run(sub, &state()?),
        "full-run" => run::run(sub, &state()?),
        "volume" => volume::run(sub, &state()?),
        "completion" => completion::completion(sub),
        "man" => completion::man(sub),
        "system" => system::run(sub, &state()?),
        other => {
            let state = state()?;
            container::dispatch(other, sub, &state).unwrap_or_else(|| stage::run(other, sub, &state))
        }
    }
}

/// The whole command line. Also what man pages and completions are made from.
pub fn command() -> Command {
    let mut all = Command::new("boxwright")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Builds a Linux container one kernel primitive at a time, and shows after each one what changed")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        // docker's: of a flag that is given twice the last one counts.
        .args_override_self(true)
        .max_term_width(100)
        .arg(
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .env_from("BOXWRIGHT_ROOT")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Keep all state below DIR [env: BOXWRIGHT_ROOT]"),
        )
        .subcommand(
            Command::new("stages")
                .about("List the stages, in the order of the list")
                .defer(|c| c.arg(format_flag(&["text", "json", "markdown"]))),
        )
        .subcommand(
            Command::new("explain").about("Teach one stage: what, why, the kernel calls, by hand, in docker").defer(
                |c| {
                    c.arg(Arg::new("stage").value_name("STAGE").required(true).help("A stage's name or number"))
                        .arg(format_flag(&["text", "json"]))
                },
            ),
        )
        .subcommand(
            Command::new("doctor")
                .about("Say what this machine can and cannot do, and how to mend it")
                .defer(|c| c.arg(format_flag(&["text", "json"]))),
        )
        .subcommand(draw::command());
    for primitive in &LIST[..LIST.len() - 1] {
        all = all.subcommand(stage::command(*primitive));
    }
    all.subcommand(run::command())
        .subcommands(container::commands())
        .subcommand(volume::command())
        .subcommand(system::command())
        .subcommands(completion::commands())
        .subcommand(lab::command())
}

fn format_flag(values: &'static [&'static str]) -> Arg {
    Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .value_parser(values.to_vec())
        .default_value(values[0])
        .help("How to print it")
}

/// clap's `env` feature would read every flag's variable; we have one.
trait EnvFrom {
    fn env_from(self, variable: &'static str) -> Self;
}

impl EnvFrom for Arg {
    fn env_from(self, variable: &'static str) -> Self {
        match std::env::var_os(variable).filter(|v| !v.is_empty()) {
            Some(value) => self.default_value(clap::builder::OsStr::from(value)),
            None => self,
        }
    }
}

/// Was a switch given? Not every command has every switch.
fn is_on(matches: &ArgMatches, name: &str) -> bool {
    matches.try_get_one::<bool>(name).ok().flatten().is_some_and(|on| *on)
}

/// A switch.
fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
