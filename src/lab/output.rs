//! The output of any command in the form that it has on every machine: reports of stages as [`normal`] has them, and of
//! all else what is given out anew each time. Namespaces become letters, in the order in which they are first seen, so
//! that it still shows which are the same.

use super::normal;
use crate::state::State;
use regex_lite::Regex;

/// Makes outputs normal. One for a whole script, because of the letters.
#[derive(Debug)]
pub struct Normaliser {
    /// Paths of this run, and the words that stand for them; longer paths first.
    places: Vec<(String, &'static str)>,
    /// The numbers of namespaces so far.
    namespaces: Vec<String>,
    /// The state's directory, for reports.
    root: std::path::PathBuf,
}

impl Normaliser {
    /// For commands that run in `dir`, with this state.
    pub fn new(dir: &std::path::Path, state: &State) -> Normaliser {
        let text = |path: &std::path::Path| path.display().to_string();
        let home = std::env::var("HOME").unwrap_or_default();
        let mut places = vec![(text(&state.lib), "LIB"), (text(&state.run), "RUN"), (text(dir), "DIR")];
        if home.len() > 1 {
            places.push((home, "HOME"));
        }
        places.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Normaliser { places, namespaces: vec![], root: state.lib.clone() }
    }

    /// What a command printed, as it is everywhere; `varies` is what the script says about it besides.
    pub fn output(&mut self, printed: &str, varies: &[(Regex, String)]) -> String {
        let mut out = String::new();
        let printed = without_excuses(printed);
        let mut lines = printed.lines().peekable();
        while let Some(line) = lines.next() {
            if line.starts_with("● ") || line.starts_with("○ ") {
                let mut report = format!("{line}\n");
                while let Some(more) = lines.next_if(|l| l.is_empty() || l.starts_with("  ")) {
                    report.push_str(&format!("{more}\n"));
                }
                out.push_str(&self.in_report(&report));
                continue;
            }
            let mut line = normal::words(&self.in_line(line));
            for (pattern, word) in varies {
                line = pattern.replace_all(&line, word.as_str()).into_owned();
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    fn in_report(&self, report: &str) -> String {
        let text = normal::text(report, &self.root).replace("ROOT", "LIB");
        // The bridge of a state that has been moved has another name, and the addresses are given out in turn.
        let bridge = Regex::new(r"\b(boxwright0|bw0-ID)\b").map(|name| name.replace_all(&text, "BRIDGE").into_owned());
        let text = bridge.unwrap_or(text);
        // Before, it is what somebody above has set, if anybody has: systemd does, for each user.
        let above =
            Regex::new(r"((?:pids|memory)\.max +)\d+( →)").map(|a| a.replace_all(&text, "${1}max${2}").into_owned());
        let text = above.unwrap_or(text);
        let address = Regex::new(r"(eth0 \d+\.N\.N\.)\d+").map(|a| a.replace_all(&text, "${1}N").into_owned());
        address.unwrap_or(text)
    }

    fn in_line(&mut self, line: &str) -> String {
        let mut line = line.to_string();
        for (path, word) in &self.places {
            line = line.replace(path.as_str(), word);
        }
        let mut out = String::new();
        let mut rest = line.as_str();
        // `pid:[4026531836]`
        while let Some((before, after)) = rest.split_once(":[") {
            out.push_str(before);
            out.push_str(":[");
            rest = after;
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 && after[digits..].starts_with(']') {
                out.push_str(&self.letter(&after[..digits]));
                rest = &after[digits..];
            }
        }
        out + rest
    }

    fn letter(&mut self, number: &str) -> String {
        let at = self.namespaces.iter().position(|n| n == number).unwrap_or_else(|| {
            self.namespaces.push(number.to_string());
            self.namespaces.len() - 1
        });
        // More than 26 namespaces in one lab would be a strange lab; they go on with A1.
        let letter = char::from(b'A' + (at % 26) as u8);
        if at < 26 { letter.to_string() } else { format!("{letter}{}", at / 26) }
    }
}

/// Without what boxwright says about this machine only: what it skips here, and what to do about it.
fn without_excuses(printed: &str) -> String {
    let mut out = String::new();
    let mut excuse = false;
    for line in printed.lines() {
        excuse = line.starts_with("boxwright: skipped ")
            || line.starts_with("boxwright: note: net.ipv4.ip_forward was")
            // Its place is the report of add-net; an ordinary user would read it under every command.
            || line.starts_with("boxwright: note: without root, bridge and rules")
            || excuse && line.starts_with("  try: ");
        if !excuse {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normaliser() -> Normaliser {
        let state = State { run: "/r/run".into(), lib: "/r/lib".into(), moved: true };
        Normaliser::new(std::path::Path::new("/tmp/x/lab"), &state)
    }

    #[test]
    fn the_same_namespace_has_the_same_letter() {
        let mut normal = normaliser();
        assert_eq!(normal.output("pid:[4026531836] pid:[12]\n", &[]), "pid:[A] pid:[B]\n");
        assert_eq!(normal.output("mnt:[12] x:[y] z:[7", &[]), "mnt:[B] x:[y] z:[7\n");
    }

    #[test]
    fn places_and_what_the_script_says_become_words() {
        let varies = [(Regex::new("^[0-9]+").expect("a pattern"), "PID".to_string())];
        assert_eq!(normaliser().output("12 /tmp/x/lab/file  \n", &varies), "PID DIR/file\n");
    }

    #[test]
    fn excuses_go_with_their_remedy() {
        let printed = "boxwright: skipped join-cgroup, because x\n  try: y\nout\n  try: stays\n";
        assert_eq!(normaliser().output(printed, &[]), "out\n  try: stays\n");
    }
}
