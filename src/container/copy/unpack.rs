//! Unpacks a stream of tar below a directory. The stream's author may be hostile: a name never climbs, and below the
//! directory no link is followed, whoever made it (this stream, or the container while we are at it).

use super::{Copied, Landing};
use crate::error::{Error, Result};
use crate::sys::fs::{self, Links};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, fstatat, futimens, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Entry, EntryType};

/// Whose the files become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This process's: the caller's on the host, root's in a container.
    Ours,
    /// Those of the stream, by number, as far as they may be given away and exist here.
    Stream,
}

/// Where the files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// To the host: what was anybody's set-user-ID program in there must not become the caller's out here.
    Host,
    /// Into a container.
    Container,
}

/// Unpacks it.
///
/// # Errors
/// What is no tar; a name that climbs; a directory in the place of a file, and the other way round.
pub(super) fn unpack(from: impl Read, landing: &Landing, owner: Owner, whose: Whose) -> Result<Copied> {
    let mut archive = Archive::new(from);
    let mut unpacker = Unpacker {
        landing,
        owner,
        whose,
        contents: None,
        directories: vec![],
        done: Copied::default(),
        left_out: 0,
        not_given: 0,
    };
    for entry in archive.entries().map_err(|e| broken(&e))? {
        unpacker.entry(&mut entry.map_err(|e| broken(&e))?)?;
    }
    unpacker.finish()?;
    // Whoever packs is not done before the last block is read.
    let mut rest = archive.into_inner();
    let _ = std::io::copy(&mut rest, &mut std::io::sink());
    Ok(unpacker.done)
}

fn broken(e: &std::io::Error) -> Error {
    match e.raw_os_error() {
        Some(_) => Error::io("read(the stream)", e),
        None => Error::new(format!("the stream is no tar, or its end is missing: {e}")),
    }
}

struct Unpacker<'a> {
    landing: &'a Landing,
    owner: Owner,
    whose: Whose,
    /// Does the stream begin with a directory whose contents are meant? Its first entry says so.
    contents: Option<bool>,
    /// Those that were made: path, mode, time; set at the end, because what is made in them changes their times, and a
    /// mode may forbid to make anything.
    directories: Vec<(PathBuf, Mode, TimeSpec)>,
    done: Copied,
    left_out: u64,
    not_given: u64,
}

impl Unpacker<'_> {
    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<()> {
        let inside = plain(&entry.path().map_err(|e| broken(&e))?)?;
        let kind = entry.header().entry_type();
        if self.contents.is_none() {
            self.contents = Some(inside.as_os_str().is_empty());
            self.check_first(kind)?;
        }
        let path = self.renamed(&inside);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            // The directory that is there already.
            return Ok(());
        };
        let parent = self.parent(parent)?;
        let mode = self.mode(entry.header().mode().unwrap_or(0o644));
        let time = TimeSpec::new(entry.header().mtime().unwrap_or(0) as i64, 0);
        match kind {
            EntryType::Directory => {
                if self.directory(&parent, name, &path)? {
                    self.give(&parent, name, entry)?;
                    self.directories.push((path.clone(), mode, time));
                }
                return Ok(());
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let file = self.make_file(&parent, name, &path)?;
                let mut out = File::from(file);
                self.done.bytes +=
                    std::io::copy(entry, &mut out).map_err(|e| Error::io(format!("write({})", path.display()), &e))?;
                self.give(&parent, name, entry)?;
                // After the owner: a change of owner takes the set-user-ID bit away (chown(2)).
                fchmod(&out, mode).map_err(|e| Error::call(format!("fchmod({})", path.display()), e))?;
                let _ = futimens(&out, &time, &time);
                return Ok(());
            }
            EntryType::Symlink => {
                let target = entry.link_name().map_err(|e| broken(&e))?.unwrap_or_default().into_owned();
                self.clear(&parent, name, &path)?;
                fs::symlink_at(target, parent.as_fd(), Path::new(name))?;
            }
            EntryType::Link => {
                let first = plain(&entry.link_name().map_err(|e| broken(&e))?.unwrap_or_default())?;
                self.clear(&parent, name, &path)?;
                self.link(&self.renamed(&first), &parent, name)?;
                return Ok(());
            }
            EntryType::Fifo => {
                self.clear(&parent, name, &path)?;
                fs::mknod_at(parent.as_fd(), Path::new(name), fs::Node::Fifo, 0o600)?;
                let _ = fchmodat(&parent, name, mode, FchmodatFlags::NoFollowSymlink)
                    .or_else(|_| fchmodat(&parent, name, mode, FchmodatFlags::FollowSymlink));
            }
            _ => {
                self.left_out += 1;
                return Ok(());
            }
        }
        self.give(&parent, name, entry)?;
        let _ = utimensat(&parent, name, &time, &time, UtimensatFlags::NoFollowSymlink);
        Ok(())
    }

    fn check_first(&self, kind: EntryType) -> Result<()> {
        let landing = self.landing;
        if landing.file && kind == EntryType::Directory {
            return Err(Error::new(format!("cannot copy a directory to a file: {}", landing.text)));
        }
        if landing.name.is_some() && landing.slash && kind != EntryType::Directory {
            return Err(Error::new(format!("the destination directory must exist: {}", landing.text)));
        }
        Ok(())
    }

    /// The path below the landing's directory.
    fn renamed(&self, inside: &Path) -> PathBuf {
        match (&self.landing.name, self.contents) {
            (None, _) => inside.into(),
            (Some(name), Some(true)) => Path::new(name).join(inside),
            (Some(name), _) => Path::new(name).join(inside.components().skip(1).collect::<PathBuf>()),
        }
    }

    /// The directory that an entry is in. A stream need not name it; then it is made.
    fn parent(&self, path: &Path) -> Result<OwnedFd> {
        let how = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let open = |path: &Path| {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            fs::open_in_root(self.landing.dir.as_fd(), path, how, 0, Links::Refuse).map_err(|e| {
                e.explain(Errno::ELOOP, "there is a link in the place of a directory", "another destination")
            })
        };
        match open(path) {
            Err(e) if e.is(Errno::ENOENT) => {}
            result => return result,
        }
        let mut so_far = PathBuf::new();
        let mut dir = open(&so_far)?;
        for part in path.components() {
            match fs::mkdir_at(dir.as_fd(), Path::new(part.as_os_str()), 0o755) {
                Err(e) if !e.is(Errno::EEXIST) => return Err(e),
                _ => {}
            }
            so_far.push(part);
            dir = open(&so_far)?;
        }
        Ok(dir)
    }

    /// Was it made, or is it there already?
    fn directory(&self, parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<bool> {
        // With a mode of its own only at the end: until then it must be ours to write into.
        match fs::mkdir_at(parent.as_fd(), Path::new(name), 0o700) {
            Ok(()) => Ok(true),
            Err(e) if e.is(Errno::EEXIST) => match self.kind(parent, name) {
                Some(SFlag::S_IFDIR) => Ok(false),
                _ => Err(Error::new(format!("cannot overwrite {} with a directory", path.display()))
                    .why("it is there, and is no directory")),
            },
            Err(e) => Err(e),
        }
    }

    fn kind(&self, parent: &OwnedFd, name: &OsStr) -> Option<SFlag> {
        let stat = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        Some(SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT)
    }

    /// Nothing may be in its place any more. A directory is no place for a file.
    fn clear(&self, parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<()> {
        match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR | Errno::EPERM) if self.kind(parent, name) == Some(SFlag::S_IFDIR) => {
                Err(Error::new(format!("cannot overwrite the directory {} with a file", path.display())))
            }
            Err(e) => Err(Error::call(format!("unlinkat({})", path.display()), e)),
        }
    }

    fn make_file(&self, parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<OwnedFd> {
        match self.clear(parent, name, path) {
            // A file that something is mounted on (/etc/hosts is such a one) cannot be replaced, but it can be written.
            Err(e) if e.is(Errno::EBUSY) && self.kind(parent, name) == Some(SFlag::S_IFREG) => {
                return overwrite(parent.as_fd(), name);
            }
            other => other?,
        }
        let how = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        fs::open_at(parent.as_fd(), Path::new(name), how, 0o600)
    }

    /// A second name for what this stream has unpacked before.
    fn link(&self, first: &Path, parent: &OwnedFd, name: &OsStr) -> Result<()> {
        let (Some(dir), Some(old)) = (first.parent(), first.file_name()) else {
            return Err(Error::new("the stream has a link to nothing"));
        };
        let dir = self.parent(dir)?;
        linkat(&dir, old, parent, name, AtFlags::empty())
            .map_err(|e| Error::call(format!("linkat({}, {})", first.display(), name.display()), e))
    }

    fn mode(&self, mode: u32) -> Mode {
        let keeps = self.whose == Whose::Container || self.owner == Owner::Stream;
        Mode::from_bits_truncate(mode & if keeps { 0o7777 } else { 0o1777 })
    }

    fn give<R: Read>(&mut self, parent: &OwnedFd, name: &OsStr, entry: &Entry<'_, R>) -> Result<()> {
        if self.owner == Owner::Ours {
            return Ok(());
        }
        let id = |id: std::io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
        let (uid, gid) = (id(entry.header().uid()), id(entry.header().gid()));
        match fs::chown_at(parent.as_fd(), Path::new(name), uid, gid) {
            // Nobody but root may give a file away, and nobody can to a user that does not exist in this namespace.
            Err(e) if e.is(Errno::EPERM) || e.is(Errno::EINVAL) => self.not_given += 1,
            other => other?,
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        while let Some((path, mode, time)) = self.directories.pop() {
            let how = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            let open = fs::open_in_root(self.landing.dir.as_fd(), &path, how, 0, Links::Refuse)?;
            fchmod(&open, mode).map_err(|e| Error::call(format!("fchmod({})", path.display()), e))?;
            let _ = futimens(&open, &time, &time);
        }
        if self.left_out > 0 {
            self.done.notes.push(format!("left out {} device nodes and other things that are no files", self.left_out));
        }
        if self.not_given > 0 {
            let owner = if self.whose == Whose::Host { "you" } else { "the container's root" };
            self.done
                .notes
                .push(format!("{} of them belong to {owner}: their users cannot be had here", self.not_given));
        }
        Ok(())
    }
}

/// Opens what was looked at, and no device that took its place meanwhile.
fn overwrite(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let item = fs::open_at(parent, Path::new(name), OFlag::O_PATH | OFlag::O_NOFOLLOW, 0)?;
    if SFlag::from_bits_truncate(fs::stat(item.as_fd())?.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(Error::new(format!("{} is no file any more", name.display())));
    }
    let opened = PathBuf::from(format!("/proc/self/fd/{}", item.as_raw_fd()));
    fs::open(&opened, OFlag::O_WRONLY | OFlag::O_TRUNC, 0)
}

/// A path of the stream's without anything that could climb.
fn plain(path: &Path) -> Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(OsString::from(name)),
            // As tar does: an absolute name is one below the directory.
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(Error::new(format!("the stream has a name that climbs: {}", path.display()))
                    .why("it would lead out of the directory that it is unpacked into"));
            }
        }
    }
    Ok(plain)
}
