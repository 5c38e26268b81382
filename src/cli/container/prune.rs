//! `container prune`, and what it has in common with `volume prune` and `system prune`: the question, the filters, and
//! how what was removed is told. All of it is docker's.

use super::{look, sizes, value, words};
use crate::cli::{is_on, switch};
use crate::container::Now;
use crate::container::store::{Container, Store};
use crate::container::times;
use crate::error::{Error, Result};
use crate::ui;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

/// Its command line, below `container`.
pub fn command() -> Command {
    Command::new("prune").about("Remove all containers that do not run").defer(|c| c.args(flags(&["until"])))
}

/// `--filter` and `--force`, as every prune has them; `keys` beside `label` and `label!`.
pub fn flags(keys: &[&str]) -> [Arg; 2] {
    let help = match keys {
        ["all"] => "Only those: label, label!; all=true is --all",
        _ => "Only those: label, label!, until (a time, or how long ago)",
    };
    let filter = value("filter", None, "KEY=VALUE", help).action(ArgAction::Append);
    [filter, switch("force", "Do not ask").short('f')]
}

/// What `--filter` chooses. docker's: every filter must hold.
#[derive(Default)]
pub struct Chosen {
    /// (has it, key, value or any)
    labels: Vec<(bool, String, Option<String>)>,
    /// Created before all of these.
    until: Vec<i64>,
    /// `all=true`: also volumes that have a name.
    pub all: bool,
}

impl Chosen {
    /// Reads `--filter`; `known` are the keys that this command has beside `label` and `label!`.
    ///
    /// # Errors
    /// A filter that this command does not have; a time that is none.
    pub fn read(matches: &ArgMatches, known: &[&str]) -> Result<Chosen> {
        let mut chosen = Chosen::default();
        for text in words(matches, "filter") {
            let wrong = || {
                let mut forms = vec!["label=KEY", "label=KEY=VALUE", "label!=KEY"];
                forms.extend(known.iter().map(|key| if *key == "until" { "until=24h" } else { "all=true" }));
                Error::new(format!("--filter {text}: no such filter")).hint(forms.join(", "))
            };
            let (key, value) = text.split_once('=').ok_or_else(wrong)?;
            match (key, value) {
                ("label" | "label!", label) => {
                    let (name, value) = label.split_once('=').map_or((label, None), |(name, v)| (name, Some(v)));
                    chosen.labels.push((key == "label", name.into(), value.map(str::to_string)));
                }
                ("until", time) if known.contains(&key) => {
                    chosen.until.push(times::parse("--filter until", time)?);
                }
                ("all", "true" | "1") if known.contains(&key) => chosen.all = true,
                ("all", "false" | "0") if known.contains(&key) => {}
                _ => return Err(wrong()),
            }
        }
        Ok(chosen)
    }

    /// Is something with these labels, created then, among them?
    pub fn has(&self, labels: &BTreeMap<String, String>, created: i64) -> bool {
        let there = |key: &str, value: &Option<String>| {
            labels.get(key).is_some_and(|have| value.as_ref().is_none_or(|want| want == have))
        };
        self.labels.iter().all(|(wanted, key, value)| there(key, value) == *wanted)
            && self.until.iter().all(|time| created < *time)
    }
}

/// Asks before something is removed for good, whoever answers: a terminal, or `yes |`. The end of the input is a no.
pub fn agreed(what: &str) -> bool {
    ui::print(&format!("WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] "));
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    // A terminal has shown the end of the line that was typed.
    if !std::io::stdin().is_terminal() || matches!(read, Ok(0)) {
        ui::print("\n");
    }
    let answer = answer.trim();
    read.is_ok() && (answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"))
}

/// Says what is gone: a heading, a line for each, an empty line.
pub fn say(heading: &str, removed: &[String]) {
    if !removed.is_empty() {
        ui::print(&format!("Deleted {heading}:\n{}\n\n", removed.join("\n")));
    }
}

/// The last line.
pub fn say_freed(bytes: u64) {
    ui::print(&format!("Total reclaimed space: {}\n", sizes::human_bytes(bytes)));
}

/// `container prune`.
///
/// # Errors
/// A filter that is not understood; as [`remove_ended`].
pub fn run(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let chosen = Chosen::read(matches, &["until"])?;
    if !is_on(matches, "force") && !agreed("all containers that do not run") {
        return Ok(ExitCode::SUCCESS);
    }
    let (removed, freed) = remove_ended(store, |c| chosen.has(&c.record.labels, c.record.created))?;
    say("Containers", &removed);
    say_freed(freed);
    Ok(ExitCode::SUCCESS)
}

/// Removes those that do not run and that are `chosen`. Returns their ids, and how many bytes they had written.
///
/// # Errors
/// As [`Container::remove`].
pub fn remove_ended(store: Store<'_>, chosen: impl Fn(&Container<'_>) -> bool) -> Result<(Vec<String>, u64)> {
    let (mut removed, mut freed) = (Vec::new(), 0);
    let ended = |container: &Container<'_>| matches!(container.now(), Now::Created | Now::Exited);
    for container in look::settled(store)?.into_iter().filter(|c| ended(c) && chosen(c)) {
        let size = sizes::of_layer(&container);
        // Somebody may have removed or started it meanwhile.
        let Ok(_locked) = container.lock() else { continue };
        if ended(&container) && !container.history().between() {
            container.remove(false)?;
            freed += size;
            removed.push(container.record.id.clone());
        }
    }
    Ok((removed, freed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(filters: &[&str], known: &[&str]) -> Result<Chosen> {
        let args: Vec<&str> = filters.iter().flat_map(|f| ["--filter", f]).collect();
        let matches = Command::new("x").no_binary_name(true).args(flags(known)).get_matches_from(args);
        Chosen::read(&matches, known)
    }

    #[test]
    fn filters_choose_by_label_and_age() {
        let labels = BTreeMap::from([("tier".to_string(), "web".to_string())]);
        let has = |filters: &[&str]| chosen(filters, &["until"]).is_ok_and(|c| c.has(&labels, 5_000_000_000));
        assert!(has(&[]) && has(&["label=tier"]) && has(&["label=tier=web"]) && has(&["label!=blue"]));
        assert!(has(&["label!=tier=db"]) && has(&["until=6"]) && has(&["label=tier", "until=6"]));
        assert!(!has(&["label=blue"]) && !has(&["label=tier=db"]) && !has(&["label!=tier"]));
        assert!(!has(&["label!=tier=web"]) && !has(&["until=5"]) && !has(&["label=tier", "label=blue"]));
        assert!(chosen(&["all=true"], &["all"]).is_ok_and(|c| c.all));
        for (bad, known) in
            [("all=true", "until"), ("until=1h", "all"), ("label", "all"), ("all=so", "all"), ("until=2d", "until")]
        {
            assert!(chosen(&[bad], &[known]).is_err(), "{bad}");
        }
    }
}
