//! The way from the container's eth0 to the world: the cable's other end, the bridge, the rule that lends the host's
//! address.

use super::scene::{Line, Wires};
use super::{Portrait, many};
use crate::observe::Fact;

/// The wires of the portrait; none where no cable of it was seen to end in a bridge.
pub fn wires(p: &Portrait) -> Option<Wires> {
    if p.shares(Fact::NetNs) != Some(false) {
        return None;
    }
    // `bw1234 up in boxwright0`.
    let bridge = p.many(Fact::Bridge);
    let (port, name) = bridge.iter().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [port, _, "in", name] = words[..] else { return None };
        Some((port, name))
    })?;
    let address =
        bridge.iter().filter_map(|line| line.split_once(' ')).find(|(of, rest)| *of == name && rest.contains('/'));
    let address = address.map(|(_, address)| address);
    // Without root the bridge is in a namespace beside the container's. There is no such address on the host.
    let here = address.is_some_and(|a| many(&p.caller, Fact::Addresses).contains(&format!("{name} {a}")));
    let mut lines = vec![Line::new("bridge", format!("bridge {name}"))];
    lines.extend(address.map(|a| Line::new("bridge-address", a)));
    if !here {
        lines.push(Line::new("bridge-place", "in a network namespace beside it"));
    }
    // `postrouting: ip saddr 10.98.0.0/20 oifname != boxwright0 masquerade`.
    let nat = p.many(Fact::Nft).iter().find(|rule| rule.ends_with("masquerade"));
    let nat = nat.map(|rule| {
        let subnet = rule.split_once("saddr ").and_then(|(_, rest)| rest.split(' ').next()).unwrap_or("it");
        let text = if here { format!("{subnet} leaves as the host") } else { format!("masquerades {subnet}") };
        Line::new("nat", text)
    });
    let new = p.is_new(&[Fact::Bridge, Fact::NetNs]);
    Some(Wires { new, port: Line::new("port", port), bridge: lines, leads_out: here && nat.is_some(), nat })
}
