//! The UTS namespace: a hostname (and NIS domain name) of its own. The smallest namespace there is: two strings.

use super::{Lesson, Primitive};
use crate::error::Result;
use crate::observe::Fact;
use crate::spawn::Guest;
use crate::spec::Spec;
use crate::sys;
use nix::sched::CloneFlags;
use oci_spec::runtime::LinuxNamespaceType;

/// See the head of this file.
pub struct SetHostname;

impl Primitive for SetHostname {
    fn name(&self) -> &'static str {
        "set-hostname"
    }

    fn summary(&self) -> &'static str {
        "UTS namespace: a hostname of its own"
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn changes(&self) -> &'static [Fact] {
        &[Fact::UtsNs, Fact::Hostname]
    }

    fn wanted(&self, spec: &Spec) -> bool {
        spec.namespace(LinuxNamespaceType::Uts)
    }

    // ANCHOR: inside
    fn inside(&self, guest: &mut Guest) -> Result<()> {
        sys::process::unshare(CloneFlags::CLONE_NEWUTS)?;
        // docker: a container that nobody named bears its id.
        let name = guest.spec.oci.hostname().as_deref().unwrap_or(&guest.made.id);
        sys::process::sethostname(name)?;
        if let Some(name) = guest.spec.oci.domainname() {
            sys::process::setdomainname(name)?;
        }
        Ok(())
    }
    // ANCHOR_END: inside

    fn join(&self, guest: &mut Guest) -> Result<()> {
        guest.enter(CloneFlags::CLONE_NEWUTS)
    }
}

static LESSON: Lesson = Lesson {
    what: "A UTS namespace holds what uname(2) says of the machine's name: the hostname and the NIS domain name. The \
           letters are those of UNIX Time-sharing System, after the structure that uname fills.",
    why: "Programs name themselves after their host: in logs, in clusters, in prompts. Without it, a container that \
          sets its hostname sets the host's.",
    kernel: "unshare(CLONE_NEWUTS); sethostname(NAME)",
    by_hand: "unshare --map-root-user --uts sh -c 'hostname box; hostname'; hostname",
    docker: "always (the short container id); docker run --hostname NAME, --uts=host",
    pages: "uts_namespaces(7), sethostname(2)",
};
