//! map-user.

use super::{Lesson, Primitive};
use crate::observe::Fact;

/// See the head of this file.
pub struct MapUser;

impl Primitive for MapUser {
    fn name(&self) -> &'static str {
        "map-user"
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
