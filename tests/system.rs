//! `system df|prune|info|start-enabled|stop-all`, `update` of what runs, completions and man pages.

mod common;

use common::{World, wait, worlds};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

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
        let columns =
            |line: &str| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect::<Vec<_>>().join("|");
        let lines: Vec<String> = verbose.lines().map(columns).collect();
        let heads = "CONTAINER ID|IMAGE|COMMAND|LOCAL VOLUMES|SIZE|CREATED|STATUS|NAMES";
        assert!(lines.iter().any(|l| l == heads) && lines.iter().any(|l| l == "VOLUME NAME|LINKS|SIZE"), "{verbose}");
        let row = |name: &str| lines.iter().find(|l| l.ends_with(name)).cloned().unwrap_or_default();
        assert!(row("|wrote").contains("\"|0|5"), "{verbose}");
        assert!(row("|runs").contains(" ago|Up ") && row("|made").contains("|Created|"), "{verbose}");
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

/// What a command says that asks, and is told this.
fn answered(world: &World, args: &[&str], said: &str) -> String {
    let file = world.dir.path().join("answer");
    fs::write(&file, said).expect("write");
    let mut command = world.command(args);
    command.stdin(fs::File::open(&file).expect("the answer"));
    world.finish(command).exits(0).stdout
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
        // Whoever is on the standard input is asked; its end, and all that is not a yes, is a no.
        for (said, agreed) in [("", false), ("n\n", false), ("x\ny\n", false)] {
            let asked = answered(&world, &["system", "prune"], said);
            assert!(asked.contains("[y/N]") && asked.contains("reclaimed") == agreed, "{said:?}: {asked}");
        }
        assert_eq!(run(&world, &["ps", "-aq"]).lines().count(), 3);
        let old = run(&world, &["system", "prune", "-f", "--filter", "until=1h"]);
        assert_eq!(old, "Total reclaimed space: 0B\n", "nothing is an hour old");
        let kept = run(&world, &["system", "prune", "-f", "--volumes", "--filter", "label=keep"]);
        assert!(kept.starts_with("Deleted Containers:\n") && !kept.contains(made.trim()), "{kept}");
        let kept = run(&world, &["system", "prune", "-f", "--filter", "label!=nothing", "--filter", "until=1h"]);
        assert_eq!(kept, "Total reclaimed space: 0B\n");
        let rest = answered(&world, &["system", "prune", "--volumes"], "y\ny\ny\n");
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

/// `container` has the same commands as the top; and what people type first is there.
#[test]
fn commands_are_where_docker_has_them() {
    for make in worlds() {
        let world = ready(make());
        let id = run(&world, &["container", "create", "--name", "web", "-l", "x", "host", "true"]);
        run(&world, &["create", "--name", "other", "-l", "y", "host", "true"]);
        for list in ["ls", "ps", "list"] {
            assert_eq!(run(&world, &["container", list, "-aq", "--no-trunc", "-f", "name=web"]), id);
        }
        assert_eq!(run(&world, &["container", "run", "--rm", "--network", "none", "host", "echo", "hello"]), "hello\n");
        assert_eq!(run(&world, &["container", "inspect", "--format", "{{.State.Status}}", "web"]), "created\n");
        run(&world, &["container", "start", "web"]);
        assert_eq!(run(&world, &["container", "wait", "web"]), "0\n");
        run(&world, &["container", "rename", "web", "shop"]);
        let bad = world.run(["container", "stop", "web"]).exits(1);
        assert!(bad.stderr.contains("No such container: web"), "{bad}");
        let pruned = run(&world, &["container", "prune", "-f", "--filter", "label!=y"]);
        assert_eq!(pruned, format!("Deleted Containers:\n{id}\nTotal reclaimed space: 0B\n"));
        assert_eq!(run(&world, &["container", "ls", "-a", "--format", "{{.Names}}"]), "other\n");
        run(&world, &["container", "rm", "other"]);
        assert_eq!(run(&world, &["info", "-f", "{{.Driver}}"]), run(&world, &["system", "info", "-f", "{{.Driver}}"]));
        let version = run(&world, &["version", "-f", "{{.Server.Version}} {{.Client.Os}}"]);
        assert_eq!(run(&world, &["-v"]), format!("boxwright {}\n", version.trim_end().replace(" linux", "")));
        assert_eq!(run(&world, &["-V"]), run(&world, &["--version"]));
        assert_eq!(run(&world, &["help", "stop"]), run(&world, &["stop", "--help"]));
        assert_eq!(run(&world, &["help", "container", "prune"]), run(&world, &["container", "prune", "--help"]));
        assert!(run(&world, &["help"]).contains("full-run"));
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
        (&["container", "prune", "-f", "--filter", "all=true"], "all=true"),
        (&["container", "prune", "-f", "--filter", "until=2d"], "2d"),
        (&["container"], "Usage"),
        (&["container", "nonsense"], "nonsense"),
        (&["help", "nonsense"], "nonsense"),
        (&["version", "-f", "{{.Nothing}}"], ".Nothing"),
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

/// Another boxwright, which answers a script's questions as if there were one container in each state.
const ANSWERS: &str = r#"#!/bin/sh
while [ "$1" = --root ]; do shift 2; done
case "$*" in
    "ps -a --format {{.Names}}") printf '%s\n' made up paused ;;
    "ps --format {{.Names}}") printf '%s\n' up paused ;;
    "ps -a -f status=created -f status=exited --format {{.Names}}") echo made ;;
    "ps -f status=running --format {{.Names}}") echo up ;;
    "ps -f status=paused --format {{.Names}}") echo paused ;;
    "volume ls --format {{.Name}}") printf '%s\n' data cache ;;
    *) exit 1 ;;
esac
"#;

/// What is offered at the end of a line, and in which order does not matter.
const OFFERED: [(&str, &str); 27] = [
    ("start ", "made"),
    ("stop ", "paused up"),
    ("kill u", "up"),
    ("exec ", "up"),
    ("exec up ", ""),
    ("unpause ", "paused"),
    ("container pause ", "up"),
    ("container rm ", "made paused up"),
    ("inspect made ", "made paused up"),
    ("logs --tail 5 ", "made paused up"),
    ("logs up ", ""),
    ("rename up ", ""),
    ("volume rm ", "cache data"),
    ("volume inspect d", "data"),
    ("stop --signal T", "TERM"),
    ("stop --signal KILL p", "paused"),
    ("stop --timeout 5 p", "paused"),
    ("run --restart un", "unless-stopped"),
    ("container run --network ", "bridge host none"),
    ("run --name ", ""),
    ("run ", "host"),
    ("run host ", ""),
    ("run --env-file a", "afile"),
    ("ps -f anc", "ancestor="),
    ("volume prune --filter al", "all=true"),
    ("--root /x unpause ", "paused"),
    ("full-ru", "full-run"),
];

/// The program that a shell would find, and a place with a file in it.
fn desk(world: &World) -> std::path::PathBuf {
    let desk = world.dir.path().join("home");
    fs::create_dir_all(desk.join("bin")).expect("mkdir");
    fs::create_dir_all(desk.join("files")).expect("mkdir");
    fs::write(desk.join("files/afile"), "").expect("write");
    fs::write(desk.join("bin/boxwright"), ANSWERS).expect("write");
    fs::set_permissions(desk.join("bin/boxwright"), PermissionsExt::from_mode(0o755)).expect("chmod");
    desk
}

/// What a shell's script says, a line for each of [`OFFERED`].
fn offers(world: &World, shell: &str, script: &str) -> Vec<String> {
    let desk = desk(world);
    fs::write(desk.join("ask"), script).expect("write");
    let mut command = world.any(shell);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", desk.join("bin").display()));
    command.current_dir(desk.join("files")).arg("../ask");
    world.finish(command).exits(0).stdout.lines().map(str::to_string).collect()
}

fn assert_offered(shell: &str, offers: &[String]) {
    assert_eq!(offers.len(), OFFERED.len(), "{shell}: {offers:#?}");
    for ((line, expected), offer) in OFFERED.iter().zip(offers) {
        let mut words: Vec<&str> = offer.split_whitespace().collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.join(" "), *expected, "{shell}: boxwright {line}");
    }
}

#[test]
fn bash_offers_what_a_command_is_about() {
    let world = World::new();
    if !common::installed("bash") {
        skip!("there is no bash");
    }
    let script = run(&world, &["completion", "bash"]);
    assert!(script.contains("full-run") && script.contains("map-user"));
    let ask = |(line, _): &(&str, &str)| {
        let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
        format!(
            "COMP_WORDS=(boxwright {}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=(); \
             _boxwright_complete boxwright \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\" 2>/dev/null; \
             echo \"${{COMPREPLY[*]}}\"\n",
            words.join(" ")
        )
    };
    let asks: String = OFFERED.iter().map(ask).collect();
    assert_offered("bash", &offers(&world, "bash", &format!("{script}\n{asks}")));
    // --flag=value is three words there; and files, where `cp` may mean them.
    let more = "t() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _boxwright_complete boxwright \"${@: -1}\" \"${@: -2:1}\"; \
                echo \"${COMPREPLY[*]}\"; }\n\
                t boxwright stop --signal = T\nt boxwright stop --signal = TERM p\nt boxwright stop --time = 5 p\n\
                t boxwright cp ''\n";
    let said = offers(&world, "bash", &format!("{script}\n{more}"));
    assert_eq!(said, ["TERM", "paused", "paused", "made: up: paused: afile"]);
}

#[test]
fn fish_offers_the_same() {
    let world = World::new();
    if !common::installed("fish") {
        skip!("there is no fish");
    }
    let script = run(&world, &["completion", "fish"]);
    let ask = |(line, _): &(&str, &str)| {
        format!("echo (complete -C 'boxwright {line}' | string replace -r '\\t.*' '' | string join ' ')x\n")
    };
    let asks: String = OFFERED.iter().map(ask).collect();
    let offers = offers(&world, "fish", &format!("{script}\n{asks}"));
    // An empty list would print no line; so each has an end.
    assert_offered("fish", &offers.iter().map(|line| line.trim_end_matches('x').to_string()).collect::<Vec<_>>());
}

#[test]
fn a_zsh_script_knows_the_containers() {
    let world = World::new();
    let script = run(&world, &["completion", "zsh"]);
    for (command, function) in [("start", "ended"), ("stop", "up"), ("unpause", "paused"), ("rm", "containers")] {
        let (_, own) = script.split_once(&format!("\n({command})\n")).expect("its part");
        let own = own.split(";;").next().unwrap_or_default();
        assert!(own.contains(&format!(":_boxwright_{function}' ")), "{command}: {own}");
        assert!(script.contains(&format!("\n_boxwright_{function}() {{\n")), "{function}");
    }
    let (_, volumes) = script.split_once("\n(volume)\n").expect("its part");
    assert!(volumes.contains(":_boxwright_volumes' "));
    assert!(!script.contains(":NAME:_default'"), "no files where a name is meant");
    if !common::installed("zsh") {
        skip!("there is no zsh");
    }
    let file = world.dir.path().join("home/zsh");
    fs::write(&file, &script).expect("write");
    let mut check = world.any("zsh");
    check.arg("-n").arg(&file);
    let _ = world.finish(check).exits(0);
}

/// Not only a script's own idea of them: the names that there really are.
#[test]
fn the_questions_of_the_scripts_are_understood() {
    let world = ready(World::new());
    run(&world, &["create", "--name", "findme", "host", "true"]);
    run(&world, &["volume", "create", "data"]);
    let ask = |line: &str| run(&world, &line.split(' ').collect::<Vec<_>>());
    assert_eq!(ask("ps -a --format {{.Names}}"), "findme\n");
    assert_eq!(ask("ps -a -f status=created -f status=exited --format {{.Names}}"), "findme\n");
    assert_eq!(ask("ps -f status=paused --format {{.Names}}") + &ask("ps --format {{.Names}}"), "");
    assert_eq!(ask("ps -f status=running --format {{.Names}}"), "");
    assert_eq!(ask("volume ls --format {{.Name}}"), "data\n");
    run(&world, &["rm", "findme"]);
}

#[test]
fn every_command_has_a_man_page() {
    let world = ready(World::as_user());
    let dir = world.dir.path().join("home/man");
    run(&world, &["man", &dir.display().to_string()]);
    let names: BTreeSet<String> =
        fs::read_dir(&dir).expect("pages").flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    for name in [
        "boxwright.1",
        "boxwright-full-run.1",
        "boxwright-map-user.1",
        "boxwright-cp.1",
        "boxwright-system-df.1",
        "boxwright-container-ls.1",
    ] {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    let page = fs::read_to_string(dir.join("boxwright-cp.1")).expect("a page");
    assert!(page.contains(".SH OPTIONS") && page.contains("archive"), "{page}");
    let mut again = world.spawn(["man", &dir.display().to_string()]);
    assert!(wait(&mut again, Duration::from_secs(60)).expect("an end").success(), "also over those that are there");
}
