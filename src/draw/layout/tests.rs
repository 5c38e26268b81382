use super::super::Portrait;
use super::super::scene::Scene;
use super::canvas::{Anchor, Font};
use super::*;
use crate::cgroup::Counters;
use crate::observe::{Fact, Snapshot, Value};
use nix::unistd::Pid;

/// Everything that there can be to see, each value as it is given.
fn portrait(value: &dyn Fn(&str) -> String, new: Vec<Fact>) -> Portrait {
    let one = |v: &str| Value::One(value(v));
    let many = |v: &[&str]| Value::Many(v.iter().map(|v| v.to_string()).collect());
    let namespaces = Fact::ALL.into_iter().filter(|f| f.namespace().is_some());
    let caller = namespaces.clone().map(|f| (f, Value::One("1".into())));
    let mut caller: Snapshot = caller.collect();
    caller.extend([(Fact::Hostname, one("host")), (Fact::Cgroup, many(&["/a"])), (Fact::Root, one("ext4"))]);
    let mut seen: Snapshot = namespaces.map(|f| (f, Value::One("2".into()))).collect();
    let name = value("x");
    seen.extend([
        (Fact::Hostname, one("box")),
        (Fact::Cgroup, Value::Many(vec![format!("/{name}")])),
        (Fact::Root, one("overlay")),
        (Fact::Pid, one("1")),
        (Fact::User, one("uid 0, gid 0")),
        (Fact::UidMap, many(&["0 4294967000 4294967295", "1 100000 65536", "2 3 4", "5 6 7"])),
        (Fact::Links, Value::Many(vec![format!("{name} up veth")])),
        (Fact::Addresses, Value::Many(vec![format!("{name} 2001:db8:1111:2222:3333:4444:5555:6666/128")])),
        (Fact::Routes, Value::Many(vec![format!("default via {name}")])),
        (Fact::Bridge, Value::Many(vec![format!("p{name} up in {name}"), format!("{name} 10.0.0.1/8")])),
        (Fact::Nft, Value::Many(vec![format!("postrouting: ip saddr {name} masquerade")])),
        (
            Fact::Mounts,
            Value::Many(vec![format!("/ (overlay, overlay, rw,lowerdir=/{name}:/b:/c:/d:/e:/f,upperdir=/{name})")]),
        ),
        (Fact::Propagation, one("shared, private")),
        (Fact::CpuMax, Value::One("12345678 100000".into())),
        (Fact::CpuWeight, one("100")),
        (Fact::CpusetCpus, one("0-3")),
        (Fact::MemoryMax, Value::One("18000000000000000000".into())),
        (Fact::MemorySwapMax, Value::One("18000000000000000000".into())),
        (Fact::PidsMax, Value::One("18000000000000000000".into())),
        (Fact::IoMax, many(&["254:0 rbps=1 wbps=1000000007 riops=3 wiops=4", "8:0 rbps=1"])),
        (Fact::MaskedPaths, many(&["/proc/x (masked)"])),
        (Fact::Seccomp, Value::One("filter".into())),
        (Fact::SeccompFilters, one("12")),
        (Fact::NoNewPrivs, Value::One("1".into())),
        (Fact::CapEff, many(&["chown"])),
    ]);
    Portrait {
        heading: (value("16"), value("full-run"), format!("a sentence with {name} in it")),
        staged: true,
        caller,
        seen,
        new,
        pid: Pid::from_raw(4711),
        command: Some(value("sh")),
        used: Counters {
            memory_current: Some(17_999_999_999_999),
            pids_current: Some(u64::MAX),
            cpu_usec: Some(u64::MAX),
            ..Counters::default()
        },
        unseen: vec![value("something")],
        skipped: vec![value("more")],
        kernel: value("6.0"),
        capabilities: 41,
    }
}

/// Values as they are, long ones, wide ones, and what is neither text nor markup.
const KINDS: [fn(&str) -> String; 4] =
    [|v| v.to_string(), |v| v.repeat(200), |_| "漢字".repeat(100), |_| "<&\">\u{1b}[0m\n".repeat(40)];

#[test]
fn no_text_is_wider_than_its_room_and_no_room_leaves_the_page() {
    for kind in KINDS {
        for new in [vec![], Fact::ALL.to_vec()] {
            let page = place(&Scene::of(&portrait(&kind, new)));
            for shape in &page.shapes {
                let Shape::Text { x, y, room, anchor, font, text, .. } = shape else { continue };
                let width = font.width(text);
                assert!(width <= *room + 0.1, "{text}: {width} of {room}");
                let left = match anchor {
                    Anchor::Start => *x,
                    Anchor::Middle => x - room / 2.0,
                    Anchor::End => x - room,
                };
                assert!(left >= 4.0 && left + room <= WIDTH - 4.0, "{text}: from {left}, {room} wide");
                assert!(*y - font.size() >= 0.0 && *y <= page.height, "{text}: at {y} of {}", page.height);
            }
        }
    }
}

/// Two texts on one line (`cpu 0.5 CPU … 0.01 s used`) never meet.
#[test]
fn texts_do_not_overlap() {
    for kind in KINDS {
        for new in [vec![], Fact::ALL.to_vec()] {
            let page = place(&Scene::of(&portrait(&kind, new)));
            let boxes: Vec<_> = page.shapes.iter().filter_map(extent).collect();
            for (n, (text, a)) in boxes.iter().enumerate() {
                for (other, b) in &boxes[n + 1..] {
                    let apart = a[1] <= b[0] || b[1] <= a[0] || a[3] <= b[2] || b[3] <= a[2];
                    assert!(apart, "{text:?} {a:?} and {other:?} {b:?}");
                }
            }
        }
    }
}

/// What a text covers: left, right, top, bottom (of letters without their tails).
fn extent(shape: &Shape) -> Option<(String, [Length; 4])> {
    let Shape::Text { x, y, anchor, font, text, .. } = shape else { return None };
    let width = font.width(text);
    let left = match anchor {
        Anchor::Start => *x,
        Anchor::Middle => x - width / 2.0,
        Anchor::End => x - width,
    };
    Some((text.clone(), [left, left + width, y - font.size() * 0.75, *y]))
}

#[test]
fn the_same_facts_give_the_same_picture() {
    let draw = || portrait(&|v| v.to_string(), vec![Fact::NetNs]).svg();
    assert_eq!(draw(), draw());
    assert!(!draw().contains('\u{1b}') && Font::Mono.width("x") > 0.0);
}

#[test]
fn what_is_shared_or_unseen_is_not_drawn_as_its_own() {
    let mut p = portrait(&|v| v.to_string(), vec![]);
    p.seen.insert(Fact::NetNs, Value::One("1".into()));
    p.seen.remove(&Fact::UtsNs);
    let svg = p.svg();
    assert!(svg.contains("data-ns=\"net\" data-standing=\"shared\"") && !svg.contains("data-part=\"wires\""), "{svg}");
    assert!(
        svg.contains("data-ns=\"uts\" data-standing=\"unseen\"")
            && svg.contains("data-ns=\"ipc\" data-standing=\"own\"")
    );
}
