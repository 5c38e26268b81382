//! add-net: a network namespace. In it are, at first, no links but a switched-off `lo`, no addresses, no routes, no
//! firewall rules; then a cable (veth) leads from `eth0` to a bridge on the host, with an address behind NAT.
//!
//! The parent looks after what all containers share while the child makes its namespace; then it plugs in the cable,
//! whose far end is born inside; and the child gives it an address.

use super::{Lack, Lesson, Need, Primitive};
use crate::error::{Error, Result};
use crate::mounts;
use crate::net::{self, Lease};
use crate::observe::Fact;
use crate::spawn::{Guest, Host};
use crate::spec::{Network, Spec};
use crate::sys;
use crate::sys::mount::Attr;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sched::CloneFlags;
use oci_spec::runtime::LinuxNamespaceType;
use std::os::fd::AsFd;
use std::path::Path;

/// See the head of this file.
pub struct AddNet;

impl Primitive for AddNet {
    fn name(&self) -> &'static str {
        "add-net"
    }

    fn summary(&self) -> &'static str {
        "network namespace: its own links, addresses and routes; a cable to a bridge, and NAT"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn needs(&self) -> &'static [Need] {
        &NEEDS
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::NetNs, Fact::Links, Fact::Addresses, Fact::Routes, Fact::Mounts, Fact::Bridge, Fact::Nft]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.namespace(LinuxNamespaceType::Network)
    }

    fn prepare(&self, host: &mut Host) -> Result<()> {
        if host.spec.network != Network::Bridge {
            return Ok(());
        }
        let (state, id) = (host.state, host.made.id.clone());
        let private = host.spec.userns() && !is_root();
        let lease = net::lease(state, &id, private, |lease| host.journal(|made| made.net = Some(lease.clone())))?;
        host.made.net = Some(lease);
        Ok(())
    }

    fn outside(&self, host: &mut Host) -> Result<()> {
        let child = host.child()?;
        let Some(lease) = &mut host.made.net else { return Ok(()) };
        if lease.is_private() {
            // Nobody lives in that namespace: it is there for as long as somebody holds it open.
            let path = format!("/proc/{child}/ns/net");
            host.held.push(sys::fs::open(Path::new(&path), OFlag::O_RDONLY, 0)?);
            host.notes.push(
                "without root, bridge and rules are in a network namespace beside the container's, held open for it; \
                 no way leads out of there"
                    .into(),
            );
            return Ok(());
        }
        // Called twice: when the child begins to make its namespace, and when it has it.
        if !lease.is_ensured() {
            return net::ensure_shared(lease, &mut host.notes);
        }
        let inside = host.given.take().ok_or_else(|| Error::new("no socket came from the new network namespace"))?;
        net::connect(lease, child, inside)
    }

    fn inside(&self, guest: &mut Guest) -> Result<()> {
        match &guest.made.net {
            None => {
                unshare()?;
                net::configure_lo()?;
            }
            Some(lease) if lease.is_private() => build_private(guest, lease)?,
            Some(_) => {
                guest.outside_meanwhile()?;
                unshare()?;
                // The socket belongs to the new namespace: with it the parent does the work in there, too, while the
                // child goes on to the file systems.
                guest.outside_meanwhile_with(net::socket()?.as_fd())?;
            }
        }
        own_sysfs(guest)
    }

    fn join(&self, guest: &mut Guest) -> Result<()> {
        guest.enter(CloneFlags::CLONE_NEWNET)
    }

    fn undo(&self, made: &crate::journal::Made) -> Result<()> {
        net::release(made)
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn unshare() -> Result<()> {
    sys::process::unshare(CloneFlags::CLONE_NEWNET).map_err(|e| {
        e.explain(
            Errno::EPERM,
            "a network namespace takes CAP_SYS_ADMIN, which root may lack where somebody has contained it",
            "run as the machine's root or as an ordinary user; or --network host",
        )
        .explain(
            Errno::ENOSPC,
            "the limit on network namespaces is reached",
            "sysctl user.max_net_namespaces shows it, and sysctl -w raises it",
        )
        .explain(
            Errno::EINVAL,
            "this kernel is built without network namespaces (CONFIG_NET_NS)",
            "--network host",
        )
    })
}

/// Two network namespaces, the bridge in the first and the container in the second.
fn build_private(guest: &mut Guest, lease: &Lease) -> Result<()> {
    unshare()?;
    guest.outside()?;
    net::build_private(lease, unshare)?;
    net::configure(net::socket()?, lease)
}

/// A sysfs shows the network namespace in which it was mounted: without one of its own, /sys/class/net would go on
/// listing the host's links.
fn own_sysfs(guest: &mut Guest) -> Result<()> {
    let sys = Path::new("/sys");
    let Some(options) = guest.spec.mount_options("/sys") else { return Ok(()) };
    // Without a mount namespace of its own it would be put over the host's.
    if !guest.has("private-mounts") {
        return Ok(());
    }
    let attr = mounts::options(options).set;
    let made = match sys::mount::make("sysfs", "sysfs", &[], attr) {
        // Where parts of the host's own /sys are covered (we run in somebody's container), a user namespace gets none
        // that would uncover them: then the one that is there, to look at.
        Err(e) if e.is(Errno::EPERM) && guest.spec.userns() => {
            let bound = sys::mount::clone_tree(AT_FDCWD, sys, true)?;
            sys::mount::set_attr(bound.as_fd(), attr | Attr::RDONLY, Attr::default(), true)?;
            bound
        }
        other => other?,
    };
    guest.place(made, sys)
}

static NEEDS: [Need; 3] = [
    Need { name: "network namespaces", probe: namespaces },
    Need { name: "veth and bridge", probe: |spec| if on_the_host(spec) { net::probe_links() } else { Ok(()) } },
    Need { name: "nf_tables", probe: |spec| if on_the_host(spec) { net::probe_nftables() } else { Ok(()) } },
];

/// Without root only the container's user namespace may ask the kernel for a link, and it is not there yet.
fn on_the_host(spec: &Spec) -> bool {
    spec.network == Network::Bridge && is_root()
}

fn namespaces(_: &Spec) -> std::result::Result<(), Lack> {
    if !Path::new("/proc/self/ns/net").exists() {
        return Err(Lack {
            reason: "this kernel is built without network namespaces (CONFIG_NET_NS)".into(),
            remedy: "--network host".into(),
        });
    }
    match std::fs::read_to_string("/proc/sys/user/max_net_namespaces") {
        Ok(limit) if limit.trim() == "0" => Err(Lack {
            reason: "user.max_net_namespaces is 0".into(),
            remedy: "sysctl -w user.max_net_namespaces=1000, as root; or --network host".into(),
        }),
        _ => Ok(()),
    }
}

static LESSON: Lesson = Lesson {
    what: "A network namespace has its own links, addresses, routing tables, firewall rules, ports and abstract Unix \
           sockets. A new one holds only a loopback link, switched off. A veth pair is a cable between two of them: \
           what goes in at one end comes out at the other. One end becomes the container's eth0; the other is a port \
           of a bridge on the host, a switch made of software, to which all containers are connected. The bridge's \
           address is the containers' router; what leaves for elsewhere gets the host's own address (masquerading, a \
           kind of NAT), because nobody out there knows a way to a private one.",
    why: "Without it the container uses the host's network as if it were the host: it binds the host's ports, reaches \
          every service that listens on the host's loopback because it is 'only local', and, with CAP_NET_ADMIN, \
          rearranges it. With it two containers can both listen on port 80.",
    kernel: "unshare(CLONE_NEWNET), then netlink: RTM_NEWLINK for the bridge and for the veth pair, whose other end is \
             born in the container's namespace (IFLA_NET_NS_PID); inside, RTM_NEWLINK (up), RTM_NEWADDR, RTM_NEWROUTE; \
             on the host, one nf_tables transaction (NFT_MSG_NEWTABLE, NEWCHAIN, NEWRULE) and \
             /proc/sys/net/ipv4/ip_forward. A new sysfs is mounted, because a sysfs shows the links of the namespace \
             in which it was mounted.",
    by_hand: "# as root\n\
              ip netns add box\n\
              ip link add br0 type bridge && ip addr add 10.98.0.1/20 dev br0 && ip link set br0 up\n\
              ip link add port0 master br0 type veth peer name eth0 netns box && ip link set port0 up\n\
              ip -n box link set lo up && ip -n box link set eth0 up\n\
              ip -n box addr add 10.98.0.2/20 dev eth0 && ip -n box route add default via 10.98.0.1\n\
              sysctl -w net.ipv4.ip_forward=1\n\
              nft add table ip box\n\
              nft 'add chain ip box postrouting { type nat hook postrouting priority srcnat; }'\n\
              nft add rule ip box postrouting ip saddr 10.98.0.0/20 oifname != br0 masquerade\n\
              ip netns exec box ping 10.98.0.1",
    docker: "--network bridge (the default), none, host",
    pages: "network_namespaces(7), veth(4), ip-netns(8), bridge(8), rtnetlink(7), netlink(7), nft(8), ip(7), sysfs(5)",
};
