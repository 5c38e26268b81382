//! `stages`, `explain`, `doctor`: what there is, what it means, and whether it works here.

use crate::doctor::{self, Format};
use crate::error::{Error, Result};
use crate::primitive::{LIST, Primitive};
use crate::state::State;
use crate::{report, ui};
use clap::ArgMatches;
use std::process::ExitCode;

/// `boxwright stages`.
pub fn stages(matches: &ArgMatches) -> Result<ExitCode> {
    ui::print(&match format(matches) {
        "json" => report::stages_json(),
        "markdown" => report::stages_markdown(),
        _ => report::stages(ui::Style::of(&std::io::stdout())),
    });
    Ok(ExitCode::SUCCESS)
}

/// `boxwright explain STAGE`.
pub fn explain(matches: &ArgMatches) -> Result<ExitCode> {
    let primitive = find(matches.get_one::<String>("stage").map_or("", String::as_str))?;
    ui::print(&match format(matches) {
        "json" => report::explain_json(primitive),
        _ => report::explain(primitive, ui::Style::of(&std::io::stdout())),
    });
    Ok(ExitCode::SUCCESS)
}

fn format(matches: &ArgMatches) -> &str {
    matches.get_one::<String>("format").map_or("text", String::as_str)
}

fn find(name: &str) -> Result<&'static dyn Primitive> {
    let by_number = name.parse::<usize>().ok().and_then(|n| LIST.get(n).copied());
    crate::primitive::find(name)
        .or(by_number)
        .ok_or_else(|| Error::new(format!("no such stage: {name}")).hint("boxwright stages lists them"))
}

/// `boxwright doctor`.
pub fn doctor(matches: &ArgMatches, state: &State) -> Result<ExitCode> {
    let json = matches.get_one::<String>("format").is_some_and(|f| f == "json");
    Ok(doctor::run(if json { Format::Json } else { Format::Text }, state))
}
