//! A container's life, from `create` to `rm`: what each command does, prints and returns, as docker's do; and what it
//! says when it is asked for what cannot be.

mod common;

use common::life::{Life, both};
use std::io::Write;
use std::process::Stdio;

#[test]
fn from_create_to_rm() {
    for make in both() {
        let life = make();
        let id = life.run([
            "create",
            "--name",
            "web",
            "--network",
            "none",
            "host",
            "sh",
            "-c",
            "echo x >> /x; cat /x; exec sleep 100",
        ]);
        let id = id.exits(0).stdout.trim().to_string();
        assert!(id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_eq!((life.state("web").as_str(), life.names(&[])), ("created", vec![]));
        assert_eq!(life.run(["start", "web"]).exits(0).stdout, "web\n");
        assert_eq!((life.state("web").as_str(), life.names(&[])), ("running", vec!["web".to_string()]));
        let pid = life.number("web", "{{.State.Pid}}");
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("its process");
        assert!(["sh\n", "sleep\n"].contains(&name.as_str()), "{name}");
        // What runs is started already.
        life.run(["start", "web"]).exits(0);
        assert_eq!(life.number("web", "{{.State.Pid}}"), pid);
        life.run(["stop", "-t", "0", "web"]).exits(0);
        assert_eq!(life.field("web", "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}"), "exited 137 0");
        // What it has written is still there.
        life.run(["start", &id[..12]]).exits(0);
        life.until("it has written twice", || life.run(["logs", "web"]).stdout == "x\nx\nx\n");
        assert_eq!(life.run(["kill", "web"]).exits(0).stdout, "web\n");
        assert_eq!(life.field("web", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
        assert_eq!(life.run(["rm", "web"]).exits(0).stdout, "web\n");
        assert!(life.names(&["-a"]).is_empty());
        life.end();
    }
}

#[test]
fn in_the_foreground_it_is_kept_as_well() {
    for make in both() {
        let life = make();
        let run = |flags: &[&str], script: &str| {
            let args = [&["full-run", "--network", "none"], flags, &["host", "sh", "-c", script]].concat();
            life.run(args)
        };
        let both = run(&["--name", "a"], "echo out; echo err >&2; exit 7").exits(7);
        assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(life.field("a", "{{.State.Status}} {{.State.ExitCode}}"), "exited 7");
        // docker's: the first end ends the command, whatever the policy does then.
        run(&["--name", "b", "--restart", "on-failure:1"], "exit 3").exits(3);
        life.until_state("b", "exited");
        // A name makes it one that others can see, also with --rm.
        run(&["--rm", "--name", "c"], "exit 4").exits(4);
        assert!(!life.names(&["-a"]).contains(&"c".to_string()));
        // Started again, attached.
        let again = life.run(["start", "-a", "a"]).exits(7);
        assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("out\n", "err\n"));
        life.end();
    }
}

#[test]
fn what_is_typed_goes_in() {
    for make in both() {
        let life = make();
        let file = life.dir.path().join("home/typed");
        std::fs::write(&file, "one\ntwo").expect("a file");
        let mut cat = life.command(["full-run", "-i", "--name", "cat", "--network", "none", "host", "cat"]);
        cat.stdin(std::fs::File::open(&file).expect("a file"));
        assert_eq!(life.finish(cat).exits(0).stdout, "one\ntwo");
        let mut cat = life.command(["start", "-a", "-i", "cat"]);
        cat.stdin(std::fs::File::open(&file).expect("a file"));
        assert_eq!(life.finish(cat).exits(0).stdout, "one\ntwo");
        life.end();
    }
}

/// A start that fails says why, at once and later.
#[test]
fn what_cannot_be_executed() {
    for make in both() {
        let life = make();
        for (name, program, code) in [("missing", "/no/such/program", 127), ("directory", "/etc", 126)] {
            let args = ["full-run", "-d", "--name", name, "--network", "none", "host", program];
            life.refused(&args, code, &[program]);
            assert_eq!(life.field(name, "{{.State.ExitCode}}"), code.to_string());
            assert!(life.field(name, "{{.State.Error}}").contains(program));
            life.refused(&["start", name], 1, &[program]);
            assert_eq!(life.number(name, "{{.State.Pid}}"), 0);
        }
        // One that nobody wants to keep is not kept.
        life.run(["full-run", "-d", "--rm", "--network", "none", "host", "/no/such/program"]).exits(127);
        assert_eq!(life.names(&["-a"]), ["directory", "missing"]);
        life.end();
    }
}

#[test]
fn stop_asks_and_then_kills() {
    for make in both() {
        let life = make();
        let code = |name| life.field(name, "{{.State.Status}} {{.State.ExitCode}}");
        life.sleeper("polite", &[]);
        life.run(["stop", "polite"]).exits(0);
        assert_eq!(code("polite"), "exited 143");
        // What has ended is stopped.
        assert_eq!(life.run(["stop", "polite"]).exits(0).stdout, "polite\n");
        // Without a handler a process 1 hears no signal but SIGKILL.
        let deaf =
            ["full-run", "-d", "--network", "none", "--name", "deaf", "--stop-timeout", "0", "host", "sleep", "100"];
        life.run(deaf).exits(0);
        life.run(["stop", "deaf"]).exits(0);
        assert_eq!(code("deaf"), "exited 137");
        let script = "trap 'exit 11' INT; trap 'exit 12' USR1; while :; do sleep 100 & wait $!; done";
        life.up("int", &["--stop-signal", "SIGINT"], script);
        life.run(["stop", "int"]).exits(0);
        assert_eq!(code("int"), "exited 11");
        life.run(["start", "int"]).exits(0);
        life.run(["stop", "-s", "usr1", "-t", "-1", "int"]).exits(0);
        assert_eq!(code("int"), "exited 12");
        // With an init, the command is no process 1, and dies of it.
        life.run(["full-run", "-d", "--network", "none", "--name", "init", "--init", "host", "sleep", "100"]).exits(0);
        life.run(["stop", "init"]).exits(0);
        assert_eq!(code("init"), "exited 143");
        life.refused(&["stop", "nobody"], 1, &["No such container: nobody"]);
        life.refused(&["stop", "-t", "soon", "int"], 125, &["--time soon"]);
        life.refused(&["stop", "-s", "NONSENSE", "int"], 125, &["NONSENSE", "kill -l"]);
        let args = ["create", "--stop-signal", "99", "host", "true"];
        life.refused(&args, 125, &["99"]);
        life.end();
    }
}

#[test]
fn kill_sends_any_signal() {
    for make in both() {
        let life = make();
        let script = "trap 'echo heard' USR1; while :; do sleep 100 & wait $!; done";
        life.up("a", &[], script);
        life.run(["kill", "-s", "SIGUSR1", "a"]).exits(0);
        life.until("it has heard the signal", || life.run(["logs", "a"]).stdout == "heard\n");
        assert_eq!(life.state("a"), "running");
        life.refused(&["kill", "-s", "NONSENSE", "a"], 125, &["NONSENSE"]);
        life.run(["kill", "--signal", "9", "a"]).exits(0);
        assert_eq!(life.field("a", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
        life.refused(&["kill", "a"], 1, &["does not run", "boxwright start a"]);
        life.refused(&["kill", "nobody"], 1, &["No such container"]);
        life.end();
    }
}

/// Frozen processes are stopped, killed and removed all the same.
#[test]
fn paused() {
    for make in both() {
        let life = make();
        life.sleeper("a", &[]);
        if let Some(why) = life.no_cgroups() {
            let run = life.run(["pause", "a"]).exits(1);
            assert!(run.stderr.contains("cgroup"), "{run}");
            assert_eq!(life.state("a"), "running");
            common::record_skip(module_path!(), &why);
            life.end();
            continue;
        }
        let pause = || assert_eq!(life.run(["pause", "a"]).exits(0).stdout, "a\n");
        pause();
        assert_eq!(life.state("a"), "paused");
        assert!(life.run(["ps"]).stdout.contains("(Paused)"));
        assert_eq!(life.names(&["-f", "status=paused"]), ["a"]);
        life.refused(&["pause", "a"], 1, &["paused already"]);
        life.refused(&["attach", "a"], 125, &["paused", "boxwright unpause a"]);
        life.refused(&["rm", "a"], 1, &["is paused"]);
        life.run(["unpause", "a"]).exits(0);
        assert_eq!(life.state("a"), "running");
        life.refused(&["unpause", "a"], 1, &["not paused"]);
        pause();
        life.run(["stop", "a"]).exits(0);
        assert_eq!(life.field("a", "{{.State.Status}} {{.State.ExitCode}}"), "exited 143");
        life.refused(&["pause", "a"], 1, &["does not run"]);
        life.run(["start", "a"]).exits(0);
        pause();
        life.run(["kill", "a"]).exits(0);
        assert_eq!(life.state("a"), "exited");
        life.run(["start", "a"]).exits(0);
        pause();
        life.run(["rm", "-f", "a"]).exits(0);
        life.end();
    }
}

#[test]
fn wait_tells_exit_codes() {
    for make in both() {
        let life = make();
        life.up("a", &["-i"], "read x; exit 5");
        life.up("b", &[], "exit 6");
        let wait = life.command(["wait", "a", "b"]).stdout(std::process::Stdio::piped()).spawn().expect("it starts");
        let mut attach = life.command(["attach", "a"]);
        let file = life.dir.path().join("home/line");
        std::fs::write(&file, "go\n").expect("a file");
        attach.stdin(std::fs::File::open(file).expect("a file"));
        life.finish(attach).exits(5);
        let said = wait.wait_with_output().expect("its end");
        assert_eq!(String::from_utf8_lossy(&said.stdout), "5\n6\n");
        // Of one that has ended, at once; and of one that removes itself while somebody waits.
        assert_eq!(life.run(["wait", "b"]).exits(0).stdout, "6\n");
        life.up("c", &["--rm", "-i"], "read x; exit 8");
        let wait = life.command(["wait", "c"]).stdout(std::process::Stdio::piped()).spawn().expect("it starts");
        std::thread::sleep(std::time::Duration::from_millis(200));
        life.run(["kill", "c"]).exits(0);
        assert_eq!(String::from_utf8_lossy(&wait.wait_with_output().expect("its end").stdout), "137\n");
        life.refused(&["wait", "nobody"], 1, &["No such container"]);
        life.end();
    }
}

#[test]
fn rm_removes_what_does_not_run() {
    for make in both() {
        let life = make();
        for name in ["a", "b"] {
            life.run(["create", "--name", name, "host", "true"]).exits(0);
        }
        life.sleeper("c", &[]);
        life.refused(&["rm", "c"], 1, &["is running", "boxwright stop c", "boxwright rm -f c"]);
        // The others, although one of them cannot be removed.
        let some = life.refused(&["rm", "a", "c", "nobody", "b"], 1, &["No such container: nobody"]);
        assert_eq!(some.stdout, "a\nb\n");
        let pid = life.number("c", "{{.State.Pid}}");
        life.run(["rm", "-f", "-v", "c"]).exits(0);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert!(life.names(&["-a"]).is_empty());
        life.run(["rm"]).exits(125);
        life.end();
    }
}

#[test]
fn names_are_checked_and_unique() {
    for make in both() {
        let life = make();
        for bad in ["", "-x", ".x", "a/b", "a b", "../x", "ä"] {
            let name = format!("--name={bad}");
            life.refused(&["create", &name, "host", "true"], 125, &["cannot be a name"]);
        }
        // (None of these could be the beginning of an id.)
        life.sleeper("one", &["--rm"]);
        life.refused(&["create", "--name", "one", "host", "true"], 125, &["\"one\" is taken", "boxwright rm"]);
        life.refused(&["full-run", "--name", "one", "host", "true"], 125, &["is taken"]);
        life.run(["create", "--name", "two", "host", "true"]).exits(0);
        life.refused(&["rename", "two", "one"], 125, &["\"one\" is taken"]);
        life.refused(&["rename", "two", "x/y"], 125, &["cannot be a name"]);
        life.refused(&["rename", "nobody", "three"], 125, &["No such container: nobody"]);
        life.refused(&["rename", "two"], 125, &["NAME"]);
        // Also while it runs; then the old name is free.
        life.run(["rename", "one", "three"]).exits(0);
        life.refused(&["inspect", "one"], 1, &["No such object: one"]);
        life.run(["rename", "two", "one"]).exits(0);
        assert_eq!(life.names(&["-a"]), ["one", "three"]);
        life.run(["stop", "three"]).exits(0);
        assert_eq!(life.names(&["-a"]), ["one"]);
        life.run(["create", "--name", "three", "host", "true"]).exits(0);
        // One without a name gets one that is none of theirs.
        life.run(["create", "host", "true"]).exits(0);
        let names = life.names(&["-a"]);
        assert!(names.len() == 3 && names[0].split('_').count() == 3, "{names:?}");
        life.end();
    }
}

#[test]
fn the_beginning_of_an_id_is_enough_if_it_is_unique() {
    for make in both() {
        let life = make();
        // Of seventeen, two begin alike.
        let made = (0..17).map(|_| life.run(["create", "host", "true"]).exits(0).stdout.trim().to_string());
        let all: Vec<String> = made.collect();
        let alike = |digits: &str| all.iter().filter(|id| id.starts_with(digits)).count();
        let twice = all.iter().map(|id| &id[..1]).find(|digit| alike(digit) > 1).expect("seventeen");
        life.refused(&["inspect", twice], 1, &["is the beginning of", "ids"]);
        life.refused(&["rm", twice], 1, &["is the beginning of"]);
        for id in &all {
            let unique = (1..=64).map(|n| &id[..n]).find(|digits| alike(digits) == 1).expect("its id");
            assert_eq!(life.field(unique, "{{.Id}}"), *id);
        }
        // A name goes before digits.
        life.run(["rename", &all[0], twice]).exits(0);
        assert_eq!(life.field(twice, "{{.Id}}"), all[0]);
        life.refused(&["inspect", "zz"], 1, &["No such object: zz"]);
        life.end();
    }
}

#[test]
fn restart_stops_and_starts() {
    for make in both() {
        let life = make();
        life.sleeper("a", &[]);
        life.sleeper("gone", &["--rm"]);
        let pids = || ["a", "gone"].map(|name| life.number(name, "{{.State.Pid}}"));
        let before = pids();
        // Also one of --rm: it is not removed in between.
        assert_eq!(life.run(["restart", "-t", "5", "a", "gone"]).exits(0).stdout, "a\ngone\n");
        let after = pids();
        assert!(before[0] != after[0] && before[1] != after[1] && !after.contains(&0), "{before:?} {after:?}");
        life.run(["stop", "a", "gone"]).exits(0);
        assert_eq!(life.names(&["-a"]), ["a"]);
        life.run(["restart", "a"]).exits(0);
        assert_eq!(life.state("a"), "running");
        life.refused(&["restart", "nobody"], 1, &["No such container"]);
        life.refused(&["restart", "-t", "x", "a"], 125, &["--time x"]);
        life.end();
    }
}

#[test]
fn policies_start_it_again() {
    for make in both() {
        let life = make();
        life.up("twice", &["--restart", "on-failure:2"], "echo up; exit 3");
        let ended = "exited 3 2";
        let all = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}";
        life.until("it has been started three times", || life.field("twice", all) == ended);
        assert_eq!(life.run(["logs", "twice"]).stdout, "up\nup\nup\n");
        // By hand, it counts anew.
        life.run(["start", "twice"]).exits(0);
        life.until("and three times more", || life.run(["logs", "twice"]).stdout.lines().count() == 6);
        life.until("it has ended", || life.field("twice", all) == ended);
        life.up("fine", &["--restart", "on-failure"], "exit 0");
        life.until_state("fine", "exited");
        assert_eq!(life.number("fine", "{{.RestartCount}}"), 0);
        for policy in ["always", "unless-stopped"] {
            life.up(policy, &["--restart", policy], "echo up; exit 0");
            life.until("it comes back", || life.number(policy, "{{.RestartCount}}") > 2);
            life.until("it waits", || life.state(policy) == "restarting");
            life.until("it waits longer and longer", || life.run(["ps"]).stdout.contains("Restarting (0)"));
            // What is being started again is started.
            life.run(["start", policy]).exits(0);
            // In the middle of its waiting, too.
            life.run(["stop", policy]).exits(0);
            assert_eq!(life.state(policy), "exited");
            let ups = life.run(["logs", policy]).stdout;
            std::thread::sleep(std::time::Duration::from_millis(300));
            assert_eq!((life.state(policy).as_str(), life.run(["logs", policy]).stdout), ("exited", ups));
        }
        life.up("killed", &["--restart", "always"], "sleep 100");
        life.run(["kill", "killed"]).exits(0);
        assert_eq!(life.state("killed"), "exited");
        life.refused(&["create", "--rm", "--restart", "always", "host", "true"], 125, &["exclude each other"]);
        for bad in ["sometimes", "on-failure:x", "always:3", "on-failure:-1"] {
            life.refused(&["create", "--restart", bad, "host", "true"], 125, &[bad, "unless-stopped"]);
        }
        life.end();
    }
}

/// A policy can change while it runs, and the monitor heeds it.
#[test]
fn a_policy_can_be_changed() {
    for make in both() {
        let life = make();
        life.up("a", &["-i"], "read x; exit 1");
        life.run(["update", "--restart", "on-failure:1", "a"]).exits(0);
        assert_eq!(life.field("a", "{{.HostConfig.RestartPolicy.Name}}"), "on-failure");
        let mut attach = life.command(["attach", "a"]);
        let file = life.dir.path().join("home/line");
        std::fs::write(&file, "go\n").expect("a file");
        attach.stdin(std::fs::File::open(file).expect("a file"));
        life.finish(attach).exits(1);
        life.until("it was started again", || life.number("a", "{{.RestartCount}}") == 1);
        life.refused(&["update", "--restart", "sometimes", "a"], 125, &["sometimes"]);
        life.end();
    }
}

#[test]
fn prune_removes_what_does_not_run() {
    for make in both() {
        let life = make();
        life.sleeper("up", &[]);
        life.run(["create", "--name", "new", "host", "true"]).exits(0);
        life.run(["full-run", "--name", "old", "--network", "none", "host", "sh", "-c", "echo 123456789 > /x"])
            .exits(0);
        // Nobody answers, which is a no.
        let asked = life.run(["container", "prune"]).exits(0).stdout;
        assert!(asked.contains("[y/N]") && !asked.contains("reclaimed"), "{asked}");
        let pruned = life.run(["container", "prune", "-f"]).exits(0);
        let lines: Vec<&str> = pruned.stdout.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[3]), (5, "Deleted Containers:", ""), "{pruned}");
        assert!(lines[1..3].iter().all(|id| id.len() == 64), "{pruned}");
        assert!(pruned.stdout.contains("Total reclaimed space: 10B"), "{pruned}");
        assert_eq!(life.names(&["-a"]), ["up"]);
        life.run(["container"]).exits(125);
        life.end();
    }
}

#[test]
fn top_shows_its_processes() {
    for make in both() {
        let life = make();
        life.up("a", &[], "sleep 3011 & sleep 3012 & wait");
        life.until("both sleep", || life.run(["top", "a"]).exits(0).stdout.lines().count() == 4);
        let top = life.run(["top", "a"]).exits(0).stdout;
        let words = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        let head = top.lines().next().map(words).unwrap_or_default();
        assert_eq!(head, ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
        assert_eq!(top.lines().count(), 4, "{top}");
        for options in [&["-o", "pid,args"][..], &["aux"], &["-ef"]] {
            let chosen = life.run([&["top", "a"], options].concat()).exits(0).stdout;
            assert!(chosen.lines().count() == 4 && chosen.contains("sleep 3012"), "{chosen}");
        }
        life.refused(&["top", "a", "-o", "args"], 125, &["PID"]);
        life.run(["top", "a", "--no-such-option"]).exits(125);
        life.run(["stop", "-t", "0", "a"]).exits(0);
        life.refused(&["top", "a"], 125, &["does not run"]);
        life.refused(&["top", "nobody"], 125, &["No such container"]);
        life.end();
    }
}

/// What it was told depends on where it was told; it must mean the same whenever it is started.
#[test]
fn a_command_line_is_understood_once() {
    for make in both() {
        let life = make();
        let home = life.dir.path().join("home");
        std::fs::write(home.join("file"), "here\n").expect("a file");
        let mut create =
            life.command(["create", "--name", "a", "-v", "./file:/file:ro", "-e", "PASSED", "--network", "none"]);
        create.args(["--cidfile", "id", "host", "sh", "-c", "cat /file; echo $PASSED"]);
        life.finish({
            create.current_dir(&home).env("PASSED", "on");
            create
        })
        .exits(0);
        assert_eq!(std::fs::read_to_string(home.join("id")).expect("the cidfile"), life.field("a", "{{.Id}}"));
        assert_eq!(life.run(["start", "-a", "a"]).exits(0).stdout, "here\non\n");
        let mut again = life.command(["create", "--cidfile", "id", "host", "true"]);
        again.current_dir(&home);
        let again = life.finish(again).exits(125);
        assert!(again.stderr.contains("EEXIST"), "{again}");
        assert_eq!(life.names(&["-a"]), ["a"]);
        let _ = std::fs::remove_file(home.join("id"));
        life.end();
    }
}

/// What a kept container cannot do.
#[test]
fn what_excludes_each_other() {
    let life = Life::of(common::World::new());
    for only in [&["--report"][..], &["--trace"], &["--without", "unshare-ipc"]] {
        let args = [&["full-run", "-d"], only, &["host", "true"]].concat();
        life.refused(&args, 125, &[only[0], "--rm"]);
    }
    life.refused(&["full-run", "-it", "host", "true"], 125, &["not a TTY"]);
    life.refused(&["create", "--label", "=x", "host", "true"], 125, &["--label =x"]);
    for bad in ["max-size=x", "max-size=0", "max-file=0", "nonsense", "a=b"] {
        life.refused(&["create", "--log-opt", bad, "host", "true"], 125, &[bad]);
    }
    life.refused(&["create", "--stop-timeout", "x", "host", "true"], 125, &["--stop-timeout x"]);
    life.refused(&["start", "-a", "a", "b"], 125, &["only one container"]);
    life.refused(&["full-run", "-dt", "--detach-keys", "ctrl-", "host", "true"], 125, &["ctrl-"]);
    assert!(life.names(&["-a"]).is_empty());
    life.end();
}

/// What docker's users type, and expect.
#[test]
fn dockers_habits() {
    for make in both() {
        let life = make();
        // A switch with its value, a flag twice, one that we have not.
        life.run([
            "create",
            "--rm=false",
            "--tty=true",
            "--name",
            "a",
            "--name",
            "b",
            "--init",
            "--init",
            "host",
            "true",
        ])
        .exits(0);
        assert_eq!(life.names(&["--all=true"]), ["b"]);
        assert_eq!(life.field("b", "{{.Config.Tty}} {{.HostConfig.AutoRemove}}"), "true false");
        life.refused(&["create", "--rm=perhaps", "host", "true"], 125, &["--rm", "perhaps"]);
        life.refused(&["full-run", "--dns", "::1", "host", "true"], 125, &["docker run has --dns", "not yet"]);
        // What is not there is gone, as was asked; the others are removed all the same.
        let gone = life.run(["rm", "-f", "nobody", "b"]).exits(0);
        assert!(gone.stdout == "b\n" && gone.stderr.contains("No such container: nobody"), "{gone}");
        life.refused(&["rm", "nobody"], 1, &["No such container: nobody"]);
        // All are stopped at once, and named in the order in which they were.
        for name in ["one", "two", "three"] {
            life.sleeper(name, &["--stop-timeout", "1"]);
        }
        life.refused(&["stop", "three", "nobody", "one", "two"], 1, &["No such container: nobody"]);
        assert!(life.names(&[]).is_empty());
        assert_eq!(life.run(["rm", "three", "one", "two"]).exits(0).stdout, "three\none\ntwo\n");
        if life.no_cgroups().is_none() {
            life.sleeper("frozen", &[]);
            life.run(["pause", "frozen"]).exits(0);
            life.refused(&["start", "frozen"], 1, &["is paused"]);
            assert_eq!(life.run(["rm", "-f", "frozen"]).exits(0).stdout, "frozen\n");
        }
        // One that waits to be started again has nobody to be killed, and does not come back.
        life.up("again", &["--restart", "always"], "exit 1");
        life.until("it waits for long", || {
            life.number("again", "{{.RestartCount}}") > 3 && life.state("again") == "restarting"
        });
        life.run(["kill", "again"]).exits(0);
        assert_eq!(life.state("again"), "exited");
        life.run(["rm", "again"]).exits(0);
        life.end();
    }
}

/// A name may be another one's id; what belongs to that one stays with it.
#[test]
fn one_that_is_named_like_another_ones_id() {
    for make in both() {
        let life = make();
        let create = ["create", "--name", "x", "--network", "none", "host", "sh", "-c", "echo hi; sleep 1000"];
        let id = life.run(create).exits(0).stdout;
        life.run(["create", "--name", &id[..12], "--network", "none", "host", "true"]).exits(0);
        life.run(["start", "x"]).exits(0);
        life.until("it is heard", || life.run(["logs", "x"]).stdout == "hi\n");
        assert_eq!((life.state("x"), life.state(&id[..12])), ("running".into(), "created".into()));
        assert_eq!(life.field(id.trim(), "{{.Name}}"), "/x");
        life.run(["rm", "-f", "x"]).exits(0);
        life.run(["rm", &id[..12]]).exits(0);
        life.end();
    }
}

#[test]
fn two_restarts_of_one_that_removes_itself() {
    for make in both() {
        let life = make();
        life.sleeper("a", &["--rm"]);
        for _ in 0..10 {
            let mut other = life.spawn(["restart", "-t", "0", "a"]);
            life.run(["restart", "-t", "0", "a"]).exits(0);
            assert!(other.wait().expect("its end").success());
            assert_eq!(life.state("a"), "running");
        }
        life.run(["stop", "-t", "0", "a"]).exits(0);
        assert!(life.names(&["-a"]).is_empty());
        life.end();
    }
}

/// Who looks in and goes again has not ended what others type.
#[test]
fn input_ends_with_whom_it_began() {
    for make in both() {
        let life = make();
        life.up("a", &["-i"], "while read line; do echo got $line; done; exit 7");
        for word in ["one", "two"] {
            let mut attach =
                life.command(["attach", "a"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("attach");
            attach.stdin.take().expect("a pipe").write_all(format!("{word}\n").as_bytes()).expect("write");
            life.until("it has read", || life.run(["logs", "a"]).stdout.ends_with(&format!("got {word}\n")));
            attach.kill().expect("kill");
            attach.wait().expect("wait");
        }
        life.run(["kill", "a"]).exits(0);
        let mut start =
            life.command(["start", "-ai", "a"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("start");
        drop(start.stdin.take());
        assert_eq!(start.wait().expect("its end").code(), Some(7));
        life.run(["rm", "a"]).exits(0);
        life.end();
    }
}
