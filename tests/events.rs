//! `events`: what happens to containers is told in docker's words and forms, to everybody who listens, and once.

mod common;

use common::{World, wait, worlds};
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// With everything there that is made only once.
fn ready(world: World) -> World {
    world.run(["full-run", "--rm", "--name", "first", "host", "true"]).exits(0);
    world
}

/// All that is known, as JSON.
fn told(world: &World, filters: &[&str]) -> Vec<Value> {
    let mut args = vec!["events", "--since", "1", "--until", "0s", "--format", "json"];
    filters.iter().for_each(|f| args.extend(["--filter", f]));
    let run = world.run(args).exits(0);
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["Action"].as_str().expect("Action")).collect()
}

#[test]
fn a_life_is_told_in_dockers_words() {
    for make in worlds() {
        let world = ready(make());
        let before = world.inventory();
        for args in [
            &["create", "--name", "web", "-l", "tier=front", "host", "sleep", "1000"][..],
            &["start", "web"],
            &["pause", "web"],
            &["unpause", "web"],
            &["update", "--restart", "no", "web"],
            &["rename", "web", "shop"],
            &["restart", "-t", "0", "shop"],
            &["stop", "-t", "0", "shop"],
            &["start", "shop"],
            &["kill", "shop"],
            &["rm", "shop"],
        ] {
            // An ordinary user without a cgroup cannot freeze.
            let run = world.run(args);
            assert!(run.code() == 0 || args[0].ends_with("pause"), "{run}");
        }
        let events = told(&world, &["label=tier=front"]);
        let without_pauses: Vec<&str> = actions(&events).into_iter().filter(|a| !a.ends_with("pause")).collect();
        assert_eq!(
            without_pauses,
            [
                "create", "start", "update", "rename", "kill", "kill", "die", "stop", "start", "restart", "kill",
                "kill", "die", "stop", "start", "kill", "die", "destroy"
            ]
        );
        let first = &events[0];
        assert_eq!(
            (&first["Type"], &first["status"], &first["from"]),
            (&"container".into(), &"create".into(), &"host".into())
        );
        assert_eq!(first["id"], first["Actor"]["ID"]);
        assert_eq!(first["id"].as_str().map(str::len), Some(64));
        assert_eq!(first["time"].as_i64(), first["timeNano"].as_i64().map(|n| n / 1_000_000_000));
        let of = |action: &str| {
            events.iter().rfind(|e| e["Action"] == action).expect("the event")["Actor"]["Attributes"].clone()
        };
        assert_eq!((&of("die")["exitCode"], &of("die")["name"]), (&"137".into(), &"shop".into()));
        assert_eq!(of("kill")["signal"], "9");
        assert_eq!(of("rename")["oldName"], "web");
        world.assert_unchanged(&before);
    }
}

#[test]
fn one_in_the_foreground_is_attached_and_its_failures_are_told() {
    for make in worlds() {
        let world = ready(make());
        world.run(["full-run", "--rm", "--name", "seven", "host", "sh", "-c", "exit 7"]).exits(7);
        let events = told(&world, &["container=seven"]);
        assert_eq!(actions(&events), ["create", "attach", "start", "die", "destroy"]);
        assert_eq!(events[3]["Actor"]["Attributes"]["exitCode"], "7");
        world.run(["full-run", "--rm", "--name", "none", "host", "/no/such/program"]).exits(127);
        let events = told(&world, &["container=none", "event=die"]);
        assert_eq!(events[0]["Actor"]["Attributes"]["exitCode"], "127", "{events:?}");
    }
}

#[test]
fn commands_that_join_are_told() {
    let world = ready(World::new());
    world.run(["full-run", "-d", "--name", "web", "host", "sleep", "1000"]).exits(0);
    world.run(["exec", "web", "sh", "-c", "exit 3"]).exits(3);
    world.run(["rm", "-f", "web"]).exits(0);
    let events = told(&world, &["container=web", "event=exec_create", "event=exec_start", "event=exec_die"]);
    assert_eq!(actions(&events), ["exec_create: sh -c exit 3", "exec_start: sh -c exit 3", "exec_die"]);
    let attributes: Vec<_> = events.iter().map(|e| &e["Actor"]["Attributes"]).collect();
    assert_eq!(attributes[2]["exitCode"], "3");
    assert!(attributes.iter().all(|a| a["execID"] == attributes[0]["execID"] && a["execID"].is_string()));
}

#[test]
fn filters_and_forms_are_dockers() {
    let world = ready(World::new());
    world.run(["create", "--name", "yak", "-l", "x=1", "-l", "y", "host", "true"]).exits(0);
    world.run(["create", "--name", "zebu", "-l", "x=2", "host", "true"]).exits(0);
    // (No name that could be the beginning of an id.)
    let count = |filters: &[&str]| told(&world, filters).len();
    assert_eq!(count(&["event=create", "container=yak", "container=zebu"]), 2, "one kind: any");
    assert_eq!(count(&["event=create", "label=x", "label=y"]), 1, "every label");
    assert_eq!(count(&["label=x=2"]), 1);
    assert_eq!(count(&["label=x=3"]) + count(&["type=volume"]) + count(&["image=other"]), 0);
    let line = world.run(["events", "--since", "1", "--until", "0s", "-f", "label=y"]).exits(0).stdout;
    assert!(line.contains(" container create ") && line.ends_with(" (image=host, name=yak, x=1, y=)\n"), "{line}");
    let template = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.none}} {{json .Status}}";
    let line =
        world.run(["events", "--since", "1", "--until", "0s", "-f", "label=y", "--format", template]).exits(0).stdout;
    assert_eq!(line, "container create yak <no value> \"create\"\n");
    let none = world.run(["events", "--since", "1", "--until", "2"]).exits(0);
    assert_eq!(none.stdout, "", "before all of it");
    world.run(["rm", "yak", "zebu"]).exits(0);
}

#[test]
fn what_is_not_understood_is_refused() {
    let world = ready(World::new());
    for (args, name) in [
        (&["--filter", "nonsense=1"][..], "nonsense=1"),
        (&["--filter", "event"], "--filter event"),
        (&["--since", "soon"], "--since soon"),
        (&["--until", "never"], "--until never"),
        (&["--format", "{{range .}}"], "{{range .}}"),
        (&["--since", "1", "--until", "0s", "--format", "{{.Nothing}}"], ".Nothing"),
    ] {
        let run = world.run(["events"].iter().chain(args)).exits(125);
        assert!(run.stderr.contains(name) && run.stderr.contains("  try: ") && run.stdout.is_empty(), "{run}");
    }
}

/// One that listens; what it has heard goes into a file.
fn listener(world: &World, out: impl Into<Stdio>) -> Child {
    let mut command = world.command(["events", "--since", "1", "--format", "{{.Actor.Attributes.name}} {{.Action}}"]);
    command.stdout(out).spawn().expect("it starts")
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How often it has been woken: the kernel counts whenever a process gives the CPU up by itself.
fn slept(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
}

#[test]
fn who_listens_hears_what_comes_and_sleeps_otherwise() {
    for make in worlds() {
        let world = ready(make());
        let heard = world.dir.path().join("heard");
        let mut child = listener(&world, std::fs::File::create(&heard).expect("a file"));
        let text = || std::fs::read_to_string(&heard).unwrap_or_default();
        until("the first", || text().contains("first destroy"));
        let idle = slept(child.id());
        std::thread::sleep(Duration::from_millis(300));
        assert!(idle.is_some() && slept(child.id()) == idle, "it woke up for nothing");
        world.run(["create", "--name", "later", "host", "true"]).exits(0);
        world.run(["rm", "later"]).exits(0);
        until("what came later", || text().ends_with("later create\nlater destroy\n"));
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
}

#[test]
fn who_is_not_read_any_more_ends() {
    let world = ready(World::new());
    let mut child = listener(&world, Stdio::piped());
    drop(child.stdout.take());
    assert!(wait(&mut child, Duration::from_secs(60)).is_some(), "it goes on for nobody");
}

#[test]
fn fifty_at_once_never_mix_their_lines() {
    for make in worlds() {
        let world = ready(make());
        let before = world.inventory();
        let names: Vec<String> = (0..50).map(|n| format!("c{n}")).collect();
        let label = "filler=".to_string() + &"x".repeat(3000);
        let mut crowd: Vec<Child> =
            names.iter().map(|name| world.spawn(["create", "--name", name, "-l", &label, "host", "true"])).collect();
        for child in &mut crowd {
            assert!(wait(child, Duration::from_secs(120)).expect("it ends").success());
        }
        let events = told(&world, &["label=filler"]);
        let mut told: Vec<&str> = events.iter().filter_map(|e| e["Actor"]["Attributes"]["name"].as_str()).collect();
        told.sort_unstable();
        let mut expected: Vec<&str> = names.iter().map(String::as_str).collect();
        expected.sort_unstable();
        assert_eq!(told, expected);
        world.run(["rm"].into_iter().chain(expected)).exits(0);
        world.assert_unchanged(&before);
    }
}
