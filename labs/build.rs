//! Puts the labs, the book's chapters and the source files that the chapters quote into the program, so that a learner
//! needs no checkout. A lab is a folder here and a chapter is a file there: adding one changes nothing else.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let top = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut out = String::new();

    out.push_str("pub static FOLDERS: &[(&str, Files)] = &[\n");
    for folder in entries(&top.join("labs")) {
        let name = name(&folder);
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            writeln!(out, "({name:?}, {}),", files(&folder, "", |_| true)).expect("a String takes it");
        }
    }
    out.push_str("];\n");

    let lib = top.join("labs/lib.sh");
    println!("cargo::rerun-if-changed={}", lib.display());
    writeln!(out, "pub static LIB: &str = include_str!({lib:?});").expect("a String takes it");

    let book = top.join("book/src");
    let chapters = files(&book, "", |file| file.extension().is_some_and(|e| e == "md"));
    writeln!(out, "pub static CHAPTERS: Files = {chapters};").expect("a String takes it");

    let mut quoted = Vec::new();
    quotes(&book, &mut quoted);
    quoted.sort();
    quoted.dedup();
    out.push_str("pub static QUOTED: Files = &[\n");
    for file in quoted {
        let path = top.join(&file);
        println!("cargo::rerun-if-changed={}", path.display());
        assert!(path.is_file(), "a chapter includes {file}, which is not there");
        writeln!(out, "({file:?}, include_str!({path:?})),").expect("a String takes it");
    }
    out.push_str("];\n");

    let to = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("embedded.rs");
    std::fs::write(to, out).expect("the generated file");
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    println!("cargo::rerun-if-changed={}", dir.display());
    let mut all: Vec<PathBuf> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    all.sort();
    all
}

fn name(path: &Path) -> String {
    path.file_name().expect("it has one").to_str().expect("UTF-8").to_string()
}

/// `&[("path/below", include_str!("/path")), …]`.
fn files(dir: &Path, below: &str, wanted: fn(&Path) -> bool) -> String {
    let mut out = String::from("&[\n");
    walk(dir, below, &mut |below, file| {
        if wanted(file) {
            writeln!(out, "({below:?}, include_str!({file:?})),").expect("a String takes it");
        }
    });
    out + "]"
}

fn walk(dir: &Path, below: &str, visit: &mut dyn FnMut(&str, &Path)) {
    for entry in entries(dir) {
        let below = if below.is_empty() { name(&entry) } else { format!("{below}/{}", name(&entry)) };
        if entry.is_dir() { walk(&entry, &below, visit) } else { visit(&below, &entry) }
    }
}

/// The files that chapters include, as paths from the top: `{{#include ../../../src/wire.rs:frame}}`.
fn quotes(book: &Path, found: &mut Vec<String>) {
    walk(book, "", &mut |_, file| {
        let Ok(text) = std::fs::read_to_string(file) else { return };
        for rest in text.split("{{#include ").skip(1) {
            // A file beside the chapter is the book's own, and is here already.
            if let Some(path) = rest.split([':', '}']).next().unwrap_or_default().trim().strip_prefix("../") {
                found.push(path.trim_start_matches("../").to_string());
            }
        }
    });
}
