//! Attached: somebody's terminal, connected with a container that runs under its monitor. The two talk over a socket
//! that keeps messages apart (SOCK_SEQPACKET), of one letter and what belongs to it. Any number may be attached at once:
//! all see everything, and each may type.

use crate::command::stdio::{duplicate, standard};
use crate::error::{Error, Result, code};
use crate::journal::Process;
use crate::state::{State, make_private};
use crate::sys::{process, signal, tty};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept4, bind, connect, listen as listen_on, recv,
    send, socket, socketpair,
};
use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// The largest piece of output or input in one message.
pub const PIECE: usize = 32 * 1024;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// To the client: standard output, or the terminal's.
    Out(Vec<u8>),
    /// To the client: standard error.
    Err(Vec<u8>),
    /// To the client: it has ended, with this code.
    End(i32),
    /// To the monitor: typed.
    In(Vec<u8>),
    /// To the monitor: nothing more will be typed.
    InEnd,
    /// To the monitor: rows and columns of the client's terminal.
    Size(u16, u16),
    /// To the monitor: do not start it again.
    Stop,
    /// To the monitor: tell me its end, and nothing else.
    Quiet,
}

impl Message {
    fn encode(&self) -> Vec<u8> {
        let with = |letter: u8, bytes: &[u8]| [&[letter], bytes].concat();
        match self {
            Message::Out(bytes) => with(b'o', bytes),
            Message::Err(bytes) => with(b'e', bytes),
            Message::End(code) => with(b'x', &code.to_le_bytes()),
            Message::In(bytes) => with(b'i', bytes),
            Message::InEnd => with(b'd', &[]),
            Message::Size(rows, columns) => with(b'r', &[rows.to_le_bytes(), columns.to_le_bytes()].concat()),
            Message::Stop => with(b's', &[]),
            Message::Quiet => with(b'q', &[]),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Message> {
        let (letter, rest) = bytes.split_first()?;
        let number = |at: usize| Some(u16::from_le_bytes([*rest.get(at)?, *rest.get(at + 1)?]));
        Some(match letter {
            b'o' => Message::Out(rest.into()),
            b'e' => Message::Err(rest.into()),
            b'x' => Message::End(i32::from_le_bytes(rest.try_into().ok()?)),
            b'i' => Message::In(rest.into()),
            b'd' => Message::InEnd,
            b'r' => Message::Size(number(0)?, number(2)?),
            b's' => Message::Stop,
            b'q' => Message::Quiet,
            _ => return None,
        })
    }
}

/// Sends a message, whole or not at all; `EAGAIN` when the other side's buffer is full and the socket does not block.
///
/// # Errors
/// EPIPE when nobody is there.
pub fn say(socket: BorrowedFd<'_>, message: &Message) -> nix::Result<()> {
    send(socket.as_raw_fd(), &message.encode(), MsgFlags::MSG_NOSIGNAL).map(drop)
}

/// What the other side says next; none when it has gone.
///
/// # Errors
/// EAGAIN when there is nothing, and the socket does not block.
pub fn hear(socket: BorrowedFd<'_>) -> nix::Result<Option<Message>> {
    let mut buffer = vec![0; PIECE + 1];
    let n = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    Ok(if n == 0 { None } else { Message::decode(&buffer[..n]) })
}

fn directory(state: &State) -> PathBuf {
    state.run.join("attach")
}

/// A pair of connected ends, for a client that is there from the beginning.
///
/// # Errors
/// EMFILE.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(|e| Error::call("socketpair(AF_UNIX, SOCK_SEQPACKET)", e))
}

/// An address is at most 108 bytes long (unix(7)), and a path may be longer: so it is that of a descriptor of its
/// directory.
fn address(state: &State, id: &str) -> Result<(OwnedFd, UnixAddr)> {
    let dir = directory(state);
    let open = crate::sys::fs::open(&dir, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
    let path = format!("/proc/self/fd/{}/{id}", open.as_raw_fd());
    let address = UnixAddr::new(path.as_str()).map_err(|e| Error::call(format!("sockaddr_un({path})"), e))?;
    Ok((open, address))
}

/// The socket at which clients of this container arrive.
///
/// # Errors
/// When the state directory cannot be written.
pub fn listen(state: &State, id: &str) -> Result<OwnedFd> {
    make_private(&directory(state))?;
    forget(state, id);
    let (_dir, address) = address(state, id)?;
    let fail = |call: &'static str| move |e| Error::call(call, e);
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(fail("socket(AF_UNIX)"))?;
    bind(socket.as_raw_fd(), &address).map_err(fail("bind(the container's socket)"))?;
    listen_on(&socket, Backlog::new(16).unwrap_or(Backlog::MAXCONN)).map_err(fail("listen()"))?;
    Ok(socket)
}

/// Nobody listens there any more.
pub fn forget(state: &State, id: &str) {
    let _ = std::fs::remove_file(directory(state).join(id));
}

/// A client that has arrived.
///
/// # Errors
/// EAGAIN when there is none; EMFILE, ENFILE.
pub fn arrived(listener: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK).map(crate::sys::fs::adopt)
}

/// Connects with a container's monitor.
///
/// # Errors
/// When it does not run.
pub fn to(state: &State, id: &str) -> Result<OwnedFd> {
    let gone = |e| {
        Error::call(format!("connect({id})"), e)
            .why("the container has no monitor that one could attach to: it has ended, or runs in the foreground of another command")
            .hint("boxwright ps -a")
    };
    let (_dir, address) = address(state, id).map_err(|_| gone(Errno::ENOENT))?;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
        .map_err(|e| Error::call("socket(AF_UNIX)", e))?;
    connect(socket.as_raw_fd(), &address).map_err(gone)?;
    Ok(socket)
}

/// How a client attends.
#[derive(Debug, Clone)]
pub struct How {
    /// Is what is typed sent on?
    pub input: bool,
    /// Has the container a terminal?
    pub terminal: bool,
    /// Bytes that end the attachment and not the container; none: nothing does.
    pub detach: Vec<u8>,
    /// The container's process 1, to which signals are passed on (docker's `--sig-proxy`).
    pub proxy: Option<Process>,
}

/// How an attachment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With the container: its exit code.
    Container(i32),
    /// By the detach keys.
    Detached,
}

/// docker's `--detach-keys`: `ctrl-p,ctrl-q`, letters.
///
/// # Errors
/// What is neither a character nor `ctrl-` and one.
pub fn keys(text: &str) -> Result<Vec<u8>> {
    let wrong = |key: &str| {
        Error::new(format!("--detach-keys {text}: {key:?} is no key"))
            .hint("ctrl-p,ctrl-q: letters, or ctrl- and one of a-z @ [ \\ ] ^ _")
    };
    let key = |key: &str| -> Result<u8> {
        match (key.strip_prefix("ctrl-").map(str::as_bytes), key.as_bytes()) {
            (Some([c]), _) if c.is_ascii_lowercase() || b"@[\\]^_".contains(c) => Ok(c.to_ascii_uppercase() & 0x1f),
            (None, [c]) if c.is_ascii_graphic() => Ok(*c),
            _ => Err(wrong(key)),
        }
    };
    if text.is_empty() { Ok(vec![]) } else { text.split(',').map(key).collect() }
}

struct Raw(tty::Modes);

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tty::set_modes(standard()[0], &self.0);
    }
}

/// Stays until the container ends or the user detaches.
///
/// # Errors
/// When the monitor is gone without having told the container's end.
pub fn attend(socket: &OwnedFd, how: &How) -> Result<Ended> {
    let signals =
        [libc::SIGWINCH, libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];
    signal::block(&signals)?;
    let signalled = signal::fd(&signals)?;
    // It may have ended long before we have shown its last words, and its number may be another's.
    let proxy = how.proxy.and_then(Process::open);
    let [stdin, stdout, stderr] = standard();
    let typing = how.input && how.terminal && stdin.is_terminal();
    let _raw = match typing.then(|| tty::modes(stdin)).transpose()? {
        Some(modes) => {
            tty::set_modes(stdin, &tty::raw(&modes))?;
            Some(Raw(modes))
        }
        None => None,
    };
    if how.terminal {
        tell_size(socket);
    }
    let mut outputs = [duplicate(stdout)?, duplicate(stderr)?].map(std::fs::File::from);
    let (mut input, mut keys) = (how.input, Keys::new(how.detach.clone()));
    // Neither side may wait until the other one takes something: it may be waiting for just that.
    fcntl(socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| Error::call("fcntl(F_SETFL, O_NONBLOCK)", e))?;
    // What was typed and the socket had no room for. Until it is out, nothing more is read.
    let mut unsent = None;
    loop {
        let wants = if unsent.is_some() { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
        let mut fds = vec![PollFd::new(socket.as_fd(), wants), PollFd::new(signalled.as_fd(), PollFlags::POLLIN)];
        if input && unsent.is_none() {
            fds.push(PollFd::new(stdin, PollFlags::POLLIN));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(Error::call("poll(the container)", e)),
        }
        let is_ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        if is_ready[1] {
            while let Some(arrived) = signal::next(signalled.as_fd()) {
                match (arrived.signal, &proxy) {
                    (libc::SIGWINCH, _) => tell_size(socket),
                    (other, Some(pidfd)) => drop(process::pidfd_kill(pidfd, other)),
                    (other, None) => return Err(Error::new("interrupted").exit(128 + other as u8)),
                }
            }
        }
        if is_ready[0] {
            use std::io::Write;
            // Who does not read our output has seen enough; the container goes on.
            match hear(socket.as_fd()) {
                Ok(Some(Message::Out(bytes))) => drop(outputs[0].write_all(&bytes)),
                Ok(Some(Message::Err(bytes))) => drop(outputs[1].write_all(&bytes)),
                Ok(Some(Message::End(code))) => return Ok(Ended::Container(code)),
                Ok(Some(_)) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(e) => return Err(Error::call("recv(the monitor)", e)),
                Ok(None) => {
                    return Err(Error::new("the container's monitor is gone")
                        .why("it was killed; the next boxwright command ends the container")
                        .exit(code::FAILED));
                }
            }
        }
        unsent = unsent.and_then(|message| send_on(socket, message));
        if is_ready.get(2) == Some(&true) {
            let mut buffer = [0; 4096];
            match nix::unistd::read(stdin, &mut buffer) {
                Ok(0) | Err(Errno::EIO) => {
                    input = false;
                    unsent = send_on(socket, Message::InEnd);
                }
                Ok(n) => match keys.pass(&buffer[..n]) {
                    (bytes, true) => {
                        let _ = say(socket.as_fd(), &Message::In(bytes));
                        return Ok(Ended::Detached);
                    }
                    (bytes, false) if !bytes.is_empty() => unsent = send_on(socket, Message::In(bytes)),
                    _ => {}
                },
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(e) => return Err(Error::call("read(0)", e)),
            }
        }
    }
}

/// Sends what was typed; what there is no room for is given back. Nobody there: then the next look at the socket tells.
fn send_on(socket: &OwnedFd, message: Message) -> Option<Message> {
    match say(socket.as_fd(), &message) {
        Err(Errno::EAGAIN | Errno::ENOBUFS) => Some(message),
        _ => None,
    }
}

fn tell_size(socket: &OwnedFd) {
    if let Some(size) = standard().into_iter().find_map(tty::size) {
        let _ = say(socket.as_fd(), &Message::Size(size.rows, size.columns));
    }
}

/// Looks for the detach keys in what is typed. What may be their beginning is held back until that is decided.
#[derive(Debug)]
pub struct Keys {
    keys: Vec<u8>,
    seen: usize,
}

impl Keys {
    /// These; with none, everything passes.
    pub fn new(keys: Vec<u8>) -> Keys {
        Keys { keys, seen: 0 }
    }

    /// What is to be sent on of what was typed; and were these the keys?
    pub fn pass(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        for &byte in typed {
            if self.keys.is_empty() {
                out.push(byte);
                continue;
            }
            if byte != self.keys[self.seen] {
                out.extend_from_slice(&self.keys[..self.seen]);
                self.seen = 0;
            }
            if byte == self.keys[self.seen] {
                self.seen += 1;
                if self.seen == self.keys.len() {
                    return (out, true);
                }
            } else {
                out.push(byte);
            }
        }
        (out, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        let (a, b) = pair().unwrap();
        for message in [
            Message::Out(vec![0, 255]),
            Message::End(-1),
            Message::Size(24, 80),
            Message::InEnd,
            Message::Stop,
            Message::Quiet,
        ] {
            say(a.as_fd(), &message).unwrap();
            assert_eq!(hear(b.as_fd()).unwrap(), Some(message));
        }
        drop(a);
        assert_eq!(hear(b.as_fd()).unwrap(), None);
    }

    #[test]
    fn detach_keys_are_seen_also_in_pieces() {
        assert_eq!(keys("ctrl-p,ctrl-q").unwrap(), [16, 17]);
        assert!(keys("ctrl-pq").is_err() && keys("ctrl-").is_err());
        let mut held = Keys::new(vec![16, 17]);
        assert_eq!(held.pass(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(held.pass(b"c"), (b"\x10c".to_vec(), false));
        assert_eq!(held.pass(b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(held.pass(b"\x11zz"), (vec![], true));
    }
}
