//! Volumes: made, filled on their first use, kept, refused to be removed while somebody has them, gone when asked.

mod common;

use common::{Output, World, inventory};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// As root, and as an ordinary user.
fn everybody(test: impl Fn(&World)) {
    common::in_worlds(module_path!(), test);
}

/// full-run --rm without a network, in the image `host`.
fn sh(world: &World, flags: &[&str], script: &str) -> Output {
    world.run([&["full-run", "--rm", "--network", "none"], flags, &["host", "sh", "-c", script]].concat())
}

fn names(world: &World) -> Vec<String> {
    world.run(["volume", "ls", "-q"]).exits(0).stdout.lines().map(str::to_string).collect()
}

/// A container of the image `host`, not started.
fn create(world: &World, name: &str, flags: &[&str]) {
    world.run([&["create", "--network", "none", "--name", name], flags, &["host", "sleep", "1000"]].concat()).exits(0);
}

/// A root filesystem with our own program in it, which needs nothing else.
fn rootfs(world: &World) -> PathBuf {
    let dir = world.dir.path().join("rootfs");
    std::fs::create_dir_all(dir.join("srv")).expect("mkdir");
    std::fs::copy(world.program(), dir.join("boxwright")).expect("a copy of the program");
    dir
}

fn give_to_its_user(world: &World, dir: &Path) {
    if common::is_root() && !world.is_root() {
        let user = common::USER.to_string();
        let status = std::process::Command::new("chown").args(["-R", &format!("{user}:{user}")]).arg(dir).status();
        assert!(status.expect("chown runs").success());
    }
}

#[test]
fn a_volume_has_a_life() {
    everybody(|world| {
        assert_eq!(world.run(["volume", "create", "--label", "for=test", "data"]).exits(0).stdout, "data\n");
        // docker's: what is there is there.
        assert_eq!(world.run(["volume", "create", "data"]).exits(0).stdout, "data\n");
        let table = world.run(["volume", "ls"]).exits(0).stdout;
        assert_eq!(table, "DRIVER  VOLUME NAME\nlocal   data\n");
        let document = world.run(["volume", "inspect", "data"]).exits(0).json();
        let mountpoint = document[0]["Mountpoint"].as_str().expect("a path").to_string();
        assert_eq!(document[0]["Labels"]["for"], "test");
        assert_eq!(document[0]["Driver"], "local");
        assert_eq!(Path::new(&mountpoint), world.root().join("lib/volumes/data/_data"));
        let line = world.run(["volume", "inspect", "--format", "{{.Name}} {{.Scope}}", "data"]).exits(0).stdout;
        assert_eq!(line, "data local\n");

        sh(world, &["-v", "data:/data"], "echo kept > /data/file").exits(0);
        assert_eq!(sh(world, &["-v", "data:/elsewhere"], "cat /elsewhere/file").exits(0).stdout, "kept\n");
        assert_eq!(std::fs::read_to_string(format!("{mountpoint}/file")).expect("on the host"), "kept\n");
        let refused = sh(world, &["-v", "data:/data:ro"], "echo no > /data/file");
        assert!(refused.code() != 0 && refused.stderr.contains("Read-only"), "{refused}");
        let by_mount = ["--mount", "type=volume,source=data,target=/m,readonly"];
        assert_eq!(sh(world, &by_mount, "cat /m/file; touch /m/x || echo not").exits(0).stdout, "kept\nnot\n");

        assert_eq!(world.run(["volume", "rm", "data"]).exits(0).stdout, "data\n");
        assert_eq!(names(world), [""; 0]);
        assert!(!world.root().join("lib/volumes/data").exists());
    });
}

#[test]
fn the_first_use_fills_it_and_no_other() {
    everybody(|world| {
        // What is in /etc/alternatives are links, and what is in /etc are files of several modes.
        let all = "cd /etc && find . -path ./hosts -prune -o -path ./hostname -prune -o -path ./resolv.conf -prune -o \
                   -printf '%p %y %m %U %G %l %s %T@\\n' | grep -v '^\\. ' | sort";
        let of_the_image = sh(world, &[], all).exits(0).stdout;
        assert!(of_the_image.lines().count() > 20, "{of_the_image}");
        let of_the_volume = sh(world, &["-v", "etc:/etc"], all).exits(0).stdout;
        assert_eq!(of_the_volume, of_the_image);
        let emptied = sh(world, &["-v", "etc:/v"], "rm -rf /v/* && ls -A /v | wc -l").exits(0).stdout;
        assert_eq!(emptied, "0\n");
        assert_eq!(sh(world, &["-v", "etc:/etc"], "ls /etc/passwd; true").stdout, "");
        // Nor one that is to stay empty, or that has something in it.
        assert_eq!(sh(world, &["-v", "bare:/etc/alternatives:nocopy"], "ls /etc/alternatives").exits(0).stdout, "");
        assert_eq!(sh(world, &["--mount", "source=bare,target=/v,volume-nocopy"], "touch /v/mine").exits(0).code(), 0);
        assert_eq!(sh(world, &["-v", "bare:/etc/alternatives"], "ls /etc/alternatives").exits(0).stdout, "mine\n");
        world.run(["volume", "rm", "etc", "bare"]).exits(0);
    });
}

#[test]
fn a_container_of_other_ids_sees_a_volume_as_its_own() {
    let world = World::new();
    if !world.is_root() {
        skip!("--userns auto gives ranges of root's");
    }
    let run = |flags: &[&str], script: &str| sh(&world, &[&["--userns", "auto"], flags].concat(), script);
    let first = run(&["-v", "v:/etc"], "stat -c '%u %g' /etc /etc/passwd; touch /etc/new");
    if first.stderr.contains("knows no id-mapped mounts") {
        skip!("{}", first.stderr.lines().next().unwrap_or_default());
    }
    assert_eq!(first.exits(0).stdout, "0 0\n0 0\n");
    // Another range, the same owner; and on the disk no range at all.
    assert_eq!(run(&["-v", "v:/v"], "stat -c '%u %g' /v/new; rm /v/new").exits(0).stdout, "0 0\n");
    sh(&world, &["-v", "v:/v"], "test $(stat -c %u /v/passwd) = 0 && chown 7:8 /v/passwd").exits(0);
    assert_eq!(run(&["-v", "v:/v"], "stat -c '%u %g' /v/passwd").exits(0).stdout, "7 8\n");
    world.run(["volume", "rm", "v"]).exits(0);
}

#[test]
fn a_volume_without_a_name_goes_with_its_container_if_asked() {
    everybody(|world| {
        let before = world.inventory();
        sh(world, &["-v", "/anonymous", "-v", "named:/n"], "touch /anonymous/x /n/x").exits(0);
        assert_eq!(names(world), ["named"], "--rm removes what has no name");

        create(world, "c", &["-v", "/anonymous", "--mount", "type=volume,target=/two", "-v", "named:/n"]);
        let three = names(world);
        assert_eq!(three.len(), 3, "{three:?}");
        assert!(three.iter().filter(|n| n.len() == 64).count() == 2, "{three:?}");
        world.run(["rm", "c"]).exits(0);
        assert_eq!(names(world), three, "a plain rm removes none");
        assert_eq!(world.run(["volume", "prune", "-f"]).exits(0).stdout.lines().next(), Some("Deleted Volumes:"));
        assert_eq!(names(world), ["named"], "prune removes what has no name");

        create(world, "c", &["-v", "/anonymous"]);
        let anonymous = names(world).into_iter().find(|n| n != "named").expect("a volume");
        create(world, "other", &["-v", &format!("{anonymous}:/mine")]);
        world.run(["rm", "-v", "c"]).exits(0);
        assert!(names(world).contains(&anonymous), "another container has it");
        world.run(["rm", "-v", "other"]).exits(0);
        assert!(names(world).contains(&anonymous), "for this one it has a name");
        let pruned = world.run(["volume", "prune", "-a", "-f"]).exits(0).stdout;
        assert!(pruned.contains("named") && pruned.contains("Total reclaimed space: "), "{pruned}");
        assert_eq!(names(world), [""; 0]);
        let all = [
            "lib/events",
            "lib/events/journal",
            "lib/volumes",
            "lib/volumes.lock",
            "lib/containers.lock",
            "lib/names",
            "lib/containers",
        ];
        let settled = world.inventory();
        let left = before.difference(&settled);
        let known = |line: &&str| {
            all.iter().any(|name| line.ends_with(name))
                || line.contains("lib/images")
                || line.contains("/root/run")
                || line.ends_with("/root/lib")
        };
        assert_eq!(left.lines().filter(|l| !known(l)).collect::<Vec<_>>(), [""; 0]);
    });
}

#[test]
fn nobody_takes_a_volume_from_a_container() {
    everybody(|world| {
        create(world, "c", &["-v", "data:/data"]);
        let refused = world.run(["volume", "rm", "data"]).exits(1);
        assert!(
            refused.stderr.contains("volume data is in use") && refused.stderr.contains("container c ("),
            "{refused}"
        );
        assert!(!world.run(["volume", "prune", "-a", "-f"]).exits(0).stdout.contains("data"));
        assert_eq!(world.run(["volume", "ls", "-q", "--filter", "dangling=true"]).exits(0).stdout, "");
        assert_eq!(world.run(["volume", "ls", "-q", "--filter", "dangling=false"]).exits(0).stdout, "data\n");
        assert_eq!(world.run(["volume", "ls", "--format", "{{.Name}} {{.Links}}"]).exits(0).stdout, "data 1\n");
        assert_eq!(world.run(["ps", "-aq", "--filter", "volume=data"]).exits(0).stdout.lines().count(), 1);
        assert_eq!(world.run(["ps", "-aq", "--filter", "volume=/data"]).exits(0).stdout.lines().count(), 1);
        assert_eq!(world.run(["ps", "-aq", "--filter", "volume=other"]).exits(0).stdout, "");
        assert_eq!(world.run(["ps", "-a", "--format", "{{.Mounts}}"]).exits(0).stdout, "data\n");
        let mounts = world.run(["inspect", "c", "--format", "{{json .Mounts}}"]).exits(0).json();
        assert_eq!((&mounts[0]["Type"], &mounts[0]["Name"]), (&"volume".into(), &"data".into()));
        assert_eq!((&mounts[0]["Destination"], &mounts[0]["RW"]), (&"/data".into(), &true.into()));

        // Also while it runs in the foreground of somebody who will not keep it.
        let mut running =
            world.spawn(["full-run", "--rm", "--network", "none", "-v", "busy:/b", "host", "sleep", "1000"]);
        until(|| names(world).contains(&"busy".to_string()));
        world.run(["volume", "rm", "busy"]).exits(1);
        running.kill().expect("kill");
        running.wait().expect("wait");
        world.run(["rm", "c"]).exits(0);
        world.run(["ps"]).exits(0);
        world.run(["volume", "rm", "data", "busy"]).exits(0);
    });
}

fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_directory_of_the_host_can_stand_for_one() {
    everybody(|world| {
        let dir = world.dir.path().join("mine");
        std::fs::create_dir_all(&dir).expect("mkdir");
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).expect("chmod");
        let device = format!("device={}", dir.display());
        world.run(["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "host"]).exits(0);
        sh(world, &["-v", "host:/h"], "echo here > /h/file").exits(0);
        assert_eq!(std::fs::read_to_string(dir.join("file")).expect("in it"), "here\n");
        let point = world.run(["volume", "inspect", "--format", "{{.Mountpoint}}", "host"]).exits(0).stdout;
        assert_eq!(Path::new(point.trim()), dir);
        let other = world.run(["volume", "create", "host"]).exits(125);
        assert!(other.stderr.contains("with other options"), "{other}");
        world.run(["volume", "rm", "host"]).exits(0);
        assert!(dir.join("file").exists(), "what is the host's stays");
    });
}

/// Killed at a moment when a half of it is there, whoever comes next fills it from the beginning.
#[test]
fn nobody_sees_it_half_filled() {
    everybody(|world| {
        let dir = rootfs(world);
        for n in 0..3000 {
            std::fs::write(dir.join(format!("srv/{n}")), vec![b'x'; 512]).expect("a file");
        }
        give_to_its_user(world, &dir);
        let rootfs = dir.display().to_string();
        let args =
            ["full-run", "--rm", "--network", "none", "--rootfs", &rootfs, "-v", "v:/srv", "/boxwright", "stages"];
        let home = world.root().join("lib/volumes/v");
        let mut caught = 0;
        for _ in 0..20 {
            let mut running = world.spawn(args);
            until(|| home.join("_fill/7").exists() || home.join("filled").exists());
            // Everybody at once: the set-up as well as the one who attends it.
            for pid in inventory::descendants() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            running.wait().expect("wait");
            let there = std::fs::read_dir(home.join("_data")).expect("the volume").count();
            assert!(there == 0 || there == 3000, "{there} files of 3000");
            caught += usize::from(there == 0);
            world.run(["ps"]).exits(0);
            world.assert_swept();
            if there != 0 {
                world.run(["volume", "rm", "v"]).exits(0);
            }
            if caught >= 3 {
                break;
            }
        }
        if caught == 0 {
            common::record_skip(module_path!(), "on this machine's only CPU the fill was never caught in the middle");
        }
        world.run(args).exits(0);
        assert_eq!(std::fs::read_dir(home.join("_data")).expect("the volume").count(), 3000);
        assert!(home.join("filled").exists() && !home.join("_fill").exists());
        world.run(["volume", "rm", "v"]).exits(0);
    });
}

#[test]
fn two_that_come_first_fill_it_once() {
    everybody(|world| {
        let flags = ["full-run", "--rm", "--network", "none", "-v", "v:/etc", "host", "sh", "-c", "ls /etc | wc -l"];
        let run = || {
            world
                .command(flags)
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null())
                .spawn()
                .expect("it starts")
        };
        let both: Vec<_> = (0..4).map(|_| run()).collect();
        let said: Vec<String> = both
            .into_iter()
            .map(|child| String::from_utf8(child.wait_with_output().expect("its output").stdout).expect("text"))
            .collect();
        assert!(said.iter().all(|text| *text == said[0]) && said[0] != "0\n" && !said[0].is_empty(), "{said:?}");
        world.run(["volume", "rm", "v"]).exits(0);
    });
}

#[test]
fn prune_asks_and_chooses() {
    everybody(|world| {
        for name in ["v10", "v3", "V1", "v3a", "10", "9"] {
            world.run(["volume", "create", "--label", &format!("is={name}"), name]).exits(0);
        }
        // As people count.
        let all = ["9", "10", "V1", "v3", "v3a", "v10"];
        assert_eq!(names(world), all);
        // Nobody answers: that is a no. And all of them have names.
        let asked = world.run(["volume", "prune", "-a"]).exits(0).stdout;
        assert!(asked.contains("[y/N]") && !asked.contains("Total"), "{asked}");
        assert_eq!(world.run(["volume", "prune", "-f"]).exits(0).stdout, "Total reclaimed space: 0B\n");
        let unnamed = world.run(["volume", "prune", "-f", "--filter", "all=false"]).exits(0).stdout;
        assert_eq!(unnamed, "Total reclaimed space: 0B\n");
        assert_eq!(names(world), all);
        let prune = |filters: &[&str]| {
            let flags = filters.iter().flat_map(|f| ["--filter", f]);
            world.run(["volume", "prune", "-f", "--filter", "all=true"].into_iter().chain(flags)).exits(0).stdout
        };
        assert_eq!(prune(&["label=is=9"]), "Deleted Volumes:\n9\n\nTotal reclaimed space: 0B\n");
        assert_eq!(prune(&["label!=is"]), "Total reclaimed space: 0B\n");
        prune(&["label!=is=v3", "label!=is=V1"]);
        assert_eq!(names(world), ["V1", "v3"]);
        prune(&[]);
        assert_eq!(names(world), [""; 0]);
    });
}

#[test]
fn bad_input_is_named() {
    everybody(|world| {
        for (args, code, part) in [
            (vec!["volume", "create", "../x"], 125, "cannot be a name"),
            (vec!["volume", "create", ""], 125, "cannot be a name"),
            (vec!["volume", "create", "-d", "nfs", "x"], 125, "no such driver"),
            (vec!["volume", "create", "-o", "type=nfs", "x"], 125, "no such volume"),
            (vec!["volume", "create", "-o", "o=bind", "-o", "device=/nowhere", "x"], 125, "not a directory"),
            (vec!["volume", "create", "--label", "=x", "x"], 125, "no key"),
            (vec!["volume", "inspect", "nothing"], 1, "no such volume: nothing"),
            (vec!["volume", "inspect", "--format", "{{.Nothing", "x"], 125, "{{ without }}"),
            (vec!["volume", "rm", "nothing"], 1, "no such volume: nothing"),
            (vec!["volume", "rm", "../containers"], 1, "no such volume"),
            (vec!["volume", "rm"], 125, "required"),
            (vec!["volume", "prune", "-f", "--filter", "until=1h"], 125, "no such filter"),
            (vec!["volume", "prune", "-f", "--filter", "all=perhaps"], 125, "no such filter"),
            (vec!["volume", "ls", "--filter", "size=3"], 125, "no such filter"),
            (vec!["volume", "ls", "--filter", "dangling=maybe"], 125, "no such filter"),
            (vec!["volume", "ls", "--format", "{{.Nothing}}"], 0, ""),
            (vec!["volume"], 125, "subcommand"),
            (vec!["full-run", "--rm", "-v", "a b:/x", "host", "true"], 125, "cannot be a name"),
            (vec!["full-run", "--rm", "-v", "a:x", "host", "true"], 125, "not an absolute path"),
            (vec!["full-run", "--rm", "-v", "a:/x", "-v", "/x", "host", "true"], 125, "two mounts at /x"),
            (
                vec!["full-run", "--rm", "--mount", "source=a,target=/x,volume-opt=o=bind", "host", "true"],
                125,
                "a volume's own",
            ),
            (
                vec!["full-run", "--rm", "--network", "none", "-v", "a:/etc/passwd", "host", "true"],
                125,
                "kinds of source and destination differ",
            ),
            (vec!["pivot-root", "-v", "a:/x"], 125, "a stage has no volumes"),
        ] {
            let output = world.run(&args).exits(code);
            assert!(output.stderr.contains(part), "{args:?}\n{output}");
        }
        // What was wrong only when it came to mounting it had its volume made already.
        assert_eq!(names(world), ["a"]);
        assert_eq!(world.run(["volume", "rm", "-f", "nothing", "a"]).exits(0).stdout, "nothing\na\n");
    });
}
