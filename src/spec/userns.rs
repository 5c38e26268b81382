//! Whose ids stand behind the container's: the maps of the user namespace, from `--userns`, /etc/subuid and who we are.

use super::build::Options;
use crate::error::{Error, Result};
use crate::ids;
use crate::state::State;
use nix::unistd::{getegid, geteuid};
use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder};

/// The two maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    /// For users.
    pub uids: Vec<LinuxIdMapping>,
    /// For groups.
    pub gids: Vec<LinuxIdMapping>,
    /// Is the container's root a stranger to the files of whoever starts it? Then its layers must be id-mapped.
    pub shifted: bool,
}

/// How many ids a container gets when it can have its own.
const RANGE: u32 = 65536;

/// Where root's containers have their ids when /etc/subuid does not say: above the ranges that useradd(8) gives out and
/// systemd's for its own containers, and ending below what systemd calls the foreign ids
/// (systemd.io/UIDS-GIDS).
const OURS: (u32, u32) = (0x7000_0000, 0x0ffe_0000);

/// None: no user namespace (root, and none asked for).
///
/// # Errors
/// An unknown mode; `host` without being root; ranges that are not there.
pub fn decide(options: &Options, state: &State) -> Result<Option<Maps>> {
    let root = capable();
    match options.userns.as_deref() {
        None if root => Ok(None),
        Some("host") if root => Ok(None),
        Some("host") => Err(Error::new("--userns host: that takes root")
            .why("without a user namespace of one's own, an ordinary user may make no other namespace")
            .hint("leave --userns out, or run as root")),
        // Docker's rule, too: with ids that are nobody's on the host, none of the host's devices opens for it.
        Some("auto") if root && options.privileged => Err(Error::new("--userns auto --privileged: one or the other")
            .why("--privileged is for root's power over this machine, and --userns auto takes just that away")
            .hint("leave --userns out, or give single rights with --cap-add and --security-opt")),
        Some("auto") | None if root => automatic(state).map(Some),
        Some("auto") | None => Ok(Some(rootless())),
        Some("keep-id") if root => Err(Error::new("--userns keep-id: that is for ordinary users")
            .why("it gives the container's processes your own id, and root's is 0 already")
            .hint("--userns auto, or host")),
        Some("keep-id") => keep_id(options).map(Some),
        Some(other) => {
            Err(Error::new(format!("--userns {other}: no such mode")).hint("--userns auto, host or keep-id"))
        }
    }
}

/// Root in more than name: inside another container, user 0 may lack the capability that everything here takes.
fn capable() -> bool {
    geteuid().is_root() && crate::sys::caps::held().effective.has(crate::caps::SYS_ADMIN)
}

fn one(container: u32, host: u32, size: u32) -> LinuxIdMapping {
    // All fields have defaults, so nothing can be missing.
    LinuxIdMappingBuilder::default().container_id(container).host_id(host).size(size).build().unwrap_or_default()
}

/// The user's own id as root, and behind it the ranges that /etc/subuid gives, if there are any (and the setuid
/// programs that may write them).
pub fn rootless() -> Maps {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    match (subordinate("/etc/subuid", uid), subordinate("/etc/subgid", uid)) {
        (Some(users), Some(groups)) if has_helpers() => Maps {
            uids: vec![one(0, uid, 1), one(1, users.0, users.1)],
            gids: vec![one(0, gid, 1), one(1, groups.0, groups.1)],
            shifted: false,
        },
        _ => Maps { uids: vec![one(0, uid, 1)], gids: vec![one(0, gid, 1)], shifted: false },
    }
}

/// The user is the same inside and outside; the ids below and above come from the range.
fn keep_id(options: &Options) -> Result<Maps> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let ranges = (subordinate("/etc/subuid", uid), subordinate("/etc/subgid", uid));
    let ((Some(users), Some(groups)), true) = (ranges, has_helpers()) else {
        return Err(Error::new("--userns keep-id: you have no ids to give to the container's root")
            .why("your id stays yours in the container, so its user 0 must be another: one of a range in /etc/subuid and /etc/subgid, written by newuidmap")
            .hint("as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, and install newuidmap (package uidmap)"));
    };
    let _ = options;
    Ok(Maps { uids: around(uid, users), gids: around(gid, groups), shifted: false })
}

fn around(own: u32, (first, count): (u32, u32)) -> Vec<LinuxIdMapping> {
    let below = own.min(count);
    let mut map = vec![];
    if below > 0 {
        map.push(one(0, first, below));
    }
    map.push(one(own, own, 1));
    if count > below {
        map.push(one(own + 1, first + below, count - below));
    }
    map
}

/// Root gives a container a range that no other has: one of those of `containers` in /etc/subuid and /etc/subgid
/// (podman's name for it), else one of [`OURS`].
fn automatic(state: &State) -> Result<Maps> {
    let named = |file: &str| named_range(file, "containers").filter(|r| r.1 >= RANGE);
    let (users, groups) = named("/etc/subuid").zip(named("/etc/subgid")).unwrap_or((OURS, OURS));
    let offset = RANGE * ids::take(state, users.1.min(groups.1) / RANGE)?;
    let part = |range: (u32, u32)| vec![one(0, range.0 + offset, RANGE)];
    Ok(Maps { uids: part(users), gids: part(groups), shifted: true })
}

/// The largest range that a subuid(5) file gives to this user, by number or by name.
fn subordinate(file: &str, uid: u32) -> Option<(u32, u32)> {
    let name = crate::command::users::name_on_host(uid);
    let by_number = named_range(file, &uid.to_string());
    let by_name = name.and_then(|n| named_range(file, &n));
    by_name.or(by_number)
}

fn named_range(file: &str, name: &str) -> Option<(u32, u32)> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().filter_map(|line| parse_range(line, name)).max_by_key(|r| r.1)
}

fn parse_range(line: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = line.trim().split(':');
    (fields.next() == Some(name)).then_some(())?;
    let (first, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    // The last id of all is -1, which means "none" to the kernel.
    Some((first, count.min(u32::MAX - first)))
}

/// Are newuidmap and newgidmap in PATH?
fn has_helpers() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["newuidmap", "newgidmap"].iter().all(|p| std::env::split_paths(&path).any(|d| d.join(p).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_id_leaves_a_hole_for_oneself() {
        let map = around(1000, (100_000, 65536));
        let plain: Vec<_> = map.iter().map(|m| (m.container_id(), m.host_id(), m.size())).collect();
        assert_eq!(plain, [(0, 100_000, 1000), (1000, 1000, 1), (1001, 101_000, 64536)]);
    }

    #[test]
    fn ranges_are_found_by_name() {
        assert_eq!(parse_range("user:100000:65536", "user"), Some((100_000, 65536)));
        assert_eq!(parse_range("containers:2147483647:4000000000", "containers"), Some((2147483647, 2147483648)));
        assert_eq!(parse_range("users:100000:65536", "user"), None);
        assert_eq!(parse_range("user:x:65536", "user"), None);
    }
}
