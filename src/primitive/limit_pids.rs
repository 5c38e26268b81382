//! limit-pids.

use super::{Lesson, Primitive};
use crate::observe::Fact;

/// See the head of this file.
pub struct LimitPids;

impl Primitive for LimitPids {
    fn name(&self) -> &'static str {
        "limit-pids"
    }

    fn summary(&self) -> &'static str {
        ""
    }

    fn lesson(&self) -> &'static Lesson {
        &LESSON
    }

    fn changes(&self) -> &'static [Fact] {
        &[]
    }
}

static LESSON: Lesson = Lesson { what: "", why: "", kernel: "", by_hand: "", docker: "", pages: "" };
