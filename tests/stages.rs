//! Every stage keeps its word: what it was seen to change is what it declares, no more and no less; and with the
//! primitive left out, nothing else changes it in its place.

mod common;

use common::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

type Facts = BTreeSet<String>;

fn strings(list: &Value) -> Facts {
    list.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_string)).collect()
}

/// Every stage's name and the facts that it declares, in the order of the list.
fn declared(world: &World) -> Vec<(String, Facts)> {
    let stages = world.run(["stages", "--format", "json"]).exits(0).json();
    let stage = |s: &Value| (s["name"].as_str().unwrap_or_default().to_string(), strings(&s["changes"]));
    stages.as_array().expect("a list").iter().map(stage).collect()
}

/// The facts that each primitive of a report was seen to change, in the order of the list.
fn in_order(report: &Value) -> Vec<(String, Facts)> {
    let primitives = report["primitives"].as_array().expect("primitives");
    let changes =
        |p: &Value| p["changes"].as_array().into_iter().flatten().map(|c| c["fact"].clone()).collect::<Value>();
    primitives.iter().map(|p| (p["name"].as_str().unwrap_or_default().to_string(), strings(&changes(p)))).collect()
}

/// The same, by name.
fn observed(report: &Value) -> BTreeMap<String, Facts> {
    in_order(report).into_iter().collect()
}

/// A stage's report with every primitive in it; `None` and a loud line when this machine cannot do it.
fn report(world: &World, stage: &str, more: &[&str]) -> Option<Value> {
    let run = || {
        let mut args = vec![stage, "--all", "--format", "json"];
        args.extend(more);
        let run = world.run(args);
        run.nothing_to_do().map_or_else(|| Ok(run.exits(0).json()), Err)
    };
    match world.lack_by_doctor(stage).map_or_else(run, Err) {
        Ok(report) => Some(report),
        Err(reason) => {
            common::record_skip(module_path!(), &format!("{stage}: {reason}"));
            None
        }
    }
}

/// Of what a stage declares, the facts that may stay as they were: the host or the caller can be like that already.
fn may_stay(world: &World) -> BTreeMap<String, Facts> {
    let stages = world.run(["stages", "--format", "json"]).exits(0).json();
    let stage = |s: &Value| (s["name"].as_str().unwrap_or_default().to_string(), strings(&s["host_dependent"]));
    stages.as_array().expect("a list").iter().map(stage).collect()
}

fn observed_is_declared(world: &World, more: &[&str]) {
    let declared = declared(world);
    let may_stay = may_stay(world);
    let by_name: BTreeMap<&String, &Facts> = declared.iter().map(|(name, facts)| (name, facts)).collect();
    let mut wrong = String::new();
    for (stage, _) in declared.iter().filter(|(name, _)| name != "full-run") {
        let Some(report) = report(world, stage, more) else { continue };
        // An earlier primitive may make what only `pivot-root` puts in its place: it owes that until then, and at the
        // end of the prefix nobody may owe anything. (In the stage of its own, which comes first, it owes nothing.)
        let mut owed: BTreeSet<(String, String)> = BTreeSet::new();
        for (name, seen) in in_order(&report) {
            let promised = by_name[&name];
            let paid = |fact: &String| owed.iter().any(|(_, f)| f == fact);
            let more: Vec<_> = seen.difference(promised).filter(|fact| !paid(fact)).collect();
            if !more.is_empty() {
                wrong += &format!("{stage}: {name} changed {more:?} undeclared\n");
            }
            owed.retain(|(_, fact)| !seen.contains(fact));
            // Root who has every capability has them all in a user namespace, too; drop-caps has no such excuse.
            let full = |fact: &str| name == "map-user" && world.is_root() && ["cap_eff", "cap_prm"].contains(&fact);
            let less = promised.difference(&seen).filter(|fact| !may_stay[&name].contains(*fact) && !full(fact));
            owed.extend(less.map(|fact| (name.clone(), fact.clone())));
        }
        if !owed.is_empty() {
            wrong += &format!("{stage}: declared, but not seen to change: {owed:?}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn without_it_nothing_changes_in_its_place(world: &World) {
    let declared = declared(world);
    let mut wrong = String::new();
    for (stage, facts) in declared.iter().filter(|(name, _)| name != "full-run") {
        // Only what this one alone declares: mounts, say, are changed by many.
        let others: Facts = declared.iter().filter(|(n, _)| n != stage).flat_map(|(_, f)| f.clone()).collect();
        let own: Facts = facts.difference(&others).cloned().collect();
        let Some(report) = report(world, stage, &["--without", stage]) else { continue };
        let seen = observed(&report);
        if seen.contains_key(stage) {
            wrong += &format!("{stage}: it was left out, and yet it is in the report\n");
        }
        for (name, changed) in &seen {
            let stolen: Vec<_> = changed.intersection(&own).collect();
            if !stolen.is_empty() {
                wrong += &format!("{stage} left out: {name} changed {stolen:?}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn observed_changes_are_the_declared_ones() {
    observed_is_declared(&World::new(), &[]);
}

#[test]
fn observed_changes_are_the_declared_ones_for_an_ordinary_user() {
    if !common::is_root() {
        skip!("the other test is for an ordinary user already");
    }
    observed_is_declared(&World::as_user(), &[]);
}

#[test]
fn observed_changes_are_the_declared_ones_in_a_user_namespace_of_roots() {
    if !common::is_root() {
        skip!("only root has the choice");
    }
    observed_is_declared(&World::new(), &["--userns", "auto"]);
}

#[test]
fn a_stage_left_out_changes_nothing() {
    without_it_nothing_changes_in_its_place(&World::new());
}

#[test]
fn a_stage_left_out_changes_nothing_for_an_ordinary_user() {
    if !common::is_root() {
        skip!("the other test is for an ordinary user already");
    }
    // Without a user namespace an ordinary user can do nothing else, so the first one cannot be left out.
    let world = World::as_user();
    world.run(["unshare-pid", "--without", "map-user"]).exits(125);
    without_it_nothing_changes_in_its_place(&world);
}
