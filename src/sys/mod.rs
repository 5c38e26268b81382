//! The kernel, one call per function: the only place with `unsafe`, and the only door to the set-up calls. Every call
//! goes through [`call`], which can record it in strace's shape; so `--trace` prints the very calls that were made, and
//! there is no second list that could drift from the first. Nothing here knows what a container is.

pub mod attempt;
pub mod background;
pub mod bpf;
pub mod caps;
pub mod exec;
pub mod fs;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod probe;
pub mod process;
pub mod seccomp;
pub mod signal;
#[cfg(test)]
pub mod testing;
pub mod trace;
pub mod tty;
pub mod xtables;

use crate::error::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// What a call returned, as strace prints it behind the `=`.
pub trait Returned {
    /// The number behind the equals sign.
    fn show(&self) -> String;
}

impl Returned for () {
    fn show(&self) -> String {
        "0".into()
    }
}
impl Returned for OwnedFd {
    fn show(&self) -> String {
        self.as_raw_fd().to_string()
    }
}
impl Returned for usize {
    fn show(&self) -> String {
        self.to_string()
    }
}
impl Returned for i32 {
    fn show(&self) -> String {
        self.to_string()
    }
}
impl Returned for i64 {
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Makes one kernel call: records it when somebody listens, and turns a failure into an [`Error`] that shows it.
/// `text` is only built when it is needed.
pub fn call<T: Returned>(text: impl Fn() -> String, make: impl FnOnce() -> nix::Result<T>) -> Result<T> {
    let result = make();
    if trace::on() {
        trace::record(&match &result {
            Ok(value) => format!("{} = {}", text(), value.show()),
            Err(e) => format!("{} = -1 {e:?} ({})", text(), e.desc()),
        });
    }
    result.map_err(|e| Error::call(text(), e))
}

/// As [`call`], for a call that never returns on success (execve) or whose record must stand before its effect.
pub fn announce(text: &str) {
    if trace::on() {
        trace::record(text);
    }
}

/// A string as strace prints it: quoted, with C's escapes.
pub fn quoted(s: impl AsRef<[u8]>) -> String {
    let mut out = String::from("\"");
    for &b in s.as_ref() {
        match b {
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(b as char),
            _ => out.push_str(&format!("\\{b:o}")),
        }
    }
    out.push('"');
    out
}

/// A path as strace prints it.
pub fn path(p: &std::path::Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    quoted(p.as_os_str().as_bytes())
}

/// Flags as strace prints them: the names of bitflags, joined by `|`, or 0.
pub fn flags<F: bitflags_names::Names>(f: &F) -> String {
    f.names()
}

/// A small bridge to the names that nix's bitflags carry.
pub mod bitflags_names {
    /// Anything whose set bits have names.
    pub trait Names {
        /// `A|B|C`, or `0`.
        fn names(&self) -> String;
    }
    macro_rules! names {
        ($($t:ty),* $(,)?) => {$(
            impl Names for $t {
                fn names(&self) -> String {
                    let names: Vec<&str> = self.iter_names().map(|(n, _)| n).collect();
                    if names.is_empty() { "0".into() } else { names.join("|") }
                }
            }
        )*};
    }
    names!(nix::sched::CloneFlags, nix::mount::MsFlags, nix::mount::MntFlags, nix::fcntl::OFlag);
}

/// A descriptor's number, `AT_FDCWD` spelled out.
pub fn fd_name(fd: RawFd) -> String {
    if fd == libc::AT_FDCWD { "AT_FDCWD".into() } else { fd.to_string() }
}

/// A raw syscall's return value as nix's result.
pub(crate) fn check(ret: libc::c_long) -> nix::Result<libc::c_long> {
    if ret < 0 { Err(nix::errno::Errno::last()) } else { Ok(ret) }
}
