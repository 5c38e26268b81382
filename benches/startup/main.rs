//! How long from start to exit? boxwright's full-run and every stage, against a floor that makes the fewest kernel calls
//! which give a container, and against other runtimes where they are installed.
//!
//! `cargo bench --bench startup [-- --rounds N --only WORD]`: 20 rounds take a minute and a half; take 200 to publish.
//!
//! Every contestant starts the same tiny program (this one, called `true`). They take turns, so that whatever else the
//! machine does hits all of them; and they are measured twice: back to back ("hot"), and each after 100 ms of rest
//! ("isolated"), because back to back hides the kernel's grace periods. As root all of it happens in a network
//! namespace of its own, so that no bridge is made on the host.

// Linked with the plain C `main`: what the floor measures is the kernel, not the start of Rust's runtime.
#![no_main]
#![allow(unsafe_code)] // kernel calls of the floor, and wait4: each block says why it is sound

mod contestants;
mod floor;

use contestants::{Contestant, Ground};
use std::time::{Duration, Instant};

/// The program: `true` and `floor` are other lives of the same file.
#[unsafe(no_mangle)]
pub extern "C" fn main(_: i32, argv: *const *const std::ffi::c_char) -> i32 {
    // SAFETY: the kernel passes at least one argument, a C string.
    let name = unsafe { std::ffi::CStr::from_ptr(*argv) };
    match name.to_bytes().rsplit(|&b| b == b'/').next() {
        Some(b"true") => 0,
        // SAFETY: argv is the kernel's, ended by a null pointer.
        Some(b"floor") => unsafe { floor::run(argv) },
        _ => i32::from(std::panic::catch_unwind(bench).is_err()),
    }
}

struct Options {
    rounds: usize,
    only: Option<String>,
}

fn options() -> Options {
    let mut options = Options { rounds: 20, only: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => options.rounds = args.next().and_then(|n| n.parse().ok()).expect("--rounds N"),
            "--only" => options.only = args.next(),
            // cargo bench adds --bench.
            _ => {}
        }
    }
    options
}

/// What was measured of one contestant, in microseconds.
#[derive(Default)]
struct Times {
    hot: Vec<u128>,
    isolated: Vec<u128>,
    /// Kilobytes.
    memory: i64,
}

fn bench() {
    let options = options();
    if nix::unistd::geteuid().is_root() {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("unshare(CLONE_NEWNET)");
    }
    let ground = Ground::make();
    let mut all = contestants::all(&ground);
    if let Some(word) = &options.only {
        all.retain(|c| c.is_floor || c.name.contains(word.as_str()));
    }
    all.retain(|c| match run(c) {
        Ok(_) => true,
        Err(why) => {
            println!("SKIPPED: {}, because {why}", c.name);
            false
        }
    });
    let mut times: Vec<Times> = all.iter().map(|_| Times::default()).collect();
    for isolated in [false, true] {
        for _ in 0..options.rounds {
            for (contestant, times) in all.iter().zip(&mut times) {
                std::thread::sleep(Duration::from_millis(if isolated { 100 } else { 0 }));
                let Ok((time, memory)) = run(contestant) else { continue };
                times.memory = times.memory.max(memory);
                if isolated { times.isolated.push(time) } else { times.hot.push(time) }
            }
        }
    }
    print_table(&all, &mut times, options.rounds);
    ground.clean();
}

/// One start, from fork to the end of what it started: microseconds, and the largest resident set of it or of any of its
/// children, in kilobytes.
fn run(contestant: &Contestant) -> Result<(u128, i64), String> {
    let mut command = contestant.command();
    let start = Instant::now();
    let child = command.spawn().map_err(|e| e.to_string())?;
    let mut status = 0;
    // SAFETY: rusage is a plain C structure of integers, for which all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live, writable values of the right types.
    let waited = unsafe { libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage) };
    let time = start.elapsed().as_micros();
    if waited < 0 || status != 0 {
        return Err(contestant.complaint(status));
    }
    Ok((time, usage.ru_maxrss))
}

fn median(values: &mut [u128]) -> f64 {
    values.sort_unstable();
    values.get(values.len() / 2).map_or(f64::NAN, |&v| v as f64 / 1000.0)
}

fn print_table(all: &[Contestant], times: &mut [Times], rounds: usize) {
    let medians: Vec<(f64, f64)> = times.iter_mut().map(|t| (median(&mut t.hot), median(&mut t.isolated))).collect();
    println!("\nmedians of {rounds} starts, milliseconds; x: times the floor that is named at the right");
    println!("{:34} {:>8} {:>6} {:>9} {:>6} {:>8}  floor", "", "hot", "x", "isolated", "x", "peak MB");
    for ((contestant, times), (hot, isolated)) in all.iter().zip(&*times).zip(&medians) {
        let floor = all.iter().position(|c| c.name == contestant.floor).map(|n| medians[n]);
        let (a, b) = floor.map_or((f64::NAN, f64::NAN), |(h, i)| (hot / h, isolated / i));
        let memory = times.memory as f64 / 1024.0;
        println!("{:34} {hot:8.2} {a:6.2} {isolated:9.2} {b:6.2} {memory:8.1}  {}", contestant.name, contestant.floor);
    }
}
