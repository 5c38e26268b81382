//! What a shell offers at each place of the command line: containers in the state that a command is about, volumes, the
//! values that a flag is mostly given, files where a file is meant, and nowhere else.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};

/// What the words of a command are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// What boxwright says, asked in this way.
    Ask(Question),
    /// The same with a colon behind it, or files: `cp`.
    ContainersOrFiles,
    /// The one image.
    Image,
    /// Directories.
    Dirs,
    /// Nothing that could be known.
    Nothing,
}

/// A question to boxwright, and what the shell's function that asks it is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// A word.
    pub name: &'static str,
    /// A command and its flags; its `--format` prints the names.
    pub command: &'static str,
    /// The field of the name.
    pub field: &'static str,
}

const fn question(name: &'static str, command: &'static str, field: &'static str) -> Question {
    Question { name, command, field }
}

pub const ALL: Question = question("containers", "ps -a", "Names");
const ENDED: Question = question("ended", "ps -a -f status=created -f status=exited", "Names");
const UP: Question = question("up", "ps", "Names");
const RUNNING: Question = question("running", "ps -f status=running", "Names");
const PAUSED: Question = question("paused", "ps -f status=paused", "Names");
const VOLUMES: Question = question("volumes", "volume ls", "Name");

/// All that there are.
pub const QUESTIONS: [Question; 6] = [ALL, ENDED, UP, RUNNING, PAUSED, VOLUMES];

fn containers(command: &str) -> Question {
    match command {
        "start" => ENDED,
        "stop" | "kill" | "restart" | "attach" | "top" | "stats" => UP,
        "exec" | "pause" => RUNNING,
        "unpause" => PAUSED,
        _ => ALL,
    }
}

/// A command that takes words.
pub struct Taker {
    /// `stop`, or `container stop`.
    pub path: Vec<String>,
    /// What they are.
    pub what: What,
    /// More than one of them?
    pub many: bool,
    /// Its flags that take a value: what comes behind these is no such word.
    pub values: Vec<String>,
}

/// All that there are; a command with aliases is as many.
pub fn takers(command: &Command, above: &[String]) -> Vec<Taker> {
    let mut all = Vec::new();
    for sub in command.get_subcommands() {
        for name in sub.get_name_and_visible_aliases() {
            let path = [above, &[name.to_string()]].concat();
            all.extend(takers(sub, &path));
            all.extend(taker(sub, path));
        }
    }
    all
}

fn taker(command: &Command, path: Vec<String>) -> Option<Taker> {
    let words: Vec<&Arg> = command.get_positionals().collect();
    let first = *words.first()?;
    let what = match first.get_id().as_str() {
        "containers" => What::Ask(containers(command.get_name())),
        "volumes" => What::Ask(VOLUMES),
        "source" => What::ContainersOrFiles,
        "words" => What::Image,
        "dir" => What::Dirs,
        // clap_complete knows what is one of a few, and a group's words are its commands.
        _ if !first.get_possible_values().is_empty() || command.has_subcommands() => return None,
        _ => What::Nothing,
    };
    let many = what == What::ContainersOrFiles || first.get_num_args().is_some_and(|n| n.max_values() > 1);
    let flags = command.get_arguments().filter(|arg| !arg.is_positional() && arg.get_action().takes_values());
    let values = flags.flat_map(|arg| {
        let long = arg.get_long_and_visible_aliases().unwrap_or_default().into_iter().map(|long| format!("--{long}"));
        long.chain(arg.get_short_and_visible_aliases().unwrap_or_default().into_iter().map(|short| format!("-{short}")))
    });
    Some(Taker { path, what, many: many && what != What::Image, values: values.collect() })
}

/// The same command line, for a generator of scripts: with the values that are worth offering, as if there were no others,
/// and told where a file is meant.
pub fn described(command: Command) -> Command {
    described_below("", command)
}

fn described_below(group: &str, command: Command) -> Command {
    let name = command.get_name().to_string();
    // That of volumes has other filters.
    let path = if group == "volume" { format!("volume {name}") } else { name.clone() };
    command.mut_args(|arg| described_flag(&path, arg)).mut_subcommands(|sub| described_below(&name, sub))
}

fn described_flag(command: &str, arg: Arg) -> Arg {
    if !arg.get_action().takes_values() || !arg.get_possible_values().is_empty() {
        return arg;
    }
    let (id, positional) = (arg.get_id().to_string(), arg.is_positional());
    let values = if positional { &[][..] } else { values(command, &id) };
    if !values.is_empty() {
        return arg.value_parser(PossibleValuesParser::new(values.iter().copied()));
    }
    let of = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    arg.value_hint(match (id.as_str(), of.as_str()) {
        // What the scripts replace by their own.
        ("containers" | "volumes" | "source" | "dest", _) => ValueHint::Unknown,
        // One in the container.
        ("workdir", _) => ValueHint::Other,
        (_, "DIR") => ValueHint::DirPath,
        (_, "FILE" | "SRC:DST" | "DEV" | "DEV:N") => ValueHint::FilePath,
        _ => ValueHint::Other,
    })
}

fn values(command: &str, flag: &str) -> &'static [&'static str] {
    match (flag, command) {
        ("restart", _) => &["no", "on-failure", "always", "unless-stopped"],
        ("signal" | "stop-signal", _) => {
            &["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "WINCH"]
        }
        ("network", _) => &["none", "host", "bridge"],
        ("userns", _) => &["auto", "host", "keep-id"],
        ("security-opt", _) => &["no-new-privileges", "seccomp=unconfined", "systempaths=unconfined"],
        ("log-opt", _) => &["max-size=", "max-file="],
        ("tail", _) => &["all"],
        ("sig-proxy", _) => &["true", "false"],
        ("driver", _) => &["local"],
        ("opt", _) => &["type=none", "o=bind", "device="],
        ("format", "inspect" | "volume inspect" | "info" | "version" | "events") => &["json"],
        ("format", _) => &["table", "json"],
        ("filter", "volume prune") => &["label=", "label!=", "all=true"],
        ("filter", "volume ls") => &["name=", "label=", "driver=", "dangling="],
        ("filter", "prune") => &["label=", "label!=", "until="],
        ("filter", "events") => &["container=", "event=", "image=", "label=", "type=", "volume=", "network=", "scope="],
        ("filter", _) => {
            &["status=", "name=", "label=", "id=", "exited=", "ancestor=", "before=", "since=", "volume=", "health="]
        }
        _ => &[],
    }
}
