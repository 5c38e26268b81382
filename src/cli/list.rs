//! `stages`, `explain`, `doctor`: what there is, what it means, and whether it works here.

use crate::doctor::{self, Format};
use crate::error::{Error, Result};
use crate::primitive::{LIST, Primitive};
use crate::state::State;
use clap::ArgMatches;
use std::process::ExitCode;

/// `boxwright stages`.
pub fn stages(matches: &ArgMatches) -> Result<ExitCode> {
    let _ = matches;
    for (n, p) in LIST.iter().enumerate() {
        println!("{n:2}  {:16} {}", p.name(), p.summary());
    }
    Ok(ExitCode::SUCCESS)
}

/// `boxwright explain STAGE`.
pub fn explain(matches: &ArgMatches) -> Result<ExitCode> {
    let name = matches.get_one::<String>("stage").map_or("", String::as_str);
    let primitive = find(name)?;
    println!("{}", primitive.summary());
    Ok(ExitCode::SUCCESS)
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
    doctor::run(if json { Format::Json } else { Format::Text }, state)
}
