//! Reads what strace(1) wrote, and brings its lines and ours to one form: what differs from run to run (descriptors,
//! process numbers, addresses) becomes a letter.

use std::collections::BTreeMap;
use std::path::Path;

/// The calls of the set-up that `--trace` must show as strace shows them. Not among them: reading files, memory, and
/// the talk between parent and child, which are how the program works and not what a container is made of.
#[rustfmt::skip]
pub const PUBLISHED: [&str; 32] = [
    "clone3", "unshare", "setns", "pivot_root", "chroot", "mount", "umount2", "fsopen", "fsconfig", "fsmount",
    "move_mount", "open_tree", "mount_setattr", "sethostname", "setdomainname", "mkdirat", "mknodat", "symlinkat",
    "fchownat", "unlinkat", "chdir", "fchdir", "umask", "setgroups", "setresgid", "setresuid", "setsid", "prlimit64",
    "capset", "seccomp", "prctl", "execve",
];

/// Is it a line of a published call?
pub fn published(line: &str) -> bool {
    line.split_once('(').is_some_and(|(name, _)| PUBLISHED.contains(&name))
}

/// What each process did, by its number, from the files that `strace -ff -o PREFIX` wrote.
pub fn read(prefix: &Path) -> BTreeMap<i32, Vec<String>> {
    let dir = prefix.parent().expect("a directory");
    let name = prefix.file_name().expect("a name").to_string_lossy().into_owned();
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("the directory").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = file.strip_prefix(&name).and_then(|rest| rest.strip_prefix('.')?.parse().ok()) else {
            continue;
        };
        let text = std::fs::read(entry.path()).expect("strace's file");
        all.insert(pid, String::from_utf8_lossy(&text).lines().map(str::to_string).collect());
    }
    all
}

/// One form for a line of either's: numbers outside of strings become N, addresses @; what is behind the result (the
/// name of an errno stays) and comments go; so do spaces.
pub fn normal(line: &str) -> String {
    let call = line.rsplit_once(" = ").map_or(line, |(call, _)| call);
    let failed = line.rsplit_once(" = -1 ").map(|(_, e)| e.split(' ').next().unwrap_or_default());
    let mut out = String::new();
    let mut chars = call.chars().peekable();
    let mut quoted = false;
    let mut word = String::new();
    // A word is also a list of flags, whose order means nothing.
    let flush = |word: &mut String, out: &mut String| {
        let mut flags: Vec<_> = word.split('|').map(letter).collect();
        flags.sort_unstable();
        *out += &flags.join("|");
        word.clear();
    };
    while let Some(c) = chars.next() {
        if quoted {
            out.push(c);
            match c {
                '\\' => out.extend(chars.next()),
                '"' => quoted = false,
                _ => {}
            }
        } else if c == '/' && chars.peek() == Some(&'*') {
            flush(&mut word, &mut out);
            let mut last = ' ';
            for c in chars.by_ref() {
                if last == '*' && c == '/' {
                    break;
                }
                last = c;
            }
        } else if c.is_ascii_alphanumeric() || c == '_' || c == '|' {
            word.push(c);
        } else {
            flush(&mut word, &mut out);
            quoted = c == '"';
            if c != ' ' {
                out.push(c);
            }
        }
    }
    flush(&mut word, &mut out);
    let out = key_arguments(out);
    failed.map_or(out.clone(), |errno| format!("{out}={errno}"))
}

/// N for a number, @ for an address; anything else, also an octal mode, stays.
fn letter(word: &str) -> &str {
    let number =
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    let address = word.starts_with("0x") && word.len() > 8;
    if number {
        "N"
    } else if address {
        "@"
    } else {
        word
    }
}

/// Where strace shows what is only an address of the caller's memory, or what the kernel answered through one.
fn key_arguments(call: String) -> String {
    match call.split_once('(').map(|(name, _)| name) {
        Some("clone3") => {
            let call = call.replace("pidfd=@,", "").replace(",stack=NULL,stack_size=N", "");
            match (call.find("=>{"), call.rfind("},")) {
                (Some(from), Some(to)) if from < to => format!("{}{}", &call[..from], &call[to + 1..]),
                _ => call,
            }
        }
        Some("execve") => call.replace(",@)", ",)"),
        _ => call,
    }
}

/// Are the lines of `part` all in `whole`, in that order? If not, the first that is not.
pub fn missing<'a>(part: &'a [String], whole: &[String]) -> Option<&'a String> {
    let mut rest = whole.iter();
    part.iter().find(|line| !rest.any(|other| other == *line))
}
