//! `cp`: docker's rules about what goes where, both ways, for containers that run and that do not; and no link of a
//! container's, however quickly it changes, leads it to the host's files.

mod common;

use common::{World, inventory, wait, worlds};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const NAME: &str = "box";

/// With a container, and a directory of the user's to work in.
fn ready(world: World) -> (World, PathBuf) {
    world.run(["full-run", "--rm", "--name", "first", "host", "true"]).exits(0);
    let dir = world.dir.path().join("home");
    let run = world.run(["full-run", "-d", "--name", NAME, "host", "sleep", "1000"]).exits(0);
    assert_eq!(run.stdout.trim().len(), 64);
    (world, dir)
}

/// Makes files below the user's directory, as that user.
fn sh(world: &World, script: &str) -> String {
    let mut shell = world.any("sh");
    shell.args(["-ec", script]).current_dir(world.dir.path().join("home"));
    world.finish(shell).exits(0).stdout
}

fn cp(world: &World, args: &[&str]) -> common::Output {
    let mut command = world.command(["cp"].iter().chain(args));
    command.current_dir(world.dir.path().join("home"));
    world.finish(command)
}

/// What tar(1) would list, without times: `KIND MODE PATH [-> LINK]`.
fn listed(world: &World, path: &str) -> Vec<String> {
    let mut command = world.command(["cp", &format!("{NAME}:{path}"), "-"]);
    let output = command.stderr(Stdio::inherit()).output().expect("it runs");
    assert!(output.status.success(), "cp {path} -");
    let mut archive = tar::Archive::new(&output.stdout[..]);
    let entries = archive.entries().expect("a tar");
    let line = |entry: tar::Entry<'_, &[u8]>| {
        let header = entry.header();
        let link = entry.link_name().expect("a link").map(|l| format!(" -> {}", l.display())).unwrap_or_default();
        let kind = header.entry_type().as_byte() as char;
        format!("{kind} {:o} {}{link}", header.mode().expect("a mode"), entry.path().expect("a path").display())
    };
    entries.map(|entry| line(entry.expect("an entry"))).collect()
}

fn remove(world: &World) {
    world.run(["rm", "-f", NAME]).exits(0);
}

/// docker's table: source and target, and where it is then.
#[test]
fn it_goes_where_docker_puts_it() {
    for make in worlds() {
        let (world, _) = ready(make());
        sh(&world, "echo one > file; mkdir -p dir/sub; echo two > dir/sub/two; ln -s sub/two dir/link; chmod 750 dir");
        for stopped in [false, true] {
            if stopped {
                world.run(["stop", "-t", "0", NAME]).exits(0);
            }
            let base = if stopped { "/tmp/s" } else { "/tmp/r" };
            sh(&world, "rm -rf empty; mkdir empty");
            cp(&world, &["empty", &format!("{NAME}:{base}")]).exits(0);
            let to = |source: &str, target: &str| cp(&world, &[source, &format!("{NAME}:{base}/{target}")]);
            to("file", "renamed").exits(0);
            to("file", "").exits(0);
            to("dir", "new").exits(0);
            to("dir", "new").exits(0);
            to("dir/.", "contents").exits(0);
            to("dir/.", "contents").exits(0);
            to("dir/sub/two", "renamed").exits(0);
            let missing = to("file", "missing/").exits(125);
            assert!(missing.stderr.contains("must exist"), "{missing}");
            let no_parent = to("file", "no/such/parent").exits(125);
            assert!(no_parent.stderr.contains("/no/such/parent"), "{no_parent}");
            let onto_file = to("dir", "renamed").exits(125);
            assert!(onto_file.stderr.contains("cannot copy a directory to a file"), "{onto_file}");
            let file_as_directory = cp(&world, &["file/", &format!("{NAME}:{base}")]).exits(125);
            assert!(file_as_directory.stderr.contains("file/"), "{file_as_directory}");
            let there: Vec<String> = listed(&world, &format!("{base}/."))
                .iter()
                .map(|l| l.split(' ').nth(2).unwrap_or_default().into())
                .collect();
            let expected = [
                ".",
                "contents",
                "contents/link",
                "contents/sub",
                "contents/sub/two",
                "file",
                "new",
                "new/dir",
                "new/dir/link",
                "new/dir/sub",
                "new/dir/sub/two",
                "new/link",
                "new/sub",
                "new/sub/two",
                "renamed",
            ];
            assert_eq!(there.iter().map(|p| p.trim_start_matches("./")).collect::<Vec<_>>(), expected);
            // And back.
            let back = |source: &str, target: &str| cp(&world, &[&format!("{NAME}:{base}/{source}"), target]);
            sh(&world, "rm -rf back; mkdir back");
            back("renamed", "back/x").exits(0);
            back("new", "back").exits(0);
            back("new/.", "back/all").exits(0);
            back("new/link", "back").exits(0);
            assert_eq!(
                sh(&world, "cd back; cat x; find . | sort; readlink link; stat -c %a new/dir")
                    .split_whitespace()
                    .collect::<Vec<_>>(),
                [
                    "two",
                    ".",
                    "./all",
                    "./all/dir",
                    "./all/dir/link",
                    "./all/dir/sub",
                    "./all/dir/sub/two",
                    "./all/link",
                    "./all/sub",
                    "./all/sub/two",
                    "./link",
                    "./new",
                    "./new/dir",
                    "./new/dir/link",
                    "./new/dir/sub",
                    "./new/dir/sub/two",
                    "./new/link",
                    "./new/sub",
                    "./new/sub/two",
                    "./x",
                    "sub/two",
                    "750"
                ]
            );
            sh(&world, "echo mine > taken");
            let taken = back("new", "taken").exits(125);
            assert!(taken.stderr.contains("cannot copy a directory to a file"), "{taken}");
            assert_eq!(sh(&world, "cat taken"), "mine\n");
        }
        remove(&world);
    }
}

#[test]
fn modes_times_links_and_owners_are_kept_as_far_as_they_should() {
    for make in worlds() {
        let (world, dir) = ready(make());
        sh(&world, "echo x > file; chmod 640 file; touch -d 2001-02-03T04:05:06Z file; ln file hard; ln -s file soft");
        sh(&world, "mkdir all; mv file hard soft all; chmod 4755 all/file");
        let to = format!("{NAME}:/tmp");
        cp(&world, &["-q", "all", &to]).exits(0);
        cp(&world, &["-L", "all/soft", &format!("{NAME}:/tmp/followed")]).exits(0);
        cp(&world, &["all/soft", &format!("{NAME}:/tmp/link")]).exits(0);
        assert_eq!(
            listed(&world, "/tmp/all"),
            ["5 755 all", "0 4755 all/file", "1 4755 all/hard -> all/file", "2 777 all/soft -> file"]
        );
        assert_eq!(listed(&world, "/tmp/link"), ["2 777 link -> file"]);
        assert_eq!(listed(&world, "/tmp/followed"), ["0 4755 followed"]);
        cp(&world, &[&format!("{NAME}:/tmp/all"), "back"]).exits(0);
        let file = fs::metadata(dir.join("back/file")).expect("the file");
        assert_eq!(file.mtime(), 981_173_106);
        assert_eq!(file.mode() & 0o7777, 0o755, "nobody's set-user-ID program becomes mine");
        assert_eq!(file.ino(), fs::metadata(dir.join("back/hard")).expect("the other").ino());
        let mine = fs::metadata(&dir).expect("home").uid();
        assert_eq!(file.uid(), mine);
        if world.is_root() {
            std::os::unix::fs::chown(dir.join("all/file"), Some(33), Some(34)).expect("chown");
            let owner = |name: &str| {
                let output = world.command(["cp", &format!("{NAME}:/tmp/{name}"), "-"]).output().expect("it runs");
                let mut archive = tar::Archive::new(&output.stdout[..]);
                let entry = archive.entries().expect("a tar").next().expect("one").expect("an entry");
                (entry.header().uid().expect("uid"), entry.header().gid().expect("gid"))
            };
            cp(&world, &["all/file", &format!("{NAME}:/tmp/roots")]).exits(0);
            cp(&world, &["-a", "all/file", &format!("{NAME}:/tmp/theirs")]).exits(0);
            assert_eq!((owner("roots"), owner("theirs")), ((0, 0), (33, 34)));
            cp(&world, &["-a", &format!("{NAME}:/tmp/theirs"), "theirs"]).exits(0);
            assert_eq!(fs::metadata(dir.join("theirs")).expect("it").uid(), 33);
        }
        remove(&world);
    }
}

/// Root's containers with ids of their own: their root owns what is copied, by its number in there.
#[test]
fn ids_of_its_own_are_mapped() {
    if !common::is_root() {
        skip!("only root gives ranges of ids");
    }
    let world = World::new().used();
    let run = world.run(["full-run", "-d", "--name", NAME, "--userns", "auto", "host", "sleep", "1000"]);
    if run.code() != 0 {
        skip!("no container with ids of its own here: {}", run.stderr);
    }
    sh(&world, "echo x > file");
    for stopped in [false, true] {
        if stopped {
            world.run(["stop", "-t", "0", NAME]).exits(0);
        }
        cp(&world, &["file", &format!("{NAME}:/tmp/file")]).exits(0);
        let output = world.command(["cp", &format!("{NAME}:/tmp/file"), "-"]).output().expect("it runs");
        let mut archive = tar::Archive::new(&output.stdout[..]);
        let entry = archive.entries().expect("a tar").next().expect("one").expect("an entry");
        assert_eq!(entry.header().uid().expect("uid"), 0);
    }
    remove(&world);
}

#[test]
fn streams_go_both_ways() {
    for make in worlds() {
        let (world, _) = ready(make());
        sh(&world, "mkdir -p tree/deep; echo 1 > tree/deep/one; echo 2 > two");
        let program = world.program().display().to_string();
        sh(&world, &format!("tar -c tree two | {program} cp - {NAME}:/tmp"));
        assert_eq!(sh(&world, &format!("{program} cp {NAME}:/tmp/tree/deep/one - | tar -xO")), "1\n");
        sh(
            &world,
            &format!(
                "mkdir out; {program} cp {NAME}:/tmp/. - | tar -xC out; cmp two out/two; cmp tree/deep/one out/tree/deep/one"
            ),
        );
        // One whose directories are not in it.
        sh(&world, &format!("tar -c tree/deep/one | {program} cp - {NAME}:/root"));
        assert_eq!(sh(&world, &format!("{program} cp {NAME}:/root/tree/deep/one - | tar -xO")), "1\n");
        // A file of /proc's says that it is empty.
        assert!(sh(&world, &format!("{program} cp {NAME}:/proc/1/status - | tar -xO")).starts_with("Name:\t"));
        // A file that something is mounted on.
        sh(&world, &format!("echo mine > hosts; {program} cp -q hosts {NAME}:/etc/hosts"));
        assert_eq!(sh(&world, &format!("{program} cp {NAME}:/etc/hosts - | tar -xO")), "mine\n");
        remove(&world);
    }
}

#[test]
fn what_cannot_be_copied_is_named() {
    for make in worlds() {
        let (world, _) = ready(make());
        sh(&world, "echo x > file; mkdir dir");
        let inside = format!("{NAME}:/tmp");
        for (args, name) in [
            (&["file", "nobody:/tmp"][..], "No such container: nobody"),
            (&["file", "file"], "neither"),
            (&["a:/x", "b:/y"], "both"),
            (&["missing", &inside], "missing"),
            (&[&format!("{NAME}:/no/such"), "."], "/no/such"),
            (&[&format!("{NAME}:/etc/passwd/"), "."], "/etc/passwd/"),
            (&[&format!("{NAME}:/etc/passwd"), "no/such/dir"], "no/such/dir"),
            (&["-", &format!("{NAME}:/etc/passwd")], "not a directory"),
            (&["file", &format!("{NAME}:/dev/null")], "neither a file nor a directory"),
            (&["", &inside], "empty"),
        ] {
            let run = cp(&world, args).exits(125);
            assert!(run.stderr.contains(name) && run.stdout.is_empty(), "{run}");
        }
        let mut stream = world.command(["cp", "-", &inside]);
        stream.stdin(fs::File::open(world.program()).expect("a file that is no tar"));
        let run = world.finish(stream).exits(125);
        assert!(run.stderr.contains("no tar"), "{run}");
        // The other side fails, and nobody hangs: more than a pipe holds.
        sh(&world, "dd if=/dev/zero of=big bs=1M count=4 2>/dev/null; echo x > old");
        cp(&world, &["big", &format!("{NAME}:/tmp/big")]).exits(0);
        cp(&world, &["big", &format!("{NAME}:/proc/big")]).exits(125);
        cp(&world, &[&format!("{NAME}:/tmp/big"), "/proc/big"]).exits(125);
        remove(&world);
    }
}

/// A stream whose author means harm.
fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        // The crate would refuse such names.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        if kind.is_file() {
            header.set_size(text.len() as u64);
        } else {
            header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
            header.set_size(0);
        }
        header.set_cksum();
        builder.append(&header, if kind.is_file() { text.as_bytes() } else { b"" }).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

#[test]
fn a_stream_leads_nowhere_but_below_its_directory() {
    use tar::EntryType as T;
    for make in worlds() {
        let (world, _) = ready(make());
        let feed = |bytes: &[u8]| {
            let mut command = world.command(["cp", "-", &format!("{NAME}:/tmp")]);
            let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
            let _ = child.stdin.take().expect("a pipe").write_all(bytes);
            wait(&mut child, Duration::from_secs(60)).expect("an end").code()
        };
        assert_eq!(feed(&archive(&[("../climbed", T::Regular, "x")])), Some(125));
        assert_eq!(feed(&archive(&[("a/../../climbed", T::Regular, "x")])), Some(125));
        let through = archive(&[("door", T::Symlink, "/root"), ("door/through", T::Regular, "x")]);
        assert_eq!(feed(&through), Some(125));
        assert_eq!(feed(&archive(&[("/absolute", T::Regular, "x")])), Some(0));
        assert_eq!(feed(&archive(&[("hard", T::Link, "../etc/passwd")])), Some(125));
        assert_eq!(feed(&archive(&[("node", T::Char, "")])), Some(0), "left out");
        let there = listed(&world, "/tmp");
        assert!(there.contains(&"0 755 tmp/absolute".to_string()), "{there:?}");
        assert!(!there.iter().any(|l| l.contains("node") || l.contains("hard")), "{there:?}");
        assert!(listed(&world, "/root").iter().all(|l| !l.contains("through")));
        assert!(cp(&world, &[&format!("{NAME}:/climbed"), "-"]).code() != 0);
        remove(&world);
    }
}

/// CVE-2018-15664: a path is looked at, then exchanged for a link to the host, then used.
#[test]
fn a_link_that_changes_quickly_never_leads_to_the_host() {
    for make in worlds() {
        let world = make();
        world.run(["full-run", "--rm", "--name", "first", "host", "true"]).exits(0);
        let home = world.dir.path().join("home");
        let host = home.join("host");
        sh(&world, "mkdir host; echo secret > host/secret; echo mine > mine");
        // In the container there is a directory of the same name, which may be written, and one to be exchanged with a link.
        let path = host.display();
        let script = format!(
            "mkdir -p {path} /tmp/d/x; echo inside > {path}/secret; echo inside > /tmp/d/x/secret; \
             while :; do mv -T /tmp/d/x /tmp/d/y; ln -s ../../../../../../../../..{path} /tmp/d/x; rm /tmp/d/x; mv -T /tmp/d/y /tmp/d/x; done"
        );
        world.run(["full-run", "-d", "--name", NAME, "host", "sh", "-c", &script]).exits(0);
        let rounds = common::by_length(20, 100, 1000);
        let mut came = 0;
        for _ in 0..rounds {
            if cp(&world, &[&format!("{NAME}:/tmp/d/x/secret"), "got"]).code() == 0 {
                assert_eq!(sh(&world, "cat got"), "inside\n");
                came += 1;
            }
            cp(&world, &["mine", &format!("{NAME}:/tmp/d/x/pwned")]);
            cp(&world, &["mine", &format!("{NAME}:/tmp/d/x")]);
        }
        assert!(came > 0, "nothing was ever copied");
        assert_eq!(sh(&world, "ls host; cat host/secret"), "secret\nsecret\n", "the host was written to");
        remove(&world);
    }
}

/// The same without a race: links of every kind, on both sides of a copy, while it runs and not.
#[test]
fn links_of_a_container_end_in_the_container() {
    for make in worlds() {
        let (world, dir) = ready(make());
        sh(&world, "mkdir host links; echo secret > host/secret; echo mine > mine");
        let host = dir.join("host");
        symlink(&host, dir.join("links/absolute")).expect("symlink");
        symlink(Path::new("../../../../../../..").join(host.strip_prefix("/").expect("/")), dir.join("links/climbing"))
            .expect("symlink");
        symlink("/proc/self/root", dir.join("links/magic")).expect("symlink");
        cp(&world, &["links", &format!("{NAME}:/tmp")]).exits(0);
        for stopped in [false, true] {
            if stopped {
                world.run(["stop", "-t", "0", NAME]).exits(0);
            }
            for link in ["absolute", "climbing", "magic"] {
                let below = if link == "magic" { host.join("secret").display().to_string() } else { "/secret".into() };
                cp(&world, &[&format!("{NAME}:/tmp/links/{link}{below}"), "stolen"]).exits(125);
                cp(&world, &["mine", &format!("{NAME}:/tmp/links/{link}/pwned")]);
                cp(&world, &["mine", &format!("{NAME}:/tmp/links/{link}")]);
            }
            assert_eq!(sh(&world, "ls host; cat host/secret; ls"), "secret\nsecret\nhost\nlinks\nmine\n");
        }
        remove(&world);
    }
}

/// A container that does not run: while its files are open it still does not run, nobody starts it, and kill -9 leaves nothing.
#[test]
fn one_that_does_not_run_stays_so_and_nothing_is_left() {
    for make in worlds() {
        let (world, _) = ready(make());
        world.run(["stop", "-t", "0", NAME]).exits(0);
        sh(&world, "echo x > file");
        cp(&world, &["file", &format!("{NAME}:/tmp/file")]).exits(0);
        let before = world.inventory();
        cp(&world, &["file", &format!("{NAME}:/tmp/file")]).exits(0);
        cp(&world, &[&format!("{NAME}:/tmp/file"), "back"]).exits(0);
        sh(&world, "rm back");
        world.assert_unchanged(&before);
        let mut copy = world.command(["cp", "-", &format!("{NAME}:/tmp")]);
        let mut copy = copy.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let journal = world.root().join("run/journal");
        let held = || fs::read_dir(&journal).is_ok_and(|d| d.count() > 0) && inventory::descendants().len() >= 3;
        for _ in 0..6000 {
            if held() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(held(), "its files were never opened");
        let state = world.run(["inspect", "--format", "{{.State.Status}} {{.State.Pid}}", NAME]).exits(0).stdout;
        assert_eq!(state, "exited 0\n");
        copy.kill().expect("kill");
        copy.wait().expect("wait");
        world.run(["ps", "-a"]).exits(0);
        world.assert_unchanged(&before);
        world.run(["start", NAME]).exits(0);
        assert_eq!(listed(&world, "/tmp/file").len(), 1);
        remove(&world);
    }
}

/// Created and never started; one whose root is a directory of the user's.
#[test]
fn one_that_never_ran_and_a_plain_directory() {
    for make in worlds() {
        let (world, dir) = ready(make());
        remove(&world);
        sh(&world, "echo x > file; mkdir -p rootfs/sub");
        fs::set_permissions(dir.join("rootfs"), PermissionsExt::from_mode(0o755)).expect("chmod");
        world.run(["create", "--name", NAME, "host", "cat", "/root/file"]).exits(0);
        cp(&world, &["file", &format!("{NAME}:/root")]).exits(0);
        let run = world.run(["start", "-a", NAME]).exits(0);
        assert_eq!(run.stdout, "x\n");
        remove(&world);
        let rootfs = dir.join("rootfs").display().to_string();
        world.run(["create", "--name", NAME, "--rootfs", &rootfs, "/none"]).exits(0);
        cp(&world, &["file", &format!("{NAME}:/sub")]).exits(0);
        assert_eq!(sh(&world, "cat rootfs/sub/file"), "x\n");
        remove(&world);
        world.run(["create", "--name", NAME, "--read-only", "host", "true"]).exits(0);
        let run = cp(&world, &["file", &format!("{NAME}:/root")]).exits(125);
        assert!(run.stderr.contains("EROFS"), "{run}");
        remove(&world);
    }
}

/// A copy is told to who listens, in docker's words.
#[test]
fn copies_are_events() {
    let (world, _) = ready(World::new());
    sh(&world, "echo x > file");
    cp(&world, &["file", &format!("{NAME}:/tmp")]).exits(0);
    cp(&world, &[&format!("{NAME}:/tmp/file"), "back"]).exits(0);
    let run = world
        .run(["events", "--since", "1", "--until", "0s", "-f", "container=box", "--format", "{{.Action}}"])
        .exits(0);
    assert!(run.stdout.ends_with("extract-to-dir\narchive-path\n"), "{run}");
    remove(&world);
}
