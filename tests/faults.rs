//! What dies, dies at any moment: commands at each of their system calls, monitors, the machine (its disk is read again
//! from a copy), and disks fill up. Then the next command tells the truth, cleans what is dead, and leaves alone what lives.

mod common;

use common::life::{Life, both};
use common::{World, inventory::descendants};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command under strace(1), which follows all that comes of it, and is nobody's parent (-D).
fn strace(life: &Life, options: &[&str], args: &[&str]) -> Command {
    let mut strace = life.any("strace");
    strace.args(["-D", "-f", "-qqq"]).args(options).arg(life.program()).args(args);
    strace.stdout(Stdio::null()).stderr(Stdio::null());
    strace
}

/// Every system call of a command and of what it leaves behind: its name, and the how-manieth of that name it is in its
/// process. In the order in which they are first made.
fn calls(life: &Life, args: &[&str]) -> Vec<(String, usize)> {
    let prefix = life.dir.path().join("home/calls");
    let mut strace = strace(life, &["-ff", "-o", &prefix.to_string_lossy()], args);
    assert!(strace.status().expect("strace starts").success(), "{args:?} under strace");
    let traces = common::strace::read(&prefix);
    let (mut all, mut seen) = (vec![], BTreeSet::new());
    for lines in traces.values() {
        let mut counts = BTreeMap::new();
        for name in lines.iter().filter_map(|line| line.split_once('(')).map(|(name, _)| name.to_string()) {
            let count = counts.entry(name.clone()).or_insert(0);
            *count += 1;
            // exit_group does not return, so nothing can be sent behind it; execve is strace's own.
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if plain && name != "exit_group" && name != "execve" && seen.insert((name.clone(), *count)) {
                all.push((name, *count));
            }
        }
    }
    for entry in std::fs::read_dir(life.dir.path().join("home")).expect("a directory").flatten() {
        let _ = std::fs::remove_file(entry.path());
    }
    all
}

/// Which of them are tried: another part of them each time in the usual form.
fn chosen(calls: Vec<(String, usize)>, usual: usize) -> Vec<(String, usize)> {
    let step = common::by_length(usual * 7, usual, 1);
    calls.into_iter().skip(std::process::id() as usize % step).step_by(step).collect()
}

/// Runs a command that is killed, with its children, where they make that call.
fn killed_at(life: &Life, (name, count): &(String, usize), args: &[&str]) {
    let inject = format!("inject={name}:signal=KILL:when={count}");
    let mut child = strace(life, &["-o", "/dev/null", "-e", &inject], args).spawn().expect("strace starts");
    let end = common::wait(&mut child, Duration::from_secs(60));
    if end.is_none() {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{args:?}, to be killed at {name} for the {count}th time, goes on for ever");
    }
}

/// The processes of containers that sleep, by name; and ours.
fn living(names: &[&str]) -> BTreeSet<i32> {
    let lives = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        names.iter().any(|name| stat.contains(&format!("({name}) "))) && !stat.contains(") Z ")
    };
    descendants().into_iter().filter(lives).collect()
}

/// Is what is said of every container true? Once what was left half-done has come to its end by itself.
fn truth(life: &Life) -> Vec<(String, String)> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let all = life.run(["ps", "-a", "--format", "{{.Names}} {{.State}}"]).exits(0).stdout;
        let all: Vec<(String, String)> =
            all.lines().filter_map(|l| l.split_once(' ')).map(|(n, s)| (n.into(), s.into())).collect();
        let running = all.iter().filter(|(_, state)| state == "running").count();
        let sleeping = living(&["sleep"]);
        let watching = living(&["boxwright-mon", "boxwright-monit", "boxwright"]);
        if sleeping.len() == running && watching.len() == running {
            for (name, state) in &all {
                let pid = life.number(name, "{{.State.Pid}}");
                assert_eq!(sleeping.contains(&pid), state == "running", "{name} is {state}, and its process {pid}");
            }
            return all;
        }
        let what = format!("{all:?}, but {sleeping:?} sleep and {watching:?} watch");
        assert!(Instant::now() < deadline, "it is said: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until its monitor sleeps, or is dead.
fn idle(life: &Life, name: &str) {
    let switches = || {
        let status = format!("/proc/{}/status", life.number(name, "{{.State.MonitorPid}}"));
        let status = std::fs::read_to_string(status).unwrap_or_default();
        status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:").map(str::to_string))
    };
    let mut before = switches();
    life.until("its monitor is idle", || {
        std::thread::sleep(Duration::from_millis(30));
        let now = switches();
        std::mem::replace(&mut before, now.clone()) == now
    });
}

/// Removes what there is, and looks whether nothing else was.
fn clean(life: &Life) {
    let names = life.names(&["-a"]);
    if !names.is_empty() {
        life.run(["rm", "-f"].into_iter().chain(names.iter().map(String::as_str))).exits(0);
    }
    // Who looks, sweeps: a second name of a `rename` that was killed.
    assert!(life.names(&["-a"]).is_empty());
    for below in ["run/journal", "lib/containers", "lib/names", "run/attach"] {
        let left: Vec<_> = std::fs::read_dir(life.root().join(below)).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
    // Thousands of dead would make every look at /proc slow.
    common::inventory::adopt_and_bury();
    life.until("strace has ended", || {
        living(&["strace", "sleep", "boxwright-mon", "boxwright-exec", "boxwright"]).is_empty()
    });
}

/// Those in which strace(1) can look on. (Made one by one: worlds exclude each other.)
fn traced() -> impl Iterator<Item = Life> {
    both().into_iter().filter_map(|make| {
        let life = make();
        let nobody = (!common::installed("strace")).then_some("there is no strace");
        match nobody.or_else(|| life.strace_cannot_follow()) {
            Some(why) => {
                common::record_skip(module_path!(), why);
                None
            }
            None => Some(life),
        }
    })
}

const RUN: [&str; 9] = ["full-run", "-d", "--name", "a", "--network", "none", "host", "sleep", "100"];

#[test]
fn a_start_that_is_killed_at_every_system_call() {
    for life in traced() {
        let all = calls(&life, &RUN);
        clean(&life);
        assert!(all.len() > 300, "only {} calls: was there a start at all?", all.len());
        let (mut states, mut tried) = (BTreeSet::new(), 0);
        for call in chosen(all, 13) {
            tried += 1;
            eprintln!("killed at {call:?}");
            killed_at(&life, &call, &RUN);
            let found = truth(&life);
            assert!(found.len() <= 1, "{found:?}");
            if !found.is_empty() {
                // What lives is left alone, what does not can be started.
                let pid = || life.number("a", "{{.State.Pid}}");
                // strace still looks for that call in the monitor: it may yet make it for the first time.
                idle(&life, "a");
                let (state, before) = (life.state("a"), pid());
                life.run(["start", "a"]).exits(0);
                assert!(state != "running" || pid() == before, "it was touched");
                assert_eq!(life.state("a"), "running");
                states.insert(state);
            }
            // The name is free or taken, and nothing else.
            clean(&life);
        }
        assert!(states.len() > 1 || tried < 20, "only {states:?}: were they killed at all?");
        life.end();
    }
}

#[test]
fn other_commands_that_are_killed_at_every_system_call() {
    let commands: [(&[&str], &str); 9] = [
        (&["exec", "a", "true"], "running"),
        (&["stop", "-t", "0", "a"], "running"),
        (&["kill", "a"], "running"),
        (&["rm", "a"], "exited"),
        (&["rm", "-f", "a"], "running"),
        (&["rename", "a", "b"], "exited"),
        (&["restart", "-t", "0", "a"], "running"),
        (&["container", "prune", "-f"], "exited"),
        (&["create", "--name", "b", "host", "true"], "exited"),
    ];
    for life in traced() {
        for (args, state) in commands {
            let ready = || {
                life.run(RUN).exits(0);
                if state == "exited" {
                    life.run(["kill", "a"]).exits(0);
                }
            };
            ready();
            let all = calls(&life, args);
            truth(&life);
            clean(&life);
            for call in chosen(all, 29) {
                eprintln!("{args:?} killed at {call:?}");
                ready();
                let pid = life.number("a", "{{.State.Pid}}");
                killed_at(&life, &call, args);
                let found = truth(&life);
                if args[0] == "exec" {
                    // Whoever of the three was killed (client, keeper, command), the container does not notice.
                    assert_eq!(found, [("a".to_string(), "running".to_string())]);
                    assert_eq!(life.number("a", "{{.State.Pid}}"), pid);
                    life.until("nobody of exec is left", || living(&["true", "boxwright-exec"]).is_empty());
                    // With its keeper killed, the command is an orphan, and a container ends after all in it are buried.
                    common::inventory::adopt_and_bury();
                }
                let old = found.iter().filter(|(name, _)| name == "a").count();
                assert!(found.len() - old <= 1 && old <= 1, "{found:?}");
                for (name, state) in &found {
                    // By its name it is found, and its end is known (a restart has children that were killed as well).
                    let code = life.field(name, "{{.State.ExitCode}}");
                    assert!(state != "exited" || code == "137" || args[0] == "restart", "{name}: {code}");
                    assert!(args[0] != "rename" || state == "exited");
                }
                // The same command once more does what it is for.
                if found.iter().any(|(name, _)| name == "a") && args[0] != "create" && args[0] != "kill" {
                    life.run(args).exits(0);
                }
                clean(&life);
            }
        }
        life.end();
    }
}

/// Who sweeps has opened a journal, and is slow; meanwhile that one has gone, and there is a new one of the same name.
#[test]
fn a_slow_sweep_takes_nothing_that_is_new() {
    for life in traced() {
        life.sleeper("a", &[]);
        let journal = life.root().join("run/journal").join(&life.field("a", "{{.Id}}")[..12]);
        let slow =
            ["-P", &journal.to_string_lossy(), "-e", "inject=fcntl:delay_enter=1500000:when=1", "-o", "/dev/null"];
        let mut sweeping = strace(&life, &slow, &["ps", "-a"]).spawn().expect("strace starts");
        std::thread::sleep(Duration::from_millis(500));
        life.run(["restart", "-t", "0", "a"]).exits(0);
        let pid = life.number("a", "{{.State.Pid}}");
        common::wait(&mut sweeping, Duration::from_secs(60)).expect("it ends");
        assert_eq!((life.state("a"), life.number("a", "{{.State.Pid}}")), ("running".into(), pid));
        assert!(Path::new(&format!("/proc/{pid}/exe")).exists(), "it was killed");
        clean(&life);
        life.end();
    }
}

/// What is on the disk at any moment is a whole state: after the power comes back, there is no /run and no process.
#[test]
fn a_power_cut_at_every_system_call() {
    for life in traced() {
        let all = calls(&life, &RUN);
        clean(&life);
        for call in chosen(all, 53) {
            eprintln!("the power goes at {call:?}");
            killed_at(&life, &call, &RUN);
            let copy = life.dir.path().join("home/copy");
            let mut cp = life.any("cp");
            cp.arg("-a").arg(life.root().join("lib")).arg({
                let mut mkdir = life.any("mkdir");
                mkdir.arg(&copy);
                assert!(mkdir.status().expect("mkdir").success());
                copy.join("lib")
            });
            cp.stderr(Stdio::null());
            // (What a start is just making may go while it is copied.)
            let _ = cp.status();
            truth(&life);
            clean(&life);
            let after = |args: &[&str]| {
                let mut command = life.command(args);
                command.env("BOXWRIGHT_ROOT", &copy);
                life.finish(command)
            };
            let found = after(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).exits(0).stdout;
            assert!(["", "a created\n", "a exited\n"].contains(&found.as_str()), "{found}");
            if !found.is_empty() {
                let run = after(&["start", "a"]).exits(0);
                assert_eq!(after(&["ps", "-q"]).stdout.lines().count(), 1, "{run}");
                after(&["rm", "-f", "a"]).exits(0);
            }
            after(&["full-run", "--name", "a", "--network", "none", "host", "true"]).exits(0);
            after(&["rm", "a"]).exits(0);
            let mut rm = life.any("rm");
            assert!(rm.arg("-rf").arg(&copy).status().expect("rm").success());
        }
        life.end();
    }
}

fn kill_monitor(life: &Life, name: &str) -> i32 {
    let (monitor, pid) = (life.number(name, "{{.State.MonitorPid}}"), life.number(name, "{{.State.Pid}}"));
    kill(Pid::from_raw(monitor), Signal::SIGKILL).expect("it lives");
    life.until("the monitor is dead", || {
        std::fs::read_to_string(format!("/proc/{monitor}/stat")).is_ok_and(|s| s.contains(") Z "))
            || !Path::new(&format!("/proc/{monitor}")).exists()
    });
    pid
}

/// A container does not outlive its monitor: whatever the next command is, it ends it first.
#[test]
fn a_monitor_that_is_killed() {
    let next: [(&[&str], i32, &str); 11] = [
        (&["ps"], 0, "exited"),
        (&["inspect", "a"], 0, "exited"),
        (&["logs", "a"], 0, "exited"),
        (&["stop", "a"], 0, "exited"),
        (&["kill", "a"], 1, "exited"),
        (&["attach", "a"], 125, "exited"),
        (&["wait", "a"], 0, "exited"),
        (&["rename", "a", "a2"], 0, "exited"),
        (&["start", "a"], 0, "running"),
        (&["restart", "a"], 0, "running"),
        (&["rm", "a"], 0, ""),
    ];
    for make in both() {
        let life = make();
        for (args, code, state) in next {
            life.sleeper("a", &[]);
            life.sleeper("alive", &[]);
            let alive = life.number("alive", "{{.State.Pid}}");
            let pid = kill_monitor(&life, "a");
            life.run(args).exits(code);
            assert!(!Path::new(&format!("/proc/{pid}/exe")).exists(), "{args:?}: process {pid} of a lives");
            assert_eq!(life.number("alive", "{{.State.Pid}}"), alive);
            let name = if args[0] == "rename" { "a2" } else { "a" };
            if state == "exited" {
                assert_eq!(life.field(name, "{{.State.Status}} {{.State.ExitCode}}"), "exited <no value>", "{args:?}");
                assert!(life.field(name, "{{.State.Error}}").contains("monitor lost"));
                assert!(life.run(["ps", "-a"]).stdout.contains("Exited (unknown: monitor lost)"));
            } else {
                assert_eq!(
                    life.names(&[]),
                    ["alive", "a"].into_iter().filter(|n| *n != "a" || state == "running").collect::<Vec<_>>()
                );
            }
            clean(&life);
        }
        life.end();
    }
}

#[test]
fn a_monitor_that_is_killed_takes_its_promises_along() {
    for make in both() {
        let life = make();
        // --rm: the next command, whatever it is.
        life.sleeper("gone", &["--rm"]);
        kill_monitor(&life, "gone");
        assert!(life.names(&["-a"]).is_empty());
        life.sleeper("gone", &["--rm"]);
        kill_monitor(&life, "gone");
        life.refused(&["inspect", "gone"], 1, &["No such object"]);
        life.sleeper("again", &["--restart", "always"]);
        kill_monitor(&life, "again");
        assert_eq!(life.names(&["-f", "status=exited"]), ["again"]);
        // Whoever is attached hears of it.
        life.sleeper("seen", &[]);
        let mut attached = life.command(["attach", "seen"]).stderr(Stdio::piped()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(200));
        kill_monitor(&life, "seen");
        let code = attached.wait().expect("its end").code();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut attached.stderr.take().expect("a pipe"), &mut said).expect("text");
        assert!(code == Some(125) && said.contains("monitor is gone"), "{code:?} {said}");
        // While it waits to start it again there is no process of the container.
        life.up("waits", &["--restart", "always"], "exit 1");
        life.until("it waits", || life.state("waits") == "restarting" && life.number("waits", "{{.State.Pid}}") == 0);
        let monitor = life.number("waits", "{{.State.MonitorPid}}");
        if monitor > 0 {
            let _ = kill(Pid::from_raw(monitor), Signal::SIGKILL);
            life.until_state("waits", "exited");
            life.run(["start", "waits"]).exits(0);
        }
        if life.no_cgroups().is_none() {
            life.sleeper("frozen", &[]);
            life.run(["pause", "frozen"]).exits(0);
            let pid = kill_monitor(&life, "frozen");
            assert_eq!(life.state("frozen"), "exited");
            assert!(!Path::new(&format!("/proc/{pid}/exe")).exists());
        }
        life.end();
    }
}

/// This thread's own mounts: a small disk can come and go there.
fn small_disk(at: &Path, size: &str) {
    use nix::mount::{MsFlags, mount, umount2};
    let none = None::<&str>;
    let _ = umount2(at, nix::mount::MntFlags::MNT_DETACH);
    mount(Some("tiny"), at, Some("tmpfs"), MsFlags::empty(), Some(format!("size={size},mode=755").as_str()))
        .expect("mount(tmpfs)");
    mount(none, at, none, MsFlags::MS_PRIVATE, none).expect("mount(MS_PRIVATE)");
}

#[test]
fn a_disk_of_any_size() {
    if !common::is_root() {
        common::record_skip(module_path!(), "only root can mount a small disk");
        return;
    }
    use nix::mount::{MsFlags, mount};
    let world = World::new();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("unshare(CLONE_NEWNS)");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("mount(MS_PRIVATE)");
    small_disk(&world.root(), "100m");
    let life = Life::of(world);
    let used = std::process::Command::new("du").arg("-sk").arg(life.root()).output().expect("du");
    let used: usize =
        String::from_utf8_lossy(&used.stdout).split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number");
    let mut started = 0;
    // From nothing to enough, page by page at the end.
    let sizes = (4..=used.saturating_sub(40)).step_by(used / 8).chain((used.saturating_sub(40)..used + 80).step_by(4));
    for size in sizes.step_by(common::by_length(5, 1, 1)) {
        small_disk(&life.root(), &format!("{size}k"));
        let run = life.run(RUN);
        assert!(run.code() == 0 || run.code() == 125 && run.stderr.contains("ENOSPC"), "{size} KiB: {run}");
        let shown = life.run(["ps", "-a"]).exits(0);
        assert_eq!(living(&["sleep"]).len(), usize::from(run.code() == 0), "{size} KiB: {run}\n{shown}");
        started += usize::from(run.code() == 0);
        // What there is can be stopped and removed.
        let all = life.run(["ps", "-aq"]).exits(0).stdout;
        if !all.is_empty() {
            life.run(["stop", "-t", "0"].into_iter().chain(all.lines())).exits(0);
            life.run(["rm"].into_iter().chain(all.lines())).exits(0);
        }
        assert!(living(&["sleep", "boxwright-mon", "boxwright"]).is_empty());
    }
    assert!(started > 2, "only {started} had room");
    // One that fills the disk itself, prints more than there is room for, and would be started again.
    small_disk(&life.root(), "20m");
    let script =
        "cat /dev/zero > /fill; seq 20000; echo full; trap 'exit 143' TERM; while :; do sleep 100 & wait $!; done";
    life.up("fills", &["--restart", "always"], script);
    life.until("it sleeps", || !living(&["sleep"]).is_empty());
    assert_eq!(life.names(&[]), ["fills"]);
    life.run(["logs", "fills"]).exits(0);
    life.run(["stop", "fills"]).exits(0);
    assert!(living(&["sleep", "boxwright-mon"]).is_empty());
    assert_eq!(life.names(&["-f", "status=exited"]), ["fills"]);
    life.run(["rm", "fills"]).exits(0);
    life.run(["full-run", "--rm", "--network", "none", "host", "true"]).exits(0);
    assert!(life.names(&["-a"]).is_empty());
}
