//! Links, addresses and routes: rtnetlink's messages (rtnetlink(7)), each as a function that adds one to a batch.
//!
//! A veth pair is a cable with a plug at each end. It is made in *one* message, with one plug in our bridge and the
//! other born inside the container's network namespace: moving a device to another namespace afterwards makes the
//! kernel wait until no processor can still be using it there, which takes some 25 ms (synchronize_net).

use super::addresses::{Mac, Subnet};
use super::netlink::{Answer, Attributes, Batch, Family, Fixed, Name, Socket, find, flag, names, string, u32_at};
use crate::error::{Error, Result};
use nix::errno::Errno;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

names! {
    RTM_NEWLINK = 16, RTM_DELLINK = 17, RTM_GETLINK = 18,
    RTM_NEWADDR = 20, RTM_GETADDR = 22,
    RTM_NEWROUTE = 24, RTM_GETROUTE = 26,
    IFLA_ADDRESS = 1, IFLA_IFNAME = 3, IFLA_LINK = 5, IFLA_MASTER = 10, IFLA_LINKINFO = 18, IFLA_NET_NS_PID = 19, IFLA_AF_SPEC = 26,
    IFLA_EXT_MASK = 29, IFLA_LINK_NETNSID = 37,
    RTM_GETNSID = 90, NETNSA_NSID = 1, NETNSA_FD = 3,
    IFLA_NUM_TX_QUEUES = 31, IFLA_NUM_RX_QUEUES = 32,
    IFLA_INFO_KIND = 1, IFLA_INFO_DATA = 2,
    VETH_INFO_PEER = 1,
    AF_INET6 = 10, IFLA_INET6_ADDR_GEN_MODE = 8,
    IFA_ADDRESS = 1, IFA_LOCAL = 2, IFA_BROADCAST = 4,
    RTA_DST = 1, RTA_OIF = 4, RTA_GATEWAY = 5, RTA_TABLE = 15,
}

/// `lo`'s number in every network namespace (the kernel's LOOPBACK_IFINDEX).
pub const LO: u32 = 1;

/// IFF_UP: the link is switched on.
pub const UP: u32 = libc::IFF_UP as u32;

const ADDR_GEN_MODE_NONE: u8 = 1;

/// struct ifinfomsg: which link, and which of its flags are to change (all that are given; none are cleared).
fn ifinfo(index: u32, flags: u32) -> Fixed {
    let mut bytes = vec![0; 4];
    bytes.extend(index.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    let up = if flags & UP != 0 { "IFF_UP" } else { "0" };
    let text = format!(
        "{{ifi_family=AF_UNSPEC, ifi_type=ARPHRD_NETROM, ifi_index={index}, ifi_flags={up}, ifi_change={flags:#x}}}"
    );
    Fixed { bytes, text }
}

/// No address from the link's own number (fe80::…): a container has IPv4 only, and such an address would appear a
/// second later by itself, after the kernel has asked the network whether it is free.
fn no_ipv6(a: &mut Attributes) {
    a.nest(IFLA_AF_SPEC, |a| a.nest(AF_INET6, |a| a.u8(IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_MODE_NONE)));
}

/// A bridge: a switch made of software. Its address is set, or it would take that of one of its ports and change it
/// as they come and go.
pub fn make_bridge(batch: &mut Batch, name: &str, mac: Mac) {
    let about = format!("bridge {name}");
    batch.add(RTM_NEWLINK, flag::CREATE, &about, ifinfo(0, 0), |a| {
        a.string(IFLA_IFNAME, name);
        a.bytes(IFLA_ADDRESS, &mac.0, mac);
        a.nest(IFLA_LINKINFO, |a| a.string(IFLA_INFO_KIND, "bridge"));
    });
}

/// Both ends of a veth pair: `port` in the bridge, `eth0` in the network namespace of process `pid`. `eth0` must not
/// be up yet: the kernel opens it before the other end exists (ENOTCONN).
pub fn make_veth(batch: &mut Batch, port: &str, bridge: u32, mac: Mac, pid: i32) {
    let one_queue = |a: &mut Attributes| {
        // The default is one for each processor, which a cable does not need and which costs memory and time.
        a.u32(IFLA_NUM_TX_QUEUES, 1);
        a.u32(IFLA_NUM_RX_QUEUES, 1);
    };
    let about = format!("veth {port} with eth0 for process {pid}");
    batch.add(RTM_NEWLINK, flag::CREATE | flag::EXCL, &about, ifinfo(0, 0), |a| {
        a.string(IFLA_IFNAME, port);
        one_queue(a);
        a.u32(IFLA_MASTER, bridge);
        a.nest(IFLA_LINKINFO, |a| {
            a.string(IFLA_INFO_KIND, "veth");
            a.nest(IFLA_INFO_DATA, |a| {
                a.nest_after(VETH_INFO_PEER, &ifinfo(0, 0), |a| {
                    a.string(IFLA_IFNAME, "eth0");
                    a.bytes(IFLA_ADDRESS, &mac.0, mac);
                    one_queue(a);
                    a.u32(IFLA_NET_NS_PID, pid as u32);
                });
            });
        });
    });
}

/// Switches a link on, without IPv6 addresses that nobody asked for.
pub fn switch_on(batch: &mut Batch, index: u32, name: &str) {
    batch.add(RTM_NEWLINK, 0, &format!("{name} up"), ifinfo(index, UP), no_ipv6);
}

/// The same by name, for a link whose number is not known.
pub fn switch_on_named(batch: &mut Batch, name: &str) {
    batch.add(RTM_NEWLINK, 0, &format!("{name} up"), ifinfo(0, UP), |a| {
        a.string(IFLA_IFNAME, name);
        no_ipv6(a);
    });
}

/// Switches `lo` on: 127.0.0.1 and ::1 come with it.
pub fn switch_on_lo(batch: &mut Batch) {
    batch.add(RTM_NEWLINK, 0, "lo up", ifinfo(LO, UP), |_| {});
}

/// Deletes a link; a bridge lets go of its ports.
pub fn delete(batch: &mut Batch, name: &str) {
    batch.add(RTM_DELLINK, 0, name, ifinfo(0, 0), |a| a.string(IFLA_IFNAME, name));
}

/// Gives a link an address; the route to its subnet comes with it.
pub fn add_address(batch: &mut Batch, index: u32, address: Ipv4Addr, subnet: Subnet) {
    let mut bytes = vec![libc::AF_INET as u8, subnet.prefix(), 0, 0];
    bytes.extend(index.to_ne_bytes());
    let text = format!(
        "{{ifa_family=AF_INET, ifa_prefixlen={}, ifa_flags=0, ifa_scope=RT_SCOPE_UNIVERSE, ifa_index={index}}}",
        subnet.prefix()
    );
    let about = format!("{address}/{}", subnet.prefix());
    let inet = |address: Ipv4Addr| format!("inet_addr(\"{address}\")");
    batch.add(RTM_NEWADDR, flag::CREATE | flag::REPLACE, &about, Fixed { bytes, text }, |a| {
        a.bytes(IFA_LOCAL, &address.octets(), inet(address));
        a.bytes(IFA_ADDRESS, &address.octets(), inet(address));
        a.bytes(IFA_BROADCAST, &subnet.last().octets(), inet(subnet.last()));
    });
}

/// The default route.
pub fn add_default_route(batch: &mut Batch, index: u32, gateway: Ipv4Addr) {
    let [family, table, protocol, scope, kind] =
        [libc::AF_INET as u8, libc::RT_TABLE_MAIN, libc::RTPROT_BOOT, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST];
    let bytes = vec![family, 0, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0];
    let text = "{rtm_family=AF_INET, rtm_dst_len=0, rtm_src_len=0, rtm_tos=0, rtm_table=RT_TABLE_MAIN, \
                rtm_protocol=RTPROT_BOOT, rtm_scope=RT_SCOPE_UNIVERSE, rtm_type=RTN_UNICAST, rtm_flags=0}";
    let about = format!("default via {gateway}");
    batch.add(RTM_NEWROUTE, flag::CREATE | flag::EXCL, &about, Fixed { bytes, text: text.into() }, |a| {
        a.bytes(RTA_GATEWAY, &gateway.octets(), format!("inet_addr(\"{gateway}\")"));
        a.u32(RTA_OIF, index);
    });
}

/// A link, as far as we care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number in its network namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `veth`, `bridge`…; none for a physical one and for `lo`.
    pub kind: Option<String>,
    /// IFF_UP and others.
    pub flags: u32,
    /// The bridge in which it is a port.
    pub master: Option<u32>,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// A veth's other end: its number, and by which number our network namespace knows the one in which it is (none:
    /// in ours, too).
    pub peer: Option<(u32, Option<u32>)>,
}

fn parse_link((_, payload): &Answer) -> Option<Link> {
    let attributes = payload.get(16..)?;
    let kind = find(attributes, IFLA_LINKINFO.number).and_then(|info| string(find(info, IFLA_INFO_KIND.number)?));
    Some(Link {
        index: u32_at(payload, 4)?,
        name: string(find(attributes, IFLA_IFNAME.number)?)?,
        kind,
        flags: u32_at(payload, 8)?,
        master: find(attributes, IFLA_MASTER.number).and_then(|v| u32_at(v, 0)),
        mac: find(attributes, IFLA_ADDRESS.number).and_then(|v| v.try_into().ok()).map(Mac),
        peer: find(attributes, IFLA_LINK.number).and_then(|v| u32_at(v, 0)).map(|index| {
            let there = find(attributes, IFLA_LINK_NETNSID.number).and_then(|v| u32_at(v, 0));
            (index, there)
        }),
    })
}

/// The link of that name.
///
/// # Errors
/// Only what is no plain "there is none".
pub fn by_name(socket: &mut Socket, name: &str) -> Result<Option<Link>> {
    const RTEXT_FILTER_SKIP_STATS: u32 = 8;
    let fill = |a: &mut Attributes| {
        a.string(IFLA_IFNAME, name);
        a.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    };
    match socket.ask(RTM_GETLINK, 0, name, ifinfo(0, 0), fill) {
        Ok(answers) => Ok(answers.first().and_then(parse_link)),
        Err(e) if e.is(Errno::ENODEV) => Ok(None),
        Err(e) => Err(e),
    }
}

/// All links, by number.
///
/// # Errors
/// ENOBUFS.
pub fn all(socket: &mut Socket) -> Result<Vec<Link>> {
    let answers = socket.ask(RTM_GETLINK, flag::DUMP, "", ifinfo(0, 0), |_| {})?;
    let mut links: Vec<Link> = answers.iter().filter_map(parse_link).collect();
    links.sort_by_key(|l| l.index);
    Ok(links)
}

/// The number by which our network namespace knows another one (`namespace`: a descriptor of it); none: not at all, so
/// that no cable of ours leads there.
///
/// # Errors
/// EBADF.
pub fn number_of(socket: &mut Socket, namespace: BorrowedFd<'_>) -> Result<Option<u32>> {
    // struct rtgenmsg: a family, and what aligns it.
    let fixed = Fixed { bytes: vec![0; 4], text: "{rtgen_family=AF_UNSPEC}".into() };
    let fd = namespace.as_raw_fd() as u32;
    let answers = socket.ask(RTM_GETNSID, 0, "", fixed, |a| a.u32(NETNSA_FD, fd))?;
    let number = |(_, payload): &Answer| u32_at(find(payload.get(4..)?, NETNSA_NSID.number)?, 0);
    // -1, NETNSA_NSID_NOT_ASSIGNED.
    Ok(answers.first().and_then(number).filter(|n| *n != u32::MAX))
}

/// An address of a link, in either family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The link's number.
    pub index: u32,
    /// The address itself.
    pub address: std::net::IpAddr,
    /// How many bits of it name the subnet.
    pub prefix: u8,
}

/// All addresses that are in use now (not those that the kernel is still checking).
///
/// # Errors
/// ENOBUFS.
pub fn addresses(socket: &mut Socket) -> Result<Vec<Address>> {
    let fixed = Fixed { bytes: vec![0; 8], text: "{ifa_family=AF_UNSPEC, ...}".into() };
    let answers = socket.ask(RTM_GETADDR, flag::DUMP, "", fixed, |_| {})?;
    Ok(answers.iter().filter_map(parse_address).collect())
}

fn parse_address((_, payload): &Answer) -> Option<Address> {
    const IFA_F_TENTATIVE: u8 = 0x40;
    let attributes = payload.get(8..)?;
    if payload[2] & IFA_F_TENTATIVE != 0 {
        return None;
    }
    // On a point-to-point link IFA_ADDRESS is the other end's.
    let value = find(attributes, IFA_LOCAL.number).or_else(|| find(attributes, IFA_ADDRESS.number))?;
    Some(Address { index: u32_at(payload, 4)?, address: ip(value)?, prefix: payload[1] })
}

fn ip(value: &[u8]) -> Option<std::net::IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(std::net::IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(value).map(std::net::IpAddr::from)).ok()
}

/// A route to somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to; none: everywhere.
    pub to: Option<std::net::IpAddr>,
    /// How many bits of `to` count.
    pub prefix: u8,
    /// The next router.
    pub gateway: Option<std::net::IpAddr>,
    /// The link's number.
    pub index: Option<u32>,
    /// The routing table.
    pub table: u32,
}

/// All unicast routes of all tables but `local`, in both families.
///
/// # Errors
/// ENOBUFS.
pub fn routes(socket: &mut Socket) -> Result<Vec<Route>> {
    let fixed = Fixed { bytes: vec![0; 12], text: "{rtm_family=AF_UNSPEC, ...}".into() };
    let answers = socket.ask(RTM_GETROUTE, flag::DUMP, "", fixed, |_| {})?;
    Ok(answers.iter().filter_map(parse_route).collect())
}

fn parse_route((_, payload): &Answer) -> Option<Route> {
    const RTM_F_CLONED: u32 = 0x200;
    let attributes = payload.get(12..)?;
    let get = |name: Name| find(attributes, name.number);
    let table = get(RTA_TABLE).and_then(|v| u32_at(v, 0)).unwrap_or(payload[4].into());
    let cached = u32_at(payload, 8)? & RTM_F_CLONED != 0;
    if payload[7] != libc::RTN_UNICAST || table == u32::from(libc::RT_TABLE_LOCAL) || cached {
        return None;
    }
    Some(Route {
        to: get(RTA_DST).and_then(ip),
        prefix: payload[1],
        gateway: get(RTA_GATEWAY).and_then(ip),
        index: get(RTA_OIF).and_then(|v| u32_at(v, 0)),
        table,
    })
}

/// A socket for rtnetlink.
///
/// # Errors
/// EPROTONOSUPPORT, in a sandbox that has no network at all.
pub fn socket() -> Result<Socket> {
    Socket::open(Family::Route)
}

/// Does the kernel know this kind of link? Loads the module if it is one. Asks for a link with no queue, which the
/// kernel refuses (EINVAL) just after it has found the kind, and before it has made anything.
///
/// # Errors
/// EOPNOTSUPP: it does not; EPERM: we may not make links here.
pub fn knows(socket: &mut Socket, kind: &str) -> Result<()> {
    let mut batch = Batch::default();
    batch.add(RTM_NEWLINK, flag::CREATE | flag::EXCL, kind, ifinfo(0, 0), |a| {
        a.u32(IFLA_NUM_TX_QUEUES, 0);
        a.nest(IFLA_LINKINFO, |a| a.string(IFLA_INFO_KIND, kind));
    });
    match socket.run(batch) {
        Err(e) if e.is(Errno::EINVAL) => Ok(()),
        Ok(()) => Err(Error::new(format!("the kernel made a {kind} without queues"))),
        Err(e) => Err(explain(e)),
    }
}

/// Reason and remedy for what rtnetlink says no to.
pub fn explain(e: Error) -> Error {
    e.explain(
        Errno::EOPNOTSUPP,
        "the kernel has no such kind of link: its module is not there, or may not be loaded from here",
        "modprobe -a veth bridge, as root; or --network none",
    )
    .explain(
        Errno::EPERM,
        "only who has CAP_NET_ADMIN over a network namespace may change it, and here somebody took that away",
        "run as the machine's root, or as an ordinary user (boxwright then makes a network of its own); or --network none",
    )
    .explain(
        Errno::EXFULL,
        "a bridge has room for 1023 ports, and ours is full",
        "end some containers, or use another --root, which has a bridge of its own",
    )
    .explain(
        Errno::ENOMEM,
        "the kernel had no memory for another link",
        "end some containers",
    )
}
