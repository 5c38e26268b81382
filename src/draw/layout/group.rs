//! The cgroup: a dashed wall around the container, with its limits above.

use super::super::scene::{Gauge, Group, Scene, Standing};
use super::canvas::{Anchor, Canvas, Font, Length};
use super::{CONTAINER, GROUP};

const ROW: Length = 24.0;
const BAR: Length = 14.0;
const NOTE: Length = 19.0;
/// Where values begin.
const VALUE: Length = GROUP[0] + 100.0;
const END: Length = GROUP[0] + GROUP[1] - 14.0;

fn height(gauge: &Gauge) -> Length {
    2.0 * pad(gauge)
        + ROW
        + if gauge.level.is_some() { BAR } else { 0.0 }
        + if gauge.note.is_some() { NOTE } else { 0.0 }
}

/// What a stage has added has a frame, which wants some room.
fn pad(gauge: &Gauge) -> Length {
    if gauge.new { 9.0 } else { 0.0 }
}

/// Where the container begins, when the group begins at `top`.
pub fn top_of_container(scene: &Scene, top: Length) -> Length {
    let gauges = &scene.group.gauges;
    let all: Length = gauges.iter().map(height).sum();
    top + 36.0 + if gauges.is_empty() { 0.0 } else { all + 6.0 }
}

/// Paints both walls, and the limits.
pub fn place(page: &mut Canvas, scene: &Scene, top: Length, bottom: Length) {
    let group = &scene.group;
    let new = if group.new { " new" } else { "" };
    page.open(&[("data-part", "cgroup"), ("data-standing", group.standing.name())]);
    page.rect([GROUP[0], top, GROUP[1], bottom - top], 12.0, &format!("group {}{new}", group.standing.name()));
    title(page, group, top);
    let mut y = top + 36.0;
    for gauge in &group.gauges {
        place_gauge(page, gauge, y);
        y += height(gauge);
    }
    page.close();
    let start = top_of_container(scene, top);
    page.rect([CONTAINER[0], start, CONTAINER[1], bottom - 8.0 - start], 10.0, "container");
}

fn title(page: &mut Canvas, group: &Group, top: Length) {
    let colour = if group.standing == Standing::Own { "ink cgroup" } else { "faint" };
    page.text([GROUP[0] + 14.0, top + 24.0], 84.0, Font::Bold, colour, "cgroup");
    let font = if group.standing == Standing::Own { Font::Mono } else { Font::Plain };
    let ink = if group.standing == Standing::Own { "ink" } else { "faint" };
    page.put([VALUE, top + 24.0], END - VALUE, Anchor::Start, font, ink, &group.path.text, Some(group.path.fact));
    if group.new {
        page.new_tag(GROUP[0] + GROUP[1], top);
    }
}

fn place_gauge(page: &mut Canvas, gauge: &Gauge, top: Length) {
    let ink = if gauge.own { "ink" } else { "faint" };
    page.open(&[("data-gauge", gauge.name)]);
    if gauge.new {
        let frame = [GROUP[0] + 7.0, top + 5.0, GROUP[1] - 14.0, height(gauge) - 9.0];
        page.rect(frame, 7.0, "frame new");
        page.new_tag(frame[0] + frame[2] + 4.0, frame[1]);
    }
    let top = top + pad(gauge);
    let y = top + 16.0;
    page.text([GROUP[0] + 14.0, y], 84.0, Font::Bold, ink, gauge.name);
    let used = gauge.used.as_ref().map_or(0.0, |_| 118.0);
    let font = if gauge.own { Font::Mono } else { Font::Plain };
    let room = END - VALUE - used;
    page.put([VALUE, y], room, Anchor::Start, font, ink, &gauge.limit.text, Some(gauge.limit.fact));
    if let Some(line) = &gauge.used {
        page.put([END, y], 116.0, Anchor::End, Font::Plain, "faint", &line.text, Some(line.fact));
    }
    if let Some(note) = &gauge.note {
        let room = END - VALUE;
        page.put([VALUE, y + NOTE], room, Anchor::Start, Font::Plain, "faint", &note.text, Some(note.fact));
    }
    if let Some(level) = gauge.level {
        let (y, width) = (top + 23.0, END - VALUE);
        page.rect([VALUE, y, width, 9.0], 4.5, "bar");
        page.open(&[("data-fact", "level")]);
        // What is in use at all can be seen.
        page.rect([VALUE, y, (width * level).max(5.0), 9.0], 4.5, if gauge.name == "cpu" { "quota" } else { "level" });
        page.close();
    }
    page.close();
}
