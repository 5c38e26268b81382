//! What is good for something must be seen to be: every experiment of `--prove` holds with its primitive and fails
//! without it, and the host's devices stay closed to root in a container.

mod common;

use common::World;
use serde_json::Value;

const WITH_AN_EXPERIMENT: [&str; 6] =
    ["limit-cpu", "limit-memory", "limit-pids", "limit-io", "filter-syscalls", "drop-caps"];

/// The proof of a stage's primitive; `None` and a loud line where this machine cannot give one.
fn proof(world: &World, stage: &str, more: &[&str], exit: i32) -> Option<Value> {
    let mut args = vec![stage, "--prove", "--format", "json"];
    args.extend(more);
    let output = world.run(args);
    if output.code() == 125 && output.stderr.contains("this machine cannot do it") {
        let why = output.stderr.lines().find_map(|l| l.trim().strip_prefix("why: ")).unwrap_or(&output.stderr);
        common::record_skip(module_path!(), &format!("{stage}: {why}"));
        return None;
    }
    let proof = output.json()["proofs"][0].clone();
    if let Some(reason) = proof["unproved"].as_str() {
        common::record_skip(module_path!(), &format!("{stage}: {reason}"));
        return None;
    }
    output.exits(exit);
    Some(proof)
}

fn proofs_hold_with_the_primitive_and_fail_without(world: &World) {
    for stage in WITH_AN_EXPERIMENT {
        if let Some(proof) = proof(world, stage, &[], 0) {
            assert_eq!(proof["held"], true, "{stage}: {proof:#}");
            // (On a busy machine CPU time may be short in one of them only; that has been said.)
            let Some(without) = self::proof(world, stage, &["--without", stage], 1) else { continue };
            assert_eq!(without["held"], false, "{stage}: {without:#}");
        }
    }
}

#[test]
fn proofs_hold() {
    proofs_hold_with_the_primitive_and_fail_without(&World::new());
}

#[test]
fn proofs_hold_for_an_ordinary_user() {
    proofs_hold_with_the_primitive_and_fail_without(&World::as_user());
}

#[test]
fn what_has_no_experiment_says_so() {
    let world = World::new();
    let output = world.run(["set-hostname", "--prove"]).exits(125);
    assert!(output.stderr.contains("limit-cpu"), "{output}");
}

#[test]
fn root_in_a_container_can_make_any_device_and_not_open_it() {
    if !common::is_root() {
        skip!("only root can make a device");
    }
    let world = World::new();
    // The kernel's log: open to root everywhere, and in no container's list.
    let script = "mknod /dev/log-of-the-kernel c 1 11 && : < /dev/log-of-the-kernel";
    let run = |more: &[&str]| {
        let mut args = vec!["pivot-root"];
        args.extend(more);
        args.extend(["--", "sh", "-c", script]);
        world.run(args)
    };
    if run(&["--without", "join-cgroup"]).code() != 0 {
        skip!("here root cannot open it outside either");
    }
    let refused = run(&[]);
    assert!(refused.code() != 0 && refused.stderr.contains("Operation not permitted"), "{refused}");
}
