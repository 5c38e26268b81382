//! `boxwright stages` and `boxwright explain STAGE`: the list and its lessons, from the primitives' own words.

use super::json::pretty;
use crate::observe::{Fact, Firm};
use crate::primitive::{LIST, Primitive, number};
use crate::ui::{Style, Table, columns, hang, wrap};
use serde::Serialize;

#[derive(Serialize)]
struct Stage {
    number: usize,
    name: &'static str,
    summary: &'static str,
    needs: Vec<&'static str>,
    changes: &'static [Fact],
    /// Of these, the ones that need not change: it depends on what the host was like before, or on the options.
    host_dependent: Vec<Fact>,
}

#[derive(Serialize)]
struct Explained {
    #[serde(flatten)]
    stage: Stage,
    what: &'static str,
    why: &'static str,
    kernel: &'static str,
    by_hand: &'static str,
    docker: &'static str,
    pages: &'static str,
}

fn stage(number: usize, primitive: &'static dyn Primitive) -> Stage {
    Stage {
        number,
        name: primitive.name(),
        summary: primitive.summary(),
        needs: primitive.needs().iter().map(|n| n.name).collect(),
        changes: primitive.changes(),
        host_dependent: primitive.changes().iter().copied().filter(|f| f.firm() == Firm::HostDependent).collect(),
    }
}

fn table(name: impl Fn(&str) -> String) -> Table {
    let mut table = Table::new(&["#", "stage", "what it adds"]);
    for (n, primitive) in LIST.iter().enumerate() {
        table.row([format!("{n:>2}"), name(primitive.name()), primitive.summary().to_string()]);
    }
    table
}

/// The list, for a reader.
pub fn stages(style: Style) -> String {
    table(|name| style.bold(name)).text(style)
}

/// The list, for the book.
pub fn stages_markdown() -> String {
    table(|name| format!("`{name}`")).markdown()
}

/// The list, for a program: number, name, summary, needs, changes, host_dependent.
pub fn stages_json() -> String {
    pretty(&LIST.iter().enumerate().map(|(n, p)| stage(n, *p)).collect::<Vec<_>>())
}

/// One lesson, for a reader.
pub fn explain(primitive: &'static dyn Primitive, style: Style) -> String {
    let lesson = primitive.lesson();
    let place = format!("stage {} of {}", number(primitive.name()).unwrap_or(0), LIST.len() - 1);
    let title = format!("{}  ", style.bold(primitive.name()));
    let room = style.width.saturating_sub(columns(&title));
    let mut out = hang(&title, wrap(primitive.summary(), room).into_iter().chain([style.dim(&place)]));
    let mut section = |head: &str, lines: Vec<String>| {
        if lines.iter().any(|l| !l.is_empty()) {
            out.push_str(&format!("\n{}\n{}", style.accent(head), hang("  ", lines)));
        }
    };
    let prose = |text: &str| wrap(text, style.width - 2);
    let labels: Vec<&str> = primitive.changes().iter().map(|fact| fact.label()).collect();
    let needs: Vec<&str> = primitive.needs().iter().map(|need| need.name).collect();
    section("What", prose(lesson.what));
    section("Why", prose(lesson.why));
    section("What the kernel is asked", prose(lesson.kernel));
    section("By hand", lesson.by_hand.lines().flat_map(|line| commands(line, style.width - 2)).collect());
    section("With docker", prose(lesson.docker));
    section("What it changes", prose(&labels.join(", ")));
    section("What it needs", prose(&needs.join(", ")));
    section("Read on", prose(lesson.pages));
    out
}

/// A line for a shell, broken only where the copy of it does the same: behind `;` and `&&` a line may end, also within
/// quotes; elsewhere only outside of them, with a backslash. A remark at the end goes above.
fn commands(line: &str, width: usize) -> Vec<String> {
    if columns(line) <= width {
        return vec![line.to_string()];
    }
    if let Some((line, remark)) = line.split_once(" # ") {
        return [format!("# {remark}")].into_iter().chain(commands(line.trim_end(), width)).collect();
    }
    let mut lines: Vec<String> = Vec::new();
    let mut quoted = false;
    for command in line.replace("; ", ";\n").replace("&& ", "&&\n").lines() {
        match lines.last_mut() {
            Some(last) if columns(last) + 1 + columns(command) <= width => {
                last.push_str(&format!(" {command}"));
                quoted ^= command.matches('\'').count() % 2 == 1;
            }
            _ => {
                let indent = if lines.is_empty() { "" } else { "  " };
                lines.extend(words(&format!("{indent}{command}"), width, &mut quoted));
            }
        }
    }
    lines
}

/// One command, broken between words outside of quotes, where that takes a backslash.
fn words(command: &str, width: usize, quoted: &mut bool) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (n, word) in command.split(' ').enumerate() {
        let line = lines.last_mut().map_or("", |line| line.as_str());
        if columns(line) + columns(" ") + columns(word) + columns(" \\") > width && !*quoted && !line.trim().is_empty()
        {
            lines.last_mut().into_iter().for_each(|line| line.push_str(" \\"));
            lines.push(format!("    {word}"));
        } else {
            let space = if n == 0 { "" } else { " " };
            lines.last_mut().into_iter().for_each(|line| line.push_str(&format!("{space}{word}")));
        }
        *quoted ^= word.matches('\'').count() % 2 == 1;
    }
    lines
}

/// One lesson, for a program.
pub fn explain_json(primitive: &'static dyn Primitive) -> String {
    let lesson = primitive.lesson();
    pretty(&Explained {
        stage: stage(number(primitive.name()).unwrap_or(0), primitive),
        what: lesson.what,
        why: lesson.why,
        kernel: lesson.kernel,
        by_hand: lesson.by_hand,
        docker: lesson.docker,
        pages: lesson.pages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_broken_where_a_shell_lets_it() {
        assert_eq!(commands("echo short", 20), ["echo short"]);
        assert_eq!(commands("echo one; echo two; echo three", 20), ["echo one; echo two;", "  echo three"]);
        assert_eq!(commands("sh -c 'echo one; echo two'", 20), ["sh -c 'echo one;", "  echo two'"]);
        assert_eq!(commands("mount -t overlay overlay /mnt", 20), ["mount -t overlay \\", "    overlay /mnt"]);
        assert_eq!(commands("ps ax | head -3   # lies, all lies", 20), ["# lies, all lies", "ps ax | head -3"]);
    }
}
