//! How text looks: colours where there is a terminal that wants them, lines no wider than the reader's, and tables.
//! Nothing here knows what the text is about.

use colored::{ColoredString, Colorize};
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// Lines are never wider than this, however wide the terminal: longer ones are hard to read, and a report looks the
/// same in a file, in a lab's snapshot and on a screen.
const WIDTH: usize = 80;

/// How to write to one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colour: bool,
    /// In columns.
    pub width: usize,
}

impl Style {
    /// For a stream: colours if it is a terminal and nobody says NO_COLOR, and as wide as it is.
    pub fn of(stream: &(impl IsTerminal + AsFd)) -> Style {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0");
        let colour = !set("NO_COLOR") && (forced || (stream.is_terminal() && !dumb));
        // The library asks only about the standard output; we have just asked about the right one.
        colored::control::set_override(colour);
        let columns = terminal_size::terminal_size_of(stream).map_or(WIDTH, |(w, _)| w.0.into());
        Style { colour, width: columns.clamp(40, WIDTH) }
    }

    /// For a file, a pipe or a test.
    pub fn plain() -> Style {
        Style { colour: false, width: WIDTH }
    }

    /// Are there colours?
    pub fn is_coloured(self) -> bool {
        self.colour
    }

    fn paint(self, text: &str, how: impl Fn(&str) -> ColoredString) -> String {
        if self.colour && !text.is_empty() { how(text).to_string() } else { text.to_string() }
    }

    /// Headings, names.
    pub fn bold(self, text: &str) -> String {
        self.paint(text, |t| t.bold())
    }

    /// What is there for completeness.
    pub fn dim(self, text: &str) -> String {
        self.paint(text, |t| t.dimmed())
    }

    /// What came, what held.
    pub fn good(self, text: &str) -> String {
        self.paint(text, |t| t.green())
    }

    /// What went, what failed.
    pub fn bad(self, text: &str) -> String {
        self.paint(text, |t| t.red())
    }

    /// What is neither, and wants a look: skips and notes.
    pub fn warn(self, text: &str) -> String {
        self.paint(text, |t| t.yellow())
    }

    /// What can be typed, and what is inside.
    pub fn accent(self, text: &str) -> String {
        self.paint(text, |t| t.cyan())
    }
}

/// Prints to stdout. Whoever has stopped reading (`| head`) has seen enough: that is no error.
pub fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Says something of the host's on stderr, in one write: a command that runs by now may print between two.
pub fn note(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(format!("boxwright: note: {text}\n").as_bytes());
}

/// An error as it goes to stderr. On a terminal its reason is wrapped; never the way out, which may be there to be copied.
pub fn error(message: &str) -> String {
    let style = Style::of(&std::io::stderr());
    if !std::io::stderr().is_terminal() {
        return format!("boxwright: {message}\n");
    }
    let line = |line: &str| match (line.strip_prefix("  why: "), line.strip_prefix("  try: ")) {
        (Some(why), _) => hang(&format!("  {} ", style.dim("why:")), wrap(why, style.width - 7)),
        (_, Some(way_out)) => format!("  {} {}\n", style.dim("try:"), style.accent(way_out)),
        _ => hang("", wrap(line, style.width)),
    };
    format!("{} {}", style.bad("boxwright:"), message.lines().map(line).collect::<String>())
}

/// The columns that a text takes, not counting colours.
pub fn columns(text: &str) -> usize {
    let (mut count, mut escape) = (0, false);
    for c in text.chars() {
        match (escape, c) {
            (false, '\x1b') => escape = true,
            (false, _) => count += 1,
            (true, 'm') => escape = false,
            (true, _) => {}
        }
    }
    count
}

/// `text` and as many spaces as make it `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Lines of at most `width` columns, broken between words; a word that is longer alone is broken where a path or a
/// list of options is best broken. Line breaks in the text stay.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ').filter(|w| !w.is_empty()) {
            for (first, piece) in pieces(word, width).into_iter().enumerate().map(|(i, p)| (i == 0, p)) {
                let space = usize::from(first && !line.is_empty());
                if columns(&line) + space + columns(piece) > width {
                    lines.push(std::mem::take(&mut line));
                } else if space == 1 {
                    line.push(' ');
                }
                line.push_str(piece);
            }
        }
        lines.push(line);
    }
    lines
}

/// A word cut so that each piece fits, after the last separator that leaves it fitting.
fn pieces(word: &str, width: usize) -> Vec<&str> {
    let mut rest = word;
    let mut all = Vec::new();
    while columns(rest) > width {
        let end = rest.char_indices().nth(width).map_or(rest.len(), |(at, _)| at);
        let cut = rest[..end].rfind([',', '|', ':', '/', ';']).map_or(end, |at| at + 1);
        all.push(&rest[..cut]);
        rest = &rest[cut..];
    }
    all.push(rest);
    all
}

/// `text` cut to `width` columns, with an ellipsis where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Lines under each other, `first` before the first one and as many spaces before the others.
pub fn hang(first: &str, lines: impl IntoIterator<Item = String>) -> String {
    let indent = " ".repeat(columns(first));
    let mut out = String::new();
    for (n, line) in lines.into_iter().enumerate() {
        let start = if n == 0 { first } else { &indent };
        out.push_str(format!("{start}{line}").trim_end());
        out.push('\n');
    }
    out
}

/// A table: every column as wide as its widest cell, and the last one wrapped into what is left of the width.
#[derive(Debug)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these headings.
    pub fn new(head: &[&'static str]) -> Table {
        Table { head: head.to_vec(), rows: Vec::new() }
    }

    /// One more row; as many cells as headings.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// For a reader.
    pub fn text(&self, style: Style) -> String {
        let Some(last) = self.head.len().checked_sub(1) else { return String::new() };
        let widths: Vec<usize> = (0..last)
            .map(|c| self.rows.iter().map(|row| columns(&row[c])).chain([columns(self.head[c])]).max().unwrap_or(0) + 2)
            .collect();
        let indent: usize = widths.iter().sum();
        let head: String = self.head.iter().zip(widths.iter().chain([&0])).map(|(h, w)| pad(h, *w)).collect();
        let mut out = format!("{}\n", style.dim(head.trim_end()));
        for row in &self.rows {
            let first: String = row.iter().zip(&widths).map(|(cell, w)| pad(cell, *w)).collect();
            out.push_str(&hang(&first, wrap(&row[last], style.width.saturating_sub(indent))));
        }
        out
    }

    /// For a reader and for scripts, as `ps` has it: a line is a line, however wide it gets.
    pub fn lines(&self, style: Style) -> String {
        self.text(Style { width: usize::MAX / 2, ..style })
    }

    /// For the book.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut out = line(self.head.iter().map(ToString::to_string).collect());
        out.push_str(&line(self.head.iter().map(|_| "---".into()).collect()));
        for row in &self.rows {
            out.push_str(&line(row.iter().map(|cell| cell.replace('|', "\\|")).collect()));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_at_separators() {
        assert_eq!(wrap("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("x lowerdir=/a/b:/c/d,upperdir=/e", 16), ["x", "lowerdir=/a/b:/", "c/d,upperdir=/e"]);
        assert_eq!(wrap("abcdefghijkl", 8), ["abcdefgh", "ijkl"]);
    }

    #[test]
    fn no_line_is_wider_than_asked_for() {
        let text = "mount(\"overlay\", \"/var/lib/boxwright/containers/0123456789ab/merged\", \"overlay\", 0, \"lowerdir=/x\")";
        for width in 8..60 {
            assert!(wrap(text, width).iter().all(|line| columns(line) <= width), "{width}");
            assert_eq!(wrap(text, width).concat().replace(' ', ""), text.replace(' ', ""));
        }
    }

    #[test]
    fn colours_take_no_columns() {
        assert_eq!(columns("\x1b[1;32m● ok\x1b[0m"), 4);
        assert_eq!(pad("\x1b[1mab\x1b[0m", 4), "\x1b[1mab\x1b[0m  ");
    }

    #[test]
    fn the_last_column_of_a_table_hangs() {
        let mut table = Table::new(&["#", "stage", "what it adds"]);
        table.row(["1".into(), "unshare-pid".into(), "PID namespace: become process 1 (and ps still lies)".into()]);
        let style = Style { colour: false, width: 40 };
        assert_eq!(
            table.text(style),
            "#  stage        what it adds\n\
             1  unshare-pid  PID namespace: become\n\
             \x20               process 1 (and ps still\n\
             \x20               lies)\n"
        );
        assert!(table.markdown().starts_with("| # | stage | what it adds |\n| --- | --- | --- |\n| 1 | unshare-pid |"));
    }
}
