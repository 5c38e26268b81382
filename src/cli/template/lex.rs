//! A template's text, cut into what is printed as it is and the actions between `{{` and `}}`, and these into tokens.
//! Blanks count: `.A.B` is a field of a field, `.A .B` are two; `{{-` and `-}}` take the blanks of the text beside them.

use crate::error::{Error, Result};
use serde_json::Value;

/// Text, or an action.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// As it is.
    Text(String),
    /// What stands between `{{` and `}}`, and where.
    Action(Place, Vec<Lexeme>),
}

/// Where an action stands: for errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The action as it was written.
    source: String,
    line: usize,
    column: usize,
}

impl Place {
    fn of(text: &str, start: usize, end: usize) -> Place {
        let before = &text[..start];
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Place { source: text[start..end].to_string(), line: before.matches('\n').count() + 1, column }
    }

    /// What is wrong with this action.
    pub fn error(&self, what: impl AsRef<str>) -> Error {
        Error::new(format!("--format: {}", what.as_ref())).why(self.to_string())
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "in {}, at {}:{} of the template", self.source, self.line, self.column)
    }
}

/// A token, and whether it stands directly behind the one before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lexeme {
    pub token: Token,
    pub glued: bool,
}

/// The smallest parts of an action.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// `.`
    Dot,
    /// `.Name`
    Field(String),
    /// `$name`; `$` has none.
    Variable(String),
    /// A function, or a word of the language.
    Word(String),
    /// A string, a number, a character.
    Literal(Value),
    /// `|`, `:=`, `=`, `,`, `(`, `)`
    Mark(&'static str),
}

/// Cuts a template.
///
/// # Errors
/// What has no end; a character that no action can have.
pub fn items(text: &str) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let (mut at, mut trim) = (0, false);
    loop {
        let open = text[at..].find("{{").map(|n| at + n);
        let until = open.unwrap_or(text.len());
        // As docker has them: in what a shell's single quotes hand over, these two are a tab and a new line.
        let mut plain = text[at..until].replace("\\t", "\t").replace("\\n", "\n");
        if std::mem::take(&mut trim) {
            plain = plain.trim_start().to_string();
        }
        let Some(open) = open else {
            push_text(&mut items, plain);
            return Ok(items);
        };
        let mut cursor = Cursor { text, at: open + 2 };
        if cursor.rest().starts_with('-') && cursor.rest()[1..].starts_with(char::is_whitespace) {
            plain = plain.trim_end().to_string();
            cursor.at += 1;
        }
        push_text(&mut items, plain);
        let tokens = if cursor.rest().trim_start().starts_with("/*") {
            cursor.comment().map(|()| None)
        } else {
            cursor.tokens().map(Some)
        };
        let tokens = tokens.map_err(|what| Place::of(text, open, text.len()).error(what))?;
        trim = cursor.rest().starts_with('-');
        at = cursor.at + if trim { 3 } else { 2 };
        items.extend(tokens.map(|tokens| Item::Action(Place::of(text, open, at), tokens)));
    }
}

fn push_text(items: &mut Vec<Item>, text: String) {
    if !text.is_empty() {
        items.push(Item::Text(text));
    }
}

/// Reads an action up to its `}}` or `-}}`.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

type Said<T> = std::result::Result<T, String>;

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// As long as the characters are such; what they are.
    fn take(&mut self, such: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !such(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// Does the action end here?
    fn ends(&self, blank: bool) -> bool {
        self.rest().starts_with("}}") || blank && self.rest().starts_with("-}}")
    }

    fn comment(&mut self) -> Said<()> {
        self.at += self.rest().find("*/").ok_or("a comment without */")? + 2;
        let blank = !self.take(char::is_whitespace).is_empty();
        if self.ends(blank) { Ok(()) } else { Err("a comment that does not end with */}}".into()) }
    }

    fn tokens(&mut self) -> Said<Vec<Lexeme>> {
        let mut tokens = Vec::new();
        loop {
            let blank = !self.take(char::is_whitespace).is_empty();
            if self.ends(blank) {
                return Ok(tokens);
            }
            let glued = !blank && !tokens.is_empty();
            tokens.push(Lexeme { token: self.token()?, glued });
        }
    }

    fn token(&mut self) -> Said<Token> {
        const MARKS: [&str; 6] = [":=", "=", "|", ",", "(", ")"];
        let in_name = |c: char| c.is_alphanumeric() || c == '_';
        let rest = self.rest();
        let mut chars = rest.chars();
        let (first, second) = (chars.next().ok_or("{{ without }}")?, chars.next());
        if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            self.at += mark.len();
            return Ok(Token::Mark(mark));
        }
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        match first {
            '"' => self.quoted('"').map(|text| Token::Literal(text.into())),
            '\'' => {
                let text = self.quoted('\'')?;
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => Ok(Token::Literal(u32::from(c).into())),
                    _ => Err(format!("'{text}' is not one character")),
                }
            }
            '`' => {
                let end = rest[1..].find('`').ok_or("a ` without another")?;
                self.at += end + 2;
                Ok(Token::Literal(rest[1..=end].into()))
            }
            '.' if !digit(second) => {
                self.at += 1;
                let name = self.take(in_name);
                Ok(if name.is_empty() { Token::Dot } else { Token::Field(name.into()) })
            }
            '$' => {
                self.at += 1;
                Ok(Token::Variable(self.take(in_name).into()))
            }
            '0'..='9' | '.' | '+' | '-' => self.number().map(Token::Literal),
            c if in_name(c) => Ok(Token::Word(self.take(in_name).into())),
            c => Err(format!("{c} is not understood")),
        }
    }

    fn number(&mut self) -> Said<Value> {
        let start = self.at;
        self.take(|c| c == '+' || c == '-');
        self.take(|c| c.is_alphanumeric() || c == '.' || c == '_');
        if self.text[start..self.at].ends_with(['e', 'E']) && self.rest().starts_with(['+', '-']) {
            self.at += 1;
            self.take(|c| c.is_ascii_digit());
        }
        let text = &self.text[start..self.at];
        let digits = text.replace('_', "");
        let hex = digits.strip_prefix("0x").and_then(|hex| i64::from_str_radix(hex, 16).ok());
        let whole = hex.or_else(|| digits.parse::<i64>().ok()).map(Value::from);
        let real = || digits.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number);
        whole.or_else(real).ok_or_else(|| format!("{text} is not a number"))
    }

    /// A string (or a character) with Go's escapes.
    fn quoted(&mut self, quote: char) -> Said<String> {
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        let unclosed = || format!("a {quote} without another");
        loop {
            let (n, c) = chars.next().ok_or_else(unclosed)?;
            match c {
                c if c == quote => {
                    self.at += n + 1;
                    return Ok(out);
                }
                '\n' => return Err(unclosed()),
                '\\' => {
                    let (_, escape) = chars.next().ok_or_else(unclosed)?;
                    let digits = match escape {
                        'x' => 2,
                        'u' => 4,
                        'U' => 8,
                        plain => {
                            out.push(simple(plain).ok_or_else(|| format!("\\{plain} is no escape"))?);
                            continue;
                        }
                    };
                    let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    let code = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits);
                    out.push(code.and_then(char::from_u32).ok_or_else(|| format!("\\{escape}{hex} is no character"))?);
                }
                c => out.push(c),
            }
        }
    }
}

fn simple(escape: char) -> Option<char> {
    Some(match escape {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' | '"' | '\'' => escape,
        _ => return None,
    })
}
