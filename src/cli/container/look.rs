//! `ps`, `inspect`, `top`: what there is, and what is true of it.

use super::{containers, find, flag, format, format_flag, value, word, words};
use crate::cli::is_on;
use crate::cli::template::{self, Format};
use crate::container::health::{Health, Status};
use crate::container::store::{Container, Store};
use crate::container::{History, Now, Record, Restart, times};
use crate::error::{Error, Result};
use crate::journal::Made;
use crate::spec::units;
use crate::ui::{self, Style};
use crate::volume::{Volume, Volumes};
use clap::{Arg, ArgAction, ArgMatches, Command};
use regex_lite::Regex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
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
                        "Only those: status, name, label, id, exited, ancestor, before, since, volume, health",
                    )
                    .action(ArgAction::Append),
                )
                .arg(flag("no-trunc", None, "Whole ids and commands"))
                .arg(flag("size", Some('s'), "How much they have written"))
                .arg(flag("latest", Some('l'), "Only the one that was created last"))
                .arg(value("last", Some('n'), "N", "Only the N that were created last").allow_hyphen_values(true))
                .arg(format_flag())
        }),
        Command::new("inspect")
            .about("Everything about containers, as JSON")
            .defer(|c| c.arg(containers()).arg(format_flag())),
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
        "inspect" => inspect(matches, store),
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
fn health(container: &Container<'_>, now: &Now) -> Option<Health> {
    container.record.health.as_ref()?;
    let health = Health::of(container);
    let ended = matches!(now, Now::Exited | Now::Restarting { .. });
    Some(if ended { Health { status: Status::Unhealthy, ..health } } else { health })
}

fn command_line(container: &Container<'_>, whole: bool) -> String {
    let options = &container.record.options;
    let words: Vec<&str> = options.entrypoint.iter().chain(&options.command).map(String::as_str).collect();
    let text = words.join(" ");
    format!("\"{}\"", if whole { text } else { ui::cut(&text, 20) })
}

/// All that `ps` has to say about one.
pub fn row(container: &Container<'_>, whole: bool, size: bool) -> Value {
    let (record, now, history) = (&container.record, container.now(), container.history());
    let labels: Vec<String> = record.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut row = json!({
        "ID": if whole { &record.id } else { record.short() },
        "Image": record.image,
        "Command": command_line(container, whole),
        "CreatedAt": times::rfc3339(record.created),
        "RunningFor": format!("{} ago", times::human(times::now() - record.created)),
        "State": now.word(),
        "Status": status(container, &now, &history),
        "Names": record.name,
        "Labels": labels.join(","),
        "Networks": record.options.network.as_deref().unwrap_or("bridge"),
        "Mounts": sources(container).join(","),
        "LocalVolumes": record.volumes.len().to_string(),
        "Ports": "",
    });
    if size {
        row["Size"] = json!(human_bytes(written(&container.dir().join("upper"))));
    }
    row
}

/// What its mounts show: volumes by their names, directories of the host by their paths.
fn sources(container: &Container<'_>) -> Vec<String> {
    let text = |mount: &Value, key: &str| mount[key].as_str().map(str::to_string);
    mounts(container).iter().filter_map(|mount| text(mount, "Name").or_else(|| text(mount, "Source"))).collect()
}

/// docker's list of a container's mounts. A directory of the host that has gone meanwhile is not in it.
fn mounts(container: &Container<'_>) -> Vec<Value> {
    let options = &container.record.options;
    let volumes = Volumes::new(container.state());
    let parsed = options.volume.iter().filter_map(|text| crate::mounts::parse_volume(text).ok());
    let parsed = parsed.chain(options.mount.iter().filter_map(|text| crate::mounts::parse_mount(text).ok()));
    let document = |(mount, volume): (oci_spec::runtime::Mount, Option<crate::mounts::Volume>)| {
        let has = |words: &[&str]| mount.options().iter().flatten().any(|o| words.contains(&o.as_str()));
        let propagation =
            mount.options().iter().flatten().find(|o| ["private", "slave", "shared"].iter().any(|p| o.ends_with(p)));
        let name = volume.and_then(|v| v.name);
        let source = match &name {
            Some(name) => Some(volumes.data(&volumes.get(name).unwrap_or_else(|| Volume::new(name)))),
            None => mount.source().clone().filter(|_| mount.typ().as_deref() == Some("bind")),
        };
        let kind = if name.is_some() { "volume" } else { mount.typ().as_deref().unwrap_or("bind") };
        let mut document = json!({
            "Type": kind,
            "Source": source,
            "Destination": mount.destination(),
            "Mode": "",
            "RW": !has(&["ro", "rro"]),
            "Propagation": propagation,
        });
        if let Some(name) = name {
            document["Name"] = json!(name);
            document["Driver"] = json!("local");
        }
        document
    };
    parsed.map(document).collect()
}

/// What a container has written: bytes in its upper layer.
pub fn written(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => written(&e.path()),
            Ok(m) if m.is_file() => m.len(),
            _ => 0,
        })
        .sum()
}

/// docker's: powers of a thousand, three digits.
pub fn human_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 1000.0 || unit == "TB" {
            let digits = if value >= 100.0 || unit == "B" {
                0
            } else if value >= 10.0 {
                1
            } else {
                2
            };
            return format!("{value:.digits$}{unit}");
        }
        value /= 1000.0;
    }
    String::new()
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
                     before=CONTAINER, since=CONTAINER, volume=NAME, health=healthy",
                )
            };
            let (key, value) = text.split_once('=').ok_or_else(wrong)?;
            let value = value.to_string();
            Ok(match key {
                "status" if STATES.contains(&value.as_str()) => Filter::Status(value),
                // docker's names begin with a slash where patterns look.
                "name" => Filter::Name(Regex::new(&value.replace("^/", "^")).map_err(|_| wrong())?),
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
        Filter::Name(pattern) => pattern.is_match(&record.name),
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
    let rows: Vec<Value> = chosen.map(|container| row(container, whole, size)).collect();
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

/// docker's document about one container, as far as there is such a thing here.
fn document(container: &Container<'_>) -> Value {
    let (record, now, history) = (&container.record, container.now(), container.history());
    let options = &record.options;
    let made = match &now {
        Now::Running { made, .. } => Some(made.as_ref().clone()),
        _ => None,
    };
    let pid = made.as_ref().and_then(|m| m.init).map_or(0, |i| i.pid);
    let monitor = match now {
        Now::Running { watcher, .. } | Now::Restarting { watcher } => watcher,
        _ => 0,
    };
    let lease = made.as_ref().and_then(|m| m.net.clone());
    let restart = match record.restart {
        Restart::No => json!({ "Name": "no", "MaximumRetryCount": 0 }),
        Restart::OnFailure(most) => json!({ "Name": "on-failure", "MaximumRetryCount": most.unwrap_or(0) }),
        Restart::Always => json!({ "Name": "always", "MaximumRetryCount": 0 }),
        Restart::UnlessStopped => json!({ "Name": "unless-stopped", "MaximumRetryCount": 0 }),
    };
    let words: Vec<&String> = options.entrypoint.iter().chain(&options.command).collect();
    let mut document = json!({
        "Id": record.id,
        "Created": times::rfc3339(record.created),
        "Path": words.first(),
        "Args": words.iter().skip(1).collect::<Vec<_>>(),
        "State": {
            "Status": now.word(),
            "Running": now.runs(),
            "Paused": matches!(now, Now::Running { paused: true, .. }),
            "Restarting": matches!(now, Now::Restarting { .. }),
            "OOMKilled": history.oom_killed,
            "Dead": false,
            "Pid": pid,
            "MonitorPid": monitor,
            "ExitCode": if now.runs() { Some(0) } else { history.exit_code },
            "Error": history.error,
            "StartedAt": times::rfc3339(history.started),
            "FinishedAt": times::rfc3339(history.finished),
        },
        "Image": record.image,
        "Name": record.name,
        "RestartCount": history.restarts,
        "LogPath": container.dir().join("log"),
        "HostConfig": host_config(record, restart),
        "Config": {
            "Hostname": options.hostname.clone().unwrap_or_else(|| record.short().to_string()),
            "Domainname": options.domainname,
            "User": options.user.as_deref().unwrap_or_default(),
            "Tty": options.tty,
            "OpenStdin": options.interactive,
            "Env": options.env,
            "Entrypoint": options.entrypoint,
            "Cmd": options.command,
            "Image": record.image,
            "WorkingDir": options.workdir.as_deref().unwrap_or_default(),
            "Labels": record.labels,
            "StopSignal": record.stop_signal.map(crate::sys::signal::name),
            "StopTimeout": record.stop_timeout,
        },
        "Mounts": mounts(container),
        "GraphDriver": { "Name": "overlay", "Data": { "UpperDir": container.dir().join("upper") } },
        "CgroupPaths": made.as_ref().map(|m| m.cgroups.clone()).unwrap_or_default(),
        "NetworkSettings": {
            "IPAddress": lease.as_ref().map(|l| l.address.to_string()).unwrap_or_default(),
            "Bridge": lease.as_ref().map(|l| l.bridge.clone()).unwrap_or_default(),
        },
    });
    if let (Some(check), Some(health)) = (&record.health, health(container, &now)) {
        document["State"]["Health"] = health.document();
        document["Config"]["Healthcheck"] = check.document();
    }
    document
}

/// In docker's fields and units: bytes, billionths of a CPU; nothing said is 0.
fn host_config(record: &Record, restart: Value) -> Value {
    let options = &record.options;
    // They were understood when the container was made.
    let number = |text: &Option<String>, read: fn(&str, &str) -> Result<i64>| {
        text.as_deref().and_then(|text| read("", text).ok()).unwrap_or(0)
    };
    let whole = |flag: &str, text: &str| units::integer(flag, text, i64::MIN, i64::MAX);
    let memory = number(&options.memory, units::memory);
    let swap = options.memory_swap.as_deref().and_then(|text| units::memory_swap("", text).ok());
    let size = record.log.max_size.map_or("-1".to_string(), |n| n.to_string());
    json!({
        "AutoRemove": record.rm,
        "NetworkMode": options.network.as_deref().unwrap_or("bridge"),
        "RestartPolicy": restart,
        "Init": options.init,
        "Privileged": options.privileged,
        "ReadonlyRootfs": options.read_only,
        "Binds": options.volume,
        "Tmpfs": options.tmpfs.iter().map(|t| t.split_once(':').unwrap_or((t, ""))).collect::<BTreeMap<_, _>>(),
        "CapAdd": options.cap_add,
        "CapDrop": options.cap_drop,
        "GroupAdd": options.group_add,
        "SecurityOpt": options.security_opt,
        "UsernsMode": options.userns.as_deref().unwrap_or_default(),
        "Memory": memory,
        // docker's: as much swap as memory, where none is said.
        "MemorySwap": swap.filter(|s| *s != 0).unwrap_or(if memory > 0 { memory * 2 } else { 0 }),
        "NanoCpus": number(&options.cpus, units::cpus) * (1_000_000_000 / units::CPU_PERIOD as i64),
        "CpuShares": number(&options.cpu_shares, whole),
        "CpusetCpus": options.cpuset_cpus.as_deref().unwrap_or_default(),
        "PidsLimit": number(&options.pids_limit, whole),
        "ShmSize": options.shm_size.as_deref().and_then(|s| units::bytes("", s).ok()).unwrap_or(64 << 20),
        "OomScoreAdj": number(&options.oom_score_adj, whole),
        "LogConfig": {
            "Type": "json-file",
            "Config": { "max-size": size, "max-file": record.log.max_file.to_string() },
        },
    })
}

fn inspect(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let format = format(matches)?;
    let (mut found, mut failed) = (Vec::new(), false);
    for name in words(matches, "containers") {
        match find(store, name) {
            Ok(container) => found.push(document(&container)),
            Err(e) => {
                eprint!("{}", ui::error(&e.to_string()));
                failed = true;
            }
        }
    }
    print_documents(&format, found)?;
    Ok(ExitCode::from(u8::from(failed)))
}

/// What `inspect` prints of any kind of thing.
///
/// # Errors
/// A field of the format that they do not have.
pub fn print_documents(format: &Format, found: Vec<Value>) -> Result<()> {
    let text = match format {
        Format::Table | Format::Json => {
            let list = Value::Array(found);
            let text = if *format == Format::Json { Ok(list.to_string()) } else { serde_json::to_string_pretty(&list) };
            text.map_err(|e| Error::new(format!("JSON: {e}")))? + "\n"
        }
        Format::Template(pieces, _) => {
            let lines = found.iter().map(|object| template::fill(pieces, object).map(|line| line + "\n"));
            lines.collect::<Result<String>>()?
        }
    };
    ui::print(&text);
    Ok(())
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
