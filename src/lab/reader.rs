//! Markdown on a terminal: headings in bold, code set in, paragraphs as wide as the window, tables in columns.

use crate::ui::{self, Style};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The text for a terminal.
pub fn text(markdown: &str, style: Style) -> String {
    let mut page = Page::new(style);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        page.event(event);
    }
    page.flush();
    page.out.trim_matches('\n').to_string() + "\n"
}

/// What is being written.
struct Page {
    style: Style,
    out: String,
    /// The paragraph so far.
    line: String,
    /// What the paragraph is: how it is painted.
    heading: Option<HeadingLevel>,
    /// Before the first line of the next paragraph (`- `, `1. `), and its depth.
    bullet: String,
    lists: Vec<Option<u64>>,
    quote: bool,
    code: bool,
    link: Option<String>,
    table: Option<Vec<Vec<String>>>,
}

impl Page {
    fn new(style: Style) -> Page {
        Page {
            style,
            out: String::new(),
            line: String::new(),
            heading: None,
            bullet: String::new(),
            lists: vec![],
            quote: false,
            code: false,
            link: None,
            table: None,
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.code => self.code(&text),
            Event::Text(text) => self.line.push_str(&text),
            Event::Code(code) if self.style.is_coloured() => self.line.push_str(&self.style.accent(&code)),
            Event::Code(code) => self.line.push_str(&format!("`{code}`")),
            Event::SoftBreak => self.line.push(' '),
            Event::HardBreak => self.line.push('\n'),
            Event::Rule => self.paragraph(&"─".repeat(self.style.width)),
            // HTML is for the book: a details box is read by opening it, which here it always is. Its title stays.
            Event::Html(html) => {
                let title = html.split_once("<summary>").and_then(|(_, rest)| rest.split_once("</summary>"));
                if let Some((title, _)) = title {
                    self.heading = Some(HeadingLevel::H3);
                    self.paragraph(title);
                    self.heading = None;
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.flush();
                self.heading = Some(level);
            }
            Tag::CodeBlock(_) => {
                self.flush();
                self.code = true;
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush();
                let depth = "  ".repeat(self.lists.len().saturating_sub(1));
                self.bullet = match self.lists.last_mut() {
                    Some(Some(n)) => {
                        *n += 1;
                        format!("{depth}{}. ", *n - 1)
                    }
                    _ => format!("{depth}• "),
                };
            }
            Tag::BlockQuote(_) => self.quote = true,
            Tag::Link { dest_url, .. } => self.link = Some(dest_url.to_string()),
            Tag::Image { .. } => self.line.push_str("[picture: "),
            Tag::Table(_) => {
                self.flush();
                self.table = Some(vec![]);
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.push(vec![]);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item => self.flush(),
            TagEnd::CodeBlock => {
                self.code = false;
                self.out.push('\n');
            }
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                if self.lists.is_empty() {
                    self.out.push('\n');
                }
            }
            TagEnd::BlockQuote(_) => self.quote = false,
            TagEnd::Image => self.line.push(']'),
            TagEnd::Link => {
                if let Some(url) = self.link.take().filter(|url| url.starts_with("http")) {
                    self.line.push_str(&format!(" ({url})"));
                }
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.line);
                if let Some(row) = self.table.as_mut().and_then(|t| t.last_mut()) {
                    row.push(cell);
                }
            }
            TagEnd::Table => self.whole_table(),
            _ => {}
        }
    }

    fn code(&mut self, text: &str) {
        for line in text.lines() {
            let line = if line.starts_with("$ ") { self.style.bold(line) } else { line.to_string() };
            self.out.push_str(format!("    {line}").trim_end());
            self.out.push('\n');
        }
    }

    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.trim().is_empty() {
            self.paragraph(line.trim());
        }
        self.heading = None;
    }

    fn paragraph(&mut self, text: &str) {
        let style = self.style;
        if let Some(level) = self.heading {
            let lines = ui::wrap(text, style.width).join("\n");
            let mark = if level == HeadingLevel::H1 { "═" } else { "─" };
            let below = if level <= HeadingLevel::H2 {
                format!("{}\n", mark.repeat(ui::columns(&lines).min(style.width)))
            } else {
                String::new()
            };
            self.out.truncate(self.out.trim_end().len());
            self.out.push_str(&format!("\n\n{}\n{}", style.bold(&lines), style.dim(&below)));
            self.out.push_str(if below.is_empty() { "\n" } else { "" });
            return;
        }
        let before = std::mem::take(&mut self.bullet);
        let before = if before.is_empty() { "  ".repeat(self.lists.len()) } else { before };
        let before = if self.quote { format!("{before}│ ") } else { before };
        self.out.push_str(&ui::hang(&before, ui::wrap(text, style.width.saturating_sub(ui::columns(&before)))));
        if self.lists.is_empty() {
            self.out.push('\n');
        }
    }

    /// Columns as wide as their widest cell, and the last one wrapped; narrow tables of long cells become lists.
    fn whole_table(&mut self) {
        let rows = self.table.take().unwrap_or_default();
        let columns = rows.first().map_or(0, Vec::len);
        let Some(last) = columns.checked_sub(1) else { return };
        let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|cell| ui::columns(cell)).max().unwrap_or(0);
        let share = self.style.width / columns;
        let widths: Vec<usize> = (0..last).map(|c| width(c).min(share) + 2).collect();
        let room = self.style.width.saturating_sub(widths.iter().sum());
        for (n, row) in rows.iter().enumerate() {
            if row.iter().all(|cell| cell.is_empty()) {
                continue;
            }
            let cells: Vec<Vec<String>> =
                row.iter().enumerate().map(|(c, cell)| ui::wrap(cell, widths.get(c).map_or(room, |w| w - 2))).collect();
            for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let cell = |c: usize| cells.get(c).and_then(|lines| lines.get(line)).cloned().unwrap_or_default();
                let text: String = widths.iter().enumerate().map(|(c, w)| ui::pad(&cell(c), *w)).collect();
                let text = format!("{text}{}", cell(last));
                self.out
                    .push_str(if n == 0 { self.style.dim(text.trim_end()) } else { text.trim_end().into() }.as_str());
                self.out.push('\n');
            }
        }
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_readable_without_colours() {
        let markdown = "# Title\n\nSome `code` and a [link](https://example.org).\n\n- one\n- two\n\n```console\n$ ls\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n";
        assert_eq!(
            text(markdown, Style::plain()),
            "Title\n═════\nSome `code` and a link (https://example.org).\n\n• one\n• two\n\n    $ ls\n\na  b\n1  2\n"
        );
    }
}
