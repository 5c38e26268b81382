//! The diagnosis on paper: for a person in 80 columns, for a script as JSON.

use super::{Check, Diagnosis, Stage, Status};
use crate::ui::{Style, hang, pad, wrap};

/// Where the second column begins.
const COLUMN: usize = 23;

/// The whole structure.
pub fn json(diagnosis: &Diagnosis) -> String {
    // Strings, numbers and lists only: encoding them into memory cannot fail.
    let text = serde_json::to_string_pretty(diagnosis).unwrap_or_default();
    format!("{text}\n")
}

/// Checks, stages, and one line that sums it up. Without UTF-8 the marks are ASCII.
pub fn text(diagnosis: &Diagnosis, style: Style, utf8: bool) -> String {
    let paper = Paper { style, utf8 };
    let checks: String = diagnosis.checks.iter().map(|c| paper.check(c)).collect();
    let stages: String = (0..diagnosis.stages.len()).map(|n| paper.stage(n, &diagnosis.stages)).collect();
    let sum = match (diagnosis.ok, diagnosis.checks.iter().any(|c| c.status != Status::Ok)) {
        (true, false) => "Everything works here.",
        (true, true) => "Every stage works here; what is marked above is limited.",
        (false, _) => "Something is missing that a stage needs: see above for what mends it.",
    };
    format!("{checks}\n{stages}\n{sum}\n")
}

/// Does the terminal speak UTF-8? The first of the three variables that is set decides (locale(7)).
pub fn utf8() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

struct Paper {
    style: Style,
    utf8: bool,
}

impl Paper {
    fn mark(&self, status: Status) -> String {
        let (fine, plain) = match status {
            Status::Ok => ("✓", "+"),
            Status::Limited => ("!", "!"),
            Status::Missing => ("✗", "x"),
            Status::Unknown => ("?", "?"),
        };
        let mark = if self.utf8 { fine } else { plain };
        match status {
            Status::Ok => self.style.good(mark),
            Status::Limited => self.style.warn(mark),
            Status::Missing => self.style.bad(mark),
            Status::Unknown => self.style.accent(mark),
        }
    }

    fn check(&self, check: &Check) -> String {
        let name = format!("{} {}", self.mark(check.status), self.style.bold(check.name));
        let mut out = hang(&pad(&name, COLUMN), wrap(&check.found, self.room()));
        if let Some(consequence) = &check.consequence {
            let stages = match &check.stages[..] {
                [] => String::new(),
                all if all.len() > 6 => " (every stage)".into(),
                some => format!(" ({})", some.join(", ")),
            };
            out += &hang(&self.label("so"), wrap(&format!("{consequence}{stages}"), self.room()));
        }
        out + &self.remedy(check.remedy.as_deref())
    }

    /// What misses the same thing is mended together: its reason and remedy are said once, at the first.
    fn stage(&self, number: usize, all: &[Stage]) -> String {
        let stage = &all[number];
        let mark = self.mark(if stage.possible { Status::Ok } else { Status::Missing });
        let first = format!("{mark} {number:2} {}", stage.name);
        let Some(reason) = &stage.reason else { return format!("{first}\n") };
        let same = |s: &&Stage| s.reason == stage.reason && s.remedy == stage.remedy;
        if let Some(earlier) = all[..number].iter().find(same) {
            return hang(&pad(&first, COLUMN), [format!("as {}", earlier.name)]);
        }
        hang(&pad(&first, COLUMN), wrap(reason, self.room())) + &self.remedy(stage.remedy.as_deref())
    }

    /// A command for root is broken as a shell wants it, so that it can be copied; anything else is a sentence or
    /// short. Behind `   # ` there is a remark.
    fn remedy(&self, remedy: Option<&str>) -> String {
        let Some(remedy) = remedy.filter(|r| !r.is_empty()) else { return String::new() };
        let (who, text) = remedy.strip_prefix("as root: ").map_or(("try", remedy), |c| ("as root", c));
        let (command, remark) = text.split_once("   # ").unwrap_or((text, ""));
        let end = if who == "try" { "" } else { " \\" };
        let mut lines = break_command(command, self.room() - end.len());
        let last = lines.len().saturating_sub(1);
        lines[..last].iter_mut().for_each(|line| line.push_str(end));
        let mut lines: Vec<String> = lines.iter().map(|line| self.style.accent(line)).collect();
        if !remark.is_empty() {
            lines.extend(wrap(remark, self.room() - 2).iter().map(|line| self.style.dim(&format!("# {line}"))));
        }
        hang(&self.label(who), lines)
    }

    /// What stands before a line of explanation, at the right of the first column.
    fn label(&self, text: &str) -> String {
        let indent = " ".repeat(COLUMN - 2 - text.len());
        format!("{indent}{}  ", self.style.dim(text))
    }

    fn room(&self) -> usize {
        self.style.width - COLUMN
    }
}

/// Words in lines of at most `width` columns. Unlike in a text, a word that is too long is left whole and spaces stay
/// as they are: a shell minds.
fn break_command(text: &str, width: usize) -> Vec<String> {
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
    fn a_command_loses_no_word() {
        let text = "one two three four five six seven eight nine ten";
        let lines = break_command(text, 12);
        assert!(lines.iter().all(|l| l.chars().count() <= 12), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(break_command("a-very-long-word x", 5), ["a-very-long-word", "x"]);
    }

    #[test]
    fn what_is_mended_together_is_said_once() {
        let stage = |name, reason: &str| Stage {
            name,
            possible: false,
            need: Some("a cgroup"),
            reason: Some(reason.into()),
            remedy: Some("mend it".into()),
        };
        let all = [stage("one", "there is none"), stage("two", "no controller"), stage("three", "there is none")];
        let paper = Paper { style: Style::plain(), utf8: false };
        let lines: String = (0..all.len()).map(|n| paper.stage(n, &all)).collect();
        assert_eq!(lines.matches("mend it").count(), 2, "{lines}");
        assert!(lines.contains("x  2 three             as one"), "{lines}");
    }

    #[test]
    fn everything_fits_on_a_terminal() {
        let check = Check::ok("user namespaces", "x".repeat(10) + &" word".repeat(40))
            .missing(&["map-user", "drop-caps"], "consequence ".repeat(12))
            .remedy("as root: ".to_string() + &"command ".repeat(20) + "  # " + &"remark ".repeat(20));
        let out = Paper { style: Style::plain(), utf8: false }.check(&check);
        assert!(out.lines().all(|l| l.chars().count() <= 80), "{out}");
        assert!(out.starts_with("x user namespaces      xxxxx"), "{out}");
        assert!(out.contains("as root  command"), "{out}");
        assert!(out.lines().filter(|l| l.contains("command")).rev().skip(1).all(|l| l.ends_with(" \\")), "{out}");
    }
}
