//! `system df|prune|info|start-enabled|stop-all`, `update` of what runs, completions and man pages.

mod common;

use common::{World, wait};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// For root and for an ordinary user; where one is the other, once.
fn worlds() -> Vec<fn() -> World> {
    if common::is_root() { vec![World::new, World::as_user] } else { vec![World::new] }
}

/// With everything there that is made only once.
fn ready(world: World) -> World {
    world.run(["full-run", "--rm", "--name", "first", "host", "true"]).exits(0);
    world
}

fn run(world: &World, args: &[&str]) -> String {
    world.run(args).exits(0).stdout
}

fn field(world: &World, name: &str, template: &str) -> String {
    run(world, &["inspect", "--format", template, name]).trim().to_string()
}

fn running(world: &World) -> BTreeSet<String> {
    run(world, &["ps", "--format", "{{.Names}}"]).lines().map(str::to_string).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn remove_all(world: &World) {
    let all = run(world, &["ps", "-aq"]);
    let ids: Vec<&str> = all.lines().collect();
    if !ids.is_empty() {
        world.run(["rm", "-f"].iter().chain(&ids)).exits(0);
    }
}

/// As a power cut does it: monitors and containers are gone, at once.
fn power_cut(world: &World) {
    let names = running(world);
    let pids = |field_of: &str| names.iter().map(|n| field(world, n, field_of)).collect::<Vec<_>>();
    // The monitors first: they would write down how it ended.
    for pid in pids("{{.State.MonitorPid}}").into_iter().chain(pids("{{.State.Pid}}")) {
        let pid = nix::unistd::Pid::from_raw(pid.parse().expect("a number"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    // A signal takes a moment to arrive; then the next command tells the truth.
    let left = || running(world);
    for _ in 0..3000 {
        if left().is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{:?} still run", left());
}

/// All that was is of an earlier boot.
fn reboot(world: &World) {
    for entry in fs::read_dir(world.root().join("lib/containers")).expect("containers").flatten() {
        let file = entry.path().join("history.json");
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let mut history: Value = serde_json::from_str(&text).expect("JSON");
        history["boot"] = "11111111-2222-3333-4444-555555555555".into();
        fs::write(file, history.to_string()).expect("write");
    }
}

#[test]
fn after_a_reboot_comes_back_what_is_to_run() {
    for make in worlds() {
        let world = ready(make());
        let before = world.inventory();
        for (name, policy) in [
            ("always", "always"),
            ("always-stopped", "always"),
            ("unless", "unless-stopped"),
            ("unless-stopped", "unless-stopped"),
            ("failing", "on-failure"),
            ("none", "no"),
        ] {
            run(&world, &["full-run", "-d", "--name", name, "--restart", policy, "host", "sleep", "1000"]);
        }
        run(&world, &["create", "--name", "never", "--restart", "always", "host", "sleep", "1000"]);
        run(&world, &["stop", "-t", "0", "always-stopped", "unless-stopped"]);
        // While they run there is nothing to do.
        assert_eq!(run(&world, &["system", "start-enabled"]), "");
        power_cut(&world);
        reboot(&world);
        let started: BTreeSet<String> = run(&world, &["system", "start-enabled"]).lines().map(str::to_string).collect();
        assert_eq!(started, set(&["always", "always-stopped", "unless"]));
        assert_eq!(running(&world), started);
        // Once: what is stopped now, in this boot, stays so.
        run(&world, &["stop", "-t", "0", "always-stopped"]);
        assert_eq!(run(&world, &["system", "start-enabled"]), "");
        // But one whose monitor was killed is to run.
        power_cut(&world);
        let started: BTreeSet<String> = run(&world, &["system", "start-enabled"]).lines().map(str::to_string).collect();
        assert_eq!(started, set(&["always", "unless"]));
        remove_all(&world);
        world.assert_unchanged(&before);
    }
}

#[test]
fn one_that_cannot_be_started_keeps_no_other_from_it() {
    let world = ready(World::new());
    let rootfs = world.dir.path().join("home/rootfs");
    fs::create_dir_all(rootfs.join("bin")).expect("mkdir");
    fs::copy(world.program(), rootfs.join("bin/boxwright")).expect("a program that needs nothing");
    for name in ["gone", "there"] {
        let mut args = vec!["full-run", "-d", "--name", name, "--restart", "always"];
        let dir = rootfs.display().to_string();
        if name == "gone" {
            args.extend(["--network", "none", "--rootfs", &dir, "/bin/boxwright", "unshare-pid", "--help"]);
        } else {
            args.extend(["host", "sleep", "1000"]);
        }
        world.run(args).exits(0);
    }
    run(&world, &["stop", "-t", "0", "gone"]);
    power_cut(&world);
    reboot(&world);
    fs::remove_dir_all(&rootfs).expect("rm");
    let started = world.run(["system", "start-enabled"]).exits(1);
    assert_eq!(started.stdout, "there\n");
    assert!(started.stderr.contains("gone") && started.stderr.contains("rootfs"), "{started}");
    remove_all(&world);
}

#[test]
fn a_shutdown_stops_all_and_forgets_nothing() {
    for make in worlds() {
        let world = ready(make());
        for (name, policy) in [("a", "always"), ("u", "unless-stopped"), ("s", "unless-stopped"), ("n", "no")] {
            let script = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done";
            run(&world, &["full-run", "-d", "--name", name, "--restart", policy, "host", "sh", "-c", script]);
        }
        run(&world, &["stop", "-t", "0", "s"]);
        run(&world, &["system", "stop-all"]);
        assert_eq!(running(&world), set(&[]));
        reboot(&world);
        let started: BTreeSet<String> = run(&world, &["system", "start-enabled"]).lines().map(str::to_string).collect();
        assert_eq!(started, set(&["a", "u"]));
        remove_all(&world);
    }
}

#[test]
fn df_and_info_have_dockers_fields() {
    for make in worlds() {
        let world = ready(make());
        run(
            &world,
            &["full-run", "--name", "wrote", "host", "dd", "if=/dev/zero", "of=/root/x", "bs=1000", "count=5000"],
        );
        run(&world, &["full-run", "-d", "--name", "runs", "host", "sleep", "1000"]);
        run(&world, &["create", "--name", "made", "host", "true"]);
        let df = run(&world, &["system", "df", "--format", "json"]);
        let rows: Vec<Value> = df.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        let types: Vec<&str> = rows.iter().filter_map(|r| r["Type"].as_str()).collect();
        assert_eq!(types, ["Images", "Containers", "Local Volumes", "Build Cache"]);
        assert_eq!((&rows[1]["TotalCount"], &rows[1]["Active"]), (&"3".into(), &"1".into()));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        assert!(text(&rows[1]["Size"]).starts_with('5') && text(&rows[1]["Size"]).ends_with("MB"), "{df}");
        assert!(text(&rows[1]["Reclaimable"]).starts_with('5'), "{df}");
        let table = run(&world, &["system", "df"]);
        assert!(
            table.starts_with("TYPE ") && table.lines().next().is_some_and(|l| l.ends_with("RECLAIMABLE")),
            "{table}"
        );
        let verbose = run(&world, &["system", "df", "-v"]);
        assert!(verbose.contains("wrote") && verbose.contains("Local Volumes space usage:"), "{verbose}");
        let info: Value = serde_json::from_str(&run(&world, &["system", "info", "-f", "json"])).expect("JSON");
        assert_eq!(
            (&info["Containers"], &info["ContainersRunning"], &info["ContainersStopped"]),
            (&3.into(), &1.into(), &2.into())
        );
        assert_eq!(info["CgroupVersion"], if common::cgroup_v2() { "2" } else { "1" });
        assert_eq!(info["Rootless"], !world.is_root());
        assert_eq!(run(&world, &["system", "info", "-f", "{{.Driver}} {{.OSType}}"]), "overlay linux\n");
        assert!(run(&world, &["system", "info"]).contains("\nContainers: 3\n Running: 1\n"));
        remove_all(&world);
    }
}

#[test]
fn prune_removes_what_does_not_run_and_what_nobody_has() {
    for make in worlds() {
        let world = ready(make());
        // The first volume makes their directory.
        run(&world, &["volume", "create", "first"]);
        run(&world, &["volume", "rm", "first"]);
        let before = world.inventory();
        run(&world, &["full-run", "-d", "--name", "runs", "-v", "/data", "host", "sleep", "1000"]);
        run(&world, &["full-run", "--name", "ended", "-l", "keep", "host", "true"]);
        let made = run(&world, &["create", "--name", "made", "host", "true"]);
        run(&world, &["volume", "create", "named"]);
        world.run(["system", "prune"]).exits(125);
        let old = run(&world, &["system", "prune", "-f", "--filter", "until=1h"]);
        assert_eq!(old, "Total reclaimed space: 0B\n", "nothing is an hour old");
        let kept = run(&world, &["system", "prune", "-f", "--volumes", "--filter", "label=keep"]);
        assert!(kept.starts_with("Deleted Containers:\n") && !kept.contains(made.trim()), "{kept}");
        let rest = run(&world, &["system", "prune", "-f", "--volumes"]);
        assert!(rest.contains(&format!("Deleted Containers:\n{made}\n")), "{rest}");
        assert!(run(&world, &["volume", "ls", "-q"]).contains("named"), "it has a name");
        let all = run(&world, &["system", "prune", "-f", "--volumes", "-a"]);
        assert!(all.contains("Deleted Volumes:\nnamed\n"), "{all}");
        assert_eq!(running(&world), set(&["runs"]));
        assert_eq!(run(&world, &["volume", "ls", "-q"]).lines().count(), 1, "that of the one that runs");
        run(&world, &["rm", "-f", "-v", "runs"]);
        let told = run(
            &world,
            &[
                "events",
                "--since",
                "1",
                "--until",
                "0s",
                "-f",
                "type=volume",
                "-f",
                "volume=named",
                "--format",
                "{{.Action}}",
            ],
        );
        assert_eq!(told, "create\ndestroy\n");
        world.assert_unchanged(&before);
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    let world = ready(World::new());
    for (args, name) in [
        (&["system"][..], "Usage"),
        (&["system", "nonsense"], "nonsense"),
        (&["system", "df", "--format", "{{.Nothing}}"], ".Nothing"),
        (&["system", "df", "-v", "--format", "json"], "--verbose"),
        (&["system", "info", "-f", "{{if .A}}"], "{{if .A}}"),
        (&["system", "prune", "-f", "--filter", "nonsense=1"], "nonsense=1"),
        (&["system", "prune", "-f", "--filter", "until=soon"], "soon"),
        (&["update", "nobody", "--cpus", "1"], ""),
        (&["completion", "tcsh"], "tcsh"),
        (&["man", "/proc/nowhere"], "/proc/nowhere"),
    ] {
        let run = world.run(args);
        assert!([1, 125].contains(&run.code()) && run.stderr.contains(name), "{run}");
    }
}

/// The value of a file of a container's cgroup, in whichever of its directories it is.
fn group_file(world: &World, name: &str, files: &[&str]) -> String {
    let paths: Vec<String> = serde_json::from_str(&field(world, name, "{{json .CgroupPaths}}")).expect("JSON");
    let found = paths
        .iter()
        .flat_map(|p| files.iter().map(move |f| format!("{p}/{f}")))
        .find_map(|f| fs::read_to_string(f).ok());
    found.unwrap_or_else(|| panic!("none of {files:?} in {paths:?}")).trim().to_string()
}

/// A container that was started without any limit gets them all while it runs, and loses them again.
#[test]
fn limits_can_be_changed_while_it_runs() {
    for make in worlds() {
        let world = ready(make());
        if let Some(why) = world.no_cgroups() {
            common::record_skip(module_path!(), &why);
            continue;
        }
        let before = world.inventory();
        run(&world, &["full-run", "-d", "--name", "web", "host", "sh", "-c", "while :; do sleep 0.01; done"]);
        let stats = |field: &str| run(&world, &["stats", "--no-stream", "--format", field, "web"]).trim().to_string();
        let pids: u32 = stats("{{.PIDs}}").parse().expect("a number");
        assert!((1..=3).contains(&pids), "{pids}");
        assert!(!stats("{{.MemUsage}} {{.CPUPerc}} {{.BlockIO}}").contains("--"), "every column is counted");
        run(&world, &["update", "--cpus", "0.25", "web"]);
        let quota = group_file(&world, "web", &["cpu.max", "cpu.cfs_quota_us"]);
        assert_eq!(quota.split(' ').next(), Some("25000"));
        run(&world, &["update", "--memory", "64m", "web"]);
        run(&world, &["update", "--memory", "96m", "--pids-limit", "33", "web"]);
        assert_eq!(group_file(&world, "web", &["memory.max", "memory.limit_in_bytes"]), "100663296");
        assert_eq!(group_file(&world, "web", &["pids.max"]), "33");
        assert!(stats("{{.MemUsage}}").ends_with(" / 96.0MiB"), "{}", stats("{{.MemUsage}}"));
        run(&world, &["update", "--pids-limit", "-1", "web"]);
        assert_eq!(group_file(&world, "web", &["pids.max"]), "max");
        // They stay, over a restart.
        run(&world, &["restart", "-t", "0", "web"]);
        assert_eq!(group_file(&world, "web", &["memory.max", "memory.limit_in_bytes"]), "100663296");
        let bad = world.run(["update", "--memory", "much", "web"]).exits(1);
        assert!(bad.stderr.contains("--memory much"), "{bad}");
        assert_eq!(group_file(&world, "web", &["memory.max", "memory.limit_in_bytes"]), "100663296");
        run(&world, &["rm", "-f", "web"]);
        world.assert_unchanged(&before);
    }
}

/// What is changed while it runs is what its monitor goes by.
#[test]
fn a_policy_and_a_name_can_be_changed_while_it_runs() {
    for make in worlds() {
        let world = ready(make());
        run(&world, &["full-run", "-d", "--name", "web", "host", "sleep", "1000"]);
        run(&world, &["update", "--restart", "always", "web"]);
        run(&world, &["rename", "web", "shop"]);
        let pid: i32 = field(&world, "shop", "{{.State.Pid}}").parse().expect("a number");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("kill");
        let again = || {
            let state = field(&world, "shop", "{{.State.Status}} {{.State.Pid}}");
            state.starts_with("running ") && !state.ends_with(&format!(" {pid}"))
        };
        for _ in 0..3000 {
            if again() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(again(), "it does not come back");
        run(&world, &["rm", "-f", "shop"]);
        // With --rm, a new name goes with it too.
        run(&world, &["full-run", "-d", "--rm", "--name", "one", "host", "sleep", "1000"]);
        run(&world, &["rename", "one", "other"]);
        run(&world, &["stop", "-t", "0", "other"]);
        assert_eq!(fs::read_dir(world.root().join("lib/names")).expect("names").count(), 0);
    }
}

#[test]
fn completions_are_scripts_that_know_the_containers() {
    let world = ready(World::new());
    run(&world, &["create", "--name", "findme", "host", "true"]);
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&world, &["completion", shell]);
        assert!(
            script.contains("ps -a --format") && script.contains("full-run") && script.contains("map-user"),
            "{shell}"
        );
        let file = world.dir.path().join("home").join(shell);
        fs::write(&file, &script).expect("write");
        if !common::installed(shell) {
            common::record_skip(module_path!(), &format!("there is no {shell}"));
            continue;
        }
        let mut check = world.any(shell);
        let _ = world
            .finish({
                check.arg("-n").arg(&file);
                check
            })
            .exits(0);
    }
    // What bash would offer.
    if !common::installed("bash") {
        skip!("there is no bash");
    }
    let offered = |words: &str| {
        let count = words.split(' ').count() - 1;
        let script = format!(
            "source home/bash; COMP_WORDS=({words}); [[ '{words}' == *' ' ]] && COMP_WORDS+=(''); COMP_CWORD={count}; \
             _boxwright_complete boxwright \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let mut bash = world.any("bash");
        let path = std::env::var("PATH").unwrap_or_default();
        bash.env("PATH", format!("{}:{path}", world.dir.path().display())).args(["-c", &script]);
        world.finish(bash).exits(0).stdout
    };
    assert_eq!(offered("boxwright stop find"), "findme\n");
    assert!(offered("boxwright inspect ").contains("findme\n"));
    assert_eq!(offered("boxwright cp find"), "findme:\n");
    assert_eq!(offered("boxwright full-ru"), "full-run\n");
    assert_eq!(offered("boxwright stop --tim"), "--time\n");
    run(&world, &["rm", "findme"]);
}

#[test]
fn every_command_has_a_man_page() {
    let world = ready(World::as_user());
    let dir = world.dir.path().join("home/man");
    run(&world, &["man", &dir.display().to_string()]);
    let names: BTreeSet<String> =
        fs::read_dir(&dir).expect("pages").flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    for name in
        ["boxwright.1", "boxwright-full-run.1", "boxwright-map-user.1", "boxwright-cp.1", "boxwright-system-df.1"]
    {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    let page = fs::read_to_string(dir.join("boxwright-cp.1")).expect("a page");
    assert!(page.contains(".SH OPTIONS") && page.contains("archive"), "{page}");
    let mut again = world.spawn(["man", &dir.display().to_string()]);
    assert!(wait(&mut again, Duration::from_secs(60)).expect("an end").success(), "also over those that are there");
}
