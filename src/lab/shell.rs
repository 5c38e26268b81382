//! One shell that is fed block by block. It is one, because scripts have variables and background jobs; and after each
//! block it says how that ended, so that its output can be told from the next one's.

use super::place::Place;
use crate::error::{Error, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a block may take. A virtual machine under emulation is slow, so nothing that works comes near it.
const LIMIT: Duration = Duration::from_secs(180);

/// Reads the names of files, runs each in this very shell, and answers with its exit status. What it runs has neither
/// of the two channels.
const LOOP: &str = "exec 8>\"$1\"; while read -r block; do . \"$block\" </dev/null 8>&-; echo $? >&8; done";

/// The shell.
#[derive(Debug)]
pub struct Shell<'a> {
    place: &'a Place,
    child: Child,
    orders: ChildStdin,
    answers: File,
    output: PipeReader,
    count: u32,
}

/// How a block ended and what it printed, on both streams.
#[derive(Debug)]
pub struct Ran {
    /// As `$?`.
    pub status: i32,
    /// Standard output and error, in the order in which they came.
    pub output: String,
}

impl<'a> Shell<'a> {
    /// Starts it in the place.
    ///
    /// # Errors
    /// When there is no sh.
    pub fn start(place: &'a Place, colour: bool) -> Result<Shell<'a>> {
        let fail = |call: &'static str| move |e: std::io::Error| Error::io(call, &e);
        let fifo = place.dir.with_file_name("answers");
        let _ = std::fs::remove_file(&fifo);
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).map_err(|e| Error::call("mkfifo(answers)", e))?;
        // Opened for both: nobody waits for the other side, and there is no end while the shell changes its own.
        let answers = File::options().read(true).write(true).open(&fifo).map_err(fail("open(answers)"))?;
        let (output, out) = std::io::pipe().map_err(fail("pipe2()"))?;
        let err = out.try_clone().map_err(fail("dup()"))?;
        for fd in [answers.as_fd(), output.as_fd()] {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| Error::call("fcntl(F_SETFL)", e))?;
        }
        let (set, unset) = if colour { ("CLICOLOR_FORCE", "NO_COLOR") } else { ("NO_COLOR", "CLICOLOR_FORCE") };
        let mut child = Command::new("sh")
            .args(["-c", LOOP, "sh"])
            .arg(&fifo)
            .current_dir(&place.dir)
            .env("PATH", &place.path)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("COLUMNS", "80")
            .env("PWD", &place.dir)
            .env(set, "1")
            .env_remove(unset)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(fail("execve(sh)"))?;
        let orders = child.stdin.take().ok_or_else(|| Error::new("the shell has no input"))?;
        Ok(Shell { place, child, orders, answers, output, count: 0 })
    }

    /// Runs a block to its end. Output goes to `listen` as it comes.
    ///
    /// # Errors
    /// When the shell ends, or the block does not.
    pub fn run(&mut self, code: &str, listen: &mut dyn FnMut(&str)) -> Result<Ran> {
        self.count += 1;
        let block = self.place.tool(&format!("block-{}.sh", self.count), code)?;
        writeln!(self.orders, "{}", block.display()).map_err(|e| Error::io("write(orders)", &e))?;
        let deadline = Instant::now() + LIMIT;
        let (mut bytes, mut answer) = (Vec::new(), String::new());
        let mut told = 0;
        loop {
            self.wait_for_either();
            // The answer first: what was printed before it is then in the pipe already.
            read_some(&mut self.answers, &mut |new| answer.push_str(&String::from_utf8_lossy(new)));
            read_some(&mut self.output, &mut |new| bytes.extend_from_slice(new));
            // Whole lines only, so that no character is cut.
            let end = bytes.iter().rposition(|b| *b == b'\n').map_or(told, |at| at + 1);
            if end > told {
                listen(&String::from_utf8_lossy(&bytes[told..end]));
                told = end;
            }
            if let Some(status) = answer.strip_suffix('\n') {
                if bytes.len() > told {
                    listen(&String::from_utf8_lossy(&bytes[told..]));
                }
                let status = status.parse().unwrap_or(-1);
                return Ok(Ran { status, output: String::from_utf8_lossy(&bytes).into_owned() });
            }
            if let Ok(Some(end)) = self.child.try_wait() {
                return Err(Error::new(format!("the shell ended ({end})")).why(format!("it was running:\n{code}")));
            }
            if Instant::now() > deadline {
                return Err(
                    Error::new(format!("no end after {} s", LIMIT.as_secs())).why(format!("it was running:\n{code}"))
                );
            }
        }
    }

    fn wait_for_either(&self) {
        let ready = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut both = [ready(self.answers.as_fd()), ready(self.output.as_fd())];
        // Every second: has the shell ended?
        let _ = poll(&mut both, PollTimeout::from(1000u16));
    }
}

/// What there is to be read now.
fn read_some(from: &mut impl Read, take: &mut dyn FnMut(&[u8])) {
    let mut buffer = [0; 8192];
    while let Ok(n) = from.read(&mut buffer) {
        if n == 0 {
            return;
        }
        take(&buffer[..n]);
    }
}
