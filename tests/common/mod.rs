//! What every test of the binary needs: a [`World`] to run it in, with a state directory, a network namespace and (if
//! asked for) an ordinary user of its own; an inventory of the machine before and after; and a loud way to skip.
//!
//! Worlds exclude each other, also between test programs, because an inventory counts everything that descends from
//! the test: two at a time would count each other's containers.

#![allow(dead_code)] // no single test program uses all of it

pub mod desk;
pub mod drawing;
pub mod inventory;
pub mod life;
#[path = "../../src/lab/normal.rs"]
pub mod normal;
pub mod picture;
pub mod strace;

use inventory::Inventory;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The ordinary user that root becomes for a test. Nobody on a usual machine has this number.
pub const USER: u32 = 1234;

/// How long a run may take. Generous: a VM under emulation is slow.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Leaves the test, having said why: on the terminal (libtest catches what eprintln! says, but not the stream itself), in the
/// file that BOXWRIGHT_SKIPS names, and in the one from which `tests/zz_skipped.rs` makes its sum.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::common::record_skip(module_path!(), &format!($($reason)*));
        return;
    }};
}

/// What [`skip!`] does before it returns.
pub fn record_skip(program: &str, reason: &str) {
    let program = program.split("::").next().unwrap_or(program);
    let test = std::thread::current().name().unwrap_or("main").to_string();
    let line = format!("{program}::{test}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("SKIPPED {line}").as_bytes());
    let append = |file: &Path, text: &str| {
        if let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(file) {
            let _ = file.write_all(text.as_bytes());
        }
    };
    if let Some(file) = std::env::var_os("BOXWRIGHT_SKIPS") {
        append(Path::new(&file), &line);
    }
    append(&skips_file(), &line);
}

/// One file for each run of cargo: all test programs of one run have the same parent.
pub fn skips_file() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("skipped-{}", std::os::unix::process::parent_id()))
}

/// Is the test's user root?
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Slow tests have three lengths: short (BOXWRIGHT_SHORT, for a VM under emulation), usual, and long (BOXWRIGHT_LONG,
/// which leaves nothing out).
pub fn by_length<T>(short: T, usual: T, long: T) -> T {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    match (set("BOXWRIGHT_SHORT"), set("BOXWRIGHT_LONG")) {
        (_, true) => long,
        (true, false) => short,
        (false, false) => usual,
    }
}

/// Why root leaves out what it would do as an ordinary user: in the short form, that one has a run of its own.
pub fn left_to_a_user() -> Option<&'static str> {
    // The gate says so where it lets both run.
    let said = std::env::var_os("BOXWRIGHT_USER_TOO").is_some();
    by_length(is_root(), is_root() && said, false).then_some("an ordinary user has a run of its own")
}

/// Worlds of both kinds of user, as far as this test's user can be them.
pub fn worlds() -> Vec<fn() -> World> {
    if is_root() && left_to_a_user().is_none() { vec![World::new, World::as_user] } else { vec![World::new] }
}

/// A test for each of [`worlds`] in which containers can be; it must leave none.
pub fn in_worlds(program: &str, test: impl Fn(&World)) {
    for make in worlds() {
        let world = make();
        if let Some(why) = world.lack_by_doctor("pivot-root").or_else(|| world.lack_by_doctor("stack-layers")) {
            record_skip(program, &why);
            continue;
        }
        test(&world);
        assert_eq!(world.run(["ps", "-aq"]).stdout, "", "containers that a test has left");
    }
}

/// Is this a machine with only cgroup v2?
pub fn cgroup_v2() -> bool {
    std::fs::read_to_string("/proc/self/mounts")
        .is_ok_and(|m| m.contains(" cgroup2 ") && !m.lines().any(|l| l.split(' ').nth(2) == Some("cgroup")))
}

/// Is a program in PATH?
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The program under test; BOXWRIGHT_BIN names another (in a VM, where the one that cargo built is elsewhere).
pub fn binary() -> PathBuf {
    std::env::var_os("BOXWRIGHT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_boxwright").into(), PathBuf::from)
}

/// Where one test happens.
pub struct World {
    _lock: File,
    /// Everything of this test's: state, HOME, files.
    pub dir: tempfile::TempDir,
    /// Whom root becomes.
    user: Option<u32>,
    program: PathBuf,
}

/// How long what goes by itself may take to go (the last bridge is kept for a second; a VM under emulation is slow).
const SETTLE: Duration = Duration::from_secs(30);

impl World {
    /// As whoever runs the tests. Root's worlds have a network namespace of their own, so that no test touches the
    /// host's links and rules.
    pub fn new() -> World {
        World::make(None)
    }

    /// As an ordinary user: the one who runs the tests, or [`USER`] when that is root.
    pub fn as_user() -> World {
        World::make(is_root().then_some(USER))
    }

    fn make(user: Option<u32>) -> World {
        let lock = the_lock();
        // Whatever a test leaves behind becomes a child of this process, and can be found.
        nix::sys::prctl::set_child_subreaper(true).expect("PR_SET_CHILD_SUBREAPER");
        if is_root() {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("unshare(CLONE_NEWNET)");
        }
        let dir = tempfile::Builder::new().prefix("bw-test-").tempdir().expect("a directory for the test");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
        for name in ["home", "root"] {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).expect("mkdir");
            std::os::unix::fs::chown(&path, user, user).expect("chown");
        }
        let program = dir.path().join("boxwright");
        // Another user may be unable to reach the target directory.
        if std::fs::hard_link(binary(), &program).is_err() {
            std::fs::copy(binary(), &program).expect("a copy of the program");
        }
        World { _lock: lock, dir, user, program }
    }

    /// The same world after one container, which has made what is made only once (the image's files, lists of leases; for
    /// one with a name, the directories of names and of those who attach).
    pub fn used(self) -> World {
        self.run(["full-run", "--rm", "--name", "first", "host", "true"]).exits(0);
        // Root's first user namespace begins the list of ranges of ids. (Where there are none, this fails, and so be it.)
        self.run(["map-user"]);
        self
    }

    /// The state directory (`--root`).
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// The program under test, where this world's user can reach it.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Is the program run as root here?
    pub fn is_root(&self) -> bool {
        self.user.is_none() && is_root()
    }

    /// boxwright with these arguments, not started yet: nothing of the caller's environment, nothing on its input.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.any(&self.program);
        command.args(args);
        command
    }

    /// Any program, as this world's user, in its directory and with its environment.
    pub fn any(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir.path().join("home"))
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("BOXWRIGHT_ROOT", self.root())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        if let Some(user) = self.user {
            // The standard library also gives up supplementary groups when root becomes somebody else.
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs boxwright to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.finish(self.command(args))
    }

    /// Starts boxwright; its output is dropped.
    pub fn spawn<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    }

    /// Runs any command to its end. Its output goes through files: a pipe would be held open by whatever it leaves.
    pub fn finish(&self, mut command: Command) -> Output {
        let (mut out, mut err) = (tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file"));
        command.stdout(out.try_clone().expect("dup")).stderr(err.try_clone().expect("dup"));
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let status = wait(&mut child, TIMEOUT);
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let output = Output { status, stdout: text(&mut out), stderr: text(&mut err), command: format!("{command:?}") };
        assert!(output.status.is_some(), "no end after {TIMEOUT:?}\n{output}");
        output
    }

    /// What there is on the machine, once what came before has settled: a network namespace, and the bridge with its
    /// last port, go some time after the command.
    pub fn inventory(&self) -> Inventory {
        let deadline = Instant::now() + SETTLE;
        let mut last = Inventory::take(&self.root());
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let now = Inventory::take(&self.root());
            if (last.difference(&now).is_empty() && now.has_no_process()) || Instant::now() > deadline {
                return now;
            }
            last = now;
        }
    }

    /// Waits until the machine is again as it was, and fails with what differs if that takes too long
    /// (a network namespace goes some time after its last process).
    pub fn assert_unchanged(&self, before: &Inventory) {
        let deadline = Instant::now() + SETTLE;
        loop {
            let difference = before.difference(&Inventory::take(&self.root()));
            if difference.is_empty() {
                return;
            }
            if Instant::now() > deadline {
                panic!("left behind (+) or gone (-):\n{difference}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// At once after a boxwright command: no start is written down any more, no container's directory is there, and
    /// nobody lives who should not. Quicker than an inventory, and stricter, because it does not wait.
    pub fn assert_swept(&self) {
        let names = |below: &str| -> Vec<String> {
            let entries = std::fs::read_dir(self.root().join(below)).into_iter().flatten().flatten();
            entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("run/journal"), [""; 0], "starts that were not swept");
        assert_eq!(names("lib/containers"), [""; 0], "directories that were not swept");
        let left: Vec<String> = inventory::descendants()
            .into_iter()
            .filter_map(|pid| Some((pid, std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)))
            // A zombie is dead.
            .filter(|(pid, stat)| !stat.contains(") Z ") && !is_remover(*pid))
            .map(|(_, stat)| stat)
            .collect();
        assert!(left.is_empty(), "processes that were not swept: {left:?}");
    }

    /// Why this machine cannot do a stage, if doctor or the stage itself (there is no disk to limit) says so.
    pub fn lack(&self, stage: &str) -> Option<String> {
        let words: &[&str] = if stage == "full-run" { &[stage, "--rm"] } else { &[stage] };
        self.lack_by_doctor(stage).or_else(|| self.run(words).nothing_to_do())
    }

    /// The same by doctor alone: whoever runs the stage anyway asks its [`Output::nothing_to_do`].
    pub fn lack_by_doctor(&self, stage: &str) -> Option<String> {
        let doctor = self.doctor();
        let stages = doctor["stages"].as_array().expect("stages");
        stages.iter().find(|s| s["name"] == stage)?["reason"].as_str().map(str::to_string)
    }

    /// doctor's JSON. Asked once for each kind of user: the machine stays as it is, and a VM under emulation is slow.
    fn doctor(&self) -> &'static serde_json::Value {
        static SAID: [OnceLock<serde_json::Value>; 2] = [OnceLock::new(), OnceLock::new()];
        SAID[usize::from(self.is_root())].get_or_init(|| self.run(["doctor", "--format", "json"]).json())
    }

    /// Why strace cannot follow a start of this world's user, if so: under it, an ordinary user's setuid programs have
    /// no privileges, and newuidmap(1) is one.
    pub fn strace_cannot_follow(&self) -> Option<&'static str> {
        let report = self.run(["map-user", "--format", "json"]);
        report.stdout.contains("newuidmap").then_some("newuidmap maps a range of ids here, and cannot under strace")
    }

    /// Can this world's user make and limit groups here? `None` is yes; else why not.
    pub fn no_cgroups(&self) -> Option<String> {
        let checks = self.doctor()["checks"].as_array().cloned().unwrap_or_default();
        let bad = |c: &&serde_json::Value| {
            c["name"].as_str().is_some_and(|n| n.starts_with("cgroup")) && c["status"].as_str() == Some("missing")
        };
        checks.iter().find(bad).map(|c| format!("{}: {}", c["name"], c["found"]))
    }
}

/// Is it the process that removes the last bridge after its second of grace? Just forked, it still has its parent's name.
fn is_remover(pid: i32) -> bool {
    let deadline = Instant::now() + SETTLE;
    loop {
        match std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end() {
            "boxwright-net" => return true,
            "boxwright" if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            _ => return false,
        }
    }
}

/// The lock of all tests of one build: those of another have other processes, state and network namespaces.
fn the_lock() -> File {
    let mine = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lock");
    // A test program that was copied elsewhere (into a VM) has no such directory.
    let elsewhere = std::env::temp_dir().join(format!("boxwright-tests-{}.lock", nix::unistd::geteuid()));
    let lock = File::create(mine).or_else(|_| File::create(elsewhere)).expect("the lock of the tests");
    lock.lock().expect("flock");
    lock
}

/// A child's end, if it comes in time.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("waitpid") {
            return Some(status);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn text(file: &mut File) -> String {
    use std::io::{Read, Seek};
    let mut bytes = Vec::new();
    file.rewind().expect("lseek");
    file.read_to_end(&mut bytes).expect("read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How a run ended and what it said. Shows all of it when a test fails.
pub struct Output {
    status: Option<ExitStatus>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    command: String,
}

impl Output {
    /// The exit code, or 128 + the signal, as a shell has it.
    pub fn code(&self) -> i32 {
        self.status.map_or(-1, |s| s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0)))
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Output {
        assert_eq!(self.code(), code, "\n{self}");
        self
    }

    /// A stage's reason why there is nothing for it to do here, if that was so.
    pub fn nothing_to_do(&self) -> Option<String> {
        let (_, why) = self.stderr.split_once("nothing to do\n  why: ")?;
        why.lines().next().map(str::to_string)
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON: {e}\n{self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Output { status, stdout, stderr, command } = self;
        write!(f, "--- {command}\n--- {status:?}\n--- stdout:\n{stdout}\n--- stderr:\n{stderr}")
    }
}
