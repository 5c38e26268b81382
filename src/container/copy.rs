//! `cp`: files in and out of a container, through a stream of tar between two processes: one that packs and one that
//! unpacks. The one on the container's side works in its root filesystem, as its root, but is none of its processes: it
//! runs this program and loads nothing from there (CVE-2019-14271), and every path is resolved by openat2(2) with
//! RESOLVE_IN_ROOT, in the same moment in which it is opened, so that a link which the container puts in the way
//! leads nowhere but into the container (CVE-2018-15664).

mod pack;
mod place;
mod unpack;
mod view;

pub use pack::Source;
pub use place::{Asked, Landing};
pub use unpack::Owner;

use crate::container::store::Container;
use crate::error::{Error, Result};
use crate::sys;
use nix::fcntl::OFlag;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// What was copied.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Copied {
    /// Bytes in files.
    pub bytes: u64,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// How to copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// `-a`: with user and group, by number.
    pub archive: bool,
    /// `-L`: what the source links to, and not the link.
    pub follow: bool,
}

/// Out of a container, into a file or directory of ours.
///
/// # Errors
/// What is not there, or cannot be there; what we may not read or write.
pub fn out(container: &Container<'_>, source: &Asked, target: &Asked, how: How) -> Result<Copied> {
    view::with(container, |view| {
        let landing = Landing::find(host_root()?.as_fd(), target)?;
        let (reader, writer) = pipe()?;
        let packer = view.aside(|| {
            close_copy(&reader);
            let source = Source::open(view.root(), source, how.follow)?;
            pack::pack(source, writer.try_clone().map_err(|e| Error::io("dup()", &e))?)
        })?;
        drop(writer);
        let owner = if how.archive { Owner::Stream } else { Owner::Ours };
        let unpacked = unpack::unpack(reader, &landing, owner, unpack::Whose::Host);
        let packed: Result<Copied> = packer.said();
        // A stream that ends too early has its reason on the other side.
        both(packed, unpacked)
    })
}

/// Out of a container, as a stream.
///
/// # Errors
/// As [`out`].
pub fn out_stream(container: &Container<'_>, source: &Asked, to: &OwnedFd, how: How) -> Result<Copied> {
    view::with(container, |view| {
        let packer = view.aside(|| {
            let source = Source::open(view.root(), source, how.follow)?;
            pack::pack(source, File::from(to.try_clone().map_err(|e| Error::io("dup()", &e))?))
        })?;
        packer.said()
    })
}

/// A file or directory of ours, into a container.
///
/// # Errors
/// As [`out`].
pub fn into(container: &Container<'_>, source: &Asked, target: &Asked, how: How) -> Result<Copied> {
    // Before anything is made for it.
    let source = Source::open(host_root()?.as_fd(), source, how.follow)?;
    view::with(container, |view| {
        let (reader, writer) = pipe()?;
        let owner = if how.archive { Owner::Stream } else { Owner::Ours };
        let unpacker = view.aside(|| {
            close_copy(&writer);
            let landing = Landing::find(view.root(), target)?;
            unpack::unpack(&reader, &landing, owner, unpack::Whose::Container)
        })?;
        drop(reader);
        let packed = pack::pack(source, writer);
        both(unpacker.said(), packed)
    })
}

/// A stream, into a directory of a container.
///
/// # Errors
/// As [`out`]; what is no tar.
pub fn into_stream(container: &Container<'_>, from: &OwnedFd, target: &Asked) -> Result<Copied> {
    view::with(container, |view| {
        let unpacker = view.aside(|| {
            let landing = Landing::find(view.root(), target)?.directory(target)?;
            let from = File::from(from.try_clone().map_err(|e| Error::io("dup()", &e))?);
            unpack::unpack(from, &landing, Owner::Stream, unpack::Whose::Container)
        })?;
        unpacker.said()
    })
}

/// The result of the container's side and of ours. Who has a broken pipe or half a stream has it because of the other.
fn both(theirs: Result<Copied>, ours: Result<Copied>) -> Result<Copied> {
    match (theirs, ours) {
        (Ok(mut theirs), Ok(ours)) => {
            theirs.notes.extend(ours.notes);
            Ok(theirs)
        }
        (Err(theirs), Err(ours)) if theirs.is(nix::errno::Errno::EPIPE) => Err(ours),
        (Err(theirs), _) => Err(theirs),
        (Ok(_), Err(ours)) => Err(ours),
    }
}

fn host_root() -> Result<OwnedFd> {
    sys::fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)
}

fn pipe() -> Result<(File, File)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::call("pipe2(O_CLOEXEC)", e))?;
    Ok((reader.into(), writer.into()))
}

/// In a process that was forked: closes its copy of the other side's end. With it nobody would ever see the end of the
/// stream, or that nobody reads it.
fn close_copy(file: &File) {
    drop(sys::fs::adopt(file.as_raw_fd()));
}

/// A process on the container's side, at work.
struct Aside {
    pid: nix::unistd::Pid,
    report: OwnedFd,
}

impl Aside {
    /// Waits for its end, and says what it said.
    fn said<T: DeserializeOwned>(self) -> Result<T> {
        let mut text = String::new();
        File::from(self.report).read_to_string(&mut text).map_err(|e| Error::io("read(the other side)", &e))?;
        sys::process::wait(self.pid)?;
        serde_json::from_str(&text).unwrap_or_else(|_| Err(Error::new("the container's side ended without a word")))
    }
}

/// Runs `work` in a process of its own, whose result [`Aside::said`] gives.
fn fork<T: Serialize>(work: impl FnOnce() -> Result<T>) -> Result<Aside> {
    let (report, mut said) = pipe()?;
    let Some(pid) = sys::process::fork()? else {
        drop(report);
        let result = work();
        let code = i32::from(result.is_err());
        let _ = said.write_all(&serde_json::to_vec(&result).unwrap_or_default());
        sys::process::exit_now(code)
    };
    drop(said);
    Ok(Aside { pid, report: report.into() })
}
