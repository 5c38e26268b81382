//! Devices: the nodes of `--device`, and the rules that say which numbers may be opened at all. The second is what
//! keeps a container that may mknod(2) from making itself a node of the host's disk.

use super::build::Options;
use crate::error::{Error, Result};
use nix::sys::stat::{major, minor};
use oci_spec::runtime as oci;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

struct Wanted {
    node: oci::LinuxDevice,
    access: String,
}

/// The nodes to make.
///
/// # Errors
/// A `--device` that is no device, or malformed.
pub fn parse(options: &Options, userns: bool) -> Result<Vec<oci::LinuxDevice>> {
    let mut all: Vec<_> = wanted(options)?.into_iter().map(|w| w.node).collect();
    if options.privileged && !userns {
        collect(Path::new("/dev"), &mut all);
    }
    Ok(all)
}

/// The rules, in docker's order: nothing; making any node; then what may be opened.
///
/// # Errors
/// As [`parse`].
pub fn rules(options: &Options) -> Result<Vec<oci::LinuxDeviceCgroup>> {
    use oci::LinuxDeviceType as T;
    if options.privileged {
        return Ok(vec![rule(true, T::A, None, None, "rwm")]);
    }
    let mut all = vec![
        rule(false, T::A, None, None, "rwm"),
        rule(true, T::C, None, None, "m"),
        rule(true, T::B, None, None, "m"),
    ];
    // null, zero, full, random, urandom; tty, console, ptmx; the terminals of devpts.
    let open = [
        (1, Some(3)),
        (1, Some(5)),
        (1, Some(7)),
        (1, Some(8)),
        (1, Some(9)),
        (5, Some(0)),
        (5, Some(1)),
        (5, Some(2)),
        (136, None),
    ];
    all.extend(open.map(|(major, minor)| rule(true, T::C, Some(major), minor, "rwm")));
    for w in wanted(options)? {
        all.push(rule(true, w.node.typ(), Some(w.node.major()), Some(w.node.minor()), &w.access));
    }
    Ok(all)
}

fn rule(
    allow: bool,
    kind: oci::LinuxDeviceType,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> oci::LinuxDeviceCgroup {
    let mut r = oci::LinuxDeviceCgroup::default();
    r.set_allow(allow).set_typ(Some(kind)).set_major(major).set_minor(minor).set_access(Some(access.into()));
    r
}

/// `--device /dev/x[:/dev/y][:rwm]`
fn wanted(options: &Options) -> Result<Vec<Wanted>> {
    options.device.iter().map(|text| one(text)).collect()
}

const LIKE: &str = "--device /dev/fuse[:/dev/fuse][:rwm]";

/// The host's node, the container's, and what may be done with it, as `--device` says them.
///
/// # Errors
/// What is not of that form.
pub fn split(text: &str) -> Result<(&str, &str, &str)> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_access = |s: &str| !s.is_empty() && s.chars().all(|c| "rwm".contains(c));
    Ok(match parts[..] {
        [source] => (source, source, "rwm"),
        [source, access] if is_access(access) => (source, source, access),
        [source, target] => (source, target, "rwm"),
        [source, target, access] if is_access(access) => (source, target, access),
        _ => return Err(Error::new(format!("--device {text}: not a device")).hint(LIKE)),
    })
}

fn one(text: &str) -> Result<Wanted> {
    let (source, target, access) = split(text)?;
    let node = node(Path::new(source), target)
        .ok_or_else(|| Error::new(format!("--device {text}: {source} is not a device of this machine")).hint(LIKE))?;
    if !target.starts_with("/dev/") {
        return Err(Error::new(format!("--device {text}: {target} is not below /dev")).hint(LIKE));
    }
    Ok(Wanted { node, access: access.into() })
}

fn node(source: &Path, target: &str) -> Option<oci::LinuxDevice> {
    let meta = std::fs::metadata(source).ok()?;
    let kind = meta.file_type();
    let typ = if kind.is_block_device() {
        oci::LinuxDeviceType::B
    } else if kind.is_char_device() {
        oci::LinuxDeviceType::C
    } else {
        return None;
    };
    let mut d = oci::LinuxDevice::default();
    d.set_path(target.into())
        .set_typ(typ)
        .set_major(major(meta.rdev()) as i64)
        .set_minor(minor(meta.rdev()) as i64)
        .set_file_mode(Some(meta.mode() & 0o777))
        .set_uid(Some(meta.uid()))
        .set_gid(Some(meta.gid()));
    Some(d)
}

/// `--privileged`: every device of the host, except what the container has of its own.
fn collect(dir: &Path, all: &mut Vec<oci::LinuxDevice>) {
    const OWN: [&str; 7] =
        ["/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/console", "/dev/ptmx", "/dev/.udev"];
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if OWN.iter().any(|own| path == Path::new(own)) || kind.is_symlink() {
            continue;
        }
        if kind.is_dir() {
            collect(&path, all);
        } else if let Some(device) = node(&path, &path.to_string_lossy()) {
            all.push(device);
        }
    }
}
