//! What the containers of one state directory share on the host: the bridge, its subnet, our nftables table, and
//! forwarding. It is made for the first container and verified, with three cheap questions to the kernel, for every
//! later one: somebody may have flushed the rules meanwhile. It is removed a moment after the last container, by a
//! process of its own ([`leave`]): removing takes the kernel tens of milliseconds, which nobody should have to wait
//! for, and the next start may follow at once and find everything in place.

use super::Lease;
use super::addresses::{Mac, Subnet, choose};
use super::leases::{Register, Shared};
use super::link::{self, UP};
use super::nat;
use super::netlink::{Batch, Socket};
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the bridge outlives its last container.
const LINGER: Duration = Duration::from_secs(1);

/// The bridge's subnet: the one it has, or else one that overlaps nothing.
///
/// # Errors
/// When none is free.
pub fn subnet(register: &mut Register, socket: &mut Socket, bridge_is_there: bool, tag: &str) -> Result<Subnet> {
    if bridge_is_there && let Some(subnet) = register.shared.subnet {
        return Ok(subnet);
    }
    let subnet = choose(&taken(socket)?, tag)?;
    register.shared.subnet = Some(subnet);
    Ok(subnet)
}

/// What the host can reach in particular: its addresses, its routes, its resolvers.
///
/// # Errors
/// ENOBUFS.
pub fn taken(socket: &mut Socket) -> Result<Vec<Subnet>> {
    let v4 = |address: IpAddr, prefix| match address {
        IpAddr::V4(a) => Subnet::around(a, prefix),
        IpAddr::V6(_) => None,
    };
    let mut taken: Vec<Subnet> = link::addresses(socket)?.iter().filter_map(|a| v4(a.address, a.prefix)).collect();
    // A route to everywhere, or to half of it as VPNs have, is a way out and no neighbour.
    let routes = link::routes(socket)?;
    taken.extend(routes.iter().filter(|r| r.prefix >= 8).filter_map(|r| v4(r.to?, r.prefix)));
    // A resolver may be reached by the default route and yet be hidden by our subnet.
    taken.extend(super::resolver::servers().into_iter().filter_map(|a| v4(a, 32)));
    Ok(taken)
}

/// Sees to it that everything is there for this lease. Says in `notes` what stays on the machine.
///
/// # Errors
/// When the kernel lacks bridges or nf_tables, or we may not use them.
pub fn ensure(lease: &mut Lease, notes: &mut Vec<String>) -> Result<()> {
    let Some(directory) = lease.directory.clone() else { return Ok(()) };
    let mut table = nat::socket()?;
    if lease.bridge_index.is_none() || !nat::exists(&mut table, &lease.table)? {
        let mut register = Register::lock(&directory)?;
        // Before anything is made, so that a kill leaves a trail that tidy() finds.
        register.shared = Shared { made: true, subnet: Some(lease.subnet), ..register.shared };
        register.save()?;
        // Another start may have made it while this one waited for the lock.
        let found = find(&mut link::socket()?, &lease.bridge)?;
        lease.bridge_index = Some(found.map_or_else(|| make(lease), Ok)?);
        if found.is_none() || !nat::exists(&mut table, &lease.table)? {
            nat::make(&mut table, &lease.table, &lease.bridge, lease.subnet)?;
        }
    }
    if nat::switch_on_forwarding()? {
        notes.push("net.ipv4.ip_forward was 0 and is 1 now, and stays so: others may rely on it from here on".into());
    }
    Ok(())
}

/// Makes the bridge, or what is missing of it, in the network namespace of the caller; returns its number.
///
/// # Errors
/// EOPNOTSUPP without the module, EPERM.
pub fn make(lease: &Lease) -> Result<u32> {
    let mut socket = link::socket()?;
    let gateway = lease.subnet.gateway();
    let mut bridge = link::by_name(&mut socket, &lease.bridge)?;
    if bridge.is_none() {
        let mut batch = Batch::default();
        link::make_bridge(&mut batch, &lease.bridge, Mac::of(gateway));
        socket.run(batch).map_err(link::explain)?;
        bridge = link::by_name(&mut socket, &lease.bridge)?;
    }
    let bridge = bridge.ok_or_else(|| Error::new(format!("{} is gone as soon as it was made", lease.bridge)))?;
    if bridge.kind.as_deref() != Some("bridge") {
        return Err(Error::new(format!("{} is there, and it is no bridge", lease.bridge))
            .why("boxwright's bridge has this name, and somebody has given it to another link")
            .hint(format!("ip link show {}; or --root, which makes a bridge of another name", lease.bridge)));
    }
    let mut batch = Batch::default();
    // In this order: a bridge that is switched on is known to have its address.
    link::add_address(&mut batch, bridge.index, gateway, lease.subnet);
    link::switch_on(&mut batch, bridge.index, &lease.bridge);
    socket.run(batch).map_err(link::explain)?;
    Ok(bridge.index)
}

/// The number of our bridge, if it is there and switched on.
///
/// # Errors
/// Where netlink sockets are forbidden.
pub fn find(socket: &mut Socket, name: &str) -> Result<Option<u32>> {
    let found = link::by_name(socket, name)?;
    Ok(found.filter(|l| l.flags & UP != 0 && l.kind.as_deref() == Some("bridge")).map(|l| l.index))
}

/// What is to be removed after the last container.
#[derive(Debug, Clone)]
pub struct Remains {
    /// Where the leases are.
    pub directory: PathBuf,
    /// The bridge's name.
    pub bridge: String,
    /// The table's name.
    pub table: String,
}

/// After a container has given its address back: if it was the last one, has everything removed in a moment.
///
/// # Errors
/// EAGAIN when there can be no process for it; the next boxwright command tries again.
pub fn leave(register: Register, remains: Remains) -> Result<()> {
    if !register.shared.made || !register.is_empty() {
        return Ok(());
    }
    let Some(turn) = take_turn(&remains.directory) else { return Ok(()) };
    crate::sys::background::run(c"boxwright-net", vec![turn.into()], |turn| remove_when_idle(&remains, turn))
}

/// Only one process waits to remove; whoever holds this lock is it. Taken and given back under the register's lock.
fn take_turn(directory: &Path) -> Option<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(directory.join("remover")).ok()?;
    file.try_lock().is_ok().then_some(file)
}

fn remove_when_idle<T>(remains: &Remains, turn: T) {
    loop {
        let idle = Register::idle(&remains.directory);
        if idle < LINGER {
            std::thread::sleep(LINGER - idle);
            continue;
        }
        let register = Register::existing(&remains.directory, true);
        if register.as_ref().is_some_and(|r| !r.is_empty()) {
            // Whoever leaves last starts another one, which finds the turn free: it goes before the register's lock.
            drop(turn);
            return;
        }
        if Register::idle(&remains.directory) < LINGER {
            continue;
        }
        // Without a register (somebody has deleted the state directory) there is nobody who could use them.
        if remove(remains).is_ok()
            && let Some(mut register) = register
        {
            register.shared = Shared { last: register.shared.last, ..Shared::default() };
            let _ = register.save();
            drop(turn);
        }
        return;
    }
}

fn remove(remains: &Remains) -> Result<()> {
    let mut socket = link::socket()?;
    if let Some(bridge) = link::by_name(&mut socket, &remains.bridge)? {
        let mut batch = Batch::default();
        // A network namespace that somebody still holds open (nsenter) has outlived its container: cut its cable.
        for port in link::all(&mut socket)?.iter().filter(|l| l.master == Some(bridge.index)) {
            link::delete(&mut batch, &port.name);
        }
        link::delete(&mut batch, &remains.bridge);
        socket.run(batch)?;
    }
    let mut table = nat::socket()?;
    nat::remove(&mut table, &remains.table)
}
