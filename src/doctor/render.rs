//! The diagnosis on paper: for a person in 80 columns, for a script as JSON.

use super::{Check, Diagnosis, Stage, Status};
use crate::error::{Error, Result};
use colored::{ColoredString, Colorize};
use std::io::Write;

const WIDTH: usize = 80;
/// Where the second column begins.
const COLUMN: usize = 24;

/// The whole structure.
///
/// # Errors
/// When standard output cannot be written.
pub fn json(diagnosis: &Diagnosis) -> Result<()> {
    let text = serde_json::to_string_pretty(diagnosis).map_err(|e| Error::new(format!("cannot be encoded: {e}")))?;
    print(&format!("{text}\n"))
}

/// Checks, stages, and one line that sums it up.
///
/// # Errors
/// When standard output cannot be written.
pub fn text(diagnosis: &Diagnosis) -> Result<()> {
    let marks = if utf8() { Marks { ok: "✓", limited: "!", missing: "✗", unknown: "?" } } else { ASCII };
    let mut out = String::new();
    for check in &diagnosis.checks {
        put_check(&mut out, check, &marks);
    }
    out.push('\n');
    put_stages(&mut out, &diagnosis.stages, &marks);
    let sum = match (diagnosis.ok, diagnosis.checks.iter().any(|c| c.status != Status::Ok)) {
        (true, false) => "Everything works here.",
        (true, true) => "Every stage works here; what is marked above is limited.",
        (false, _) => "Something is missing that a stage needs: see above for what mends it.",
    };
    out.push_str(&format!("\n{sum}\n"));
    print(&out)
}

fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // `boxwright doctor | head` is no failure.
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("write(standard output)", &e)),
        _ => Ok(()),
    }
}

struct Marks {
    ok: &'static str,
    limited: &'static str,
    missing: &'static str,
    unknown: &'static str,
}

const ASCII: Marks = Marks { ok: "+", limited: "!", missing: "x", unknown: "?" };

impl Marks {
    fn of(&self, status: Status) -> ColoredString {
        match status {
            Status::Ok => self.ok.green(),
            Status::Limited => self.limited.yellow(),
            Status::Missing => self.missing.red(),
            Status::Unknown => self.unknown.blue(),
        }
    }
}

/// Does the terminal speak UTF-8? The first of the three variables that is set decides (locale(7)).
fn utf8() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

fn put_check(out: &mut String, check: &Check, marks: &Marks) {
    let name = format!("{:width$}", check.name, width = COLUMN - 4);
    out.push_str(&format!("{} {} ", marks.of(check.status), name.bold()));
    // The mark, two spaces and the name stand in front of the first line.
    out.push_str(&hanging(&check.found, COLUMN - 1));
    if let Some(consequence) = &check.consequence {
        let stages = match &check.stages[..] {
            [] => String::new(),
            all if all.len() > 6 => " (every stage)".into(),
            some => format!(" ({})", some.join(", ")),
        };
        put(out, "so", &format!("{consequence}{stages}"));
    }
    put_remedy(out, check.remedy.as_deref());
}

fn put(out: &mut String, label: &str, text: &str) {
    out.push_str(&format!("{:>width$}  ", label.dimmed(), width = COLUMN - 3));
    out.push_str(&hanging(text, COLUMN - 1));
}

/// A command for root is broken as a shell wants it, so that it can be copied; anything else is a sentence, or short.
fn put_remedy(out: &mut String, remedy: Option<&str>) {
    let Some(remedy) = remedy.filter(|r| !r.is_empty()) else { return };
    let (who, text) = remedy.strip_prefix("as root: ").map_or(("try", remedy), |c| ("as root", c));
    let (command, comment) = text.split_once("   # ").map_or((text, None), |(c, rest)| (c, Some(rest)));
    out.push_str(&format!("{:>width$}  ", who.dimmed(), width = COLUMN - 3));
    let lines = wrap(command, WIDTH - COLUMN - 1);
    let end = if who == "try" { "" } else { " \\" };
    let indent = " ".repeat(COLUMN - 1);
    out.push_str(&lines.iter().map(|l| l.cyan().to_string()).collect::<Vec<_>>().join(&format!("{end}\n{indent}")));
    out.push('\n');
    for line in comment.iter().flat_map(|c| wrap(c, WIDTH - COLUMN - 3)) {
        out.push_str(&format!("{indent}{}\n", format!("# {line}").dimmed()));
    }
}

fn put_stages(out: &mut String, stages: &[Stage], marks: &Marks) {
    for (n, stage) in stages.iter().enumerate() {
        let mark = marks.of(if stage.possible { Status::Ok } else { Status::Missing });
        match &stage.reason {
            None => out.push_str(&format!("{mark} {n:2} {}\n", stage.name)),
            Some(reason) => {
                out.push_str(&format!("{mark} {n:2} {:width$} ", stage.name, width = COLUMN - 7));
                out.push_str(&hanging(reason, COLUMN - 1));
                put_remedy(out, stage.remedy.as_deref());
            }
        }
    }
}

/// Text whose first line follows what stands there already, and whose others are indented.
fn hanging(text: &str, indent: usize) -> String {
    wrap(text, WIDTH - indent).join(&format!("\n{}", " ".repeat(indent))) + "\n"
}

/// Words in lines of at most `width` characters; a longer word gets a line to itself. Spaces within stay as they are.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |l| l.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            lines.push(word.to_string());
        } else if let Some(line) = lines.last_mut() {
            if last > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_never_too_long_and_no_word_is_lost() {
        let text = "one two three four five six seven eight nine ten";
        let lines = wrap(text, 12);
        assert!(lines.iter().all(|l| l.chars().count() <= 12), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrap("a-very-long-word x", 5), ["a-very-long-word", "x"]);
    }

    #[test]
    fn everything_fits_on_a_terminal() {
        colored::control::set_override(false);
        let check = Check::ok("user namespaces", "x".repeat(10) + &" word".repeat(40))
            .missing(&["map-user", "drop-caps"], "consequence ".repeat(12))
            .remedy("as root: ".to_string() + &"command ".repeat(20));
        let mut out = String::new();
        put_check(&mut out, &check, &ASCII);
        assert!(out.lines().all(|l| l.chars().count() <= WIDTH), "{out}");
        assert!(out.starts_with("x user namespaces"), "{out}");
        assert!(out.contains("as root  command"), "{out}");
    }
}
