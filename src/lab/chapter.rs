//! The chapters of the book, whole: nothing in them is typed twice. A chapter says where something comes from, and gets
//! it when it is read, by mdBook (whose preprocessor this is) or in a terminal (`lab show`):
//!
//! - `{{#include ../../../src/wire.rs:frame}}`: a file of the repository, or its part between `ANCHOR: frame` and
//!   `ANCHOR_END: frame` (mdBook's own; done here for the terminal);
//! - `{{#step 2}}`: a step of the chapter's lab, its title, what it says and what it prints; `{{#step 2 user}}` as an ordinary user;
//! - `{{#lesson why}}`: a part of what `boxwright explain` says about the chapter's stage;
//! - `{{#exercise}}`: what the lab's exercise begins with;
//! - `{{#stages}}`: the table of stages;
//! - `{{#flag cpus}}`: the stage that carries out this flag of `full-run`.

use super::reader;
use super::script::Need;
use super::{Lab, embedded, find_file};
use crate::error::{Error, Result};
use crate::ui::Style;
use serde_json::Value;

/// For whom a chapter is made.
#[derive(Debug, Clone, Copy)]
pub enum Renderer {
    /// mdBook, which reads Markdown and HTML.
    Book,
    /// A terminal.
    Terminal(Style),
}

/// The chapter of a lab.
///
/// # Errors
/// When the book has none, or when there is something wrong with it.
pub fn of(lab: &Lab, renderer: &Renderer) -> Result<String> {
    let path = format!("stages/{}.md", lab.folder);
    let text = find_file(embedded::CHAPTERS, &path)
        .ok_or_else(|| Error::new(format!("the book has no chapter {path}")).hint("boxwright explain STAGE"))?;
    let text = expand(text, Some(lab), renderer)?;
    Ok(match renderer {
        Renderer::Book => text,
        Renderer::Terminal(style) => reader::text(&text, *style),
    })
}

/// The rows of the table of docker's flags: their names, what is behind them in the kernel, and where boxwright has them.
fn flags_of_docker() -> impl Iterator<Item = (Vec<&'static str>, &'static str, &'static str)> {
    let table = find_file(embedded::CHAPTERS, "docker-flags.md").unwrap_or_default();
    table.lines().filter(|line| line.starts_with("| `--")).filter_map(|line| {
        let mut cells = line.trim_matches(['|', ' ']).split(" | ");
        let names = cells.next()?.split(", ").map(|flag| flag.trim_matches(['`', '-'])).collect();
        Some((names, cells.next()?, cells.next()?))
    })
}

/// What the book says of a flag of `docker run` that boxwright has not.
pub fn missing_flag(name: &str) -> Option<String> {
    let (_, kernel, ours) = flags_of_docker().find(|(names, ..)| names.contains(&name))?;
    let plain = |text: &str| text.replace('`', "");
    Some(format!("docker run has --{name} ({}); boxwright: {}", plain(kernel), plain(ours)))
        .filter(|_| !ours.starts_with("{{"))
}

/// What mdBook gives its preprocessors, with every chapter's content expanded.
///
/// # Errors
/// When it is not what mdBook gives, or a chapter is wrong.
pub fn preprocess(input: &str) -> Result<String> {
    let input: Value = serde_json::from_str(input)
        .map_err(|e| Error::new(format!("not mdBook's JSON: {e}")).hint("mdbook build book calls this"))?;
    let mut book = input.get(1).cloned().ok_or_else(|| Error::new("not mdBook's JSON: no book in it"))?;
    expand_all(&mut book)?;
    Ok(book.to_string())
}

fn expand_all(value: &mut Value) -> Result<()> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(expand_all),
        Value::Object(fields) => {
            let path = fields.get("path").and_then(Value::as_str).unwrap_or_default().to_string();
            if let Some(Value::String(content)) = fields.get_mut("content") {
                let lab = path.strip_prefix("stages/").and_then(|p| super::find(p.trim_end_matches(".md")).ok());
                *content = expand(content, lab.as_ref(), &Renderer::Book).map_err(|e| e.why(path))?;
            }
            fields.values_mut().try_for_each(expand_all)
        }
        _ => Ok(()),
    }
}

/// Markdown with its directives carried out. (A directive in backquotes is shown, not carried out.)
fn expand(markdown: &str, lab: Option<&Lab>, renderer: &Renderer) -> Result<String> {
    let mut out = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("{{#") {
        out.push_str(before);
        let Some((directive, after)) = after.split_once("}}") else {
            return Err(Error::new("a directive does not end: {{#"));
        };
        let text = carry_out(directive, lab, renderer)?;
        // A section that is one step needs no second title.
        let title = out.trim_end().lines().last().and_then(|line| line.strip_prefix("## "));
        let same = title.and_then(|title| text.strip_prefix(&format!("### {title}\n\n")));
        out.push_str(same.unwrap_or(&text));
        rest = after;
    }
    out.push_str(rest);
    Ok(match renderer {
        Renderer::Book => coloured_blocks(&out),
        Renderer::Terminal(_) => out,
    })
}

fn carry_out(directive: &str, lab: Option<&Lab>, renderer: &Renderer) -> Result<String> {
    let wrong = || Error::new(format!("no such directive: {{{{#{directive}}}}}"));
    let words: Vec<&str> = directive.split_whitespace().collect();
    match (words.as_slice(), lab) {
        (["include", what], _) => match renderer {
            Renderer::Book => Ok(format!("{{{{#include {what}}}}}")),
            Renderer::Terminal(_) => include(what),
        },
        (["stages"], _) => Ok(crate::report::stages_markdown()),
        (["flag", name], _) => flag(name).ok_or_else(wrong),
        (["step", number], Some(lab)) => step(lab, number, true),
        (["step", number, "user"], Some(lab)) => step(lab, number, false),
        (["exercise"], Some(lab)) => Ok(format!("```sh\n{}```", lab.file("exercise.sh"))),
        (["lesson", part], Some(lab)) => {
            let stage = crate::primitive::find(lab.name()).ok_or_else(wrong)?;
            let lesson = stage.lesson();
            Ok(match *part {
                "summary" => stage.summary(),
                "what" => lesson.what,
                "why" => lesson.why,
                "kernel" => lesson.kernel,
                "docker" => lesson.docker,
                "pages" => lesson.pages,
                _ => return Err(wrong()),
            }
            .to_string())
        }
        _ => Err(wrong()),
    }
}

/// `../../../src/wire.rs:frame`.
fn include(what: &str) -> Result<String> {
    let (path, anchor) = what.split_once(':').map_or((what, None), |(path, anchor)| (path, Some(anchor)));
    let path = path.trim_start_matches("../");
    let missing = || Error::new(format!("no {what} in this program"));
    let text = find_file(embedded::QUOTED, path).ok_or_else(missing)?;
    let Some(anchor) = anchor else { return Ok(text.trim_end().to_string()) };
    let mark = |line: &str, word: &str| line.split_once(word).is_some_and(|(_, name)| name.trim() == anchor);
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|line| !mark(line, "ANCHOR: "))
        .skip(1)
        .take_while(|line| !mark(line, "ANCHOR_END: "))
        .filter(|line| !line.contains("ANCHOR: ") && !line.contains("ANCHOR_END: "))
        .collect();
    if lines.is_empty() { Err(missing()) } else { Ok(lines.join("\n")) }
}

/// The stage that carries out a flag, with the way to its chapter.
fn flag(name: &str) -> Option<String> {
    let stage = crate::cli::flags::primitive(name)?;
    let number = crate::primitive::number(stage)?;
    Some(format!("[{stage}](stages/{number:02}-{stage}.md)"))
}

/// A step: what the script says, then its commands with what they print, from the snapshot.
fn step(lab: &Lab, number: &str, root: bool) -> Result<String> {
    let script = lab.script()?;
    let missing = || Error::new(format!("lab {} has no step {number}", lab.folder));
    let step = number.parse::<usize>().ok().and_then(|n| script.steps.get(n.checked_sub(1)?)).ok_or_else(missing)?;
    let mut rest = super::compare::step(lab.snapshot(root), &step.title).unwrap_or_default();
    let mut out = format!("### {}\n\n", step.title);
    for need in &step.needs {
        match need {
            Need::Root => out.push_str("*This takes root.*\n\n"),
            Need::Cgroup(version) => out.push_str(&format!("*On cgroup version {version}.*\n\n")),
            Need::User | Need::Tool(_) | Need::Stage(_) => {}
        }
    }
    for (n, block) in step.blocks.iter().enumerate() {
        if !block.says.is_empty() {
            out.push_str(&block.says.replace('\n', "\n\n"));
            out.push_str("\n\n");
        }
        // Of the snapshot, what there is until the next block is typed.
        let end = step.blocks.get(n + 1..).and_then(|more| more.iter().find(|b| !b.code.is_empty()));
        let end = end.and_then(|next| rest.find(&format!("\n\n{}", next.typed()))).unwrap_or(rest.len());
        let shown = rest[..end].trim_matches('\n');
        if !block.code.is_empty() && !shown.is_empty() {
            let shown: String = shown.lines().map(wrapped).collect();
            out.push_str(&format!("```console,lab\n{shown}```\n\n"));
            rest = &rest[end..];
        }
    }
    Ok(out.trim_end().to_string())
}

/// A line of a report as wide as a report is: snapshots have it in one piece.
fn wrapped(line: &str) -> String {
    const WIDTH: usize = 80;
    let indent = line.len() - line.trim_start().len();
    let typed = ["$ ", "> "].iter().any(|prompt| line.starts_with(prompt));
    if crate::ui::columns(line) <= WIDTH || typed || indent == 0 && !line.starts_with("● ") {
        return format!("{line}\n");
    }
    // Where the text begins: values of a row, calls of a side, or the summary behind the stage's name.
    let column = match indent {
        0 => line.find("  ").map_or(0, |at| line[..at].chars().count() + 2),
        2 => 22,
        22.. => 22,
        _ => 11,
    };
    let at = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    crate::ui::hang(&line[..at], crate::ui::wrap(&line[at..], WIDTH - column))
}

/// Blocks of a terminal become HTML with its colours. The rules are those of the reports.
fn coloured_blocks(markdown: &str) -> String {
    let mut out = String::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("```console") {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        out.push_str("<pre class=\"terminal\"><code class=\"nohighlight\">");
        for line in lines.by_ref().take_while(|line| *line != "```") {
            out.push_str(&coloured(line));
            out.push('\n');
        }
        out.push_str("</code></pre>\n");
    }
    out
}

fn coloured(line: &str) -> String {
    let escaped = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let span = |class: &str, text: &str| format!("<span class=\"t-{class}\">{text}</span>");
    // An empty line would end the HTML block.
    if line.is_empty() {
        return "<span></span>".into();
    }
    if ["$ ", "# ", "> "].iter().any(|prompt| line.starts_with(prompt)) {
        return span("typed", &escaped);
    }
    if line.starts_with("● ") {
        return span("stage", &escaped);
    }
    if line.starts_with("[exit ") || line.starts_with("boxwright: ") {
        return span("bad", &escaped);
    }
    let indent = line.len() - line.trim_start().len();
    let (label, value) = escaped.split_at(escaped.char_indices().nth(22).map_or(escaped.len(), |(at, _)| at));
    let value = match value.chars().next() {
        Some('+') if indent >= 2 => span("good", value),
        Some('−') if indent >= 2 => span("bad", value),
        _ => value.to_string(),
    };
    if indent == 2 { span("label", label) + &value } else { format!("{label}{value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_a_terminal_have_colours_and_no_empty_lines() {
        let html = coloured_blocks("a\n```console\n$ ls <x>\n\n  mounts              + /proc\n```\nb\n");
        assert_eq!(
            html,
            "a\n<pre class=\"terminal\"><code class=\"nohighlight\"><span class=\"t-typed\">$ ls &lt;x&gt;</span>\n\
             <span></span>\n<span class=\"t-label\">  mounts              </span><span class=\"t-good\">+ /proc</span>\n\
             </code></pre>\nb\n"
        );
    }

    #[test]
    fn every_chapter_can_be_expanded_for_a_terminal() {
        for lab in crate::lab::all() {
            let text = of(&lab, &Renderer::Terminal(Style::plain())).expect(lab.folder);
            assert!(text.contains(lab.name()), "{}", lab.folder);
        }
    }

    /// Docker's flags: each of ours has its row there, and no row says "not yet" of one that we have.
    #[test]
    fn the_table_of_flags_is_true() {
        let table = find_file(embedded::CHAPTERS, "docker-flags.md").expect("the chapter");
        let rows: Vec<_> = flags_of_docker().collect();
        for (names, _, ours) in &rows {
            for name in names.iter().filter(|name| flag(name).is_some()) {
                assert_eq!(*ours, format!("{{{{#flag {name}}}}}"), "we have --{name}");
                assert_eq!(missing_flag(name), None);
            }
        }
        let dns = "docker run has --dns (nothing: lines of /etc/resolv.conf); boxwright: not yet";
        assert_eq!(missing_flag("dns").as_deref(), Some(dns));
        let not_dockers = ["image", "rootfs", "report", "report-file"];
        for name in crate::cli::flags::names().filter(|name| !not_dockers.contains(name)) {
            assert!(rows.iter().any(|(names, ..)| names.contains(&name)), "--{name} has no row");
        }
        expand(table, None, &Renderer::Terminal(Style::plain())).expect("its directives");
    }

    #[test]
    fn an_unknown_directive_is_an_error() {
        let error = expand("{{#nonsense}}", None, &Renderer::Book).expect_err("an error");
        assert!(error.to_string().contains("no such directive: {{#nonsense}}"), "{error}");
    }
}
