//! `boxwright lab`: the command line of the labs, and how they look on a terminal.

use super::switch;
use crate::error::{Error, Result};
use crate::lab::chapter::{self, Renderer};
use crate::lab::compare::Wrong;
use crate::lab::exercise::{self, Said, Verdict, With};
use crate::lab::place::{self, Place};
use crate::lab::play::{Audience, Empty, Outcome, Player};
use crate::lab::progress::Progress;
use crate::lab::script::Block;
use crate::lab::{self, Lab};
use crate::state::State;
use crate::ui::{self, Style, Table};
use clap::{Arg, ArgMatches, Command};
use nix::sys::termios::{FlushArg, tcflush};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// Its command line.
pub fn command() -> Command {
    Command::new("lab")
        .about("Learn it: scripts to play, exercises whose effect on the kernel is checked")
        .defer(subcommands)
}

fn subcommands(lab: Command) -> Command {
    let which = |help: &'static str| Arg::new("lab").value_name("LAB").help(help);
    let one = "A lab's number or name [default: the one to go on with]";
    let run = Command::new("run")
        .about("Play a lab's script: each command, then its output, then whether it is as it should be")
        .arg(which(one))
        .arg(switch("no-pause", "Do not wait for Enter before each command"))
        .arg(switch("transcript", "Print only the transcript that is compared with the snapshot"));
    let with = Arg::new("with").long("with").value_name("WHAT");
    let check = Command::new("check")
        .about("Run scripts and exercises, and keep the score; the exit code is 1 below full score")
        .arg(which(one).num_args(0..))
        .arg(switch("all", "All labs").conflicts_with("lab"))
        .arg(switch("exercise", "Only the exercise"))
        .arg(with.help("Check this in place of your exercise: skeleton, solution, or a file"));
    let reset = Command::new("reset")
        .about("Put an exercise back to where it began (yours is kept as exercise.sh.old)")
        .arg(which("A lab's number or name"))
        .arg(switch("all", "All labs, and what was remembered of them").conflicts_with("lab"));
    let dir = Arg::new("dir").value_name("DIR").required(true).value_parser(clap::value_parser!(PathBuf));
    let export = Command::new("export")
        .about("Write all labs out, with their checks and solutions")
        .arg(dir.help("A directory that is not there yet, or is empty"));
    let mdbook = Command::new("mdbook")
        .hide(true)
        .about("mdBook's preprocessor: reads its JSON, writes the book with every directive carried out")
        .arg(Arg::new("supports").num_args(0..));
    lab.subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(Command::new("list").about("All labs, and how far you are"))
        .subcommand(Command::new("show").about("Read a lab's chapter of the book").arg(which(one)))
        .subcommand(run)
        .subcommand(check)
        .subcommand(Command::new("watch").about("Check your exercise again whenever you save it").arg(which(one)))
        .subcommand(Command::new("hint").about("One more hint").arg(which(one)))
        .subcommand(reset)
        .subcommand(Command::new("solution").about("Our solution, once you have yours").arg(which(one)))
        .subcommand(export)
        .subcommand(mdbook)
}

/// Runs it.
///
/// # Errors
/// No such lab; no place for files.
pub fn run(matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    let Some((name, sub)) = matches.subcommand() else { return Err(Error::new("no subcommand")) };
    let style = Style::of(&std::io::stdout());
    let outcome = match name {
        "list" => list(state, style),
        "show" => show(chosen(sub, state)?, state, style),
        "run" if sub.get_flag("transcript") => {
            let lab = chosen(sub, state)?;
            place::inside(|place| transcript(lab, place, state)).map(|()| ExitCode::SUCCESS)
        }
        "run" => play(chosen(sub, state)?, !sub.get_flag("no-pause"), state, style),
        "check" => check(sub, state, style),
        "watch" => watch(chosen(sub, state)?, state, style),
        "hint" => hint(chosen(sub, state)?, state, style),
        "reset" => reset(sub, state),
        "mdbook" => mdbook(sub),
        "solution" => solution(chosen(sub, state)?, state),
        _ => export(sub.get_one::<PathBuf>("dir").ok_or_else(|| Error::new("no directory"))?),
    };
    if matches!(name, "run" | "check" | "watch") {
        // A container that was killed with its lab has left its journal to the next command: let it be this one.
        crate::journal::sweep(state, crate::journal::Thorough::ForAStart);
    }
    outcome
}

fn chosen(matches: &ArgMatches, state: &State) -> Result<Lab> {
    match matches.get_one::<String>("lab") {
        Some(word) => lab::find(word),
        None => Progress::load(state)
            .next()
            .or_else(|| lab::all().last().copied())
            .ok_or_else(|| Error::new("there are no labs in this program")),
    }
}

fn heading(lab: &Lab, style: Style) -> String {
    format!("{}\n", style.bold(&format!("Lab {}  {}", lab.number(), lab.name())))
}

fn paragraphs(text: &str, style: Style) -> String {
    text.lines().map(|line| ui::wrap(line, style.width).join("\n") + "\n").collect()
}

fn list(state: &State, style: Style) -> Result<ExitCode> {
    let progress = Progress::load(state);
    let next = progress.next().map(|lab| lab.folder);
    let mut table = Table::new(&["", "#", "lab", "script", "exercise", "hints", "what it is about"]);
    let mark = |done: bool| if done { style.good("✓") } else { style.dim("·") };
    for lab in lab::all() {
        let done = progress.of(&lab);
        let here = if next == Some(lab.folder) { "→" } else { "" };
        let hints = if done.hints > 0 { done.hints.to_string() } else { String::new() };
        // "Memory by number: what has no path is hidden by no mount." has a title, and a line is enough in a list.
        let about = lab.script()?.about.split([':', '\n']).next().unwrap_or_default().to_string();
        let solved = if done.is_impossible() { style.warn("–") } else { mark(done.solved) };
        let row = [here.into(), lab.number().into(), lab.name().into(), mark(done.script), solved, hints, about];
        table.row(row);
    }
    ui::print(&table.text(style));
    ui::print(&format!("\n{}\n", bar(&progress, style)));
    Ok(ExitCode::SUCCESS)
}

/// `███████░░░░░░░░░░  7 of 17 solved`.
fn bar(progress: &Progress, style: Style) -> String {
    let labs = lab::all();
    let solved = labs.iter().filter(|lab| progress.of(lab).solved).count();
    let skipped = labs.iter().filter(|lab| progress.of(lab).is_impossible()).count();
    let (full, empty) = ("█".repeat(solved), "░".repeat(labs.len() - solved));
    let more = if skipped > 0 { format!(", {skipped} cannot be done here") } else { String::new() };
    format!("{}{}  {solved} of {} solved{more}", style.good(&full), style.dim(&empty), labs.len())
}

fn show(lab: Lab, state: &State, style: Style) -> Result<ExitCode> {
    let text = chapter::of(&lab, &Renderer::Terminal(style))?;
    Progress::change(state, &lab, |_| {})?;
    page(&text)
}

/// Through the reader's pager where there is a terminal.
fn page(text: &str) -> Result<ExitCode> {
    let pager = std::env::var("PAGER").ok().filter(|p| !p.is_empty()).unwrap_or_else(|| "less".into());
    if std::io::stdout().is_terminal() {
        let mut less = std::process::Command::new("sh");
        less.args(["-c", &pager]).env("LESS", "-FRX").stdin(std::process::Stdio::piped());
        if let Ok(mut child) = less.spawn() {
            let mut input = child.stdin.take();
            // Whoever leaves the pager early has read enough.
            let _ = input.as_mut().map(|input| input.write_all(text.as_bytes()));
            drop(input);
            if child.wait().is_ok_and(|status| status.success()) {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    ui::print(text);
    Ok(ExitCode::SUCCESS)
}

/// What `cargo test` compares with the snapshot.
fn transcript(lab: Lab, place: &Place, state: &State) -> Result<()> {
    let mut player = Player::new(&lab, place, state, false)?;
    for step in &lab.script()?.steps {
        let text = match player.step(step, &mut Empty)? {
            Outcome::Left => continue,
            Outcome::Skipped(reason) => format!("[skipped: {reason}]\n"),
            Outcome::Done { text, .. } => text,
        };
        ui::print(&format!("## {}\n\n{text}\n", step.title));
    }
    Ok(())
}

/// A learner at a terminal.
struct Learner {
    style: Style,
    pause: bool,
    column: bool,
}

impl Audience for Learner {
    fn before(&mut self, block: &Block) -> bool {
        let style = self.style;
        if !block.says.is_empty() {
            ui::print(&format!("\n{}", lab::reader::text(&block.says.replace('\n', "\n\n"), style)));
        }
        if block.code.is_empty() {
            return true;
        }
        let typed = block.typed();
        let lines: Vec<&str> = typed.lines().collect();
        let shown: Vec<String> = lines.iter().map(|line| style.bold(line)).collect();
        ui::print(&format!("\n{}", shown.join("\n")));
        if self.pause {
            let _ = std::io::stdout().flush();
            // What was typed before this was shown is no answer to it.
            let _ = tcflush(std::io::stdin(), FlushArg::TCIFLUSH);
            let mut enter = String::new();
            if !std::io::stdin().lock().read_line(&mut enter).is_ok_and(|n| n > 0) {
                // Ctrl-D: nobody is there any more, and an attack is not for nobody to see.
                return false;
            }
        } else {
            ui::print("\n");
        }
        self.column = true;
        true
    }

    fn output(&mut self, text: &str) {
        ui::print(text);
        self.column = text.ends_with('\n');
    }
}

fn play(lab: Lab, pause: bool, state: &State, style: Style) -> Result<ExitCode> {
    let file = exercise::learners_file(&lab)?;
    let script = lab.script()?;
    let pause = pause && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let right = place::inside(|place| {
        ui::print(&format!("{}{}", heading(&lab, style), paragraphs(&script.about, style)));
        if pause {
            ui::print(&style.dim("(Enter runs the command that is shown; Ctrl-D leaves.)\n"));
        }
        let mut player = Player::new(&lab, place, state, style.is_coloured())?;
        let mut learner = Learner { style, pause, column: true };
        let (mut right, mut skipped) = (true, 0);
        for (n, step) in script.steps.iter().enumerate() {
            ui::print(&format!("\n{}\n", style.accent(&format!("── {}. {} ──", n + 1, step.title))));
            let outcome = player.step(step, &mut learner)?;
            if !learner.column {
                ui::print("\n");
            }
            if matches!(outcome, Outcome::Left) {
                ui::print(&format!("\n\nThe rest another time: boxwright lab run {}\n", lab.number()));
                return Ok(true);
            }
            skipped += usize::from(matches!(outcome, Outcome::Skipped(_)));
            right &= !matches!(&outcome, Outcome::Done { wrong, .. } if !wrong.is_empty());
            ui::print(&judged(&outcome, style));
        }
        Progress::change(state, &lab, |done| done.script |= right)?;
        if skipped * 2 > script.steps.len() {
            let text = "Most of this lab cannot be done here as who you are, and its exercise probably cannot either: \
                        boxwright doctor says how to mend that, and the check skips what it cannot look at.";
            ui::print(&format!("\n{}", paragraphs(text, style)));
        }
        ui::print(&format!(
            "\nNow it is your turn: {}\n  edit   {}\n  check  {}    (or {} while you work)\n",
            style.bold("the exercise"),
            style.accent(&file.display().to_string()),
            style.accent(&format!("boxwright lab check {}", lab.number())),
            style.accent("lab watch"),
        ));
        Ok(right)
    })?;
    Ok(ExitCode::from(u8::from(!right)))
}

fn judged(outcome: &Outcome, style: Style) -> String {
    match outcome {
        Outcome::Left => String::new(),
        Outcome::Skipped(reason) => ui::hang("skipped: ", ui::wrap(&style.warn(reason), style.width - 9)),
        Outcome::Done { wrong, .. } if wrong.is_empty() => format!("\n{}\n", style.good("✓ as it should be")),
        Outcome::Done { wrong, .. } => {
            format!("\n{}\n{}", style.bad("✗ not as it should be:"), difference(wrong, "  ", style))
        }
    }
}

fn difference(wrong: &[Wrong], indent: &str, style: Style) -> String {
    let line = |w: &Wrong| match w {
        Wrong::Missing(line) => style.bad(&format!("{indent}− {line}")) + &style.dim("   missing"),
        Wrong::Unexpected(line) => style.warn(&format!("{indent}+ {line}")) + &style.dim("   unexpected"),
        Wrong::Forbidden(line) => style.bad(&format!("{indent}! {line}")) + &style.dim("   forbidden"),
        Wrong::Same(n) => style.dim(&format!("{indent}  … {n} as it should be")),
    };
    wrong.iter().map(|w| line(w) + "\n").collect()
}

/// Points, and how many there could have been.
#[derive(Default, Serialize, Deserialize)]
struct Score {
    got: u32,
    of: u32,
    skipped: u32,
}

impl std::ops::AddAssign for Score {
    fn add_assign(&mut self, more: Score) {
        self.got += more.got;
        self.of += more.of;
        self.skipped += more.skipped;
    }
}

fn check(matches: &ArgMatches, state: &State, style: Style) -> Result<ExitCode> {
    let words: Vec<&String> = matches.get_many("lab").map(Iterator::collect).unwrap_or_default();
    let labs = if matches.get_flag("all") {
        lab::all()
    } else if words.is_empty() {
        vec![chosen_next(state)?]
    } else {
        words.iter().map(|word| lab::find(word)).collect::<Result<_>>()?
    };
    let with = match matches.get_one::<String>("with").map(String::as_str) {
        None => With::Learner,
        Some("skeleton") => With::Skeleton,
        Some("solution") => With::Solution,
        Some(file) => With::File(readable(Path::new(file))?),
    };
    let only_exercise = matches.get_flag("exercise");
    let mut score = Score::default();
    let before = Progress::load(state).next().is_none();
    for lab in &labs {
        ui::print(&heading(lab, style));
        if !only_exercise {
            score += check_script(lab, state, style)?;
        }
        score += check_exercise(lab, &with, state, style)?;
    }
    let skipped = if score.skipped > 0 { format!("   ({} skipped)", score.skipped) } else { String::new() };
    let full = score.got == score.of;
    let line = format!("Score: {}/{}", score.got, score.of);
    ui::print(&format!("\n{}{skipped}\n", if full { style.good(&line) } else { style.bad(&line) }));
    let progress = Progress::load(state);
    ui::print(&format!("{}\n", bar(&progress, style)));
    if !before && progress.next().is_none() {
        ui::print(&closing(&progress, style));
    }
    Ok(ExitCode::from(u8::from(!full)))
}

fn chosen_next(state: &State) -> Result<Lab> {
    Progress::load(state)
        .next()
        .ok_or_else(|| Error::new("all labs are solved").hint("boxwright lab check --all looks at all of them again"))
}

fn readable(file: &Path) -> Result<PathBuf> {
    std::fs::File::open(file).and_then(|_| std::fs::canonicalize(file)).map_err(|e| {
        Error::io(format!("open({})", file.display()), &e).hint("--with takes skeleton, solution, or a file")
    })
}

fn verdict_line(label: &str, text: &str, mark: &str, took: Option<Duration>, style: Style) -> String {
    let took = took.map(|t| format!(" ({:.1}s)", t.as_secs_f64())).unwrap_or_default();
    let room = style.width.saturating_sub(12 + 14);
    let mut lines = ui::wrap(text, room);
    let last = lines.pop().unwrap_or_default();
    lines.push(format!("{}{mark}{}", ui::pad(&last, room + 1), style.dim(&took)));
    ui::hang(&format!("  {label:10}"), lines)
}

fn ok(good: bool, style: Style) -> String {
    if good { style.good("OK") } else { style.bad("FAIL") }
}

/// A point for each step that is as it should be.
fn check_script(lab: &Lab, state: &State, style: Style) -> Result<Score> {
    let (score, right) = place::inside(|place| {
        let mut player = Player::new(lab, place, state, false)?;
        let (mut score, mut right) = (Score::default(), true);
        for step in &lab.script()?.steps {
            match player.step(step, &mut Empty)? {
                Outcome::Left => {}
                Outcome::Skipped(reason) => {
                    score.skipped += 1;
                    ui::print(&verdict_line("script", &step.title, &style.warn("skipped"), None, style));
                    ui::print(&ui::hang("            ", ui::wrap(&style.warn(&reason), style.width - 12)));
                }
                Outcome::Done { wrong, took, .. } => {
                    right &= wrong.is_empty();
                    score.of += 1;
                    score.got += u32::from(wrong.is_empty());
                    let mark = ok(wrong.is_empty(), style);
                    ui::print(&verdict_line("script", &step.title, &mark, Some(took), style));
                    ui::print(&difference(&wrong, "            ", style));
                }
            }
        }
        Ok((score, right))
    })?;
    Progress::change(state, lab, |done| done.script |= right)?;
    Ok(score)
}

/// One point for the whole exercise.
fn check_exercise(lab: &Lab, with: &With, state: &State, style: Style) -> Result<Score> {
    let verdict = place::inside(|place| {
        exercise::check(lab, with, place, &mut |said, took| {
            ui::print(&match said {
                Said::Baseline(good, text) => verdict_line("baseline", text, &ok(*good, style), Some(took), style),
                Said::Expected(good, text) => verdict_line("exercise", text, &ok(*good, style), Some(took), style),
                Said::Skipped(reason) => verdict_line("exercise", reason, &style.warn("skipped"), None, style),
                Said::End => String::new(),
                Said::Note(text) => ui::hang("            ", ui::wrap(&style.dim(text), style.width - 12)),
            });
        })
    })?;
    if matches!(with, With::Learner) {
        Progress::change(state, lab, |done| {
            done.solved |= verdict == Verdict::Solved;
            done.skipped = matches!(verdict, Verdict::Skipped(_));
        })?;
    }
    if verdict == Verdict::Unsolved && matches!(with, With::Learner) {
        let file = exercise::learners_file(lab)?.display().to_string();
        let number = lab.number();
        ui::print(&format!("\n            edit  {}\n", style.accent(&file)));
        ui::print(&format!("            ask   {}\n", style.accent(&format!("boxwright lab hint {number}"))));
    }
    Ok(match verdict {
        Verdict::Skipped(_) => Score { skipped: 1, ..Score::default() },
        verdict => Score { got: u32::from(verdict == Verdict::Solved), of: 1, skipped: 0 },
    })
}

/// What it says when the last exercise is solved.
fn closing(progress: &Progress, style: Style) -> String {
    let hints: usize = lab::all().iter().map(|lab| progress.of(lab).hints).sum();
    format!(
        "\n{}\n\n{}\n{}\n",
        style.bold("That was the last one."),
        paragraphs(
            &format!(
                "You have built a container out of what the kernel offers, one primitive at a time, and made it do \
                 what you wanted {} times over, with {hints} hints. There was never more to it than this list:",
                lab::all().iter().filter(|lab| progress.of(lab).solved).count()
            ),
            style
        ),
        crate::report::stages(style)
    )
}

/// Checks whenever the file has changed, until Ctrl-C or success.
fn watch(lab: Lab, state: &State, style: Style) -> Result<ExitCode> {
    let file = exercise::learners_file(&lab)?;
    let changed = |file: &Path| std::fs::metadata(file).and_then(|m| Ok((m.modified()?, m.len()))).ok();
    ui::print(&format!("{}watching {}\n", heading(&lab, style), style.accent(&file.display().to_string())));
    let mut seen: Option<Option<(SystemTime, u64)>> = None;
    loop {
        let now = changed(&file);
        if seen == Some(now) {
            // Editors write a file in several ways (in place, by rename); a look twice a second sees all of them.
            std::thread::sleep(Duration::from_millis(500));
            continue;
        }
        seen = Some(now);
        ui::print("\n");
        let score = check_exercise(&lab, &With::Learner, state, style)?;
        if score.got == score.of {
            let progress = Progress::load(state);
            ui::print(&format!("\n{}\n", bar(&progress, style)));
            match progress.next() {
                Some(next) => ui::print(&format!("next: boxwright lab run {}\n", next.number())),
                None => ui::print(&closing(&progress, style)),
            }
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn hint(lab: Lab, state: &State, style: Style) -> Result<ExitCode> {
    let hints = exercise::hints(&lab);
    let seen = Progress::load(state).of(&lab).hints;
    let shown = (seen + 1).min(hints.len());
    ui::print(&heading(&lab, style));
    for (n, hint) in hints.iter().take(shown).enumerate() {
        let text = lab::reader::text(hint, style);
        let old = n + 1 < shown;
        let number = format!("hint {} of {}", n + 1, hints.len());
        ui::print(&format!("\n{}\n{text}", if old { style.dim(&number) } else { style.accent(&number) }));
    }
    if seen >= hints.len() {
        ui::print(&style.dim("\nThere are no more.\n"));
    }
    Progress::change(state, &lab, |done| done.hints = shown)?;
    Ok(ExitCode::SUCCESS)
}

fn reset(matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    let labs = if matches.get_flag("all") { lab::all() } else { vec![lab::find(given(matches)?)?] };
    for lab in labs {
        let file = exercise::reset(&lab)?;
        Progress::change(state, &lab, |done| *done = Default::default())?;
        ui::print(&format!("{} is as it was in the beginning\n", file.display()));
    }
    if matches.get_flag("all") {
        Progress::default().save(state)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn given(matches: &ArgMatches) -> Result<&str> {
    matches
        .get_one::<String>("lab")
        .map(String::as_str)
        .ok_or_else(|| Error::new("which lab?").hint("boxwright lab reset 01, or --all"))
}

fn solution(lab: Lab, state: &State) -> Result<ExitCode> {
    // Where it cannot be solved, reading is what is left.
    let done = Progress::load(state).of(&lab);
    if !done.solved && !done.is_impossible() {
        return Err(Error::new(format!("lab {} is not solved yet", lab.folder))
            .why("a solution teaches most to those who have their own")
            .hint(format!("boxwright lab hint {}", lab.number())));
    }
    // That line is for the tests, which take the primitive away.
    let solution = lab.file("solution.sh");
    ui::print(&solution.lines().filter(|l| !l.starts_with("#without ")).map(|l| format!("{l}\n")).collect::<String>());
    Ok(ExitCode::SUCCESS)
}

fn export(dir: &Path) -> Result<ExitCode> {
    if std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(
            Error::new(format!("{} is not empty", dir.display())).hint("name a directory that is not there yet")
        );
    }
    for (file, text) in lab::files() {
        let path = dir.join(&file);
        let (below, name) = (path.parent().unwrap_or(dir), path.file_name().unwrap_or_default().to_string_lossy());
        // In the program both are one file. Here a check can be run by hand.
        let head =
            if name == "check.sh" { "#!/bin/sh\n. \"$(dirname \"$(realpath \"$0\")\")/../lib.sh\"\n" } else { "" };
        exercise::write(below, &name, &format!("{head}{text}"))?;
    }
    ui::print(&format!("{} labs are in {}\n", lab::all().len(), dir.display()));
    Ok(ExitCode::SUCCESS)
}

/// mdBook first asks whether its renderer is supported (`supports html`), and all are; then it sends the book.
fn mdbook(matches: &ArgMatches) -> Result<ExitCode> {
    if matches.get_many::<String>("supports").is_none() {
        let input = std::io::read_to_string(std::io::stdin()).map_err(|e| Error::io("read(stdin)", &e))?;
        ui::print(&chapter::preprocess(&input)?);
    }
    Ok(ExitCode::SUCCESS)
}
