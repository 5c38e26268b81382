//! Where something is to be copied from and to. docker's rules: a path that ends in `/.` means what is in a directory; one
//! that ends in `/` is a directory; a target that is a directory takes the source in, under its own name; a target that is
//! not there is made, and its parent must be there.

use crate::error::{Error, Result};
use crate::sys::fs::{self, Links};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{SFlag, fstatat};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// A path as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// As it was typed, for messages.
    pub text: String,
    /// Absolute, without `.` and `..` (by the text alone, as docker does).
    pub path: PathBuf,
    /// It must be a directory: it ends in `/`.
    pub slash: bool,
    /// What is in it is meant, and not it: it ends in `/.`, or is the root.
    pub contents: bool,
}

impl Asked {
    /// `text`, from `base`, which is absolute.
    pub fn new(text: &str, base: &Path) -> Asked {
        let mut path = PathBuf::from("/");
        for part in base.join(text).components() {
            match part {
                Component::ParentDir => drop(path.pop()),
                Component::Normal(name) => path.push(name),
                _ => {}
            }
        }
        let last = text.rsplit('/').next().unwrap_or_default();
        let contents = last == "." || path == Path::new("/");
        Asked { text: text.into(), path, slash: last.is_empty() || contents, contents }
    }
}

/// Where it goes: into a directory, under its own name or another.
#[derive(Debug)]
pub struct Landing {
    /// The directory.
    pub dir: OwnedFd,
    /// The name there; none: its own.
    pub name: Option<OsString>,
    /// There is a file of that name, so it can be no directory.
    pub file: bool,
    /// There is nothing of that name, and it was called a directory.
    pub slash: bool,
    /// As it was typed.
    pub text: String,
}

impl Landing {
    /// Below `root`. Links are followed, the last one too, as if `root` were `/`.
    ///
    /// # Errors
    /// A parent that is not there; a device or pipe of that name.
    pub fn find(root: BorrowedFd<'_>, asked: &Asked) -> Result<Landing> {
        let how = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let text = asked.text.clone();
        let named = |e: Error| {
            e.explain(Errno::ENOENT, &format!("the directory that {text} is to be in does not exist"), "make it first")
                .explain(Errno::ENOTDIR, &format!("a part of {text} is a file"), "another destination")
        };
        let mut path = asked.path.clone();
        for _ in 0..40 {
            let landing = |dir, name: Option<&std::ffi::OsStr>, file| Landing {
                dir,
                name: name.map(Into::into),
                file,
                slash: asked.slash,
                text: text.clone(),
            };
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Ok(landing(fs::open_in_root(root, &path, how, 0, Links::Inside).map_err(named)?, None, false));
            };
            let dir = fs::open_in_root(root, parent, how, 0, Links::Inside).map_err(named)?;
            let found = match fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(stat) => SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT,
                Err(Errno::ENOENT) => return Ok(landing(dir, Some(name), false)),
                Err(e) => return Err(Error::call(format!("fstatat({text})"), e)),
            };
            match found {
                SFlag::S_IFDIR => {
                    let dir = fs::open_at(dir.as_fd(), Path::new(name), how | OFlag::O_NOFOLLOW, 0)?;
                    return Ok(landing(dir, None, false));
                }
                SFlag::S_IFREG if asked.slash => {
                    return Err(Error::new(format!("{text} is a file")).why("a path that ends in / is a directory"));
                }
                SFlag::S_IFREG => return Ok(landing(dir, Some(name), true)),
                SFlag::S_IFLNK => {
                    let target = nix::fcntl::readlinkat(&dir, name)
                        .map_err(|e| Error::call(format!("readlinkat({text})"), e))?;
                    path = parent.join(target);
                }
                _ => {
                    return Err(Error::new(format!("{text} is neither a file nor a directory"))
                        .why("a copy would take its place")
                        .hint("cp CONTAINER:FILE - writes a stream of tar"));
                }
            }
        }
        Err(Error::call(format!("open({text})"), Errno::ELOOP))
    }

    /// The same, if it is a directory that is there.
    ///
    /// # Errors
    /// If not.
    pub fn directory(self, asked: &Asked) -> Result<Landing> {
        if self.name.is_none() {
            return Ok(self);
        }
        Err(Error::new(format!("{} is not a directory", asked.text))
            .why("a stream of tar is unpacked into a directory that is there"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_docker_does() {
        let asked = |text| {
            let a = Asked::new(text, Path::new("/base"));
            (a.path.display().to_string(), a.slash, a.contents)
        };
        assert_eq!(asked("a/b"), ("/base/a/b".into(), false, false));
        assert_eq!(asked("/a/../b/"), ("/b".into(), true, false));
        assert_eq!(asked("a/."), ("/base/a".into(), true, true));
        assert_eq!(asked("."), ("/base".into(), true, true));
        assert_eq!(asked("/"), ("/".into(), true, true));
        assert_eq!(asked("../../../x"), ("/x".into(), false, false));
        assert_eq!(asked(".hidden"), ("/base/.hidden".into(), false, false));
    }
}
