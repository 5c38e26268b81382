//! Bad input gets one clear error: it names the argument, gives the reason and a way out, exits with docker's code, and
//! leaves nothing behind.

mod common;

use common::{Output, World};

/// What is typed behind `full-run`, the exit code, and what the error must name.
type Case = (&'static [&'static str], i32, &'static [&'static str]);

#[rustfmt::skip]
const CASES: [Case; 27] = [
    (&["no-such-image", "true"], 125, &["no-such-image"]),
    (&["--rootfs", "/no/such/directory", "true"], 125, &["/no/such/directory", "--rootfs"]),
    (&["--rootfs", "/etc/passwd", "true"], 125, &["/etc/passwd", "not a directory"]),
    (&["--rootfs", "/", "true"], 125, &["--rootfs /"]),
    (&["--memory", "1", "host", "true"], 125, &["--memory 1"]),
    (&["--memory", "much", "host", "true"], 125, &["--memory much"]),
    (&["--memory", "64m", "--memory-swap", "32m", "host", "true"], 125, &["--memory-swap 32m"]),
    (&["--cpus", "-3", "host", "true"], 125, &["--cpus -3"]),
    (&["--cpus", "0.0000001", "host", "true"], 125, &["--cpus 0.0000001"]),
    (&["--cpus", "100000", "host", "true"], 125, &["--cpus 100000", "CPUs"]),
    (&["--cpuset-cpus", "100000", "host", "true"], 125, &["--cpuset-cpus 100000"]),
    (&["--pids-limit", "many", "host", "true"], 125, &["--pids-limit many"]),
    (&["--device-write-bps", "/dev/null:1m", "host", "true"], 125, &["--device-write-bps /dev/null"]),
    (&["-v", "/no/such/source:/x", "host", "true"], 125, &["/no/such/source"]),
    (&["-v", "/tmp:relative", "host", "true"], 125, &["relative"]),
    (&["--mount", "type=nonsense,target=/x", "host", "true"], 125, &["nonsense"]),
    (&["--device", "/dev/no-such-device", "host", "true"], 125, &["--device /dev/no-such-device"]),
    (&["--cap-add", "CAP_NONSENSE", "host", "true"], 125, &["--cap-add CAP_NONSENSE"]),
    (&["--security-opt", "seccomp=/no/such/file", "host", "true"], 125, &["/no/such/file"]),
    (&["--security-opt", "nonsense=1", "host", "true"], 125, &["nonsense"]),
    (&["--ulimit", "nofile=5:3", "host", "true"], 125, &["--ulimit nofile=5:3"]),
    (&["--network", "nonsense", "host", "true"], 125, &["--network nonsense"]),
    (&["--userns", "nonsense", "host", "true"], 125, &["--userns nonsense"]),
    (&["--user", "no-such-user", "host", "true"], 125, &["no-such-user"]),
    (&["--env-file", "/no/such/env", "host", "true"], 125, &["/no/such/env"]),
    (&["host", "/no/such/program"], 127, &["/no/such/program"]),
    (&["host", "no-such-program"], 127, &["no-such-program"]),
];

/// One error, in our shape, that names what it should.
#[track_caller]
fn one_clear_error(run: &Output, names: &[&str]) {
    // What this machine cannot do is said beside it.
    let error = |l: &&str| l.starts_with("boxwright: ") && !l.starts_with("boxwright: skipped ");
    let errors: Vec<_> = run.stderr.lines().filter(error).collect();
    assert_eq!(errors.len(), 1, "one error, once\n{run}");
    for name in names {
        assert!(run.stderr.contains(name), "the error does not name {name}\n{run}");
    }
    assert!(run.stderr.contains("\n  try: "), "no way out\n{run}");
    assert!(!run.stderr.contains("panicked"), "{run}");
    assert!(run.stdout.is_empty(), "an error is not output\n{run}");
}

fn try_all(world: &World) {
    let before = world.inventory();
    for (args, code, names) in CASES {
        let run = world.run(["full-run", "--rm"].iter().chain(args)).exits(code);
        one_clear_error(&run, names);
    }
    world.assert_unchanged(&before);
}

#[test]
fn every_error_is_clear_and_leaves_nothing() {
    try_all(&World::new().used());
}

#[test]
fn every_error_is_clear_to_an_ordinary_user() {
    if !common::is_root() {
        skip!("the other test is for an ordinary user already");
    }
    try_all(&World::as_user().used());
}

/// As docker refuses --privileged in a user namespace. (An ordinary user has no other choice, and is not told off.)
#[test]
fn privileged_and_ids_of_its_own_exclude_each_other() {
    let run = |world: World| world.run(["full-run", "--rm", "--userns", "auto", "--privileged", "host", "true"]);
    run(World::as_user()).exits(0);
    if !common::is_root() {
        skip!("only root has the choice");
    }
    one_clear_error(&run(World::new()).exits(125), &["--userns auto", "--privileged"]);
}

#[test]
fn a_usage_error_is_boxwrights_own_failure() {
    let world = World::new();
    for args in [&["no-such-command"][..], &["full-run", "--no-such-option", "host", "true"], &["explain"], &[]] {
        let run = world.run(args);
        assert!(run.code() == 125 && !run.stderr.is_empty(), "{run}");
    }
    assert!(world.run(["no-such-command"]).stderr.contains("boxwright stages"), "a way out");
    world.run(["explain", "no-such-stage"]).exits(125);
    world.run(["unshare-pid", "--without", "no-such-primitive"]).exits(125);
}

#[test]
fn what_cannot_be_executed_is_126() {
    let world = World::new();
    for program in ["/etc", "/etc/passwd"] {
        let run = world.run(["full-run", "--rm", "host", program]).exits(126);
        one_clear_error(&run, &[program]);
    }
}

#[test]
fn a_root_filesystem_without_the_command_is_127() {
    let world = World::new().used();
    let rootfs = world.dir.path().join("empty");
    std::fs::create_dir(&rootfs).expect("mkdir");
    let before = world.inventory();
    let run = world.run(["full-run", "--rm", "--rootfs", &rootfs.to_string_lossy(), "/bin/sh"]).exits(127);
    one_clear_error(&run, &["/bin/sh"]);
    world.assert_unchanged(&before);
}

#[test]
fn more_memory_than_there_is_only_warns() {
    let world = World::new();
    if let Some(why) = world.no_cgroups() {
        skip!("{why}");
    }
    let run = world.run(["full-run", "--rm", "--memory", "999999g", "host", "true"]).exits(0);
    assert!(run.stderr.contains("--memory 999999g"), "{run}");
}

/// CVE-2021-30465 and its kin: the target of a mount is a link that leads out of the container's root.
#[test]
fn a_mount_target_that_leads_out_of_the_root_stays_inside() {
    let world = World::new().used();
    let (rootfs, outside) = (world.dir.path().join("rootfs"), world.dir.path().join("outside"));
    for dir in [&rootfs, &outside] {
        std::fs::create_dir(dir).expect("mkdir");
    }
    std::os::unix::fs::symlink(&outside, rootfs.join("trap")).expect("symlink");
    std::os::unix::fs::symlink("../../../../../../../../..", rootfs.join("up")).expect("symlink");
    let before = world.inventory();
    for target in ["/trap", "/trap/deep", "/up/etc"] {
        let volume = format!("{}:{target}", world.dir.path().join("home").display());
        world.run(["full-run", "--rm", "-v", &volume, "--rootfs", &rootfs.to_string_lossy(), "/bin/true"]);
        let inside = std::fs::read_dir(&outside).expect("the directory").count();
        assert_eq!(inside, 0, "{target} was made outside of the root");
    }
    world.assert_unchanged(&before);
}

#[test]
fn a_state_directory_that_cannot_be_written_is_named() {
    let world = World::as_user();
    let run = world.run(["--root", "/proc/nowhere", "full-run", "host", "true"]).exits(125);
    one_clear_error(&run, &["/proc/nowhere"]);
}

/// The writable layer's disk is full: a tmpfs of one page, in a mount namespace of this thread's own.
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    if !common::is_root() {
        skip!("only root can mount a small disk");
    }
    let world = World::new();
    use nix::mount::{MsFlags, mount};
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("unshare(CLONE_NEWNS)");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("mount(MS_PRIVATE)");
    mount(Some("tiny"), &world.root(), Some("tmpfs"), MsFlags::empty(), Some("size=4k")).expect("mount(tmpfs)");
    let run = world.run(["full-run", "--rm", "host", "true"]).exits(125);
    one_clear_error(&run, &["ENOSPC"]);
}
