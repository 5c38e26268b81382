//! Crash-only: whatever happens to a container's start or run, nothing of it stays on the machine; after a kill -9,
//! nothing stays that the next boxwright command does not take back.

mod common;

use common::{World, inventory::descendants, wait, worlds};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// What makes the most: a container with all that it can have here, which sleeps.
fn sleeper(world: &World) -> Vec<String> {
    run(world, &["sleep", "100"])
}

/// The same, with another command.
fn run(world: &World, command: &[&str]) -> Vec<String> {
    let mut args: Vec<String> = ["full-run", "--rm"].map(str::to_string).to_vec();
    // Where groups cannot be made, limits are an error.
    if world.no_cgroups().is_none() {
        args.extend(["--pids-limit", "64", "--memory", "64m", "--cpus", "0.5"].map(str::to_string));
    }
    args.push("host".into());
    args.extend(command.iter().map(ToString::to_string));
    args
}

/// A world in which what is made once (the image's own files, lists of leases and ids) is there already.
fn ready(world: World) -> World {
    world.run(run(&world, &["true"])).exits(0);
    world.run(["map-user"]).exits(0);
    world
}

/// The next boxwright command, after which nothing may be left. What it says is shown when the test fails.
fn sweep(world: &World) {
    let next = world.run(["unshare-pid"]).exits(0);
    if !next.stderr.is_empty() {
        eprintln!("the next command says:\n{}", next.stderr);
    }
}

#[test]
fn nothing_is_left_after_success() {
    for make in worlds() {
        let world = ready(make());
        let before = world.inventory();
        world.run(run(&world, &["true"])).exits(0);
        world.run(run(&world, &["sh", "-c", "exit 7"])).exits(7);
        world.assert_unchanged(&before);
    }
}

#[test]
fn nothing_is_left_after_each_stage() {
    for make in worlds() {
        let world = ready(make());
        let stages = world.run(["stages", "--format", "json"]).exits(0).json();
        let names: Vec<&str> = stages.as_array().expect("a list").iter().filter_map(|s| s["name"].as_str()).collect();
        for name in names.into_iter().filter(|n| *n != "full-run") {
            let before = world.inventory();
            world.run([name]);
            world.assert_unchanged(&before);
        }
    }
}

#[test]
fn nothing_is_left_after_an_error() {
    for make in worlds() {
        let world = ready(make());
        let before = world.inventory();
        world.run(run(&world, &["/no/such/program"])).exits(127);
        world.run(["full-run", "--rm", "--rootfs", "/no/such/directory", "true"]).exits(125);
        world.run(["full-run", "--rm", "--user", "nobody-of-that-name", "host", "true"]).exits(125);
        world.run(["full-run", "--rm", "--workdir", "/proc/1/nothing/there", "host", "true"]);
        world.assert_unchanged(&before);
    }
}

/// What a user ends a command with. A caller in the background may have us ignore SIGINT, and boxwright heeds that.
fn signals() -> Vec<Signal> {
    let status = std::fs::read_to_string("/proc/self/status").expect("our own status");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    let ignored = ignored.and_then(|set| u64::from_str_radix(set, 16).ok()).expect("a set of signals");
    let heard = |signal: &Signal| ignored & (1 << (*signal as i32 - 1)) == 0;
    let signals: Vec<Signal> = [Signal::SIGINT, Signal::SIGTERM].into_iter().filter(heard).collect();
    if signals.len() < 2 {
        common::record_skip(module_path!(), "only one of SIGINT and SIGTERM: the other one is ignored here");
    }
    signals
}

#[test]
fn nothing_is_left_after_control_c() {
    for make in worlds() {
        let world = ready(make());
        let before = world.inventory();
        let args = sleeper(&world);
        // From the first instant to a command that has long been running.
        for delay in [0, 300, 4, 16, 64, 1, 2, 8, 32].into_iter().take(common::by_length(3, 9, 9)) {
            for signal in signals() {
                let mut child = world.spawn(&args);
                std::thread::sleep(Duration::from_millis(delay));
                let pid = Pid::from_raw(child.id() as i32);
                // sleep as process 1 has no handler, and the kernel keeps signals without one from a process 1: so
                // the third of the same kind kills, as docker's does.
                let deadline = Instant::now() + Duration::from_secs(20);
                while child.try_wait().expect("waitpid").is_none() {
                    kill(pid, signal).expect("kill");
                    std::thread::sleep(Duration::from_millis(50));
                    if Instant::now() > deadline {
                        kill_all(&descendants());
                        child.wait().expect("waitpid");
                        panic!("{signal} after {delay} ms, and then again and again, does not end it");
                    }
                }
            }
        }
        sweep(&world);
        world.assert_unchanged(&before);
    }
}

/// The commands of containers that have come to run.
fn sleepers() -> std::collections::BTreeSet<i32> {
    let is_sleep = |pid: &i32| {
        // A zombie still has its name.
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|s| s.contains("(sleep) ") && !s.contains(") Z "))
    };
    descendants().into_iter().filter(is_sleep).collect()
}

/// A child's end, however slow the machine; `meanwhile` is called again and again until then.
fn until(child: &mut std::process::Child, mut meanwhile: impl FnMut()) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match wait(child, Duration::from_millis(20)) {
            None if Instant::now() < deadline => meanwhile(),
            end => return end,
        }
    }
}

fn kill_all(pids: &std::collections::BTreeSet<i32>) {
    for &pid in pids {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

#[test]
fn nothing_is_left_after_kill_9_at_any_time() {
    for make in worlds() {
        let world = ready(make());
        let before = world.inventory();
        let args = sleeper(&world);
        let step = Duration::from_micros(common::by_length(12_000, 1500, 100));
        let mut delay = Duration::ZERO;
        while delay < Duration::from_millis(60) {
            let mut child = world.spawn(&args);
            std::thread::sleep(delay);
            child.kill().expect("kill");
            wait(&mut child, Duration::from_secs(10)).expect("a killed process ends");
            sweep(&world);
            eprintln!("killed after {delay:?}");
            world.assert_swept();
            delay += step;
        }
        world.assert_unchanged(&before);
    }
}

/// The child dies in the middle of its set-up: the parent notices, says so, and cleans up by itself.
#[test]
fn nothing_is_left_after_the_childs_death() {
    for make in worlds() {
        let world = ready(make());
        let before = world.inventory();
        let args = sleeper(&world);
        let mut hits = 0;
        for delay in (0..30).step_by(common::by_length(4, 1, 1)).map(Duration::from_millis) {
            let mut child = world.spawn(&args);
            let parent = child.id() as i32;
            let deadline = Instant::now() + Duration::from_secs(5);
            let inner = loop {
                if let Some(pid) = descendants().into_iter().find(|&p| p != parent) {
                    break Some(pid);
                }
                if Instant::now() > deadline {
                    break None;
                }
            };
            std::thread::sleep(delay);
            if let Some(inner) = inner {
                hits += usize::from(kill(Pid::from_raw(inner), Signal::SIGKILL).is_ok());
            }
            // It may have been a helper; then the container comes to run, and ends as soon as it does.
            if until(&mut child, || kill_all(&sleepers())).is_none() {
                let state = |file: &str| std::fs::read_to_string(format!("/proc/{parent}/{file}")).unwrap_or_default();
                panic!("the parent goes on although its child is dead: {} {}", state("wchan"), state("syscall"));
            }
        }
        world.assert_unchanged(&before);
        assert!(hits > 5, "only {hits} children were there to be killed");
    }
}

/// The parent dies at every system call of its own, one after the other, from the first to the last of the clean-up:
/// strace(1) sends the signal. (It counts the calls of each name apart, so a first run tells what to count.)
#[test]
fn nothing_is_left_after_kill_9_at_every_system_call() {
    if !common::installed("strace") {
        skip!("there is no strace");
    }
    // The usual form takes every seventh, another seventh each time it is run.
    let step = common::by_length(61, 7, 1);
    let first = std::process::id() as usize % step;
    for make in worlds() {
        let world = ready(make());
        if let Some(reason) = world.strace_cannot_follow() {
            common::record_skip(module_path!(), reason);
            continue;
        }
        let before = world.inventory();
        let calls = calls_of_a_run(&world);
        assert!(calls.len() > 150, "only {} calls: was there a start at all?", calls.len());
        // Where it waits for its container: from there on the container must end by itself.
        let waits = calls.iter().rposition(|(name, _)| name == "poll").expect("it waits for the container");
        let mut killed = 0;
        for (number, (name, count)) in calls.iter().enumerate().skip(first).step_by(step) {
            let args = if number <= waits { sleeper(&world) } else { run(&world, &["true"]) };
            let mut strace = strace(&world, &["-e", &format!("inject={name}:signal=KILL:when={count}")], &args);
            let mut child = strace.spawn().expect("strace starts");
            // Should this run make fewer such calls, its container comes to run, and ends here.
            let end = until(&mut child, || kill_all(&sleepers()));
            killed += usize::from(!end.expect("a killed process ends").success());
            eprintln!("killed at system call {number}, {name} for the {count}th time");
            sweep(&world);
            world.assert_swept();
        }
        assert!(killed > calls.len() / step / 2, "only {killed} of {} were killed", calls.len() / step);
        world.assert_unchanged(&before);
    }
}

/// Every system call of a whole run in its order: its name, and the how-manieth of that name it is.
fn calls_of_a_run(world: &World) -> Vec<(String, usize)> {
    let file = world.dir.path().join("home/calls");
    let _ = std::fs::remove_file(&file);
    let mut strace = strace(world, &["-o", &file.to_string_lossy()], &run(world, &["true"]));
    assert!(strace.status().expect("strace starts").success());
    let mut counts = std::collections::BTreeMap::new();
    let text = std::fs::read_to_string(&file).expect("what strace wrote");
    let _ = std::fs::remove_file(&file);
    let names = text.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name.trim().to_string());
    // exit_group does not return, so nothing can be sent behind it; execve is strace's own.
    names
        .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        .filter(|name| name != "exit_group" && name != "execve")
        .map(|name| {
            let count = counts.entry(name.clone()).or_insert(0);
            *count += 1;
            (name, *count)
        })
        .collect()
}

fn strace(world: &World, options: &[&str], args: &[String]) -> std::process::Command {
    let mut strace = world.any("strace");
    strace.arg("-qqq").args(options);
    if !options.contains(&"-o") {
        strace.args(["-o", "/dev/null"]);
    }
    strace.arg(world.dir.path().join("boxwright")).args(args);
    strace.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    strace
}

/// Many at once, killed at random: no one's sweep may take what another is using.
#[test]
fn nothing_is_left_after_a_crowd() {
    for make in worlds() {
        let world = ready(make());
        let before = world.inventory();
        let args = sleeper(&world);
        let rounds = common::by_length(1, 3, 20);
        for round in 0..rounds {
            let mut crowd: Vec<_> = (0..6).map(|_| world.spawn(&args)).collect();
            for (n, child) in crowd.iter_mut().enumerate() {
                std::thread::sleep(Duration::from_millis((round * 5 + n as u64 * 7) % 40));
                child.kill().expect("kill");
            }
            // One that must succeed while the others are being cleaned up.
            world.run(run(&world, &["true"])).exits(0);
            for child in &mut crowd {
                wait(child, Duration::from_secs(10)).expect("a killed process ends");
            }
        }
        sweep(&world);
        world.assert_unchanged(&before);
    }
}
