//! The one process that stays with a container: what it costs, and that a container which has none, because somebody
//! attends to it in the foreground, is as good as any other.

mod common;

use common::{World, by_length, inventory, wait};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the monitor may have of memory that is its own alone: issue 4's promise.
const MOST_KIB: u64 = 512;

/// As root, and as an ordinary user.
fn everybody(test: impl Fn(&World)) {
    common::in_worlds(module_path!(), |world| {
        let removed = Removed(world);
        test(world);
        drop(removed);
        assert_eq!(world.run(["ps", "-aq"]).stdout, "", "containers that a test has left");
        world.assert_swept();
    });
}

/// Also when the test has failed.
struct Removed<'a>(&'a World);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let all = self.0.run(["ps", "-aq"]).stdout;
        let all: Vec<&str> = all.lines().collect();
        if !all.is_empty() {
            self.0.run([&["rm", "-f"], &all[..]].concat());
        }
        // What a monitor does after its container's end is soon over.
        let deadline = Instant::now() + Duration::from_secs(30);
        let monitors = || inventory::descendants().into_iter().filter(|pid| is_monitor(*pid)).count();
        while monitors() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Nobody buries orphans here, and who waits to be is no monitor any more.
fn is_monitor(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.contains("(boxwright-mon)") && !stat.contains(") Z ")
}

/// A container in the background; the number of its monitor.
fn start(world: &World, container: &str, flags: &[&str], command: &[&str]) -> i32 {
    let first = ["full-run", "-d", "--name", container, "--network", "none"];
    world.run([&first, flags, &["host"], command].concat()).exits(0);
    monitor_of(world, container)
}

fn monitor_of(world: &World, container: &str) -> i32 {
    let number = world.run(["inspect", container, "--format", "{{.State.MonitorPid}}"]).exits(0).stdout;
    number.trim().parse().expect("a number")
}

/// A field of /proc/PID/status: its number.
fn status(pid: i32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    line.trim_start_matches(':').split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

/// How often it was given a CPU.
fn wake_ups(pid: i32) -> u64 {
    status(pid, "voluntary_ctxt_switches") + status(pid, "nonvoluntary_ctxt_switches")
}

#[track_caller]
fn is_small(monitor: i32) {
    let kib = status(monitor, "RssAnon");
    assert!(kib < MOST_KIB, "RssAnon of the monitor is {kib} KiB");
}

#[test]
fn it_is_small_and_sleeps() {
    everybody(|world| {
        let sleep = ["sleep", "1000"];
        let monitors = [
            ("plain", start(world, "plain", &[], &sleep)),
            ("input", start(world, "input", &["-i", "--restart", "always"], &["cat"])),
            ("terminal", start(world, "terminal", &["-i", "-t", "--init"], &["cat"])),
            ("checked", start(world, "checked", &["--health-cmd", "true", "--health-interval", "1h"], &sleep)),
        ];
        // Somebody is attached who says nothing.
        let mut attached =
            world.command(["attach", "--no-stdin", "plain"]).stdout(Stdio::null()).spawn().expect("attach");
        std::thread::sleep(Duration::from_millis(500));
        let before = monitors.map(|(_, monitor)| wake_ups(monitor));
        std::thread::sleep(Duration::from_secs(by_length(1, 2, 10)));
        let after = monitors.map(|(_, monitor)| wake_ups(monitor));
        assert_eq!(before, after, "wake-ups of {:?}", monitors.map(|(name, _)| name));
        monitors.iter().for_each(|(_, monitor)| is_small(*monitor));
        attached.kill().expect("kill");
        attached.wait().expect("wait");
    });
}

/// The same, as strace sees it: it is in one call, and makes no other.
#[test]
fn it_makes_no_system_call_while_nothing_happens() {
    let world = World::new();
    if !common::installed("strace") {
        skip!("no strace");
    }
    let removed = Removed(&world);
    let monitor = start(&world, "c", &["--health-cmd", "true", "--health-interval", "1h"], &["sleep", "1000"]);
    let log = world.dir.path().join("strace");
    let mut strace = Command::new("strace")
        .args(["-p", &monitor.to_string(), "-o"])
        .arg(&log)
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace runs");
    let mut said = [0; 200];
    let n = strace.stderr.as_mut().expect("its words").read(&mut said).unwrap_or(0);
    let said = String::from_utf8_lossy(&said[..n]).into_owned();
    if !said.contains("attached") {
        let _ = strace.wait();
        drop(removed);
        skip!("strace may not look: {said}");
    }
    std::thread::sleep(Duration::from_secs(by_length(1, 2, 10)));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(strace.id() as i32), nix::sys::signal::Signal::SIGINT)
        .expect("kill");
    strace.wait().expect("wait");
    let calls = std::fs::read_to_string(&log).expect("its log");
    // To attach interrupts the one call that it is in.
    let others: Vec<&str> = calls
        .lines()
        .filter(|l| !l.starts_with("restart_syscall(") && !l.starts_with("poll(") && !l.starts_with("ppoll("))
        .collect();
    assert!(others.is_empty() && calls.lines().count() <= 2, "{calls}");
}

/// Whatever has gone through it.
#[test]
fn it_stays_small() {
    everybody(|world| {
        let loud = "head -c 8000000 /dev/zero | tr '\\0' x; yes | head -c 100000; echo done; exec cat";
        let monitor = start(
            world,
            "c",
            &["-i", "--health-cmd", "yes | head -c 100000", "--health-interval", "200ms"],
            &["sh", "-c", loud],
        );
        let mut attached = world
            .command(["attach", "c"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("attach");
        let input = vec![b'y'; 1_000_000];
        // Open until the end: with it, the container's own input would be closed, and `cat` end.
        let mut typing = attached.stdin.take().expect("its input");
        typing.write_all(&input).expect("typed");
        let log = |world: &World| world.run(["inspect", "c", "--format", "{{.LogPath}}"]).exits(0).stdout;
        let log = log(world).trim().to_string();
        let healthy = || !world.run(["ps", "-q", "--filter", "health=healthy"]).stdout.is_empty();
        until(|| std::fs::metadata(Path::new(&log)).is_ok_and(|m| m.len() > 10_000_000) && healthy());
        is_small(monitor);
        let _ = attached.kill();
        attached.wait().expect("wait");
    });
}

#[track_caller]
fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A container in the foreground of a command of ours, once its command runs. With its id.
fn foreground(world: &World, flags: &[&str], command: &[&str]) -> (Child, String) {
    let child = world.spawn([&["full-run", "--network", "none"], flags, &["host"], command].concat());
    let running = || world.run(["ps", "-q", "--no-trunc", "--filter", "status=running"]).stdout.trim().to_string();
    until(|| running().len() == 64);
    // It runs from clone3 on; its command, once its first process is no longer ours.
    let id = running();
    until(|| world.run(["exec", &id, "true"]).code() == 0);
    (child, id)
}

/// With and without --rm, which are two ways inside.
const WAYS: [&[&str]; 3] = [&["--rm"], &["-l", "of=test"], &["--rm", "--name", "named"]];

/// As a shell has it.
fn code(child: &mut Child) -> i32 {
    let status = wait(child, Duration::from_secs(60)).expect("it ends");
    status.code().expect("a code")
}

#[test]
fn one_in_the_foreground_is_seen() {
    everybody(|world| {
        for way in WAYS {
            let (mut child, id) = foreground(world, way, &["sleep", "1000"]);
            let row = world.run(["ps", "--no-trunc", "--format", "json"]).exits(0).json();
            assert_eq!((&row["ID"], &row["State"]), (&id.clone().into(), &"running".into()), "{row}");
            assert_eq!((&row["Image"], &row["Command"]), (&"host".into(), &"\"sleep 1000\"".into()));
            assert!(row["Status"].as_str().is_some_and(|s| s.starts_with("Up ") && !s.contains("years")), "{row}");
            let labelled = world.run(["ps", "-q", "--filter", "label=of=test"]).exits(0).stdout;
            assert_eq!(!labelled.is_empty(), way.contains(&"-l"));
            let name = row["Names"].as_str().expect("a name").to_string();
            let state = world.run(["inspect", &name, "--format", "{{.State.Status}} {{.Id}}"]).exits(0);
            assert_eq!(state.stdout, format!("running {id}\n"));
            assert!(world.run(["top", &id[..6]]).exits(0).stdout.contains("sleep 1000"));
            assert_eq!(world.run(["exec", &name, "sh", "-c", "echo in; exit 3"]).exits(3).stdout, "in\n");
            // Nobody else gets its name, nor is it removed under somebody's feet.
            world.run(["create", "--name", &name, "host", "true"]).exits(125);
            assert!(world.run(["rm", &name]).exits(1).stderr.contains("is running"));
            assert_eq!(world.run(["kill", &name]).exits(0).stdout, format!("{name}\n"));
            assert_eq!(code(&mut child), 137);
            ended(world, way, &id);
        }
    });
}

/// What is there of it after its end.
fn ended(world: &World, way: &[&str], id: &str) {
    let rest = world.run(["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}"]).exits(0).stdout;
    if way.contains(&"--rm") {
        assert_eq!(rest, "");
        assert_eq!(std::fs::read_dir(world.root().join("lib/names")).expect("names").count(), 0);
    } else {
        assert_eq!(rest, format!("{id} exited\n"));
        world.run(["rm", id]).exits(0);
    }
}

#[test]
fn one_in_the_foreground_is_stopped_and_removed() {
    everybody(|world| {
        let trap = ["sh", "-c", "trap 'exit 5' TERM; : > /ready; while :; do sleep 0.05; done"];
        let trapped = |id: &str| until(|| world.run(["exec", id, "test", "-e", "/ready"]).code() == 0);
        for way in WAYS {
            let (mut child, id) = foreground(world, way, &trap);
            trapped(&id);
            world.run(["stop", &id]).exits(0);
            assert_eq!(code(&mut child), 5);
            ended(world, way, &id);

            let (mut child, id) = foreground(world, way, &["sleep", "1000"]);
            world.run(["stop", "-t", "0", &id]).exits(0);
            assert_eq!(code(&mut child), 137);
            ended(world, way, &id);

            let (mut child, id) = foreground(world, way, &trap);
            trapped(&id);
            world.run(["rm", "-f", &id]).exits(0);
            assert_eq!(code(&mut child), 137);
            assert_eq!(world.run(["ps", "-aq"]).exits(0).stdout, "");

            let (mut child, id) = foreground(world, way, &trap);
            trapped(&id);
            let waiting =
                world.command(["wait", &id]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("wait");
            world.run(["kill", "-s", "TERM", &id]).exits(0);
            assert_eq!(code(&mut child), 5);
            let said = waiting.wait_with_output().expect("its output").stdout;
            // Of one that removes itself, `wait` may be too late to hear more.
            assert!(!said.is_empty() || way.contains(&"--rm"), "{}", String::from_utf8_lossy(&said));
            ended(world, way, &id);
        }
    });
}

#[test]
fn one_whose_command_is_killed_ends_with_it() {
    everybody(|world| {
        for way in [WAYS[0], WAYS[2]] {
            let (mut child, _) = foreground(world, way, &["sleep", "1000"]);
            child.kill().expect("kill");
            child.wait().expect("wait");
            if way.contains(&"--name") {
                // It has a monitor, and goes on as docker's does.
                assert_eq!(world.run(["rm", "-f", "named"]).exits(0).stdout, "named\n");
            }
            // One that nobody looks after is ended by the next command, whichever it is.
            world.run(["ps"]).exits(0);
            assert_eq!(world.run(["ps", "-aq"]).exits(0).stdout, "");
        }
    });
}
