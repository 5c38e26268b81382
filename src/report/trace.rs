//! The trace: every kernel call as it happens, one line each, `PRIMITIVE SIDE CALL`: which primitive is at work, who
//! makes the call (the host's side or the child), and the call in strace's shape.

use super::{Report, Who};
use crate::observe::Snapshot;
use crate::primitive::LIST;
use crate::spawn::{Side, Watcher};
use crate::ui::{Style, pad};
use nix::unistd::Pid;
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

/// Prints every call to stderr.
pub struct Trace {
    style: Style,
    /// The primitive of the line before: its name is bright only once.
    current: Option<usize>,
    width: usize,
}

impl Trace {
    /// In the style of stderr.
    pub fn new() -> Trace {
        let width = LIST.iter().map(|p| p.name().len()).max().unwrap_or(0);
        Trace { style: Style::of(&std::io::stderr()), current: None, width }
    }

    fn line(&mut self, primitive: usize, who: Who, call: &str) -> String {
        let name = pad(LIST.get(primitive).map_or("", |p| p.name()), self.width);
        let name = if self.current.replace(primitive) == Some(primitive) {
            self.style.dim(&name)
        } else {
            self.style.bold(&name)
        };
        let side = pad(who.name(), 5);
        let side = if who == Who::Child { self.style.accent(&side) } else { side };
        let call = if call.contains(" = -1 E") { self.style.bad(call) } else { call.to_string() };
        format!("{name}  {side}  {call}")
    }
}

impl Watcher for Trace {
    fn observes(&self) -> bool {
        false
    }

    fn call(&mut self, primitive: usize, side: Side, line: &str) {
        let line = self.line(primitive, side.into(), line);
        // A reader who has gone away does not stop the container.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    fn step(&mut self, _: usize, _: &Snapshot, _: &Snapshot) {}

    fn ready(&mut self, _: Pid, _: &[String]) {}
}

/// A report, a trace, or both.
pub struct Several {
    /// Prints as it goes.
    pub trace: Option<Trace>,
    /// Collects, to be shown at the end.
    pub report: Option<Rc<RefCell<Report>>>,
}

impl Watcher for Several {
    fn observes(&self) -> bool {
        self.report.is_some()
    }

    fn call(&mut self, primitive: usize, side: Side, line: &str) {
        if let Some(trace) = &mut self.trace {
            trace.call(primitive, side, line);
        }
        if let Some(report) = &self.report {
            report.borrow_mut().call(primitive, side, line);
        }
    }

    fn step(&mut self, primitive: usize, before: &Snapshot, after: &Snapshot) {
        if let Some(report) = &self.report {
            report.borrow_mut().step(primitive, before, after);
        }
    }

    fn ready(&mut self, child: Pid, notes: &[String]) {
        if let Some(report) = &self.report {
            report.borrow_mut().ready(child, notes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_and_for_what() {
        let mut trace = Trace { style: Style::plain(), current: None, width: 15 };
        assert_eq!(trace.line(1, Who::Host, "clone3() = 9"), "unshare-pid      host   clone3() = 9");
        assert_eq!(trace.line(3, Who::Child, "unshare(X) = 0"), "private-mounts   child  unshare(X) = 0");
    }
}
