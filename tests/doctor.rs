//! doctor says what is so, and leaves nothing behind.

mod common;

use common::World;
use serde_json::Value;

fn check<'a>(diagnosis: &'a Value, name: &str) -> &'a Value {
    let checks = diagnosis["checks"].as_array().expect("checks");
    checks.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("no check {name}: {diagnosis:#}"))
}

/// The promised fields are there, the exit code says what `ok` says, and the machine is as it was.
fn examine(world: &World) -> Value {
    world.run(["doctor"]);
    let before = world.inventory();
    let output = world.run(["doctor", "--format", "json"]);
    world.assert_unchanged(&before);
    let diagnosis = output.json();
    assert_eq!(diagnosis["version"], 1);
    assert_eq!(diagnosis["ok"], output.code() == 0, "{output}");
    for check in diagnosis["checks"].as_array().expect("checks") {
        let status = check["status"].as_str().expect("status");
        assert!(["ok", "limited", "missing", "unknown"].contains(&status), "{check}");
        let fine = ["ok", "unknown"].contains(&status);
        assert_eq!(check["consequence"].is_null(), fine, "what is not well has a consequence: {check}");
        assert!(!check["found"].as_str().expect("found").is_empty(), "{check}");
    }
    let stages = diagnosis["stages"].as_array().expect("stages");
    let listed = world.run(["stages", "--format", "json"]).exits(0).json();
    assert_eq!(stages.len(), listed.as_array().expect("a list").len());
    assert!(stages.iter().all(|s| s["possible"] == s["reason"].is_null()), "{stages:?}");
    diagnosis
}

#[test]
fn it_leaves_nothing_behind_and_keeps_its_format() {
    let world = World::new();
    let diagnosis = examine(&world);
    assert_eq!(diagnosis["uid"], nix::unistd::geteuid().as_raw());
}

#[test]
fn an_ordinary_user_is_told_about_an_ordinary_user() {
    let world = World::as_user();
    let diagnosis = examine(&world);
    assert_ne!(diagnosis["uid"], 0);
    assert!(check(&diagnosis, "firewall")["found"].as_str().is_some_and(|f| f.contains("only root's")));
}

#[test]
fn no_line_is_too_long_and_marks_are_plain_where_utf8_is_not_spoken() {
    let world = World::new();
    let utf8 = world.run(["doctor"]);
    assert!(utf8.stdout.contains('✓'), "{utf8}");
    let mut plain = world.command(["doctor"]);
    plain.env("LC_ALL", "C");
    let plain = world.finish(plain);
    assert!(!plain.stdout.contains('✓') && plain.stdout.contains("\n+ "), "{plain}");
    for line in utf8.stdout.lines().chain(plain.stdout.lines()) {
        // A path in a temporary directory may be longer than any terminal.
        assert!(line.chars().count() <= 80 || line.contains('/'), "{line}");
    }
}

#[test]
fn a_firewall_that_drops_what_is_forwarded_is_found() {
    if !common::is_root() {
        skip!("only root has a firewall");
    }
    if !common::installed("nft") {
        skip!("there is no nft");
    }
    let world = World::new();
    let firewall = || check(&world.run(["doctor", "--format", "json"]).json(), "firewall").clone();
    assert_eq!(firewall()["status"], "ok");
    let nft = |rule: &str| {
        let mut command = world.any("nft");
        command.arg(rule);
        world.finish(command).exits(0);
    };
    nft("add table inet strict");
    nft("add chain inet strict mine { type filter hook forward priority 0; policy drop; }");
    nft("add chain inet strict other { type filter hook input priority 0; policy drop; }");
    assert_eq!(firewall()["status"], "limited");
    assert_eq!(firewall()["found"], "dropped unless a rule lets it pass: inet strict mine");
    // The remedy is a command that works.
    let remedy = firewall()["remedy"].as_str().expect("a remedy").to_string();
    let mut shell = world.any("sh");
    shell.arg("-c").arg(remedy.strip_prefix("as root: ").expect("a command for root"));
    world.finish(shell).exits(0);
    nft("delete table inet strict");
    assert_eq!(firewall()["status"], "ok");
}

#[test]
fn the_old_iptables_is_looked_into_as_well() {
    if !common::is_root() {
        skip!("only root has a firewall");
    }
    let world = World::new();
    let policy = |policy: &str| {
        let mut command = world.any("iptables-legacy");
        command.args(["-P", "FORWARD", policy]);
        world.finish(command)
    };
    if !common::installed("iptables-legacy") || policy("DROP").code() != 0 {
        skip!("there is no iptables-legacy, or no kernel for it");
    }
    let firewall = || check(&world.run(["doctor", "--format", "json"]).json(), "firewall").clone();
    assert_eq!(firewall()["found"], "dropped unless a rule lets it pass: iptables filter FORWARD");
    policy("ACCEPT").exits(0);
    assert_eq!(firewall()["status"], "ok");
}
