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
    // Never wrapped: it is there to be copied.
    section("By hand", lesson.by_hand.lines().map(str::to_string).collect());
    section("With docker", prose(lesson.docker));
    section("What it changes", prose(&labels.join(", ")));
    section("What it needs", prose(&needs.join(", ")));
    section("Read on", prose(lesson.pages));
    out
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
