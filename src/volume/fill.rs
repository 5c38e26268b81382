//! A volume's first use: it gets what the root filesystem has in its place, with owners, modes and attributes, so that
//! an image's /var/lib/mysql is not an empty directory of root's when a volume covers it.
//!
//! The container's own set-up does it, before the first mount: so the ids are the container's, nothing outside of its root
//! can be copied, and all it takes counts as the container's. The copy is made beside `_data` and then renamed over it,
//! which the kernel does at once or, where `_data` is not empty, not at all: nobody ever sees a half-filled volume, and one
//! that a killed process was filling is filled anew.

use super::copy;
use crate::error::{Error, Result};
use crate::sys;
use crate::sys::fs::Links;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW);

/// Fills the volume that has this directory, unless it was filled before or there is something in it.
///
/// # Errors
/// What cannot be copied; ENOSPC.
pub fn fill(root: BorrowedFd<'_>, destination: &Path, home: BorrowedFd<'_>) -> Result<()> {
    if is_there(home, "filled") || !is_empty(home, "_data")? {
        return Ok(());
    }
    // As a process in the container would find it. A file there is a mistake, of which the mount will complain.
    let below = destination.strip_prefix("/").unwrap_or(destination);
    let source = match sys::fs::open_in_root(root, below, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0, Links::Inside) {
        Err(e) if [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP].iter().any(|errno| e.is(*errno)) => return Ok(()),
        source => source?,
    };
    // The lock goes with this process, also when it is killed: another container that starts meanwhile waits for us, and
    // would take over.
    let lock = File::from(open(home, ".")?);
    lock.lock().map_err(|e| Error::io("flock(the volume)", &e))?;
    if is_there(home, "filled") || !is_empty(home, "_data")? {
        return Ok(());
    }
    crate::remove::remove_tree_at(home, Path::new("_fill"))?;
    sys::fs::mkdir_at(home, Path::new("_fill"), 0o700)?;
    let new = open(home, "_fill")?;
    copy::tree(source.as_fd(), new.as_fd()).map_err(|e| {
        e.why(format!("the volume at {} is filled with what the root filesystem has there", destination.display()))
            .hint(format!("-v NAME:{}:nocopy leaves it empty", destination.display()))
    })?;
    // The name must not reach the disk before what it stands for.
    nix::unistd::syncfs(&new).map_err(|e| Error::call("syncfs(the volume)", e))?;
    match nix::fcntl::renameat(home, "_fill", home, "_data") {
        // Somebody has put something there by hand: that stays.
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => crate::remove::remove_tree_at(home, Path::new("_fill"))?,
        renamed => renamed.map_err(|e| Error::call("renameat(_fill, _data)", e))?,
    }
    sys::fs::open_at(home, Path::new("filled"), OFlag::O_CREAT | OFlag::O_WRONLY, 0o600).map(drop)
}

fn open(home: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    sys::fs::open_at(home, Path::new(name), OFlag::O_RDONLY | DIRECTORY, 0)
}

fn is_there(home: BorrowedFd<'_>, name: &str) -> bool {
    nix::sys::stat::fstatat(home, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

fn is_empty(home: BorrowedFd<'_>, name: &str) -> Result<bool> {
    let fail = |e| Error::call(format!("getdents64({name} of the volume)"), e);
    let mut dir = Dir::from_fd(open(home, name)?).map_err(fail)?;
    let named = |entry: &nix::Result<nix::dir::Entry>| {
        entry.as_ref().is_ok_and(|e| e.file_name() != c"." && e.file_name() != c"..")
    };
    Ok(!dir.iter().any(|entry| named(&entry)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Place {
            let temp = tempfile::tempdir().unwrap();
            for dir in ["root/srv/sub", "home/_data"] {
                fs::create_dir_all(temp.path().join(dir)).unwrap();
            }
            fs::write(temp.path().join("root/srv/sub/file"), "text").unwrap();
            Place(temp)
        }

        fn path(&self, below: &str) -> std::path::PathBuf {
            self.0.path().join(below)
        }

        fn fill(&self, destination: &str) -> Result<()> {
            let open = |name| sys::fs::open(&self.path(name), OFlag::O_PATH | OFlag::O_DIRECTORY, 0).unwrap();
            super::fill(open("root").as_fd(), Path::new(destination), open("home").as_fd())
        }
    }

    #[test]
    fn only_the_first_use_fills() {
        let place = Place::new();
        fs::set_permissions(place.path("root/srv"), PermissionsExt::from_mode(0o2751)).unwrap();
        place.fill("/srv").unwrap();
        assert_eq!(fs::read_to_string(place.path("home/_data/sub/file")).unwrap(), "text");
        assert_eq!(fs::metadata(place.path("home/_data")).unwrap().mode() & 0o7777, 0o2751);
        // What its owner has emptied stays empty.
        fs::remove_dir_all(place.path("home/_data/sub")).unwrap();
        place.fill("/srv").unwrap();
        assert!(!place.path("home/_data/sub").exists());
    }

    #[test]
    fn what_a_killed_process_left_is_made_anew() {
        let place = Place::new();
        fs::create_dir_all(place.path("home/_fill/half")).unwrap();
        place.fill("/srv").unwrap();
        assert!(place.path("home/_data/sub/file").exists() && !place.path("home/_data/half").exists());
        assert!(!place.path("home/_fill").exists());
    }

    #[test]
    fn what_is_in_it_stays() {
        let place = Place::new();
        fs::write(place.path("home/_data/mine"), "").unwrap();
        place.fill("/srv").unwrap();
        assert!(place.path("home/_data/mine").exists() && !place.path("home/_data/sub").exists());
    }

    #[test]
    fn nothing_there_is_nothing_to_copy() {
        let place = Place::new();
        for nothing in ["/nowhere", "/srv/sub/file", "/srv/sub/file/below"] {
            place.fill(nothing).unwrap();
        }
        assert!(!place.path("home/filled").exists());
        // A link that leads out leads to the same name inside.
        std::os::unix::fs::symlink("/srv", place.path("root/link")).unwrap();
        place.fill("/link").unwrap();
        assert!(place.path("home/_data/sub/file").exists());
    }
}
