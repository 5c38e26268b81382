//! The last test program of a run: says how many tests were skipped in it, and why. (cargo runs them in the order of
//! their names.) It cannot fail; skipping is no failure, but it must not pass in silence.

mod common;

use std::collections::BTreeMap;
use std::io::Write;

#[test]
fn what_was_skipped() {
    let file = common::skips_file();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_file(&file);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        *reasons.entry(line).or_default() += 1;
    }
    let mut sum = format!("\n{} skipped in this run{}\n", reasons.len(), if reasons.is_empty() { "" } else { ":" });
    for line in reasons.keys() {
        sum += &format!("  {line}\n");
    }
    std::io::stderr().write_all(sum.as_bytes()).expect("standard error");
}
