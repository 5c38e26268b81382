//! limit-io: direct writes (or reads, where only those are limited) to a file on the limited disk, for two seconds.
//! Direct, because what goes through the page cache reaches the disk later and, on v1, in nobody's name. The same is
//! measured outside first: where the disk is no faster than the limit, nothing can be proved.

use super::{Evidence, Experiment, Verdict, encode};
use crate::cgroup::disk_behind;
use crate::error::{Error, Result};
use crate::spec::Spec;
use crate::state::State;
use oci_spec::runtime::LinuxThrottleDevice;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// See the head of this file.
pub struct DirectWriter;

/// The file's size; the experiment goes over it again and again.
const SIZE: u64 = 4 << 20;
/// Direct transfers begin and end at multiples of a disk's blocks, in memory too; none has larger ones.
const BLOCK: usize = 4096;
const LONGEST: Duration = Duration::from_secs(2);
/// A slice of the throttle's time may be used before the clock starts.
const SLACK: f64 = 1.2;

thread_local! {
    // Opened by the parent; the child, being a copy of it, has it too, wherever its root is by then.
    static FILE: RefCell<Option<Prepared>> = const { RefCell::new(None) };
}

struct Prepared {
    file: File,
    /// The rate without a limit.
    free: f64,
}

/// Which of the four limits is tried, and on which disk.
struct Trial {
    disk: (i64, i64),
    write: bool,
    bytes: bool,
    rate: u64,
}

impl Trial {
    fn of(spec: &Spec) -> Option<Trial> {
        let io = spec.block_io()?;
        let first = |list: &Option<Vec<LinuxThrottleDevice>>, write, bytes| {
            let t = list.as_ref()?.iter().find(|t| t.rate() > 0)?;
            Some(Trial { disk: (t.major(), t.minor()), write, bytes, rate: t.rate() })
        };
        first(io.throttle_write_bps_device(), true, true)
            .or_else(|| first(io.throttle_read_bps_device(), false, true))
            .or_else(|| first(io.throttle_write_iops_device(), true, false))
            .or_else(|| first(io.throttle_read_iops_device(), false, false))
    }

    /// How much at once: small enough for sixteen transfers a second.
    fn chunk(&self) -> usize {
        let wanted = if self.bytes { self.rate as usize / 16 } else { BLOCK };
        (wanted / BLOCK * BLOCK).clamp(BLOCK, 256 << 10)
    }

    fn verb(&self) -> &'static str {
        if self.write { "writer" } else { "reader" }
    }

    fn shown(&self, rate: f64) -> String {
        match self.bytes {
            true if rate >= 1e6 => format!("{:.1} MB/s", rate / 1048576.0),
            true => format!("{:.0} KB/s", rate / 1024.0),
            false => format!("{rate:.0} operations a second"),
        }
    }

    /// Transfers until the time is over or `most` of them are done; returns bytes or operations a second.
    fn go(&self, file: &File, longest: Duration, most: u64) -> Result<(f64, u64)> {
        let chunk = self.chunk();
        let room = vec![0x5a_u8; chunk + BLOCK];
        let mut room = room.into_boxed_slice();
        let at = room.as_ptr().align_offset(BLOCK);
        let buffer = &mut room[at..at + chunk];
        let (start, mut done) = (Instant::now(), 0);
        while start.elapsed() < longest && done < most {
            let offset = done * chunk as u64 % (SIZE - SIZE % chunk as u64);
            if self.write { file.write_all_at(buffer, offset) } else { file.read_exact_at(buffer, offset) }
                .map_err(|e| Error::io("pwrite64(a file on the limited disk, O_DIRECT)", &e))?;
            done += 1;
        }
        let each = if self.bytes { chunk as f64 } else { 1.0 };
        Ok((done as f64 * each / start.elapsed().as_secs_f64(), done * chunk as u64))
    }
}

#[derive(Serialize, Deserialize)]
struct Report {
    rate: f64,
    bytes: u64,
    free: f64,
}

impl Experiment for DirectWriter {
    fn primitive(&self) -> &'static str {
        "limit-io"
    }

    fn claim(&self, spec: &Spec) -> String {
        match Trial::of(spec) {
            Some(t) => {
                format!("a direct {} on disk {}:{} is held to {}", t.verb(), t.disk.0, t.disk.1, t.shown(t.rate as f64))
            }
            None => "its weight decides against a rival".into(),
        }
    }

    fn prepare(&self, spec: &Spec, state: &State) -> std::result::Result<(), String> {
        let Some(trial) = Trial::of(spec) else {
            return Err("only a weight is asked for, and that shows against another cgroup only".into());
        };
        let disk = format!("{}:{}", trial.disk.0, trial.disk.1);
        if trial.bytes && trial.rate < BLOCK as u64 {
            return Err(format!("one block of {BLOCK} bytes would take longer than a second"));
        }
        let temporary = std::env::temp_dir();
        let places = [state.lib.as_path(), Path::new("/var/tmp"), temporary.as_path()];
        let place = places.into_iter().find(|p| p.is_dir() && disk_behind(p) == Some(trial.disk));
        let Some(place) = place else {
            return Err(format!("none of our directories is on disk {disk}"));
        };
        let file =
            scratch(place).map_err(|e| format!("there is no direct access to files in {}: {e}", place.display()))?;
        // A few megabytes at most, and a quarter of a second.
        let few = (SIZE * 4 / trial.chunk() as u64).min(trial.rate.max(64));
        let (free, _) = trial.go(&file, Duration::from_millis(250), few).map_err(|e| e.to_string())?;
        if free < trial.rate as f64 * 2.0 {
            let (has, limit) = (trial.shown(free), trial.shown(trial.rate as f64));
            return Err(format!("disk {disk} does {has} without any limit, which is not clearly more than {limit}"));
        }
        FILE.set(Some(Prepared { file, free }));
        Ok(())
    }

    fn run(&self, spec: &Spec) -> Result<serde_json::Value> {
        let nothing = || Error::new("there is nothing to measure (a mistake in the experiment)");
        let trial = Trial::of(spec).ok_or_else(nothing)?;
        let Prepared { file, free } = FILE.take().ok_or_else(nothing)?;
        let most = if trial.bytes { trial.rate * 3 / trial.chunk() as u64 } else { trial.rate * 3 };
        let (rate, bytes) = trial.go(&file, LONGEST, most.max(4))?;
        Ok(encode(&Report { rate, bytes, free }))
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        FILE.take();
        let (Some(trial), Some(report)) = (Trial::of(evidence.spec), evidence.report::<Report>(0)) else {
            return Verdict::silent();
        };
        let mut measured =
            vec![format!("{} (the same outside: {})", trial.shown(report.rate), trial.shown(report.free))];
        let counted = evidence.counters.io.get(&format!("{}:{}", trial.disk.0, trial.disk.1));
        let counted = counted.map(|&(read, written)| if trial.write { written } else { read });
        measured.push(match counted {
            Some(bytes) => format!("the kernel counted {} KB on that disk, of {} KB", bytes >> 10, report.bytes >> 10),
            None => "the kernel counted nothing: it was in no cgroup with an io controller".into(),
        });
        Verdict::new(report.rate <= trial.rate as f64 * SLACK && counted.is_some_and(|b| b >= report.bytes), measured)
    }
}

/// A file without a name, all of it on the disk already, so that the experiment changes nothing but data.
fn scratch(dir: &Path) -> std::io::Result<File> {
    let open =
        |flags| OpenOptions::new().read(true).write(true).custom_flags(flags | libc::O_TMPFILE).mode(0o600).open(dir);
    let file = open(libc::O_DIRECT)?;
    let mut block = vec![0_u8; (1 << 20) + BLOCK];
    let at = block.as_ptr().align_offset(BLOCK);
    let block = &mut block[at..at + (1 << 20)];
    (0..SIZE >> 20).try_for_each(|mb| file.write_all_at(block, mb << 20))?;
    file.sync_all()?;
    Ok(file)
}
