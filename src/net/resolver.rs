//! The files by which a container finds others by name: /etc/resolv.conf and /etc/hosts. A container with the host's
//! network has the host's files as they are; one with a network of its own cannot use a resolver that listens on the
//! host's loopback, because its loopback is another one.

use std::net::{IpAddr, Ipv4Addr};

const HOSTS_OWN: &str = "/etc/resolv.conf";
/// Where systemd-resolved writes the servers behind its own 127.0.0.53 (systemd-resolved.service(8)).
const BEHIND_RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// The text of /etc/resolv.conf for a container with a network of its own.
pub fn resolv_conf() -> String {
    let own = std::fs::read_to_string(HOSTS_OWN).unwrap_or_default();
    resolv_conf_from(&own, || std::fs::read_to_string(BEHIND_RESOLVED).unwrap_or_default())
}

/// If all servers are on the loopback, those behind them, if they are known. docker, when nothing is left, silently
/// writes Google's public servers in; we do not send anybody's questions where nobody has asked them to go: then the
/// container has no resolver, as its host has none that it could share.
fn resolv_conf_from(own: &str, behind: impl FnOnce() -> String) -> String {
    let loopback_only = !servers_in(own).is_empty() && servers_in(own).iter().all(|s| s.is_loopback());
    let behind = if loopback_only { behind() } else { String::new() };
    let text = if servers_in(&behind).iter().any(|s| !s.is_loopback()) { &behind } else { own };
    let reachable = |line: &&str| server(line).is_none_or(|s| !s.is_loopback());
    let plain = |line: &&str| !line.trim_start().starts_with(['#', ';']) && !line.trim().is_empty();
    text.lines().filter(plain).filter(reachable).flat_map(|line| [line, "\n"]).collect()
}

/// The server of a `nameserver` line. An IPv6 one may name a link behind a percent sign.
fn server(line: &str) -> Option<IpAddr> {
    let mut words = line.split_whitespace();
    let address = words.next().filter(|w| *w == "nameserver").and_then(|_| words.next())?;
    address.split('%').next()?.parse().ok()
}

fn servers_in(text: &str) -> Vec<IpAddr> {
    text.lines().filter_map(server).collect()
}

/// The servers that a container will ask.
pub fn servers() -> Vec<IpAddr> {
    servers_in(&resolv_conf())
}

/// The text of /etc/hosts: `localhost` in both families, and the container itself, if it has an address.
pub fn hosts(hostname: &str, address: Option<Ipv4Addr>) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n",
    );
    if let Some(address) = address {
        // The short name comes behind the full one, as hosts(5) wants it.
        let short = hostname.split_once('.').map(|(short, _)| format!(" {short}")).unwrap_or_default();
        text += &format!("{address}\t{hostname}{short}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_on_the_loopback_is_replaced_by_those_behind_it() {
        let own = "# stub\nnameserver 127.0.0.53\noptions edns0\nsearch example.org\n";
        let behind = "# real\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org\n";
        assert_eq!(
            resolv_conf_from(own, || behind.into()),
            "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org\n"
        );
    }

    #[test]
    fn without_one_behind_it_none_is_invented() {
        assert_eq!(resolv_conf_from("nameserver 127.0.0.1\nnameserver ::1\nsearch a\n", String::new), "search a\n");
        assert_eq!(resolv_conf_from("", || panic!("nobody listens on the loopback")), "");
    }

    #[test]
    fn a_reachable_one_stays_and_only_the_loopback_goes() {
        let own = "nameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n";
        let text = resolv_conf_from(own, || panic!("one is reachable"));
        assert_eq!(text, "nameserver 192.0.2.1\nnameserver fe80::1%eth0\n");
    }

    #[test]
    fn hosts_names_the_container() {
        let text = hosts("web.example.org", Some(Ipv4Addr::new(10, 98, 0, 2)));
        assert!(text.ends_with("10.98.0.2\tweb.example.org web\n"), "{text}");
        assert!(!hosts("web", None).contains("web"));
    }
}
