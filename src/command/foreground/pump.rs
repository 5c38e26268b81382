//! One direction of a relay: bytes from here to there, as fast as the slower side takes them, and the end of one side
//! told to the other. Nothing is read while something waits to be written, so a slow reader slows the writer down.

use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::poll::PollFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The pump.
#[derive(Debug)]
pub struct Pump {
    ends: Option<(OwnedFd, OwnedFd)>,
    buffer: Vec<u8>,
    waiting: std::ops::Range<usize>,
    chunk: usize,
}

impl Pump {
    /// From the first to the second.
    pub fn new(from: OwnedFd, to: OwnedFd) -> Pump {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        let never_blocks = fcntl(to.as_fd(), FcntlArg::F_GETFL)
            .is_ok_and(|f| OFlag::from_bits_retain(f).contains(OFlag::O_NONBLOCK))
            || nix::sys::stat::fstat(&to).is_ok_and(|s| s.st_mode & libc::S_IFMT == libc::S_IFREG);
        // Where a write may block, only as much as poll(2) promises room for: PIPE_BUF (pipe(7)).
        let chunk = if never_blocks { usize::MAX } else { libc::PIPE_BUF };
        Pump { ends: Some((from, to)), buffer: vec![0; 1 << 16], waiting: 0..0, chunk }
    }

    /// What it waits for now; nothing once one side has come to its end.
    pub fn wants(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let (from, to) = self.ends.as_ref()?;
        Some(if self.waiting.is_empty() { (from.as_fd(), PollFlags::POLLIN) } else { (to.as_fd(), PollFlags::POLLOUT) })
    }

    /// Does it hold bytes that have not gone out?
    pub fn is_full(&self) -> bool {
        self.ends.is_some() && !self.waiting.is_empty()
    }

    /// Has one side come to its end?
    pub fn is_done(&self) -> bool {
        self.ends.is_none()
    }

    /// Lets go of both sides: the reader sees the end of file; the writer EPIPE, or that its terminal has hung up.
    pub fn close(&mut self) {
        self.ends = None;
    }

    /// Reads or writes, once poll(2) says that it can.
    ///
    /// # Errors
    /// ENOSPC and the like, of a file that is written to. That a side has gone away is no error.
    pub fn turn(&mut self) -> Result<()> {
        let Some((from, to)) = &self.ends else { return Ok(()) };
        if self.waiting.is_empty() {
            match nix::unistd::read(from, &mut self.buffer) {
                // EIO: the last process on a terminal has closed it, or the terminal has hung up (pty(7)).
                Ok(0) | Err(Errno::EIO) => self.close(),
                Ok(n) => self.waiting = 0..n,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(e) => return Err(Error::call("read(the relay)", e)),
            }
            // Most often there is room: save the extra round.
            if self.chunk < usize::MAX || self.waiting.is_empty() {
                return Ok(());
            }
            return self.turn();
        }
        let end = self.waiting.end.min(self.waiting.start.saturating_add(self.chunk));
        match nix::unistd::write(to, &self.buffer[self.waiting.start..end]) {
            Ok(n) => self.waiting.start += n,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(Errno::EPIPE | Errno::EIO | Errno::ECONNRESET) => self.close(),
            Err(e) => {
                self.close();
                return Err(Error::call("write(the relay)", e));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::{pipe2, read, write};

    fn pipe() -> (OwnedFd, OwnedFd) {
        pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap()
    }

    #[test]
    fn a_full_reader_holds_the_writer_back_and_nothing_is_lost() {
        let ((from, source), (sink, to)) = (pipe(), pipe());
        let mut pump = Pump::new(from, to);
        let (mut sent, mut got, mut buffer) = (0usize, Vec::new(), vec![0; 10_000]);
        let byte = |i: usize| (i % 251) as u8;
        while got.len() < 1_000_000 {
            let block: Vec<u8> = (sent..(sent + 8192).min(1_000_000)).map(byte).collect();
            sent += write(&source, &block).unwrap_or(0);
            for _ in 0..5 {
                pump.turn().unwrap();
            }
            if let Ok(n) = read(&sink, &mut buffer) {
                got.extend_from_slice(&buffer[..n]);
            }
        }
        assert!(got.iter().enumerate().all(|(i, &b)| b == byte(i)));
    }

    #[test]
    fn the_end_of_one_side_reaches_the_other() {
        let ((from, source), (sink, to)) = (pipe(), pipe());
        let mut pump = Pump::new(from, to);
        write(&source, b"last").unwrap();
        drop(source);
        pump.turn().unwrap();
        pump.turn().unwrap();
        assert!(pump.is_done());
        let mut buffer = [0; 8];
        assert_eq!(read(&sink, &mut buffer), Ok(4));
        assert_eq!(read(&sink, &mut buffer), Ok(0));

        let ((from, source), (sink, to)) = (pipe(), pipe());
        let mut pump = Pump::new(from, to);
        drop(sink);
        write(&source, b"x").unwrap();
        pump.turn().unwrap();
        assert!(pump.is_done());
        assert_eq!(write(&source, b"x"), Err(Errno::EPIPE));
    }
}
