//! What README.md says is so: its commands run, its tables are the program's and Cargo.toml's, and its reports are
//! reports. With BOXWRIGHT_BLESS set, the parts between `<!-- NAME -->` and `<!-- /NAME -->` and the picture are written
//! anew, and not compared.

mod common;

use common::{World, normal, picture};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The picture, and the stage that it shows; and the stage whose report the README has as text.
const PICTURE: (&str, &str) = ("book/src/images/report-private-mounts.svg", "private-mounts");
const REPORT: &str = "add-net";

/// A file of the repository: where the tests run, which need not be where they were compiled.
fn path(file: &str) -> PathBuf {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    root.join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn bless() -> bool {
    std::env::var_os("BOXWRIGHT_BLESS").is_some()
}

/// What is between the markers of that name.
fn section(name: &str) -> String {
    let readme = read("README.md");
    let (_, rest) = readme.split_once(&format!("<!-- {name} -->\n")).expect("the opening marker");
    rest.split_once(&format!("<!-- /{name} -->")).expect("the closing marker").0.to_string()
}

/// Compares a part of the README, in the form that `normal` gives both, or writes it anew.
#[track_caller]
fn holds(name: &str, truth: &str, normal: impl Fn(&str) -> String) {
    let now = section(name);
    if bless() {
        let readme = read("README.md");
        let marked = |text: &str| format!("<!-- {name} -->\n{text}<!-- /{name} -->");
        std::fs::write(path("README.md"), readme.replace(&marked(&now), &marked(truth))).expect("README.md");
        return;
    }
    assert_eq!(normal(&now), normal(truth), "README.md, {name}: BOXWRIGHT_BLESS=1 cargo test --test readme");
}

/// All commands of the README's `console` blocks.
fn commands() -> Vec<String> {
    let readme = read("README.md");
    let blocks = readme.split("```console\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).map(str::to_string).collect()
}

/// Why a command cannot be run in a test.
fn cannot_run(command: &str) -> Option<&'static str> {
    match command {
        "cargo test" => Some("it is what is running"),
        c if c.contains(" -it ") || c.contains(" lab watch") => Some("it is for a terminal"),
        c if c.contains(" lab check --all") || c.contains(" lab run") => Some("labs.rs does it, for every lab"),
        c if c.contains("./debian") => Some("its root filesystem is the reader's"),
        _ => None,
    }
}

/// Runs all of them in a shell. Where doctor says that the machine cannot do a stage, its command must fail with 125.
fn commands_run(world: &World) {
    let doctor = world.run(["doctor", "--format", "json"]).json();
    let lacks: BTreeMap<&str, &str> = doctor["stages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|s| Some((s["name"].as_str()?, s["reason"].as_str()?)))
        .collect();
    let mut ran = 0;
    for command in commands() {
        let command = command.replace("cargo run --release --", "boxwright");
        if let Some(reason) = cannot_run(&command) {
            common::record_skip(module_path!(), &format!("`{command}`: {reason}"));
            continue;
        }
        let stage = command.split(' ').nth(1).unwrap_or_default();
        let lack = lacks.get(stage).filter(|_| stage != "full-run");
        let mut shell = world.any("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", world.dir.path().display())).args(["-c", &command]);
        let run = world.finish(shell).exits(if lack.is_some() { 125 } else { 0 });
        if command.contains("echo hello from") {
            assert!(run.stdout.starts_with("hello from ") && run.stdout.contains("process 1"), "{run}");
        }
        ran += 1;
    }
    assert!(ran >= 5, "only {ran} commands could be run");
}

#[test]
fn its_commands_run() {
    commands_run(&World::new());
}

#[test]
fn its_commands_run_for_an_ordinary_user() {
    if !common::is_root() {
        skip!("the other test is for an ordinary user already");
    }
    commands_run(&World::as_user());
}

#[test]
fn its_stages_are_the_programs() {
    let stages = World::new().run(["stages", "--format", "markdown"]).exits(0).stdout;
    holds("stages", &format!("\n{stages}\n"), str::to_string);
}

#[test]
fn its_report_is_a_report() {
    if !common::is_root() {
        skip!("it is root's");
    }
    let world = World::new();
    let report = world.run([REPORT]).exits(0).stdout;
    let shown = format!("\n```console\n$ boxwright {REPORT}\n{report}```\n\n");
    let bare = |text: &str| {
        let (_, report) = text.split_once(&format!("$ boxwright {REPORT}\n")).expect("the command");
        normal::text(report.trim_end().trim_end_matches("```"), &world.root())
    };
    holds("report", &shown, bare);
}

#[test]
fn its_picture_shows_a_report() {
    if !common::is_root() {
        skip!("it is root's");
    }
    let (file, stage) = PICTURE;
    let world = World::new();
    let mut command = world.command([stage]);
    command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1");
    let report = world.finish(command).exits(0).stdout;
    let drawn = picture::draw(&format!("The report of boxwright {stage}"), &format!("$ boxwright {stage}\n{report}"));
    if bless() {
        std::fs::create_dir_all(path(file).parent().expect("a directory")).expect("mkdir");
        std::fs::write(path(file), &drawn).expect("the picture");
    }
    assert!(read("README.md").contains(&format!("({file})")), "README.md does not show {file}");
    let text = |svg: &str| normal::text(&picture::read(svg), &world.root());
    assert_eq!(text(&read(file)), text(&drawn), "{file}: BOXWRIGHT_BLESS=1 cargo test --test readme");
    assert!(picture::read(&drawn).contains("kernel calls\n"), "a picture of nothing");
}

/// Each dependency of Cargo.toml with the comment above it, and whether only the tests need it.
fn dependencies() -> String {
    let mut out = String::from("\n| crate | for | why |\n| --- | --- | --- |\n");
    let (mut whose, mut why) = (None, String::new());
    for line in read("Cargo.toml").lines() {
        if line.starts_with('[') {
            whose = match line {
                "[dependencies]" => Some("the program"),
                "[dev-dependencies]" => Some("the tests"),
                _ => None,
            };
        }
        match (line.strip_prefix("# "), line.split_once(" = ")) {
            (Some(comment), _) => why = format!("{why} {comment}").trim().to_string(),
            (None, Some((name, _))) if let Some(whose) = whose => {
                assert!(!why.is_empty(), "Cargo.toml does not say why it needs {name}");
                out += &format!("| `{name}` | {whose} | {} |\n", std::mem::take(&mut why));
            }
            _ => why.clear(),
        }
    }
    out + "\n"
}

#[test]
fn its_dependencies_are_cargos_with_their_reasons() {
    let table = dependencies();
    assert!(table.contains("| `nix` | the program |") && table.contains("| `insta` | the tests |"), "{table}");
    holds("dependencies", &table, str::to_string);
}

#[test]
fn its_oldest_rustc_is_cargos() {
    let cargo = read("Cargo.toml");
    let version =
        cargo.split_once("rust-version = \"").and_then(|(_, rest)| rest.split('"').next()).expect("it is there");
    assert!(read("README.md").contains(&format!("rustc {version}")), "README.md does not name rustc {version}");
}
