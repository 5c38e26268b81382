//! Where everything is: a tall, narrow page, 480 units wide, so that it can be read on a phone. The host is the outer
//! box. In it the container, whose wall is closed around what is its own; what it shares is a lane in the host's colour
//! that comes in through the wall. Around the container its cgroup, dashed; below it the kernel, which all share.

mod canvas;
mod container;
mod group;
mod wires;

pub use canvas::{Anchor, Canvas, Length, Shape};

use super::scene::Scene;
use canvas::Font;

/// The page's width.
pub const WIDTH: Length = 480.0;

/// The walls, from outside: where each begins and how wide it is.
const HOST: [Length; 2] = [10.0, 460.0];
const GROUP: [Length; 2] = [32.0, 416.0];
const CONTAINER: [Length; 2] = [40.0, 400.0];
const LANE: [Length; 2] = [50.0, 380.0];

/// A page: its shapes, and how tall it is.
#[derive(Debug)]
pub struct Page {
    /// In the order in which they are painted.
    pub shapes: Vec<Shape>,
    /// In units.
    pub height: Length,
}

/// Lays a scene out.
pub fn place(scene: &Scene) -> Page {
    let top = header(&mut Canvas::default(), scene);
    // The walls are painted before what they hold, and are as tall as that.
    let mut inner = Canvas::default();
    let inside = container::place(&mut inner, scene, group::top_of_container(scene, top + 44.0));
    let group_end = inside.bottom + 8.0;
    let mut below = Canvas::default();
    let kernel_end = kernel(&mut below, scene, inside.bottom, group_end + 24.0);
    let wires = scene.wires.as_ref().map(|w| wires::place(&mut below, w, inside.plug, kernel_end + 14.0));
    let host_end = wires.map_or(kernel_end, |w| w.bottom) + 14.0;

    let mut page = Canvas::default();
    let world = wires.filter(|w| w.leads_out).map(|w| w.bottom);
    let notes_top = host_end + if world.is_some() { 70.0 } else { 14.0 };
    let mut foot = Canvas::default();
    if let Some(from) = world {
        wires::world(&mut foot, scene.wires.as_ref().is_some_and(|w| w.new), from, host_end);
    }
    let height = notes(&mut foot, scene, notes_top) + 12.0;
    page.rect([0.0, 0.0, WIDTH, height], 14.0, "card");
    header(&mut page, scene);
    page.rect([HOST[0], top, HOST[1], host_end - top], 14.0, "host");
    page.text([HOST[0] + 16.0, top + 25.0], 60.0, Font::Bold, "ink", "host");
    page.put(
        [HOST[0] + 68.0, top + 25.0],
        360.0,
        Anchor::Start,
        Font::Mono,
        "faint",
        &scene.host[0].text,
        Some("host"),
    );
    group::place(&mut page, scene, top + 44.0, group_end);
    page.shapes.extend(inner.shapes);
    page.shapes.extend(below.shapes);
    page.shapes.extend(foot.shapes);
    Page { shapes: page.shapes, height }
}

/// The heading; returns where the host begins.
fn header(page: &mut Canvas, scene: &Scene) -> Length {
    let (number, name, sentence) = &scene.heading;
    let tag = Font::Title.width(number).min(120.0) + 16.0;
    page.rect([HOST[0] + 4.0, 14.0, tag, 30.0], 8.0, "number");
    page.put(
        [HOST[0] + 4.0 + tag / 2.0, 37.0],
        tag - 16.0,
        Anchor::Middle,
        Font::Title,
        "on-dark",
        number,
        Some("number"),
    );
    let left = HOST[0] + tag + 16.0;
    page.put([left, 37.0], WIDTH - left - 12.0, Anchor::Start, Font::Title, "ink", name, Some("name"));
    let mut y = 46.0;
    for line in Font::Plain.wrap(sentence, WIDTH - 36.0) {
        y += 19.0;
        page.text([HOST[0] + 6.0, y], WIDTH - 24.0, Font::Plain, "faint", &line);
    }
    y + 16.0
}

/// The kernel, and the calls that reach it through the container's wall.
fn kernel(page: &mut Canvas, scene: &Scene, from: Length, top: Length) -> Length {
    for x in [150.0, 240.0, 330.0] {
        page.path(format!("M{x} {} V{} m-5 -7 l5 7 l5 -7", from + 1.0, top - 3.0), "call");
    }
    page.rect([GROUP[0] - 8.0, top, GROUP[1] + 8.0, 36.0], 8.0, "kernel");
    page.text([GROUP[0] + 6.0, top + 23.0], 170.0, Font::Bold, "on-dark", "one kernel for all");
    let right = GROUP[0] + GROUP[1] - 14.0;
    page.put([right, top + 23.0], 220.0, Anchor::End, Font::Mono, "on-dark", &scene.host[1].text, Some("kernel"));
    top + 36.0
}

/// The key, and what could not be seen.
fn notes(page: &mut Canvas, scene: &Scene, top: Length) -> Length {
    let y = top + 14.0;
    page.rect([HOST[0] + 4.0, y - 12.0, 26.0, 15.0], 4.0, "swatch shared");
    page.text([HOST[0] + 38.0, y], 110.0, Font::Plain, "faint", "shared");
    page.rect([140.0, y - 12.0, 26.0, 15.0], 4.0, "lane own pid");
    page.text([174.0, y], 80.0, Font::Plain, "faint", "its own");
    if scene.staged {
        page.rect([250.0, y - 12.0, 26.0, 15.0], 4.0, "lane own pid new");
        page.text([284.0, y], 180.0, Font::Plain, "faint", "new in this stage");
    }
    let mut y = y + 6.0;
    for note in &scene.notes {
        for line in Font::Plain.wrap(note, WIDTH - 36.0) {
            y += 20.0;
            page.put([HOST[0] + 6.0, y], WIDTH - 24.0, Anchor::Start, Font::Plain, "warn", &line, Some("note"));
        }
    }
    y
}

#[cfg(test)]
mod tests;
