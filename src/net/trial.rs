//! For `doctor`: everything that a container's network is made of, tried in a network namespace of the caller's own,
//! and a look at the chains of others that would drop what containers send.

use super::nat::{self, FORWARD};
use super::netlink::flag;
use super::nftables::{self, GETCHAIN, family};
use crate::error::Result;
use crate::state::State;
use crate::sys;
use nix::sched::CloneFlags;

/// The name of the bridge that a container here would be connected to.
pub fn bridge(state: &State) -> String {
    super::shared_names(state).0
}

/// Bridge, cable, address and route, between the caller's network namespace and one that it goes into: the caller ends
/// in another namespace, and should be a process that ends with it.
///
/// # Errors
/// The first thing that does not work.
pub fn links(state: &State) -> Result<()> {
    let lease = super::lease(state, "trial", true, |_| Ok(()))?;
    super::build_private(&lease, || sys::process::unshare(CloneFlags::CLONE_NEWNET))?;
    super::configure(super::socket()?, &lease)
}

/// Our nftables table, in the caller's network namespace.
///
/// # Errors
/// What nf_tables lacks.
pub fn rules(state: &State) -> Result<()> {
    let lease = super::lease(state, "trial", true, |_| Ok(()))?;
    nat::make(&mut nat::socket()?, &lease.table, &lease.bridge, lease.subnet)
}

/// The nftables chains of the machine (iptables-nft's are among them) that drop what is forwarded unless one of their
/// rules lets it pass: `ip filter FORWARD`.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN; when the kernel has no nf_tables.
pub fn chains_that_drop_forwarded() -> Result<Vec<String>> {
    let answers = nat::socket()?.ask(GETCHAIN, flag::DUMP, "", family(0, 0), |_| {})?;
    let chains = answers.iter().filter_map(|(_, payload)| nftables::parse_chain(payload));
    Ok(chains
        .filter(|c| c.hook == FORWARD.hook && c.drops)
        .filter_map(|c| Some(format!("{} {} {}", family_name(c.family)?, c.table, c.name)))
        .collect())
}

/// What nft calls a family, where it is one that IPv4 packets go through.
fn family_name(number: u8) -> Option<&'static str> {
    match i32::from(number) {
        libc::NFPROTO_INET => Some("inet"),
        libc::NFPROTO_IPV4 => Some("ip"),
        _ => None,
    }
}
