//! full-run.

use super::{Lesson, Primitive};
use crate::observe::Fact;

/// See the head of this file.
pub struct FullRun;

impl Primitive for FullRun {
    fn name(&self) -> &'static str {
        "full-run"
    }

    fn summary(&self) -> &'static str {
        ""
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn is_last(&self) -> bool {
        true
    }

    fn inside(&self, guest: &mut crate::spawn::Guest) -> crate::error::Result<()> {
        use std::ffi::CString;
        let c = |s: &str| CString::new(s).map_err(|_| crate::error::Error::new("zero byte"));
        let argv: Vec<_> = guest.spec.args().iter().map(|a| c(a)).collect::<Result<_, _>>()?;
        let env: Vec<_> = guest
            .spec
            .process()
            .and_then(|p| p.env().as_deref())
            .unwrap_or_default()
            .iter()
            .map(|a| c(a))
            .collect::<Result<_, _>>()?;
        crate::sys::process::cloexec_from(3)?;
        let mut last = crate::error::Error::new("no command");
        for dir in ["", "/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/"] {
            if dir.is_empty() && !guest.spec.args()[0].contains('/') {
                continue;
            }
            last = crate::sys::process::execve(&c(&format!("{dir}{}", guest.spec.args()[0]))?, &argv, &env);
        }
        Err(last.exit(127))
    }

    fn changes(&self) -> &'static [Fact] {
        &[]
    }
}

static LESSON: Lesson = Lesson { what: "", why: "", kernel: "", by_hand: "", docker: "", pages: "" };
