//! Trying things without leaving a trace: a forked child does them in namespaces of its own and sends back one value.
//! When it ends, the kernel takes down whatever it made.

use crate::error::{Error, Result};
use crate::sys::{self, process::Fork};
use nix::sched::CloneFlags;
use nix::unistd::{getegid, geteuid};
use serde::{Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::{Read, Write};

/// What `work` returns when a child does it that was born into new namespaces of these kinds. In a user namespace it
/// is user 0, which stands for the caller.
///
/// # Errors
/// What `work` returned, or why the child could not be made.
pub fn in_child<T>(namespaces: CloneFlags, work: impl FnOnce() -> Result<T>) -> Result<T>
where
    T: Serialize + DeserializeOwned,
{
    let (reader, writer) =
        nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| Error::call("pipe2(O_CLOEXEC)", e))?;
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    match sys::process::clone3(namespaces, None)? {
        Fork::Child => {
            let map = namespaces.contains(CloneFlags::CLONE_NEWUSER);
            let result = if map { map_self(uid, gid).and_then(|()| work()) } else { work() };
            let bytes = serde_json::to_vec(&result).unwrap_or_default();
            let _ = File::from(writer).write_all(&bytes);
            sys::process::exit_now(0)
        }
        Fork::Parent { pid, .. } => {
            drop(writer);
            let mut bytes = Vec::new();
            let read = File::from(reader).read_to_end(&mut bytes);
            sys::process::wait(pid)?;
            read.map_err(|e| Error::io("read(from the probing child)", &e))?;
            serde_json::from_slice(&bytes).unwrap_or_else(|_| Err(Error::new("the probing child died")))
        }
    }
}

/// The kinds of namespaces that this user needs: an ordinary user owns the others through a user namespace.
pub fn as_this_user(namespaces: CloneFlags) -> CloneFlags {
    if geteuid().is_root() { namespaces } else { namespaces | CloneFlags::CLONE_NEWUSER }
}

/// A process may map its own id in a user namespace that it is the first of, once it has given up setgroups(2).
fn map_self(uid: u32, gid: u32) -> Result<()> {
    sys::fs::write_file("/proc/self/setgroups".as_ref(), "deny")?;
    sys::fs::write_file("/proc/self/gid_map".as_ref(), &format!("0 {gid} 1"))?;
    sys::fs::write_file("/proc/self/uid_map".as_ref(), &format!("0 {uid} 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Only the error path: a child of the (threaded) test process must not allocate. The rest is tested by the binary.
    #[test]
    fn an_impossible_namespace_is_an_error() {
        let refused_by_the_kernel = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_FS;
        assert!(in_child(refused_by_the_kernel, || Ok(())).is_err());
    }
}
