//! `draw`: a picture of a stage, which is set up for it and taken down again, or of any running process.

use super::{flags, stage};
use crate::command::foreground::Signals;
use crate::command::stdio::Stdio;
use crate::draw::{self, Portrait};
use crate::error::{Error, Result};
use crate::primitive::{LIST, Primitive};
use crate::report::Report;
use crate::spawn::{self, Job, Watcher};
use crate::spec::build::{self, Options, Purpose};
use crate::state::State;
use crate::sys::process;
use crate::ui;
use clap::{Arg, ArgMatches, Command};
use nix::unistd::Pid;
use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::rc::Rc;

/// Its command line: a process number, or a stage with the stage's own flags.
pub fn command() -> Command {
    Command::new("draw").about("Draw a stage or a running process, as it really is (SVG)").defer(|c| {
        let c = c
            .override_usage(
                "boxwright draw PID [-o FILE]\n       boxwright draw STAGE [-o FILE] [the stage's own flags]",
            )
            .args_conflicts_with_subcommands(true)
            .subcommand_negates_reqs(true)
            .disable_help_subcommand(true)
            .subcommand_help_heading("Stages")
            .arg(Arg::new("what").value_name("PID").required(true).allow_hyphen_values(true).help("A process's number"))
            .arg(
                Arg::new("output")
                    .short('o')
                    .long("output")
                    .value_name("FILE")
                    .global(true)
                    .help("Write the picture there [default: the standard output, if that is no terminal]"),
            );
        LIST.iter().fold(c, |c, primitive| c.subcommand(of_stage(*primitive)))
    })
}

fn of_stage(primitive: &'static dyn Primitive) -> Command {
    Command::new(primitive.name()).about(primitive.summary()).defer(|c| {
        let name = c.get_name().to_string();
        let last = name == LIST[LIST.len() - 1].name();
        // Short -h is the hostname here, as in the stage itself.
        let help = Arg::new("help").long("help").action(clap::ArgAction::Help).help("Print help").help_heading(None);
        let c =
            flags::add(c, &name).disable_help_flag(true).arg(help).next_help_heading("picture").arg(stage::without());
        if !last {
            return c;
        }
        let c = c.alias("run");
        let words = Arg::new("words").value_name("IMAGE [COMMAND [ARG...]]").help_heading(None).num_args(0..);
        c.arg(words.trailing_var_arg(true).help("The image, and the command, which is ended after the picture"))
    })
}

/// Draws.
///
/// # Errors
/// No such stage or process; what a stage's own start can fail with; a file that cannot be written.
pub fn run(matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    stage::must_have_proc()?;
    let (output, portrait): (_, &dyn Fn() -> Result<Portrait>) = match matches.subcommand() {
        Some((name, sub)) => (sub.get_one::<String>("output"), &|| of_list(name, sub, state)),
        None => (matches.get_one::<String>("output"), &|| {
            let what = matches.get_one::<String>("what").map_or("", String::as_str);
            Portrait::of_process(number(what)?, state)
        }),
    };
    if output.is_none() && std::io::stdout().is_terminal() {
        return Err(Error::new("a picture is of no use on a terminal").hint("boxwright draw … -o FILE.svg"));
    }
    let portrait = portrait()?;
    portrait.unseen.iter().for_each(|what| eprintln!("boxwright: not seen: {what}"));
    write(output.map(String::as_str), &portrait.svg())?;
    Ok(ExitCode::SUCCESS)
}

fn number(what: &str) -> Result<Pid> {
    let hint = "boxwright draw PID, or boxwright draw STAGE; boxwright stages lists the stages, ps ax the processes";
    match what.parse::<i32>() {
        Ok(n) if n > 0 => Ok(Pid::from_raw(n)),
        Ok(_) => Err(Error::new(format!("draw {what}: no process has that number")).why("they begin at 1").hint(hint)),
        Err(_) => Err(Error::new(format!("draw {what}: neither a stage nor the number of a process")).hint(hint)),
    }
}

fn write(output: Option<&str>, svg: &str) -> Result<()> {
    match output {
        Some(file) if file != "-" => std::fs::write(file, svg).map_err(|e| {
            Error::io(format!("open({file}, O_WRONLY|O_CREAT|O_TRUNC)"), &e).hint("-o FILE, where you may write")
        }),
        _ => {
            // Whoever has stopped reading has seen enough.
            let _ = std::io::stdout().write_all(svg.as_bytes());
            Ok(())
        }
    }
}

/// Sets a stage up, looks, and takes it down again.
fn of_list(name: &str, matches: &ArgMatches, state: &State) -> Result<Portrait> {
    crate::journal::sweep(state, crate::journal::Thorough::ForAStart);
    let primitive = crate::primitive::find(name).unwrap_or(LIST[LIST.len() - 1]);
    let (options, purpose) = wanted(primitive, matches);
    let spec = build::build(&options, purpose, state)?;
    let (prefix, skipped) = stage::prefix(name, matches, &spec)?;
    let portrait = Rc::new(RefCell::new(None));
    let seen = Rc::clone(&portrait);
    let look = move |report: &Report| *seen.borrow_mut() = Portrait::of_stage(primitive, report);
    let report = Rc::new(RefCell::new(Report::new(primitive, &prefix, &spec).when_ready(look)));
    let watcher = Some(Rc::clone(&report) as Rc<RefCell<dyn Watcher>>);
    let signals = Signals::block()?;
    let stdio = Stdio::silent()?;
    let interrupt = Some(signals.as_fd());
    let job = Job { spec: &spec, state, id: None, prefix, stdio: stdio.streams, init: stdio.init, interrupt, watcher };
    let running = spawn::start(&job)?;
    running.host.notes.iter().for_each(|note| ui::note(note));
    // It runs now, or is a zombie, and has its name in either case: nobody has waited for it yet.
    let command = primitive.is_last().then(|| draw::command(running.pid)).flatten();
    let _ = process::pidfd_kill(&running.pidfd, libc::SIGKILL);
    process::wait(running.pid)?;
    running.finish()?;
    let mut portrait = portrait.take().ok_or_else(|| Error::new("the stage ended before it could be looked at"))?;
    portrait.command = command;
    portrait.skipped = skipped.iter().map(|(p, lack)| format!("{}, because {}", p.name(), lack.reason)).collect();
    Ok(portrait)
}

/// A stage has no command; full-run has one, which must not write where the picture goes.
fn wanted(primitive: &dyn Primitive, matches: &ArgMatches) -> (Options, Purpose) {
    let mut options = stage::options(primitive.name(), matches);
    if !primitive.is_last() {
        return (options, Purpose::Stage);
    }
    let mut words = matches.get_many::<String>("words").map(|w| w.cloned().collect::<Vec<_>>()).unwrap_or_default();
    if options.rootfs.is_none() && !words.is_empty() {
        options.image = Some(words.remove(0));
    }
    options.command = words;
    (options, Purpose::Run)
}
