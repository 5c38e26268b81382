//! A terminal with somebody before it: boxwright runs there, keys are typed, and what is shown is read.

use super::World;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A terminal, at which boxwright runs.
pub struct Desk {
    master: std::fs::File,
    slave: OwnedFd,
    /// boxwright.
    pub child: Child,
    /// All that it has shown.
    pub seen: String,
}

impl Desk {
    /// boxwright with these arguments, at a terminal of 33 lines with 99 characters.
    pub fn new(world: &World, args: &[&str]) -> Desk {
        let size = nix::pty::Winsize { ws_row: 33, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = nix::pty::openpty(Some(&size), None).expect("a terminal");
        // Who has a copy of the master keeps the terminal from hanging up.
        for end in [&pair.master, &pair.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("fcntl");
        }
        let dup = || Stdio::from(pair.slave.try_clone().expect("dup"));
        let mut command = world.any("setsid");
        command.args(["--ctty", "--"]).arg(world.program()).args(args);
        let child = command.stdin(dup()).stdout(dup()).stderr(dup()).spawn().expect("setsid");
        Desk { master: pair.master.into(), slave: pair.slave, child, seen: String::new() }
    }

    /// Keys, as a keyboard sends them.
    pub fn type_in(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("write");
    }

    /// Reads until that has been shown.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        all_show(&mut [self], text);
    }

    /// Reads what is there, or comes within this time.
    pub fn look(&mut self, patience: Duration) {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, patience.as_millis() as u16).expect("poll") > 0 {
            let mut buffer = [0; 4096];
            let n = self.master.read(&mut buffer).expect("read");
            self.seen += &String::from_utf8_lossy(&buffer[..n]);
        }
    }

    /// `stty`, at this terminal.
    pub fn stty(&self, args: &[&str]) -> String {
        let mut stty = std::process::Command::new("stty");
        let output = stty.args(args).stdin(self.slave.try_clone().expect("dup")).output().expect("stty");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Reads at all of these until each has shown it: who does not read holds the others up.
#[track_caller]
pub fn all_show(desks: &mut [&mut Desk], text: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Some(not) = desks.iter().find(|desk| !desk.seen.contains(text)) {
        assert!(Instant::now() < deadline, "{text:?} is not in {:?}", not.seen);
        desks.iter_mut().for_each(|desk| desk.look(Duration::from_millis(5)));
    }
}
