//! The book: it builds, its links lead somewhere, its commands run, and a browser shows every page of it without an
//! error. (The steps of labs that it shows are held by labs.rs.)
//!
//! What builds it is mdbook, a command that need not be there; the browser is Chromium, which need not either. Both are
//! skipped loudly. BOXWRIGHT_SHOTS=DIR keeps pictures of the pages, to be looked at.

mod common;

use common::{World, normal};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// All files below a directory with that ending, as paths below it.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path.strip_prefix(dir).expect("below").to_path_buf());
            }
        }
    }
    found.sort();
    found
}

/// Why there can be no book here.
fn no_mdbook() -> Option<&'static str> {
    (!common::installed("mdbook")).then_some("no mdbook in PATH (cargo install --locked mdbook@0.5.4)")
}

/// The book as HTML, in the test's own directory.
fn build(world: &World) -> PathBuf {
    let html = world.dir.path().join("home/html");
    let mut mdbook = world.any("mdbook");
    // As an ordinary user who cannot write into the repository, and without asking cargo for what has been built.
    mdbook
        .env("MDBOOK_preprocessor__boxwright__command", format!("{} lab mdbook", world.program().display()))
        .args(["build", "-d"])
        .arg(&html)
        .arg(top().join("book"));
    let run = world.finish(mdbook).exits(0);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{run}");
    html
}

#[test]
fn every_link_leads_somewhere() {
    if let Some(reason) = no_mdbook() {
        skip!("{reason}");
    }
    let world = World::new();
    let html = build(&world);
    let pages: BTreeMap<PathBuf, String> = files(&html, "html")
        .into_iter()
        .map(|page| (page.clone(), std::fs::read_to_string(html.join(&page)).expect("a page")))
        .collect();
    let chapters = files(&top().join("book/src"), "md").len() - 1; // SUMMARY.md is none
    assert!(pages.len() > chapters, "{} pages of {chapters} chapters", pages.len());
    let (mut dead, mut followed) = (Vec::new(), 0);
    // 404.html is shown at any address, and toc.html is part of every page.
    for (page, text) in
        pages.iter().filter(|(page, _)| page.as_os_str() != "404.html" && page.as_os_str() != "toc.html")
    {
        assert!(!content(text).contains("{{#"), "{}: a directive was not carried out", page.display());
        for link in links(content(text)) {
            followed += 1;
            if let Some(why) = leads_nowhere(&html, &pages, page, &link) {
                dead.push(format!("{}: {link}: {why}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "\n{}", dead.join("\n"));
    assert!(followed > chapters, "only {followed} links");
}

/// What of a page is the book's, and not mdBook's.
fn content(page: &str) -> &str {
    let (_, rest) = page.split_once("<main").unwrap_or(("", page));
    rest.split("</main>").next().unwrap_or_default()
}

fn links(html: &str) -> Vec<String> {
    let attributes = ["href=\"", "src=\""];
    let of =
        |attribute: &&str| html.split(*attribute).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>();
    attributes.iter().flat_map(of).map(|link| link.replace("&amp;", "&")).collect()
}

fn leads_nowhere(html: &Path, pages: &BTreeMap<PathBuf, String>, page: &Path, link: &str) -> Option<String> {
    // Nobody asks the network in a test; but a link may not be nonsense.
    if let Some(rest) = link.strip_prefix("https://") {
        let host = rest.split('/').next().unwrap_or_default();
        return (!host.contains('.') || link.contains(' ')).then(|| "no address".into());
    }
    if link.contains("://") {
        return Some("not https".into());
    }
    let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { page.to_path_buf() } else { normal_path(&page.parent()?.join(file)) };
    if !html.join(&target).is_file() {
        return Some("no such file".into());
    }
    let has = |text: &String| text.contains(&format!("id=\"{fragment}\""));
    (!fragment.is_empty() && !pages.get(&target).is_some_and(has)).then(|| "no such heading".into())
}

/// Without `..`, by its words alone.
fn normal_path(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(out.pop()),
            other => out.push(other),
        }
    }
    out
}

/// What every chapter of a stage has, in this order.
const SECTIONS: [&str; 9] = [
    "What you will see",
    "The idea",
    "The kernel calls",
    "Do it with boxwright",
    "What changed",
    "The code that does it",
    "Exercise",
    "What Docker does",
    "Questions",
];

#[test]
fn every_stage_has_a_whole_chapter() {
    let summary = std::fs::read_to_string(top().join("book/src/SUMMARY.md")).expect("SUMMARY.md");
    let mut wrong = Vec::new();
    for file in files(&top().join("book/src/stages"), "md") {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(top().join("book/src/stages").join(&file)).expect("a chapter");
        let mut complain = |what: String| wrong.push(format!("{name}: {what}"));
        if !summary.contains(&format!("(stages/{name}.md)")) {
            complain("SUMMARY.md does not have it".into());
        }
        let mut rest = text.as_str();
        for section in SECTIONS {
            match rest.split_once(&format!("\n## {section}\n")) {
                Some((_, after)) => rest = after,
                None => complain(format!("no section `{section}`, or not in its place")),
            }
        }
        if !text.contains(&format!("../images/stage-{name}.svg")) {
            complain("no picture".into());
        }
        if !text.contains(" minutes*") {
            complain("it does not say how many minutes it takes".into());
        }
        let script = std::fs::read_to_string(top().join("labs").join(&name).join("script.sh")).expect("its lab");
        for (n, title) in script.lines().filter_map(|line| line.strip_prefix("## ")).enumerate() {
            if !text.contains(&format!("{{{{#step {}", n + 1)) {
                complain(format!("step {} ({title}) is not in it", n + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A command of a console block, and what should come of it.
struct Told {
    page: String,
    command: String,
    output: Vec<String>,
}

/// All commands of the console blocks that are written in the book itself.
fn told() -> Vec<Told> {
    let src = top().join("book/src");
    let mut all = Vec::new();
    for page in files(&src, "md") {
        let text = std::fs::read_to_string(src.join(&page)).expect("a page");
        for block in text.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            for line in block.lines() {
                match (line.strip_prefix("$ "), line.strip_prefix("> "), all.last_mut()) {
                    (Some(command), _, _) => {
                        all.push(Told { page: page.display().to_string(), command: command.into(), output: vec![] });
                    }
                    (_, Some(more), Some(Told { command, .. })) => *command += &format!("\n{more}"),
                    (_, _, Some(Told { output, .. })) if !line.is_empty() => output.push(line.into()),
                    _ => {}
                }
            }
        }
    }
    all
}

/// Why a command of the book is not for a test.
fn not_for_a_test(command: &str) -> Option<&'static str> {
    match command {
        c if c.starts_with("cargo ") || c.starts_with("git ") || c.starts_with("mdbook ") => {
            Some("it builds something")
        }
        c if c.starts_with("labs/vm/") => Some("it boots a virtual machine"),
        c if ["lab watch", "lab show", " -it "].iter().any(|w| c.contains(w)) => Some("it is for a terminal"),
        c if c.starts_with("sudo ") || c.starts_with("docker ") => Some("it is for the reader's machine"),
        c if c.contains("lab check --all") || c.contains("lab run") || c.contains("lab check") => {
            Some("labs.rs does it for every lab")
        }
        _ => None,
    }
}

fn commands_run(world: &World) {
    let path = format!("{}:{}", world.dir.path().display(), std::env::var("PATH").unwrap_or_default());
    for Told { page, command, output } in told() {
        if let Some(reason) = not_for_a_test(&command) {
            common::record_skip(module_path!(), &format!("{page}: `{command}`: {reason}"));
            continue;
        }
        let stage = command.split(' ').nth(1).unwrap_or_default();
        let lack = world.lack(stage).filter(|_| command.starts_with("boxwright ") && stage != "full-run");
        let mut shell = world.any("sh");
        // Where the user may leave files.
        shell.env("PATH", &path).args(["-c", &command]).current_dir(world.dir.path().join("home"));
        let run = world.finish(shell);
        // Its code says whether something is missing on this machine, and doctor.rs whether that is true.
        let ok = if command == "boxwright doctor" { run.code() } else { 0 };
        assert!(ok <= 1, "\n{run}");
        let run = run.exits(if lack.is_some() { 125 } else { ok });
        let said = normal::words(&format!("{}{}", run.stdout, run.stderr));
        let mut rest = said.lines();
        for line in output.iter().filter(|line| lack.is_none() && line.as_str() != "…") {
            let line = normal::words(line);
            assert!(
                rest.any(|l| l.trim_end() == line.trim_end()),
                "{page}: `{command}` does not print {line:?}\n{run}"
            );
        }
    }
}

#[test]
fn its_commands_run() {
    commands_run(&World::new().used());
}

#[test]
fn its_commands_run_for_an_ordinary_user() {
    if let Some(reason) = common::left_to_a_user() {
        skip!("{reason}");
    }
    if !common::is_root() {
        skip!("the other test is for an ordinary user already");
    }
    commands_run(&World::as_user().used());
}

/// A web server for one browser: files below a directory, and the page that looks at all others.
fn serve(html: PathBuf, probe: String) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let port = listener.local_addr().expect("its number").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (html, probe) = (html.clone(), probe.clone());
            std::thread::spawn(move || answer(stream, &html, &probe));
        }
    });
    port
}

fn answer(mut stream: std::net::TcpStream, html: &Path, probe: &str) {
    let mut request = [0; 4096];
    let n = stream.read(&mut request).unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..n]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let (status, body) = match path {
        "probe.html" => ("200 OK", probe.as_bytes().to_vec()),
        path => std::fs::read(html.join(path)).map_or(("404 Not Found", vec![]), |body| ("200 OK", body)),
    };
    let kind = match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css",
        "js" => "text/javascript",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        _ => "application/octet-stream",
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

/// Opens every page as wide as a phone and as a desk, and says what is wrong: scripts that fail, pictures that do not
/// show, pages that are wider than the screen.
const PROBE: &str = r#"<!doctype html><meta charset="utf-8"><body><script>
const pages = PAGES, said = [];
async function look(page, width) {
  const frame = document.createElement("iframe");
  frame.style.width = width + "px"; frame.style.height = "800px";
  const loaded = new Promise(done => frame.onload = done);
  frame.src = "/" + page + "?" + width;
  document.body.append(frame);
  const listen = setInterval(() => { const w = frame.contentWindow; if (w && !w.heard) { w.heard = true;
    w.addEventListener("error", e => said.push(page + " at " + width + ": " + (e.message || "cannot load " + (e.target.src || e.target.href))), true); } }, 1);
  await loaded; clearInterval(listen);
  const inside = frame.contentDocument;
  if (!inside.querySelector("main h1")) said.push(page + ": no heading");
  for (const img of inside.querySelectorAll("main img")) {
    img.loading = "eager";
    await img.decode().catch(() => {});
    if (!img.naturalWidth) said.push(page + ": no picture " + img.src);
    if (!img.alt) said.push(page + ": a picture without words " + img.src);
  }
  const wide = inside.scrollingElement.scrollWidth;
  if (wide > width + 1) said.push(page + ": " + wide + " wide on a screen of " + width);
  frame.remove();
}
(async () => {
  for (const page of pages) for (const width of [360, 1200]) await look(page, width);
  const done = document.createElement("pre");
  done.textContent = "LOOKED AT " + pages.length + "\n" + said.join("\n") + "\nEND";
  document.body.append(done);
})();
</script>"#;

fn chromium(world: &World, args: &[&str]) -> common::Output {
    let name = if common::installed("chromium") { "chromium" } else { "chromium-browser" };
    let mut browser = world.any(name);
    let profile = world.dir.path().join("home/profile");
    browser
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(args);
    world.finish(browser)
}

#[test]
fn a_browser_shows_every_page() {
    if let Some(reason) = no_mdbook() {
        skip!("{reason}");
    }
    if !common::installed("chromium") && !common::installed("chromium-browser") {
        skip!("no chromium in PATH");
    }
    let world = World::new();
    let html = build(&world);
    let pages: BTreeSet<String> = files(&html, "html")
        .iter()
        .map(|page| page.display().to_string())
        .filter(|page| page != "404.html" && page != "toc.html")
        .collect();
    // World::new() has given this thread a network namespace of its own, in which the loopback is down.
    let _ = world.finish({
        let mut up = world.any("ip");
        up.args(["link", "set", "lo", "up"]);
        up
    });
    let probe = PROBE.replace("PAGES", &serde_json::to_string(&pages).expect("JSON"));
    let port = serve(html, probe);
    let address = format!("http://127.0.0.1:{port}");
    let run = chromium(&world, &["--virtual-time-budget=600000", "--dump-dom", &format!("{address}/probe.html")]);
    let (_, said) = run.stdout.split_once("<pre>LOOKED AT ").unwrap_or_else(|| panic!("it did not end\n{run}"));
    let (count, said) = said.split_once("\nEND").expect("the end").0.split_once('\n').expect("lines");
    assert_eq!(count.trim(), pages.len().to_string());
    assert_eq!(said.trim(), "", "what the browser found");
    if let Some(dir) = std::env::var_os("BOXWRIGHT_SHOTS") {
        for page in &pages {
            let file = Path::new(&dir).join(format!("{}.png", page.replace(['/', '.'], "-")));
            let shot = format!("--screenshot={}", file.display());
            chromium(&world, &[&shot, "--window-size=1200,3200", &format!("{address}/{page}")]);
        }
    }
}
