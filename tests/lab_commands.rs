//! `boxwright lab` as a learner uses it: progress is remembered, a solution is shown only to those who have theirs,
//! `watch` sees a file being saved, and nothing stays of a lab that was interrupted. (What the labs themselves say and
//! check is in labs.rs.)

mod common;

use common::World;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LAB: &str = "01-unshare-pid";

fn labs() -> PathBuf {
    let root =
        std::env::var_os("INSTA_WORKSPACE_ROOT").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    root.join("labs")
}

fn file_of_lab(file: &str) -> String {
    std::fs::read_to_string(labs().join(LAB).join(file)).expect("a file of the lab")
}

fn workspace(world: &World) -> PathBuf {
    world.dir.path().join("home/boxwright-labs").join(LAB)
}

/// As a learner: writes the solution over the skeleton, in the way of most editors.
fn solve(world: &World) {
    let file = workspace(world).join("exercise.sh");
    std::fs::write(&file, file_of_lab("solution.sh")).expect("the learner's file");
}

/// What a learner may start from, whoever they are.
fn can_start(world: &World) -> Option<String> {
    world.lack("unshare-pid")
}

#[test]
fn a_lab_from_its_list_to_its_solution() {
    let world = World::as_user().used();
    if let Some(reason) = can_start(&world) {
        skip!("{reason}");
    }
    let list = world.run(["lab", "list"]).exits(0).stdout;
    assert!(list.contains("01  unshare-pid") && list.contains("  0 of "), "{list}");

    let refused = world.run(["lab", "solution", "01"]).exits(125);
    assert!(refused.stderr.contains("not solved yet") && refused.stderr.contains("lab hint 01"), "{refused}");

    // What is checked first is the skeleton, which the check itself puts there.
    let red = world.run(["lab", "check", "1"]).exits(1);
    assert!(red.stdout.contains("FAIL") && red.stdout.contains("Score: 7/8"), "{red}");
    assert_eq!(std::fs::read_to_string(workspace(&world).join("exercise.sh")).expect("it"), file_of_lab("exercise.sh"));

    let hint = |n: &str| world.run(["lab", "hint"]).exits(0).stdout.matches(n).count();
    assert_eq!((hint("hint 1 of"), hint("hint 2 of")), (1, 1), "one more hint each time");

    solve(&world);
    // Without a name it is the lab that was looked at last.
    let green = world.run(["lab", "check"]).exits(0);
    assert!(green.stdout.contains("Score: 8/8") && green.stdout.contains("  1 of "), "{green}");
    let solution: Vec<String> =
        file_of_lab("solution.sh").lines().filter(|l| !l.starts_with("#without ")).map(str::to_string).collect();
    assert_eq!(world.run(["lab", "solution", "01"]).exits(0).stdout.lines().collect::<Vec<_>>(), solution);
    let list = world.run(["lab", "list"]).exits(0).stdout;
    let row = list.lines().find(|line| line.contains("unshare-pid")).expect("its row");
    assert!(row.matches('✓').count() == 2 && row.contains(" 2 "), "both marks and two hints: {row}");

    world.run(["lab", "reset", "01"]).exits(0);
    assert_eq!(std::fs::read_to_string(workspace(&world).join("exercise.sh")).expect("it"), file_of_lab("exercise.sh"));
    assert_eq!(
        std::fs::read_to_string(workspace(&world).join("exercise.sh.old")).expect("the learner's work is kept"),
        file_of_lab("solution.sh")
    );
    world.run(["lab", "solution", "01"]).exits(125);
}

#[test]
fn a_script_that_prints_something_else_is_told_line_by_line() {
    let world = World::new().used();
    if let Some(reason) = can_start(&world) {
        skip!("{reason}");
    }
    // A boxwright that says something else, first in PATH, as its own.
    let run = world.run(["lab", "run", "--no-pause", "01"]).exits(0);
    assert_eq!(run.stdout.matches("✓ as it should be").count(), 7, "{run}");
    assert!(run.stdout.contains("Now it is your turn") && run.stdout.contains("lab check 01"), "{run}");
    let mut other = world.command(["lab", "run", "--no-pause", "01"]);
    // pgrep(1) in the lab's place finds what it should not find.
    let bin = world.dir.path().join("bin");
    std::fs::create_dir(&bin).expect("mkdir");
    std::fs::write(bin.join("pgrep"), "#!/bin/sh\necho 4242 is left\n").expect("a file");
    std::fs::set_permissions(bin.join("pgrep"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    other.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default()));
    let run = world.finish(other).exits(1);
    assert!(run.stdout.contains("+ 4242 is left   unexpected"), "{run}");
    assert!(run.stdout.contains("− no sleep is left   missing"), "{run}");
}

#[test]
fn watch_sees_what_is_saved() {
    let world = World::as_user().used();
    if let Some(reason) = can_start(&world) {
        skip!("{reason}");
    }
    let log = world.dir.path().join("log");
    let mut command = world.command(["lab", "watch", "01"]);
    command.stdout(std::fs::File::create(&log).expect("a file"));
    let mut watching = command.spawn().expect("it starts");
    wait_for(&log, "FAIL");
    solve(&world);
    let end = common::wait(&mut watching, Duration::from_secs(120));
    if end.is_none() {
        let _ = watching.kill();
    }
    assert!(end.is_some_and(|e| e.success()), "{}", std::fs::read_to_string(&log).unwrap_or_default());
}

fn wait_for(log: &Path, text: &str) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !std::fs::read_to_string(log).is_ok_and(|t| t.contains(text)) {
        assert!(Instant::now() < deadline, "no {text} in {log:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_stays_of_a_lab_that_is_interrupted() {
    let world = World::new().used();
    let before = world.inventory();
    let hanging = world.dir.path().join("hanging.sh");
    // In a session of its own, so that no signal to a group or a terminal reaches it.
    std::fs::write(&hanging, "setsid sleep 4243 &\nsleep 4242\n").expect("a file");
    let args = ["lab", "check", "--exercise", "--with", hanging.to_str().expect("UTF-8"), "01"];
    for signal in [nix::sys::signal::SIGINT, nix::sys::signal::SIGTERM] {
        let log = world.dir.path().join("log");
        let mut command = world.command(args);
        command.stdout(std::fs::File::create(&log).expect("a file"));
        let mut child = command.spawn().expect("it starts");
        wait_for(&log, "baseline");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).expect("kill");
        let end = common::wait(&mut child, Duration::from_secs(60)).expect("it ends");
        assert!(!end.success());
        std::fs::remove_file(&log).expect("unlink");
        world.assert_unchanged(&before);
    }
}

#[test]
fn the_last_exercise_ends_with_a_closing_page() {
    let world = World::as_user().used();
    if let Some(reason) = can_start(&world) {
        skip!("{reason}");
    }
    world.run(["lab", "hint", "01"]).exits(0);
    world.run(["lab", "check", "--exercise", "01"]).exits(1);
    solve(&world);
    // As if all others had been solved before.
    let file = world.root().join("lib/labs.json");
    let mut progress: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).expect("progress")).expect("JSON");
    let labs = std::fs::read_dir(labs()).expect("labs/").flatten();
    for folder in labs.filter_map(|entry| entry.file_name().into_string().ok()) {
        if folder != LAB && folder.starts_with(|c: char| c.is_ascii_digit()) {
            progress["labs"][folder] = serde_json::json!({ "script": true, "solved": true, "hints": 0 });
        }
    }
    std::fs::write(&file, progress.to_string()).expect("progress");
    let run = world.run(["lab", "check", "--exercise", "01"]).exits(0);
    assert!(run.stdout.contains("That was the last one.") && run.stdout.contains("1 hint"), "{run}");
    let next = world.run(["lab", "check"]).exits(125);
    assert!(next.stderr.contains("all labs are solved"), "{next}");
}

#[test]
fn labs_can_be_taken_along() {
    let world = World::as_user();
    let dir = world.dir.path().join("home/labs");
    let dir = dir.to_str().expect("UTF-8");
    world.run(["lab", "export", dir]).exits(0);
    let read = |file: &str| std::fs::read_to_string(Path::new(dir).join(LAB).join(file)).expect(file);
    assert!(read("check.sh").ends_with(&file_of_lab("check.sh")) && read("check.sh").contains("/../lib.sh"));
    for file in ["script.sh", "exercise.sh", "solution.sh", "hints.md", "root.snap"] {
        assert_eq!(read(file), file_of_lab(file), "{file}");
    }
    let refused = world.run(["lab", "export", dir]).exits(125);
    assert!(refused.stderr.contains("not empty"), "{refused}");
}

#[test]
fn errors_are_clear() {
    let world = World::as_user();
    for (args, says) in [
        (&["lab", "run", "99"][..], "no such lab: 99"),
        (&["lab", "show", "nonsense"], "no such lab: nonsense"),
        (&["lab", "check", "--with", "nowhere.sh", "01"], "open(nowhere.sh) => ENOENT"),
        (&["lab", "reset"], "which lab?"),
        (&["lab"], "Usage"),
        (&["lab", "check", "--all", "01"], "cannot be used with"),
    ] {
        let run = world.run(args).exits(125);
        assert!(run.stderr.contains(says), "{args:?}\n{run}");
    }
    let mut homeless = world.command(["lab", "watch", "01"]);
    homeless.env_remove("HOME");
    let run = world.finish(homeless).exits(125);
    assert!(run.stderr.contains("HOME is not set") && run.stderr.contains("BOXWRIGHT_LABS"), "{run}");
}
