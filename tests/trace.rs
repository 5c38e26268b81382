//! `--trace` is the truth: whatever it prints of the published calls, strace(1) saw too, in the same process, in the
//! same order, with the same arguments.

mod common;

use common::World;
use common::strace::{missing, normal, published, read};
use std::os::unix::fs::PermissionsExt;

/// Runs it under strace, and compares both accounts of it.
/// Returns how many calls it compared.
fn compare(world: &World, args: &[&str]) -> usize {
    let files = world.dir.path().join("home/strace");
    let prefix = files.join("of");
    let _ = std::fs::remove_dir_all(&files);
    std::fs::create_dir(&files).expect("mkdir");
    std::fs::set_permissions(&files, PermissionsExt::from_mode(0o777)).expect("chmod");
    let mut command = world.any("strace");
    command.args(["-ff", "-qq", "-s", "65535", "-a", "0", "-o"]).arg(&prefix);
    // Behind `--` it would be the command's.
    command.arg(world.dir.path().join("boxwright")).args([args[0], "--trace"]).args(&args[1..]);
    let run = world.finish(command).exits(0);
    let seen = read(&prefix);
    // The first process of ours is the one that strace started; strace's own numbers tell it from its children.
    let host = *seen.keys().next().expect("at least one process");
    let clone = seen[&host].iter().find(|l| l.starts_with("clone3(") && l.contains("CLONE_PIDFD")).expect("clone3");
    let child = clone.rsplit_once(" = ").and_then(|(_, pid)| pid.parse().ok()).expect("the child's number");
    let mut compared = 0;
    for (side, pid) in [("host", host), ("child", child)] {
        let strace: Vec<String> = seen[&pid].iter().filter(|l| published(l)).map(|l| normal(l)).collect();
        let trace: Vec<String> = calls(&run.stderr, side).into_iter().filter(|l| published(l)).map(normal).collect();
        compared += trace.len();
        if let Some(line) = missing(&trace, &strace) {
            let name = line.split('(').next().unwrap_or_default();
            let alike: Vec<_> = strace.iter().filter(|l| l.starts_with(name)).collect();
            panic!("{args:?}: the {side} says\n  {line}\nbut strace, in that order, has only\n  {alike:#?}\n{run}");
        }
    }
    compared
}

/// The calls of one side: `PRIMITIVE  SIDE  CALL`. (The report's lines begin with a space or a mark.)
fn calls<'a>(stderr: &'a str, side: &str) -> Vec<&'a str> {
    let call = |line: &'a str| {
        let (primitive, rest) = line.split_once(' ')?;
        primitive.starts_with(|c: char| c.is_ascii_lowercase()).then_some(())?;
        let (who, call) = rest.trim_start().split_once(' ')?;
        (who == side).then_some(call.trim_start())
    };
    stderr.lines().filter_map(call).collect()
}

fn all_stages(world: &World) {
    let stages = world.run(["stages", "--format", "json"]).exits(0).json();
    let names = stages.as_array().expect("a list").iter().filter_map(|s| s["name"].as_str());
    let mut compared = 0;
    // The last stages contain all the others; the first ones show where a difference begins.
    for name in names.filter(|n| *n != "full-run").rev().step_by(common::by_length(4, 1, 1)) {
        match world.lack(name) {
            Some(reason) => common::record_skip(module_path!(), &format!("{name}: {reason}")),
            None => compared += compare(world, &[name]),
        }
    }
    assert!(compared > 50, "only {compared} of the published calls in all traces");
}

#[test]
fn the_trace_of_every_stage_is_what_strace_saw() {
    if !common::installed("strace") {
        skip!("there is no strace");
    }
    let world = World::new();
    if let Some(reason) = world.strace_cannot_follow() {
        skip!("{reason}");
    }
    all_stages(&world);
}

#[test]
fn also_for_an_ordinary_user() {
    if !common::is_root() {
        skip!("the other test is for an ordinary user already");
    }
    if let Some(reason) = common::left_to_a_user() {
        skip!("{reason}");
    }
    if !common::installed("strace") {
        skip!("there is no strace");
    }
    all_stages(&World::as_user());
}

#[test]
fn also_for_a_command_that_runs() {
    if !common::installed("strace") {
        skip!("there is no strace");
    }
    let world = World::new();
    if let Some(reason) = world.strace_cannot_follow() {
        skip!("{reason}");
    }
    assert!(compare(&world, &["unshare-pid", "--", "/bin/true"]) > 1);
}

#[test]
fn both_accounts_are_brought_to_one_form() {
    let ours = r#"mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV, "gid=5") = 0"#;
    let theirs = r#"mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV, "gid=5")   = 0"#;
    assert_eq!(normal(ours), normal(theirs));
    assert_eq!(normal("openat(7, \"a 12 b\", O_RDONLY) = 9"), "openat(N,\"a 12 b\",O_RDONLY)");
    assert_eq!(normal("execve(\"/bin/x\", [\"x\"], 0x7ffc4f1d2a80 /* 5 vars */) = 0"), "execve(\"/bin/x\",[\"x\"],)");
    assert_eq!(
        normal("mkdirat(AT_FDCWD, \"/a\", 0755) = -1 EEXIST (File exists)"),
        "mkdirat(AT_FDCWD,\"/a\",0755)=EEXIST"
    );
    assert_eq!(
        normal(
            "clone3({flags=CLONE_PIDFD, pidfd=0x7ffe12345678, exit_signal=SIGCHLD, stack=NULL, stack_size=0} => {pidfd=[7]}, 88) = 12"
        ),
        normal("clone3({flags=CLONE_PIDFD, exit_signal=SIGCHLD}, 88) = 12")
    );
    assert_ne!(normal("unshare(CLONE_NEWNS) = 0"), normal("unshare(CLONE_NEWNS) = -1 EPERM (Operation not permitted)"));
}

#[test]
fn what_strace_did_not_see_is_found() {
    let lines = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let strace = lines(&["a", "b", "c"]);
    assert_eq!(missing(&lines(&["a", "c"]), &strace), None);
    assert_eq!(missing(&lines(&["c", "a"]), &strace), Some(&"a".to_string()), "the order counts");
    assert_eq!(missing(&lines(&["x"]), &strace), Some(&"x".to_string()));
}
