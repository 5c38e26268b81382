//! Fifty at once: no deadlock, nothing left, and no wrong answer, on different names and on the same one.

mod common;

use common::life::{Life, both};
use std::process::{Child, Stdio};
use std::time::Duration;

fn crowd() -> usize {
    common::by_length(10, 50, 50)
}

fn spawn(life: &Life, args: &[&str]) -> Child {
    life.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// Exit code and what was said, of each.
fn ends(all: Vec<Child>) -> Vec<(i32, String, String)> {
    let end = |child: Child| {
        let output = child.wait_with_output().expect("its end");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    };
    all.into_iter().map(end).collect()
}

#[test]
fn on_different_names() {
    for make in both() {
        let life = make();
        let names: Vec<String> = (0..crowd()).map(|n| format!("c{n}")).collect();
        let each = |words: &[&str]| -> Vec<(i32, String, String)> {
            let all = names.iter().map(|name| {
                let args: Vec<&str> = words.iter().map(|w| if *w == "NAME" { name.as_str() } else { w }).collect();
                spawn(&life, &args)
            });
            // Somebody looks, all the while.
            let mut all: Vec<Child> = all.collect();
            all.extend((0..5).map(|_| spawn(&life, &["ps", "-a", "--format", "json"])));
            let mut ends = ends(all);
            let looks = ends.split_off(names.len());
            for (code, rows, said) in looks {
                assert_eq!((code, said.as_str()), (0, ""));
                for row in rows.lines() {
                    let row: serde_json::Value = serde_json::from_str(row).expect("a whole row");
                    assert!(names.iter().any(|name| row["Names"] == *name), "{row}");
                }
            }
            ends
        };
        let started = each(&["full-run", "-d", "--name", "NAME", "--network", "none", "host", "sleep", "1000"]);
        for (code, id, said) in &started {
            assert_eq!((*code, id.len(), said.as_str()), (0, 65, ""));
        }
        assert_eq!(life.names(&[]).len(), names.len());
        for ((code, said, error), name) in
            each(&["exec", "NAME", "sh", "-c", "echo $0", "NAME"]).into_iter().zip(&names)
        {
            assert_eq!((code, said.trim(), error.as_str()), (0, name.as_str(), ""), "exec");
        }
        for (words, what) in [
            (&["restart", "-t", "0", "NAME"][..], "restart"),
            (&["stop", "-t", "0", "NAME"], "stop"),
            (&["start", "NAME"], "start"),
            (&["rm", "-f", "NAME"], "rm"),
        ] {
            for ((code, said, error), name) in each(words).into_iter().zip(&names) {
                assert_eq!((code, said.trim(), error.as_str()), (0, name.as_str(), ""), "{what}");
            }
        }
        let gone = each(&[
            "full-run",
            "--rm",
            "--name",
            "NAME",
            "--network",
            "none",
            "host",
            "sh",
            "-c",
            "echo $0; exit 3",
            "NAME",
        ]);
        for ((code, said, error), name) in gone.into_iter().zip(&names) {
            assert_eq!((code, said.trim(), error.as_str()), (3, name.as_str(), ""));
        }
        assert!(life.names(&["-a"]).is_empty());
        life.end();
    }
}

#[test]
fn on_the_same_name() {
    for make in both() {
        let life = make();
        let run = ["full-run", "-d", "--name", "a", "--network", "none", "host", "sleep", "1000"];
        let all = ends((0..crowd()).map(|_| spawn(&life, &run)).collect());
        let (won, lost): (Vec<_>, Vec<_>) = all.into_iter().partition(|(code, ..)| *code == 0);
        assert_eq!(won.len(), 1, "{lost:?}");
        assert!(lost.iter().all(|(code, _, said)| *code == 125 && said.contains("\"a\" is taken")), "{lost:?}");
        assert_eq!(life.field("a", "{{.Id}}"), won[0].1.trim());
        // Everybody starts, stops and restarts it; each is told that it was done.
        for verb in
            [&["stop", "-t", "0", "a"][..], &["start", "a"], &["restart", "-t", "0", "a"], &["stop", "-t", "0", "a"]]
        {
            let all = ends((0..crowd()).map(|_| spawn(&life, verb)).collect());
            assert!(
                all.iter().all(|(code, said, error)| *code == 0 && said == "a\n" && error.is_empty()),
                "{verb:?} {all:?}"
            );
            assert_eq!(life.state("a"), if verb[0] == "stop" { "exited" } else { "running" });
        }
        // All go in at once; and where it is stopped meanwhile, each has either run or been told why not.
        life.run(["start", "a"]).exits(0);
        let exec = ["exec", "a", "sh", "-c", "echo in"];
        let all = ends((0..crowd()).map(|_| spawn(&life, &exec)).collect());
        assert!(all.iter().all(|(code, said, error)| *code == 0 && said == "in\n" && error.is_empty()), "{all:?}");
        let mut all: Vec<Child> = (0..crowd()).map(|_| spawn(&life, &exec)).collect();
        all.insert(crowd() / 2, spawn(&life, &["stop", "-t", "0", "a"]));
        let mut all = ends(all);
        assert_eq!(all.remove(crowd() / 2).0, 0);
        let fits = |(code, said, error): &(i32, String, String)| match code {
            0 => said == "in\n" && error.is_empty(),
            137 => error.is_empty(),
            _ => *code == 125 && error.contains("container a is not running"),
        };
        assert!(all.iter().all(fits), "{:?}", all.iter().find(|end| !fits(end)));
        // All remove it, and one does; the others hear that it is gone.
        let all = ends((0..crowd()).map(|_| spawn(&life, &["rm", "a"])).collect());
        assert_eq!(all.iter().filter(|(code, ..)| *code == 0).count(), 1, "{all:?}");
        assert!(all.iter().all(|(code, _, said)| *code == 0 || said.contains("No such container")), "{all:?}");
        life.end();
    }
}

/// Everything at once, on few names: whatever wins, the answers fit together, and all comes to an end.
#[test]
fn on_a_few_names_and_everything_at_once() {
    for make in both() {
        let life = make();
        let names = ["a", "b", "c"];
        for round in 0..common::by_length(1, 3, 20) {
            let verbs: [&[&str]; 11] = [
                &["full-run", "-d", "--name", "NAME", "--network", "none", "host", "sleep", "1000"],
                &["full-run", "--rm", "--name", "NAME", "--network", "none", "host", "true"],
                &["rm", "-f", "NAME"],
                &["stop", "-t", "0", "NAME"],
                &["start", "NAME"],
                &["restart", "-t", "0", "NAME"],
                &["kill", "NAME"],
                &["exec", "NAME", "true"],
                &["ps", "-a"],
                &["inspect", "NAME"],
                &["container", "prune", "-f"],
            ];
            let all = (0..crowd()).map(|n| {
                let name = names[(n + round) % names.len()];
                let args: Vec<&str> =
                    verbs[n % verbs.len()].iter().map(|w| if *w == "NAME" { name } else { w }).collect();
                spawn(&life, &args)
            });
            for (code, _, said) in ends(all.collect()) {
                assert!([0, 1, 125, 137].contains(&code) && !said.contains("panicked"), "{code} {said}");
                for word in ["ENOENT", "EEXIST", "EBUSY", "EINVAL", "cleaning up"] {
                    assert!(!said.contains(word), "no clear answer: {said}");
                }
            }
            let running = life.names(&[]);
            let pids: Vec<i32> = running.iter().map(|name| life.number(name, "{{.State.Pid}}")).collect();
            assert!(
                pids.iter().all(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists()),
                "{running:?} {pids:?}"
            );
            let all = life.names(&["-a"]);
            if !all.is_empty() {
                life.run(["rm", "-f"].into_iter().chain(all.iter().map(String::as_str))).exits(0);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        life.end();
    }
}
