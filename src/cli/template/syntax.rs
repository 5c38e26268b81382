//! The tree of a template, and how it is read: by recursive descent, a function for each construct.
//!
//! ```text
//! template = { text | "{{" pipeline "}}" | branch }
//! branch   = ("if" | "with" | "range") pipeline template [ "else" [ "if" | "with" pipeline ] template ] "end"
//! pipeline = [ $name [ "," $name ] ( ":=" | "=" ) ] command { "|" command }
//! command  = operand { operand }
//! operand  = ( "." | .Field | $name | function | literal | "(" pipeline ")" ) { .Field }
//! ```

use super::functions;
use super::lex::{Item, Lexeme, Place, Token, items};
use crate::error::Result;
use serde_json::Value;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// As it is.
    Text(String),
    /// What it yields is printed.
    Print(Pipeline),
    /// `if`, `with`, `range`, and what is in their place when there is nothing.
    Branch(Branch, Pipeline, Vec<Node>, Vec<Node>),
    /// The next turn of a `range`.
    Continue,
    /// No more turns.
    Break,
}

/// What a branch does with its pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// Asks whether it is true.
    If,
    /// The same, and makes it the dot.
    With,
    /// Makes each of its elements the dot.
    Range,
}

/// Commands, each of which hands its value to the next as the last argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Where it stands.
    pub place: Place,
    /// Variables that are given its value.
    pub variables: Vec<String>,
    /// Are they new ones?
    pub declares: bool,
    /// A function or a value, and arguments.
    pub commands: Vec<Vec<Operand>>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// The dot, and fields of it.
    Dot(Vec<String>),
    /// A variable, and fields of it; the one without a name is the whole object.
    Variable(String, Vec<String>),
    /// A function.
    Function(String),
    /// A string, a number, true, false, nil.
    Literal(Value),
    /// What stands in parentheses, and fields of it.
    Inner(Box<Pipeline>, Vec<String>),
}

/// Reads a template.
///
/// # Errors
/// What is none, with the place.
pub fn parse(text: &str) -> Result<Vec<Node>> {
    let mut parser = Parser { items: items(text)?.into_iter(), variables: vec![String::new()], ranges: 0, depth: 0 };
    match parser.nodes()? {
        (nodes, None) => Ok(nodes),
        (_, Some(End { place, word, .. })) => Err(place.error(format!("{{{{{word}}}}} without if, with or range"))),
    }
}

/// Shows all values that a template asks for.
pub fn operands(nodes: &[Node], show: &mut impl FnMut(&Operand)) {
    for node in nodes {
        match node {
            Node::Print(pipeline) => pipeline.operands(show),
            Node::Branch(_, pipeline, body, otherwise) => {
                pipeline.operands(show);
                operands(body, show);
                operands(otherwise, show);
            }
            Node::Text(_) | Node::Continue | Node::Break => {}
        }
    }
}

impl Pipeline {
    fn operands(&self, show: &mut impl FnMut(&Operand)) {
        for operand in self.commands.iter().flatten() {
            match operand {
                Operand::Inner(inner, _) => inner.operands(show),
                operand => show(operand),
            }
        }
    }
}

struct Parser {
    items: std::vec::IntoIter<Item>,
    /// Those that are known here.
    variables: Vec<String>,
    /// In how many `range`s are we?
    ranges: usize,
    /// In how many branches?
    depth: usize,
}

/// A template that goes deeper into itself is a slip, and would need a deep stack.
const DEEPEST: usize = 100;

fn not_too_deep(place: &Place, depth: usize) -> Result<usize> {
    if depth < DEEPEST { Ok(depth + 1) } else { Err(place.error("it goes too deep into itself")) }
}

/// What ends a body: `end`, or `else` with the words behind it.
struct End {
    place: Place,
    word: String,
    rest: Vec<Lexeme>,
}

impl Parser {
    /// Up to the `end` or `else` that is not theirs.
    fn nodes(&mut self) -> Result<(Vec<Node>, Option<End>)> {
        let mut nodes = Vec::new();
        while let Some(item) = self.items.next() {
            let (place, mut tokens) = match item {
                Item::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Item::Action(place, tokens) => (place, tokens),
            };
            let word = match tokens.first() {
                Some(Lexeme { token: Token::Word(word), .. }) => word.clone(),
                _ => String::new(),
            };
            let alone = |node: Node| match tokens.len() {
                1 if self.ranges > 0 => Ok(node),
                _ => Err(place.error(format!("{{{{{word}}}}} stands alone, in a range"))),
            };
            nodes.push(match word.as_str() {
                "end" | "else" => return Ok((nodes, Some(End { place, word, rest: tokens.split_off(1) }))),
                "break" => alone(Node::Break)?,
                "continue" => alone(Node::Continue)?,
                "define" | "template" | "block" => {
                    return Err(place.error("a template that has a name has no use here"));
                }
                word => match branch(word) {
                    Some(branch) => self.branch(branch, place, tokens.split_off(1))?,
                    None => Node::Print(self.action(&place, &tokens)?),
                },
            });
        }
        Ok((nodes, None))
    }

    fn branch(&mut self, branch: Branch, place: Place, tokens: Vec<Lexeme>) -> Result<Node> {
        // What is declared in it is known in it.
        let known = self.variables.len();
        self.depth = not_too_deep(&place, self.depth)?;
        let pipeline = self.action(&place, &tokens)?;
        self.ranges += usize::from(branch == Branch::Range);
        let (body, end) = self.nodes()?;
        self.ranges -= usize::from(branch == Branch::Range);
        let unended = || place.error(format!("{place_word} without {{{{end}}}}", place_word = word_of(branch)));
        let (otherwise, end) = match end {
            Some(End { word, rest, place }) if word == "else" => match rest.first().map(|first| &first.token) {
                None => self.nodes()?,
                // `else if` is an if in an else; one `end` ends both.
                Some(Token::Word(word)) if branch != Branch::Range && ["if", "with"].contains(&word.as_str()) => {
                    let inner = if word == "if" { Branch::If } else { Branch::With };
                    let inner = self.branch(inner, place, rest[1..].to_vec())?;
                    self.variables.truncate(known);
                    self.depth -= 1;
                    return Ok(Node::Branch(branch, pipeline, body, vec![inner]));
                }
                Some(_) => return Err(place.error("else is followed by nothing, if, or with")),
            },
            end => (vec![], end),
        };
        self.variables.truncate(known);
        self.depth -= 1;
        match end {
            Some(End { word, rest, .. }) if word == "end" && rest.is_empty() => {
                Ok(Node::Branch(branch, pipeline, body, otherwise))
            }
            Some(End { place, word, .. }) => Err(place.error(format!("{{{{{word}}}}} is too much here"))),
            None => Err(unended()),
        }
    }

    /// A whole action.
    fn action(&mut self, place: &Place, tokens: &[Lexeme]) -> Result<Pipeline> {
        let mut words = Words { place, tokens, at: 0, variables: &mut self.variables, depth: 0 };
        let pipeline = words.pipeline()?;
        match words.next() {
            None => Ok(pipeline),
            Some(_) => Err(place.error(") without (")),
        }
    }
}

fn branch(word: &str) -> Option<Branch> {
    Some(match word {
        "if" => Branch::If,
        "with" => Branch::With,
        "range" => Branch::Range,
        _ => return None,
    })
}

fn word_of(branch: Branch) -> &'static str {
    match branch {
        Branch::If => "{{if}}",
        Branch::With => "{{with}}",
        Branch::Range => "{{range}}",
    }
}

/// The tokens of one action.
struct Words<'a> {
    place: &'a Place,
    tokens: &'a [Lexeme],
    at: usize,
    variables: &'a mut Vec<String>,
    /// In how many parentheses are we?
    depth: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|lexeme| &lexeme.token)
    }

    fn next(&mut self) -> Option<&'a Lexeme> {
        let next = self.tokens.get(self.at);
        self.at += usize::from(next.is_some());
        next
    }

    fn pipeline(&mut self) -> Result<Pipeline> {
        let (variables, declares) = self.variables()?;
        let mut commands = vec![self.command()?];
        while self.peek() == Some(&Token::Mark("|")) {
            self.at += 1;
            commands.push(self.command()?);
            // A value is handed on to what can do something with it.
            let takes = matches!(commands.last().and_then(|c| c.first()), Some(Operand::Function(_) | Operand::Dot(_)));
            if !takes {
                return Err(self.place.error("what follows a | is no function"));
            }
        }
        if declares {
            self.variables.extend(variables.clone());
        }
        Ok(Pipeline { place: self.place.clone(), variables, declares, commands })
    }

    /// `$x :=`, `$k, $v :=`, `$x =`; nothing where there is none of them.
    fn variables(&mut self) -> Result<(Vec<String>, bool)> {
        let is = |n: usize, mark: &str| matches!(self.tokens.get(n), Some(Lexeme { token: Token::Mark(m), .. }) if *m == mark);
        let name = |n: usize| match self.tokens.get(n).map(|l| &l.token) {
            Some(Token::Variable(name)) if !name.is_empty() => Some(name.clone()),
            _ => None,
        };
        let Some(first) = name(self.at) else { return Ok((vec![], false)) };
        let mut names = vec![first];
        let mut after = self.at + 1;
        if is(after, ",") {
            names.push(name(after + 1).ok_or_else(|| self.place.error("a , is followed by a second variable"))?);
            after += 2;
        }
        let declares = is(after, ":=");
        if !declares && !is(after, "=") {
            return Ok((vec![], false));
        }
        self.at = after + 1;
        if let Some(unknown) = names.iter().find(|name| !declares && !self.variables.contains(name)) {
            return Err(self.place.error(format!("there is no ${unknown}")));
        }
        Ok((names, declares))
    }

    fn command(&mut self) -> Result<Vec<Operand>> {
        let mut operands = Vec::new();
        while !matches!(self.peek(), None | Some(Token::Mark("|" | ")"))) {
            operands.push(self.operand()?);
        }
        if operands.is_empty() { Err(self.place.error("a value is missing")) } else { Ok(operands) }
    }

    fn operand(&mut self) -> Result<Operand> {
        let Some(lexeme) = self.next() else { return Err(self.place.error("a value is missing")) };
        let behind_open = self.at >= 2 && self.tokens[self.at - 2].token == Token::Mark("(");
        let behind_mark = self.at >= 2 && matches!(self.tokens[self.at - 2].token, Token::Mark("|" | ":=" | "="));
        if lexeme.glued && !behind_open && !behind_mark {
            return Err(self.place.error("values want blanks between them"));
        }
        Ok(match &lexeme.token {
            Token::Dot => Operand::Dot(vec![]),
            Token::Field(name) => {
                let mut names = vec![name.clone()];
                names.extend(self.fields());
                Operand::Dot(names)
            }
            Token::Variable(name) if self.variables.contains(name) => Operand::Variable(name.clone(), self.fields()),
            Token::Variable(name) => return Err(self.place.error(format!("there is no ${name}"))),
            Token::Literal(value) => Operand::Literal(value.clone()),
            Token::Word(word) => self.word(word)?,
            Token::Mark("(") => {
                self.depth = not_too_deep(self.place, self.depth)?;
                let inner = self.pipeline()?;
                self.depth -= 1;
                match self.next().map(|l| &l.token) {
                    Some(Token::Mark(")")) => Operand::Inner(Box::new(inner), self.fields()),
                    _ => return Err(self.place.error("( without )")),
                }
            }
            Token::Mark(mark) => return Err(self.place.error(format!("{mark} is too much here"))),
        })
    }

    fn word(&self, word: &str) -> Result<Operand> {
        Ok(match word {
            "true" => Operand::Literal(true.into()),
            "false" => Operand::Literal(false.into()),
            "nil" => Operand::Literal(Value::Null),
            function if functions::NAMES.contains(&function) => Operand::Function(function.into()),
            unknown => {
                let known = functions::NAMES.join(", ");
                return Err(self
                    .place
                    .error(format!("there is no function {unknown}"))
                    .hint(format!("there are: {known}")));
            }
        })
    }

    /// The fields that stand directly behind a value.
    fn fields(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(Lexeme { token: Token::Field(name), glued: true }) = self.tokens.get(self.at) {
            names.push(name.clone());
            self.at += 1;
        }
        names
    }
}
