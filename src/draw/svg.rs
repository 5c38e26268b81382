//! Shapes as SVG. The page has a background of its own, so that it can be read on a light page and on a dark one; who
//! prefers dark gets a dark one. No fonts, no scripts, nothing from elsewhere.

use super::layout::{Anchor, Page, Shape, WIDTH};
use super::scene::Scene;
use std::fmt::Write;

/// The whole file.
pub fn write(scene: &Scene, page: &Page) -> String {
    let (number, name, sentence) = &scene.heading;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>\n{}</style>\n",
        short(page.height),
        escape(&format!("{number} {name}: {sentence}")),
        escape(&scene.words()),
        style(),
    );
    page.shapes.iter().for_each(|s| shape(&mut out, s));
    out + "</svg>\n"
}

fn shape(out: &mut String, shape: &Shape) {
    // Writing into a string cannot fail.
    let _ = match shape {
        Shape::Open(attributes) => {
            let all: String = attributes.iter().map(|(k, v)| format!(" {k}=\"{}\"", escape(v))).collect();
            writeln!(out, "<g{all}>")
        }
        Shape::Close => writeln!(out, "</g>"),
        Shape::Box([x, y, w, h, r], class) => {
            let [x, y, w, h, r] = [x, y, w, h, r].map(|n| short(*n));
            let radius = if r == "0" { String::new() } else { format!(" rx=\"{r}\"") };
            writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"{radius} class=\"{class}\"/>")
        }
        Shape::Path(path, class) => writeln!(out, "<path d=\"{path}\" class=\"{class}\"/>"),
        Shape::Text { x, y, anchor, font, colour, text, fact, .. } => {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let fact = fact.map(|f| format!(" data-fact=\"{f}\"")).unwrap_or_default();
            let (x, y, font) = (short(*x), short(*y), font.class());
            writeln!(out, "<text x=\"{x}\" y=\"{y}\"{anchor} class=\"{font} {colour}\"{fact}>{}</text>", escape(text))
        }
    };
}

/// At most two decimals.
fn short(n: f32) -> String {
    let text = format!("{n:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// For text and for attributes. What XML 1.0 does not know at all has no place in a picture either.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// What has a colour: selector, property, in the light, in the dark.
#[rustfmt::skip]
const COLOURS: [(&str, &str, &str, &str); 45] = [
    (".card", "fill", "#fcfcfa", "#14181f"),
    (".card", "stroke", "#d3d8df", "#2b3340"),
    (".host,.inflow,.shared", "fill", "#e4e9f0", "#252d39"),
    (".host", "stroke", "#8693a5", "#68778c"),
    (".group", "fill", "#eef2f6", "#1f2631"),
    (".group", "stroke", "#9aa5b4", "#5c6878"),
    (".group.own", "stroke", "#0b7a75", "#3fb8ae"),
    (".group.own", "fill", "#e3f2f0", "#17302f"),
    (".container", "fill", "#ffffff", "#171c24"),
    (".container", "stroke", "#3b4656", "#a9b5c5"),
    (".lane.shared,.swatch", "stroke", "#a3aebc", "#515d6e"),
    (".lane.unseen", "stroke", "#a3aebc", "#515d6e"),
    (".lane.unseen", "fill", "#ffffff", "#171c24"),
    (".process", "fill", "#2a3444", "#3a4a61"),
    (".kernel", "fill", "#46546a", "#4a5a73"),
    (".number", "fill", "#2a3444", "#3a4a61"),
    (".on-dark", "fill", "#ffffff", "#ffffff"),
    (".ink", "fill", "#1d2530", "#e8edf4"),
    (".faint", "fill", "#566273", "#a3b0c1"),
    (".warn", "fill", "#8a4b00", "#f0b060"),
    (".bar,.hole", "fill", "#ffffff", "#0e1218"),
    (".bar,.hole", "stroke", "#9aa5b4", "#5c6878"),
    (".level", "fill", "#0b7a75", "#3fb8ae"),
    (".quota", "fill", "#8fcac5", "#2a6f6a"),
    (".stop", "fill", "#46546a", "#8796ab"),
    (".call", "stroke", "#46546a", "#8796ab"),
    (".world", "fill", "#ffffff", "#171c24"),
    (".world", "stroke", "#2f5fc4", "#7fa6ff"),
    (".cable", "stroke", "#2f5fc4", "#7fa6ff"),
    (".plug", "fill", "#2f5fc4", "#7fa6ff"),
    (".slab", "stroke", "#2f7d3a", "#6cc47a"),
    (".writable", "fill", "#d3efd3", "#1d4526"),
    (".read-only", "fill", "#ebefe6", "#232b26"),
    (".new", "stroke", "#d9480f", "#ff8a4c"),
    (".new-tag", "fill", "#d9480f", "#c2410c"),
    ("user", "#7a3fc0", "#bd93f9", "#f2eafb"),
    ("pid", "#1769aa", "#6cb6ff", "#e6f1fa"),
    ("cgroup", "#0b7a75", "#3fb8ae", "#e3f2f0"),
    ("mnt", "#2f7d3a", "#6cc47a", "#e8f4e8"),
    ("uts", "#8a6a00", "#e2c04f", "#faf3dc"),
    ("ipc", "#b5317a", "#ff8ac4", "#fbe9f2"),
    ("net", "#2f5fc4", "#7fa6ff", "#e8eefb"),
    ("time", "#5b6470", "#a3b0c1", "#eef0f2"),
    (".frame", "fill", "none", "none"),
    (".world,.device", "stroke-width", "2", "2"),
];

/// The dark of a namespace's lane: one for all, for its colour is in its wall and its name.
const DARK_LANE: &str = "#1c232d";

fn style() -> String {
    let mut out = String::from(
        "text{font-size:14.5px;font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\n\
         .mono{font-size:14px;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}\n\
         .title{font-size:22px;font-weight:700}.bold{font-weight:700}.tag{font-size:13px;font-weight:700}\n\
         .host{stroke-width:1.5}.container{stroke-width:2}.group{stroke-width:1.5;stroke-dasharray:6 4}\n\
         .group.own,.lane.own,.device{stroke-width:2}.lane.shared{stroke-width:1;fill:none}\n\
         .lane.unseen{stroke-dasharray:2 4}.cable{stroke-width:4;fill:none}.call{stroke-width:2;fill:none}\n",
    );
    rules(&mut out, |light, _| light);
    out += ".new,.lane.new,.device.new,.group.new{stroke-width:3.5}.cable.new{stroke-width:5}\n@media (prefers-color-scheme:dark){\n";
    rules(&mut out, |_, dark| dark);
    out + "}\n"
}

fn rules(out: &mut String, pick: impl Fn(&'static str, &'static str) -> &'static str) {
    for (selector, a, b, c) in COLOURS {
        if selector.starts_with('.') {
            let _ = writeln!(out, "{selector}{{{a}:{}}}", pick(b, c));
        } else {
            let (strong, weak) = (pick(a, b), pick(c, DARK_LANE));
            let _ = writeln!(
                out,
                ".own.{selector},.device.{selector}{{stroke:{strong};fill:{weak}}}.ink.{selector}{{fill:{strong}}}"
            );
        }
    }
    // Last, so that it is stronger than a namespace's own colour.
    let _ =
        writeln!(out, ".lane.new,.device.new,.group.new,.slab.new,.cable.new{{stroke:{}}}", pick("#d9480f", "#ff8a4c"));
    let _ = writeln!(out, ".plug.new{{fill:{}}}", pick("#d9480f", "#ff8a4c"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_becomes_markup() {
        assert_eq!(escape("<a href=\"x\">&\u{1b}[0m\n"), "&lt;a href=&quot;x&quot;&gt;&amp;\u{fffd}[0m\u{fffd}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, 0.5, 0.125, 480.0].map(short), ["1", "0.5", "0.12", "480"]);
    }
}
