//! `attach`: terminals in detached containers, with nobody, one or several before them.

mod common;

use common::desk::{Desk, all_show};
use common::{World, wait, worlds};
use std::time::Duration;

const ECHO: &str = "while read -r line; do \
                    case $line in size) stty size ;; end) exit 4 ;; many) seq 20000; echo many done ;; *) echo got $line ;; esac; done";

/// A world, as it is after one container that was kept.
fn used(make: fn() -> World) -> (World, common::inventory::Inventory) {
    let world = make().used();
    world.run(["full-run", "--name", "first", "--network", "none", "host", "true"]).exits(0);
    world.run(["rm", "first"]).exits(0);
    let before = world.inventory();
    (world, before)
}

/// A container `c` in the background, with a terminal at which ECHO answers.
fn up(make: fn() -> World) -> (World, common::inventory::Inventory) {
    let (world, before) = used(make);
    world.run(["full-run", "-dit", "--name", "c", "--network", "none", "host", "sh", "-c", ECHO]).exits(0);
    (world, before)
}

fn attach(world: &World, flags: &[&str], word: &str) -> Desk {
    let mut desk = Desk::new(world, &[&["attach"], flags, &["c"]].concat());
    desk.type_in(&format!("{word}\r"));
    desk.shows(&format!("got {word}"));
    desk
}

#[track_caller]
fn ends(desk: &mut Desk, code: i32) {
    let status = wait(&mut desk.child, Duration::from_secs(60)).expect("it ends");
    assert_eq!(status.code(), Some(code), "{}", desk.seen);
}

/// Asks until it has that size: a change takes its way.
#[track_caller]
fn sized(desk: &mut Desk, size: &str) {
    for _ in 0..100 {
        desk.type_in("size\r");
        std::thread::sleep(Duration::from_millis(100));
        desk.look(Duration::from_millis(1));
        if desk.seen.contains(size) {
            return;
        }
    }
    panic!("{size:?} is not in {:?}", desk.seen);
}

/// Who has just come to look sees what is said from then on: so it is said until it is seen.
#[track_caller]
fn sees(looker: &mut Desk, typist: &mut Desk, word: &str) {
    for _ in 0..300 {
        typist.type_in(&format!("{word}\r"));
        typist.look(Duration::from_millis(100));
        looker.look(Duration::from_millis(100));
        if looker.seen.contains(&format!("got {word}")) {
            return;
        }
    }
    panic!("{word:?} is not in {:?}", looker.seen);
}

fn done((world, before): (World, common::inventory::Inventory)) {
    world.run(["rm", "-f", "c"]).exits(0);
    world.assert_unchanged(&before);
}

#[test]
fn several_see_the_same_and_each_may_type() {
    for make in worlds() {
        let (world, before) = up(make);
        let mut one = attach(&world, &[], "uno");
        let mut other = attach(&world, &[], "due");
        let mut third = attach(&world, &[], "tre");
        one.shows("got due");
        one.shows("got tre");
        other.shows("got tre");
        // All of a flood reaches each of them.
        other.type_in("many\r");
        let all = &mut [&mut one, &mut other, &mut third];
        all_show(all, "many done");
        for desk in all {
            for n in [1, 9999, 20000] {
                assert!(desk.seen.contains(&format!("\n{n}\r")), "{n} is missing");
            }
        }
        // One goes, by the keys; one is killed; the last one stays, and hears of the end.
        one.type_in("\x10\x11");
        ends(&mut one, 0);
        third.child.kill().expect("kill");
        third.child.wait().expect("wait");
        other.type_in("still\r");
        other.shows("got still");
        assert!(one.stty(&["-a"]).contains(" icanon"), "the terminal is as it was");
        other.type_in("end\r");
        ends(&mut other, 4);
        let log = world.run(["logs", "c"]).exits(0).stdout;
        for said in ["got uno", "got tre", "got still"] {
            assert!(log.contains(said), "{log}");
        }
        done((world, before));
    }
}

#[test]
fn the_size_is_that_of_whoever_came_or_changed_last() {
    for make in worlds() {
        let (world, before) = up(make);
        let mut one = attach(&world, &[], "uno");
        sized(&mut one, "33 99");
        one.stty(&["rows", "20", "cols", "70"]);
        sized(&mut one, "20 70");
        let mut other = attach(&world, &[], "due");
        other.seen.clear();
        sized(&mut other, "33 99");
        one.stty(&["rows", "21", "cols", "71"]);
        sized(&mut other, "21 71");
        other.type_in("end\r");
        ends(&mut one, 4);
        ends(&mut other, 4);
        done((world, before));
    }
}

#[test]
fn other_keys_and_none_that_type() {
    let (world, before) = up(World::new);
    let mut desk = attach(&world, &["--detach-keys", "ctrl-x,q"], "uno");
    // The usual keys are characters like any other then.
    desk.type_in("\x10a\r");
    desk.shows("got \x10a");
    desk.type_in("\x18q");
    ends(&mut desk, 0);
    let mut looker = Desk::new(&world, &["attach", "--no-stdin", "c"]);
    let mut desk = attach(&world, &[], "due");
    sees(&mut looker, &mut desk, "due");
    looker.type_in("unheard\r");
    desk.type_in("tre\r");
    looker.shows("got tre");
    assert!(!desk.seen.contains("got unheard"), "{}", desk.seen);
    desk.type_in("end\r");
    ends(&mut desk, 4);
    ends(&mut looker, 4);
    done((world, before));
}

/// A container that was started before anybody looked, and one that is attached from the beginning.
#[test]
fn from_the_beginning_and_again() {
    let (world, before) = used(World::new);
    let args = ["full-run", "-it", "--name", "c", "--network", "none", "host", "sh", "-c", ECHO];
    let mut desk = Desk::new(&world, &args);
    sized(&mut desk, "33 99");
    desk.type_in("\x10\x11");
    ends(&mut desk, 0);
    let mut desk = attach(&world, &[], "uno");
    desk.type_in("end\r");
    ends(&mut desk, 4);
    let mut desk = Desk::new(&world, &["start", "-ai", "c"]);
    sized(&mut desk, "33 99");
    desk.type_in("end\r");
    ends(&mut desk, 4);
    done((world, before));
}
