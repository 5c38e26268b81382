//! `full-run`: the whole list, as docker run does it.

use super::{flags, stage};
use crate::container::store::Store;
use crate::error::Result;
use crate::state::State;
use clap::{Arg, ArgMatches, Command};
use std::process::ExitCode;

/// Its command line.
pub fn command() -> Command {
    Command::new("full-run")
        .visible_alias("run")
        .about("Run a command in a container: everything above, together")
        .override_usage("boxwright full-run [OPTIONS] [IMAGE [COMMAND [ARG...]]]\n       boxwright full-run [OPTIONS] --rootfs DIR COMMAND [ARG...]")
        .defer(|c| {
            let c = super::container::life_flags(stage::common(flags::add(c, "full-run")));
            c.disable_help_flag(true)
                .arg(Arg::new("help").long("help").action(clap::ArgAction::Help).help("Print help").help_heading(None))
                .arg(
                    Arg::new("words")
                        .value_name("IMAGE [COMMAND [ARG...]]")
                        .help_heading(None)
                        .num_args(0..)
                        .trailing_var_arg(true)
                        .help("The image, and the command to run in it [default: host, and its shell]"),
                )
        })
}

/// Runs it; the exit code is the command's.
///
/// # Errors
/// 125, 126 or 127 (see [`crate::error::code`]).
pub fn run(matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    if super::container::is_kept(matches) {
        return super::container::run(matches, Store::new(state));
    }
    super::container::run_alone(matches, Store::new(state))
}
