//! `system df`, `prune`, `info`: everything together; and `start-enabled`, `stop-all` for the beginning and the end of a
//! boot. Flags, columns and fields are docker's.

mod boot;
mod info;

use super::container::prune::{self, Chosen, agreed, remove_ended};
use super::container::{flag, format_flag, look, sizes};
use super::is_on;
use super::template::{self, Format};
use super::volume;
use crate::container::Now;
use crate::container::store::{Container, Store};
use crate::error::{Error, Result};
use crate::state::State;
use crate::ui::{self, Style};
use crate::volume::Volumes;
use clap::{ArgMatches, Command};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Its command line.
pub fn command() -> Command {
    Command::new("system")
        .about("All of boxwright: df, prune, info, start-enabled, stop-all")
        .subcommand_required(true)
        .defer(|c| {
            c.disable_help_subcommand(true)
                .subcommand(
                    Command::new("df")
                        .about("How much of the disk is used, and by what")
                        .arg(flag("verbose", Some('v'), "Each container and volume"))
                        .arg(format_flag()),
                )
                .subcommand(
                    Command::new("prune")
                        .about("Remove all containers that do not run")
                        .arg(flag("all", Some('a'), "With --volumes: also the volumes that have a name"))
                        .arg(flag("volumes", None, "And the volumes that no container has"))
                        .args(prune::flags(&["until"])),
                )
                .subcommand(info_command())
                .subcommand(
                    Command::new("start-enabled").about("After a reboot: start what its restart policy says is to run"),
                )
                .subcommand(
                    Command::new("stop-all")
                        .about("Before a shutdown: stop all that run; start-enabled brings them back"),
                )
        })
}

/// That of `system info`, which is also `info`.
pub fn info_command() -> Command {
    Command::new("info").about("This machine, and what there is on it").defer(|c| c.arg(format_flag().short('f')))
}

/// `info`.
///
/// # Errors
/// A template that is not understood.
pub fn info(matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    info::run(matches, Store::new(state))
}

/// Runs one of them.
///
/// # Errors
/// 125 and what it says.
pub fn run(matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    let store = Store::new(state);
    match matches.subcommand() {
        Some(("df", sub)) => df(sub, store),
        Some(("prune", sub)) => prune_all(sub, store),
        Some(("info", sub)) => info::run(sub, store),
        Some(("start-enabled", _)) => boot::start_enabled(store),
        Some(("stop-all", _)) => boot::stop_all(store),
        _ => Err(Error::new("no subcommand")),
    }
}

/// Some things of one kind: how many, how many of those in use, and the bytes of all and of those that are not.
struct Used {
    kind: &'static str,
    total: usize,
    active: usize,
    size: u64,
    free: u64,
}

impl Used {
    fn of(kind: &'static str, all: &[(u64, bool)]) -> Used {
        Used {
            kind,
            total: all.len(),
            active: all.iter().filter(|(_, active)| *active).count(),
            size: all.iter().map(|(size, _)| size).sum(),
            free: all.iter().filter(|(_, active)| !active).map(|(size, _)| size).sum(),
        }
    }

    fn row(&self) -> Value {
        let share = (self.free * 100).checked_div(self.size).map(|n| format!(" ({n}%)")).unwrap_or_default();
        json!({
            "Type": self.kind,
            "TotalCount": self.total.to_string(),
            "Active": self.active.to_string(),
            "Size": sizes::human_bytes(self.size),
            "Reclaimable": format!("{}{share}", sizes::human_bytes(self.free)),
        })
    }
}

fn df(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let format = super::container::format(matches)?;
    let volumes = Volumes::new(store.state);
    let containers = look::settled(store)?;
    let of_container = |c: &Container<'_>| {
        let runs = !matches!(c.now(), Now::Created | Now::Exited);
        (sizes::of_layer(c), runs)
    };
    let sizes: Vec<(u64, bool)> = containers.iter().map(of_container).collect();
    let all_volumes = volumes.all()?;
    let (mut of_volumes, mut links) = (Vec::new(), Vec::new());
    for volume in &all_volumes {
        let users = volumes.users(&volume.name)?.len();
        of_volumes.push((volume::size(volumes, volume), users > 0));
        links.push(users);
    }
    let images: Vec<(u64, bool)> = images(store.state, !containers.is_empty());
    let style = Style::of(&std::io::stdout());
    if is_on(matches, "verbose") {
        if format != Format::Table {
            return Err(Error::new("--verbose has one form only").hint("leave out --format"));
        }
        let sized = |mut row: Value, size: u64| {
            row["Size"] = json!(sizes::human_bytes(size));
            row
        };
        let rows = containers.iter().zip(&sizes).map(|(c, (size, _))| look::row(c, false, sizes::human_bytes(*size)));
        ui::print("Containers space usage:\n\n");
        template::print(&format, &rows.collect::<Vec<_>>(), &CONTAINERS, style)?;
        let row = |n: usize| json!({ "Name": all_volumes[n].name, "Links": links[n].to_string() });
        let rows = of_volumes.iter().enumerate().map(|(n, (size, _))| sized(row(n), *size));
        ui::print("\nLocal Volumes space usage:\n\n");
        template::print(&format, &rows.collect::<Vec<_>>(), &VOLUMES, style)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = [
        Used::of("Images", &images),
        Used::of("Containers", &sizes),
        Used::of("Local Volumes", &of_volumes),
        Used::of("Build Cache", &[]),
    ];
    template::print(&format, &rows.map(|used| used.row()), &COLUMNS, style)?;
    Ok(ExitCode::SUCCESS)
}

const COLUMNS: [(&str, &str); 5] =
    [("TYPE", "Type"), ("TOTAL", "TotalCount"), ("ACTIVE", "Active"), ("SIZE", "Size"), ("RECLAIMABLE", "Reclaimable")];

const CONTAINERS: [(&str, &str); 8] = [
    ("CONTAINER ID", "ID"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("LOCAL VOLUMES", "LocalVolumes"),
    ("SIZE", "Size"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("NAMES", "Names"),
];

const VOLUMES: [(&str, &str); 3] = [("VOLUME NAME", "Name"), ("LINKS", "Links"), ("SIZE", "Size")];

/// The one image that there is: what of the host's files was copied for it, once it was used.
fn images(state: &State, used: bool) -> Vec<(u64, bool)> {
    let size = sizes::written(&state.lib.join("images"));
    if size == 0 { vec![] } else { vec![(size, used)] }
}

fn prune_all(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let (all, with_volumes) = (is_on(matches, "all"), is_on(matches, "volumes"));
    let chosen = Chosen::read(matches, &["until"])?;
    let what = match (with_volumes, all) {
        (false, _) => "all containers that do not run",
        (true, false) => "all containers that do not run, and all volumes without a name that no container has",
        (true, true) => "all containers that do not run, and all volumes that no container has",
    };
    if !is_on(matches, "force") && !agreed(what) {
        return Ok(ExitCode::SUCCESS);
    }
    let (removed, mut freed) = remove_ended(store, |c| chosen.has(&c.record.labels, c.record.created))?;
    prune::say("Containers", &removed);
    if with_volumes {
        let volumes = Volumes::new(store.state);
        let (removed, of_volumes) =
            volume::remove_unused(volumes, |v| (all || v.anonymous) && chosen.has(&v.labels, v.created))?;
        freed += of_volumes;
        prune::say("Volumes", &removed);
    }
    prune::say_freed(freed);
    Ok(ExitCode::SUCCESS)
}
