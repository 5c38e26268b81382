//! Room: the state directory and the disk behind it, memory, processes.

use super::{Check, every_stage, read};
use crate::state::State;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{AccessFlags, access};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Below this an image of a usual distribution does not fit.
const LITTLE: u64 = 1 << 30;

/// All of them.
pub fn checks(state: &State) -> Vec<Check> {
    vec![
        directory("state for this boot", &state.run, 1 << 20),
        directory("state", &state.lib, LITTLE),
        memory(),
        tasks(),
    ]
}

/// The directory, or the nearest one above it that exists already.
fn existing(dir: &Path) -> PathBuf {
    dir.ancestors().find(|d| d.is_dir()).unwrap_or(Path::new("/")).to_path_buf()
}

fn directory(name: &'static str, dir: &Path, little: u64) -> Check {
    let place = existing(dir);
    let kind = filesystem(&place).unwrap_or_else(|| "an unknown file system".into());
    let elsewhere = "export BOXWRIGHT_ROOT=DIR   # a directory on a roomy disk that you may write";
    if let Err(e) = access(&place, AccessFlags::W_OK | AccessFlags::X_OK) {
        return Check::ok(name, format!("{}: access({}) => {e:?}", dir.display(), place.display()))
            .missing(&every_stage(), "no container can be written down, so none is started")
            .remedy(elsewhere);
    }
    let Ok(stat) = nix::sys::statvfs::statvfs(&place) else {
        return Check::unknown(name, format!("statvfs({}) fails", place.display()));
    };
    let free = stat.blocks_available() * stat.fragment_size();
    let not_yet = if place == dir { "" } else { " (not made yet)" };
    let check = Check::ok(name, format!("{}{not_yet}: {kind}, {} free", dir.display(), bytes(free)));
    if free < little {
        return check.limited(&["stack-layers", "full-run"], "images may not fit").remedy(elsewhere);
    }
    if stat.flags().contains(nix::sys::statvfs::FsFlags::ST_NOEXEC) {
        return check.limited(&["stack-layers"], "mounted noexec: nothing in an image could run").remedy(elsewhere);
    }
    check
}

/// The kind of file system: /proc/self/mountinfo by the mount's number, which a descriptor tells (an overlay or btrfs
/// has another device number there than stat(2) shows).
fn filesystem(dir: &Path) -> Option<String> {
    let file = std::fs::File::open(dir).ok()?;
    let info = read(&format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    let number = info.lines().find_map(|l| l.strip_prefix("mnt_id:"))?.trim().to_string();
    let mounts = read("/proc/self/mountinfo")?;
    let line = mounts.lines().find(|l| l.split(' ').next() == Some(&number))?;
    line.split_once(" - ")?.1.split(' ').next().map(str::to_string)
}

/// A number of bytes for people.
fn bytes(n: u64) -> String {
    match n {
        0..0x10_0000 => format!("{} KiB", n >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", n >> 20),
        _ => format!("{:.1} GiB", n as f64 / f64::from(1 << 30)),
    }
}

fn memory() -> Check {
    let text = read("/proc/meminfo").unwrap_or_default();
    let field = |name: &str| meminfo(&text, name);
    let (Some(total), Some(available)) = (field("MemTotal"), field("MemAvailable")) else {
        return Check::unknown("memory", "/proc/meminfo cannot be read");
    };
    let swap = field("SwapTotal").unwrap_or(0);
    let check = Check::ok(
        "memory",
        format!(
            "{} of {} available, {} swap",
            bytes(available),
            bytes(total),
            if swap == 0 { "no".into() } else { bytes(swap) }
        ),
    );
    if available < 64 << 20 {
        check.limited(&["limit-memory"], "less than a stage's default limit of 64 MiB")
    } else {
        check
    }
}

/// A line of /proc/meminfo, in bytes.
fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

fn tasks() -> Check {
    const NAME: &str = "processes";
    let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NPROC) else {
        return Check::unknown(NAME, "getrlimit(RLIMIT_NPROC) fails");
    };
    let number = |file: &str| read(file).and_then(|n| n.parse::<u64>().ok()).unwrap_or(u64::MAX);
    let most = number("/proc/sys/kernel/pid_max").min(number("/proc/sys/kernel/threads-max"));
    let limit = if soft > most { "no limit of your own".to_string() } else { format!("your limit is {soft}") };
    let check = Check::ok(NAME, format!("at most {most} on this machine, {limit}"));
    if soft < 256 {
        return check.limited(&["full-run"], "a busy container needs more").remedy("ulimit -u 4096");
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(bytes(512 << 10), "512 KiB");
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes(3 << 29), "1.5 GiB");
    }

    #[test]
    fn meminfo_lines() {
        let text = "MemTotal:       1024 kB\nMemTotalX: 3 kB\nSwapTotal:  0 kB";
        assert_eq!(meminfo(text, "MemTotal"), Some(1 << 20));
        assert_eq!(meminfo(text, "SwapTotal"), Some(0));
        assert_eq!(meminfo(text, "MemFree"), None);
    }
}
