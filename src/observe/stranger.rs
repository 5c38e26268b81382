//! What can be seen of a process that we have not started: what its directory in /proc shows to us, and what only a look
//! from within its namespaces shows (its hostname, its links), by a short-lived process that goes there. What the kernel
//! keeps from us is said, never guessed.

use super::{Eyes, Fact, Snapshot, Value, eyes};
use crate::error::{Error, Result};
use crate::net;
use crate::state::State;
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

/// What was seen of it.
#[derive(Debug)]
pub struct Stranger {
    /// The facts. [`Fact::User`] is as our own user namespace numbers it.
    pub seen: Snapshot,
    /// What could not be seen, and why: whole sentences.
    pub unseen: Vec<String>,
}

/// Looks at a process; `ours` is what we see of ourselves.
///
/// # Errors
/// When there is no such process.
pub fn stranger(pid: Pid, ours: &Snapshot, state: &State) -> Result<Stranger> {
    let eyes = Eyes::on(pid).map_err(|e| {
        let none = e.is(Errno::ENOENT);
        let e = if none { Error::new(format!("there is no process {pid}")) } else { e };
        e.why("it has ended, or this /proc does not show it").hint("ps ax lists those that can be seen")
    })?;
    let mut seen = eyes.read_about();
    seen.extend(eyes::cgroups(Some(pid)));
    let mut unseen = Vec::new();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    if stat.is_empty() || stat.contains(") Z ") {
        unseen.push("namespaces and files: it has ended, and all that was its own is gone".into());
        return Ok(Stranger { seen, unseen });
    }
    if !seen.contains_key(&Fact::UserNs) {
        unseen.push(format!("namespaces: /proc/{pid}/ns is closed to you (ptrace(2), access mode checking)"));
    }
    if !seen.contains_key(&Fact::Mounts) {
        unseen.push(format!("mounts and root filesystem: /proc/{pid}/mountinfo is closed to you"));
    }
    from_within(pid, ours, state, &mut seen, &mut unseen);
    Ok(Stranger { seen, unseen })
}

/// What the process that went there has to tell; an error as its text.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    hostname: std::result::Result<String, String>,
    network: std::result::Result<(net::Seen, Vec<(u32, u32)>), String>,
}

fn from_within(pid: Pid, ours: &Snapshot, state: &State, seen: &mut Snapshot, unseen: &mut Vec<String>) {
    let open = |fact: Fact| {
        let (name, ..) = fact.namespace()?;
        let file = format!("/proc/{pid}/ns/{name}");
        // One that we are in already cannot always be entered again, and need not be.
        (seen.get(&fact)? != ours.get(&fact)?).then(|| sys::fs::open(file.as_ref(), OFlag::O_RDONLY, 0))
    };
    let doors = [Fact::UserNs, Fact::UtsNs, Fact::NetNs].map(open);
    if !seen.contains_key(&Fact::UserNs) {
        return;
    }
    let told = match ask(&doors) {
        Ok(told) => told,
        Err(e) => return unseen.push(format!("hostname and network: {}", e.what)),
    };
    match told.hostname {
        Ok(name) => drop(seen.insert(Fact::Hostname, Value::One(name))),
        Err(why) => unseen.push(format!("hostname: {why}")),
    }
    match told.network {
        Ok((net, plugs)) => {
            eyes::many(seen, Fact::Links, net.links);
            eyes::many(seen, Fact::Addresses, net.addresses);
            eyes::many(seen, Fact::Routes, net.routes);
            if let Some(Ok(namespace)) = &doors[2] {
                let cables = net::cables(state, namespace.as_fd(), &plugs);
                if cables.bridge.is_empty() && !plugs.is_empty() {
                    unseen.push("the other end of its cable: it is in a network namespace that is not yours".into());
                }
                eyes::many(seen, Fact::Bridge, cables.bridge);
                eyes::many(seen, Fact::Nft, cables.rules);
            }
        }
        Err(why) => unseen.push(format!("network: {why}")),
    }
}

/// A namespace to enter: nothing to do, or its descriptor, or why there is none.
type Door = Option<Result<OwnedFd>>;

/// Sends a process there: whoever enters a user namespace cannot come back.
fn ask(doors: &[Door; 3]) -> Result<Told> {
    let (read, write) = nix::unistd::pipe().map_err(|e| Error::call("pipe()", e))?;
    let Some(child) = sys::process::fork()? else {
        drop(read);
        let sent = serde_json::to_vec(&go(doors)).is_ok_and(|text| File::from(write).write_all(&text).is_ok());
        sys::process::exit_now((!sent).into())
    };
    drop(write);
    let mut text = Vec::new();
    let read = File::from(read).read_to_end(&mut text);
    sys::process::wait(child)?;
    read.map_err(|e| Error::io("read(from the process that looks)", &e))?;
    serde_json::from_slice(&text).map_err(|e| Error::new(format!("what was seen cannot be decoded: {e}")))
}

fn go([user, uts, net]: &[Door; 3]) -> Told {
    let hostname = enter(uts, CloneFlags::CLONE_NEWUTS, user).and_then(|()| {
        let name = nix::sys::utsname::uname().map_err(|e| format!("uname() => {e:?}"))?;
        Ok(name.nodename().to_string_lossy().into_owned())
    });
    let network = enter(net, CloneFlags::CLONE_NEWNET, user).map(|()| (net::look(), net::plugs()));
    Told { hostname, network }
}

fn enter(door: &Door, kind: CloneFlags, user: &Door) -> std::result::Result<(), String> {
    let namespace = match door {
        None => return Ok(()),
        Some(Ok(namespace)) => namespace.as_fd(),
        Some(Err(e)) => return Err(show(e)),
    };
    let Err(e) = sys::process::setns(namespace, kind) else { return Ok(()) };
    // Who may not do it as he is may do it as root of the user namespace that owns it.
    match user {
        Some(Ok(user)) if sys::process::setns(user.as_fd(), CloneFlags::CLONE_NEWUSER).is_ok() => {
            sys::process::setns(namespace, kind).map_err(|e| show(&e))
        }
        _ => Err(show(&e)),
    }
}

/// `call(args) => ERRNO`.
fn show(e: &Error) -> String {
    format!("{}{}", e.what, e.errno().map(|n| format!(" => {n:?}")).unwrap_or_default())
}
