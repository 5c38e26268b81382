//! Mounts: placeholder.
use crate::error::Result;
use crate::spawn::Guest;
use oci_spec::runtime as oci;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
/// Kind of a target
pub enum Kind {
    /// dir
    Directory,
    /// file
    File,
}
/// Parsed options
pub struct Parsed {
    /// set
    pub set: crate::sys::mount::Attr,
    /// data
    pub data: Vec<String>,
}
/// options
pub fn options(o: &[String]) -> Parsed {
    Parsed { set: Default::default(), data: o.iter().filter(|o| o.contains('=')).cloned().collect() }
}
/// target
pub fn target(root: BorrowedFd<'_>, path: &Path, _: Kind) -> Result<OwnedFd> {
    crate::sys::fs::open_in_root(root, path, nix::fcntl::OFlag::O_PATH, 0, crate::sys::fs::Links::Inside)
}
/// apply
pub fn apply(_: BorrowedFd<'_>, _: &oci::Mount, _: &mut Guest) -> Result<()> {
    Ok(())
}
/// v
pub fn parse_volume(_: &str) -> Result<oci::Mount> {
    Ok(oci::Mount::default())
}
/// m
pub fn parse_mount(_: &str) -> Result<oci::Mount> {
    Ok(oci::Mount::default())
}
/// t
pub fn parse_tmpfs(_: &str) -> Result<oci::Mount> {
    Ok(oci::Mount::default())
}
