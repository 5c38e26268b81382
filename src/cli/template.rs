//! `--format`: `table`, `json`, or a template as docker has them, which are Go's (text/template): text with
//! `{{.Field.Sub}}`, `{{range .List}}…{{end}}`, `{{if eq .A "b"}}…{{else}}…{{end}}`, `{{.Labels | json}}` and the like in
//! it. With `table ` before it, its lines stand in columns, under headings.
//!
//! [`lex`] cuts the text, [`syntax`] makes a tree of it, [`eval`] walks the tree with an object; [`functions`] are what
//! can be called, and [`go`] is how values are written.

mod eval;
mod functions;
mod go;
mod lex;
mod syntax;
#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::ui::{self, Style, Table};
use serde_json::{Map, Value};
use syntax::{Node, Operand};

pub use eval::LABELS;
pub use go::quote;

/// A format.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// Columns.
    Table,
    /// A JSON object a line.
    Json,
    /// A template a line; with `table ` before it, in columns and under headings.
    Template(Template, bool),
}

/// A template that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    nodes: Vec<Node>,
}

impl Template {
    /// Is the whole object in it (`{{json .}}`)?
    pub fn shows_all(&self) -> bool {
        self.has(|names| names.is_empty())
    }

    fn has(&self, wanted: impl Fn(&[String]) -> bool) -> bool {
        let mut found = false;
        syntax::operands(&self.nodes, &mut |operand| match operand {
            Operand::Dot(names) => found |= wanted(names),
            Operand::Variable(name, names) if name.is_empty() => found |= wanted(names),
            _ => {}
        });
        found
    }
}

impl Format {
    /// Is it a template that asks for this field? To be asked before one is looked up that is dear to know.
    pub fn names(&self, field: &str) -> bool {
        matches!(self, Format::Template(template, _) if template.has(|names| names.first().is_some_and(|n| n == field)))
    }

    /// Does it show all fields?
    pub fn shows_all(&self) -> bool {
        matches!(self, Format::Json) || matches!(self, Format::Template(template, _) if template.shows_all())
    }
}

const FORMS: &str =
    "table, json, or text with {{.Field}}, {{json .Field}}, {{range .List}}…{{end}} in it, as docker has it";

/// Reads a format.
///
/// # Errors
/// A template that is not understood.
pub fn parse(text: &str) -> Result<Format> {
    match text.trim_matches(' ') {
        "" | "table" => Ok(Format::Table),
        "json" => Ok(Format::Json),
        trimmed => {
            let table =
                trimmed.strip_prefix("table").filter(|rest| rest.starts_with([' ', '\t']) || rest.starts_with("\\t"));
            let (headings, text) = table.map_or((false, text), |rest| (true, rest.trim_matches(' ')));
            Ok(Format::Template(Template { nodes: syntax::parse(text).map_err(|e| e.hint(FORMS))? }, headings))
        }
    }
}

/// A template with the values of one object.
///
/// # Errors
/// A field that the object does not have; an argument that a function cannot take.
pub fn fill(template: &Template, object: &Value) -> Result<String> {
    eval::fill(&template.nodes, object)
}

/// Prints a list of objects: in columns, of each of which there are a heading and a field.
///
/// # Errors
/// As [`fill`].
pub fn print(format: &Format, objects: &[Value], columns: &[(&'static str, &str)], style: Style) -> Result<()> {
    let mut out = String::new();
    match format {
        Format::Table => {
            let heads: Vec<&'static str> = columns.iter().map(|(head, _)| *head).collect();
            let mut table = Table::new(&heads);
            for object in objects {
                table.row(columns.iter().map(|(_, field)| object[*field].as_str().unwrap_or_default().to_string()));
            }
            out = table.lines(style);
        }
        Format::Json => objects.iter().for_each(|object| out += &format!("{}\n", shown(object))),
        Format::Template(template, headings) => {
            if *headings {
                let known = columns.iter().map(|(head, field)| (field.to_string(), Value::from(*head)));
                out += &(eval::headings(&template.nodes, known.collect::<Map<_, _>>())? + "\n");
            }
            for object in objects {
                out += &(fill(template, object)? + "\n");
            }
            if *headings {
                out = in_columns(&out);
            }
        }
    }
    ui::print(&out);
    Ok(())
}

/// Without what is for `{{.Label}}` only.
fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove(LABELS);
    }
    object
}

/// Cells that end in a tab, in columns as docker's are: ten wide at least, three blanks between them. A column is as
/// wide as it must be for the lines, one below the other, that have a cell in it.
fn in_columns(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len() - 1]).collect();
    for column in 0..widths.iter().map(Vec::len).max().unwrap_or(0) {
        let mut start = 0;
        for block in widths.chunk_by_mut(|a, b| (a.len() > column) == (b.len() > column)) {
            let cells = || lines[start..start + block.len()].iter().map(|cells| cells[column]);
            if block[0].len() > column {
                let width = cells().map(|cell| ui::columns(cell) + 3).fold(10, usize::max);
                block.iter_mut().for_each(|widths| widths[column] = width);
            }
            start += block.len();
        }
    }
    let line = |(cells, widths): (&Vec<&str>, &Vec<usize>)| {
        let padded: String = cells.iter().zip(widths).map(|(cell, width)| ui::pad(cell, *width)).collect();
        format!("{padded}{}\n", cells[widths.len()])
    };
    lines.iter().zip(&widths).map(line).collect()
}
