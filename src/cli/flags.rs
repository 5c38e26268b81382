//! The knobs: one table of all flags that say what a container is to be, each with the primitive that it belongs to. A
//! stage takes the knobs of its prefix; full-run takes all. Names, meanings and defaults are docker's.

use super::is_on;
use crate::primitive::{LIST, number};
use crate::spec::build::Options;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::PathBuf;

/// What kind of value a flag takes.
enum Takes {
    /// None: it is a switch.
    Nothing,
    /// One.
    One(&'static str),
    /// One each time it is given.
    Many(&'static str),
}

struct Flag {
    long: &'static str,
    short: Option<char>,
    primitive: &'static str,
    takes: Takes,
    help: &'static str,
}

const fn flag(
    long: &'static str,
    short: Option<char>,
    primitive: &'static str,
    takes: Takes,
    help: &'static str,
) -> Flag {
    Flag { long, short, primitive, takes, help }
}

use Takes::{Many, Nothing, One};

#[rustfmt::skip]
static FLAGS: [Flag; 41] = [
    flag("userns", None, "map-user", One("MODE"), "auto, host or keep-id [default: host as root, else auto]"),
    flag("hostname", Some('h'), "set-hostname", One("NAME"), "Hostname in the container"),
    flag("domainname", None, "set-hostname", One("NAME"), "NIS domain name in the container"),
    flag("shm-size", None, "unshare-ipc", One("BYTES"), "Size of /dev/shm [default: 64m]"),
    flag("network", None, "add-net", One("MODE"), "none, host or bridge [default: bridge]"),
    flag("image", None, "stack-layers", One("REF"), "The image whose layers to stack [default: host]"),
    flag("rootfs", None, "stack-layers", One("DIR"), "A directory with a root filesystem, in place of an image"),
    flag("volume", Some('v'), "pivot-root", Many("SRC:DST"), "Bind SRC of the host, or a volume's name, at DST; SRC:DST:ro is read-only"),
    flag("mount", None, "pivot-root", Many("SPEC"), "type=bind|volume|tmpfs,source=…,target=…[,readonly]"),
    flag("tmpfs", None, "pivot-root", Many("DST"), "Mount a tmpfs at DST; DST:size=1m sets options"),
    flag("read-only", None, "pivot-root", Nothing, "Mount the root filesystem read-only"),
    flag("device", None, "pivot-root", Many("DEV"), "Give it a device of the host; DEV:DST:rw renames it"),
    flag("cpus", None, "limit-cpu", One("N"), "CPUs' worth of time [a stage's default: 0.5]"),
    flag("cpu-shares", Some('c'), "limit-cpu", One("N"), "Share of CPU time when it is short (1024 is normal)"),
    flag("cpuset-cpus", None, "limit-cpu", One("LIST"), "Which CPUs (0-2,5)"),
    flag("memory", Some('m'), "limit-memory", One("BYTES"), "Memory [a stage's default: 64m]"),
    flag("memory-swap", None, "limit-memory", One("BYTES"), "Memory and swap together; -1 is unlimited [default: twice --memory]"),
    flag("pids-limit", None, "limit-pids", One("N"), "Number of processes; -1 is unlimited [a stage's default: 64]"),
    flag("device-read-bps", None, "limit-io", Many("DEV:N"), "Bytes a second read from a disk [a stage's default: 1 MB/s]"),
    flag("device-write-bps", None, "limit-io", Many("DEV:N"), "Bytes a second written to a disk [a stage's default: 1 MB/s]"),
    flag("device-read-iops", None, "limit-io", Many("DEV:N"), "Operations a second read from a disk"),
    flag("device-write-iops", None, "limit-io", Many("DEV:N"), "Operations a second written to a disk"),
    flag("security-opt", None, "mask-paths", Many("OPT"), "seccomp=FILE|unconfined, no-new-privileges, systempaths=unconfined"),
    flag("privileged", None, "mask-paths", Nothing, "All capabilities and devices, nothing masked or filtered"),
    flag("cap-add", None, "drop-caps", Many("CAP"), "Keep a capability (or ALL)"),
    flag("cap-drop", None, "drop-caps", Many("CAP"), "Drop a capability (or ALL)"),
    flag("user", Some('u'), "drop-caps", One("USER"), "User in the container, name or number; USER:GROUP"),
    flag("group-add", None, "drop-caps", Many("GROUP"), "A supplementary group, name or number"),
    flag("ulimit", None, "drop-caps", Many("LIMIT"), "A resource limit: nofile=SOFT:HARD"),
    flag("oom-score-adj", None, "drop-caps", One("N"), "How readily it is killed for memory (-1000 to 1000)"),
    flag("interactive", Some('i'), "full-run", Nothing, "Keep standard input open"),
    flag("tty", Some('t'), "full-run", Nothing, "Give it a terminal"),
    flag("detach", Some('d'), "full-run", Nothing, "In the background: print its id, and return"),
    flag("rm", None, "full-run", Nothing, "Remove it when it ends"),
    flag("env", Some('e'), "full-run", Many("NAME=VALUE"), "Set a variable; NAME alone passes it on"),
    flag("env-file", None, "full-run", Many("FILE"), "Environment variables from a file"),
    flag("workdir", Some('w'), "full-run", One("DIR"), "Working directory in the container"),
    flag("entrypoint", None, "full-run", One("PROGRAM"), "This program in place of the image's"),
    flag("init", None, "full-run", Nothing, "Run a small init as process 1, which reaps zombies"),
    flag("report", None, "full-run", Nothing, "Print what each primitive changed"),
    flag("report-file", None, "full-run", One("FILE"), "Write the report there"),
];

/// All flags, without their dashes.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().map(|f| f.long)
}

/// The primitive whose knob a flag is: `limit-cpu` for `cpus`. None: there is no such flag.
pub fn primitive(flag: &str) -> Option<&'static str> {
    FLAGS.iter().find(|f| f.long == flag).map(|f| f.primitive)
}

/// Adds the knobs of all primitives up to `last`.
pub fn add(mut command: Command, last: &str) -> Command {
    let last_number = number(last).unwrap_or(LIST.len());
    for flag in FLAGS.iter().filter(|f| number(f.primitive).is_some_and(|n| n <= last_number)) {
        // A stage takes an image or a directory in flags; full-run has its image as the first word.
        if flag.long == "image" && last == "full-run" {
            continue;
        }
        let mut arg = Arg::new(flag.long).long(flag.long).help(help(flag, last)).help_heading(heading(flag.primitive));
        if let Some(short) = flag.short {
            arg = arg.short(short);
        }
        if flag.long == "network" {
            // docker's older name for it, which half of the world's scripts use.
            arg = arg.alias("net");
        }
        arg = match flag.takes {
            Nothing => arg.action(ArgAction::SetTrue),
            One(name) => arg.value_name(name).allow_hyphen_values(true),
            Many(name) => arg.value_name(name).action(ArgAction::Append).allow_hyphen_values(true),
        };
        command = command.arg(arg);
    }
    command
}

/// full-run sets no limits by itself, so a stage's defaults are none of its business; a stage's are the defaults.
fn help(flag: &Flag, last: &str) -> String {
    const STAGES: &str = " [a stage's default:";
    match flag.help.split_once(STAGES) {
        Some((help, _)) if last == "full-run" => help.to_string(),
        _ => flag.help.replace(STAGES, " [default:"),
    }
}

/// Flags stand in the help under the primitive that they turn; those of the command itself come first, under clap's own
/// "Options".
fn heading(primitive: &'static str) -> Option<&'static str> {
    (primitive != "full-run").then_some(primitive)
}

/// The flags that were typed. A flag that this command does not have is as if it had not been given.
pub fn options(matches: &ArgMatches) -> Options {
    let one = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
    let many = |name: &str| -> Vec<String> {
        matches.try_get_many::<String>(name).ok().flatten().map(|v| v.cloned().collect()).unwrap_or_default()
    };
    let on = |name: &str| is_on(matches, name);
    Options {
        image: one("image"),
        rootfs: one("rootfs").map(PathBuf::from),
        command: many("command"),
        entrypoint: one("entrypoint"),
        interactive: on("interactive"),
        tty: on("tty"),
        init: on("init"),
        privileged: on("privileged"),
        read_only: on("read-only"),
        env: many("env"),
        env_file: many("env-file").into_iter().map(PathBuf::from).collect(),
        workdir: one("workdir"),
        user: one("user"),
        group_add: many("group-add"),
        hostname: one("hostname"),
        domainname: one("domainname"),
        volume: many("volume"),
        mount: many("mount"),
        tmpfs: many("tmpfs"),
        shm_size: one("shm-size"),
        cpus: one("cpus"),
        cpu_shares: one("cpu-shares"),
        cpuset_cpus: one("cpuset-cpus"),
        memory: one("memory"),
        memory_swap: one("memory-swap"),
        pids_limit: one("pids-limit"),
        device_read_bps: many("device-read-bps"),
        device_write_bps: many("device-write-bps"),
        device_read_iops: many("device-read-iops"),
        device_write_iops: many("device-write-iops"),
        cap_add: many("cap-add"),
        cap_drop: many("cap-drop"),
        security_opt: many("security-opt"),
        network: one("network"),
        userns: one("userns"),
        ulimit: many("ulimit"),
        device: many("device"),
        oom_score_adj: one("oom-score-adj"),
    }
}

/// The primitives whose knobs were turned: what is asked for explicitly must be done, or it is an error.
pub fn asked(matches: &ArgMatches) -> Vec<&'static str> {
    let given = |f: &&Flag| {
        matches.try_contains_id(f.long).unwrap_or(false)
            && matches.value_source(f.long) == Some(clap::parser::ValueSource::CommandLine)
    };
    FLAGS.iter().filter(given).map(|f| f.primitive).collect()
}
