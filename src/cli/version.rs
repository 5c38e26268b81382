//! `version`: which program this is. docker's fields, of which "Client" and "Server" are one and the same here: there is
//! no daemon.

use super::container::{format, format_flag};
use super::template::{self, Format};
use crate::error::Result;
use crate::ui;
use clap::{ArgMatches, Command};
use serde_json::json;
use std::process::ExitCode;

/// Its command line.
pub fn command() -> Command {
    Command::new("version").about("Print which program this is").defer(|c| c.arg(format_flag().short('f')))
}

/// Prints it.
///
/// # Errors
/// A template that is not understood.
pub fn run(matches: &ArgMatches) -> Result<ExitCode> {
    let (version, arch) = (env!("CARGO_PKG_VERSION"), architecture());
    let one = json!({ "Version": version, "Os": "linux", "Arch": arch });
    let document = json!({ "Client": one, "Server": one });
    ui::print(&match format(matches)? {
        Format::Table => format!("boxwright\n Version:  {version}\n OS/Arch:  linux/{arch}\n"),
        Format::Json => format!("{document}\n"),
        Format::Template(pieces, _) => template::fill(&pieces, &document)? + "\n",
    });
    Ok(ExitCode::SUCCESS)
}

/// As docker and OCI images call it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
