//! What there is to see of a network: the observer's questions to the kernel, answered in short lines. What moves by
//! itself is left out: counters, lifetimes, addresses that are still being checked, and those that IPv6 makes up.

use super::Lease;
use super::link::{self, Link, UP};
use super::nat;
use super::netlink::Socket;
use crate::error::{Error, Result};
use crate::sys;
use nix::sched::CloneFlags;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a process sees of its network namespace.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// `eth0 up veth 02:62:0a:62:00:02`.
    pub links: Vec<String>,
    /// `eth0 10.98.0.2/20`.
    pub addresses: Vec<String>,
    /// `default via 10.98.0.1 dev eth0`.
    pub routes: Vec<String>,
}

/// Looks at the network namespace of the calling process; nothing where netlink sockets are forbidden.
pub fn look() -> Seen {
    seen().unwrap_or_default()
}

fn seen() -> Result<Seen> {
    let mut socket = link::socket()?;
    let links = link::all(&mut socket)?;
    let name = |index: u32| links.iter().find(|l| l.index == index).map_or("?", |l| l.name.as_str());
    let addresses = link::addresses(&mut socket)?;
    let addresses = addresses
        .iter()
        .filter(|a| !is_made_up(a.address))
        .map(|a| format!("{} {}/{}", name(a.index), a.address, a.prefix))
        .collect();
    let mut routes: Vec<_> = link::routes(&mut socket)?;
    routes.retain(|r| r.table == u32::from(libc::RT_TABLE_MAIN) && !r.to.is_some_and(is_made_up));
    routes.sort_by_key(|r| (r.to.or(r.gateway).map(|a| a.is_ipv6()), r.to, r.prefix));
    let routes = routes.iter().map(|r| {
        let to = r.to.map_or("default".into(), |to| format!("{to}/{}", r.prefix));
        let via = r.gateway.map(|g| format!(" via {g}")).unwrap_or_default();
        let dev = r.index.map(|i| format!(" dev {}", name(i))).unwrap_or_default();
        format!("{to}{via}{dev}")
    });
    Ok(Seen { addresses, routes: routes.collect(), links: links.iter().map(show_link).collect() })
}

fn show_link(link: &Link) -> String {
    let state = if link.flags & UP != 0 { "up" } else { "down" };
    let kind = match &link.kind {
        Some(kind) => kind,
        None if link.flags & libc::IFF_LOOPBACK as u32 != 0 => "loopback",
        None => "device",
    };
    let mac = link.mac.filter(|m| m.0 != [0; 6]).map(|m| format!(" {m}")).unwrap_or_default();
    format!("{} {state} {kind}{mac}", link.name)
}

/// fe80::/10: an address that a link gives itself.
fn is_made_up(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(a) if a.is_unicast_link_local())
}

/// What only the host sees of a container's network.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// The bridge, its address, and the container's own port (others come and go).
    pub bridge: Vec<String>,
    /// The rules of our nftables table: `postrouting: ip saddr … masquerade`.
    pub rules: Vec<String>,
}

/// Looks at it: on the host, or, when the container's network is in a namespace of its own, there (`held`: the
/// descriptors that the parent keeps for it).
pub fn outside(bridge: &str, table: &str, lease: Option<&Lease>, held: &[OwnedFd]) -> Outside {
    let there = held.iter().find(|fd| sys::namespace::kind(fd.as_fd()) == Some(CloneFlags::CLONE_NEWNET));
    let seen = match there {
        Some(namespace) => look_there(namespace.as_fd(), bridge, table, lease),
        None => look_here(bridge, table, lease),
    };
    // A kernel without bridges or nf_tables has none of ours.
    seen.unwrap_or_default()
}

fn look_here(bridge: &str, table: &str, lease: Option<&Lease>) -> Result<Outside> {
    let mut socket = link::socket()?;
    let bridge = look_at_bridge(&mut socket, bridge, lease)?;
    // Without root, nf_tables does not even answer questions; and then there are no rules of ours.
    let rules = nat::socket().and_then(|mut s| nat::list(&mut s, table)).unwrap_or_default();
    Ok(Outside { bridge, rules })
}

fn look_at_bridge(socket: &mut Socket, name: &str, lease: Option<&Lease>) -> Result<Vec<String>> {
    let Some(bridge) = link::by_name(socket, name)? else { return Ok(vec![]) };
    let mut lines = vec![show_link(&bridge)];
    let addresses = link::addresses(socket)?;
    let ours = addresses.iter().filter(|a| a.index == bridge.index && !is_made_up(a.address));
    lines.extend(ours.map(|a| format!("{name} {}/{}", a.address, a.prefix)));
    if let Some(lease) = lease
        && let Some(port) = link::by_name(socket, &lease.port)?
    {
        lines.push(show_port(&port, &bridge));
    }
    Ok(lines)
}

/// The veths of the calling process's network namespace: the number of each, and the number of its other end.
pub fn plugs() -> Vec<(u32, u32)> {
    let links = link::socket().and_then(|mut s| link::all(&mut s)).unwrap_or_default();
    let veth = |l: &Link| l.kind.as_deref() == Some("veth");
    links.iter().filter(|l| veth(l)).filter_map(|l| Some((l.index, l.peer?.0))).collect()
}

/// Where the cables of another network namespace (a descriptor, and its [`plugs`]) end in ours: the bridge with its
/// address, the port, and those rules of the table that name the bridge. Nothing where no cable leads from there to us.
pub fn cables(namespace: BorrowedFd<'_>, plugs: &[(u32, u32)], table: &str) -> Outside {
    let trace = || -> Result<Outside> {
        let mut socket = link::socket()?;
        let Some(number) = link::number_of(&mut socket, namespace)? else { return Ok(Outside::default()) };
        let links = link::all(&mut socket)?;
        // The same two numbers may belong to a cable between two other namespaces: the number of ours tells.
        let veth = |l: &&Link| l.kind.as_deref() == Some("veth");
        let ends_there =
            |l: &&Link| plugs.iter().any(|&(own, peer)| (l.index, l.peer) == (peer, Some((own, Some(number)))));
        let Some(port) = links.iter().filter(veth).find(ends_there) else { return Ok(Outside::default()) };
        let Some(bridge) = links.iter().find(|l| Some(l.index) == port.master) else {
            return Ok(Outside { bridge: vec![show_link(port)], rules: vec![] });
        };
        let mut lines = vec![show_link(bridge)];
        let addresses = link::addresses(&mut socket)?;
        let ours = addresses.iter().filter(|a| a.index == bridge.index && !is_made_up(a.address));
        lines.extend(ours.map(|a| format!("{} {}/{}", bridge.name, a.address, a.prefix)));
        lines.push(show_port(port, bridge));
        let mut rules = nat::socket().and_then(|mut s| nat::list(&mut s, table)).unwrap_or_default();
        rules.retain(|rule| rule.split(' ').any(|word| word == bridge.name));
        Ok(Outside { bridge: lines, rules })
    };
    trace().unwrap_or_default()
}

fn show_port(port: &Link, bridge: &Link) -> String {
    let state = if port.flags & UP != 0 { "up" } else { "down" };
    let place = if port.master == Some(bridge.index) { "in" } else { "beside" };
    format!("{} {state} {place} {}", port.name, bridge.name)
}

/// The same in another network namespace, by a short-lived process: whoever enters a user namespace to get there
/// cannot come back.
fn look_there(namespace: BorrowedFd<'_>, bridge: &str, table: &str, lease: Option<&Lease>) -> Result<Outside> {
    let (read, write) = nix::unistd::pipe().map_err(|e| Error::call("pipe()", e))?;
    let Some(pid) = sys::process::fork()? else {
        sys::trace::listen(None);
        drop(read);
        let code = match look_inside(namespace, bridge, table, lease, File::from(write)) {
            Ok(()) => 0,
            Err(_) => 1,
        };
        sys::process::exit_now(code)
    };
    drop(write);
    let mut text = Vec::new();
    let read = File::from(read).read_to_end(&mut text);
    sys::process::wait(pid)?;
    read.map_err(|e| Error::io("read(from the process that looks)", &e))?;
    serde_json::from_slice(&text).map_err(|e| Error::new(format!("what was seen cannot be decoded: {e}")))
}

fn look_inside(
    namespace: BorrowedFd<'_>,
    bridge: &str,
    table: &str,
    lease: Option<&Lease>,
    mut answer: File,
) -> Result<()> {
    let owner = sys::namespace::owner(namespace).map_err(|e| Error::call("ioctl(NS_GET_USERNS)", e))?;
    // Our own user namespace cannot be entered again (EINVAL), and need not be.
    let _ = sys::process::setns(owner.as_fd(), CloneFlags::CLONE_NEWUSER);
    sys::process::setns(namespace, CloneFlags::CLONE_NEWNET)?;
    let seen = look_here(bridge, table, lease)?;
    let text = serde_json::to_vec(&seen).map_err(|e| Error::new(format!("what was seen cannot be encoded: {e}")))?;
    answer.write_all(&text).map_err(|e| Error::io("write(to the observer)", &e))
}
