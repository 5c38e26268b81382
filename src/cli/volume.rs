//! `volume create`, `ls`, `inspect`, `rm`, `prune`. Names, flags, columns and fields are docker's.

use super::container::prune::{self, Chosen, agreed};
use super::container::{each_name, flag, format, format_flag, inspect, sizes, value, word, words};
use super::is_on;
use super::template;
use crate::container::times;
use crate::error::{Error, Result};
use crate::state::State;
use crate::ui::{self, Style};
use crate::volume::{Volume, Volumes, random_name};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// Its command line.
pub fn command() -> Command {
    Command::new("volume")
        .about("Directories that stay when containers go: create, ls, inspect, rm, prune")
        .subcommand_required(true)
        .defer(|c| {
            let many = |arg: Arg| arg.action(ArgAction::Append);
            let volumes = Arg::new("volumes").value_name("VOLUME").num_args(1..).required(true).help("Its name");
            let filter = |help| many(value("filter", Some('f'), "KEY=VALUE", help));
            c.disable_help_subcommand(true)
                .subcommand(
                    Command::new("create")
                        .about("Make a volume")
                        .arg(Arg::new("name").value_name("VOLUME").help("Its name [default: 64 random digits]"))
                        .arg(value("driver", Some('d'), "DRIVER", "local, which is all there is"))
                        .arg(many(value("label", None, "KEY=VALUE", "Something to find it by")))
                        .arg(many(value("opt", Some('o'), "KEY=VALUE", "type=none, o=bind and device=DIR: this one"))),
                )
                .subcommand(
                    Command::new("ls")
                        .visible_alias("list")
                        .about("List volumes")
                        .arg(flag("quiet", Some('q'), "Only their names"))
                        .arg(filter("Only those: name, label, driver, dangling=true (no container has it)"))
                        .arg(format_flag()),
                )
                .subcommand(
                    Command::new("inspect")
                        .about("Everything about volumes, as JSON")
                        .arg(volumes.clone())
                        .arg(format_flag().short('f')),
                )
                .subcommand(
                    Command::new("rm")
                        .visible_alias("remove")
                        .about("Remove volumes, with all that is in them")
                        .arg(volumes)
                        .arg(flag("force", Some('f'), "One that is not there is no error")),
                )
                .subcommand(
                    Command::new("prune")
                        .about("Remove the volumes without a name of their own that no container has")
                        .arg(flag("all", Some('a'), "Also those with a name"))
                        .args(prune::flags(&["all"])),
                )
        })
}

/// Runs one of them.
///
/// # Errors
/// 125 and what it says.
pub fn run(matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    let volumes = Volumes::new(state);
    match matches.subcommand() {
        Some(("create", sub)) => create(sub, volumes),
        Some(("ls", sub)) => list(sub, volumes),
        Some(("inspect", sub)) => inspect(sub, volumes),
        Some(("rm", sub)) => remove(sub, volumes),
        Some(("prune", sub)) => prune_unused(sub, volumes),
        _ => Err(Error::new("no subcommand")),
    }
}

fn pairs(flag: &str, given: &[&str]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &&str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() { Err(Error::new(format!("{flag} {text}: no key"))) } else { Ok((key.into(), value.into())) }
    };
    given.iter().map(pair).collect()
}

fn create(matches: &ArgMatches, volumes: Volumes<'_>) -> Result<ExitCode> {
    if let Some(driver) = word(matches, "driver").filter(|d| *d != "local") {
        return Err(Error::new(format!("--driver {driver}: no such driver")).hint("--driver local, or leave it out"));
    }
    let name = word(matches, "name").map_or_else(random_name, str::to_string);
    let wanted = Volume {
        labels: pairs("--label", &words(matches, "label"))?,
        options: options(&words(matches, "opt"))?,
        anonymous: !matches.contains_id("name"),
        ..Volume::new(&name)
    };
    let locked = volumes.lock()?;
    volumes.sweep(&locked)?;
    let asked = wanted.options.clone();
    let made = volumes.make(&locked, wanted)?;
    // docker's: to create what is there already is no error, unless it is something else.
    if made.options != asked {
        return Err(Error::new(format!("volume {name} is there already, with other options"))
            .hint(format!("boxwright volume inspect {name}")));
    }
    ui::print(&format!("{}\n", made.name));
    Ok(ExitCode::SUCCESS)
}

/// docker's local driver mounts whatever `type`, `o` and `device` say. Of these, a directory of the host is as good as
/// any volume here; the others would have to be kept mounted on the host by somebody, and nobody is there to do so.
fn options(given: &[&str]) -> Result<BTreeMap<String, String>> {
    let options = pairs("--opt", given)?;
    if options.is_empty() {
        return Ok(options);
    }
    let has = |key: &str| options.get(key).map(String::as_str);
    let known = options.keys().all(|key| ["type", "o", "device"].contains(&key.as_str()));
    let bind = has("o").is_some_and(|o| o.split(',').all(|word| ["bind", "rbind", "rw"].contains(&word)));
    if !known || !bind || !matches!(has("type"), None | Some("none" | "bind")) {
        return Err(Error::new(format!("--opt {}: no such volume", given.join(" --opt ")))
            .why("a volume is a directory: its own, or one of the host's; no process keeps file systems mounted for it")
            .hint("-o type=none -o o=bind -o device=/DIR; full-run --tmpfs for a tmpfs"));
    }
    let device = has("device").unwrap_or_default();
    if !device.starts_with('/') || !Path::new(device).is_dir() {
        return Err(Error::new(format!("--opt device={device}: not a directory")).hint("an absolute path on the host"));
    }
    Ok(options)
}

fn labels(volume: &Volume) -> String {
    volume.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

enum Filter {
    Name(String),
    Label(String, Option<String>),
    Driver(String),
    Dangling(bool),
}

fn filters(given: &[&str], known: &[&str]) -> Result<Vec<Filter>> {
    let one = |text: &&str| {
        let wrong = || {
            let forms = known.iter().map(|key| format!("{key}=…")).collect::<Vec<_>>().join(", ");
            Error::new(format!("--filter {text}: no such filter")).hint(forms)
        };
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        if !known.contains(&key) {
            return Err(wrong());
        }
        Ok(match (key, value) {
            ("name", name) => Filter::Name(name.into()),
            ("driver", driver) => Filter::Driver(driver.into()),
            ("dangling", "true" | "1") => Filter::Dangling(true),
            ("dangling", "false" | "0") => Filter::Dangling(false),
            ("label", label) => match label.split_once('=') {
                Some((key, value)) => Filter::Label(key.into(), Some(value.into())),
                None => Filter::Label(label.into(), None),
            },
            _ => return Err(wrong()),
        })
    };
    given.iter().map(one).collect()
}

/// docker's: of names any must hold, of everything else all.
fn passes(volumes: Volumes<'_>, volume: &Volume, filters: &[Filter]) -> Result<bool> {
    let names: Vec<&String> =
        filters.iter().filter_map(|f| if let Filter::Name(n) = f { Some(n) } else { None }).collect();
    if !names.is_empty() && !names.iter().any(|name| volume.name.contains(name.as_str())) {
        return Ok(false);
    }
    for filter in filters {
        let holds = match filter {
            Filter::Name(_) => true,
            Filter::Driver(driver) => driver == "local",
            Filter::Dangling(wanted) => volumes.users(&volume.name)?.is_empty() == *wanted,
            Filter::Label(key, value) => {
                volume.labels.get(key).is_some_and(|have| value.as_ref().is_none_or(|want| want == have))
            }
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn list(matches: &ArgMatches, volumes: Volumes<'_>) -> Result<ExitCode> {
    let format = format(matches)?;
    let filters = filters(&words(matches, "filter"), &["name", "label", "driver", "dangling"])?;
    let mut rows = Vec::new();
    for volume in volumes.all()? {
        if passes(volumes, &volume, &filters)? {
            rows.push(json!({
                "Name": volume.name,
                "Driver": "local",
                "Scope": "local",
                "Mountpoint": volumes.data(&volume),
                "Labels": labels(&volume),
                template::LABELS: volume.labels,
                "Links": volumes.users(&volume.name)?.len().to_string(),
                "CreatedAt": times::rfc3339(volume.created),
            }));
        }
    }
    if is_on(matches, "quiet") {
        rows.iter().for_each(|row| ui::print(&format!("{}\n", row["Name"].as_str().unwrap_or_default())));
        return Ok(ExitCode::SUCCESS);
    }
    template::print(&format, &rows, &[("DRIVER", "Driver"), ("VOLUME NAME", "Name")], Style::of(&std::io::stdout()))?;
    Ok(ExitCode::SUCCESS)
}

/// docker's document about one volume.
pub fn document(volumes: Volumes<'_>, volume: &Volume) -> Value {
    json!({
        "CreatedAt": times::rfc3339(volume.created),
        "Driver": "local",
        "Labels": volume.labels,
        "Mountpoint": volumes.data(volume),
        "Name": volume.name,
        "Options": volume.options,
        "Scope": "local",
        "Anonymous": volume.anonymous,
    })
}

fn inspect(matches: &ArgMatches, volumes: Volumes<'_>) -> Result<ExitCode> {
    let format = format(matches)?;
    let (mut found, mut failed) = (Vec::new(), false);
    for name in words(matches, "volumes") {
        match volumes.find(name) {
            Ok(volume) => found.push(document(volumes, &volume)),
            Err(e) => {
                eprint!("{}", ui::error(&e.to_string()));
                failed = true;
            }
        }
    }
    inspect::print_documents(&format, found)?;
    Ok(ExitCode::from(u8::from(failed)))
}

fn remove(matches: &ArgMatches, volumes: Volumes<'_>) -> Result<ExitCode> {
    let locked = volumes.lock()?;
    volumes.sweep(&locked)?;
    let force = is_on(matches, "force");
    each_name(&words(matches, "volumes"), |name| match volumes.get(name) {
        None if force => Ok(()),
        _ => volumes.remove(&locked, name),
    })
}

fn prune_unused(matches: &ArgMatches, volumes: Volumes<'_>) -> Result<ExitCode> {
    let chosen = Chosen::read(matches, &["all"])?;
    let all = is_on(matches, "all") || chosen.all;
    let what =
        if all { "all volumes that no container has" } else { "all volumes without a name that no container has" };
    if !is_on(matches, "force") && !agreed(what) {
        return Ok(ExitCode::SUCCESS);
    }
    let (removed, freed) =
        remove_unused(volumes, |volume| (all || volume.anonymous) && chosen.has(&volume.labels, volume.created))?;
    prune::say("Volumes", &removed);
    prune::say_freed(freed);
    Ok(ExitCode::SUCCESS)
}

/// Removes the volumes that no container has and that are `chosen`. Returns their names, and how many bytes were in them.
///
/// # Errors
/// As [`Volumes::remove`].
pub fn remove_unused(volumes: Volumes<'_>, chosen: impl Fn(&Volume) -> bool) -> Result<(Vec<String>, u64)> {
    let locked = volumes.lock()?;
    volumes.sweep(&locked)?;
    let (mut removed, mut freed) = (Vec::new(), 0);
    for volume in volumes.all()? {
        if chosen(&volume) && volumes.users(&volume.name)?.is_empty() {
            let size = size(volumes, &volume);
            volumes.remove(&locked, &volume.name)?;
            freed += size;
            removed.push(volume.name);
        }
    }
    Ok((removed, freed))
}

/// How many bytes are in it. A directory of the host's that stands for one does not count.
pub fn size(volumes: Volumes<'_>, volume: &Volume) -> u64 {
    if volume.device().is_some() { 0 } else { sizes::written(&volumes.data(volume)) }
}
