//! What it costs to have many containers: `cargo bench --bench crowded [-- --containers N --rounds N]`. With none, with
//! a thousand that have been created, and with a thousand that run: `ps`, `inspect`, a whole `full-run --rm`, a whole
//! `exec` (in turn with the former), and the start of one in the background. Beside them docker and podman, where they are installed and work.
//!
//! Each number is a median of rounds in milliseconds. Nothing here asserts a time.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BOXWRIGHT: &str = env!("CARGO_BIN_EXE_boxwright");

/// A program with docker's command line, its state, and its way to say which image.
struct Engine {
    name: &'static str,
    program: &'static str,
    image: &'static str,
    state: Option<std::path::PathBuf>,
}

impl Engine {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some(state) = &self.state {
            command.env("BOXWRIGHT_ROOT", state);
        }
        command
    }

    fn run(&self, args: &[&str]) -> Result<f64> {
        let start = Instant::now();
        let output = self.command(args).spawn()?.wait_with_output()?;
        let time = start.elapsed().as_secs_f64() * 1e3;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
            return Err(format!("{} {}: {}: {said}", self.program, args.join(" "), output.status).into());
        }
        Ok(time)
    }

    fn median(&self, rounds: usize, mut once: impl FnMut(&Engine) -> Result<f64>) -> Result<f64> {
        let mut times = (0..rounds).map(|_| once(self)).collect::<Result<Vec<_>>>()?;
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }

    /// What is measured, in the order of [`HEADS`].
    fn measure(&self, rounds: usize) -> Result<Vec<f64>> {
        let image = self.image;
        let run = ["run", "--rm", "--network", "none", image, "true"];
        let start = ["run", "-d", "--name", "measured", "--network", "none", image, "sleep", "1000"];
        self.run(&["create", "--name", "looked-at", image, "true"])?;
        self.run(&["run", "-d", "--name", "entered", "--network", "none", image, "sleep", "100000"])?;
        let mut execs = vec![];
        let whole = self.median(rounds, |e| {
            execs.push(e.run(&["exec", "entered", "true"])?);
            e.run(&run)
        })?;
        execs.sort_by(f64::total_cmp);
        let numbers = vec![
            self.median(rounds, |e| e.run(&["ps"]))?,
            self.median(rounds, |e| e.run(&["ps", "-a"]))?,
            self.median(rounds, |e| e.run(&["inspect", "looked-at"]))?,
            whole,
            execs[execs.len() / 2],
            self.median(rounds, |e| {
                let time = e.run(&start)?;
                e.run(&["rm", "-f", "measured"])?;
                Ok(time)
            })?,
        ];
        self.run(&["rm", "-f", "looked-at", "entered"])?;
        Ok(numbers)
    }
}

const HEADS: [&str; 6] = ["ps", "ps -a", "inspect", "run --rm", "exec", "run -d"];

/// Names of the crowd; removed by name, because docker may have containers of others.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("crowd-{n}")).collect()
}

fn report(engine: &Engine, containers: usize, rounds: usize) -> Result<()> {
    let show = |what: String, numbers: Vec<f64>| {
        let numbers: String = numbers.iter().map(|ms| format!("{ms:>10.1}")).collect();
        println!("{:<34}{numbers}", format!("{}, {what}", engine.name));
    };
    show("no others".into(), engine.measure(rounds)?);
    let names = names(containers);
    for name in &names {
        engine.run(&["create", "--name", name, "--network", "none", engine.image, "sleep", "100000"])?;
    }
    show(format!("{containers} created"), engine.measure(rounds)?);
    // docker takes minutes for as many as that; a tenth shows it as well.
    let running = if engine.state.is_some() { containers } else { containers / 10 };
    for name in &names[..running] {
        engine.run(&["start", name])?;
    }
    show(format!("{running} running"), engine.measure(rounds)?);
    for some in names.chunks(50) {
        let args: Vec<&str> = ["rm", "-f"].into_iter().chain(some.iter().map(String::as_str)).collect();
        engine.run(&args)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let (mut containers, mut rounds) = (1000, 15);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().ok_or("a number is missing")?.parse::<usize>().map_err(Box::<dyn Error>::from);
        match arg.as_str() {
            "--containers" => containers = number()?,
            "--rounds" => rounds = number()?,
            "--bench" => {}
            other => return Err(format!("what is {other}? --containers N, --rounds N").into()),
        }
    }
    let dir = tempfile::tempdir()?;
    let engines = [
        Engine { name: "boxwright", program: BOXWRIGHT, image: "host", state: Some(dir.path().into()) },
        Engine { name: "docker", program: "docker", image: "busybox", state: None },
        Engine { name: "podman", program: "podman", image: "busybox", state: None },
    ];
    println!("{:<34}{}", "milliseconds", HEADS.map(|head| format!("{head:>10}")).concat());
    for engine in engines {
        match engine.run(&["run", "--rm", "--network", "none", engine.image, "true"]) {
            Ok(_) => report(&engine, containers, rounds)?,
            Err(e) => println!("SKIPPED: {}, because it does not work here: {e}", engine.name),
        }
    }
    Ok(())
}
