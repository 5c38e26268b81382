//! Draws what a terminal would show of a coloured text, as an SVG with a dark background of its own, so that it can be
//! read on a light page and on a dark one; and reads the text back from such a picture.

/// In pixels: one cell of a terminal, and the margin around all of them.
const CELL: (f32, f32) = (8.4, 20.0);
const MARGIN: f32 = 16.0;
const COLUMNS: usize = 80;

/// How a piece of text looks.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    colour: &'static str,
    bold: bool,
}

const PLAIN: Look = Look { colour: "#d8dee9", bold: false };

impl Look {
    /// After one number of an escape sequence (ECMA-48, select graphic rendition).
    fn after(self, number: &str) -> Look {
        let colour = |colour| Look { colour, ..self };
        match number {
            "1" => Look { bold: true, ..self },
            // Faint: still 4.5 times as bright as the background (WCAG's measure of what can be read).
            "2" => colour("#8b95a7"),
            "31" => colour("#f28b82"),
            "32" => colour("#a3d68a"),
            "33" => colour("#f0c674"),
            "36" => colour("#7fd4e0"),
            _ => PLAIN,
        }
    }
}

/// A text with escape sequences for colours as an SVG, one `<text>` for each line.
pub fn draw(title: &str, coloured: &str) -> String {
    let rows = coloured.lines().count() as f32;
    let (width, height) = (COLUMNS as f32 * CELL.0 + 2.0 * MARGIN, rows * CELL.1 + 2.0 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         role=\"img\">\n<title>{}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1e222a\"/>\n\
         <g font-family=\"'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" xml:space=\"preserve\">\n",
        escape(title)
    );
    for (row, line) in coloured.lines().enumerate() {
        let y = MARGIN + row as f32 * CELL.1 + 14.0;
        let mut column = 0;
        out += &format!("<text y=\"{y:.0}\">");
        for (look, piece) in pieces(line) {
            let cells = piece.chars().count();
            // Each piece has its place and its length, whatever the font of the reader is.
            let (x, length) = (MARGIN + column as f32 * CELL.0, cells as f32 * CELL.0);
            let bold = if look.bold { " font-weight=\"bold\"" } else { "" };
            out += &format!(
                "<tspan x=\"{x:.1}\" textLength=\"{length:.1}\" fill=\"{}\"{bold}>{}</tspan>",
                look.colour,
                escape(&piece)
            );
            column += cells;
        }
        out += "</text>\n";
    }
    out + "</g>\n</svg>\n"
}

/// The text of such a picture.
pub fn read(svg: &str) -> String {
    let lines = svg.lines().filter(|line| line.starts_with("<text"));
    let bare = |line: &str| -> String {
        let text: String = line.split('<').filter_map(|tag| tag.split_once('>')).map(|(_, text)| text).collect();
        format!("{}\n", text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    };
    lines.map(bare).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A line in pieces that look the same.
fn pieces(line: &str) -> Vec<(Look, String)> {
    let mut look = PLAIN;
    let mut all: Vec<(Look, String)> = Vec::new();
    for (n, part) in line.split("\x1b[").enumerate() {
        let text = if n == 0 {
            part
        } else {
            let (numbers, text) = part.split_once('m').expect("the end of an escape sequence");
            look = numbers.split(';').fold(look, Look::after);
            text
        };
        match all.last_mut() {
            _ if text.is_empty() => {}
            Some((last, before)) if *last == look => before.push_str(text),
            _ => all.push((look, text.to_string())),
        }
    }
    all
}
