//! What people type: `64m`, `0.5`, `1:2`, `nofile=1024:2048`. Each parser's error names the argument, says what was
//! wrong with it, and shows one that would do.

use crate::error::{Error, Result};
use std::time::Duration;

fn bad(flag: &str, value: &str, reason: &str, like: &str) -> Error {
    Error::new(format!("{flag} {value}: {reason}")).hint(format!("{flag} {like}"))
}

/// A size in bytes: a number and one of b, k, m, g, t (powers of 1024), as docker has it.
///
/// # Errors
/// What is not a size.
pub fn bytes(flag: &str, value: &str) -> Result<u64> {
    let like = "64m  (a number and b, k, m or g)";
    let lower = value.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches("ib").trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = lower[digits.len()..].trim_end_matches("ib");
    let unit = if unit.len() == 2 { unit.trim_end_matches('b') } else { unit };
    let shift = match unit {
        "" | "b" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(bad(flag, value, "not a size", like)),
    };
    let number: f64 = digits.parse().map_err(|_| bad(flag, value, "not a size", like))?;
    let size = number * (1u64 << shift) as f64;
    if !(0.0..9e18).contains(&size) {
        return Err(bad(flag, value, "out of range", like));
    }
    Ok(size as u64)
}

/// The smallest memory limit that is let through: below it a process cannot even be set up (docker has the same).
pub const MEMORY_MIN: u64 = 6 << 20;

/// `--memory`: bytes, at least 6 MB.
///
/// # Errors
/// What is not a size, or too small to start anything.
pub fn memory(flag: &str, value: &str) -> Result<i64> {
    let size = bytes(flag, value)?;
    if size < MEMORY_MIN {
        return Err(bad(flag, value, "less than 6 MB, in which nothing can start", "64m"));
    }
    Ok(size as i64)
}

/// `--memory-swap`: memory and swap together; -1 is unlimited.
///
/// # Errors
/// What is not a size.
pub fn memory_swap(flag: &str, value: &str) -> Result<i64> {
    if value.trim() == "-1" { Ok(-1) } else { Ok(bytes(flag, value)? as i64) }
}

/// The length of a CPU period in microseconds (the kernel's own default).
pub const CPU_PERIOD: u64 = 100_000;

/// `--cpus`: CPUs' worth of time, as microseconds in each period.
///
/// # Errors
/// What is no positive number, and more CPUs than the machine has.
pub fn cpus(flag: &str, value: &str) -> Result<i64> {
    let like = "0.5  (half of one CPU's time)";
    let n: f64 = value.trim().parse().map_err(|_| bad(flag, value, "not a number", like))?;
    if !n.is_finite() || n <= 0.0 {
        return Err(bad(flag, value, "CPU time is a positive number", like));
    }
    let have = online_cpus();
    if n > have as f64 {
        let hint = format!("at most {have}");
        return Err(bad(flag, value, &format!("this machine has only {have} CPUs"), &hint));
    }
    let quota = (n * CPU_PERIOD as f64).round() as i64;
    // The kernel's smallest quota is 1 ms (cpu.rst).
    if quota < 1000 {
        return Err(bad(flag, value, "less than 0.01, the kernel's smallest share", "0.01"));
    }
    Ok(quota)
}

/// How many CPUs the kernel can schedule on.
pub fn online_cpus() -> usize {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let set = cpu_set("", text.trim()).unwrap_or_default();
    if set.is_empty() { std::thread::available_parallelism().map_or(1, std::num::NonZero::get) } else { set.len() }
}

/// A list of CPUs such as `0-2,5`, as the numbers in it.
///
/// # Errors
/// What is not such a list.
pub fn cpu_set(flag: &str, value: &str) -> Result<Vec<usize>> {
    let wrong = || bad(flag, value, "not a list of CPUs", "0-1,3");
    let mut all = Vec::new();
    for part in value.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| wrong())?;
        let last: usize = last.trim().parse().map_err(|_| wrong())?;
        if last < first || last > 8191 {
            return Err(wrong());
        }
        all.extend(first..=last);
    }
    Ok(all)
}

/// `--cpuset-cpus`: checked against the CPUs that are there.
///
/// # Errors
/// What is not a list, and CPUs that the machine does not have.
pub fn cpuset(flag: &str, value: &str) -> Result<String> {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let have = cpu_set(flag, online.trim()).unwrap_or_default();
    let wanted = cpu_set(flag, value)?;
    match wanted.iter().find(|cpu| !have.is_empty() && !have.contains(cpu)) {
        Some(cpu) => Err(bad(flag, value, &format!("this machine has no CPU {cpu}"), online.trim())),
        None => Ok(value.to_string()),
    }
}

/// A whole number within bounds.
///
/// # Errors
/// Anything else.
pub fn integer(flag: &str, value: &str, low: i64, high: i64) -> Result<i64> {
    let like = low.max(1).to_string();
    let n: i64 = value.trim().parse().map_err(|_| bad(flag, value, "not a whole number", &like))?;
    if (low..=high).contains(&n) {
        Ok(n)
    } else {
        Err(bad(flag, value, &format!("not between {low} and {high}"), &like))
    }
}

/// `--device-write-bps /dev/sda:1mb` and its three sisters: a disk's numbers and the rate.
///
/// # Errors
/// A missing colon, a path that is no block device, a rate that is not one.
pub fn device_rate(flag: &str, value: &str, is_bytes: bool) -> Result<(i64, i64, u64)> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let like = if is_bytes { "/dev/sda:1mb" } else { "/dev/sda:1000" };
    let (path, rate) = value.rsplit_once(':').ok_or_else(|| bad(flag, value, "no rate behind a colon", like))?;
    let meta =
        std::fs::metadata(path).map_err(|e| Error::io(format!("stat({path}) for {flag} {value}"), &e).hint(like))?;
    if !meta.file_type().is_block_device() {
        return Err(bad(flag, value, &format!("{path} is not a block device"), like));
    }
    let rate = if is_bytes { bytes(flag, rate)? } else { integer(flag, rate, 1, i64::MAX)? as u64 };
    if rate == 0 {
        return Err(bad(flag, value, "a rate of 0 would stop it for ever", like));
    }
    let rdev = meta.rdev();
    Ok((nix::sys::stat::major(rdev) as i64, nix::sys::stat::minor(rdev) as i64, rate))
}

/// `--ulimit nofile=1024:2048`: name (as in OCI, RLIMIT_NOFILE), soft and hard limit. -1 is unlimited.
///
/// # Errors
/// An unknown name, a number that is not one, a soft limit above the hard one.
pub fn ulimit(flag: &str, value: &str) -> Result<(String, u64, u64)> {
    let like = "nofile=1024:2048  (a name of setrlimit(2), soft and hard limit)";
    const NAMES: [&str; 16] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let (name, numbers) = value.split_once('=').ok_or_else(|| bad(flag, value, "no = in it", like))?;
    if !NAMES.contains(&name) {
        return Err(bad(flag, value, &format!("no such limit: {name}"), &format!("one of {}", NAMES.join(", "))));
    }
    let one = |n: &str| match n.trim() {
        "-1" | "unlimited" => Ok(u64::MAX),
        n => n.parse::<u64>().map_err(|_| bad(flag, value, "not a number", like)),
    };
    let (soft, hard) = numbers.split_once(':').unwrap_or((numbers, numbers));
    let (soft, hard) = (one(soft)?, one(hard)?);
    if soft > hard {
        return Err(bad(flag, value, "the soft limit is above the hard one", like));
    }
    Ok((format!("RLIMIT_{}", name.to_uppercase()), soft, hard))
}

/// A hostname: what sethostname(2) takes and DNS allows.
///
/// # Errors
/// Anything else.
pub fn hostname(flag: &str, value: &str) -> Result<String> {
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if value.len() <= 64 && value.split('.').all(label) {
        return Ok(value.to_string());
    }
    Err(bad(flag, value, "a hostname has at most 64 letters, digits, dots and hyphens", "box"))
}

/// A time as docker writes it (Go's durations): `30s`, `1m30s`, `1.5h`, `500ms`; nothing below a millisecond but zero.
///
/// # Errors
/// What is none.
pub fn duration(flag: &str, text: &str) -> Result<Duration> {
    let wrong = |why: &str| Error::new(format!("{flag} {text}: {why}")).hint(format!("{flag} 30s, 1m30s, 500ms"));
    let (mut nanos, mut rest) = (0.0, text);
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(|| wrong("no unit"))?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong("not a time"))?;
        rest = &rest[digits..];
        const UNITS: [(&str, f64); 7] =
            [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
        let (unit, size) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit)).ok_or_else(|| wrong("not a time"))?;
        nanos += number * size;
        rest = &rest[unit.len()..];
    }
    match nanos {
        n if text.is_empty() || n > 1e18 => Err(wrong("not a time")),
        n if n > 0.0 && n < 1e6 => Err(wrong("less than a millisecond")),
        n => Ok(Duration::from_nanos(n as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        let millis = |text| duration("--x", text).ok().map(|d| d.as_millis());
        assert_eq!([millis("30s"), millis("1m30s"), millis("1.5h")], [Some(30_000), Some(90_000), Some(5_400_000)]);
        assert_eq!(
            [millis("500ms"), millis("0"), millis("0s"), millis("1000us")],
            [Some(500), Some(0), Some(0), Some(1)]
        );
        for bad in ["", "30", "s", "-1s", "1x", "10us", "1e9h", "999999999999h", "1s2", "1..5s"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_dockers() {
        for (text, size) in [
            ("64m", 64 << 20),
            ("1g", 1 << 30),
            ("1.5k", 1536),
            ("10", 10),
            ("10b", 10),
            ("2MB", 2 << 20),
            ("1MiB", 1 << 20),
        ] {
            assert_eq!(bytes("--memory", text).unwrap(), size, "{text}");
        }
        for text in ["", "m", "1x", "-1", "1e30", "1mm", "nan"] {
            assert!(bytes("--memory", text).is_err(), "{text}");
        }
    }

    #[test]
    fn cpus_are_positive_and_there() {
        assert_eq!(cpus("--cpus", "0.5").unwrap(), 50_000);
        for text in ["-3", "0", "0.001", "100000", "x", "inf", "NaN"] {
            assert!(cpus("--cpus", text).is_err(), "{text}");
        }
    }

    #[test]
    fn ulimits_have_names() {
        assert_eq!(ulimit("--ulimit", "nofile=1:2").unwrap(), ("RLIMIT_NOFILE".into(), 1, 2));
        assert_eq!(ulimit("--ulimit", "core=-1").unwrap().1, u64::MAX);
        for text in ["nofile", "x=1", "nofile=2:1", "nofile=a"] {
            assert!(ulimit("--ulimit", text).is_err(), "{text}");
        }
    }

    #[test]
    fn hostnames() {
        assert!(hostname("--hostname", "a.b-c1").is_ok());
        for text in ["", "-a", "a..b", "a b", "a/b", &"x".repeat(65)] {
            assert!(hostname("--hostname", text).is_err(), "{text}");
        }
    }
}
