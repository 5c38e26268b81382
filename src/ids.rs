//! Ranges of ids that root lends to containers (`--userns auto`). No two that run have the same, so that whoever breaks
//! out of one is a stranger to the other. A range is taken by a lock on one byte of a file, the byte with its number;
//! the kernel lets go of it when the process ends, however it ends, so there is nothing to clean up after a crash.

use crate::error::{Error, Result};
use crate::state::{State, make_private};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// Takes one of `count` ranges, until this process ends, and returns its number.
///
/// # Errors
/// When all are taken, or the state directory cannot be written.
pub fn take(state: &State, count: u32) -> Result<u32> {
    let file = open(state)?;
    let mut random = [0; 4];
    crate::sys::process::random(&mut random);
    // From anywhere on: so a start costs the same however many containers there are, and two state directories, which
    // know nothing of each other, hardly ever choose alike.
    let first = u32::from_ne_bytes(random) % count.max(1);
    for number in (first..count).chain(0..first) {
        if lock(&file, number)? {
            // Never closed: the lock goes with the process, and not earlier.
            let _ = file.into_raw_fd();
            return Ok(number);
        }
    }
    Err(Error::new(format!("--userns auto: all {count} ranges of ids are taken"))
        .why("every container has one of its own, of 65536 ids")
        .hint("end some containers, or give the user `containers` a larger range in /etc/subuid and /etc/subgid"))
}

/// The descriptors by which this process holds ranges: for a monitor, which takes them along when it becomes another
/// program.
pub fn taken(state: &State) -> Vec<std::os::fd::OwnedFd> {
    let file = state.run.join("ids");
    let held = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    held.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|link| link == file))
        .filter_map(|fd| fd.file_name().to_str()?.parse().ok())
        .map(crate::sys::fs::adopt)
        .collect()
}

fn open(state: &State) -> Result<File> {
    let path = state.run.join("ids");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let opened = match options.open(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            make_private(&state.run)?;
            options.open(&path)
        }
        opened => opened,
    };
    opened.map_err(|e| Error::io(format!("open({}, O_CREAT)", path.display()), &e))
}

/// An open file description lock (fcntl_locking(2)): it is the descriptor's and not the process's, so it also holds
/// against another descriptor of the same process.
fn lock(file: &File, byte: u32) -> Result<bool> {
    let range = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: byte.into(),
        l_len: 1,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&range)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(e) => Err(Error::call("fcntl(F_OFD_SETLK)", e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_range_is_given_twice() {
        let temp = tempfile::tempdir().unwrap();
        let state = State { run: temp.path().join("run"), lib: temp.path().join("lib"), moved: true };
        let mut taken: Vec<u32> = (0..5).map(|_| take(&state, 5).unwrap()).collect();
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        assert!(take(&state, 5).unwrap_err().what.contains("all 5 ranges"));
    }
}
