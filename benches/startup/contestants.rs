//! Who takes part: the floor in its variants, full-run and the stages, and other runtimes around the same directory.

use nix::sched::CloneFlags;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where it all happens: a directory with a root filesystem, state and bundles, which goes away at the end.
pub struct Ground {
    dir: PathBuf,
}

impl Ground {
    /// Makes it, with this program as /bin/true.
    pub fn make() -> Ground {
        let dir = std::env::temp_dir().join(format!("boxwright-bench-{}", std::process::id()));
        for name in ["bin", "proc", "dev", "sys", "etc", "tmp"] {
            std::fs::create_dir_all(dir.join("rootfs").join(name)).expect("mkdir");
        }
        let this = std::env::current_exe().expect("/proc/self/exe");
        std::fs::copy(&this, dir.join("rootfs/bin/true")).expect("a copy of this program");
        std::fs::copy(&this, dir.join("floor")).expect("a copy of this program");
        Ground { dir }
    }

    fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    /// Takes it away.
    pub fn clean(self) {
        let _ = std::fs::remove_dir_all(self.dir);
    }
}

/// One way to start the program.
pub struct Contestant {
    /// What the table calls it.
    pub name: String,
    /// The floor that it is compared with: the one that makes the same kinds of things.
    pub floor: &'static str,
    /// Is it one itself?
    pub is_floor: bool,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    /// The mount namespace that it is started in, if not ours.
    view: Option<OwnedFd>,
}

const FLOOR: &str = "floor";
const FLOOR_NET: &str = "floor, net";
const FLOOR_CGROUPS: &str = "floor, net, cgroups";

impl Contestant {
    fn new(name: impl Into<String>, floor: &'static str, program: impl Into<PathBuf>) -> Contestant {
        let name = name.into();
        Contestant { is_floor: false, name, floor, program: program.into(), args: vec![], env: vec![], view: None }
    }

    fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Contestant {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Contestant {
        self.env.push((name, value.into()));
        self
    }

    /// Ready to be started, silent.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(n, v)| (n, v)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(view) = self.view.as_ref().map(AsRawFd::as_raw_fd) {
            // SAFETY: between fork and exec there is one system call, which touches no memory.
            unsafe {
                command.pre_exec(move || Ok(nix::sched::setns(BorrowedFd::borrow_raw(view), CloneFlags::CLONE_NEWNS)?))
            };
        }
        command
    }

    /// Why it does not work here, in its own words.
    pub fn complaint(&self, status: i32) -> String {
        let output = self.command().stderr(Stdio::piped()).output();
        let text = output.map(|o| String::from_utf8_lossy(&o.stderr).trim().replace('\n', " ")).unwrap_or_default();
        if text.is_empty() { format!("it ended with status {status:#x}") } else { text }
    }
}

/// All that can be tried here.
pub fn all(ground: &Ground) -> Vec<Contestant> {
    let mut all = floors(ground);
    all.extend(ours(ground));
    all.extend(others(ground));
    all
}

fn floors(ground: &Ground) -> Vec<Contestant> {
    let floor = |name: &'static str| {
        let floor = Contestant::new(name, name, ground.dir.join("floor")).args([ground.rootfs()]).args(["/bin/true"]);
        Contestant { is_floor: true, ..floor }
    };
    vec![floor(FLOOR), floor(FLOOR_NET).env("NET", "1"), floor(FLOOR_CGROUPS).env("NET", "1").env("CG", "1")]
}

fn ours(ground: &Ground) -> Vec<Contestant> {
    let boxwright = |name: String, floor| {
        let state = ground.dir.join("state");
        Contestant::new(name, floor, env!("CARGO_BIN_EXE_boxwright")).env("BOXWRIGHT_ROOT", state)
    };
    let limits = ["--cpus", "1", "--memory", "256m", "--pids-limit", "64"];
    let run = |name: &str, floor, options: &[&str]| {
        let args = ["full-run", "--rm"].into_iter().chain(options.iter().copied()).chain(["--rootfs"]);
        boxwright(format!("full-run {name}"), floor).args(args).args([ground.rootfs()]).args(["/bin/true"])
    };
    let mut all = vec![
        run("--network host", FLOOR, &["--network", "host"]),
        run("--network none", FLOOR_NET, &["--network", "none"]),
        run("--network none, limits", FLOOR_CGROUPS, &[&["--network", "none"], &limits[..]].concat()),
        run("--network bridge", FLOOR_NET, &["--network", "bridge"]),
        run("--network bridge, limits", FLOOR_CGROUPS, &[&["--network", "bridge"], &limits[..]].concat()),
    ];
    let list = Command::new(env!("CARGO_BIN_EXE_boxwright")).args(["stages", "--format", "json"]).output();
    let list: serde_json::Value = list.ok().and_then(|o| serde_json::from_slice(&o.stdout).ok()).unwrap_or_default();
    for stage in list.as_array().into_iter().flatten().filter_map(|s| s["name"].as_str()).filter(|s| *s != "full-run") {
        // Without a report, which looks at the process before and after each step, and would be most of the time.
        let has_root =
            !["map-user", "unshare-pid", "join-cgroup", "private-mounts", "set-hostname", "unshare-ipc", "add-net"]
                .contains(&stage);
        let root: Vec<OsString> = if has_root { vec!["--rootfs".into(), ground.rootfs().into()] } else { vec![] };
        let program = if has_root { "/bin/true".into() } else { ground.rootfs().join("bin/true") };
        all.push(
            boxwright(format!("{stage}, with report"), FLOOR_CGROUPS)
                .args([stage])
                .args(root)
                .args(["--"])
                .args([program]),
        );
    }
    all
}

fn others(ground: &Ground) -> Vec<Contestant> {
    let root = ground.rootfs();
    let mut all = vec![
        Contestant::new("bubblewrap", FLOOR_NET, "bwrap").args(["--unshare-all", "--bind"]).args([&root]).args([
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "/bin/true",
        ]),
        Contestant::new("unshare", FLOOR_NET, "unshare")
            .args(["--pid", "--fork", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--mount-proc", "--root"])
            .args([&root])
            .args(["/bin/true"]),
    ];
    for runtime in ["crun", "runc"] {
        match bundle(ground, runtime) {
            Ok(dir) => {
                let args = ["run", "--bundle"].map(OsString::from).into_iter().chain([dir.clone().into()]);
                let contestant = Contestant::new(runtime, FLOOR_CGROUPS, runtime)
                    .args(["--root".into(), OsString::from(dir.join("state"))])
                    .args(args)
                    .args(["boxwright-bench"]);
                // crun refuses hybrid machines: it gets a view of this one in which there is only version 1.
                all.push(Contestant { view: without_v2().filter(|_| runtime == "crun"), ..contestant });
            }
            Err(why) => println!("SKIPPED: {runtime}, because {why}"),
        }
    }
    all.push(
        Contestant::new("podman run", FLOOR_NET, "podman")
            .args(["run", "--rm", "--network", "none", "--rootfs"])
            .args([&root])
            .args(["/bin/true"]),
    );
    match docker_image(&root) {
        Ok(image) => all.push(
            Contestant::new("docker run", FLOOR_NET, "docker")
                .args(["run", "--rm", "--network", "none"])
                .args([image, "/bin/true".into()]),
        ),
        Err(why) => println!("SKIPPED: docker run, because {why}"),
    }
    all
}

/// On a hybrid machine: a mount namespace without the tree of cgroup v2.
fn without_v2() -> Option<OwnedFd> {
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let trees = |kind: &str| -> Vec<String> {
        let mount = |line: &str| line.split(' ').nth(1).map(str::to_string);
        mounts.lines().filter(|l| l.split(' ').nth(2) == Some(kind)).filter_map(mount).collect()
    };
    let unified = trees("cgroup2").into_iter().next().filter(|_| !trees("cgroup").is_empty())?;
    // A thread's namespace of its own lives on in the descriptor.
    let make = move || {
        nix::sched::unshare(CloneFlags::CLONE_NEWNS).ok()?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).ok()?;
        umount2(unified.as_str(), MntFlags::MNT_DETACH).ok()?;
        std::fs::File::open("/proc/thread-self/ns/mnt").ok().map(OwnedFd::from)
    };
    std::thread::spawn(make).join().ok()?
}

/// A bundle as the runtime's own `spec` makes it, with our program and our directory.
fn bundle(ground: &Ground, runtime: &str) -> Result<PathBuf, String> {
    let dir = ground.dir.join(format!("{runtime}-bundle"));
    std::fs::create_dir(&dir).map_err(|e| e.to_string())?;
    let made = Command::new(runtime).arg("spec").current_dir(&dir).output().map_err(|e| e.to_string())?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).trim().to_string());
    }
    let file = dir.join("config.json");
    let text = std::fs::read(&file).map_err(|e| e.to_string())?;
    let mut spec: serde_json::Value = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = ["/bin/true"].as_slice().into();
    spec["root"]["path"] = ground.rootfs().to_string_lossy().into();
    std::fs::write(&file, spec.to_string()).map_err(|e| e.to_string())?;
    Ok(dir)
}

/// The same directory as an image. Only where there is a daemon to ask.
fn docker_image(root: &Path) -> Result<String, String> {
    let said =
        |o: std::process::Output| String::from_utf8_lossy(&o.stderr).lines().next().unwrap_or_default().to_string();
    let version = Command::new("docker").arg("version").output().map_err(|e| e.to_string())?;
    if !version.status.success() {
        return Err(said(version));
    }
    let tar = Command::new("tar").arg("-C").arg(root).args(["-c", "."]).stdout(Stdio::piped()).spawn();
    let tar = tar.map_err(|e| e.to_string())?.stdout.ok_or("tar has no output")?;
    let import = Command::new("docker").args(["import", "-", "boxwright-bench"]).stdin(tar).output();
    let import = import.map_err(|e| e.to_string())?;
    if import.status.success() { Ok("boxwright-bench".into()) } else { Err(said(import)) }
}
