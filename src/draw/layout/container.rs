//! What is within the container's wall: the process, its namespaces, its files, and the sieves at the bottom, through
//! which every call to the kernel goes.

use super::super::scene::{Files, Lane, Line, Scene, Sieve, Standing};
use super::canvas::{Anchor, Canvas, Font, Length};
use super::{HOST, LANE};

const LEFT: Length = LANE[0];
const RIGHT: Length = LANE[0] + LANE[1];
/// Where what a lane says begins.
const VALUE: Length = LEFT + 82.0;
const LINE: Length = 20.0;
const GAP: Length = 8.0;

/// Where it ends, and where its cable is plugged in.
#[derive(Debug, Clone, Copy)]
pub struct Inside {
    /// The lower wall.
    pub bottom: Length,
    /// The height of the network lane.
    pub plug: Length,
}

/// Places everything below `top`, the upper wall.
pub fn place(page: &mut Canvas, scene: &Scene, top: Length) -> Inside {
    let mut y = process(page, scene, top + 12.0) + 10.0;
    let mut plug = y;
    for l in &scene.lanes {
        let bottom = lane(page, l, y);
        if l.kind == "net" {
            plug = (y + bottom) / 2.0;
        }
        y = bottom + GAP;
    }
    y = files(page, &scene.files, y + 2.0);
    for s in &scene.sieves {
        y = sieve(page, s, y);
    }
    Inside { bottom: y + 4.0, plug }
}

fn process(page: &mut Canvas, scene: &Scene, top: Length) -> Length {
    let rows = scene.process.len().div_ceil(2) as Length;
    let height = rows * 22.0 + 14.0;
    page.open(&[("data-part", "process")]);
    page.rect([LEFT, top, LANE[1], height], 9.0, if scene.process_new { "process new" } else { "process" });
    for (n, pair) in scene.process.chunks(2).enumerate() {
        let y = top + 23.0 + n as Length * 22.0;
        let font = if n == 0 { Font::Bold } else { Font::Plain };
        page.put([LEFT + 14.0, y], 172.0, Anchor::Start, font, "on-dark", &pair[0].text, Some(pair[0].fact));
        if let Some(line) = pair.get(1) {
            page.put([RIGHT - 14.0, y], 176.0, Anchor::End, Font::Plain, "on-dark", &line.text, Some(line.fact));
        }
    }
    if scene.process_new {
        page.new_tag(RIGHT, top);
    }
    page.close();
    top + height
}

fn lane(page: &mut Canvas, lane: &Lane, top: Length) -> Length {
    let height = lane.lines.len() as Length * LINE + 10.0;
    page.open(&[("data-ns", lane.kind), ("data-standing", lane.standing.name())]);
    strip(page, lane.standing, lane.new, lane.kind, [top, height]);
    label(page, lane.standing, lane.kind, lane.kind, top);
    lines(page, lane.standing, &lane.lines, top);
    page.close();
    top + height
}

/// The shape of a lane: closed, or open towards the host, in whose colour it then is.
fn strip(page: &mut Canvas, standing: Standing, new: bool, kind: &str, [top, height]: [Length; 2]) {
    if standing != Standing::Shared {
        let new_class = if new { " new" } else { "" };
        page.rect([LEFT, top, LANE[1], height], 8.0, &format!("lane {} {kind}{new_class}", standing.name()));
        if new {
            page.new_tag(RIGHT, top);
        }
        return;
    }
    let (wall, end, bottom) = (HOST[0] + 0.75, RIGHT - 8.0, top + height);
    let outline =
        |from: Length| format!("M{from} {top} H{end} a8 8 0 0 1 8 8 V{} a8 8 0 0 1 -8 8 H{from}", bottom - 8.0);
    // It breaks through the walls of group and container, and not through the host's.
    page.path(outline(wall + 4.0), "inflow");
    page.path(outline(wall + 14.0), "lane shared");
}

fn label(page: &mut Canvas, standing: Standing, kind: &str, name: &str, top: Length) {
    let colour = if standing == Standing::Own { format!("ink {kind}") } else { "faint".to_string() };
    page.text([LEFT + 12.0, top + 20.0], VALUE - LEFT - 12.0, Font::Bold, &colour, name);
}

fn lines(page: &mut Canvas, standing: Standing, lines: &[Line], top: Length) {
    for (n, line) in lines.iter().enumerate() {
        let y = top + 20.0 + n as Length * LINE;
        let computed = ["hostname", "address", "route", "upper", "lower"].contains(&line.fact);
        let font = if computed { Font::Mono } else { Font::Plain };
        let colour = if standing == Standing::Own { "ink" } else { "faint" };
        page.put([VALUE, y], RIGHT - VALUE - 8.0, Anchor::Start, font, colour, &line.text, Some(line.fact));
    }
}

/// The root filesystem: a lane like the others, and its layers as slabs upon each other.
fn files(page: &mut Canvas, files: &Files, top: Length) -> Length {
    page.open(&[("data-part", "files"), ("data-standing", files.standing.name())]);
    let new_root = files.new && files.ready.is_none();
    strip(page, files.standing, new_root, "mnt", [top, LINE + 10.0]);
    label(page, files.standing, "mnt", "/", top);
    lines(page, files.standing, std::slice::from_ref(&files.place), top);
    let mut y = top + LINE + 10.0 + GAP;
    if !files.slabs.is_empty() {
        if let Some(ready) = files.ready {
            page.text([LEFT + 12.0, y + 16.0], LANE[1] - 80.0, Font::Plain, "ink", ready);
            y += 24.0;
        }
        y = slabs(page, files, y) + GAP;
    }
    page.close();
    y + 2.0
}

/// Painted from the lowest, so that each covers the top of the one below.
fn slabs(page: &mut Canvas, files: &Files, top: Length) -> Length {
    const FRONT: Length = 27.0;
    const DEEP: Length = 12.0;
    const STEP: Length = FRONT + 4.0;
    let new = files.new && files.ready.is_some();
    let new_class = if new { " new" } else { "" };
    for (n, slab) in files.slabs.iter().enumerate().rev() {
        let y = top + n as Length * STEP;
        let (a, b, c) = (LEFT, RIGHT - DEEP, RIGHT);
        let kind = format!("slab {}{new_class}", if slab.writable { "writable" } else { "read-only" });
        page.path(format!("M{a} {} L{} {y} H{c} L{b} {} Z", y + DEEP, a + DEEP, y + DEEP), &format!("{kind} top"));
        page.path(
            format!("M{b} {} L{c} {y} V{} L{b} {} Z", y + DEEP, y + FRONT, y + DEEP + FRONT),
            &format!("{kind} side"),
        );
        page.rect([a, y + DEEP, b - a, FRONT], 0.0, &kind);
        let line = y + DEEP + 18.5;
        page.text([a + 12.0, line], 60.0, Font::Bold, "ink mnt", slab.name);
        page.put(
            [VALUE, line],
            b - VALUE - 8.0,
            Anchor::Start,
            Font::Mono,
            "ink",
            &slab.path.text,
            Some(slab.path.fact),
        );
    }
    if new {
        page.new_tag(RIGHT - DEEP, top + DEEP / 2.0);
    }
    top + files.slabs.len() as Length * STEP + DEEP - 4.0
}

/// A row of holes: what is dark lets nothing through.
fn sieve(page: &mut Canvas, sieve: &Sieve, top: Length) -> Length {
    const HEIGHT: Length = 12.0;
    page.open(&[("data-part", "sieve"), ("data-closed", if sieve.closed { "true" } else { "false" })]);
    if sieve.new {
        page.rect([LEFT - 5.0, top - 2.0, LANE[1] + 10.0, 42.0], 8.0, "frame new");
        page.new_tag(RIGHT + 5.0, top - 2.0);
    }
    let ink = if sieve.closed { "ink" } else { "faint" };
    page.text([LEFT + 2.0, top + 16.0], 140.0, Font::Bold, ink, sieve.name);
    page.put(
        [RIGHT - 2.0, top + 16.0],
        224.0,
        Anchor::End,
        Font::Plain,
        ink,
        &sieve.value.text,
        Some(sieve.value.fact),
    );
    let y = top + 23.0;
    page.open(&[("data-fact", "holes")]);
    if sieve.holes.is_empty() || !sieve.closed {
        page.rect([LEFT, y, LANE[1], HEIGHT], 3.0, "hole");
    }
    let holes = match sieve.closed {
        true if sieve.holes.is_empty() => (0..48).map(|n| n % 4 == 1).collect(),
        true => sieve.holes.clone(),
        false => vec![],
    };
    let step = LANE[1] / holes.len().max(1) as Length;
    for (n, open) in holes.iter().enumerate() {
        let cell = [LEFT + n as Length * step + 0.75, y, step - 1.5, HEIGHT];
        page.rect(cell, 1.5, if *open { "hole" } else { "stop" });
    }
    page.close();
    page.close();
    top + 52.0
}
