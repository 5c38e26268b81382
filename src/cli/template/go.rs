//! How Go writes values: `[a b]`, `map[a:b c:d]`, the verbs of `printf`, and strings in quotes.

use serde_json::Value;
use std::fmt::Write;

/// As `{{.}}` prints it. What is not there has no value.
pub fn text(value: &Value) -> String {
    if value.is_null() { "<no value>".into() } else { plain(value) }
}

/// As `%v` prints it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(on) => on.to_string(),
        Value::Number(number) => number.as_f64().filter(|_| number.is_f64()).map_or(number.to_string(), real),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", plain(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// `%v` of a floating-point number: the shortest that reads back as the same, in powers of ten where it is far from 1.
fn real(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) { number.to_string() } else { exponent(format!("{number:e}")) }
}

/// Go's exponents have a sign and two digits.
fn exponent(text: String) -> String {
    let Some((digits, power)) = text.split_once('e') else { return text };
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

/// A string in quotes, as Go's `strconv.Quote` writes it: what does not print is escaped.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        let simple = match c {
            '\x07' => Some('a'),
            '\x08' => Some('b'),
            '\x0c' => Some('f'),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            '\x0b' => Some('v'),
            '"' | '\\' => Some(c),
            _ => None,
        };
        // (Rust's own escapes say what does not print; a quote does.)
        let prints = c == ' ' || c == '\'' || !c.is_whitespace() && c.escape_debug().count() == 1;
        let _ = match (simple, u32::from(c)) {
            (Some(escape), _) => write!(out, "\\{escape}"),
            (None, _) if prints => write!(out, "{c}"),
            (None, code @ ..0x80) => write!(out, "\\x{code:02x}"),
            (None, code @ ..0x1_0000) => write!(out, "\\u{code:04x}"),
            (None, code) => write!(out, "\\U{code:08x}"),
        };
    }
    out + "\""
}

/// Go's name of what kind of value it is.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

/// What stands between the % and the letter.
#[derive(Default)]
struct Shape {
    left: bool,
    zeros: bool,
    plus: bool,
    blank: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// No column is wider: what asks for more is a slip.
const WIDEST: usize = 10_000;

/// `printf`. What does not fit its verb is said in the text, as in Go.
pub fn printf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut values = values.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut shape = Shape::default();
        while let Some(flag) = chars.next_if(|c| "-0+ #".contains(*c)) {
            match flag {
                '-' => shape.left = true,
                '0' => shape.zeros = true,
                '+' => shape.plus = true,
                ' ' => shape.blank = true,
                _ => shape.sharp = true,
            }
        }
        let mut number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if chars.next_if_eq(&'*').is_some() {
                return values.next().and_then(Value::as_u64).map(|n| n as usize);
            }
            let mut digits = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits.parse().ok()
        };
        shape.width = number(&mut chars).map(|n| n.min(WIDEST));
        if chars.next_if_eq(&'.').is_some() {
            shape.precision = Some(number(&mut chars).unwrap_or(0).min(WIDEST));
        }
        match chars.next() {
            None => out += "%!(NOVERB)",
            Some('%') => out.push('%'),
            Some(verb) => match values.next() {
                Some(value) => out += &shape.pad(&shape.verb(verb, value), value),
                None => out += &format!("%!{verb}(MISSING)"),
            },
        }
    }
    let extra: Vec<String> = values.map(|value| format!("{}={}", kind(value), plain(value))).collect();
    if extra.is_empty() { out } else { format!("{out}%!(EXTRA {})", extra.join(", ")) }
}

impl Shape {
    fn verb(&self, verb: char, value: &Value) -> String {
        let wrong = || match value {
            Value::Null => format!("%!{verb}(<nil>)"),
            value => format!("%!{verb}({}={})", kind(value), plain(value)),
        };
        let cut = |text: String| match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        };
        match (verb, value) {
            ('v', Value::Number(number)) if !number.is_f64() => self.signed(number.to_string()),
            ('v', Value::String(text)) if self.sharp => quote(text),
            ('v', value) => plain(value),
            ('T', value) => kind(value).into(),
            // Of a list, each of its elements.
            (verb, Value::Array(list)) => {
                format!("[{}]", list.iter().map(|v| self.verb(verb, v)).collect::<Vec<_>>().join(" "))
            }
            (verb, Value::Object(map)) => {
                let pair = |(key, value): (&String, &Value)| {
                    format!("{}:{}", self.verb(verb, &Value::String(key.clone())), self.verb(verb, value))
                };
                format!("map[{}]", map.iter().map(pair).collect::<Vec<_>>().join(" "))
            }
            ('s', Value::String(text)) => cut(text.clone()),
            ('q', Value::String(text)) => quote(&cut(text.clone())),
            ('x', Value::String(text)) => text.bytes().map(|b| format!("{b:02x}")).collect(),
            ('X', Value::String(text)) => text.bytes().map(|b| format!("{b:02X}")).collect(),
            ('t', Value::Bool(on)) => on.to_string(),
            (verb, Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => self.whole(verb, whole).unwrap_or_else(wrong),
                (None, Some(real)) => self.real(verb, real).unwrap_or_else(wrong),
                (None, None) => wrong(),
            },
            _ => wrong(),
        }
    }

    fn whole(&self, verb: char, number: i64) -> Option<String> {
        let minus = if number < 0 { "-" } else { "" };
        let size = number.unsigned_abs();
        Some(self.signed(match verb {
            'd' => number.to_string(),
            'x' => format!("{minus}{}{size:x}", if self.sharp { "0x" } else { "" }),
            'X' => format!("{minus}{}{size:X}", if self.sharp { "0X" } else { "" }),
            'o' => format!("{minus}{}{size:o}", if self.sharp { "0" } else { "" }),
            'b' => format!("{minus}{size:b}"),
            'c' => return u32::try_from(number).ok().and_then(char::from_u32).map(String::from),
            _ => return None,
        }))
    }

    fn real(&self, verb: char, number: f64) -> Option<String> {
        let digits = self.precision.unwrap_or(6);
        Some(self.signed(match verb {
            'f' | 'F' => format!("{number:.digits$}"),
            'e' => exponent(format!("{number:.digits$e}")),
            'g' => real(number),
            _ => return None,
        }))
    }

    fn signed(&self, number: String) -> String {
        match number.starts_with('-') {
            false if self.plus => format!("+{number}"),
            false if self.blank => format!(" {number}"),
            _ => number,
        }
    }

    fn pad(&self, text: &str, value: &Value) -> String {
        let width = self.width.unwrap_or(0);
        let missing = width.saturating_sub(text.chars().count());
        if self.left {
            return format!("{text}{}", " ".repeat(missing));
        }
        if self.zeros && value.is_number() {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+', ' '])));
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        format!("{}{text}", " ".repeat(missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_go_does() {
        for (value, written) in [
            (json!(null), "<no value>"),
            (json!(["a", "b", 1, null]), "[a b 1 <nil>]"),
            (json!({ "c": "d", "a": "b", "e": { "f": [] } }), "map[a:b c:d e:map[f:[]]]"),
            (json!(1.5), "1.5"),
            (json!(2.0), "2"),
            (json!(1e21), "1e+21"),
            (json!(0.00002), "2e-05"),
            (json!(true), "true"),
        ] {
            assert_eq!(text(&value), written, "{value}");
        }
    }

    #[test]
    fn strings_are_quoted_as_go_does() {
        assert_eq!(quote("sh -c 'echo \"a\\b\"'\n\t\x1b\x7f"), r#""sh -c 'echo \"a\\b\"'\n\t\x1b\x7f""#);
        assert_eq!(quote("héllo…\u{a0}\u{200b}\u{1f600}"), "\"héllo…\\u00a0\\u200b\u{1f600}\"");
    }

    #[test]
    fn printf_has_gos_verbs() {
        let said = |format: &str, values: &[Value]| printf(format, values);
        assert_eq!(
            said("%s=%d %v %q 100%%", &[json!("a"), json!(7), json!(true), json!("x\"")]),
            "a=7 true \"x\\\"\" 100%"
        );
        assert_eq!(
            said("[%5s|%-5s|%05d|%+d|%5.1f]", &[json!("a"), json!("b"), json!(-42), json!(3), json!(2.25)]),
            "[    a|b    |-0042|+3|  2.2]"
        );
        assert_eq!(
            said("%x %X %o %b %c %#x", &[json!("hi"), json!(255), json!(8), json!(5), json!(65), json!(16)]),
            "6869 FF 10 101 A 0x10"
        );
        assert_eq!(said("%.2s %q %*d", &[json!("abc"), json!(["a"]), json!(4), json!(1)]), "ab [\"a\"]    1");
        assert_eq!(said("%d %s %d", &[json!("x"), json!(5)]), "%!d(string=x) %!s(int=5) %!d(MISSING)");
        assert_eq!(said("%s%", &[json!(null), json!(1)]), "%!s(<nil>)%!(NOVERB)%!(EXTRA int=1)");
    }
}
