//! Packs a file or a directory into a stream of tar. Every file is opened by what was looked at (/proc/self/fd/N of an
//! O_PATH descriptor), so what is read is what was found to be a file, and no device that took its place meanwhile.

use super::{Asked, Copied};
use crate::error::{Error, Result};
use crate::remove::names;
use crate::sys::fs::{self, Links};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, SFlag};
use nix::sys::statfs::{self, fstatfs};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// What is to be packed.
#[derive(Debug)]
pub struct Source {
    /// Itself (O_PATH).
    item: OwnedFd,
    /// What it is called in the stream; `.` when only what is in it is meant.
    name: PathBuf,
}

impl Source {
    /// Below `root`, as if that were `/`. A link is itself, unless it is to be followed or was called a directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EACCES.
    pub fn open(root: BorrowedFd<'_>, asked: &Asked, follow: bool) -> Result<Source> {
        let mut how = OFlag::O_PATH;
        how.set(OFlag::O_NOFOLLOW, !follow && !asked.slash);
        how.set(OFlag::O_DIRECTORY, asked.slash);
        let item = fs::open_in_root(root, &asked.path, how, 0, Links::Inside).map_err(|mut e| {
            e.what = format!("open({})", asked.text);
            e.explain(Errno::ENOENT, "there is no such file or directory", "look with ls, or exec").explain(
                Errno::ENOTDIR,
                "it is a file, and a path that ends in / is a directory",
                "without the /",
            )
        })?;
        let name =
            if asked.contents { Path::new(".").into() } else { asked.path.file_name().unwrap_or_default().into() };
        Ok(Source { item, name })
    }
}

/// Files up to this size (in bytes) are read before their size is written down, so that a file which changes, or one of
/// /proc's which says that it is empty, is as long as it really was.
const SMALL: u64 = 1 << 20;

/// Packs it.
///
/// # Errors
/// What cannot be read; EPIPE when nobody reads the stream any more.
pub(super) fn pack(source: Source, to: File) -> Result<Copied> {
    // A write for each block of 512 bytes would be two system calls for every 512 bytes.
    let builder = Builder::new(std::io::BufWriter::with_capacity(1 << 16, to));
    let mut packer = Packer { builder, links: HashMap::new(), done: Copied::default(), left_out: 0 };
    packer.item(&source.item, &source.name, true)?;
    if packer.left_out > 0 {
        let what = format!("left out {} device nodes and sockets", packer.left_out);
        packer.done.notes.push(what);
    }
    let finished = packer.builder.into_inner().and_then(|mut out| out.flush());
    finished.map_err(|e| Error::io("write(the stream)", &e))?;
    Ok(packer.done)
}

struct Packer<W: Write> {
    builder: Builder<W>,
    /// Files with several names, by device and number: the first name.
    links: HashMap<(u64, u64), PathBuf>,
    done: Copied,
    left_out: u64,
}

impl<W: Write> Packer<W> {
    fn item(&mut self, item: &OwnedFd, path: &Path, top: bool) -> Result<()> {
        let stat = fs::stat(item.as_fd())?;
        match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFDIR => self.directory(item, path, &stat, top),
            SFlag::S_IFREG => self.file(item, path, &stat),
            SFlag::S_IFLNK => {
                let target = fs::readlink(item.as_fd())?;
                let mut header = header(&stat, EntryType::Symlink);
                self.builder.append_link(&mut header, path, target).map_err(|e| failed(path, &e))
            }
            SFlag::S_IFIFO => self.empty(path, header(&stat, EntryType::Fifo)),
            // A device is the kernel's, not the container's, and a socket without its process is nothing.
            _ => {
                self.left_out += 1;
                Ok(())
            }
        }
    }

    fn empty(&mut self, path: &Path, mut header: Header) -> Result<()> {
        self.builder.append_data(&mut header, path, std::io::empty()).map_err(|e| failed(path, &e))
    }

    fn directory(&mut self, item: &OwnedFd, path: &Path, stat: &FileStat, top: bool) -> Result<()> {
        self.empty(path, header(stat, EntryType::Directory))?;
        if !top && shows_the_kernel(item) {
            return Ok(());
        }
        let how = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let open = fs::open_at(item.as_fd(), Path::new("."), how, 0).map_err(|e| at(e, path))?;
        let mut directory = Dir::from_fd(open).map_err(|e| at(Error::call("fdopendir()", e), path))?;
        let mut names = names(&mut directory).map_err(|e| at(Error::call("getdents64()", e), path))?;
        names.sort();
        for name in names {
            let name = Path::new(OsStr::from_bytes(name.as_bytes()));
            match fs::open_at(directory.as_fd(), name, OFlag::O_PATH | OFlag::O_NOFOLLOW, 0) {
                Ok(below) => self.item(&below, &path.join(name), false)?,
                // Gone meanwhile.
                Err(e) if e.is(Errno::ENOENT) => {}
                Err(e) => return Err(at(e, &path.join(name))),
            }
        }
        Ok(())
    }

    fn file(&mut self, item: &OwnedFd, path: &Path, stat: &FileStat) -> Result<()> {
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                let mut header = header(stat, EntryType::Link);
                return self.builder.append_link(&mut header, path, first).map_err(|e| failed(path, &e));
            }
            self.links.insert((stat.st_dev, stat.st_ino), path.into());
        }
        let opened = PathBuf::from(format!("/proc/self/fd/{}", item.as_raw_fd()));
        let mut file = File::from(fs::open(&opened, OFlag::O_RDONLY | OFlag::O_NONBLOCK, 0).map_err(|e| at(e, path))?);
        let mut header = header(stat, EntryType::Regular);
        let said = u64::try_from(stat.st_size).unwrap_or(0);
        if said > SMALL {
            self.done.bytes += said;
            header.set_size(said);
            let exactly = file.chain(std::io::repeat(0)).take(said);
            return self.builder.append_data(&mut header, path, exactly).map_err(|e| failed(path, &e));
        }
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(SMALL).read_to_end(&mut bytes).map_err(|e| at(Error::io("read()", &e), path))?;
        self.done.bytes += bytes.len() as u64;
        header.set_size(bytes.len() as u64);
        self.builder.append_data(&mut header, path, &bytes[..]).map_err(|e| failed(path, &e))
    }
}

/// Is it a file system that shows the kernel's own state, and has no end (/proc/kcore)? It is copied when it is asked for
/// by name, and not along with what it is mounted in.
fn shows_the_kernel(directory: &OwnedFd) -> bool {
    let kernels = [
        statfs::PROC_SUPER_MAGIC,
        statfs::SYSFS_MAGIC,
        statfs::CGROUP_SUPER_MAGIC,
        statfs::CGROUP2_SUPER_MAGIC,
        statfs::DEVPTS_SUPER_MAGIC,
        statfs::DEBUGFS_MAGIC,
        statfs::TRACEFS_MAGIC,
    ];
    fstatfs(directory).is_ok_and(|s| kernels.contains(&s.filesystem_type()))
}

fn header(stat: &FileStat, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_size(0);
    header
}

fn failed(path: &Path, e: &std::io::Error) -> Error {
    Error::io(format!("write(the stream, {})", path.display()), e)
}

/// Names the file, and not its descriptor.
fn at(mut e: Error, path: &Path) -> Error {
    e.what = format!("open({})", path.display());
    e.explain(Errno::EACCES, "you may not read it", "as root, or leave it out")
}
