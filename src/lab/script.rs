//! A lab's script: plain sh that can be read and run by itself, written so that it can also be played step by step.
//!
//! ```sh
//! #!/bin/sh
//! # What this lab is about.
//!
//! ## A step begins with its title
//! # Then a word about what is going to happen.
//! #needs root
//! sleep 300 &
//!
//! # Blocks are separated by empty lines; each may have a comment of its own.
//! ps -o pid,comm -p $!
//! ```
//!
//! Directives are comments without a space: `#needs` (see [`Need`]: the step is skipped, with the reason, where it cannot
//! be done), `#varies PATTERN => WORD` (a regular expression: what of the step's output differs from run to run),
//! `#never PATTERN` (what must not be in the step's output, whatever a snapshot says).

use crate::error::{Error, Result};
use regex_lite::Regex;

/// A whole script.
#[derive(Debug)]
pub struct Script {
    /// The comment at the top.
    pub about: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// What is shown at once.
#[derive(Debug)]
pub struct Step {
    /// Its title.
    pub title: String,
    /// What it needs.
    pub needs: Vec<Need>,
    /// What differs from run to run, and what it becomes.
    pub varies: Vec<(Regex, String)>,
    /// What must not be printed.
    pub never: Vec<Regex>,
    /// What is run, one after another.
    pub blocks: Vec<Block>,
}

/// One command, or a few lines that belong together.
#[derive(Debug, Default)]
pub struct Block {
    /// What is said before it. Paragraphs are lines.
    pub says: String,
    /// The lines as they are in the script.
    pub code: String,
}

/// What a step needs of the machine or of the learner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// To be root.
    Root,
    /// Not to be root.
    User,
    /// A program in PATH.
    Tool(String),
    /// A stage that works here.
    Stage(String),
    /// Controllers on cgroup v1, or v2 alone.
    Cgroup(u8),
}

impl Need {
    fn parse(text: &str) -> Option<Need> {
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            ["root"] => Some(Need::Root),
            ["user"] => Some(Need::User),
            ["tool", name] => Some(Need::Tool(name.into())),
            ["stage", name] => Some(Need::Stage(name.into())),
            ["cgroup", "v1"] => Some(Need::Cgroup(1)),
            ["cgroup", "v2"] => Some(Need::Cgroup(2)),
            _ => None,
        }
    }
}

/// Reads a script.
///
/// # Errors
/// Code before the first step, a directive that there is none of, a pattern that is none.
pub fn parse(text: &str) -> Result<Script> {
    let mut script = Script { about: String::new(), steps: Vec::new() };
    for (number, line) in text.lines().enumerate() {
        let fail = |what: &str| Error::new(format!("line {}: {what}: {line}", number + 1));
        if line.starts_with("#!") {
        } else if let Some(title) = line.strip_prefix("## ") {
            script.steps.push(Step {
                title: title.into(),
                needs: vec![],
                varies: vec![],
                never: vec![],
                blocks: vec![Block::default()],
            });
        } else if let Some(step) = script.steps.last_mut() {
            step.line(line).map_err(|what| fail(&what))?;
        } else if let Some(said) = comment(line) {
            add_said(&mut script.about, said);
        } else if !line.is_empty() {
            return Err(fail("code before the first step (## TITLE)"));
        }
    }
    for step in &mut script.steps {
        step.blocks.retain(|block| !block.code.is_empty() || !block.says.is_empty());
    }
    Ok(script)
}

/// What a comment says; `#` alone ends a paragraph.
fn comment(line: &str) -> Option<&str> {
    line.strip_prefix("# ").or((line == "#").then_some(""))
}

/// Lines of a paragraph become one; an empty comment begins another paragraph.
fn add_said(says: &mut String, line: &str) {
    match (says.as_str(), line) {
        (_, "") => says.push('\n'),
        (before, line) if before.is_empty() || before.ends_with('\n') => says.push_str(line),
        (_, line) => {
            says.push(' ');
            says.push_str(line);
        }
    }
}

impl Step {
    fn line(&mut self, line: &str) -> std::result::Result<(), String> {
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
        }
        let last = self.blocks.len() - 1;
        let block = &mut self.blocks[last];
        if line.is_empty() {
            if !block.code.is_empty() || !block.says.is_empty() {
                self.blocks.push(Block::default());
            }
            return Ok(());
        }
        if block.code.is_empty() {
            if let Some(said) = comment(line) {
                add_said(&mut block.says, said);
                return Ok(());
            }
            if line.starts_with('#') {
                return self.directive(line);
            }
        }
        block.code.push_str(line);
        block.code.push('\n');
        Ok(())
    }

    fn directive(&mut self, line: &str) -> std::result::Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let pattern = |text: &str| Regex::new(text.trim()).map_err(|e| e.to_string());
        match word {
            "#needs" => self.needs.push(Need::parse(rest).ok_or("no such need")?),
            "#varies" => {
                let (from, to) = rest.split_once(" => ").ok_or("no ` => WORD`")?;
                self.varies.push((pattern(from)?, to.trim().into()));
            }
            "#never" => self.never.push(pattern(rest)?),
            _ => return Err("no such directive".into()),
        }
        Ok(())
    }
}

impl Block {
    /// The code as it looks when it is typed: `$ ` before the first line, `> ` before those that continue it.
    pub fn typed(&self) -> String {
        let lines = self.code.lines().enumerate();
        lines.map(|(n, line)| format!("{} {line}\n", if n == 0 { '$' } else { '>' })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "#!/bin/sh\n# About\n# it.\n\n## One\n# Said.\n#needs root\n#varies [0-9]+ => N\nsleep 1 &\n\n# More.\necho a\necho b\n\n## Two\n#never x\n\nls\n";

    #[test]
    fn a_script_has_steps_of_blocks() {
        let script = parse(TEXT).expect("a script");
        assert_eq!(script.about, "About it.");
        let [one, two] = &script.steps[..] else { panic!("{script:?}") };
        assert_eq!((one.title.as_str(), one.needs.as_slice()), ("One", &[Need::Root][..]));
        assert_eq!(one.blocks.len(), 2);
        assert_eq!(one.blocks[0].says, "Said.");
        assert_eq!(one.blocks[1].typed(), "$ echo a\n> echo b\n");
        assert_eq!((two.never.len(), two.blocks.len()), (1, 1));
    }

    #[test]
    fn what_is_not_a_script_is_told_by_its_line() {
        for (text, says) in [
            ("ls\n", "line 1: code before the first step"),
            ("## A\n#needs luck\n", "line 2: no such need"),
            ("## A\n#varies x\n", "line 2: no ` => WORD`"),
            ("## A\n#nonsense\n", "line 2: no such directive"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
