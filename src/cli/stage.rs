//! The stage commands, generated from the list: set up the prefix, show what changed, and run a command there if there
//! is one.

use super::{flags, is_on, switch};
use crate::command::foreground::{self, Signals};
use crate::command::stdio::Stdio;
use crate::error::{Error, Result};
use crate::journal::{Journal, Made};
use crate::primitive::{LIST, Lack, Primitive, number};
use crate::report::{Report, Several, Trace};
use crate::spawn::{self, Job, Watcher};
use crate::spec::Spec;
use crate::spec::build::{self, Options, Purpose};
use crate::state::State;
use crate::ui::{self, Style};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::cell::RefCell;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

/// One stage's command line.
pub fn command(primitive: &'static dyn Primitive) -> Command {
    Command::new(primitive.name()).about(primitive.summary()).defer(|c| {
        let name = c.get_name().to_string();
        let c = common(flags::add(c, &name)).disable_help_flag(true);
        let help = Arg::new("help").long("help").action(ArgAction::Help).help("Print help").help_heading(None);
        c.after_help(format!("`boxwright explain {name}` tells what it is and why."))
            .arg(help)
            .arg(switch("all", "Report every primitive, not only this stage's"))
            .arg(switch("prove", "Measure the effect, and do not only read the setting (exit code 1: it has none)"))
            .arg(Arg::new("report-file").long("report-file").value_name("FILE").help("Write the report there"))
            .arg(switch("quiet", "Print no report: what is printed is the command's").short('q').conflicts_with_all([
                "report-file",
                "all",
                "prove",
            ]))
            .arg(
                Arg::new("command")
                    .value_name("COMMAND")
                    .help_heading(None)
                    .num_args(0..)
                    .last(true)
                    .allow_hyphen_values(true)
                    .help("Run this at the end, in what has been set up"),
            )
    })
}

/// What stages and full-run share besides the knobs.
pub fn common(c: Command) -> Command {
    c.next_help_heading("report")
        .arg(super::format_flag(&["text", "json"]).help("The report's format"))
        .arg(switch("trace", "Print every kernel call of the set-up as it is made"))
        .arg(without())
}

/// The flag that leaves a primitive out.
pub fn without() -> Arg {
    Arg::new("without")
        .long("without")
        .value_name("PRIMITIVE")
        .action(ArgAction::Append)
        .help("Leave a primitive out, and see what breaks")
}

/// Runs a stage.
///
/// # Errors
/// 125 with reason and remedy; the command's own exit code is no error.
pub fn run(name: &str, matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    must_have_proc()?;
    crate::journal::sweep(state, crate::journal::Thorough::ForAStart);
    let spec = build::build(&options(name, matches), Purpose::Stage, state)?;
    attend(name, matches, &spec, Purpose::Stage, state, None)
}

/// What a stage is to be.
pub fn options(name: &str, matches: &ArgMatches) -> Options {
    let mut options = flags::options(matches);
    // Root has no need of a user namespace, so elsewhere it takes a flag; here it was asked for by name.
    if name == "map-user" && options.userns.is_none() {
        options.userns = Some("auto".into());
    }
    options
}

/// What is made of a container before it is started, and the journal that has it.
pub type Before<'a> = &'a dyn Fn() -> Result<(Journal, Made)>;

/// Stages and full-run are the same from here on.
///
/// # Errors
/// As [`run`].
pub fn attend(
    name: &str,
    matches: &ArgMatches,
    spec: &Spec,
    purpose: Purpose,
    state: &State,
    before: Option<Before<'_>>,
) -> Result<ExitCode> {
    let (prefix, skipped) = prefix(name, matches, spec)?;
    let report = wants_report(matches, purpose).then(|| report(name, matches, spec, &prefix, skipped)).transpose()?;
    let trace = matches.get_flag("trace").then(Trace::new);
    let watcher = (trace.is_some() || report.is_some())
        .then(|| Rc::new(RefCell::new(Several { trace, report: report.clone() })) as Rc<RefCell<dyn Watcher>>);
    let signals = Signals::block()?;
    let stdio = Stdio::prepare(spec)?;
    let interrupt = Some(signals.as_fd());
    let (streams, init) = (stdio.streams, stdio.init);
    let job = Job { spec, state, id: None, prefix, stdio: streams, init, interrupt, watcher };
    let proved = prove(name, matches, &job, report.as_deref())?;
    let mut running = match before {
        None => spawn::start(&job)?,
        Some(before) => {
            let (journal, made) = before()?;
            spawn::start_with(&job, journal, made)?
        }
    };
    if report.is_none() && !is_on(matches, "quiet") {
        running.host.notes.iter().for_each(|note| ui::note(note));
    }
    let end = foreground::attend(&mut running, &signals, stdio);
    let finished = running.finish();
    let end = end?;
    finished?;
    // A proof that is no proof is a failure, unless the command has already had one of its own.
    Ok(ExitCode::from(if proved { end.exit_code() } else { end.exit_code().max(1) }))
}

/// Nothing goes without it.
pub fn must_have_proc() -> Result<()> {
    if Path::new("/proc/self").exists() {
        return Ok(());
    }
    Err(Error::new("/proc is not mounted")
        .why("containers are set up, looked at and cleaned up through it")
        .hint("mount -t proc proc /proc"))
}

/// `--prove`: measures this stage's primitive, or with `--all` every one of the prefix, before the start that is
/// reported. Does all that was asked for hold?
fn prove(name: &str, matches: &ArgMatches, job: &Job<'_>, report: Option<&RefCell<Report>>) -> Result<bool> {
    if !is_on(matches, "prove") {
        return Ok(true);
    }
    let wanted = |p: &&&'static dyn Primitive| {
        p.name() == name || is_on(matches, "all") && job.prefix.iter().any(|q| q.name() == p.name())
    };
    let mut proofs = Vec::new();
    for primitive in LIST.iter().filter(wanted) {
        proofs.extend(crate::prove::prove(*primitive, job)?);
    }
    if proofs.is_empty() {
        return Err(Error::new(format!("--prove: there is no experiment for {name}"))
            .hint(format!("these have one: {}", crate::prove::primitives().join(", "))));
    }
    let held = proofs.iter().all(|proof| proof.held);
    if let Some(report) = report {
        let mut report = report.borrow_mut();
        proofs.iter().flat_map(|proof| &proof.notes).for_each(|note| report.note(note));
        report.prove(proofs);
    }
    Ok(held)
}

/// A stage always reports; full-run when asked to.
fn wants_report(matches: &ArgMatches, purpose: Purpose) -> bool {
    purpose == Purpose::Stage && !is_on(matches, "quiet")
        || is_on(matches, "report")
        || matches.contains_id("report-file")
}

/// The report, which shows itself when all is set up: before a command can print anything.
fn report(
    name: &str,
    matches: &ArgMatches,
    spec: &Spec,
    prefix: &[&'static dyn Primitive],
    skipped: Vec<(&'static dyn Primitive, Lack)>,
) -> Result<Rc<RefCell<Report>>> {
    let stage = crate::primitive::find(name).unwrap_or(LIST[LIST.len() - 1]);
    let all = matches.try_get_one::<bool>("all").ok().flatten().is_none_or(|all| *all);
    let json = matches.get_one::<String>("format").is_some_and(|f| f == "json");
    let mut out = destination(matches, !spec.args().is_empty())?;
    let mut report = Report::new(stage, prefix, spec).all(all);
    for (primitive, lack) in skipped {
        report.skip(primitive, lack);
    }
    let show = move |report: &Report| {
        let text = if json { report.json() } else { report.text(out.style) };
        // Whoever has stopped reading has seen enough.
        let _ = out.to.write_all(text.as_bytes());
    };
    Ok(Rc::new(RefCell::new(report.when_ready(show))))
}

struct Destination {
    to: Box<dyn Write>,
    style: Style,
}

/// stdout, or stderr where stdout is the command's, or a file.
fn destination(matches: &ArgMatches, command: bool) -> Result<Destination> {
    if let Some(file) = matches.get_one::<String>("report-file") {
        let to = std::fs::File::create(file).map_err(|e| Error::io(format!("open({file}, O_CREAT)"), &e))?;
        return Ok(Destination { to: Box::new(to), style: Style::plain() });
    }
    Ok(if command {
        Destination { to: Box::new(std::io::stderr()), style: Style::of(&std::io::stderr()) }
    } else {
        Destination { to: Box::new(std::io::stdout()), style: Style::of(&std::io::stdout()) }
    })
}

/// The primitives of a stage, and those that this machine cannot do.
pub type Prefix = (Vec<&'static dyn Primitive>, Vec<(&'static dyn Primitive, Lack)>);

/// The primitives up to `name` that are wanted, possible, and not left out.
pub fn prefix(name: &str, matches: &ArgMatches, spec: &Spec) -> Result<Prefix> {
    let last = number(name).unwrap_or(LIST.len() - 1);
    let without: Vec<&String> = matches.get_many::<String>("without").map(Iterator::collect).unwrap_or_default();
    if let Some(unknown) = without.iter().find(|w| number(w).is_none_or(|n| n == LIST.len() - 1)) {
        return Err(Error::new(format!("--without {unknown}: no such primitive")).hint("boxwright stages lists them"));
    }
    let asked = flags::asked(matches);
    let (mut prefix, mut skipped): Prefix = (Vec::new(), Vec::new());
    for primitive in &LIST[..=last] {
        let this = primitive.name();
        if without.iter().any(|w| *w == this) {
            continue;
        }
        if !primitive.wanted(spec) {
            if this == name {
                let (why, hint) = primitive.idle();
                return Err(Error::new("nothing to do").why(why).hint(hint).in_primitive(this));
            }
            continue;
        }
        match primitive.needs().iter().find_map(|need| (need.probe)(spec).err()) {
            None => prefix.push(*primitive),
            Some(lack) if this == name || asked.contains(&this) => return Err(lack.into_error(this)),
            Some(lack) => skipped.push((*primitive, lack)),
        }
    }
    say_skipped(&skipped, is_on(matches, "quiet"));
    let command = LIST[LIST.len() - 1];
    if !spec.args().is_empty() && prefix.last().is_none_or(|p| p.name() != command.name()) {
        prefix.push(command);
    }
    Ok((prefix, skipped))
}

/// Loudly, but once for each remedy: what misses a cgroup, say, is mended together. Quietly, only that it is so.
fn say_skipped(skipped: &[(&'static dyn Primitive, Lack)], quiet: bool) {
    if quiet && !skipped.is_empty() {
        let names: Vec<&str> = skipped.iter().map(|(p, _)| p.name()).collect();
        eprintln!("boxwright: skipped {} (boxwright doctor says why)", names.join(", "));
        return;
    }
    for (n, (first, lack)) in skipped.iter().enumerate() {
        let alike = |(_, l): &&(&dyn Primitive, Lack)| l.remedy == lack.remedy;
        if skipped[..n].iter().any(|s| alike(&s)) {
            continue;
        }
        let others: String = skipped[n + 1..].iter().filter(alike).map(|(p, _)| format!(", {}", p.name())).collect();
        eprintln!("boxwright: skipped {}{others}, because {}\n  try: {}", first.name(), lack.reason, lack.remedy);
    }
}
