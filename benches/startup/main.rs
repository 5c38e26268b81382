//! How long a container takes from start to exit: `cargo bench --bench startup [-- --rounds N | --quick] [--only TEXT]`.
//!
//! Everything is measured in turn, A B C A B C…, so that a busy moment hits all alike; once back to back (hot), once
//! with 100 ms of rest before each start (isolated), because back to back hides every RCU grace period that a kernel
//! call waits for. `x floor` is the median of each round's ratio to the floor. Nothing here asserts a time.
//!
//! The whole benchmark lives in a network namespace of its own. So that the bridge is there as it is on a machine in
//! use, one idle container stays on it. Needs root, as the floor does.

#![no_main]
#![allow(unsafe_code)]

mod floor;
mod subjects;
mod table;

use std::error::Error;
use std::ffi::{CStr, c_char, c_int};
use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};
use subjects::Subject;

const REST: Duration = Duration::from_millis(100);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// C's main, before Rust's: the floor, and the payload where there is no busybox, are this program too, and must start
/// like the smallest of programs.
#[unsafe(no_mangle)]
#[allow(clippy::not_unsafe_ptr_arg_deref)] // C calls this, with what the kernel gave
pub extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: what the C library passes to main: argc C strings, and a null pointer after them.
    let args = unsafe { std::slice::from_raw_parts(argv, argc as usize) };
    let word = |n: usize| {
        // SAFETY: as above.
        args.get(n).map_or(&b""[..], |arg| unsafe { CStr::from_ptr(*arg) }.to_bytes())
    };
    match (word(0), word(1)) {
        (b"/bin/true", _) => 0,
        (b"/bin/cat", _) => subjects::until_end_of_input(),
        (_, b"floor") => floor::run(args),
        (_, b"peak") => floor::peak(args),
        _ => match bench() {
            Ok(()) => 0,
            Err(e) => {
                eprintln!("startup: {e}");
                1
            }
        },
    }
}

/// What the command line asks for.
struct Options {
    rounds: usize,
    only: Option<String>,
}

fn options() -> Result<Options> {
    let mut options = Options { rounds: 30, only: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => options.rounds = 5,
            "--rounds" => options.rounds = args.next().ok_or("--rounds needs a number")?.parse()?,
            "--only" => options.only = args.next(),
            // cargo adds this one.
            "--bench" => {}
            other => return Err(format!("what is {other}? --rounds N, --quick, --only TEXT").into()),
        }
    }
    Ok(options)
}

fn bench() -> Result<()> {
    let options = options()?;
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: startup needs root (its floor makes namespaces without a user namespace)");
        return Ok(());
    }
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
    let place = subjects::Place::make()?;
    let idle = place.idle_container()?;
    let mut subjects = place.subjects()?;
    if let Some(only) = &options.only {
        subjects
            .retain(|s| s.name.contains(only.as_str()) || s.name.starts_with("floor") || s.name.starts_with("crun"));
    }
    subjects.retain(works);
    let peaks = subjects.iter().map(peak).collect::<Result<Vec<_>>>()?;
    let hot = measure(&subjects, options.rounds, Duration::ZERO)?;
    let isolated = measure(&subjects, options.rounds, REST)?;
    drop(idle);
    table::print(&subjects, &hot, &isolated, &peaks);
    Ok(())
}

/// Tries it once; what does not work here is left out, loudly.
fn works(subject: &Subject) -> bool {
    let why = match subject.command(&[]).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()),
        Err(e) => e.to_string(),
    };
    println!("SKIPPED: {}, because it fails: {why}", subject.name);
    false
}

/// The most memory it used, in KiB.
fn peak(subject: &Subject) -> Result<u64> {
    let wrapper = [std::env::current_exe()?.into(), "peak".into()];
    let output = subject.command(&wrapper).stdin(Stdio::null()).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Microseconds of each subject (outer) in each round (inner).
fn measure(subjects: &[Subject], rounds: usize, rest: Duration) -> Result<Vec<Vec<f64>>> {
    let mut times = vec![Vec::with_capacity(rounds); subjects.len()];
    for _ in 0..rounds {
        for (subject, times) in subjects.iter().zip(&mut times) {
            std::thread::sleep(rest);
            times.push(once(subject)?);
        }
    }
    Ok(times)
}

fn once(subject: &Subject) -> Result<f64> {
    let nowhere = File::options().read(true).write(true).open("/dev/null")?;
    let mut command = subject.command(&[]);
    command.stdin(nowhere.try_clone()?).stdout(nowhere.try_clone()?).stderr(nowhere);
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    if !status.success() {
        return Err(format!("{} failed in the middle: {status}", subject.name).into());
    }
    Ok(time.as_secs_f64() * 1e6)
}
