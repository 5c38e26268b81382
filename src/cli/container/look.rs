//! `ps`, `top`: what there is, and what is true of it.

use super::inspect::mounts;
use super::{find, flag, format, format_flag, sizes, value, word, words};
use crate::cli::is_on;
use crate::cli::template::{self, Format};
use crate::container::health::{Health, Status};
use crate::container::store::{Container, Store};
use crate::container::{History, Now, times};
use crate::error::{Error, Result};
use crate::journal::Made;
use crate::ui::{self, Style};
use clap::{Arg, ArgAction, ArgMatches, Command};
use regex_lite::Regex;
use serde_json::{Value, json};
use std::process::ExitCode;

pub fn commands() -> Vec<Command> {
    vec![
        Command::new("ps").about("List containers").defer(|c| {
            c.arg(flag("all", Some('a'), "Also those that do not run"))
                .arg(flag("quiet", Some('q'), "Only their ids"))
                .arg(
                    value(
                        "filter",
                        Some('f'),
                        "KEY=VALUE",
                        "Only those: status, name, label, id, exited, ancestor, before, since, volume, network, health",
                    )
                    .action(ArgAction::Append),
                )
                .arg(flag("no-trunc", None, "Whole ids and commands"))
                .arg(flag("size", Some('s'), "How much they have written"))
                .arg(flag("latest", Some('l'), "Only the one that was created last"))
                .arg(value("last", Some('n'), "N", "Only the N that were created last").allow_hyphen_values(true))
                .arg(format_flag())
        }),
        Command::new("top").about("A container's processes, as ps shows them").defer(|c| {
            c.arg(super::one_container()).arg(
                Arg::new("ps").value_name("PS OPTION").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true),
            )
        }),
    ]
}

pub fn dispatch(name: &str, matches: &ArgMatches, store: Store<'_>) -> Option<Result<ExitCode>> {
    Some(match name {
        "ps" => ps(matches, store),
        "top" => top(matches, store),
        _ => return None,
    })
}

/// All that there are, after the truth about those whose monitor was killed has been written down.
pub fn settled<'a>(store: Store<'a>) -> Result<Vec<Container<'a>>> {
    crate::journal::sweep(store.state, crate::journal::Thorough::All);
    store.sweep();
    let all = store.all()?;
    all.iter().for_each(Container::settle);
    // With --rm, settling removes.
    Ok(all.into_iter().filter(|c| c.dir().join("container.json").exists()).collect())
}

/// docker's `Status`: `Up 3 minutes (healthy)`, `Exited (137) 2 hours ago`.
fn status(container: &Container<'_>, now: &Now, history: &History) -> String {
    let since = |time: i64| times::human(times::now() - time);
    match now {
        Now::Created => "Created".into(),
        Now::Running { paused: false, .. } => {
            let health = match health(container, now) {
                Some(Health { status: Status::Starting, .. }) => " (health: starting)".into(),
                Some(health) => format!(" ({})", health.status.word()),
                None => String::new(),
            };
            format!("Up {}{health}", since(history.started))
        }
        Now::Running { paused: true, .. } => format!("Up {} (Paused)", since(history.started)),
        Now::Restarting { .. } => {
            format!("Restarting ({}) {} ago", history.exit_code.unwrap_or(0), since(history.finished))
        }
        Now::Exited => match history.exit_code {
            Some(code) => format!("Exited ({code}) {} ago", since(history.finished)),
            None => format!("Exited (unknown: monitor lost) {} ago", since(history.finished)),
        },
    }
}

/// What is known of its health, if it is checked at all. One that has ended is unhealthy, as in docker.
pub(super) fn health(container: &Container<'_>, now: &Now) -> Option<Health> {
    container.record.health.as_ref()?;
    let health = Health::of(container);
    let ended = matches!(now, Now::Exited | Now::Restarting { .. });
    Some(if ended { Health { status: Status::Unhealthy, ..health } } else { health })
}

/// docker's: words with blanks in them in quotes, and the whole as Go quotes a string.
fn command_line(container: &Container<'_>, whole: bool) -> String {
    let options = &container.record.options;
    let mut words = options.entrypoint.iter().chain(&options.command);
    let mut text = words.next().cloned().unwrap_or_default();
    for word in words {
        text += &if word.contains(' ') { format!(" '{word}'") } else { format!(" {word}") };
    }
    template::quote(&if whole { text } else { ui::cut(&text, 20) })
}

/// All that `ps` has to say about one.
pub fn row(container: &Container<'_>, whole: bool, size: String) -> Value {
    let (record, now, history) = (&container.record, container.now(), container.history());
    let labels: Vec<String> = record.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let sources = sources(container).into_iter().map(|s| if whole { s } else { ui::cut(&s, 15) });
    json!({
        "ID": if whole { &record.id } else { record.short() },
        "Image": record.image,
        "Command": command_line(container, whole),
        "CreatedAt": times::gos(record.created),
        "RunningFor": format!("{} ago", times::human(times::now() - record.created)),
        "State": now.word(),
        "Status": status(container, &now, &history),
        "Names": record.name,
        "Labels": labels.join(","),
        template::LABELS: record.labels,
        "Networks": network(container),
        "Mounts": sources.collect::<Vec<_>>().join(","),
        "LocalVolumes": record.volumes.len().to_string(),
        "Ports": "",
        "Size": size,
    })
}

/// How much it has written, and how large its root is with that. As in docker's JSON, the root is counted only when the
/// size is asked for: that takes a walk through all of it.
fn sized(container: &Container<'_>, format: &Format, asked: bool) -> String {
    let own = || sizes::human_bytes(sizes::of_layer(container));
    if asked || format.names("Size") {
        format!("{} (virtual {})", own(), sizes::human_bytes(sizes::of_root(container)))
    } else if format.shows_all() {
        own()
    } else {
        String::new()
    }
}

fn network<'a>(container: &'a Container<'_>) -> &'a str {
    container.record.options.network.as_deref().unwrap_or("bridge")
}

/// What its mounts show: volumes by their names, directories of the host by their paths.
fn sources(container: &Container<'_>) -> Vec<String> {
    let text = |mount: &Value, key: &str| mount[key].as_str().map(str::to_string);
    mounts(container).iter().filter_map(|mount| text(mount, "Name").or_else(|| text(mount, "Source"))).collect()
}

/// docker's; nothing is ever in the last two here.
const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "exited", "removing", "dead"];

enum Filter {
    Status(String),
    Name(Regex),
    Id(String),
    Label(String, Option<String>),
    Exited(i32),
    Ancestor(String),
    Volume(String),
    Network(String),
    Health(String),
    /// Created before (or since) the one that was created then.
    Before(i64),
    Since(i64),
}

fn filters(store: Store<'_>, given: &[&str]) -> Result<Vec<Filter>> {
    given
        .iter()
        .map(|text| {
            let wrong = || {
                Error::new(format!("--filter {text}: no such filter")).hint(
                    "status=running, name=PATTERN, id=DIGITS, label=KEY, label=KEY=VALUE, exited=CODE, ancestor=IMAGE, \
                     before=CONTAINER, since=CONTAINER, volume=NAME, network=bridge, health=healthy",
                )
            };
            let (key, value) = text.split_once('=').ok_or_else(wrong)?;
            let value = value.to_string();
            Ok(match key {
                "status" if STATES.contains(&value.as_str()) => Filter::Status(value),
                "name" => Filter::Name(Regex::new(&value).map_err(|_| wrong())?),
                "before" => Filter::Before(store.find(&value)?.record.created),
                "since" => Filter::Since(store.find(&value)?.record.created),
                "id" => Filter::Id(value),
                "label" => match value.split_once('=') {
                    Some((key, value)) => Filter::Label(key.into(), Some(value.into())),
                    None => Filter::Label(value, None),
                },
                "exited" => Filter::Exited(value.parse().map_err(|_| wrong())?),
                "ancestor" => Filter::Ancestor(value),
                "volume" => Filter::Volume(value),
                "network" => Filter::Network(value),
                "health" if ["starting", "healthy", "unhealthy", "none"].contains(&value.as_str()) => {
                    Filter::Health(value)
                }
                _ => return Err(wrong()),
            })
        })
        .collect()
}

/// docker's: of one kind any must hold, of different kinds all; every label must.
fn passes(container: &Container<'_>, filters: &[Filter]) -> bool {
    let record = &container.record;
    let holds = |filter: &Filter| match filter {
        Filter::Status(word) => container.now().word() == word,
        // docker's names begin with a slash, and need not.
        Filter::Name(pattern) => pattern.is_match(&record.name) || pattern.is_match(&format!("/{}", record.name)),
        Filter::Id(text) => record.id.starts_with(text.as_str()),
        Filter::Label(key, value) => {
            record.labels.get(key).is_some_and(|have| value.as_ref().is_none_or(|want| want == have))
        }
        Filter::Exited(code) => matches!(container.now(), Now::Exited) && container.history().exit_code == Some(*code),
        Filter::Ancestor(image) => &record.image == image,
        Filter::Health(word) => {
            let health = health(container, &container.now());
            health.map_or("none", |health| health.status.word()) == word
        }
        Filter::Volume(text) => mounts(container)
            .iter()
            .any(|mount| ["Name", "Source", "Destination"].iter().any(|key| mount[*key].as_str() == Some(text))),
        Filter::Network(name) => network(container) == name,
        Filter::Before(time) => record.created < *time,
        Filter::Since(time) => record.created > *time,
    };
    let labels = |f: &Filter| matches!(f, Filter::Label(..));
    filters.iter().all(|filter| {
        let alike = |f: &&Filter| std::mem::discriminant(*f) == std::mem::discriminant(filter);
        if labels(filter) { holds(filter) } else { filters.iter().filter(alike).any(holds) }
    })
}

fn ps(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let format = format(matches)?;
    let filters = filters(store, &words(matches, "filter"))?;
    let by_status = filters.iter().any(|f| matches!(f, Filter::Status(_) | Filter::Exited(_)));
    let most = match word(matches, "last") {
        _ if is_on(matches, "latest") => Some(1),
        // docker's -1: all that run.
        None | Some("-1") => None,
        Some(n) => Some(n.parse().map_err(|_| Error::new(format!("--last {n}: not a number")).hint("--last 3"))?),
    };
    let all = is_on(matches, "all") || most.is_some() || by_status;
    let shown = |container: &&Container<'_>| (all || !container.now().is_over()) && passes(container, &filters);
    let found = settled(store)?;
    let most = most.unwrap_or(usize::MAX);
    let chosen = found.iter().filter(shown).take(most);
    let (whole, size) = (is_on(matches, "no-trunc"), is_on(matches, "size"));
    if is_on(matches, "quiet") {
        for container in chosen {
            let id = if whole { &container.record.id } else { container.record.short() };
            ui::print(&format!("{id}\n"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Value> = chosen.map(|container| row(container, whole, sized(container, &format, size))).collect();
    let mut columns = vec![
        ("CONTAINER ID", "ID"),
        ("IMAGE", "Image"),
        ("COMMAND", "Command"),
        ("CREATED", "RunningFor"),
        ("STATUS", "Status"),
        ("PORTS", "Ports"),
        ("NAMES", "Names"),
    ];
    if size {
        columns.push(("SIZE", "Size"));
    }
    template::print(&format, &rows, &columns, Style::of(&std::io::stdout()))?;
    Ok(ExitCode::SUCCESS)
}

fn top(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let container = find(store, word(matches, "containers").unwrap_or_default())?;
    let Now::Running { made, .. } = container.now() else {
        return Err(Error::new(format!("container {} does not run", container.record.name)));
    };
    let pids = processes(&made);
    let given = words(matches, "ps");
    // docker's `-ef`; then only the lines of the container's own processes.
    let options = if given.is_empty() { vec!["-ef"] } else { given };
    let run = std::process::Command::new("ps").args(&options).stderr(std::process::Stdio::inherit()).output();
    let run = run.map_err(|e| Error::io("execve(ps)", &e).hint("install procps"))?;
    if !run.status.success() {
        return Err(Error::new(format!("ps {} fails", options.join(" "))).hint("ps --help all"));
    }
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let Some(column) = head.split_whitespace().position(|name| name == "PID") else {
        return Err(Error::new(format!("ps {} shows no PID", options.join(" ")))
            .why("the container's processes are told from others by it")
            .hint("-o pid,args"));
    };
    let of_ours = |line: &&str| {
        line.split_whitespace().nth(column).and_then(|pid| pid.parse().ok()).is_some_and(|pid| pids.contains(&pid))
    };
    let ours = lines.filter(of_ours).map(|line| format!("{line}\n"));
    ui::print(&format!("{head}\n{}", ours.collect::<String>()));
    Ok(ExitCode::SUCCESS)
}

/// A container's processes: those of its cgroup, and, where it has none, those in the PID namespace of its first one.
fn processes(made: &Made) -> Vec<i32> {
    let mut pids: Vec<i32> = made.cgroups.iter().flat_map(|dir| crate::cgroup::pids(dir)).collect();
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    if let Some(init) = made.init.filter(|_| pids.is_empty()) {
        let own = namespace(init.pid);
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.extend(all.filter(|pid| own.is_some() && namespace(*pid) == own));
    }
    pids
}
