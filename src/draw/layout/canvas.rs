//! Shapes, and text that never leaves its box: how wide a text is can only be estimated (whoever looks at the picture
//! has other fonts), so the estimate is generous, and what would be longer is cut.

/// In the page's units, of which it is 480 wide.
pub type Length = f32;

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Font {
    /// The heading.
    Title,
    /// The name of a part.
    Bold,
    /// Sentences.
    Plain,
    /// What a computer says.
    Mono,
    /// On a tag.
    Tag,
}

impl Font {
    /// Height of a letter.
    pub fn size(self) -> Length {
        match self {
            Font::Title => 22.0,
            Font::Bold | Font::Plain => 14.5,
            Font::Mono => 14.0,
            Font::Tag => 13.0,
        }
    }

    /// Its class.
    pub fn class(self) -> &'static str {
        match self {
            Font::Title => "title",
            Font::Bold => "bold",
            Font::Plain => "plain",
            Font::Mono => "mono",
            Font::Tag => "tag",
        }
    }

    /// How wide a letter is at most in the usual fonts, as a share of the size.
    fn advance(self, c: char) -> f32 {
        let sans = match c {
            'i' | 'j' | 'l' | 't' | 'f' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '(' | ')' | '['
            | ']' => 0.37,
            'm' | 'M' | 'W' | 'w' | '@' | '%' | '—' | '…' => 1.0,
            'A'..='Z' => 0.74,
            '0'..='9' | 'a'..='z' | '/' | '-' | '–' | '_' | '·' => 0.63,
            c if c.is_ascii() => 0.7,
            c if c.is_alphabetic() && (c as u32) < 0x590 => 0.75,
            _ => 1.1,
        };
        match self {
            Font::Mono if c.is_ascii() || (c as u32) < 0x590 || "–—…·".contains(c) => 0.62,
            Font::Mono => 1.1,
            Font::Title | Font::Bold | Font::Tag => sans * 1.1,
            Font::Plain => sans,
        }
    }

    /// How wide a text is at most.
    pub fn width(self, text: &str) -> Length {
        text.chars().map(|c| self.advance(c)).sum::<f32>() * self.size()
    }

    /// A text cut to a width; of a path the end is kept, which tells most.
    pub fn fit(self, text: &str, width: Length) -> String {
        if self.width(text) <= width {
            return text.to_string();
        }
        let path = text.starts_with('/');
        let mut room = width - self.width("…");
        let mut take = |c: &char| {
            room -= self.advance(*c) * self.size();
            room >= 0.0
        };
        if path {
            let mut kept: Vec<char> = text.chars().rev().take_while(&mut take).collect();
            kept.reverse();
            format!("…{}", kept.into_iter().collect::<String>())
        } else {
            let kept: String = text.chars().take_while(&mut take).collect();
            format!("{}…", kept.trim_end())
        }
    }

    /// A sentence in lines.
    pub fn wrap(self, text: &str, width: Length) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(line) + self.width(" ") + self.width(word) <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(self.fit(word, width)),
            }
        }
        lines
    }
}

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// At its beginning.
    Start,
    /// In the middle.
    Middle,
    /// At its end.
    End,
}

/// One thing to draw.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// What follows belongs together; attributes.
    Open(Vec<(&'static str, String)>),
    /// Up to here.
    Close,
    /// A rectangle: left, top, width, height, radius of its corners.
    Box([Length; 5], String),
    /// Any line, in SVG's path language.
    Path(String, String),
    /// A text: where it is held, how wide it may be at most, and what fact it tells.
    Text {
        /// Left, middle or right of it.
        x: Length,
        /// Its base line.
        y: Length,
        /// It is no wider than this.
        room: Length,
        /// Which of the three `x` is.
        anchor: Anchor,
        /// How it looks.
        font: Font,
        /// Its colour's class.
        colour: String,
        /// Itself; it has been cut to fit.
        text: String,
        /// For `data-fact`.
        fact: Option<&'static str>,
    },
}

/// A page in the making.
#[derive(Debug, Default)]
pub struct Canvas {
    /// So far.
    pub shapes: Vec<Shape>,
}

impl Canvas {
    /// Opens a group.
    pub fn open(&mut self, attributes: &[(&'static str, &str)]) {
        self.shapes.push(Shape::Open(attributes.iter().map(|(k, v)| (*k, v.to_string())).collect()));
    }

    /// Closes it.
    pub fn close(&mut self) {
        self.shapes.push(Shape::Close);
    }

    /// A rectangle with round corners.
    pub fn rect(&mut self, [x, y, w, h]: [Length; 4], radius: Length, class: &str) {
        self.shapes.push(Shape::Box([x, y, w, h, radius], class.to_string()));
    }

    /// A line.
    pub fn path(&mut self, path: impl Into<String>, class: &str) {
        self.shapes.push(Shape::Path(path.into(), class.to_string()));
    }

    /// A text that begins at `x` and has `room`.
    pub fn text(&mut self, at: [Length; 2], room: Length, font: Font, colour: &str, text: &str) {
        self.put(at, room, Anchor::Start, font, colour, text, None);
    }

    /// Any text.
    #[allow(clippy::too_many_arguments)] // a text has that many properties
    pub fn put(
        &mut self,
        [x, y]: [Length; 2],
        room: Length,
        anchor: Anchor,
        font: Font,
        colour: &str,
        text: &str,
        fact: Option<&'static str>,
    ) {
        // XML knows no control characters, and a picture has no use for them.
        let clean: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let text = font.fit(&clean, room);
        self.shapes.push(Shape::Text { x, y, room, anchor, font, colour: colour.to_string(), text, fact });
    }

    /// The tag of what a stage has added, on the upper edge of a box that ends at `right`.
    pub fn new_tag(&mut self, right: Length, top: Length) {
        self.rect([right - 54.0, top - 14.0, 42.0, 19.0], 9.5, "new-tag");
        self.put([right - 33.0, top + 0.5], 42.0, Anchor::Middle, Font::Tag, "on-dark", "new", None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_and_of_a_path_the_end_stays() {
        let (long, path) = ("x".repeat(300), format!("/var/{}/end", "y".repeat(300)));
        for font in [Font::Title, Font::Bold, Font::Plain, Font::Mono, Font::Tag] {
            for text in [&long, &path, &"漢".repeat(99), &"W".repeat(99)] {
                let cut = font.fit(text, 200.0);
                assert!(font.width(&cut) <= 200.0 && cut.contains('…'), "{cut}");
            }
            assert!(font.fit(&path, 200.0).ends_with("/end"));
            assert_eq!(font.fit("short", 200.0), "short");
        }
    }

    #[test]
    fn sentences_are_wrapped_and_never_wider() {
        let lines =
            Font::Plain.wrap("its own root filesystem, and an extraordinarilylongwordthatfitsnowhere here", 120.0);
        assert!(lines.len() > 3 && lines.iter().all(|l| Font::Plain.width(l) <= 120.0), "{lines:?}");
    }
}
