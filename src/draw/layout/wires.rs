//! The cable from the container's network lane down to the bridge, and from there out of the host.

use super::super::scene::Wires;
use super::canvas::{Anchor, Canvas, Font, Length};
use super::{GROUP, HOST, LANE, WIDTH};

const LEFT: Length = GROUP[0] - 8.0;
const RIGHT: Length = GROUP[0] + GROUP[1];
/// The cable runs between the group's wall and the host's.
const CABLE: Length = (RIGHT + HOST[0] + HOST[1]) / 2.0;
const LINE: Length = 21.0;

/// Where it ends, and whether it leads on.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// The lower edge of the last box.
    pub bottom: Length,
    /// Out of the host?
    pub leads_out: bool,
}

/// Places cable, bridge and NAT; `plug` is where the container's end is.
pub fn place(page: &mut Canvas, wires: &Wires, plug: Length, top: Length) -> Placed {
    let new = if wires.new { " new" } else { "" };
    let (start, socket) = (LANE[0] + LANE[1], top + 20.0);
    page.open(&[("data-part", "wires")]);
    let height = wires.bridge.len() as Length * LINE + 14.0;
    page.rect([LEFT, top, RIGHT - LEFT, height], 8.0, &format!("device net{new}"));
    let c = CABLE;
    page.path(
        format!("M{start} {plug} H{} q10 0 10 10 V{} q0 10 -10 10 H{RIGHT}", c - 10.0, socket - 10.0),
        &format!("cable{new}"),
    );
    for (x, y) in [(start, plug), (RIGHT, socket)] {
        page.rect([x - 6.0, y - 7.0, 12.0, 14.0], 3.0, &format!("plug{new}"));
    }
    for (n, line) in wires.bridge.iter().enumerate() {
        let y = top + 24.0 + n as Length * LINE;
        let (font, room) = if n == 0 { (Font::Bold, 230.0) } else { (Font::Mono, 390.0) };
        let font = if line.fact == "bridge-place" { Font::Plain } else { font };
        page.put([LEFT + 14.0, y], room, Anchor::Start, font, "ink", &line.text, Some(line.fact));
    }
    let port = [RIGHT - 16.0, top + 24.0];
    page.put(port, 160.0, Anchor::End, Font::Mono, "faint", &wires.port.text, Some(wires.port.fact));
    if wires.new {
        page.new_tag(RIGHT - 4.0, top);
    }
    let mut bottom = top + height;
    if let Some(nat) = &wires.nat {
        page.path(format!("M{} {bottom} v12", WIDTH / 2.0), &format!("cable{new}"));
        bottom += 12.0;
        page.rect([LEFT, bottom, RIGHT - LEFT, 34.0], 8.0, &format!("device net{new}"));
        page.text([LEFT + 14.0, bottom + 22.0], 46.0, Font::Bold, "ink net", "NAT");
        let room = RIGHT - LEFT - 80.0;
        page.put([LEFT + 64.0, bottom + 22.0], room, Anchor::Start, Font::Plain, "ink", &nat.text, Some(nat.fact));
        bottom += 34.0;
    }
    if !wires.leads_out {
        bottom += 22.0;
        let end = [WIDTH / 2.0, bottom - 4.0];
        page.put(
            end,
            400.0,
            Anchor::Middle,
            Font::Plain,
            "faint",
            "no way was seen that leads on from here",
            Some("way"),
        );
    }
    page.close();
    Placed { bottom, leads_out: wires.leads_out }
}

/// What is outside of the host.
pub fn world(page: &mut Canvas, new: bool, from: Length, host_end: Length) {
    let (x, y) = (WIDTH / 2.0, host_end + 22.0);
    page.path(format!("M{x} {from} V{y}"), if new { "cable new" } else { "cable" });
    page.rect([x - 70.0, y, 140.0, 30.0], 15.0, "world");
    page.put([x, y + 20.0], 120.0, Anchor::Middle, Font::Bold, "ink", "the world", None);
}
