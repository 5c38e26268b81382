//! `system info`: this machine, and what there is on it; docker's fields, as far as there is such a thing here.

use super::super::container::{look, sizes};
use super::super::template::{self, Format};
use crate::cgroup::Layout;
use crate::container::Now;
use crate::container::store::Store;
use crate::error::{Error, Result};
use crate::ui;
use clap::ArgMatches;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Prints it.
///
/// # Errors
/// A template that is not understood.
pub fn run(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let format = super::super::container::format(matches)?;
    let document = document(store)?;
    let text = match &format {
        Format::Table => text(&document),
        Format::Json => format!("{document}\n"),
        Format::Template(template, _) => template::fill(template, &document)? + "\n",
    };
    ui::print(&text);
    Ok(ExitCode::SUCCESS)
}

fn document(store: Store<'_>) -> Result<Value> {
    let all = look::settled(store)?;
    let words: Vec<&str> = all.iter().map(|c| c.now().word()).collect();
    let count = |chosen: &[&str]| words.iter().filter(|word| chosen.contains(word)).count();
    let paused = all.iter().filter(|c| matches!(c.now(), Now::Running { paused: true, .. })).count();
    let uname = nix::sys::utsname::uname().map_err(|e| Error::call("uname()", e))?;
    let of = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let layout = Layout::ours();
    let version = if layout.legacy.is_empty() { "2" } else { "1" };
    let rootless = !nix::unistd::geteuid().is_root();
    let mut security = vec!["name=seccomp,profile=builtin", "name=cgroupns"];
    if rootless {
        security.push("name=rootless");
    }
    Ok(json!({
        "Containers": all.len(),
        "ContainersRunning": count(&["running"]),
        "ContainersPaused": paused,
        "ContainersStopped": count(&["created", "exited"]),
        "Images": usize::from(store.state.lib.join("images").exists()),
        "Driver": "overlay",
        "LoggingDriver": "local",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": version,
        "SecurityOptions": security,
        "KernelVersion": of(uname.release()),
        "OperatingSystem": operating_system(),
        "OSType": "linux",
        "Architecture": of(uname.machine()),
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "MemTotal": memory(),
        "Name": of(uname.nodename()),
        "DockerRootDir": store.state.lib,
        "RunDir": store.state.run,
        "Rootless": rootless,
        "ServerVersion": env!("CARGO_PKG_VERSION"),
    }))
}

fn operating_system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".into(), |name| name.trim_matches('"').to_string())
}

/// In bytes.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// docker's lines, in docker's order.
const LINES: [(&str, &str); 18] = [
    ("Server Version", "ServerVersion"),
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Security Options", "SecurityOptions"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", "MemTotal"),
    ("Name", "Name"),
    ("Root Dir", "DockerRootDir"),
];

fn text(document: &Value) -> String {
    let shown = |field: &str| match &document[field] {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        value if field == "MemTotal" => sizes::human_bytes(value.as_u64().unwrap_or(0)),
        value => value.to_string(),
    };
    LINES.iter().map(|(name, field)| format!("{name}: {}\n", shown(field))).collect()
}
