//! `system df`, `prune`, `info`: everything together; and `start-enabled`, `stop-all` for the beginning and the end of a
//! boot. Flags, columns and fields are docker's.

mod boot;
mod info;

use super::container::{agreed, flag, format_flag, inspect, look, value, words};
use super::is_on;
use super::template::{self, Format};
use super::volume;
use crate::container::Now;
use crate::container::store::{Container, Store};
use crate::container::times;
use crate::error::{Error, Result};
use crate::state::State;
use crate::ui::{self, Style};
use crate::volume::Volumes;
use clap::{ArgAction, ArgMatches, Command};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Its command line.
pub fn command() -> Command {
    Command::new("system")
        .about("All of boxwright: df, prune, info, start-enabled, stop-all")
        .subcommand_required(true)
        .defer(|c| {
            let filter = value("filter", None, "KEY=VALUE", "Only those: label, until (a time, or how long ago)");
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
                        .arg(filter.action(ArgAction::Append))
                        .arg(flag("force", Some('f'), "Do not ask")),
                )
                .subcommand(
                    Command::new("info").about("This machine, and what there is on it").arg(format_flag().short('f')),
                )
                .subcommand(
                    Command::new("start-enabled").about("After a reboot: start what its restart policy says is to run"),
                )
                .subcommand(
                    Command::new("stop-all")
                        .about("Before a shutdown: stop all that run; start-enabled brings them back"),
                )
        })
}

/// Runs one of them.
///
/// # Errors
/// 125 and what it says.
pub fn run(matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    let store = Store::new(state);
    match matches.subcommand() {
        Some(("df", sub)) => df(sub, store),
        Some(("prune", sub)) => prune(sub, store),
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
            "Size": look::human_bytes(self.size),
            "Reclaimable": format!("{}{share}", look::human_bytes(self.free)),
        })
    }
}

fn df(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let format = super::container::format(matches)?;
    let volumes = Volumes::new(store.state);
    let containers = look::settled(store)?;
    let of_container = |c: &Container<'_>| {
        let runs = !matches!(c.now(), Now::Created | Now::Exited);
        (inspect::written(&c.dir().join("upper")), runs)
    };
    let sizes: Vec<(u64, bool)> = containers.iter().map(of_container).collect();
    let all_volumes = volumes.all()?;
    let mut of_volumes = Vec::new();
    for volume in &all_volumes {
        of_volumes.push((volume::size(volumes, volume), !volumes.users(&volume.name)?.is_empty()));
    }
    let images: Vec<(u64, bool)> = images(store.state, !containers.is_empty());
    let style = Style::of(&std::io::stdout());
    if is_on(matches, "verbose") {
        if format != Format::Table {
            return Err(Error::new("--verbose has one form only").hint("leave out --format"));
        }
        let rows: Vec<Value> = containers.iter().zip(&sizes).map(|(c, (size, _))| container_row(c, *size)).collect();
        ui::print("Containers space usage:\n\n");
        template::print(&format, &rows, &CONTAINERS, style)?;
        let rows: Vec<Value> = all_volumes
            .iter()
            .zip(&of_volumes)
            .map(|(v, (size, used))| {
                json!({ "Name": v.name, "Links": u8::from(*used).to_string(), "Size": look::human_bytes(*size) })
            })
            .collect();
        ui::print("\nLocal Volumes space usage:\n\n");
        template::print(&format, &rows, &[("VOLUME NAME", "Name"), ("IN USE", "Links"), ("SIZE", "Size")], style)?;
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

const CONTAINERS: [(&str, &str); 5] =
    [("CONTAINER ID", "ID"), ("IMAGE", "Image"), ("SIZE", "Size"), ("STATUS", "State"), ("NAMES", "Names")];

fn container_row(container: &Container<'_>, size: u64) -> Value {
    let record = &container.record;
    json!({
        "ID": record.short(),
        "Image": record.image,
        "Size": look::human_bytes(size),
        "State": container.now().word(),
        "Names": record.name,
    })
}

/// The one image that there is: what of the host's files was copied for it, once it was used.
fn images(state: &State, used: bool) -> Vec<(u64, bool)> {
    let size = inspect::written(&state.lib.join("images"));
    if size == 0 { vec![] } else { vec![(size, used)] }
}

fn prune(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let (all, with_volumes) = (is_on(matches, "all"), is_on(matches, "volumes"));
    let filters = filters(&words(matches, "filter"))?;
    let what = match (with_volumes, all) {
        (false, _) => "All containers that do not run",
        (true, false) => "All containers that do not run, and all volumes without a name that no container has",
        (true, true) => "All containers that do not run, and all volumes that no container has",
    };
    if !is_on(matches, "force") && !agreed(what, "system prune")? {
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = |labels: &std::collections::BTreeMap<String, String>, created: i64| {
        filters.iter().all(|filter| match filter {
            Filter::Label(key, value) => labels.get(key).is_some_and(|v| value.as_ref().is_none_or(|value| value == v)),
            Filter::Until(time) => created < *time,
        })
    };
    let (removed, mut freed) = look::remove_ended(store, |c| chosen(&c.record.labels, c.record.created))?;
    if !removed.is_empty() {
        ui::print(&format!("Deleted Containers:\n{}\n\n", removed.join("\n")));
    }
    if with_volumes {
        let volumes = Volumes::new(store.state);
        let (removed, of_volumes) =
            volume::remove_unused(volumes, |v| Ok((all || v.anonymous) && chosen(&v.labels, v.created)))?;
        freed += of_volumes;
        if !removed.is_empty() {
            ui::print(&format!("Deleted Volumes:\n{removed}\n"));
        }
    }
    ui::print(&format!("Total reclaimed space: {}\n", look::human_bytes(freed)));
    Ok(ExitCode::SUCCESS)
}

enum Filter {
    Label(String, Option<String>),
    Until(i64),
}

fn filters(given: &[&str]) -> Result<Vec<Filter>> {
    let one = |text: &&str| match text.split_once('=') {
        Some(("label", label)) => Ok(match label.split_once('=') {
            Some((key, value)) => Filter::Label(key.into(), Some(value.into())),
            None => Filter::Label(label.into(), None),
        }),
        Some(("until", time)) => times::parse("--filter until", time).map(Filter::Until),
        _ => Err(Error::new(format!("--filter {text}: no such filter")).hint("label=KEY, label=KEY=VALUE, until=24h")),
    };
    given.iter().map(one).collect()
}
