//! The command's environment: what docker gives every container, then the image's, then `--env-file`, then `-e`; a
//! later one replaces an earlier one in its place.

use super::build::Options;
use crate::error::{Error, Result};
use crate::image::Image;
use std::path::{Path, PathBuf};

/// docker's default search path.
pub const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A setting: a variable with its value, or one that is to be taken out (`-e KEY` where the caller has no KEY).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Setting {
    Set(String),
    Unset(String),
}

/// A container's environment, by its flags and its image.
///
/// # Errors
/// As [`compose`].
pub fn build(options: &Options, image: Option<&Image>) -> Result<Vec<String>> {
    let of_image = image.map(|i| i.env.as_slice()).unwrap_or_default();
    compose(of_image, &options.env_file, &options.env, options.tty)
}

/// The whole environment, but for HOME and HOSTNAME, which only the container knows.
///
/// # Errors
/// A variable without a name; an `--env-file` that cannot be read or is none.
pub fn compose(image: &[String], files: &[PathBuf], args: &[String], tty: bool) -> Result<Vec<String>> {
    let caller = |name: &str| std::env::var(name).ok();
    let mut settings = vec![Setting::Set(PATH.to_string())];
    settings.extend(tty.then(|| Setting::Set("TERM=xterm".to_string())));
    settings.extend(image.iter().filter(|v| v.contains('=')).cloned().map(Setting::Set));
    for file in files {
        settings.extend(read_file(file, caller)?.into_iter().map(Setting::Set));
    }
    for arg in args {
        settings.push(argument(arg, caller)?);
    }
    Ok(merge(settings))
}

/// The value of a variable in such a list.
pub fn get<'a>(env: &'a [String], name: &str) -> Option<&'a str> {
    env.iter().find_map(|v| v.strip_prefix(name)?.strip_prefix('='))
}

fn merge(settings: Vec<Setting>) -> Vec<String> {
    let mut env: Vec<String> = Vec::new();
    for setting in settings {
        let name = match &setting {
            Setting::Set(text) => text.split('=').next().unwrap_or_default(),
            Setting::Unset(name) => name,
        };
        let place = env.iter().position(|v| v.split('=').next() == Some(name));
        match (setting, place) {
            (Setting::Set(text), Some(at)) => env[at] = text,
            (Setting::Set(text), None) => env.push(text),
            (Setting::Unset(_), Some(at)) => drop(env.remove(at)),
            (Setting::Unset(_), None) => {}
        }
    }
    env
}

/// `-e KEY=VALUE`, or `-e KEY` for the caller's own value.
fn argument(arg: &str, caller: impl Fn(&str) -> Option<String>) -> Result<Setting> {
    let name = arg.split('=').next().unwrap_or_default();
    if name.is_empty() || arg.contains('\0') {
        return Err(Error::new(format!("invalid environment variable: {arg:?}"))
            .why("it has no name")
            .hint("-e NAME=VALUE, or -e NAME for the value it has here"));
    }
    if arg.contains('=') {
        return Ok(Setting::Set(arg.to_string()));
    }
    Ok(caller(name).map_or_else(|| Setting::Unset(name.to_string()), |value| Setting::Set(format!("{name}={value}"))))
}

fn read_file(file: &Path, caller: impl Fn(&str) -> Option<String>) -> Result<Vec<String>> {
    let shown = file.display();
    let hint = "one NAME=VALUE or NAME to a line; # begins a comment; quotes are part of the value";
    let bytes = std::fs::read(file).map_err(|e| {
        Error::io(format!("open({shown}) for --env-file"), &e).hint(format!("--env-file takes a readable file: {hint}"))
    })?;
    parse_file(&bytes, caller)
        .map_err(|(line, why)| Error::new(format!("--env-file {shown}, line {line}: {why}")).hint(hint))
}

/// docker's format: a line is `NAME=VALUE` (the value as it stands, with its quotes and spaces), `NAME` (the caller's
/// value, if there is one), empty, or a comment. The error is the number of the line and what is wrong with it.
fn parse_file(
    bytes: &[u8],
    caller: impl Fn(&str) -> Option<String>,
) -> std::result::Result<Vec<String>, (usize, String)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes); // a byte order mark
    let mut all = Vec::new();
    for (number, line) in bytes.split(|&b| b == b'\n').enumerate() {
        let wrong = |why: String| (number + 1, why);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line).map_err(|_| wrong("contains invalid utf8 bytes".into()))?.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(n, v)| (n, Some(v)));
        if name.is_empty() {
            return Err(wrong(format!("no variable name on line {line:?}")));
        }
        if name.contains(char::is_whitespace) {
            return Err(wrong(format!("variable {name:?} contains whitespaces")));
        }
        if line.contains('\0') {
            return Err(wrong("contains a zero byte".into()));
        }
        all.extend(value.map(str::to_string).or_else(|| caller(name)).map(|value| format!("{name}={value}")));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Option<String> {
        (name == "HERE").then(|| "mine".to_string())
    }

    #[test]
    fn arguments() {
        let set = |text: &str| Setting::Set(text.into());
        assert_eq!(argument("A=b=c", caller).unwrap(), set("A=b=c"));
        assert_eq!(argument("A=", caller).unwrap(), set("A="));
        assert_eq!(argument("HERE", caller).unwrap(), set("HERE=mine"));
        assert_eq!(argument("GONE", caller).unwrap(), Setting::Unset("GONE".into()));
        for bad in ["", "=x", "="] {
            assert!(argument(bad, caller).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn later_settings_win_in_the_place_of_earlier_ones() {
        let set = |text: &str| Setting::Set(text.into());
        let all = vec![set("A=1"), set("B=2"), set("A=3"), Setting::Unset("B".into()), set("AB=4")];
        assert_eq!(merge(all), ["A=3", "AB=4"]);
    }

    #[test]
    fn files_are_dockers() {
        let text = b"\xef\xbb\xbfA=1\r\n  # comment\n\n\tB= 'two words' # not a comment\nHERE\nGONE\nEMPTY=\n";
        assert_eq!(parse_file(text, caller).unwrap(), ["A=1", "B= 'two words' # not a comment", "HERE=mine", "EMPTY="]);
        assert_eq!(parse_file(b"A=1\n=2", caller).unwrap_err().0, 2);
        assert!(parse_file(b"A B=1", caller).unwrap_err().1.contains("whitespaces"));
        assert!(parse_file(b"A =1", caller).unwrap_err().1.contains("whitespaces"));
        assert!(parse_file(b"A=\xff", caller).unwrap_err().1.contains("utf8"));
    }

    #[test]
    fn lookup_takes_whole_names() {
        let env = ["PATHS=1".to_string(), "PATH=2".to_string()];
        assert_eq!(get(&env, "PATH"), Some("2"));
        assert_eq!(get(&env, "PAT"), None);
    }
}
