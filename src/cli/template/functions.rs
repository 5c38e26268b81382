//! What templates can call: the functions that Go's templates have, and those that docker adds.

use super::go;
use serde_json::Value;
use std::cmp::Ordering;

/// All of them. (`and` and `or` look only as far as they must: the evaluator has them.)
pub const NAMES: [&str; 24] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "slice", "len", "print", "printf", "println",
    "json", "join", "split", "upper", "lower", "title", "truncate", "pad", "html",
];

/// Of a column's heading these show what they are given.
pub const OF_VALUES: [&str; 11] =
    ["json", "join", "split", "upper", "lower", "title", "truncate", "pad", "index", "slice", "html"];

type Said<T> = Result<T, String>;

/// What a function says of its arguments; or what is wrong with them.
pub fn call(name: &str, args: &[Value]) -> Said<Value> {
    let wants = |what: &str| Err(format!("{name} wants {what}"));
    Ok(match (name, args) {
        ("not", [value]) => (!is_true(value)).into(),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            let same: Said<Vec<bool>> = others.iter().map(|other| equal(name, first, other)).collect();
            same?.contains(&true).into()
        }
        ("ne", [a, b]) => (!equal(name, a, b)?).into(),
        ("lt", [a, b]) => order(name, a, b)?.is_lt().into(),
        ("le", [a, b]) => order(name, a, b)?.is_le().into(),
        ("gt", [a, b]) => order(name, a, b)?.is_gt().into(),
        ("ge", [a, b]) => order(name, a, b)?.is_ge().into(),
        ("index", [value, keys @ ..]) => keys.iter().try_fold(value.clone(), |value, key| index(&value, key))?,
        ("slice", [value, bounds @ ..]) if bounds.len() <= 2 => slice(value, bounds)?,
        ("len", [Value::Array(list)]) => list.len().into(),
        ("len", [Value::Object(map)]) => map.len().into(),
        ("len", [Value::String(text)]) => text.len().into(),
        // docker's empty lists and maps are often none.
        ("len", [Value::Null]) => 0.into(),
        ("print", values) => print(values).into(),
        ("println", values) => (values.iter().map(go::plain).collect::<Vec<_>>().join(" ") + "\n").into(),
        ("printf", [Value::String(format), values @ ..]) => go::printf(format, values).into(),
        ("json", [value]) => value.to_string().into(),
        ("join", [Value::Array(list), Value::String(between)]) => {
            list.iter().map(go::plain).collect::<Vec<_>>().join(between).into()
        }
        ("join", [Value::Null, Value::String(_)]) => "".into(),
        ("split", [Value::String(text), Value::String(between)]) if between.is_empty() => {
            text.chars().map(String::from).collect()
        }
        ("split", [Value::String(text), Value::String(between)]) => text.split(between.as_str()).collect(),
        ("upper", [Value::String(text)]) => text.to_uppercase().into(),
        ("lower", [Value::String(text)]) => text.to_lowercase().into(),
        ("title", [Value::String(text)]) => title(text).into(),
        ("truncate", [Value::String(text), Value::Number(most)]) => {
            text.chars().take(size(most).ok_or("truncate wants a length")?).collect::<String>().into()
        }
        ("pad", [Value::String(text), Value::Number(before), Value::Number(behind)]) => {
            match (size(before), size(behind)) {
                _ if text.is_empty() => "".into(),
                (Some(before), Some(behind)) => format!("{}{text}{}", " ".repeat(before), " ".repeat(behind)).into(),
                _ => return wants("two numbers of blanks"),
            }
        }
        ("html", [value]) => {
            let escapes = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&#34;"), ("'", "&#39;")];
            escapes.iter().fold(go::plain(value), |text, (from, to)| text.replace(from, to)).into()
        }
        ("not" | "json" | "html", _) => return wants("one value"),
        ("eq", _) => return wants("a value, and others to compare it with"),
        ("ne" | "lt" | "le" | "gt" | "ge", _) => return wants("two values"),
        ("index", _) => return wants("a list or a map, and where to look"),
        ("slice", _) => return wants("a string or a list, and where it begins and ends"),
        ("len", _) => return wants("a string, a list or a map"),
        ("printf", _) => return wants("a format, and its values"),
        ("join", _) => return wants("a list, and a string to put between"),
        ("split", _) => return wants("a string, and one that stands between"),
        ("truncate", _) => return wants("a string and a length"),
        ("pad", _) => return wants("a string, and how many blanks stand before and behind it"),
        _ => return wants("a string"),
    })
}

/// Go's: nothing, zero and what is empty are false.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn size(number: &serde_json::Number) -> Option<usize> {
    number.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= 10_000)
}

fn different(name: &str, a: &Value, b: &Value) -> String {
    format!("{name} cannot compare {} ({}) with {} ({})", go::plain(a), go::kind(a), go::plain(b), go::kind(b))
}

fn equal(name: &str, a: &Value, b: &Value) -> Said<bool> {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => Ok(a == b),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        _ => order(name, a, b).map(Ordering::is_eq),
    }
}

fn order(name: &str, a: &Value, b: &Value) -> Said<Ordering> {
    let ordered = match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => Some(x.cmp(&y)),
            _ => x.as_f64().zip(y.as_f64()).and_then(|(x, y)| x.partial_cmp(&y)),
        },
        _ => None,
    };
    ordered.ok_or_else(|| different(name, a, b))
}

fn index(value: &Value, key: &Value) -> Said<Value> {
    match (value, key) {
        // Of a map of strings, one that is not there is empty; scripts ask for labels like that.
        (Value::Object(map), Value::String(key)) => Ok(map
            .get(key)
            .cloned()
            .unwrap_or_else(|| if map.values().all(Value::is_string) { "".into() } else { Value::Null })),
        (Value::Array(list), Value::Number(n)) => {
            let found = n.as_u64().and_then(|n| list.get(usize::try_from(n).ok()?));
            found.cloned().ok_or_else(|| format!("there is no element {n}: the list has {}", list.len()))
        }
        (Value::Object(_), _) => Err(format!("index of a map wants a string, and not {}", go::plain(key))),
        (Value::Array(_), _) => Err(format!("index of a list wants a number, and not {}", go::plain(key))),
        _ => Err(format!("index wants a list or a map, and not {} ({})", go::plain(value), go::kind(value))),
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Said<Value> {
    let length = match value {
        Value::Array(list) => list.len(),
        Value::String(text) => text.len(),
        _ => return Err(format!("slice wants a string or a list, and not {}", go::kind(value))),
    };
    let bound = |n: usize, default: usize| bounds.get(n).map_or(Some(default), |n| n.as_u64().map(|n| n as usize));
    let range = bound(0, 0).zip(bound(1, length)).filter(|(from, to)| from <= to && *to <= length);
    let (from, to) = range.ok_or_else(|| format!("slice: it has {length} elements"))?;
    match value {
        Value::Array(list) => Ok(list[from..to].to_vec().into()),
        value => {
            let text = value.as_str().unwrap_or_default();
            text.get(from..to).map(Value::from).ok_or_else(|| "slice: in the middle of a character".into())
        }
    }
}

/// Go's: a blank between two of which none is a string.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (n, value) in values.iter().enumerate() {
        if n > 0 && !value.is_string() && !values[n - 1].is_string() {
            out.push(' ');
        }
        out += &go::plain(value);
    }
    out
}

fn title(text: &str) -> String {
    let mut begins = true;
    let mut letter = |c: char| {
        let upper = if begins { c.to_uppercase().collect() } else { c.to_string() };
        begins = !c.is_alphanumeric() && c != '_' && c != '\'';
        upper
    };
    text.chars().map(&mut letter).collect()
}
