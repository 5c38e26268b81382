//! What a learner reads: every stage's report, as text and as JSON, as root and as an ordinary user. Each is brought to
//! the form that it has on every machine (`common::normal`) and compared with its snapshot. There is one set of them for
//! cgroup v1 and v2; `NAME@user` exists where an ordinary user's report differs from root's.

mod common;

use common::{World, normal};
use std::path::PathBuf;

const SNAPSHOTS: &str = "snapshots";

fn names(world: &World) -> Vec<String> {
    let stages = world.run(["stages", "--format", "json"]).exits(0).json();
    let stages = stages.as_array().expect("a list");
    stages.iter().filter_map(|s| s["name"].as_str().map(str::to_string)).collect()
}

/// The report of a stage, or why there is none. full-run's is that of all primitives, and it needs a command.
fn report(world: &World, stage: &str, format: &str) -> Result<String, String> {
    // full-run's shows every primitive, so none may be missing.
    if let Some(reason) = world.lack_by_doctor(if stage == "full-run" { "join-cgroup" } else { stage }) {
        return Err(reason);
    }
    if stage != "full-run" {
        let run = world.run([stage, "--format", format]);
        // No disk to limit, say, because the state directory is on a tmpfs.
        return run.nothing_to_do().map_or_else(|| Ok(run.exits(0).stdout), Err);
    }
    let file = world.root().join("report");
    let file = file.to_str().expect("UTF-8");
    world.run(["full-run", "--rm", "--format", format, "--report-file", file, "host", "true"]).exits(0);
    Ok(std::fs::read_to_string(file).expect("the report"))
}

fn snapshot_file(name: &str) -> PathBuf {
    let root =
        std::env::var_os("INSTA_WORKSPACE_ROOT").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    root.join("tests").join(SNAPSHOTS).join(format!("{name}.snap"))
}

/// The text of a snapshot that there is, without insta's head.
fn stored(name: &str) -> Option<String> {
    let file = std::fs::read_to_string(snapshot_file(name)).ok()?;
    Some(file.splitn(3, "---\n").nth(2)?.trim_end().to_string())
}

/// Compares with root's snapshot where there is no other one for an ordinary user; and another one that says the same
/// as root's is one too many.
fn compare(world: &World, name: &str, report: &str) {
    let for_user = format!("{name}@user");
    let same = stored(name).is_some_and(|root| root == report.trim_end());
    let name = if world.is_root() || same { name } else { for_user.as_str() };
    assert!(world.is_root() || !same || stored(&for_user).is_none(), "{for_user} is the same as root's: delete it");
    insta::with_settings!({ snapshot_path => SNAPSHOTS, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, report);
    });
}

/// Every stage in a world of its own, so that all are the first container on the machine.
fn every_stage(world: fn() -> World, format: &str, normal: impl Fn(&World, &str) -> String) {
    let all = names(&world());
    let mut wrong = Vec::new();
    for stage in &all {
        let world = world();
        let report = match report(&world, stage, format) {
            Ok(report) => report,
            Err(reason) => {
                common::record_skip(module_path!(), &format!("{stage}: {reason}"));
                continue;
            }
        };
        if format == "text" {
            for line in report.lines().filter(|line| line.chars().count() > 80 && !line.starts_with("    ")) {
                wrong.push(format!("{stage}: wider than 80 columns: {line}"));
            }
        }
        let report = normal(&world, &report);
        // All of them, and not only the first that differs.
        let compared = std::panic::catch_unwind(|| compare(&world, &format!("{stage}.{format}"), &report));
        if compared.is_err() {
            wrong.push(format!("{stage}: not as in its snapshot"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn text(world: &World, report: &str) -> String {
    normal::text(report, &world.root())
}

fn json(world: &World, report: &str) -> String {
    let report: serde_json::Value = serde_json::from_str(report).expect("JSON");
    serde_json::to_string_pretty(&normal::json(&report, &world.root())).expect("JSON")
}

#[test]
fn text_as_root() {
    if !common::is_root() {
        skip!("not root");
    }
    every_stage(World::new, "text", text);
}

#[test]
fn json_as_root() {
    if !common::is_root() {
        skip!("not root");
    }
    every_stage(World::new, "json", json);
}

#[test]
fn text_as_an_ordinary_user() {
    if let Some(reason) = common::left_to_a_user() {
        skip!("{reason}");
    }
    every_stage(World::as_user, "text", text);
}

#[test]
fn json_as_an_ordinary_user() {
    if let Some(reason) = common::left_to_a_user() {
        skip!("{reason}");
    }
    every_stage(World::as_user, "json", json);
}

#[test]
fn every_snapshot_is_of_a_stage() {
    let all = names(&World::new());
    let dir = snapshot_file("x").parent().map(PathBuf::from).expect("a directory");
    for file in std::fs::read_dir(dir).expect("the snapshots").flatten() {
        let file = file.file_name().to_string_lossy().into_owned();
        let stage = file.split('.').next().unwrap_or_default();
        assert!(all.iter().any(|name| name == stage), "{file} is of no stage");
    }
}
