//! Reads a picture of `boxwright draw` as XML, strictly; and brings it to the form that it has on every machine, so that
//! the book's pictures can be compared with fresh ones ([`normal`]).

use std::collections::BTreeSet;

/// An element of a picture: its name, its attributes, its text, and what is within.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
    /// Its text.
    pub text: String,
    /// What is within.
    pub children: Vec<Element>,
}

impl Element {
    /// An attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// This one and all within.
    pub fn all(&self) -> Vec<&Element> {
        let mut all = vec![self];
        all.extend(self.children.iter().flat_map(|c| c.all()));
        all
    }

    /// Every text that tells this fact.
    pub fn facts(&self, fact: &str) -> Vec<&str> {
        let about = |e: &&Element| e.name == "text" && e.get("data-fact") == Some(fact);
        self.all().into_iter().filter(about).map(|e| e.text.as_str()).collect()
    }

    /// The part with this attribute.
    pub fn part(&self, name: &str, value: &str) -> Option<&Element> {
        self.all().into_iter().find(|e| e.get(name) == Some(value))
    }

    /// Which namespaces have this standing.
    pub fn namespaces(&self, standing: &str) -> BTreeSet<String> {
        let lanes = self.all().into_iter().filter(|e| e.get("data-standing") == Some(standing));
        lanes.filter_map(|e| e.get("data-ns").map(str::to_string)).collect()
    }
}

/// A picture, if it is well-formed: every element closed by its own name, every `&` an entity, every attribute quoted
/// and there once, and no character that XML does not know.
#[track_caller]
pub fn parse(svg: &str) -> Element {
    assert!(svg.chars().all(|c| c == '\n' || !c.is_control()), "a control character");
    let mut open: Vec<Element> = vec![];
    let mut root = None;
    let mut rest = svg;
    while let Some(at) = rest.find('<') {
        if let Some(element) = open.last_mut() {
            element.text += &unescape(&rest[..at]);
        } else {
            assert!(rest[..at].trim().is_empty(), "text outside of the root");
        }
        let end = rest.find('>').expect("the end of a tag");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        let closed = if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().expect("something to close");
            assert_eq!(element.name, name);
            Some(element)
        } else {
            let (name, mut attributes) = tag.trim_end_matches('/').split_once(' ').unwrap_or((tag, ""));
            let mut element = Element {
                name: name.trim_end_matches('/').into(),
                attributes: vec![],
                text: String::new(),
                children: vec![],
            };
            while let Some((key, more)) = attributes.trim_start().split_once("=\"") {
                let (value, more) = more.split_once('"').expect("the second quote");
                assert!(element.get(key).is_none(), "{key} twice in {tag}");
                element.attributes.push((key.to_string(), unescape(value)));
                attributes = more;
            }
            assert!(attributes.trim().is_empty(), "{tag}");
            open.push(element);
            if tag.ends_with('/') { open.pop() } else { None }
        };
        match (closed, open.last_mut()) {
            (Some(element), Some(parent)) => parent.children.push(element),
            (Some(element), None) => assert!(root.replace(element).is_none(), "two roots"),
            (None, _) => {}
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    root.expect("a root")
}

fn unescape(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (entity, rest) = part.split_once(';').expect("an entity");
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            other => panic!("&{other};"),
        });
        out += rest;
    }
    out
}

/// A picture as it is on every machine: names, numbers and addresses that are given out anew each time become always
/// the same ones, and what only some kernels, machines or versions of cgroups have to say goes.
pub fn normal(svg: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in svg.lines() {
        match text_of(line) {
            Some((_, "used", _)) => {}
            Some((head, fact, text)) => lines.push(format!("{head}>{}</text>", value(fact, text))),
            // How full it is.
            None if line.ends_with("class=\"level\"/>") => {
                let (left, right) = line.split_once("width=\"").expect("a width");
                let (_, right) = right.split_once('"').expect("its end");
                lines.push(format!("{left}width=\"5\"{right}"));
            }
            None => lines.push(line.to_string()),
        }
    }
    let words: Vec<&str> = lines.iter().filter_map(|l| text_of(l)).map(|(_, _, text)| text).collect();
    let words = format!("<desc id=\"desc\">{}</desc>", words.join("; "));
    let lines = lines.iter().map(|l| if l.starts_with("<desc") { &words } else { l }).map(|l| format!("{l}\n"));
    all_capabilities(&lines.collect::<String>())
}

/// A text that tells a fact: what is before its `>`, the fact, the text.
fn text_of(line: &str) -> Option<(&str, &str, &str)> {
    let (head, text) = line.strip_prefix("<text").and_then(|_| line.split_once('>'))?;
    let fact = head.split_once("data-fact=\"")?.1.split('"').next()?;
    Some((head, fact, text.strip_suffix("</text>")?))
}

const ID: &str = "4f1d0c2b8a97";

fn value(fact: &str, text: &str) -> String {
    let own = !text.contains("the caller's") && text != "cannot be seen";
    let first = |end: &str| text.split(end).next().unwrap_or(text).to_string();
    match fact {
        "host" => "workshop".into(),
        "kernel" => "Linux".into(),
        "pid" if text != "process 1" => "process 4711".into(),
        "host-pid" => "the host calls it 4711".into(),
        "pid-map" => "1 in here is 4711 outside".into(),
        "cgroup" if own => format!("…/boxwright-{ID}"),
        "cpu.max" | "memory.max" | "pids.max" | "io.max" if !own => "no limit".into(),
        "cpu.max" => first(", "),
        "memory.max" => first(" + "),
        "disk" => "of disk 8:0".into(),
        "uid-map" if text.starts_with('…') => "… 65535 is 165535".into(),
        "uid-map" => "uid 0 is 100000 outside".into(),
        "address" => "eth0 10.98.0.2/20".into(),
        "route" => "via 10.98.0.1".into(),
        "bridge" => "bridge boxwright0".into(),
        "bridge-address" => "10.98.0.1/20".into(),
        "port" => format!("bw{ID}"),
        "nat" => "10.98.0.0/20 leaves as the host".into(),
        "upper" => format!("…/containers/{ID}/upper"),
        "lower" => "…/images/host/2d7d52c2a3172d86".into(),
        // With a /dev of its own it has a root of its own, whose /proc may be like the host's.
        "fresh-mounts" if text.split(' ').any(|w| w == "/dev") => "its own /proc /sys /dev".into(),
        "fresh-mounts" => {
            // The last one may have been cut.
            let everywhere = |w: &&str| !w.starts_with("/dev/m") && *w != "…";
            text.split(' ').filter(everywhere).collect::<Vec<_>>().join(" ")
        }
        "masked-paths" if text.ends_with("read-only") => "5 hidden, 4 read-only".into(),
        "capabilities" if text.ends_with("as the caller") || text.starts_with("all ") => "all 41".into(),
        _ => text.to_string(),
    }
}

/// Root has all capabilities on one machine and a few less on another, so that a user namespace brings them on one of
/// the two: where it has all, or as many as the caller, it has all and they are nothing new.
fn all_capabilities(svg: &str) -> String {
    let (mut out, mut rest) = (String::new(), svg);
    while let Some(at) = rest.find("<g data-part=\"sieve\"") {
        let end = at + rest[at..].find("</g>\n</g>\n").expect("its end") + "</g>\n</g>\n".len();
        let group = &rest[at..end];
        out += &rest[..at];
        if group.contains(">all 41</text>") {
            let group = group.replace("data-closed=\"true\"", "data-closed=\"false\"").replace(" ink\"", " faint\"");
            let mut hole = None;
            for line in group.lines().filter(|l| !l.contains("new")) {
                let cell = line.starts_with("<rect");
                if !cell {
                    out += &format!("{line}\n");
                } else if hole.is_none() {
                    let y = line.split("y=\"").nth(1).and_then(|l| l.split('"').next()).expect("a place");
                    out += hole.insert(format!(
                        "<rect x=\"50\" y=\"{y}\" width=\"380\" height=\"12\" rx=\"3\" class=\"hole\"/>\n"
                    ));
                }
            }
        } else {
            out += group;
        }
        rest = &rest[end..];
    }
    out + rest
}
