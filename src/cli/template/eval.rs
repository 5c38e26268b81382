//! What a template says of an object.

use super::functions;
use super::go;
use super::lex::Place;
use super::syntax::{Branch, Node, Operand, Pipeline};
use crate::error::Result;
use serde_json::{Map, Value};

/// Objects that are maps: what is not in one has no value, where an unknown field of another object is an error.
const MAPS: [&str; 10] = [
    "Labels",
    "Attributes",
    "Networks",
    "Options",
    "Ports",
    "Volumes",
    "Tmpfs",
    "Sysctls",
    "Annotations",
    "DriverOpts",
];

/// Fields that docker's JSON leaves out when there is nothing to say. They are known all the same: `{{if .State.Health}}`.
const LEFT_OUT: [&str; 7] = ["Health", "Healthcheck", "StopSignal", "StopTimeout", "SizeRw", "SizeRootFs", "OnBuild"];

/// The key under which an object says its labels to `{{.Label "key"}}`. It is never shown.
pub const LABELS: &str = ".Labels";

/// The values of one object in a template.
///
/// # Errors
/// A field that the object does not have; an argument that a function cannot take.
pub fn fill(nodes: &[Node], object: &Value) -> Result<String> {
    let mut object = object.clone();
    let labels = object.as_object_mut().and_then(|map| map.remove(LABELS));
    run(nodes, object, labels.unwrap_or_default(), false)
}

/// The headings of a template's columns: where an object's values would stand, what they are called.
///
/// # Errors
/// As [`fill`].
pub fn headings(nodes: &[Node], known: Map<String, Value>) -> Result<String> {
    run(nodes, Value::Object(known), Value::Null, true)
}

fn run(nodes: &[Node], object: Value, labels: Value, heading: bool) -> Result<String> {
    let variables = vec![(String::new(), object.clone())];
    let mut run = Run { out: String::new(), variables, labels, heading };
    run.nodes(nodes, &object)?;
    Ok(run.out)
}

struct Run {
    out: String,
    /// The innermost is the last.
    variables: Vec<(String, Value)>,
    labels: Value,
    heading: bool,
}

/// How it goes on in a `range`.
#[derive(PartialEq)]
enum Flow {
    On,
    Next,
    Out,
}

impl Run {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out += text,
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.out += &go::text(&value);
                    } else {
                        self.set(pipeline, &[&value]);
                    }
                }
                Node::Branch(branch, pipeline, body, otherwise) => {
                    let known = self.variables.len();
                    let flow = self.branch(*branch, pipeline, body, otherwise, dot)?;
                    self.variables.truncate(known);
                    if flow != Flow::On {
                        return Ok(flow);
                    }
                }
                Node::Continue => return Ok(Flow::Next),
                Node::Break => return Ok(Flow::Out),
            }
        }
        Ok(Flow::On)
    }

    fn branch(
        &mut self,
        branch: Branch,
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<Flow> {
        let value = self.pipeline(pipeline, dot)?;
        if branch == Branch::Range {
            return self.range(pipeline, &value, body, otherwise, dot);
        }
        if !pipeline.variables.is_empty() {
            self.set(pipeline, &[&value]);
        }
        match (functions::is_true(&value), branch) {
            (true, Branch::With) => self.nodes(body, &value),
            (true, _) => self.nodes(body, dot),
            (false, _) => self.nodes(otherwise, dot),
        }
    }

    /// Each element of a list, or of a map in the order of its keys.
    fn range(
        &mut self,
        pipeline: &Pipeline,
        value: &Value,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<Flow> {
        let elements: Vec<(Value, &Value)> = match value {
            Value::Null => vec![],
            Value::Array(list) => list.iter().enumerate().map(|(n, element)| (n.into(), element)).collect(),
            Value::Object(map) => map.iter().map(|(key, element)| (key.clone().into(), element)).collect(),
            other if self.heading => vec![(0.into(), other)],
            other => {
                let what = format!("range wants a list or a map, and not {} ({})", go::plain(other), go::kind(other));
                return Err(pipeline.place.error(what));
            }
        };
        if elements.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (key, element) in elements {
            let known = self.variables.len();
            match pipeline.variables.len() {
                0 => {}
                1 => self.set(pipeline, &[element]),
                _ => self.set(pipeline, &[&key, element]),
            }
            let flow = self.nodes(body, element)?;
            self.variables.truncate(known);
            if flow == Flow::Out {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// Gives the variables of a pipeline these values.
    fn set(&mut self, pipeline: &Pipeline, values: &[&Value]) {
        for (name, value) in pipeline.variables.iter().zip(values) {
            let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
            match known.filter(|_| !pipeline.declares) {
                Some((_, old)) => *old = (*value).clone(),
                None => self.variables.push((name.clone(), (*value).clone())),
            }
        }
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Result<Value> {
        let mut handed = None;
        for command in &pipeline.commands {
            handed = Some(self.command(&pipeline.place, command, handed, dot)?);
        }
        Ok(handed.unwrap_or_default())
    }

    fn command(&self, place: &Place, command: &[Operand], handed: Option<Value>, dot: &Value) -> Result<Value> {
        let Some((first, args)) = command.split_first() else { return Ok(Value::Null) };
        if let Operand::Function(name) = first {
            return self.call(place, name, args, handed, dot);
        }
        if args.is_empty() && handed.is_none() {
            return self.operand(place, first, dot);
        }
        let mut args = args.iter().map(|arg| self.operand(place, arg, dot)).collect::<Result<Vec<_>>>()?;
        args.extend(handed);
        match (first, &args[..]) {
            (Operand::Dot(names), [Value::String(key)]) if names == &["Label"] => Ok(self.label(key)),
            _ => Err(place.error("only functions take arguments")),
        }
    }

    /// docker's `{{.Label "key"}}`; its heading is the last part of the key.
    fn label(&self, key: &str) -> Value {
        if self.heading {
            return key.rsplit('.').next().unwrap_or_default().replace(['-', '_'], " ").into();
        }
        self.labels.get(key).cloned().unwrap_or_else(|| "".into())
    }

    fn call(&self, place: &Place, name: &str, args: &[Operand], handed: Option<Value>, dot: &Value) -> Result<Value> {
        if name == "and" || name == "or" {
            return self.until(place, name == "or", args, handed, dot);
        }
        let mut values = args.iter().map(|arg| self.operand(place, arg, dot)).collect::<Result<Vec<_>>>()?;
        values.extend(handed);
        if self.heading && functions::OF_VALUES.contains(&name) && !values.is_empty() {
            return Ok(values.swap_remove(0));
        }
        functions::call(name, &values).map_err(|what| place.error(what))
    }

    /// `and`, `or`: the first value that decides, or the last one; what follows it is not looked at.
    fn until(
        &self,
        place: &Place,
        decisive: bool,
        args: &[Operand],
        handed: Option<Value>,
        dot: &Value,
    ) -> Result<Value> {
        let mut last = None;
        for arg in args {
            let value = self.operand(place, arg, dot)?;
            if functions::is_true(&value) == decisive {
                return Ok(value);
            }
            last = Some(value);
        }
        handed.or(last).ok_or_else(|| place.error("and, or: a value is missing"))
    }

    fn operand(&self, place: &Place, operand: &Operand, dot: &Value) -> Result<Value> {
        match operand {
            Operand::Dot(names) => self.fields(place, dot, "", names),
            Operand::Variable(name, names) => {
                let value = self.variables.iter().rev().find(|(known, _)| known == name);
                let (_, value) = value.ok_or_else(|| place.error(format!("there is no ${name}")))?;
                self.fields(place, value, &format!("${name}"), names)
            }
            Operand::Function(name) => self.call(place, name, &[], None, dot),
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Inner(inner, names) => {
                let value = self.pipeline(inner, dot)?;
                self.fields(place, &value, "(…)", names)
            }
        }
    }

    /// A field of a field of … a value.
    fn fields(&self, place: &Place, value: &Value, of: &str, names: &[String]) -> Result<Value> {
        let mut value = value;
        for (n, name) in names.iter().enumerate() {
            let path = |names: &[String]| format!("{of}.{}", names.join("."));
            if let Some(found) = value.get(name) {
                value = found;
                continue;
            }
            if self.heading {
                return Ok(heading(name).into());
            }
            value = match value {
                Value::Object(map) if is_map(map, n.checked_sub(1).map(|n| names[n].as_str())) => &Value::Null,
                Value::Object(_) if LEFT_OUT.contains(&name.as_str()) => &Value::Null,
                Value::Object(map) => {
                    let known: Vec<&str> = map.keys().map(String::as_str).collect();
                    let error = place.error(format!("there is no {}", path(&names[..=n])));
                    return Err(error.hint(format!("there are: {}", known.join(", "))));
                }
                other => {
                    let what =
                        format!("there is no {}: {} is {}", path(&names[..=n]), path(&names[..n]), go::plain(other));
                    return Err(place.error(what));
                }
            };
        }
        Ok(value.clone())
    }
}

/// Is it a map? Go's objects say so; here it is told by its name, or by a key that could not be a field's name.
fn is_map(map: &Map<String, Value>, name: Option<&str>) -> bool {
    let field = |key: &String| {
        key.starts_with(|c: char| c.is_ascii_uppercase()) && key.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    name.is_some_and(|name| MAPS.contains(&name)) || !map.keys().all(field) || map.is_empty()
}

/// `LocalVolumes` stands under `LOCAL VOLUMES`.
pub fn heading(name: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            out.push(' ');
        }
        out.extend(c.to_uppercase());
        before = c;
    }
    out
}
