//! What a script printed beside what it should have printed: transcripts, step by step, and a difference that can be
//! read. A transcript is text: `## TITLE`, then each command as it is typed, then its output. A snapshot is the
//! transcript that was made when the lab was written.

use super::script::Step;

/// The text of one step of a transcript, without its title.
pub fn step<'a>(transcript: &'a str, title: &str) -> Option<&'a str> {
    let mut rest = transcript;
    loop {
        let start = if rest.starts_with("## ") { 0 } else { rest.find("\n## ")? + 1 };
        let (found, body) = rest[start + 3..].split_once('\n')?;
        let end = if body.starts_with("## ") { 0 } else { body.find("\n## ").map_or(body.len(), |at| at + 1) };
        if found == title {
            return Some(body[..end].trim_matches('\n'));
        }
        rest = &body[end..];
    }
}

/// A line that should not be as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It is in the snapshot only.
    Missing(String),
    /// It was printed only.
    Unexpected(String),
    /// It was printed, and the script says that it must never be.
    Forbidden(String),
    /// Lines that are in both, and how many.
    Same(usize),
}

/// What is wrong with a step's text; empty when nothing is.
pub fn compare(step: &Step, should: Option<&str>, is: &str) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let outputs = |line: &&str| !line.starts_with("$ ") && !line.starts_with("> ");
    for line in is.lines().filter(outputs) {
        if step.never.iter().any(|pattern| pattern.is_match(line)) {
            wrong.push(Wrong::Forbidden(line.into()));
        }
    }
    let lines = |text: &str| text.trim().lines().map(|l| l.trim_end().to_string()).collect::<Vec<_>>();
    let Some(should) = should else {
        wrong.push(Wrong::Missing("(the whole step: there is no snapshot of it)".into()));
        return wrong;
    };
    let difference = difference(&lines(should), &lines(is));
    if difference.iter().any(|w| !matches!(w, Wrong::Same(_))) {
        wrong.extend(difference);
    }
    wrong
}

/// The longest lines in common stay; the others are missing or unexpected.
fn difference(should: &[String], is: &[String]) -> Vec<Wrong> {
    // common[a][b]: how many lines the rest of both have in common.
    let mut common = vec![vec![0usize; is.len() + 1]; should.len() + 1];
    for a in (0..should.len()).rev() {
        for b in (0..is.len()).rev() {
            common[a][b] =
                if should[a] == is[b] { common[a + 1][b + 1] + 1 } else { common[a + 1][b].max(common[a][b + 1]) };
        }
    }
    let mut out = Vec::new();
    let (mut a, mut b) = (0, 0);
    while a < should.len() || b < is.len() {
        if a < should.len() && b < is.len() && should[a] == is[b] {
            match out.last_mut() {
                Some(Wrong::Same(n)) => *n += 1,
                _ => out.push(Wrong::Same(1)),
            }
            (a, b) = (a + 1, b + 1);
        } else if b == is.len() || a < should.len() && common[a + 1][b] >= common[a][b + 1] {
            out.push(Wrong::Missing(should[a].clone()));
            a += 1;
        } else {
            out.push(Wrong::Unexpected(is[b].clone()));
            b += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::script;

    #[test]
    fn a_step_is_found_by_its_title() {
        let text = "## One\n\n$ a\n1\n\n## Two\n\n$ b\n\n## Three\n\n$ c\n";
        assert_eq!(step(text, "One"), Some("$ a\n1"));
        assert_eq!(step(text, "Two"), Some("$ b"));
        assert_eq!(step(text, "Three"), Some("$ c"));
        assert_eq!(step(text, "Four"), None);
    }

    #[test]
    fn lines_are_missing_unexpected_or_forbidden() {
        let script = script::parse("## A\n#never secret\nls\n").expect("a script");
        let step = &script.steps[0];
        assert_eq!(compare(step, Some("$ ls\na\nb\n"), "$ ls\na\nb"), []);
        assert_eq!(
            compare(step, Some("$ ls\na\nb"), "$ ls\nb\na secret"),
            [
                Wrong::Forbidden("a secret".into()),
                Wrong::Same(1),
                Wrong::Missing("a".into()),
                Wrong::Same(1),
                Wrong::Unexpected("a secret".into())
            ]
        );
        // Also where a snapshot has it.
        assert_eq!(compare(step, Some("secret"), "secret"), [Wrong::Forbidden("secret".into())]);
    }
}
