//! `exec`: what the command finds in the container, and what the container does not find in the command; the caller's
//! streams and exit code; and every kind of end.

mod common;

use common::desk::Desk;
use common::inventory::{Inventory, descendants};
use common::{Output, World, wait, worlds};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A world with a container `c`, which ends with the test.
struct Cell {
    world: World,
    before: Inventory,
}

impl Cell {
    fn new(make: fn() -> World) -> Cell {
        let world = make().used();
        // What stays of the first container that was kept is there already.
        world.run(["full-run", "--name", "first", "--network", "none", "host", "true"]).exits(0);
        world.run(["rm", "first"]).exits(0);
        Cell { before: world.inventory(), world }
    }
}

impl std::ops::Deref for Cell {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.world.command(["rm", "-f", "c"]).status();
        }
    }
}

/// One with more flags of full-run's and a command.
fn with(make: fn() -> World, flags: &[&str], command: &[&str]) -> Cell {
    let world = Cell::new(make);
    let args = [&["full-run", "-d", "--name", "c", "--network", "none"], flags, &["host"], command].concat();
    world.run(args).exits(0);
    world
}

fn sleeping(make: fn() -> World, flags: &[&str]) -> Cell {
    with(make, flags, &["sleep", "1000"])
}

/// The end of the container, after which nothing may be left.
fn done(world: Cell) {
    world.run(["rm", "-f", "c"]).exits(0);
    world.assert_unchanged(&world.before);
}

fn exec(world: &World, args: &[&str]) -> Output {
    world.run([&["exec"], args].concat())
}

/// exec of a shell script in `c`.
fn sh(world: &World, flags: &[&str], script: &str) -> Output {
    exec(world, &[flags, &["c", "sh", "-c", script]].concat())
}

fn spawn(world: &World, args: &[&str]) -> Child {
    let mut command = world.command([&["exec"], args].concat());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

#[track_caller]
fn ends(child: &mut Child, code: i32) {
    let status = wait(child, Duration::from_secs(60)).expect("it ends");
    assert_eq!(status.code(), Some(code));
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_is_in_the_containers_namespaces_and_is_what_the_container_is() {
    for make in worlds() {
        let world = with(make, &[], &["sh", "-c", "cat /proc/self/status; ls -l /proc/self/ns; exec sleep 1000"]);
        let facts = |text: &str| -> Vec<String> {
            let wanted = |l: &&str| {
                ["Cap", "NoNewPrivs", "Seccomp", "Uid:", "Gid:", "Groups:"].iter().any(|w| l.starts_with(w))
                    || l.contains(" -> ")
            };
            // Of ls: only what a link shows.
            text.lines().filter(wanted).map(|l| l.rsplit_once(" -> ").map_or(l, |(_, ns)| ns).to_string()).collect()
        };
        until("the container's own words", || {
            world.run(["logs", "c"]).stdout.contains("uts_for_children")
                || world.run(["logs", "c"]).stdout.contains(" uts -> ")
        });
        let theirs = facts(&world.run(["logs", "c"]).exits(0).stdout);
        let ours = facts(&sh(&world, &[], "cat /proc/self/status; ls -l /proc/self/ns").exits(0).stdout);
        assert_eq!(ours, theirs);
        assert!(ours.iter().any(|l| l.starts_with("Seccomp:\t2")), "{ours:?}");
        assert!(theirs.iter().filter(|l| l.contains(":[")).count() >= 7, "{theirs:?}");
        // In the container's own ps, as a child of nobody in there; and in its cgroup, for those outside.
        let pid = sh(&world, &[], "echo $$; grep PPid /proc/$$/status").exits(0).stdout;
        assert!(pid.lines().next().is_some_and(|p| p.parse::<i32>().is_ok_and(|p| (2..1000).contains(&p))), "{pid}");
        assert!(pid.contains("PPid:\t0"), "{pid}");
        let mut sleeper = spawn(&world, &["c", "sleep", "765"]);
        until("the command in top", || {
            let top = world.run(["top", "c"]);
            world.no_cgroups().is_some() || top.stdout.contains("sleep 765")
        });
        kill(Pid::from_raw(sleeper.id() as i32), Signal::SIGTERM).expect("kill");
        ends(&mut sleeper, 143);
        done(world);
    }
}

#[test]
fn it_is_in_every_cgroup_of_the_container() {
    let world = sleeping(World::new, &["--memory", "128m", "--pids-limit", "50", "--cpus", "1"]);
    if let Some(why) = world.no_cgroups() {
        done(world);
        skip!("{why}");
    }
    let cgroups = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("cgroups");
    let mut sleeper = spawn(&world, &["c", "sleep", "766"]);
    let of = |command: &str| {
        let named = |pid: &i32| {
            std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|c| c.replace('\0', " ").trim() == command)
        };
        descendants().into_iter().find(named)
    };
    until("the command", || of("sleep 766").is_some());
    let (one, other) = (of("sleep 1000").expect("the container"), of("sleep 766").expect("the command"));
    assert_eq!(cgroups(one), cgroups(other));
    assert!(cgroups(other).contains("boxwright-"), "{}", cgroups(other));
    world.run(["rm", "-f", "c"]).exits(0);
    ends(&mut sleeper, 137);
    world.assert_unchanged(&world.before);
}

#[test]
fn environment_user_and_directory() {
    for make in worlds() {
        let world = sleeping(make, &["-e", "FROM=run", "-e", "BOTH=run", "-w", "/tmp"]);
        let said = sh(&world, &["-e", "BOTH=exec", "-e", "A="], "echo $FROM,$BOTH,${A-unset},$HOME,${TERM-none}; pwd")
            .exits(0);
        assert_eq!(said.stdout, "run,exec,,/root,none\n/tmp\n");
        let short = sh(&world, &[], "echo $HOSTNAME; hostname").exits(0).stdout;
        assert_eq!(short.lines().next(), short.lines().nth(1), "{short}");
        let file = world.dir.path().join("vars");
        std::fs::write(&file, "FROM=file\nBOTH=file\n").expect("a file");
        let args = ["--env-file", &file.to_string_lossy(), "-e", "BOTH=flag", "-w", "/usr"];
        assert_eq!(sh(&world, &args, "echo $FROM,$BOTH; pwd").exits(0).stdout, "file,flag\n/usr\n");
        let missing = sh(&world, &["-w", "/no/such"], "true").exits(127);
        assert!(missing.stderr.contains("the container has no directory /no/such"), "{missing}");
        assert_eq!(sh(&world, &[], "test -e /no; echo $?").stdout, "1\n", "docker makes none");
        sh(&world, &["-w", "relative"], "true").exits(125);
        sh(&world, &["-u", "nobody-of-that-name"], "true").exits(125);
        sh(&world, &["-e", "=x"], "true").exits(125);
        sh(&world, &["--env-file", "/no/such"], "true").exits(125);
        if world.is_root() {
            let nobody =
                sh(&world, &["-u", "65534:7"], "id -u; id -g; echo $HOME; grep CapEff /proc/self/status").exits(0);
            assert!(
                nobody.stdout.starts_with("65534\n7\n/") && nobody.stdout.contains("CapEff:\t0000000000000000"),
                "{nobody}"
            );
            let by_name = sh(&world, &["--user", "daemon"], "id -un; echo $HOME").exits(0);
            assert_eq!(by_name.stdout, "daemon\n/usr/sbin\n");
            world.run(["rm", "-f", "c"]).exits(0);
            let args = ["full-run", "-d", "--name", "c", "-u", "daemon", "--network", "none", "host", "sleep", "1000"];
            world.run(args).exits(0);
            assert_eq!(sh(&world, &[], "id -un").stdout, "daemon\n", "the container's own user, where none is named");
        }
        done(world);
    }
}

#[test]
fn the_record_counts_and_privileged_adds_to_it() {
    let flags =
        ["--cap-drop", "ALL", "--cap-add", "CHOWN", "--ulimit", "nofile=77:77", "--security-opt", "no-new-privileges"];
    for make in worlds() {
        let world = sleeping(make, &flags);
        let script =
            "grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; ulimit -n; cat /proc/self/oom_score_adj";
        let plain = sh(&world, &[], script).exits(0).stdout;
        assert!(plain.contains("CapEff:\t0000000000000001") && plain.contains("CapBnd:\t0000000000000001"), "{plain}");
        assert!(
            plain.contains("NoNewPrivs:\t1") && plain.contains("Seccomp:\t2") && plain.contains("\n77\n"),
            "{plain}"
        );
        let full = sh(&world, &["--privileged"], script).exits(0).stdout;
        assert!(full.contains("CapEff:\t000001ff") && full.contains("Seccomp:\t2"), "{full}");
        done(world);
    }
    let world = sleeping(World::new, &["--oom-score-adj", "321", "--security-opt", "seccomp=unconfined"]);
    let said = sh(&world, &[], "cat /proc/self/oom_score_adj; grep Seccomp: /proc/self/status").exits(0).stdout;
    assert_eq!(said, "321\nSeccomp:\t0\n");
    done(world);
}

#[test]
fn a_full_container_says_so() {
    let world = Cell::new(World::new);
    if let Some(why) = world.no_cgroups() {
        skip!("{why}");
    }
    world
        .run(["full-run", "-d", "--name", "c", "--pids-limit", "1", "--network", "none", "host", "sleep", "1000"])
        .exits(0);
    let full = exec(&world, &["c", "true"]);
    // v1 counts who joins a cgroup, and refuses only who is born there.
    if common::cgroup_v2() {
        assert!(full.code() == 125 && full.stderr.contains("the limit on the container's processes"), "{full}");
    } else {
        full.exits(0);
    }
    done(world);
}

#[test]
fn codes_are_the_commands_or_dockers() {
    for make in worlds() {
        let world = sleeping(make, &[]);
        sh(&world, &[], "exit 0").exits(0);
        sh(&world, &[], "exit 42").exits(42);
        sh(&world, &[], "kill -TERM $$").exits(143);
        exec(&world, &["c", "no-such-program"]).exits(127);
        exec(&world, &["c", "/no/such/program"]).exits(127);
        exec(&world, &["c", "/etc/passwd"]).exits(126);
        exec(&world, &["c", "/etc"]).exits(126);
        exec(&world, &["-d", "c", "no-such-program"]).exits(127);
        exec(&world, &["c"]).exits(125);
        exec(&world, &["--no-such-flag", "c", "true"]).exits(125);
        exec(&world, &["--detach-keys", "ctrl-pq", "c", "true"]).exits(125);
        // What comes behind the command's name is its own.
        assert_eq!(exec(&world, &["c", "echo", "-i", "--user", "x"]).exits(0).stdout, "-i --user x\n");
        let unknown = exec(&world, &["nobody", "true"]).exits(125);
        assert!(unknown.stderr.contains("No such container: nobody"), "{unknown}");
        done(world);
    }
}

#[test]
fn only_what_runs_can_be_joined() {
    for make in worlds() {
        let world = Cell::new(make);
        world.run(["create", "--name", "c", "--network", "none", "host", "true"]).exits(0);
        assert!(exec(&world, &["c", "true"]).exits(125).stderr.contains("container c is not running"));
        world.run(["start", "-a", "c"]).exits(0);
        assert!(exec(&world, &["c", "true"]).exits(125).stderr.contains("container c is not running"));
        world.run(["rm", "c"]).exits(0);
        if world.no_cgroups().is_none() {
            world.run(["full-run", "-d", "--name", "c", "--network", "none", "host", "sleep", "1000"]).exits(0);
            world.run(["pause", "c"]).exits(0);
            let paused = exec(&world, &["c", "true"]).exits(125);
            assert!(paused.stderr.contains("container c is paused") && paused.stderr.contains("unpause"), "{paused}");
            world.run(["unpause", "c"]).exits(0);
            exec(&world, &["c", "true"]).exits(0);
            world.run(["rm", "-f", "c"]).exits(0);
        }
        world.assert_unchanged(&world.before);
    }
}

#[test]
fn bytes_pass_both_ways_as_they_are() {
    for make in worlds() {
        let world = sleeping(make, &[]);
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut command = world.command(["exec", "-i", "c", "cat"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("stdin");
        let sent = bytes.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&sent));
        let mut got = Vec::new();
        child.stdout.take().expect("stdout").read_to_end(&mut got).expect("read");
        writer.join().expect("a thread").expect("write");
        ends(&mut child, 0);
        assert!(got == bytes, "{} bytes of {}", got.len(), bytes.len());
        // Two streams, apart; and without -i nothing is read.
        let both = sh(&world, &[], "echo out; echo err >&2; cat").exits(0);
        assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
        let mut command = world.command(["exec", "c", "cat"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        ends(&mut child, 0);
        done(world);
    }
}

#[test]
fn in_the_background_it_prints_nothing_and_stays() {
    for make in worlds() {
        let world = sleeping(make, &[]);
        for flags in [&["-d"][..], &["-dt"], &["-dit"]] {
            let started = sh(
                &world,
                flags,
                "rm -f /tmp/go; echo hello; test -t 1 && echo tty > /tmp/tty; seq 100000; touch /tmp/done; sleep 700",
            )
            .exits(0);
            assert_eq!((started.stdout.as_str(), started.stderr.as_str()), ("", ""));
            // Its terminal fills up if nobody reads it.
            until("it got through", || sh(&world, &[], "test -e /tmp/done").code() == 0);
            let tty = sh(&world, &[], "cat /tmp/tty; rm -f /tmp/done /tmp/tty").stdout;
            assert_eq!(tty == "tty\n", flags[0] != "-d", "{flags:?}: {tty}");
        }
        assert_eq!(sh(&world, &[], "ps ax -o args | grep -c '^sleep 700'").stdout, "3\n");
        done(world);
    }
}

#[test]
fn a_terminal_with_its_size_and_keys() {
    for make in worlds() {
        let world = sleeping(make, &[]);
        // (In dash, a signal during `read` looks like the end of input now and then.)
        let script = "tty; test -t 0 && test -t 1 && test -t 2 && echo yes $TERM; stty size; read a; echo got $a; \
                      trap 'told=told' WINCH; echo ready; until test \"$(stty size)\" = '44 111'; do sleep 0.02; done; \
                      echo size $(stty size) $told; while read b; do echo again $b; done; exit 9";
        let mut desk = Desk::new(&world, &["exec", "-it", "c", "sh", "-c", script]);
        desk.shows("/dev/pts/");
        desk.shows("yes xterm");
        desk.shows("33 99");
        assert!(desk.stty(&["-a"]).contains("-icanon"), "ours is raw meanwhile");
        desk.type_in("wörd\r");
        desk.shows("got wörd");
        desk.shows("ready");
        desk.stty(&["rows", "44", "cols", "111"]);
        desk.shows("size 44 111 told");
        desk.type_in("b\r");
        desk.shows("again b");
        // Ctrl-D is for the container's terminal.
        desk.type_in("\x04");
        ends(&mut desk.child, 9);
        assert!(desk.stty(&["-a"]).contains(" icanon"), "and itself again afterwards");
        // Ctrl-C is for the command.
        let mut desk = Desk::new(
            &world,
            &["exec", "-it", "c", "sh", "-c", "trap 'echo caught; exit 3' INT; echo ready; sleep 100 & wait"],
        );
        desk.shows("ready");
        desk.type_in("\x03");
        desk.shows("caught");
        ends(&mut desk.child, 3);
        // The container's console stays its own, and its first process has no terminal.
        assert_eq!(
            sh(
                &world,
                &[],
                "test -e /dev/console && test -c /dev/console; echo $?; ls -l /dev/pts | grep -c ' 5, \\|136'"
            )
            .stdout
            .lines()
            .next(),
            Some("1")
        );
        let refused = exec(&world, &["-it", "c", "true"]).exits(125);
        assert!(refused.stderr.contains("the input device is not a TTY"), "{refused}");
        assert_eq!(exec(&world, &["-t", "c", "sh", "-c", "test -t 1 && echo yes"]).exits(0).stdout, "yes\r\n");
        done(world);
    }
}

#[test]
fn detach_keys_leave_it_running() {
    let world = sleeping(World::new, &[]);
    for (flags, keys) in [(&["-it"][..], "\x10\x11"), (&["-it", "--detach-keys", "ctrl-x,y"], "\x18y")] {
        let script = "echo ready; while sleep 0.02; do seq 5000; done";
        let mut desk = Desk::new(&world, &[&["exec"], flags, &["c", "sh", "-c", script]].concat());
        desk.shows("ready");
        desk.type_in(keys);
        ends(&mut desk.child, 0);
    }
    // They go on, although nobody reads their terminals.
    assert_eq!(sh(&world, &[], "ps ax -o ppid,args | grep -c '^ *0 sh -c echo read[y]'").stdout, "2\n");
    done(world);
}

/// docker's: what asks us to end is for us, and not for the command.
#[test]
fn signals_end_the_caller_and_not_the_command() {
    for make in worlds() {
        let world = sleeping(make, &[]);
        for (n, signal) in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL].into_iter().enumerate() {
            let seconds = format!("80{n}");
            let mut child = spawn(&world, &["c", "sleep", &seconds]);
            // (Until its execve, the process that joins has the words of its caller.)
            let runs = || sh(&world, &[], "ps ax -o args").stdout.lines().any(|l| l == format!("sleep {seconds}"));
            until("the command", runs);
            kill(Pid::from_raw(child.id() as i32), signal).expect("kill");
            let status = wait(&mut child, Duration::from_secs(20)).expect("it ends");
            if signal != Signal::SIGKILL {
                assert_eq!(status.code(), Some(128 + signal as i32));
            }
            assert!(runs());
        }
        done(world);
    }
}

#[test]
fn it_ends_with_the_container() {
    for make in worlds() {
        let world = sleeping(make, &[]);
        let mut running: Vec<Child> =
            (0..3).map(|_| spawn(&world, &["c", "sh", "-c", "trap '' TERM; sleep 900"])).collect();
        until("the commands", || sh(&world, &[], "ps ax -o args | grep -c '^sleep 900'").stdout == "3\n");
        sh(&world, &["-d"], "sleep 901").exits(0);
        // One of them is stopped, one was killed: neither keeps the container from ending.
        kill(Pid::from_raw(running[0].id() as i32), Signal::SIGSTOP).expect("kill");
        kill(Pid::from_raw(running[1].id() as i32), Signal::SIGKILL).expect("kill");
        world.run(["stop", "-t", "0", "c"]).exits(0);
        kill(Pid::from_raw(running[0].id() as i32), Signal::SIGCONT).expect("kill");
        ends(&mut running[0], 137);
        wait(&mut running[1], Duration::from_secs(10)).expect("it was killed");
        ends(&mut running[2], 137);
        assert!(exec(&world, &["c", "true"]).exits(125).stderr.contains("is not running"));
        done(world);
    }
}

#[test]
fn a_race_with_the_end_has_a_clear_outcome() {
    for make in worlds() {
        let world = Cell::new(make);
        let (mut ran, mut refused) = (0, 0);
        for round in 0..common::by_length(5, 20, 60) {
            let life = format!("0.{:02}", 1 + round % 9);
            world.run(["full-run", "-d", "--name", "c", "--network", "none", "host", "sleep", &life]).exits(0);
            loop {
                let outcome = exec(&world, &["c", "true"]);
                match outcome.code() {
                    0 | 137 => ran += 1,
                    125 => {
                        assert!(outcome.stderr.contains("container c is not running"), "{outcome}");
                        refused += 1;
                        break;
                    }
                    _ => panic!("{outcome}"),
                }
            }
            world.run(["rm", "-f", "c"]).exits(0);
        }
        eprintln!("{ran} ran, {refused} came too late");
        world.assert_unchanged(&world.before);
    }
}

#[test]
fn twenty_at_once() {
    for make in worlds() {
        let world = sleeping(make, &[]);
        let mut all: Vec<(usize, Child)> =
            (0..20).map(|n| (n, spawn(&world, &["c", "sh", "-c", &format!("echo {n}; exit {n}")]))).collect();
        for (n, child) in &mut all {
            ends(child, *n as i32);
            let mut said = String::new();
            child.stdout.take().expect("stdout").read_to_string(&mut said).expect("read");
            assert_eq!(said, format!("{n}\n"));
        }
        assert_eq!(sh(&world, &[], "ps ax -o stat | grep -c Z").stdout, "0\n");
        done(world);
    }
}

/// CVE-2024-21626: neither a descriptor of ours nor a directory outside.
#[test]
fn no_descriptor_is_left_open_and_no_magic_link_leads_out() {
    for make in worlds() {
        let world = sleeping(make, &[]);
        for flags in [&[][..], &["-i"], &["-t"], &["--privileged"]] {
            let seen =
                sh(&world, flags, "for n in $(seq 0 200); do test -e /proc/$$/fd/$n && echo $n; done; true").exits(0);
            let numbers: Vec<u32> = seen.stdout.lines().filter_map(|l| l.trim().parse().ok()).collect();
            assert_eq!(numbers, [0, 1, 2], "{seen}");
        }
        for trap in ["/proc/self/fd/3", "/proc/self/fd/7/..", "/proc/1/cwd", "/proc/1/root"] {
            let refused = exec(&world, &["-w", trap, "c", "pwd"]);
            assert!([126, 127].contains(&refused.code()), "{refused}");
        }
        done(world);
    }
}

/// CVE-2019-5736 and CVE-2016-9962. A container that looks, again and again, at every process in it: while each step of
/// the one that joins is drawn out, it must see neither its program nor its descriptors nor its directories. One with
/// CAP_SYS_PTRACE can, but then that program is no file of the host's.
#[test]
fn the_process_that_joins_is_out_of_reach() {
    if !common::installed("strace") {
        skip!("there is no strace");
    }
    // Only what is still called so afterwards: in between, it may have become the command, which hides nothing.
    let look = "while :; do for p in /proc/[0-9]*; do n=$(cat $p/comm 2>/dev/null); case $n in boxwright*|memfd*|[0-9]*) \
                s=\"$(readlink $p/exe) $(readlink $p/cwd) $(readlink $p/root) $(readlink $p/fd/* 2>/dev/null | wc -l)\"; \
                test \"$n\" != \"$(cat $p/comm 2>/dev/null)\" || echo seen $n $s ;; esac; done; done";
    for flags in [&[][..], &["--cap-add", "SYS_PTRACE"]] {
        let world = Cell::new(World::new);
        if let Some(reason) = world.strace_cannot_follow() {
            skip!("{reason}");
        }
        let args =
            [&["full-run", "-d", "--name", "c", "--network", "none"], flags, &["host", "sh", "-c", look]].concat();
        world.run(args).exits(0);
        let mut strace = world.any("strace");
        strace.args(["-f", "-qqq", "-o", "/dev/null", "-e", "inject=setns,prctl,seccomp:delay_enter=20000"]);
        strace.arg(world.program()).args(["exec", "c", "true"]);
        world.finish(strace).exits(0);
        let log = world.run(["logs", "c"]).exits(0).stdout;
        let seen: Vec<&str> = log.lines().filter(|l| l.starts_with("seen")).collect();
        assert!(!seen.is_empty(), "it was never there to be seen");
        let program = world.dir.path().display().to_string();
        assert!(!log.contains(&program), "{log}");
        if flags.is_empty() || !world.is_root() {
            assert!(seen.iter().all(|l| l.ends_with(" 0") && l.split(' ').count() == 3), "{log}");
        } else {
            assert!(seen.iter().any(|l| l.contains("/memfd:boxwright")), "{log}");
            assert!(seen.iter().all(|l| l.split(' ').nth(4).is_none_or(|root| root == "/" || root == "0")), "{log}");
        }
        world.run(["rm", "-f", "c"]).exits(0);
        world.assert_unchanged(&world.before);
    }
}

/// A command that leads to our own program is refused, as in full-run.
#[test]
fn a_command_behind_a_magic_link_is_refused() {
    let world = sleeping(World::new, &[]);
    sh(&world, &[], "printf '#!/proc/self/exe\\n' > /tmp/trap; chmod +x /tmp/trap").exits(0);
    let refused = exec(&world, &["c", "/tmp/trap"]).exits(126);
    assert!(refused.stderr.contains("CVE-2019-5736"), "{refused}");
    exec(&world, &["c", "/proc/self/exe"]).exits(126);
    done(world);
}

#[test]
fn it_finds_its_way_in_with_other_namespaces() {
    // The host's network; with root's ids moved away; under an init.
    let world = sleeping(World::new, &["--init"]);
    assert_eq!(sh(&world, &[], "cat /proc/1/comm").exits(0).stdout, "boxwright-init\n");
    done(world);
    for make in worlds() {
        let world = Cell::new(make);
        world.run(["full-run", "-d", "--name", "c", "--network", "host", "host", "sleep", "1000"]).exits(0);
        sh(&world, &[], "true").exits(0);
        done(world);
    }
    let world = Cell::new(World::new);
    if !world.is_root() {
        skip!("only root can give a container a range of ids of its own");
    }
    let started =
        world.run(["full-run", "-d", "--name", "c", "--userns", "auto", "--network", "none", "host", "sleep", "1000"]);
    if started.code() != 0 {
        skip!("no range of ids here: {started}");
    }
    let said =
        sh(&world, &["-u", "1"], "id -u; touch /tmp/mine; stat -c %u /tmp/mine; awk '{ print $2 }' /proc/self/uid_map")
            .exits(0);
    let ids: Vec<&str> = said.stdout.lines().collect();
    assert!(ids[..2] == ["1", "1"] && ids[2] != "0", "{said}");
    done(world);
}

#[test]
fn the_trace_shows_every_step() {
    for make in worlds() {
        let world = sleeping(make, &[]);
        let trace = exec(&world, &["--trace", "c", "true"]).exits(0).stderr;
        for call in [
            "unshare-pid",
            "CLONE_NEWPID) = 0",
            "PR_SET_DUMPABLE",
            "clone3(",
            "CLONE_NEWNS) = 0",
            "seccomp(",
            "execve(",
        ] {
            assert!(trace.contains(call), "{call}:\n{trace}");
        }
        let at = |call: &str| trace.find(call).expect("it is there");
        assert!(at("PR_SET_DUMPABLE") < at("clone3(") && at("CLONE_NEWNS) = 0") < at("clone3("), "{trace}");
        done(world);
    }
}
