//! The labs: their scripts print what their snapshots say, their exercises cannot be passed without work, and can with
//! it; and `boxwright lab` is what it says it is.
//!
//! Snapshots are one set for cgroup v1 and v2, with `user.snap` where an ordinary user sees something else. Steps that
//! cannot be done here are skipped, loudly, and keep the text that they have. To write them anew:
//! `INSTA_UPDATE=always cargo test --test labs snapshots`.

mod common;

use common::World;
use std::path::PathBuf;

/// `labs/`, where the tests run.
fn labs() -> PathBuf {
    let root =
        std::env::var_os("INSTA_WORKSPACE_ROOT").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    root.join("labs")
}

/// The folders of all labs; LAB=01 leaves the others out, for whoever is writing one.
fn folders() -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir(labs())
        .expect("labs/")
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
        .filter(|name| std::env::var("LAB").map_or(true, |lab| name.starts_with(&lab)))
        .collect();
    all.sort();
    assert!(!all.is_empty(), "no labs");
    all
}

fn read(lab: &str, file: &str) -> String {
    let path = labs().join(lab).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A snapshot without insta's head, by steps.
fn stored(lab: &str, name: &str) -> Option<Vec<(String, String)>> {
    let text = std::fs::read_to_string(labs().join(lab).join(format!("{name}.snap"))).ok()?;
    Some(steps(text.splitn(3, "---\n").nth(2)?))
}

fn steps(transcript: &str) -> Vec<(String, String)> {
    let text = format!("\n{transcript}");
    let steps = text.split("\n## ").skip(1).filter_map(|step| step.split_once('\n'));
    steps.map(|(title, body)| (title.to_string(), body.trim_matches('\n').to_string())).collect()
}

/// The transcript, with what could not be done here as it was when it was written.
fn whole(lab: &str, who: &str, transcript: &str) -> String {
    let before = stored(lab, who).or_else(|| stored(lab, "root")).unwrap_or_default();
    let mut out = String::new();
    for (title, body) in steps(transcript) {
        let body = match body.strip_prefix("[skipped: ") {
            Some(reason) => {
                common::record_skip(module_path!(), &format!("{lab}, {title}: {}", reason.trim_end_matches(']')));
                before.iter().find(|(t, _)| *t == title).map(|(_, b)| b.clone()).unwrap_or(body)
            }
            None => body,
        };
        out += &format!("## {title}\n\n{body}\n\n");
    }
    out.trim_end().to_string()
}

fn text_of(steps: &[(String, String)]) -> String {
    steps.iter().map(|(title, body)| format!("## {title}\n\n{body}\n\n")).collect::<String>().trim_end().to_string()
}

fn snapshots(world: fn() -> World) {
    let mut wrong = Vec::new();
    for lab in folders() {
        let world = world().used();
        let root = world.is_root();
        let before = world.inventory();
        let run = world.run(["lab", "run", "--transcript", &lab]).exits(0);
        assert_eq!(run.stderr, "", "{lab}");
        let who = if root { "root" } else { "user" };
        let transcript = whole(&lab, who, &run.stdout);
        let same = !root && stored(&lab, "root").is_some_and(|steps| text_of(&steps) == transcript);
        assert!(!same || stored(&lab, "user").is_none(), "{lab}/user.snap is the same as root's: delete it");
        let name = if same { "root" } else { who };
        let compared = std::panic::catch_unwind(|| {
            insta::with_settings!({
                snapshot_path => labs().join(&lab), prepend_module_to_snapshot => false, omit_expression => true
            }, { insta::assert_snapshot!(name, transcript) });
        });
        if compared.is_err() {
            wrong.push(lab);
        }
        world.assert_unchanged(&before);
    }
    assert!(wrong.is_empty(), "not as in their snapshots: {wrong:?}");
}

#[test]
fn snapshots_as_root() {
    if !common::is_root() {
        skip!("not root");
    }
    snapshots(World::new);
}

#[test]
fn snapshots_as_an_ordinary_user() {
    if let Some(reason) = common::left_to_a_user() {
        skip!("{reason}");
    }
    snapshots(World::as_user);
}

/// The solution without what makes it one: `#without PATTERN => WORD` says how.
fn taken_away(lab: &str) -> String {
    let solution = read(lab, "solution.sh");
    let rule = solution.lines().find_map(|line| line.strip_prefix("#without ")).expect("solution.sh has #without");
    let (from, to) = rule.split_once("=>").expect("#without PATTERN => WORD");
    let without: String = solution
        .lines()
        .filter(|line| !line.starts_with("#without "))
        .map(|line| line.replace(from.trim(), to.trim()) + "\n")
        .collect();
    assert_ne!(without.lines().count(), 0);
    assert!(
        !without.contains(from.trim()) && solution.matches(from.trim()).count() > 1,
        "{lab}: nothing was taken away"
    );
    without
}

/// The check of every exercise: red for the skeleton, green for the solution, and red again without the primitive. And
/// whatever it is, its baseline holds and nothing stays on the machine.
fn exercises(world: fn() -> World) {
    let mut wrong = Vec::new();
    for lab in folders() {
        let world = world().used();
        let file = world.dir.path().join("taken-away.sh");
        std::fs::write(&file, taken_away(&lab)).expect("a file");
        let file = file.to_str().expect("UTF-8").to_string();
        for (with, code) in [("skeleton", 1), ("solution", 0), (file.as_str(), 1)] {
            let before = world.inventory();
            let run = world.run(["lab", "check", "--exercise", "--with", with, &lab]);
            // What a learner's script printed may well have the word in it.
            let said = run.stdout.split("your script printed").next().unwrap_or_default();
            if let Some((_, reason)) = said.split_once("exercise ").filter(|(_, r)| r.contains("skipped")) {
                let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
                common::record_skip(module_path!(), &format!("{lab}: {reason}"));
                break;
            }
            let red_baseline = run.stdout.lines().any(|l| l.starts_with("  baseline") && l.contains("FAIL"));
            if run.code() != code || red_baseline || !run.stderr.is_empty() {
                wrong.push(format!("{lab} with {with}: exit code {} and not {code}\n{run}", run.code()));
            }
            world.assert_unchanged(&before);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn exercises_as_root() {
    if !common::is_root() {
        skip!("not root");
    }
    exercises(World::new);
}

#[test]
fn exercises_as_an_ordinary_user() {
    if let Some(reason) = common::left_to_a_user() {
        skip!("{reason}");
    }
    exercises(World::as_user);
}

#[test]
fn every_stage_has_a_lab_and_every_lab_is_whole() {
    let stages = World::new().run(["stages", "--format", "json"]).exits(0).json();
    let stages: Vec<&str> = stages.as_array().into_iter().flatten().filter_map(|s| s["name"].as_str()).collect();
    let expected: Vec<String> = stages.iter().enumerate().map(|(n, name)| format!("{n:02}-{name}")).collect();
    let folders = folders();
    // After the stages' labs there may be more.
    if std::env::var_os("LAB").is_none() {
        assert_eq!(folders.get(..expected.len()), Some(&expected[..]), "the labs, in the order of the stages");
    }
    for lab in folders {
        for file in ["script.sh", "exercise.sh", "check.sh", "hints.md", "solution.sh", "root.snap"] {
            assert!(!read(&lab, file).trim().is_empty(), "{lab}/{file}");
        }
        let hints = read(&lab, "hints.md").split("\n---\n").count();
        assert!((2..=5).contains(&hints), "{lab} has {hints} hints");
    }
}
