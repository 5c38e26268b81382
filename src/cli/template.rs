//! `--format`: `table`, `json`, or a template: text with `{{.Field.Sub}}` and `{{json .Field}}` in it, as in docker. Other
//! constructs of Go's templates are refused, and not printed as if they were text.

use crate::error::{Error, Result};
use crate::ui::{Style, Table};
use serde_json::Value;

/// A format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Columns.
    Table,
    /// A JSON object a line.
    Json,
    /// A template a line; with `table ` before it, under headings.
    Template(Vec<Piece>, bool),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// A field, by its path; as JSON or as text.
    Field(Vec<String>, bool),
}

/// Reads a format.
///
/// # Errors
/// What is none of these.
pub fn parse(text: &str) -> Result<Format> {
    match text {
        "" | "table" => Ok(Format::Table),
        "json" => Ok(Format::Json),
        text => {
            let (headings, text) = text.strip_prefix("table ").map_or((false, text), |rest| (true, rest));
            Ok(Format::Template(pieces(&text.replace("\\t", "\t").replace("\\n", "\n"))?, headings))
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>> {
    let wrong = |what: &str| {
        Error::new(format!("--format: {what}"))
            .hint("table, json, or text with {{.Field}}, {{.Field.Sub}} and {{json .Field}} in it")
    };
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        let (action, after) = after.split_once("}}").ok_or_else(|| wrong("{{ without }}"))?;
        let words: Vec<&str> = action.split_whitespace().collect();
        let (path, json) = match words[..] {
            [path] => (path, false),
            ["json", path] => (path, true),
            _ => return Err(wrong(&format!("{{{{{action}}}}} is not understood"))),
        };
        let names = path.strip_prefix('.').ok_or_else(|| wrong(&format!("{{{{{action}}}}} is not understood")))?;
        let good = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let names: Vec<&str> = if names.is_empty() { vec![] } else { names.split('.').collect() };
        if !names.iter().all(|name| good(name)) {
            return Err(wrong(&format!("{{{{{action}}}}} is not understood")));
        }
        pieces.push(Piece::Field(names.iter().map(ToString::to_string).collect(), json));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    Ok(pieces)
}

/// A template with the values of one object.
///
/// # Errors
/// A field that the object does not have.
pub fn fill(pieces: &[Piece], object: &Value) -> Result<String> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Field(path, json) => {
                let mut value = object;
                for (n, name) in path.iter().enumerate() {
                    value = value.get(name).ok_or_else(|| {
                        let known = value.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>().join(", "));
                        Error::new(format!("--format: there is no .{}", path[..=n].join(".")))
                            .hint(format!("there are: {}", known.unwrap_or_default()))
                    })?;
                }
                match value {
                    Value::String(text) if !json => out.push_str(text),
                    other => out.push_str(&other.to_string()),
                }
            }
        }
    }
    Ok(out)
}

/// Prints a list of objects: in columns, of each of which there are a heading and a field.
///
/// # Errors
/// A field that the objects do not have.
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
        Format::Json => objects.iter().for_each(|object| out += &format!("{object}\n")),
        Format::Template(pieces, headings) => {
            if *headings {
                let head = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Field(path, _) => {
                        let name = path.last().map_or("", String::as_str);
                        let known = columns.iter().find(|(_, field)| *field == name).map(|(head, _)| *head);
                        known.map_or_else(|| name.to_uppercase(), str::to_string)
                    }
                });
                out += &(head.collect::<String>() + "\n");
            }
            for object in objects {
                out += &(fill(pieces, object)? + "\n");
            }
        }
    }
    crate::ui::print(&out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(template: &str, object: &Value) -> Result<String> {
        match parse(template)? {
            Format::Template(pieces, _) => fill(&pieces, object),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fields_become_their_values() {
        let object = json!({ "Names": "web", "State": { "Pid": 7, "Running": true }, "List": [1] });
        assert_eq!(filled("{{.Names}}\\t{{ .State.Pid }}", &object).unwrap(), "web\t7");
        assert_eq!(
            filled("{{json .State}} {{json .Names}} {{.List}}", &object).unwrap(),
            "{\"Pid\":7,\"Running\":true} \"web\" [1]"
        );
        assert!(filled("{{.Nothing}}", &object).unwrap_err().to_string().contains("there are: List, Names, State"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in ["{{.A", "{{range .A}}", "{{if .A}}x{{end}}", "{{A}}", "{{.A | upper}}", "{{}}", "{{.A..B}}"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("").unwrap(), Format::Table);
    }
}
