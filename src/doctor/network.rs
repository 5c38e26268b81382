//! The network: cables, rules, forwarding, and the firewalls of others.

use super::identity::one_line;
use super::{Check, probe, read};
use crate::net::trial;
use crate::state::State;
use crate::sys::xtables;
use nix::sched::CloneFlags;
use nix::unistd::{AccessFlags, access, geteuid};

const STAGES: [&str; 1] = ["add-net"];
/// The chain of the old iptables.
const LEGACY: &str = "iptables filter FORWARD";

/// All of them.
pub fn checks(state: &State) -> Vec<Check> {
    vec![links(state), rules(state), forwarding(), firewall(state), tun()]
}

/// Tried in a network namespace of its own: nothing of it is ever on the host.
fn links(state: &State) -> Check {
    const NAME: &str = "veth and bridge";
    match probe::in_child(probe::as_this_user(CloneFlags::CLONE_NEWNET), || trial::links(state)) {
        Ok(()) => Check::ok(NAME, "made a bridge with a cable, an address and a route"),
        Err(e) => Check::ok(NAME, one_line(&e))
            .missing(&STAGES, "a container has only lo, with --network none, or the host's network")
            .remedy("as root: modprobe -a veth bridge"),
    }
}

fn rules(state: &State) -> Check {
    const NAME: &str = "nf_tables";
    match probe::in_child(probe::as_this_user(CloneFlags::CLONE_NEWNET), || trial::rules(state)) {
        Ok(()) => Check::ok(NAME, "made a table that masquerades"),
        Err(e) if geteuid().is_root() => Check::ok(NAME, one_line(&e))
            .missing(&STAGES, "no address translation, so no way out of a container")
            .remedy("as root: modprobe -a nf_tables nft_chain_nat nft_masq nft_ct"),
        Err(e) => Check::ok(NAME, one_line(&e)).limited(&STAGES, "no rules in an ordinary user's networks"),
    }
}

fn forwarding() -> Check {
    const NAME: &str = "ip_forward";
    const FILE: &str = "/proc/sys/net/ipv4/ip_forward";
    match read(FILE).as_deref() {
        Some("1") => Check::ok(NAME, "on"),
        Some(_) if !geteuid().is_root() => Check::ok(NAME, "off on the host; on in the networks that you make"),
        Some(_) if access(FILE, AccessFlags::W_OK).is_ok() => {
            Check::ok(NAME, "off; the first container with a bridge switches it on, and it stays on")
        }
        Some(_) => Check::ok(NAME, "off, and it cannot be written (/proc/sys is read-only here)")
            .limited(&STAGES, "containers reach each other and the host, and nothing else")
            .remedy("as root: sysctl -w net.ipv4.ip_forward=1   # on the host"),
        None => Check::unknown(NAME, format!("{FILE} cannot be read")),
    }
}

/// Accepting a packet in our table does not keep another chain from dropping it.
fn firewall(state: &State) -> Check {
    const NAME: &str = "firewall";
    if !geteuid().is_root() {
        return Check::ok(NAME, "concerns only root's containers: an ordinary user's packets are not forwarded");
    }
    let nft = trial::chains_that_drop_forwarded();
    let old = read("/proc/net/ip_tables_names").is_some_and(|names| names.lines().any(|n| n == "filter"));
    let old = old.then(xtables::forward_drops);
    let mut chains = nft.as_ref().cloned().unwrap_or_default();
    if old == Some(Ok(true)) {
        chains.push(LEGACY.into());
    }
    let Some(first) = chains.first() else {
        return match (nft, old) {
            (Err(e), _) => Check::unknown(NAME, one_line(&e)),
            (_, Some(Err(e))) => Check::unknown(NAME, format!("iptables cannot be read: {e:?}")),
            _ => Check::ok(NAME, "no chain drops forwarded packets by default"),
        };
    };
    let check = Check::ok(NAME, format!("dropped unless a rule lets it pass: {}", chains.join(", ")));
    check
        .limited(&STAGES, "what containers send to the world may not get there, nor the answers back")
        .remedy(open_up(first, &trial::bridge(state)))
}

/// The rules that let our bridge's packets pass a chain.
fn open_up(chain: &str, bridge: &str) -> String {
    let iptables = match chain {
        "ip filter FORWARD" => "iptables",
        LEGACY => "iptables-legacy",
        _ => {
            return format!(
                "as root: nft insert rule {chain} iifname {bridge} accept && \
                 nft insert rule {chain} oifname {bridge} ct state established,related accept"
            );
        }
    };
    format!(
        "as root: {iptables} -I FORWARD -i {bridge} -j ACCEPT && \
         {iptables} -I FORWARD -o {bridge} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
    )
}

fn tun() -> Check {
    const NAME: &str = "/dev/net/tun";
    match access(NAME, AccessFlags::R_OK | AccessFlags::W_OK) {
        Ok(()) => Check::ok(NAME, "can be opened"),
        Err(_) if geteuid().is_root() => Check::ok(NAME, "not there; root needs none"),
        Err(e) => Check::ok(NAME, format!("access() => {e:?}"))
            .limited(&STAGES, "no way out of an ordinary user's networks")
            .remedy("as root: modprobe tun; chmod 666 /dev/net/tun"),
    }
}
