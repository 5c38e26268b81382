//! What is measured: the floor, full-run, every stage, and other programs that make containers, all around the same
//! small root filesystem and the same tiny static payload.

use crate::Result;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use std::ffi::{OsString, c_int};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const BOXWRIGHT: &str = env!("CARGO_BIN_EXE_boxwright");

/// One command line to be measured.
pub struct Subject {
    /// What the table calls it.
    pub name: String,
    /// Program and arguments.
    pub words: Vec<OsString>,
    /// The name of the floor that it is held against.
    pub floor: &'static str,
    /// The mount namespace that it runs in, if not ours.
    pub mounts: Option<Arc<File>>,
}

impl Subject {
    /// The command, ready to be run; `wrapper` is a program of ours and its first arguments, to run it with.
    pub fn command(&self, wrapper: &[OsString]) -> Command {
        let words = [wrapper, &self.words].concat();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        if let Some(mounts) = self.mounts.clone() {
            // SAFETY: one system call between fork and exec, which needs no memory.
            unsafe { command.pre_exec(move || Ok(setns(&mounts, CloneFlags::CLONE_NEWNS)?)) };
        }
        command
    }
}

/// A temporary directory with a root filesystem, bundles, and the state of everybody who keeps some.
pub struct Place {
    dir: tempfile::TempDir,
    root: PathBuf,
}

/// The container that keeps the bridge up: it reads its input until that ends, which is when this value is dropped.
pub struct Idle(Child);

impl Drop for Idle {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Place {
    pub fn make() -> Result<Place> {
        let dir = tempfile::tempdir()?;
        let root = dir.path().join("rootfs");
        for name in ["bin", "proc", "dev", "sys", "etc", "tmp", "root"] {
            fs::create_dir_all(root.join(name))?;
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let payload = match find("busybox").filter(|b| is_static(b)) {
            Some(busybox) => busybox,
            None => std::env::current_exe()?,
        };
        println!("payload: /bin/true is {}", payload.display());
        for name in ["bin/true", "bin/cat"] {
            fs::copy(&payload, root.join(name))?;
        }
        Ok(Place { dir, root })
    }

    /// Starts a container on the bridge and waits until it runs.
    pub fn idle_container(&self) -> Result<Idle> {
        use std::io::{Read, Write};
        let mut words = self.full_run(&["-i", "--network", "bridge"]);
        if let Some(last) = words.last_mut() {
            *last = "/bin/cat".into();
        }
        let mut child =
            Command::new(&words[0]).args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut answer = [0];
        if let (Some(input), Some(output)) = (child.stdin.as_mut(), child.stdout.as_mut()) {
            input.write_all(b"?")?;
            output.read_exact(&mut answer).map_err(|_| "the idle container on the bridge does not start")?;
        }
        Ok(Idle(child))
    }

    pub fn subjects(&self) -> Result<Vec<Subject>> {
        let mut all = self.floors()?;
        all.extend(self.full_runs());
        all.extend(self.stages()?);
        all.extend(self.others()?);
        Ok(all)
    }

    fn floors(&self) -> Result<Vec<Subject>> {
        let this = std::env::current_exe()?;
        let kind = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "2" } else { "1" };
        let floor = |name: &'static str, flags: String| Subject {
            name: name.into(),
            words: [this.as_os_str(), "floor".as_ref(), flags.as_ref(), self.root.as_ref(), "/bin/true".as_ref()]
                .map(Into::into)
                .into(),
            floor: name,
            mounts: None,
        };
        Ok(vec![
            floor("floor", "-".into()),
            floor("floor net", "n".into()),
            floor("floor cgroups", kind.into()),
            floor("floor net cgroups", format!("n{kind}")),
        ])
    }

    /// `full-run` with these flags, state in the temporary directory, around the root, running the payload.
    fn full_run(&self, flags: &[&str]) -> Vec<OsString> {
        let mut words = self.boxwright("full-run");
        words.push("--rm".into());
        words.extend(flags.iter().map(Into::into));
        words.extend(["--rootfs".into(), self.root.clone().into(), "/bin/true".into()]);
        words
    }

    fn boxwright(&self, subcommand: &str) -> Vec<OsString> {
        vec![BOXWRIGHT.into(), "--root".into(), self.dir.path().join("state").into(), subcommand.into()]
    }

    fn full_runs(&self) -> Vec<Subject> {
        const LIMITS: [&str; 6] = ["--cpus", "1", "--memory", "256m", "--pids-limit", "100"];
        let mut all = Vec::new();
        for limits in [&[][..], &LIMITS] {
            for network in ["host", "none", "bridge"] {
                let flags = [&["--network", network], limits].concat();
                all.push(Subject {
                    name: format!("full-run {network}{}", if limits.is_empty() { "" } else { " limits" }),
                    words: self.full_run(&flags),
                    floor: if network == "host" { "floor cgroups" } else { "floor net cgroups" },
                    mounts: None,
                });
            }
        }
        all
    }

    /// Every stage, with its own defaults and its report.
    fn stages(&self) -> Result<Vec<Subject>> {
        let list = Command::new(BOXWRIGHT).args(["stages", "--format", "json"]).output()?.stdout;
        let list: serde_json::Value = serde_json::from_slice(&list)?;
        let names: Vec<&str> =
            list.as_array().ok_or("no list of stages")?.iter().filter_map(|s| s["name"].as_str()).collect();
        let (mut networked, mut rooted) = (false, false);
        let mut all = Vec::new();
        for name in names.into_iter().filter(|&n| n != "full-run") {
            networked |= name == "add-net";
            rooted |= name == "stack-layers";
            let mut words = self.boxwright(name);
            if rooted {
                words.extend(["--rootfs".into(), self.root.clone().into()]);
            }
            let payload = if rooted { "/bin/true".into() } else { self.root.join("bin/true") };
            words.extend(["--".into(), payload.into()]);
            let floor = if networked { "floor net cgroups" } else { "floor cgroups" };
            all.push(Subject { name: format!("stage {name}"), words, floor, mounts: None });
        }
        Ok(all)
    }

    /// Other programs, where they are installed.
    fn others(&self) -> Result<Vec<Subject>> {
        let root = self.root.to_str().ok_or("a temporary directory with a strange name")?;
        let without_unified = Path::new(UNIFIED).exists().then(mounts_without_unified).transpose()?.map(Arc::new);
        let mut all = Vec::new();
        let mut add = |program: &str, name: &str, words: &[&str]| match find(program) {
            Some(path) => {
                let words = [&[path.as_os_str()][..], &words.iter().map(AsRef::as_ref).collect::<Vec<_>>()].concat();
                let words = words.into_iter().map(Into::into).collect();
                all.push(Subject {
                    name: name.into(),
                    words,
                    floor: "floor net cgroups",
                    mounts: without_unified.clone().filter(|_| program == "crun"),
                });
            }
            None => println!("SKIPPED: {name}, because it is not installed"),
        };
        let all_namespaces = ["--fork", "-p", "-m", "-u", "-i", "-C", "-n", "-R", root, "--mount-proc=/proc"];
        add("unshare", "unshare", &[&all_namespaces[..], &["/bin/true"]].concat());
        let bwrap = ["--unshare-all", "--bind", root, "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"];
        add("bwrap", "bubblewrap", &bwrap);
        for program in ["crun", "runc"] {
            let bundle = if find(program).is_some() { self.bundle(program)? } else { PathBuf::new() };
            let (state, bundle) = (self.dir.path().join(program), bundle);
            let words = [state.to_str(), bundle.to_str()].map(Option::unwrap_or_default);
            add(program, program, &["--root", words[0], "run", "-b", words[1], "boxwright-bench"]);
        }
        add("podman", "podman run", &["run", "--rm", "--network", "none", "--rootfs", root, "/bin/true"]);
        match self.docker_image() {
            Ok(()) => {
                for network in ["none", "bridge"] {
                    let words = ["run", "--rm", "--network", network, IMAGE, "/bin/true"];
                    add("docker", &format!("docker run {network}"), &words);
                }
            }
            Err(e) => println!("SKIPPED: docker run, because {e}"),
        }
        Ok(all)
    }

    /// The bundle that this runtime itself proposes, with our root and payload.
    fn bundle(&self, program: &str) -> Result<PathBuf> {
        let dir = self.dir.path().join(format!("{program}-bundle"));
        fs::create_dir(&dir)?;
        Command::new(program).arg("spec").current_dir(&dir).status()?;
        let file = dir.join("config.json");
        let mut spec: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
        spec["process"]["terminal"] = false.into();
        spec["process"]["args"] = vec!["/bin/true"].into();
        spec["root"]["path"] = self.root.to_str().into();
        fs::write(&file, spec.to_string())?;
        Ok(dir)
    }

    /// Gives docker our root filesystem as an image.
    fn docker_image(&self) -> Result<()> {
        if find("docker").is_none() {
            return Err("it is not installed".into());
        }
        if !Command::new("docker").arg("info").output()?.status.success() {
            return Err("its daemon does not answer".into());
        }
        let mut tar = Command::new("tar").arg("-C").arg(&self.root).args(["-c", "."]).stdout(Stdio::piped()).spawn()?;
        let input = tar.stdout.take().ok_or("no pipe")?;
        let imported = Command::new("docker").args(["import", "-", IMAGE]).stdin(input).output()?;
        tar.wait()?;
        if imported.status.success() { Ok(()) } else { Err("docker import fails".into()) }
    }
}

const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// On a hybrid machine crun refuses to start where the v2 tree has a controller of its own (hugetlb, often), so it gets
/// a mount namespace in which there is none.
fn mounts_without_unified() -> Result<File> {
    let thread = std::thread::spawn(|| -> std::io::Result<File> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        umount2(UNIFIED, MntFlags::MNT_DETACH)?;
        File::open("/proc/thread-self/ns/mnt")
    });
    Ok(thread.join().map_err(|_| "no mount namespace for crun")??)
}

const IMAGE: &str = "boxwright-bench:latest";

impl Drop for Place {
    fn drop(&mut self) {
        if find("docker").is_some() {
            let _ = Command::new("docker").args(["rmi", IMAGE]).output();
        }
    }
}

/// A program on the PATH.
fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// A program without a PT_INTERP header (elf(5)) needs no dynamic loader, which the small root has not.
fn is_static(program: &Path) -> bool {
    const PT_INTERP: u32 = 3;
    let Ok(elf) = fs::read(program) else { return false };
    let number = |at: usize, bytes: usize| -> Option<usize> {
        elf.get(at..at + bytes).map(|b| b.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)))
    };
    let kinds = || -> Option<Vec<usize>> {
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        (0..count).map(|n| number(table + n * size, 4)).collect()
    };
    kinds().is_some_and(|kinds| !kinds.contains(&(PT_INTERP as usize)))
}

/// The payload where there is no busybox: `cat`.
pub fn until_end_of_input() -> c_int {
    let mut buffer = [0u8; 512];
    loop {
        // SAFETY: at most as many bytes as the live buffer has, and as many as were read.
        let n = unsafe { libc::read(0, buffer.as_mut_ptr().cast(), buffer.len()) };
        if n <= 0 {
            return 0;
        }
        // SAFETY: as above.
        unsafe { libc::write(1, buffer.as_ptr().cast(), n as usize) };
    }
}
