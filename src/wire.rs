//! The one socket between the parent and the child that is becoming a container. The child drives and the parent
//! serves; end of file means, to the parent, that execve closed the child's end (so it succeeded), and to the child
//! that its parent is dead (so it must not go on).

use crate::error::{Error, Result};
use crate::observe::Snapshot;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromGuest {
    /// A primitive begins; its number in the list. (Only when somebody watches.)
    Enter(usize),
    /// A kernel call was made. (Only when somebody watches.)
    Call(String),
    /// A primitive is done, and this is what the child sees now. (Only when somebody watches; waits for the answer.)
    Leave(usize, Box<Option<Snapshot>>),
    /// The parent's part of this primitive, please; with `wait` the child does nothing until it is done.
    Outside {
        /// The primitive's number in the list.
        primitive: usize,
        /// Does the child wait for the answer?
        wait: bool,
    },
    /// The other end of the container's terminal travels with this frame.
    Terminal,
    /// What an experiment has measured ([`crate::prove`]).
    Measured(serde_json::Value),
    /// All is set up; execve is next, with `wait` once the parent says so.
    Ready {
        /// Has the parent still something to do first?
        wait: bool,
    },
    /// It failed.
    Failed(Error),
}

/// What the parent answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromHost {
    /// The child's number is in the journal. Said once, before anything else.
    Known,
    /// A descriptor travels with this frame; more may come before the `Go`.
    Descriptor,
    /// Go on.
    Go,
    /// The parent failed (and will say why): exit.
    Stop,
}

/// One end of the socket.
#[derive(Debug)]
pub struct Wire(OwnedFd);

impl Wire {
    /// Both ends, closed on exec.
    ///
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn pair() -> Result<(Wire, Wire)> {
        let (a, b) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
            .map_err(|e| Error::call("socketpair(AF_UNIX, SOCK_STREAM)", e))?;
        Ok((Wire(a), Wire(b)))
    }

    /// Waits until the other side says something; Ctrl-C ends a set-up as it ends any program.
    ///
    /// # Errors
    /// A signal that asks us to end was there first: exit code 128 and its number.
    pub fn wait(&self, interrupt: Option<BorrowedFd<'_>>) -> Result<()> {
        let Some(interrupt) = interrupt else { return Ok(()) };
        loop {
            let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN), PollFd::new(interrupt, PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(Error::call("poll(the set-up)", e)),
            }
            if fds[0].any().unwrap_or(false) {
                return Ok(());
            }
            if let Some(signal) = crate::sys::process::pending_stop(interrupt) {
                return Err(Error::new("interrupted").exit(128 + signal as u8));
            }
        }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// EPIPE when the other side is dead.
    pub fn send(&self, frame: &impl Serialize) -> Result<()> {
        self.send_with(frame, None)
    }

    /// Sends one frame and, with it, a descriptor (unix(7), SCM_RIGHTS).
    ///
    /// # Errors
    /// As [`Wire::send`].
    pub fn send_with(&self, frame: &impl Serialize, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        let mut bytes = vec![0; 4];
        serde_json::to_writer(&mut bytes, frame).map_err(|e| Error::new(format!("a frame cannot be encoded: {e}")))?;
        let length = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        let fds = fd.map(|fd| [fd.as_raw_fd()]);
        let mut control: Vec<ControlMessage> = fds.iter().map(|f| ControlMessage::ScmRights(f)).collect();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(rest)], &control, MsgFlags::MSG_NOSIGNAL, None) {
                Ok(n) => {
                    rest = &rest[n..];
                    control.clear();
                }
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Error::call("sendmsg(to the other half of the set-up)", e)),
            }
        }
        Ok(())
    }

    /// Receives one frame and the descriptor that came with it; `None` at end of file.
    ///
    /// # Errors
    /// When the other side sends what is not a frame.
    pub fn receive_with<T: DeserializeOwned>(&self) -> Result<Option<(T, Option<OwnedFd>)>> {
        let mut fd = None;
        let mut header = [0; 4];
        if !self.fill(&mut header, &mut fd)? {
            return Ok(None);
        }
        let mut body = vec![0; u32::from_le_bytes(header) as usize];
        if !self.fill(&mut body, &mut fd)? {
            return Ok(None);
        }
        let frame = serde_json::from_slice(&body).map_err(|e| Error::new(format!("not a frame: {e}")))?;
        Ok(Some((frame, fd)))
    }

    fn fill(&self, buffer: &mut [u8], fd: &mut Option<OwnedFd>) -> Result<bool> {
        let mut have = 0;
        while have < buffer.len() {
            let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
            let mut io = [IoSliceMut::new(&mut buffer[have..])];
            match recvmsg::<()>(self.0.as_raw_fd(), &mut io, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
                Ok(message) => {
                    for c in message.cmsgs().into_iter().flatten() {
                        if let ControlMessageOwned::ScmRights(fds) = c {
                            *fd = fds.first().map(|&raw| crate::sys::fs::adopt(raw));
                        }
                    }
                    match message.bytes {
                        0 => return Ok(false),
                        n => have += n,
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Ok(false),
                Err(e) => return Err(Error::call("recvmsg(from the other half of the set-up)", e)),
            }
        }
        Ok(true)
    }
}

impl From<OwnedFd> for Wire {
    fn from(socket: OwnedFd) -> Wire {
        Wire(socket)
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
