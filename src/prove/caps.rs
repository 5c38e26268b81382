//! drop-caps: things that only a capability allows, each tried before the capabilities go and after, in the same
//! container by the same process. Whoever is still root afterwards may no longer do them.

use super::{Attempt, Evidence, Experiment, Verdict, encode};
use crate::error::Result;
use crate::spec::Spec;
use crate::state::State;
use crate::sys::attempt;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use oci_spec::runtime::Capability;
use serde::{Deserialize, Serialize};

/// See the head of this file.
pub struct RootNoMore;

/// What a capability is needed for, in a form that changes nothing that lasts.
struct Deed {
    capability: Capability,
    name: &'static str,
    what: &'static str,
    make: fn() -> nix::Result<()>,
}

static DEEDS: [Deed; 5] = [
    Deed {
        capability: Capability::NetAdmin,
        name: "CAP_NET_ADMIN",
        what: "set the flags of lo",
        make: attempt::set_flags_of_lo,
    },
    Deed {
        capability: Capability::SysNice,
        name: "CAP_SYS_NICE",
        what: "go ahead of others (nice -5)",
        make: attempt::go_ahead,
    },
    Deed {
        capability: Capability::SysAdmin,
        name: "CAP_SYS_ADMIN",
        what: "unshare the UTS namespace",
        make: || nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUTS),
    },
    Deed {
        capability: Capability::NetRaw,
        name: "CAP_NET_RAW",
        what: "open a raw socket",
        make: || socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Icmp).map(drop),
    },
    Deed {
        capability: Capability::SysChroot,
        name: "CAP_SYS_CHROOT",
        what: "change the root directory",
        make: || nix::unistd::chroot("/"),
    },
];

#[derive(Serialize, Deserialize)]
struct Report {
    attempts: Vec<Attempt>,
}

/// The deeds whose capability the spec takes away.
fn forbidden(spec: &Spec) -> impl Iterator<Item = (usize, &'static Deed)> {
    let kept = spec.process().and_then(|p| p.capabilities().as_ref()).and_then(|c| c.effective().clone());
    DEEDS.iter().enumerate().filter(move |(_, d)| !kept.as_ref().is_some_and(|kept| kept.contains(&d.capability)))
}

impl Experiment for RootNoMore {
    fn primitive(&self) -> &'static str {
        "drop-caps"
    }

    fn claim(&self, _: &Spec) -> String {
        "root may no longer do what it could".into()
    }

    fn prepare(&self, spec: &Spec, _: &State) -> std::result::Result<(), String> {
        if forbidden(spec).next().is_none() {
            return Err("the spec keeps every capability that can be tried without harm".into());
        }
        Ok(())
    }

    fn also_before(&self) -> bool {
        true
    }

    fn run(&self, _: &Spec) -> Result<serde_json::Value> {
        Ok(encode(&Report { attempts: DEEDS.iter().map(|d| Attempt::at(d.make)).collect::<Result<_>>()? }))
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        let Some((before, after)) = evidence.before_and_after::<Report>() else { return Verdict::silent() };
        // What was refused before already (by the filter, or because the namespace is not ours) is no evidence.
        let deeds = forbidden(evidence.spec).filter(|(i, _)| before.attempts.get(*i) == Some(&Attempt::Done));
        let (mut held, mut measured) = (true, Vec::new());
        for (index, deed) in deeds {
            let Some(now) = after.attempts.get(index) else { continue };
            let refused = [Errno::EPERM, Errno::EACCES].iter().any(|e| *now == Attempt::Refused(*e as i32));
            held &= refused;
            measured.push(format!("{} ({}): done before, {now} after", deed.what, deed.name));
        }
        if measured.is_empty() {
            return Verdict::unproved(
                "nothing of what it takes away could be done before, in this container",
                measured,
            );
        }
        Verdict::new(held, measured)
    }
}
