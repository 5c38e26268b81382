//! `stats`, `update`, `diff`: what a container uses, what it may use, and what it has changed.

use super::{containers, each, find, flag, format, format_flag, value, word, words};
use crate::cgroup::{Cgroup, Controller, Counters};
use crate::cli::is_on;
use crate::cli::template::{self, Format};
use crate::container::store::{Container, Store};
use crate::container::{Now, events, monitor};
use crate::error::{Error, Result};
use crate::spec::Root;
use crate::spec::build::{self, Purpose};
use crate::ui::{self, Style};
use clap::{Arg, ArgMatches, Command};
use serde_json::{Value, json};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The limits that can be changed while it runs.
const LIMITS: [(&str, &str, &str); 6] = [
    ("cpus", "N", "CPUs' worth of time"),
    ("cpu-shares", "N", "Share of CPU time when it is short"),
    ("cpuset-cpus", "LIST", "Which CPUs"),
    ("memory", "BYTES", "Memory"),
    ("memory-swap", "BYTES", "Memory and swap together; -1 is unlimited"),
    ("pids-limit", "N", "Number of processes; -1 is unlimited"),
];

pub fn commands() -> Vec<Command> {
    vec![
        Command::new("stats").about("What containers use, again and again").defer(|c| {
            c.arg(Arg::new("containers").value_name("CONTAINER").num_args(0..).help("Which [default: all that run]"))
                .arg(flag("all", Some('a'), "Also those that do not run"))
                .arg(flag("no-stream", None, "Once"))
                .arg(flag("no-trunc", None, "Whole ids"))
                .arg(format_flag())
        }),
        Command::new("update").about("Change the limits of containers, also while they run").defer(|c| {
            let c = c.arg(containers()).arg(value("restart", None, "POLICY", "Its restart policy"));
            LIMITS.iter().fold(c, |c, (name, of, help)| {
                let short = (*name == "memory").then_some('m');
                c.arg(value(name, short, of, help).allow_hyphen_values(true))
            })
        }),
        Command::new("diff")
            .about("What a container has changed in its files: added, changed, deleted")
            .defer(|c| c.arg(super::one_container())),
    ]
}

pub fn dispatch(name: &str, matches: &ArgMatches, store: Store<'_>) -> Option<Result<ExitCode>> {
    Some(match name {
        "stats" => stats(matches, store),
        "update" => update(matches, store),
        "diff" => diff(matches, store),
        _ => return None,
    })
}

/// Everything about one at one moment.
struct Sample {
    at: Instant,
    counters: Counters,
    net: (u64, u64),
    limit: u64,
}

fn sample(container: &Container<'_>) -> Option<Sample> {
    let Now::Running { made, .. } = container.now() else { return None };
    let net = made.init.map(|init| network(init.pid)).unwrap_or_default();
    let limit = memory_limit(&made.cgroups);
    let mut counters = crate::cgroup::counters(&made.cgroups);
    if counters.pids_current.is_none() && !made.cgroups.is_empty() {
        // Where the controller cannot be had: the processes that are there, and not their threads.
        let pids: std::collections::BTreeSet<i32> =
            made.cgroups.iter().flat_map(|dir| crate::cgroup::pids(dir)).collect();
        counters.pids_current = Some(pids.len() as u64);
    }
    Some(Sample { at: Instant::now(), counters, net, limit })
}

/// Bytes received and sent on all links but lo: proc_pid_net(5).
fn network(pid: i32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let links = text.lines().skip(2).filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    links.fold((0, 0), |(received, sent), (_, numbers)| {
        let field = |n: usize| numbers.split_whitespace().nth(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        (received + field(0), sent + field(8))
    })
}

/// The container's own limit, or all that the machine has.
fn memory_limit(dirs: &[PathBuf]) -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = machine.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
    let files = dirs.iter().flat_map(|dir| [dir.join("memory.max"), dir.join("memory.limit_in_bytes")]);
    let own = files.filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()).min();
    own.unwrap_or(u64::MAX).min(kib * 1024)
}

/// docker's: powers of 1024 for memory, of 1000 for the others.
pub fn bytes(value: u64, base: f64) -> String {
    let units = if base == 1024.0 { ["B", "KiB", "MiB", "GiB", "TiB"] } else { ["B", "kB", "MB", "GB", "TB"] };
    let mut number = value as f64;
    for unit in units {
        if number < base || unit == units[4] {
            let digits = if unit == "B" {
                0
            } else if number < 10.0 {
                2
            } else if number < 100.0 {
                1
            } else {
                0
            };
            return format!("{number:.digits$}{unit}");
        }
        number /= base;
    }
    String::new()
}

fn row(container: &Container<'_>, before: Option<&Sample>, now: Option<&Sample>, whole: bool) -> Value {
    let record = &container.record;
    let id = if whole { record.id.as_str() } else { record.short() };
    let none = || "--".to_string();
    let of = |text: &dyn Fn(&Sample) -> Option<String>| now.and_then(text).unwrap_or_else(none);
    let cpu = before.zip(now).and_then(|(before, now)| {
        let used = now.counters.cpu_usec?.saturating_sub(before.counters.cpu_usec?);
        let passed = now.at.duration_since(before.at).as_micros().max(1);
        Some(format!("{:.2}%", used as f64 * 100.0 / passed as f64))
    });
    let share = |s: &Sample| Some(format!("{:.2}%", s.counters.memory_current? as f64 * 100.0 / s.limit.max(1) as f64));
    let memory =
        |s: &Sample| Some(format!("{} / {}", bytes(s.counters.memory_current?, 1024.0), bytes(s.limit, 1024.0)));
    let disk = |s: &Sample| {
        let (read, written) = s.counters.io.values().fold((0, 0), |(r, w), io| (r + io.0, w + io.1));
        Some(format!("{} / {}", bytes(read, 1000.0), bytes(written, 1000.0)))
    };
    json!({
        "ID": id,
        "Container": id,
        "Name": record.name,
        "CPUPerc": cpu.unwrap_or_else(none),
        "MemUsage": of(&memory),
        "MemPerc": of(&share),
        "NetIO": of(&|s| Some(format!("{} / {}", bytes(s.net.0, 1000.0), bytes(s.net.1, 1000.0)))),
        "BlockIO": of(&disk),
        "PIDs": of(&|s| s.counters.pids_current.map(|n| n.to_string())),
    })
}

const COLUMNS: [(&str, &str); 8] = [
    ("CONTAINER ID", "ID"),
    ("NAME", "Name"),
    ("CPU %", "CPUPerc"),
    ("MEM USAGE / LIMIT", "MemUsage"),
    ("MEM %", "MemPerc"),
    ("NET I/O", "NetIO"),
    ("BLOCK I/O", "BlockIO"),
    ("PIDS", "PIDs"),
];

fn stats(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let format = format(matches)?;
    let style = Style::of(&std::io::stdout());
    let (once, whole) = (is_on(matches, "no-stream"), is_on(matches, "no-trunc"));
    let names = words(matches, "containers");
    let chosen = || -> Result<Vec<Container<'_>>> {
        if names.is_empty() {
            let all = store.all()?;
            return Ok(all.into_iter().filter(|c| is_on(matches, "all") || c.now().runs()).collect());
        }
        names.iter().map(|name| find(store, name)).collect()
    };
    let mut before: Vec<(String, Option<Sample>)> =
        chosen()?.iter().map(|c| (c.record.id.clone(), sample(c))).collect();
    loop {
        // CPU time is a share of time that has passed.
        std::thread::sleep(Duration::from_millis(if once { 500 } else { 1000 }));
        let (mut rows, mut now) = (Vec::new(), Vec::new());
        for container in chosen()? {
            let sample = sample(&container);
            let earlier = before.iter().find(|(id, _)| *id == container.record.id).and_then(|(_, s)| s.as_ref());
            rows.push(row(&container, earlier, sample.as_ref(), whole));
            now.push((container.record.id.clone(), sample));
        }
        if !once && format == Format::Table {
            // A terminal is cleared from its top; in a pipe each round follows the one before.
            ui::print(if std::io::IsTerminal::is_terminal(&std::io::stdout()) { "\x1b[H\x1b[2J" } else { "" });
        }
        template::print(&format, &rows, &COLUMNS, style)?;
        if once {
            return Ok(ExitCode::SUCCESS);
        }
        before = now;
    }
}

fn update(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let restart = word(matches, "restart").map(|text| super::start::restart(text, false)).transpose()?;
    if restart.is_none() && LIMITS.iter().all(|(name, _, _)| word(matches, name).is_none()) {
        return Err(Error::new("nothing to change").hint("boxwright update --memory 256m CONTAINER"));
    }
    each(store, &words(matches, "containers"), |container| {
        let _locked = container.lock()?;
        let mut container = container.fresh();
        if let Some(restart) = restart {
            if container.record.rm {
                return Err(Error::new("a container of --rm has no restart policy"));
            }
            container.record.restart = restart;
        }
        let options = &mut container.record.options;
        let set = |name: &str, option: &mut Option<String>| {
            if let Some(value) = word(matches, name) {
                *option = Some(value.into());
            }
        };
        set("cpus", &mut options.cpus);
        set("cpu-shares", &mut options.cpu_shares);
        set("cpuset-cpus", &mut options.cpuset_cpus);
        set("memory", &mut options.memory);
        set("memory-swap", &mut options.memory_swap);
        set("pids-limit", &mut options.pids_limit);
        // Understood before anything is changed.
        let spec = build::build(options, Purpose::Run, store.state)?;
        if let Now::Running { made, .. } = container.now() {
            let cgroup = Cgroup::of(&made.cgroups)?;
            let asked = |names: &[&str]| names.iter().any(|name| word(matches, name).is_some());
            let needs = [
                (Controller::Cpu, &["cpus", "cpu-shares"][..]),
                (Controller::Cpuset, &["cpuset-cpus"]),
                (Controller::Memory, &["memory", "memory-swap"]),
                (Controller::Pids, &["pids-limit"]),
            ];
            let needed: Vec<Controller> = needs.iter().filter(|(_, names)| asked(names)).map(|(c, _)| *c).collect();
            let mut notes = cgroup.turn_on(&needed)?;
            if let Some(cpu) = spec.cpu().filter(|_| asked(&["cpus", "cpu-shares", "cpuset-cpus"])) {
                cgroup.limit_cpu(cpu)?;
            }
            if let Some(memory) = spec.memory().filter(|_| asked(&["memory", "memory-swap"])) {
                cgroup.free_swap();
                notes.extend(cgroup.limit_memory(memory)?);
            }
            if asked(&["pids-limit"]) {
                // No limit at all is a limit to be written, too.
                cgroup.limit_pids(spec.pids_limit().unwrap_or(-1))?;
            }
            notes.iter().for_each(|note| eprintln!("boxwright: note: {note}"));
        }
        container.save()?;
        events::note(&container, "update", &[]);
        Ok(())
    })
}

/// docker's letters: A is new, C has changed, D is gone.
fn diff(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let container = find(store, word(matches, "containers").unwrap_or_default())?;
    let spec = monitor::spec(&container)?;
    let Root::Layers(layers) = &spec.root else {
        return Err(Error::new("a root filesystem of --rootfs has no layer of changes")
            .why("the container writes into the directory itself")
            .hint("--rootfs DIR:O puts a layer above it"));
    };
    let upper = container.dir().join("upper");
    let mut changes = Vec::new();
    walk(&upper, Path::new("/"), layers, &mut changes)?;
    changes.sort();
    let lines = changes.iter().map(|(path, kind)| format!("{kind} {}\n", path.display()));
    ui::print(&lines.collect::<String>());
    Ok(ExitCode::SUCCESS)
}

fn walk(dir: &Path, inside: &Path, layers: &[PathBuf], changes: &mut Vec<(PathBuf, char)>) -> Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        // Never started: nothing changed.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(format!("opendir({})", dir.display()), &e)),
    };
    for entry in entries.flatten() {
        let path = inside.join(entry.file_name());
        let Ok(meta) = entry.metadata() else { continue };
        let below = path.strip_prefix("/").unwrap_or(&path);
        let was_there = layers.iter().any(|layer| layer.join(below).symlink_metadata().is_ok());
        // A whiteout is a character device 0:0, or, where there is no root, an empty file with an attribute.
        let whiteout = meta.file_type().is_char_device() && meta.rdev() == 0
            || meta.len() == 0 && crate::sys::fs::has_xattr(&entry.path(), c"user.overlay.whiteout");
        let kind = match (whiteout, was_there) {
            (true, _) => 'D',
            (false, true) => 'C',
            (false, false) => 'A',
        };
        changes.push((path.clone(), kind));
        if meta.is_dir() {
            walk(&entry.path(), &path, layers, changes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_dockers() {
        use super::bytes;
        let memory = |n| bytes(n, 1024.0);
        assert_eq!([memory(0), memory(1536), memory(64 << 20)], ["0B", "1.50KiB", "64.0MiB"]);
        assert_eq!([bytes(999, 1000.0), bytes(1_500_000, 1000.0)], ["999B", "1.50MB"]);
    }
}
