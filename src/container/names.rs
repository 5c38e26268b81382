//! Names: what may be one, and one for a container that was given none, made from its id.

use crate::error::{Error, Result};

#[rustfmt::skip]
const HOW: [&str; 32] = [
    "agile", "bold", "brave", "bright", "calm", "clever", "curious", "eager", "early", "fair", "fine", "frank", "gentle",
    "glad", "grand", "happy", "honest", "jolly", "keen", "kind", "lively", "lucky", "merry", "mild", "neat", "nimble",
    "patient", "quick", "quiet", "sharp", "sunny", "witty",
];

/// What stands in a port, more or less.
#[rustfmt::skip]
const WHAT: [&str; 32] = [
    "anchor", "barge", "barrel", "beacon", "bollard", "bow", "box", "bridge", "buoy", "cable", "cargo", "chest", "compass",
    "crane", "crate", "deck", "dock", "ferry", "harbour", "hoist", "hull", "jetty", "keel", "ladder", "mast", "pallet",
    "pier", "pulley", "quay", "rudder", "sail", "winch",
];

/// `keen_crane_1f3a`.
pub fn of(id: &str) -> String {
    let digit = |at: usize| usize::from_str_radix(&id[at..at + 2], 16).unwrap_or(0);
    format!("{}_{}_{}", HOW[digit(0) % HOW.len()], WHAT[digit(2) % WHAT.len()], &id[4..8])
}

/// podman's rule (docker's wants two characters): a letter or digit, then letters, digits, `_`, `.` and `-`.
///
/// # Errors
/// When it is not so.
pub fn check(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        && name.len() <= 200;
    if good {
        return Ok(());
    }
    Err(Error::new(format!("{name:?} cannot be a name"))
        .hint("a letter or digit first, then letters, digits, `_`, `.` and `-`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "ab", "web-1", "A.b_c", "1x"] {
            check(good).unwrap();
        }
        for bad in ["", "-x", ".x", "a/b", "a b", "ä1", "x\n"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        check(&of("1f3a77b2c4d5")).unwrap();
    }
}
