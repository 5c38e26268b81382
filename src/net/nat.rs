//! Our one nftables table: containers reach the world with the host's address (masquerade), and the world reaches
//! containers only with answers. One static table for all containers of a bridge: adding a rule for each would be
//! cheap, but deleting it takes 11 ms.
//!
//! Accepting a packet here does not make another table's chain accept it: a firewall that drops what is forwarded
//! (docker's, ufw's) has the last word. `doctor` looks for such a chain.

use super::addresses::Subnet;
use super::netlink::{Batch, Family, Socket, flag};
use super::nftables::{
    ESTABLISHED_RELATED, Expression, GETGEN, GETRULE, GETTABLE, Hook, Load, NFTA_RULE_TABLE, NFTA_TABLE_NAME,
    add_chain, add_rule, add_table, delete_table, family, from_subnet, ipv4, link_is, parse_rule, show, state_is,
    transaction,
};
use crate::error::{Error, Result};
use nix::errno::Errno;
use std::path::Path;

/// After routing, when it is known by which link a packet leaves; at nft's priority "srcnat".
const POSTROUTING: Hook = Hook { kind: "nat", name: "postrouting", hook: 4, priority: 100 };
/// What the host passes on between links; at nft's priority "filter".
pub const FORWARD: Hook = Hook { kind: "filter", name: "forward", hook: 2, priority: 0 };

/// The rules: chain, and what is in it.
fn rules(bridge: &str, subnet: Subnet) -> Vec<(Hook, Vec<Expression>)> {
    let masquerade =
        [from_subnet(subnet), link_is(Load::OutName, false, bridge), vec![Expression::Masquerade]].concat();
    let out = [link_is(Load::InName, true, bridge), vec![Expression::Accept]].concat();
    let answers =
        [link_is(Load::OutName, true, bridge), state_is(ESTABLISHED_RELATED), vec![Expression::Accept]].concat();
    // A neighbour of the host's who makes it its router must not reach ports that nobody has published.
    let unasked = [link_is(Load::OutName, true, bridge), vec![Expression::Drop]].concat();
    vec![(POSTROUTING, masquerade), (FORWARD, out), (FORWARD, answers), (FORWARD, unasked)]
}

/// A socket for nf_tables.
///
/// # Errors
/// EPROTONOSUPPORT when the kernel has no nfnetlink.
pub fn socket() -> Result<Socket> {
    Socket::open(Family::Netfilter).map_err(explain)
}

/// Is our table there?
///
/// # Errors
/// When the kernel has no nf_tables.
pub fn exists(socket: &mut Socket, table: &str) -> Result<bool> {
    match socket.ask(GETTABLE, 0, table, ipv4(), |a| a.string(NFTA_TABLE_NAME, table)) {
        Ok(_) => Ok(true),
        Err(e) if e.is(Errno::ENOENT) => Ok(false),
        Err(e) => Err(explain(e)),
    }
}

/// Makes our table as it should be, whatever is there of it, in one transaction.
///
/// # Errors
/// EOPNOTSUPP or ENOENT when the kernel lacks a part of nf_tables; EPERM.
pub fn make(socket: &mut Socket, table: &str, bridge: &str, subnet: Subnet) -> Result<()> {
    let old = exists(socket, table)?;
    let batch = transaction(|batch| {
        if old {
            delete_table(batch, table);
        }
        add_table(batch, table);
        add_chain(batch, table, POSTROUTING);
        add_chain(batch, table, FORWARD);
        for (hook, rule) in rules(bridge, subnet) {
            add_rule(batch, table, hook.name, &rule);
        }
    });
    socket.run(batch).map_err(explain)
}

/// Deletes our table, if it is there.
///
/// # Errors
/// EPERM.
pub fn remove(socket: &mut Socket, table: &str) -> Result<()> {
    match socket.run(transaction(|batch: &mut Batch| delete_table(batch, table))) {
        Err(e) if !e.is(Errno::ENOENT) => Err(explain(e)),
        _ => Ok(()),
    }
}

/// Our rules, as the kernel has them: `chain: rule`, as nft would show it.
///
/// # Errors
/// When the kernel has no nf_tables.
pub fn list(socket: &mut Socket, table: &str) -> Result<Vec<String>> {
    let answers = socket.ask(GETRULE, flag::DUMP, table, ipv4(), |a| a.string(NFTA_RULE_TABLE, table))?;
    let ours = answers.iter().filter_map(|(_, payload)| parse_rule(payload)).filter(|(name, ..)| name == table);
    Ok(ours.map(|(_, chain, rule)| format!("{chain}: {}", show(&rule))).collect())
}

/// Does the kernel have nf_tables? Loads the module if it is one.
///
/// # Errors
/// With the reason and the remedy, when not.
pub fn known(socket: &mut Socket) -> Result<()> {
    socket.ask(GETGEN, 0, "", family(0, 0), |_| {}).map(drop).map_err(explain)
}

fn explain(e: Error) -> Error {
    let missing = [Errno::EPROTONOSUPPORT, Errno::EAFNOSUPPORT, Errno::EOPNOTSUPP, Errno::ENOENT, Errno::EINVAL];
    missing
        .into_iter()
        .fold(e, |e, errno| {
            e.explain(
                errno,
                "the kernel lacks nf_tables, or a part of it (nft_chain_nat, nft_masq, nft_ct)",
                "modprobe -a nf_tables nft_chain_nat nft_masq nft_ct, as root; or --network none",
            )
        })
        .explain(
            Errno::EPERM,
            "only who has CAP_NET_ADMIN over a network namespace may change its rules",
            "run as the machine's root; or --network none",
        )
}

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// Lets the kernel pass packets on from one link to another (ip(7)); in the network namespace of the caller. Returns
/// whether it had to be switched on.
///
/// # Errors
/// EROFS or EACCES where /proc/sys is not ours to write.
pub fn switch_on_forwarding() -> Result<bool> {
    if std::fs::read(IP_FORWARD).is_ok_and(|text| text.starts_with(b"1")) {
        return Ok(false);
    }
    crate::sys::fs::write_file(Path::new(IP_FORWARD), "1").map(|()| true).map_err(|e| {
        e.why("containers reach the world only when the host passes their packets on")
            .hint("sysctl -w net.ipv4.ip_forward=1, as the machine's root; or --network none")
    })
}
