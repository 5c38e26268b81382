//! Networks, without a daemon and without other programs: the kernel is asked over netlink. A container's wiring is a
//! [`Lease`]: a port in a bridge that all containers of a state directory share, and an address.
//!
//! An ordinary user may not touch the host's network. There the same bridge, cable and rules are made in a network
//! namespace that belongs to the container's own user namespace, beside the one in which the container lives; the
//! parent holds it open.

pub mod addresses;
mod bridge;
mod leases;
mod link;
mod look;
mod nat;
mod netlink;
mod nftables;
mod resolver;
pub mod trial;

pub use look::{Outside, Seen, look, plugs};
pub use resolver::{hosts, resolv_conf};

use crate::error::{Error, Result};
use crate::journal::Made;
use crate::primitive::Lack;
use crate::state::State;
use addresses::{Mac, Subnet};
use leases::Register;
use netlink::{Batch, Socket};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// A container's place in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Our bridge.
    pub bridge: String,
    /// Our nftables table.
    pub table: String,
    /// The end of the container's cable that is in the bridge.
    pub port: String,
    /// The bridge's subnet.
    pub subnet: Subnet,
    /// The container's address.
    pub address: Ipv4Addr,
    /// Where leases are kept; none: the whole network is in a namespace of the container's own user namespace.
    pub directory: Option<PathBuf>,
    /// The bridge's number, once it is known; nothing that a later process could rely on.
    #[serde(skip)]
    bridge_index: Option<u32>,
    /// Has this process seen to it that bridge, rules and forwarding are there?
    #[serde(skip)]
    ensured: bool,
}

impl Lease {
    /// The bridge's address: the container's way out.
    pub fn gateway(&self) -> Ipv4Addr {
        self.subnet.gateway()
    }

    /// The container's hardware address.
    pub fn mac(&self) -> Mac {
        Mac::of(self.address)
    }

    /// Is the network in a namespace of the container's own user namespace?
    pub fn is_private(&self) -> bool {
        self.directory.is_none()
    }

    /// Has [`ensure_shared`] been here?
    pub fn is_ensured(&self) -> bool {
        self.ensured
    }
}

/// The names of what the containers of a state directory share: bridge and nftables table. A link's name has at most
/// 15 characters.
fn shared_names(state: &State) -> (String, String) {
    let tag = state.tag();
    let bridge = if tag.is_empty() { "boxwright0".into() } else { format!("bw0{tag}") };
    (bridge, format!("boxwright{tag}"))
}

/// An address for a container. `journal` writes the lease down before it is taken.
///
/// # Errors
/// When no subnet or no address is free, or the state directory cannot be written.
pub fn lease(state: &State, id: &str, private: bool, journal: impl FnOnce(&Lease) -> Result<()>) -> Result<Lease> {
    let (bridge, table) = shared_names(state);
    let mut socket = link::socket()?;
    let directory = state.run.join("net");
    let mut lease = Lease {
        port: format!("bw{id}"),
        subnet: Subnet::default(),
        address: Ipv4Addr::UNSPECIFIED,
        directory: (!private).then(|| directory.clone()),
        bridge_index: None,
        ensured: false,
        bridge,
        table,
    };
    if private {
        // Nobody shares it; yet what the host can reach must not be hidden by it.
        lease.subnet = addresses::choose(&bridge::taken(&mut socket)?, &state.tag())?;
        lease.address = lease.subnet.after(None).next().unwrap_or(Ipv4Addr::UNSPECIFIED);
        journal(&lease)?;
        return Ok(lease);
    }
    let mut register = Register::lock(&directory)?;
    lease.bridge_index = bridge::find(&mut socket, &lease.bridge)?;
    lease.subnet = bridge::subnet(&mut register, &mut socket, lease.bridge_index.is_some(), &state.tag())?;
    register.take(lease.subnet, id, |address| {
        lease.address = address;
        journal(&lease)
    })?;
    Ok(lease)
}

/// Sees to it that what all containers share is there; says in `notes` what of it stays on the machine for good.
///
/// # Errors
/// When the kernel lacks a part of it, or we may not make it.
pub fn ensure_shared(lease: &mut Lease, notes: &mut Vec<String>) -> Result<()> {
    bridge::ensure(lease, notes)?;
    lease.ensured = true;
    Ok(())
}

/// A socket to the caller's network namespace, for whoever is to configure that.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn socket() -> Result<OwnedFd> {
    link::socket().map(Socket::into_fd)
}

/// Connects the network namespace of process `pid` with the bridge, and configures it by its own socket `inside`.
///
/// # Errors
/// EOPNOTSUPP without veth, EXFULL when the bridge is full, EPERM.
pub fn connect(lease: &Lease, pid: Pid, inside: OwnedFd) -> Result<()> {
    let mut socket = link::socket()?;
    let index = match lease.bridge_index {
        Some(index) => index,
        None => bridge::find(&mut socket, &lease.bridge)?.unwrap_or(0),
    };
    match plug_in(&mut socket, lease, index, pid) {
        // A container that was started before: the kernel takes a dead network namespace apart in its own time, and the
        // cable of the last run is still there. Nobody but this container, whose journal we have, has one of that name.
        Err(e) if e.is(nix::errno::Errno::EEXIST) => {
            let mut batch = Batch::default();
            link::delete(&mut batch, &lease.port);
            // It may have gone by itself just now.
            let _ = socket.run(batch);
            plug_in(&mut socket, lease, index, pid)?;
        }
        plugged => plugged?,
    }
    configure(inside, lease)
}

// ANCHOR: cable
fn plug_in(socket: &mut Socket, lease: &Lease, bridge: u32, pid: Pid) -> Result<()> {
    let mut batch = Batch::default();
    link::make_veth(&mut batch, &lease.port, bridge, lease.mac(), pid.as_raw());
    link::switch_on_named(&mut batch, &lease.port);
    socket.run(batch).map_err(link::explain)
}
// ANCHOR_END: cable

/// Inside a network namespace with nothing but `lo`: switches that on.
///
/// # Errors
/// EPERM.
pub fn configure_lo() -> Result<()> {
    let mut batch = Batch::default();
    link::switch_on_lo(&mut batch);
    link::socket()?.run(batch).map_err(link::explain)
}

/// In the network namespace of this socket, which is connected: `lo` and `eth0` on, the address, the way out.
///
/// # Errors
/// ENODEV when there is no eth0.
pub fn configure(inside: OwnedFd, lease: &Lease) -> Result<()> {
    let mut socket = Socket::from(inside);
    // Asked for, because it is not always the 2 behind lo's 1: where tunnel modules are loaded, every new namespace is
    // born with a tunl0, sit0…
    let eth0 = link::by_name(&mut socket, "eth0")?.ok_or_else(|| Error::new("eth0 has not arrived"))?.index;
    let mut batch = Batch::default();
    link::switch_on_lo(&mut batch);
    link::switch_on(&mut batch, eth0, "eth0");
    link::add_address(&mut batch, eth0, lease.address, lease.subnet);
    link::add_default_route(&mut batch, eth0, lease.gateway());
    socket.run(batch).map_err(link::explain)
}

/// Without root: makes the bridge and the rules in the network namespace of the caller, lets `enter` go to the one in
/// which the container is to live, and connects the two.
///
/// # Errors
/// As [`connect`].
pub fn build_private(lease: &Lease, enter: impl FnOnce() -> Result<()>) -> Result<()> {
    // It stays with the namespace in which it is opened.
    let mut socket = link::socket()?;
    let index = bridge::make(lease)?;
    // Nothing leads out of there yet, so that a kernel that keeps nf_tables from users takes nothing away.
    let _ = nat::socket().and_then(|mut s| nat::make(&mut s, &lease.table, &lease.bridge, lease.subnet));
    let _ = nat::switch_on_forwarding();
    enter()?;
    plug_in(&mut socket, lease, index, Pid::this())
}

/// Takes back what a container had of the network. Its cable goes with its network namespace.
///
/// # Errors
/// When there can be no process to remove the bridge after the last container.
pub fn release(made: &Made) -> Result<()> {
    let Some(lease) = &made.net else { return Ok(()) };
    let Some(directory) = &lease.directory else { return Ok(()) };
    let Some(register) = Register::existing(directory, true) else { return Ok(()) };
    register.give_back(lease.address, &made.id);
    let (directory, bridge, table) = (directory.clone(), lease.bridge.clone(), lease.table.clone());
    bridge::leave(register, bridge::Remains { directory, bridge, table })
}

/// For every command: if a kill has left the bridge and the rules without any container, has them removed. Costs two
/// system calls where there is nothing to do.
pub fn tidy(state: &State) {
    // A register that somebody else is working with is in good hands.
    if let Some(register) = Register::existing(&state.run.join("net"), false) {
        let (bridge, table) = shared_names(state);
        // What cannot be removed now is found by the next command.
        let _ = bridge::leave(register, bridge::Remains { directory: state.run.join("net"), bridge, table });
    }
}

/// What only the host sees: the bridge with its address and the container's port, and our nftables rules; where the
/// network is in a namespace of its own (one of the parent's `held` descriptors), those in there.
pub fn outside(state: &State, made: &Made, held: &[OwnedFd]) -> Outside {
    let (bridge, table) = shared_names(state);
    look::outside(&bridge, &table, made.net.as_ref(), held)
}

/// The same for a network namespace that need not be of our making (a descriptor, and its [`plugs`]): where its cables
/// end in ours.
pub fn cables(state: &State, namespace: BorrowedFd<'_>, plugs: &[(u32, u32)]) -> Outside {
    look::cables(namespace, plugs, &shared_names(state).1)
}

/// Can this kernel make cables and bridges, and let us?
///
/// # Errors
/// The reason why not, and the remedy.
pub fn probe_links() -> std::result::Result<(), Lack> {
    let known =
        link::socket().and_then(|mut s| link::knows(&mut s, "veth").and_then(|()| link::knows(&mut s, "bridge")));
    known.map_err(lack)
}

/// Does this kernel have nf_tables?
///
/// # Errors
/// The reason why not, and the remedy.
pub fn probe_nftables() -> std::result::Result<(), Lack> {
    nat::socket().and_then(|mut s| nat::known(&mut s)).map_err(lack)
}

fn lack(e: Error) -> Lack {
    let call = match e.errno() {
        Some(errno) => format!("{} => {errno:?}", e.what),
        None => e.what,
    };
    let reason = e.why.map(|why| format!("{why} ({call})")).unwrap_or(call);
    Lack { reason, remedy: e.hint.unwrap_or_else(|| "--network none or host".into()) }
}
