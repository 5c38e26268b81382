//! `inspect`: docker's document about a container, as far as there is such a thing here; or about a volume.

use super::{containers, flag, format, format_flag, look, sizes, value, word, words};
use crate::cli::template::{self, Format};
use crate::cli::{is_on, volume};
use crate::container::store::{Container, Store};
use crate::container::{Now, Record, Restart, times};
use crate::error::{Error, Result};
use crate::spec::{devices, units};
use crate::ui;
use crate::volume::{Volume, Volumes};
use clap::{ArgMatches, Command};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;

pub fn command() -> Command {
    Command::new("inspect").about("Everything about containers or volumes, as JSON").defer(|c| {
        c.arg(containers().value_name("NAME"))
            .arg(format_flag().short('f'))
            .arg(flag("size", Some('s'), "Also how large it is: SizeRw, SizeRootFs"))
            .arg(value("type", None, "KIND", "Only of this kind: container or volume"))
    })
}

pub fn run(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let format = format(matches)?;
    let kind = word(matches, "type").unwrap_or_default();
    if !["", "container", "volume"].contains(&kind) {
        return Err(Error::new(format!("--type {kind}: nothing of that kind can be inspected"))
            .hint("--type container, --type volume"));
    }
    let sized = is_on(matches, "size");
    let (mut found, mut failed) = (Vec::new(), false);
    for name in words(matches, "containers") {
        match one(store, kind, name, sized) {
            Ok(document) => found.push(document),
            Err(e) => {
                eprint!("{}", ui::error(&e.to_string()));
                failed = true;
            }
        }
    }
    print_documents(&format, found)?;
    Ok(ExitCode::from(u8::from(failed)))
}

/// The container of that name, or else the volume.
fn one(store: Store<'_>, kind: &str, name: &str, sized: bool) -> Result<Value> {
    if kind != "volume" {
        store.look_up(name)?.iter().for_each(Container::settle);
        // With --rm, settling may have removed it.
        if let Some(container) = store.look_up(name)? {
            let mut document = document(&container);
            if sized {
                document["SizeRw"] = json!(sizes::of_layer(&container));
                document["SizeRootFs"] = json!(sizes::of_root(&container));
            }
            return Ok(document);
        }
    }
    let volumes = Volumes::new(store.state);
    match kind {
        "container" => store.find(name).map(|container| document(&container)),
        "volume" => volumes.find(name).map(|found| volume::document(volumes, &found)),
        _ => volumes.get(name).map(|found| volume::document(volumes, &found)).ok_or_else(|| {
            Error::new(format!("No such object: {name}")).hint("boxwright ps -a and boxwright volume ls list them")
        }),
    }
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
        Format::Template(template, _) => {
            let lines = found.iter().map(|object| template::fill(template, object).map(|line| line + "\n"));
            lines.collect::<Result<String>>()?
        }
    };
    ui::print(&text);
    Ok(())
}

fn document(container: &Container<'_>) -> Value {
    let (record, now, history) = (&container.record, container.now(), container.history());
    let made = match &now {
        Now::Running { made, .. } => Some(made.as_ref()),
        _ => None,
    };
    let pid = made.and_then(|m| m.init).map_or(0, |i| i.pid);
    let monitor = match now {
        Now::Running { watcher, .. } | Now::Restarting { watcher } => watcher,
        _ => 0,
    };
    let restarting = matches!(now, Now::Restarting { .. });
    let words: Vec<&String> = record.options.entrypoint.iter().chain(&record.options.command).collect();
    let mut document = json!({
        "Id": record.id,
        "Created": times::rfc3339(record.created),
        "Path": words.first().map_or("", |word| word.as_str()),
        "Args": words.iter().skip(1).collect::<Vec<_>>(),
        "State": {
            "Status": now.word(),
            // docker's: one that is about to be started again runs.
            "Running": now.runs() || restarting,
            "Paused": matches!(now, Now::Running { paused: true, .. }),
            "Restarting": restarting,
            "OOMKilled": history.oom_killed,
            "Dead": false,
            "Pid": pid,
            "MonitorPid": monitor,
            "ExitCode": match now {
                Now::Created | Now::Running { .. } => Some(0),
                // None is for what nobody saw: a number would be a guess.
                Now::Restarting { .. } | Now::Exited => history.exit_code,
            },
            "Error": history.error,
            "StartedAt": times::rfc3339(history.started),
            "FinishedAt": times::rfc3339(history.finished),
        },
        "Image": record.image,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "Name": format!("/{}", record.name),
        "RestartCount": history.restarts,
        "LogPath": container.dir().join("log"),
        "Driver": "overlay",
        "Platform": "linux",
        "HostConfig": host_config(record),
        "Config": config(record),
        "Mounts": mounts(container),
        "GraphDriver": { "Name": "overlay", "Data": { "UpperDir": container.dir().join("upper") } },
        "CgroupPaths": made.map(|m| m.cgroups.clone()).unwrap_or_default(),
        "NetworkSettings": network_settings(record, made.and_then(|m| m.net.as_ref()), pid),
    });
    if let (Some(check), Some(health)) = (&record.health, look::health(container, &now)) {
        document["State"]["Health"] = health.document();
        document["Config"]["Healthcheck"] = check.document();
    }
    document
}

fn config(record: &Record) -> Value {
    let options = &record.options;
    let attached = !record.detached;
    let anonymous = record.volumes.iter().filter(|volume| volume.anonymous);
    let volumes: BTreeMap<String, Value> =
        anonymous.map(|volume| (volume.destination.display().to_string(), json!({}))).collect();
    let mut config = json!({
        "Hostname": options.hostname.clone().unwrap_or_else(|| record.short().to_string()),
        "Domainname": options.domainname.as_deref().unwrap_or_default(),
        "User": options.user.as_deref().unwrap_or_default(),
        "AttachStdin": attached && options.interactive,
        "AttachStdout": attached,
        "AttachStderr": attached,
        "Tty": options.tty,
        "OpenStdin": options.interactive,
        "StdinOnce": attached && options.interactive,
        "Env": options.env,
        "Entrypoint": options.entrypoint.as_ref().map(|word| [word]),
        "Cmd": options.command,
        "Image": record.image,
        "Volumes": if volumes.is_empty() { Value::Null } else { json!(volumes) },
        "WorkingDir": options.workdir.as_deref().unwrap_or_default(),
        "Labels": record.labels,
    });
    if let Some(signal) = record.stop_signal {
        config["StopSignal"] = json!(crate::sys::signal::name(signal));
    }
    if let Some(seconds) = record.stop_timeout {
        config["StopTimeout"] = json!(seconds);
    }
    config
}

/// In docker's fields and units: bytes, billionths of a CPU; nothing said is 0.
fn host_config(record: &Record) -> Value {
    let options = &record.options;
    // They were understood when the container was made.
    let number = |text: &Option<String>, read: fn(&str, &str) -> Result<i64>| {
        text.as_deref().and_then(|text| read("", text).ok()).unwrap_or(0)
    };
    let whole = |flag: &str, text: &str| units::integer(flag, text, i64::MIN, i64::MAX);
    let memory = number(&options.memory, units::memory);
    let swap = options.memory_swap.as_deref().and_then(|text| units::memory_swap("", text).ok());
    let size = record.log.max_size.map_or("-1".to_string(), |n| n.to_string());
    let (policy, most) = match record.restart {
        Restart::No => ("no", 0),
        Restart::OnFailure(most) => ("on-failure", most.unwrap_or(0)),
        Restart::Always => ("always", 0),
        Restart::UnlessStopped => ("unless-stopped", 0),
    };
    // docker's: what was given no name is no bind.
    let anonymous = |text: &str| {
        let name = text.split(':').next().unwrap_or_default();
        record.volumes.iter().any(|volume| volume.anonymous && volume.name == name)
    };
    json!({
        "AutoRemove": record.rm,
        "NetworkMode": options.network.as_deref().unwrap_or("bridge"),
        "RestartPolicy": { "Name": policy, "MaximumRetryCount": most },
        "Init": options.init,
        "Privileged": options.privileged,
        "ReadonlyRootfs": options.read_only,
        "Binds": options.volume.iter().filter(|text| !anonymous(text)).collect::<Vec<_>>(),
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
        "Devices": options.device.iter().filter_map(|text| device(text)).collect::<Vec<_>>(),
        "Ulimits": options.ulimit.iter().filter_map(|text| ulimit(text)).collect::<Vec<_>>(),
        "LogConfig": {
            "Type": "json-file",
            "Config": { "max-size": size, "max-file": record.log.max_file.to_string() },
        },
    })
}

fn device(text: &str) -> Option<Value> {
    let (source, target, access) = devices::split(text).ok()?;
    Some(json!({ "PathOnHost": source, "PathInContainer": target, "CgroupPermissions": access }))
}

fn ulimit(text: &str) -> Option<Value> {
    let (name, _) = text.split_once('=')?;
    let (_, soft, hard) = units::ulimit("", text).ok()?;
    // RLIM_INFINITY is docker's -1.
    let number = |limit: u64| i64::try_from(limit).unwrap_or(-1);
    Some(json!({ "Name": name, "Hard": number(hard), "Soft": number(soft) }))
}

fn network_settings(record: &Record, lease: Option<&crate::net::Lease>, pid: i32) -> Value {
    let address = json!({
        "IPAddress": lease.map(|l| l.address.to_string()).unwrap_or_default(),
        "IPPrefixLen": lease.map_or(0, |l| l.subnet.prefix()),
        "Gateway": lease.map(|l| l.gateway().to_string()).unwrap_or_default(),
        "MacAddress": lease.map(|l| l.mac().to_string()).unwrap_or_default(),
    });
    let mut endpoint = address.clone();
    endpoint["NetworkID"] = json!("");
    let mut settings = address;
    settings["Bridge"] = json!(lease.map(|l| l.bridge.clone()).unwrap_or_default());
    settings["SandboxKey"] = json!(if pid > 0 { format!("/proc/{pid}/ns/net") } else { String::new() });
    settings["Ports"] = json!({});
    settings["Networks"] = json!({ record.options.network.as_deref().unwrap_or("bridge"): endpoint });
    settings
}

/// docker's list of a container's mounts. A directory of the host that has gone meanwhile is not in it.
pub fn mounts(container: &Container<'_>) -> Vec<Value> {
    let options = &container.record.options;
    let volumes = Volumes::new(container.state());
    let mode = |text: &str| text.splitn(3, ':').nth(2).unwrap_or_default().to_string();
    let short = options.volume.iter().filter_map(|t| Some((crate::mounts::parse_volume(t).ok()?, mode(t))));
    let long = options.mount.iter().filter_map(|t| Some((crate::mounts::parse_mount(t).ok()?, String::new())));
    let document = |((mount, volume), mode): ((oci_spec::runtime::Mount, Option<crate::mounts::Volume>), String)| {
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
            "Source": source.unwrap_or_default(),
            "Destination": mount.destination(),
            "Mode": mode,
            "RW": !has(&["ro", "rro"]),
            "Propagation": propagation.filter(|_| name.is_none()).map_or("", |p| p.as_str()),
        });
        if let Some(name) = name {
            document["Name"] = json!(name);
            document["Driver"] = json!("local");
        }
        document
    };
    short.chain(long).map(document).collect()
}
