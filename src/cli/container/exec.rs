//! `exec`: another command in a container that runs. Flags and exit codes are docker's.

use super::{find, flag, one_container, value, word, words};
use crate::cli::is_on;
use crate::cli::{stage, switch};
use crate::container::attach;
use crate::container::exec::{self, How};
use crate::container::store::Store;
use crate::error::Result;
use crate::report::{Several, Trace};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

/// Its command line.
pub fn command() -> Command {
    Command::new("exec").about("Run another command in a running container").defer(|c| {
        let many = |arg: Arg| arg.action(ArgAction::Append).allow_hyphen_values(true);
        let words = Arg::new("command").value_name("COMMAND [ARG...]").required(true).num_args(1..);
        c.arg(flag("detach", Some('d'), "In the background"))
            .arg(value("detach-keys", None, "KEYS", "Leave it with these [default: ctrl-p,ctrl-q]"))
            .arg(many(value("env", Some('e'), "NAME=VALUE", "Set a variable; NAME alone passes it on")))
            .arg(many(value("env-file", None, "FILE", "Environment variables from a file")))
            .arg(flag("interactive", Some('i'), "Keep standard input open"))
            .arg(flag("privileged", None, "All capabilities"))
            .arg(flag("tty", Some('t'), "Give it a terminal"))
            .arg(value("user", Some('u'), "USER", "User in the container, name or number; USER:GROUP"))
            .arg(value("workdir", Some('w'), "DIR", "Working directory in the container"))
            .arg(switch("trace", "Print every kernel call of the set-up as it is made"))
            .arg(one_container())
            .arg(words.trailing_var_arg(true).allow_hyphen_values(true).help("What to run"))
    })
}

/// Runs it; the exit code is the command's.
///
/// # Errors
/// 125, 126 or 127 (see [`crate::error::code`]).
pub fn run(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    stage::must_have_proc()?;
    let container = find(store, word(matches, "containers").unwrap_or_default())?;
    let strings = |name| words(matches, name).into_iter().map(str::to_string).collect::<Vec<_>>();
    let trace = is_on(matches, "trace").then(Trace::new);
    let how = How {
        command: strings("command"),
        env: strings("env"),
        env_file: strings("env-file").into_iter().map(PathBuf::from).collect(),
        user: word(matches, "user").map(str::to_string),
        workdir: word(matches, "workdir").map(str::to_string),
        interactive: is_on(matches, "interactive"),
        tty: is_on(matches, "tty"),
        privileged: is_on(matches, "privileged"),
        detached: is_on(matches, "detach"),
        detach_keys: attach::keys(word(matches, "detach-keys").unwrap_or("ctrl-p,ctrl-q"))?,
        watcher: trace.map(|trace| Rc::new(RefCell::new(Several { trace: Some(trace), report: None })) as _),
    };
    exec::run(&container, how).map(ExitCode::from)
}
