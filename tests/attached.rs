//! Terminals: a container that has one, people who attach to it and leave it, and how large it is.

mod common;

use common::life::{Life, both};
use nix::pty::{OpenptyResult, Winsize, openpty};
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A command at a terminal of its own, which somebody types at and reads from.
struct Seat {
    child: Child,
    name: PathBuf,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Seat {
    fn take(life: &Life, args: &[&str], rows: u16, columns: u16) -> Seat {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).expect("openpty");
        // It becomes the terminal of a session of its own, which is told of changes of its size.
        let mut command = life.any("setsid");
        command.arg("--ctty").arg(life.program()).args(args);
        let end = || Stdio::from(slave.try_clone().expect("dup"));
        command.stdin(end()).stdout(end()).stderr(end());
        let name = nix::unistd::ttyname(&slave).expect("its name");
        let child = command.spawn().expect("it starts");
        drop(command);
        drop(slave);
        let (send, screen) = channel();
        let mut reader = File::from(master.try_clone().expect("dup"));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = reader.read(&mut buffer)
                && n > 0
                && send.send(buffer[..n].to_vec()).is_ok()
            {}
        });
        Seat { child, name, keyboard: File::from(master), screen, seen: String::new() }
    }

    fn types(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).expect("it takes what is typed");
    }

    /// Reads until this is on the screen; returns what was there before it.
    #[track_caller]
    fn sees(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            match self.screen.recv_timeout(Duration::from_secs(20)) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(e) => panic!("{text:?} does not come ({e}); there is {:?}", self.seen),
            }
        }
    }

    fn resize(&self, rows: u16, columns: u16) {
        let (rows, columns) = (rows.to_string(), columns.to_string());
        let stty = Command::new("stty").arg("-F").arg(&self.name).args(["rows", &rows, "columns", &columns]).status();
        assert!(stty.expect("stty").success());
    }

    /// Its exit code.
    #[track_caller]
    fn leaves(mut self) -> i32 {
        let end = common::wait(&mut self.child, Duration::from_secs(20));
        if end.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        end.expect("it leaves").code().unwrap_or(-1)
    }
}

const LEAVE: &[u8] = b"\x10\x11";

#[test]
fn a_terminal_in_the_background() {
    for make in both() {
        let life = make();
        life.run(["full-run", "-dit", "--name", "a", "--network", "none", "host", "sh"]).exits(0);
        let mut one = Seat::take(&life, &["attach", "a"], 33, 77);
        one.types(b"echo $((40 + 2)); test -t 0 && echo term''inal; stty size\n");
        one.sees("42\r\n");
        one.sees("terminal\r\n");
        one.sees("33 77\r\n");
        one.resize(44, 99);
        life.until("it has the new size", || {
            one.types(b"stty size\n");
            one.sees("stty size\r\n");
            one.sees("\r\n");
            one.seen.clear();
            std::thread::sleep(Duration::from_millis(50));
            one.types(b"test \"$(stty size)\" = '44 99' && echo fi''ts || echo not''yet\n");
            let was = one.seen.len();
            while !one.seen[was..].contains("fits") && !one.seen.contains("notyet") {
                match one.screen.recv_timeout(Duration::from_secs(20)) {
                    Ok(bytes) => one.seen += &String::from_utf8_lossy(&bytes),
                    Err(e) => panic!("{e}: {:?}", one.seen),
                }
            }
            one.seen.contains("fits")
        });
        // A second one sees and types the same.
        let mut two = Seat::take(&life, &["attach", "--detach-keys", "ctrl-x,y", "a"], 44, 99);
        std::thread::sleep(Duration::from_millis(200));
        two.types(b"echo f''rom two\n");
        one.sees("from two\r\n");
        two.sees("from two\r\n");
        one.types(b"echo f''rom one\n");
        two.sees("from one\r\n");
        // Its keys end an attachment, and not the container.
        one.types(LEAVE);
        assert_eq!(one.leaves(), 0);
        two.types(LEAVE);
        two.types(b"\x15echo st''ill here\n");
        two.sees("still here\r\n");
        two.types(b"\x18y");
        assert_eq!(two.leaves(), 0);
        assert_eq!(life.state("a"), "running");
        let mut three = Seat::take(&life, &["attach", "a"], 24, 80);
        three.types(b"exit 5\n");
        assert_eq!(three.leaves(), 5);
        assert_eq!(life.field("a", "{{.State.ExitCode}}"), "5");
        assert!(life.run(["logs", "a"]).stdout.contains("from two\r\n"));
        life.end();
    }
}

#[test]
fn a_terminal_in_the_foreground() {
    for make in both() {
        let life = make();
        let args = ["full-run", "-it", "--name", "a", "--network", "none", "host", "sh"];
        let mut seat = Seat::take(&life, &args, 20, 60);
        seat.types(b"stty size; echo o''k\n");
        seat.sees("20 60\r\n");
        seat.sees("ok\r\n");
        // ctrl-c is the container's own.
        seat.types(b"sleep 100\n");
        std::thread::sleep(Duration::from_millis(200));
        seat.types(b"\x03");
        seat.types(b"echo a''gain\n");
        seat.sees("again\r\n");
        seat.types(LEAVE);
        assert_eq!(seat.leaves(), 0);
        assert_eq!(life.state("a"), "running");
        life.run(["kill", "a"]).exits(0);
        let mut seat = Seat::take(&life, &["start", "-a", "-i", "--detach-keys", "Q", "a"], 20, 60);
        seat.types(b"echo f''irst\n");
        seat.sees("first\r\n");
        seat.types(b"exit 3\n");
        assert_eq!(seat.leaves(), 3);
        life.end();
    }
}

/// Whoever types into a container that does not read, and goes away, leaves a monitor that sleeps.
#[test]
fn what_nobody_reads_keeps_nobody_awake() {
    for make in both() {
        let life = make();
        life.up("a", &["-i"], "sleep 100");
        let mut attach = life.command(["attach", "a"]).stdin(Stdio::piped()).spawn().expect("it starts");
        let mut typing = attach.stdin.take().expect("a pipe");
        let typist = std::thread::spawn(move || typing.write_all(&[b'x'; 1 << 20]).is_err());
        std::thread::sleep(Duration::from_millis(300));
        attach.kill().expect("kill");
        attach.wait().expect("its end");
        assert!(typist.join().expect("a thread"), "who typed was held back, and then alone");
        let monitor = life.number("a", "{{.State.MonitorPid}}");
        let wakes = || -> u64 {
            let status = std::fs::read_to_string(format!("/proc/{monitor}/status")).expect("the monitor");
            let numbers = status.lines().filter(|l| l.contains("ctxt_switches"));
            numbers.filter_map(|l| l.split_whitespace().last()?.parse::<u64>().ok()).sum()
        };
        let before = wakes();
        std::thread::sleep(Duration::from_millis(1000));
        assert_eq!(wakes(), before, "it wakes, although nothing happens");
        let memory = std::fs::read_to_string(format!("/proc/{monitor}/status")).expect("the monitor");
        let anonymous =
            memory.lines().find_map(|l| l.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        assert!(anonymous.is_some_and(|kib| kib < 512), "{anonymous:?} KiB");
        life.end();
    }
}

#[test]
fn what_cannot_be_attached_to() {
    let life = Life::of(common::World::new());
    life.refused(&["attach", "nobody"], 125, &["No such container"]);
    life.run(["create", "--name", "a", "host", "true"]).exits(0);
    life.refused(&["attach", "a"], 125, &["does not run", "boxwright start -a a"]);
    life.refused(&["attach", "--detach-keys", "ctrl-", "a"], 125, &["does not run"]);
    life.sleeper("b", &[]);
    life.refused(&["attach", "--detach-keys", "ctrl-pq", "b"], 125, &["ctrl-pq"]);
    life.refused(&["attach", "a", "b"], 125, &["b"]);
    life.end();
}
