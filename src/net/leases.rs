//! Who has which address. A lease is a file named after the address, with the container's id in it; so taking one
//! costs the same however many there are, and two containers cannot have the same. All of it happens under one lock,
//! and so does the making and removing of what the leases share: the bridge and our nftables table.

use super::addresses::Subnet;
use crate::error::{Error, Result};
use crate::state::make_private;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What the containers share, as far as it is not asked of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Is something of ours on the machine, whole or half-made?
    pub made: bool,
    /// The bridge's subnet.
    pub subnet: Option<Subnet>,
    /// The address that was given out last.
    pub last: Option<Ipv4Addr>,
}

/// The register, locked.
#[derive(Debug)]
pub struct Register {
    directory: PathBuf,
    file: File,
    /// What the containers share.
    pub shared: Shared,
}

fn file_of(directory: &Path) -> PathBuf {
    directory.join("shared")
}

impl Register {
    /// Locks the register in this directory; makes both if need be.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub fn lock(directory: &Path) -> Result<Register> {
        let path = file_of(directory);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).or_else(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                make_private(&directory.join("leases"))?;
                options.open(&path).map_err(|e| Error::io(format!("open({}, O_CREAT)", path.display()), &e))
            }
            _ => Err(Error::io(format!("open({}, O_CREAT)", path.display()), &e)),
        })?;
        file.lock().map_err(|e| Error::io(format!("flock({})", path.display()), &e))?;
        Ok(Register::read(directory, file))
    }

    /// Locks the register, if there is one; with `wait` false only if nobody has it.
    pub fn existing(directory: &Path, wait: bool) -> Option<Register> {
        let file = OpenOptions::new().read(true).write(true).open(file_of(directory)).ok()?;
        let locked = if wait { file.lock().map_err(TryLockError::Error) } else { file.try_lock() };
        locked.ok()?;
        Some(Register::read(directory, file))
    }

    fn read(directory: &Path, mut file: File) -> Register {
        let mut text = String::new();
        // Unreadable is as good as new: what counts is asked of the kernel, and leases are files of their own.
        let _ = file.read_to_string(&mut text);
        let shared = text.lines().next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        Register { directory: directory.into(), file, shared }
    }

    /// Writes down what is shared.
    ///
    /// # Errors
    /// ENOSPC and the like.
    pub fn save(&self) -> Result<()> {
        let mut line = serde_json::to_vec(&self.shared)
            .map_err(|e| Error::new(format!("the register of addresses cannot be encoded: {e}")))?;
        line.push(b'\n');
        // One write over the old text, as the journal does; the rest of which is behind the first newline.
        let failed = |e| Error::io(format!("write({})", file_of(&self.directory).display()), &e);
        self.file.write_all_at(&line, 0).map_err(failed)
    }

    fn lease(&self, address: Ipv4Addr) -> PathBuf {
        self.directory.join("leases").join(address.to_string())
    }

    /// Takes the next free address for a container; `journal` writes it down elsewhere before it is taken.
    ///
    /// # Errors
    /// When all are taken, or something cannot be written.
    pub fn take(&mut self, subnet: Subnet, id: &str, journal: impl FnOnce(Ipv4Addr) -> Result<()>) -> Result<Ipv4Addr> {
        let free = |register: &Register| subnet.after(register.shared.last).find(|a| !register.lease(*a).exists());
        let address = free(self).or_else(|| {
            self.drop_stale();
            free(self)
        });
        let address = address.ok_or_else(|| {
            Error::new(format!("no address is free in {subnet}"))
                .why("every container on a bridge has one of its own, and all are taken")
                .hint("end some containers, or use another --root, which has a bridge and a subnet of its own")
        })?;
        journal(address)?;
        let path = self.lease(address);
        std::fs::write(&path, id).map_err(|e| Error::io(format!("write({})", path.display()), &e))?;
        self.shared.last = Some(address);
        self.save()?;
        Ok(address)
    }

    /// Gives an address back, if it is still this container's.
    pub fn give_back(&self, address: Ipv4Addr, id: &str) {
        let path = self.lease(address);
        // Empty: the holder was killed between making the file and writing its name (under the lock that we have now).
        if std::fs::read(&path).is_ok_and(|holder| holder.is_empty() || holder == id.as_bytes()) {
            // When it cannot be removed, it is found stale as soon as the container's journal is gone.
            let _ = std::fs::remove_file(path);
        }
    }

    /// Has no living container an address? Drops the dead ones' that it meets, up to the first living one.
    pub fn is_empty(&self) -> bool {
        self.entries().all(|lease| self.drop_if_stale(&lease))
    }

    fn drop_stale(&self) {
        for lease in self.entries() {
            self.drop_if_stale(&lease);
        }
    }

    fn entries(&self) -> impl Iterator<Item = PathBuf> {
        std::fs::read_dir(self.directory.join("leases")).into_iter().flatten().flatten().map(|entry| entry.path())
    }

    /// A lease whose container nobody knows is what a kill between two writes has left.
    fn drop_if_stale(&self, lease: &Path) -> bool {
        let known = || {
            let id = std::fs::read_to_string(lease).ok()?;
            let journal = self.directory.parent()?.join("journal");
            Some(!id.is_empty() && journal.join(id).exists())
        };
        let stale = known() != Some(true);
        if stale {
            let _ = std::fs::remove_file(lease);
        }
        stale
    }

    /// How long ago the last lease was given or given back.
    pub fn idle(directory: &Path) -> Duration {
        let changed = std::fs::metadata(directory.join("leases")).and_then(|m| m.modified());
        // A directory that is gone, or from the future, is idle.
        changed.ok().and_then(|t| SystemTime::now().duration_since(t).ok()).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("journal")).unwrap();
        let directory = root.path().join("net");
        (root, directory)
    }

    #[test]
    fn an_address_is_not_given_twice_and_rests_before_it_is_used_again() {
        let (root, directory) = state();
        let subnet = "10.0.0.0/29".parse().unwrap();
        let take = |id: &str| {
            std::fs::write(root.path().join("journal").join(id), "").unwrap();
            Register::lock(&directory).unwrap().take(subnet, id, |_| Ok(())).map(|a| a.octets()[3])
        };
        assert_eq!(take("a").unwrap(), 2);
        assert_eq!(take("b").unwrap(), 3);
        Register::lock(&directory).unwrap().give_back("10.0.0.2".parse().unwrap(), "a");
        assert_eq!(take("c").unwrap(), 4);
        assert_eq!(take("d").unwrap(), 5);
        assert_eq!(take("e").unwrap(), 6);
        assert_eq!(take("f").unwrap(), 2);
        assert!(take("g").unwrap_err().what.contains("no address is free"));
        // A container that nobody knows any more does not keep its address.
        std::fs::remove_file(root.path().join("journal/d")).unwrap();
        assert_eq!(take("g").unwrap(), 5);
    }

    #[test]
    fn a_lease_is_given_back_by_its_holder_only() {
        let (root, directory) = state();
        std::fs::write(root.path().join("journal/a"), "").unwrap();
        let mut register = Register::lock(&directory).unwrap();
        let address = register.take("10.0.0.0/29".parse().unwrap(), "a", |_| Ok(())).unwrap();
        register.give_back(address, "b");
        assert_eq!(register.entries().count(), 1);
        assert!(!register.is_empty());
        register.give_back(address, "a");
        assert!(register.is_empty());
    }

    #[test]
    fn a_lease_without_a_name_is_given_back_with_its_journal() {
        let (_root, directory) = state();
        let register = Register::lock(&directory).unwrap();
        std::fs::write(register.lease("10.0.0.2".parse().unwrap()), "").unwrap();
        register.give_back("10.0.0.2".parse().unwrap(), "a");
        assert_eq!(register.entries().count(), 0);
    }

    #[test]
    fn the_journal_comes_first() {
        let (_root, directory) = state();
        let mut register = Register::lock(&directory).unwrap();
        let failed = register.take("10.0.0.0/29".parse().unwrap(), "a", |_| Err(Error::new("disk full")));
        assert!(failed.is_err());
        assert_eq!(register.entries().count(), 0);
    }

    #[test]
    fn what_is_shared_is_read_back() {
        let (_root, directory) = state();
        let shared = Shared { made: true, subnet: "10.98.0.0/20".parse().ok(), last: "10.98.0.7".parse().ok() };
        let mut register = Register::lock(&directory).unwrap();
        register.shared = shared.clone();
        register.save().unwrap();
        // A shorter text over a longer one.
        register.shared = Shared { made: true, ..Shared::default() };
        register.save().unwrap();
        drop(register);
        let read = Register::existing(&directory, true).unwrap().shared;
        assert_eq!(read, Shared { made: true, ..Shared::default() });
    }
}
