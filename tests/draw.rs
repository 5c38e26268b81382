//! `boxwright draw`: what the picture says is what the report says, a running process is drawn as it is, what is not
//! seen is said, and the book's pictures are such pictures. With BOXWRIGHT_BLESS set, those are written anew.

mod common;

use common::World;
use common::drawing::{self, Element, parse};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The names of all stages, in order.
fn stages(world: &World) -> Vec<String> {
    let stages = world.run(["stages", "--format", "json"]).exits(0).json();
    stages.as_array().expect("a list").iter().map(|s| s["name"].as_str().expect("a name").to_string()).collect()
}

/// The command line of a stage's picture.
fn drawing(stage: &str) -> Vec<String> {
    let mut args = vec!["draw".to_string(), stage.to_string()];
    if stage == "full-run" {
        args.extend(["--hostname", "box", "host", "sleep", "60"].map(str::to_string));
    }
    args
}

/// A change of a stage's report, if it is there.
fn change<'a>(report: &'a Value, fact: &str) -> Option<&'a Value> {
    let primitives = report["primitives"].as_array().into_iter().flatten();
    primitives.flat_map(|p| p["changes"].as_array().into_iter().flatten()).rfind(|c| c["fact"] == fact)
}

/// Every stage's picture tells what its report tells.
fn pictures_are_reports(world: &World) {
    for stage in stages(world) {
        if let Some(reason) = world.lack(&stage) {
            common::record_skip(module_path!(), &format!("{stage}: {reason}"));
            continue;
        }
        let svg = world.run(drawing(&stage)).exits(0).stdout;
        let picture = parse(&svg);
        let full: &[&str] = if stage == "full-run" {
            &["--rm", "--report-file", "home/report", "--hostname", "box", "host", "true"]
        } else {
            &["--all"]
        };
        let run = world.run([&[stage.as_str(), "--format", "json"], full].concat()).exits(0);
        let text = std::fs::read_to_string(world.dir.path().join("home/report")).ok().filter(|_| stage == "full-run");
        let report: Value = serde_json::from_str(&text.unwrap_or(run.stdout)).expect("JSON");
        agree(&stage, &picture, &report);
    }
}

fn agree(stage: &str, picture: &Element, report: &Value) {
    let kinds = ["user", "pid", "cgroup", "mnt", "uts", "ipc", "net", "time"];
    let kept: BTreeSet<&str> = report["kept"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (shared, own) = (picture.namespaces("shared"), picture.namespaces("own"));
    let still: BTreeSet<String> =
        kinds.iter().filter(|k| kept.contains(format!("{k}_ns").as_str())).map(|k| k.to_string()).collect();
    assert_eq!(shared, still, "{stage}: shared");
    for kind in kinds {
        let changed = change(report, &format!("{kind}_ns")).is_some();
        assert_eq!(own.contains(kind), changed, "{stage}: {kind}");
    }
    let files = picture.part("data-part", "files").expect("the files");
    assert_eq!(files.get("data-standing") == Some("own"), change(report, "root").is_some(), "{stage}: root");
    let cgroup = picture.part("data-part", "cgroup").expect("the cgroup");
    assert_eq!(cgroup.get("data-standing") == Some("own"), change(report, "cgroup").is_some(), "{stage}: cgroup");
    if let Some(name) = change(report, "hostname").filter(|_| own.contains("uts")) {
        assert_eq!(picture.facts("hostname"), [name["after"].as_str().expect("a name")], "{stage}");
    }
    for (fact, name, words) in [
        ("cpu_max", "cpu.max", "0.5 CPU"),
        ("memory_max", "memory.max", "64 MiB"),
        ("pids_max", "pids.max", "64 processes"),
        ("io_max", "io.max", "1 MiB/s"),
    ] {
        let said = picture.facts(name).concat();
        assert_eq!(said.contains(words), change(report, fact).is_some(), "{stage}: {name}: {said}");
    }
    let filter = picture.facts("seccomp").concat().contains("filter");
    assert_eq!(filter, change(report, "seccomp").is_some(), "{stage}: seccomp");
    if let Some(caps) = change(report, "cap_eff") {
        let count = caps["after"].as_array().map_or(0, Vec::len).to_string();
        assert!(picture.facts("capabilities").concat().split(' ').any(|w| w == count), "{stage}: capabilities");
    }
    assert_eq!(picture.part("data-part", "wires").is_some(), change(report, "bridge").is_some(), "{stage}: wires");
    // What is new is marked as new, and nothing where the report has no change.
    let marked = picture.all().iter().any(|e| e.get("class").is_some_and(|c| c.split(' ').any(|c| c == "new-tag")));
    assert!(marked, "{stage}: nothing is new");
}

#[test]
fn every_picture_tells_what_the_report_tells() {
    pictures_are_reports(&World::new());
}

#[test]
fn every_picture_tells_what_the_report_tells_an_ordinary_user() {
    if !common::is_root() {
        skip!("the other test is for an ordinary user already");
    }
    pictures_are_reports(&World::as_user());
}

/// A container that runs until this is dropped, and its process 1.
struct Running {
    boxwright: Child,
    pid: u32,
}

impl Running {
    fn start(world: &World, args: &[&str]) -> Running {
        let mut command = world.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Running { boxwright: command.spawn().expect("the program starts"), pid: 0 };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let children = format!("/proc/{0}/task/{0}/children", running.boxwright.id());
            let text = std::fs::read_to_string(children).unwrap_or_default();
            let pid = text.split_whitespace().find_map(|w| w.parse::<u32>().ok());
            if let Some(pid) = pid
                && std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
            {
                running.pid = pid;
                return running;
            }
            assert!(Instant::now() < deadline, "no container");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn draw(&self, world: &World) -> (Element, String) {
        let run = world.run(["draw", &self.pid.to_string()]).exits(0);
        (parse(&run.stdout), run.stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.pid == 0 {
            let _ = self.boxwright.kill();
        } else {
            let _ = Command::new("kill").args(["-9", &self.pid.to_string()]).status();
        }
        // Process 1 hears nothing but SIGKILL; then boxwright cleans up and ends.
        let _ = common::wait(&mut self.boxwright, Duration::from_secs(30));
    }
}

/// Inode and all: are two processes in the same namespace?
fn same_namespace(pid: u32, kind: &str) -> bool {
    let link = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/{kind}")).expect("a namespace");
    link(&pid.to_string()) == link("thread-self")
}

fn a_running_process_is_drawn_as_it_is(world: &World) {
    let running = Running::start(world, &["add-net", "--", "sleep", "300"]);
    let (picture, _) = running.draw(world);
    let kinds = ["user", "pid", "cgroup", "mnt", "uts", "ipc", "net", "time"];
    let is = |shared: bool| -> BTreeSet<String> {
        kinds.iter().filter(|k| same_namespace(running.pid, k) == shared).map(ToString::to_string).collect()
    };
    assert_eq!((picture.namespaces("shared"), picture.namespaces("own")), (is(true), is(false)));
    assert_eq!(picture.facts("pid"), ["process 1"]);
    assert!(picture.facts("host-pid").concat().contains(&running.pid.to_string()));
    assert_eq!(picture.facts("hostname"), ["box"]);
    assert_eq!(picture.facts("command"), ["runs sleep"]);
    // As the host sees the same address: the container's own interface, in its own namespace.
    let nsenter = |words: &[&str]| {
        let mut command = world.any("nsenter");
        command.args(["-t", &running.pid.to_string()]);
        if !world.is_root() {
            command.args(["-U", "--preserve-credentials"]);
        }
        world
            .finish({
                command.arg("-n").args(words);
                command
            })
            .exits(0)
            .stdout
    };
    let address = picture.facts("address").concat();
    let address = address.strip_prefix("eth0 ").expect("eth0").to_string();
    if common::installed("nsenter") && common::installed("ip") {
        assert!(nsenter(&["ip", "-4", "addr", "show", "eth0"]).contains(&format!("inet {address}")), "{address}");
    }
    let wires = picture.part("data-part", "wires");
    if world.is_root() {
        assert_eq!(wires.expect("wires").facts("bridge").len(), 1);
        assert!(picture.facts("nat").concat().contains("leaves as the host"));
    } else {
        // The other end is in a namespace that only the container's parent holds.
        assert!(wires.is_none() && picture.facts("note").concat().contains("other end of its cable"));
    }
}

#[test]
fn a_running_stage() {
    a_running_process_is_drawn_as_it_is(&World::new());
}

#[test]
fn a_running_stage_of_an_ordinary_users() {
    if !common::is_root() {
        skip!("the other test is for an ordinary user already");
    }
    a_running_process_is_drawn_as_it_is(&World::as_user());
}

#[test]
fn a_process_that_has_ended_is_said_to_have() {
    let world = World::new();
    let mut dead = Command::new("true").spawn().expect("true");
    let stat = format!("/proc/{}/stat", dead.id());
    while !std::fs::read_to_string(&stat).expect("nobody has waited for it").contains(") Z ") {
        std::thread::sleep(Duration::from_millis(1));
    }
    let run = world.run(["draw", &dead.id().to_string()]).exits(0);
    assert!(run.stderr.contains("not seen: ") && run.stderr.contains("it has ended"), "{run}");
    assert_eq!(parse(&run.stdout).facts("command"), ["runs true"]);
    dead.wait().expect("its end");
}

#[test]
fn oneself_is_all_the_hosts() {
    let world = World::new();
    // The shell is the parent of the one that draws, and in all of its namespaces.
    let mut shell = world.any("sh");
    shell.args(["-c", "./boxwright draw $$; exit $?"]);
    let picture = parse(&world.finish(shell).exits(0).stdout);
    assert_eq!(picture.namespaces("own"), BTreeSet::new());
    assert!(picture.namespaces("shared").len() >= 7);
    assert!(picture.part("data-part", "wires").is_none());
}

#[test]
fn a_running_limit() {
    let world = World::new();
    if let Some(reason) = world.lack("limit-memory") {
        skip!("{reason}");
    }
    let running = Running::start(&world, &["limit-memory", "--memory", "48m", "--", "sleep", "300"]);
    let (picture, _) = running.draw(&world);
    assert!(picture.facts("memory.max").concat().starts_with("48 MiB"), "{:?}", picture.facts("memory.max"));
    let gauge = picture.part("data-gauge", "memory").expect("a gauge");
    assert!(gauge.facts("used").concat().ends_with(" used"), "{gauge:?}");
    assert!(picture.facts("cgroup").concat().contains("boxwright-"));
    assert!(!picture.facts("lower").is_empty() && !picture.facts("upper").is_empty(), "layers");
}

#[test]
fn what_may_not_be_seen_is_said_and_not_guessed() {
    if !common::is_root() {
        skip!("it takes somebody else's process");
    }
    let world = World::as_user();
    let run = world.run(["draw", &std::process::id().to_string()]).exits(0);
    let picture = parse(&run.stdout);
    assert!(run.stderr.contains("not seen: namespaces"), "{run}");
    assert!(picture.facts("note").concat().contains("closed to you"), "{run}");
    assert_eq!((picture.namespaces("own"), picture.namespaces("shared")), (BTreeSet::new(), BTreeSet::new()));
}

#[test]
fn bad_input_is_one_clear_error() {
    let world = World::as_user();
    let mut dead = Command::new("true").spawn().expect("true");
    dead.wait().expect("its end");
    let dead = dead.id().to_string();
    for (args, names) in [
        (vec!["draw", dead.as_str()], dead.as_str()),
        (vec!["draw", "0"], "0"),
        (vec!["draw", "-1"], "-1"),
        (vec!["draw", "99999999999"], "99999999999"),
        (vec!["draw", "no-such-stage"], "no-such-stage"),
        (vec!["draw", "1", "-o", "/no/such/directory/file.svg"], "/no/such/directory/file.svg"),
        (vec!["draw", "unshare-pid", "-o", "/no/such/directory/file.svg"], "/no/such/directory/file.svg"),
        (vec!["draw", "add-net", "--network", "nonsense"], "nonsense"),
    ] {
        let run = world.run(&args).exits(125);
        let errors = run
            .stderr
            .lines()
            .filter(|l| l.starts_with("boxwright: ") && !l.contains("skipped") && !l.contains("not seen"));
        assert_eq!(errors.count(), 1, "{run}");
        assert!(run.stderr.contains(names) && run.stderr.contains("\n  try: ") && run.stdout.is_empty(), "{run}");
    }
    world.run(["draw"]).exits(125);
    world.assert_swept();
}

#[test]
fn a_drawn_stage_leaves_nothing() {
    let world = World::new().used();
    let before = world.inventory();
    for stage in ["add-net", "full-run"] {
        world.run(drawing(stage)).exits(0);
    }
    world.run(["draw", "full-run", "host", "echo", "not in the picture"]).exits(0);
    world.assert_unchanged(&before);
}

#[test]
fn a_command_says_nothing_into_the_picture() {
    let run = World::new().run(["draw", "full-run", "host", "sh", "-c", "echo loud; echo loud >&2"]).exits(0);
    parse(&run.stdout);
    assert!(!run.stdout.contains("loud") && !run.stderr.contains("loud"), "{run}");
}

#[test]
fn names_that_are_markup_stay_names() {
    if !common::is_root() {
        skip!("it sets a hostname");
    }
    let world = World::new();
    let picture = parse(&world.run(["draw", "set-hostname", "--hostname", "a-b.c"]).exits(0).stdout);
    assert_eq!(picture.facts("hostname"), ["a-b.c"]);
    let long = "x".repeat(60);
    let picture = parse(&world.run(["draw", "set-hostname", "--hostname", &long]).exits(0).stdout);
    assert!(picture.facts("hostname").concat().ends_with('…'), "it is cut to fit");
}

/// The book's picture of a stage.
fn file(number: usize, stage: &str) -> PathBuf {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    root.join(format!("book/src/images/stage-{number:02}-{stage}.svg"))
}

#[test]
fn the_books_pictures_are_pictures() {
    if !common::is_root() {
        skip!("they are root's");
    }
    let world = World::new();
    let bless = std::env::var_os("BOXWRIGHT_BLESS").is_some();
    for (number, stage) in stages(&world).iter().enumerate() {
        if let Some(reason) = world.lack(stage) {
            common::record_skip(module_path!(), &format!("{stage}: {reason}"));
            continue;
        }
        let drawn = drawing::normal(&world.run(drawing(stage)).exits(0).stdout);
        // What stands for a value must fit where the value did.
        for text in parse(&drawn)
            .all()
            .into_iter()
            .filter(|e| e.get("data-fact").is_some() && e.name == "text" && e.get("text-anchor").is_none())
        {
            let left: f32 = text.get("x").and_then(|x| x.parse().ok()).expect("a place");
            assert!(left + text.text.chars().count() as f32 * 8.7 < 450.0, "{}", text.text);
        }
        let file = file(number, stage);
        if bless {
            std::fs::write(&file, &drawn).expect("the picture");
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        let differ = kept.lines().zip(drawn.lines()).find(|(a, b)| a != b);
        assert!(kept == drawn, "{}: BOXWRIGHT_BLESS=1 cargo test --test draw\n{differ:#?}", file.display());
    }
}
