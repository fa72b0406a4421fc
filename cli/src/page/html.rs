//! A page as HTML: what is said in sentences is text of its own, tensors are a packed block.
//!
//! Whatever comes from a file goes through [`escaped`], and the policy in the page's head lets
//! nothing run or load but its own script and style, by their digests.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::model::{Block, Entry, Fact, Finding, Page, Sheet, shown};
use super::pack::packed;
use crate::terminal::text::{count, size};

const STYLE: &str = include_str!("page.css");
const FRAME: &str = include_str!("page.html");
const SCRIPT: &str = concat!(
    "'use strict';\n",
    include_str!("js/unpack.js"),
    include_str!("js/elements.js"),
    include_str!("js/folding.js"),
    include_str!("js/treemap.js"),
    include_str!("js/heat.js"),
    include_str!("js/table.js"),
    include_str!("js/ribbons.js"),
    include_str!("js/page.js"),
);

/// The page.
pub(crate) fn to_html(page: &Page) -> String {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        digest(SCRIPT),
        digest(STYLE)
    );
    let mut body = String::new();
    if page.sheets.len() > 1 {
        contents(page, &mut body);
    }
    for (number, each) in page.sheets.iter().enumerate() {
        sheet(each, number, &mut body);
    }
    let title = escaped(&page.title);
    filled(
        FRAME,
        &[
            ("policy", &policy),
            ("title", &title),
            ("style", STYLE),
            ("body", &body),
            ("script", SCRIPT),
        ],
    )
}

/// A text with every `{{name}}` replaced; what is put there is not looked at again.
fn filled(frame: &str, values: &[(&str, &str)]) -> String {
    let mut pieces = frame.split("{{");
    let mut out = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").expect("each place has an end");
        let value = values.iter().find(|(known, _)| *known == name);
        out.push_str(value.expect("each place has a value").1);
        out.push_str(rest);
    }
    out
}

/// A digest as a content security policy has it.
fn digest(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// Text that HTML shows as it is, and whose direction stays its own.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Writing to a text does not fail.
macro_rules! put {
    ($out:expr, $($text:tt)*) => {
        let _ = writeln!($out, $($text)*);
    };
}

fn contents(page: &Page, out: &mut String) {
    put!(out, r#"<nav class="contents" aria-label="Files"><ol>"#);
    for (number, sheet) in page.sheets.iter().enumerate() {
        let title = escaped(&sheet.title);
        put!(out, r##"<li><a href="#file{number}"><bdi>{title}</bdi></a></li>"##);
    }
    put!(out, "</ol></nav>");
}

fn sheet(sheet: &Sheet, number: usize, out: &mut String) {
    put!(out, r#"<article class="sheet" id="file{number}">"#);
    put!(out, "<header>");
    put!(out, "<h1><bdi>{}</bdi></h1>", escaped(&sheet.title));
    put!(out, r#"<p class="summary">{}</p>"#, escaped(&sheet.summary));
    facts(&sheet.facts, out);
    types(&sheet.types, out);
    put!(out, "</header>");
    findings(sheet, out);
    put!(out, r#"<div class="drawn"></div>"#);
    for block in &sheet.blocks {
        self::block(block, out);
    }
    put!(out, r#"<script type="application/octet-stream" class="data">{}</script>"#, packed(sheet));
    put!(out, "</article>");
}

fn facts(facts: &[Fact], out: &mut String) {
    put!(out, r#"<dl class="facts">"#);
    for Fact { label, value, note } in facts {
        let (value, note) = (escaped(value), escaped(note));
        let note = if note.is_empty() { note } else { format!("<small>{note}</small>") };
        put!(out, "<div><dt>{label}</dt><dd>{value}{note}</dd></div>");
    }
    put!(out, "</dl>");
}

/// A bar of what each type takes, drawn in a hundred parts.
fn types(types: &[(String, u64)], out: &mut String) {
    let all = types.iter().map(|(_, bytes)| *bytes as f64).sum::<f64>();
    if all == 0.0 {
        return;
    }
    put!(
        out,
        r#"<figure class="types"><svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">"#
    );
    let mut from = 0.0;
    for (place, (_, bytes)) in types.iter().enumerate() {
        let share = *bytes as f64 / all * 100.0;
        let hue = place % 8;
        put!(out, r#"<rect class="hue{hue}" x="{from:.3}" y="0" width="{share:.3}" height="1"/>"#);
        from += share;
    }
    put!(out, "</svg><figcaption><ul>");
    for (place, (dtype, bytes)) in types.iter().enumerate() {
        let (hue, dtype, share) = (place % 8, escaped(dtype), *bytes as f64 / all * 100.0);
        let bytes = size(*bytes);
        put!(
            out,
            r#"<li><i class="hue{hue}"></i><b>{dtype}</b> {bytes} <small>{share:.1} %</small></li>"#
        );
    }
    put!(out, "</ul></figcaption></figure>");
}

fn findings(sheet: &Sheet, out: &mut String) {
    let found = match sheet.findings.len() {
        0 => "Nothing found".to_string(),
        some => count(some, "finding"),
    };
    put!(out, r#"<section class="findings"><h2>{found}</h2><ol>"#);
    for finding in &sheet.findings {
        self::finding(finding, out);
    }
    put!(out, "</ol>");
    put!(out, r#"<p class="aside">{}</p></section>"#, escaped(&sheet.looked_at));
}

fn finding(Finding { grade, what, details, remedy }: &Finding, out: &mut String) {
    let (name, sign) = (grade.name(), grade.sign());
    put!(
        out,
        r#"<li class="finding {name}"><p><span class="grade"><i aria-hidden="true">{sign}</i> {name}</span> {}</p>"#,
        escaped(what)
    );
    if !details.is_empty() {
        put!(out, "<ul>");
        for detail in details {
            put!(out, "<li><bdi>{}</bdi></li>", escaped(detail));
        }
        put!(out, "</ul>");
    }
    if let Some(remedy) = remedy {
        let command = escaped(&remedy.command);
        put!(
            out,
            r#"<div class="remedy"><span>{}</span><code>{command}</code></div>"#,
            remedy.does
        );
    }
    put!(out, "</li>");
}

fn block(block: &Block, out: &mut String) {
    put!(out, r#"<section class="beside"><h2>{}</h2>"#, block.title);
    entries(&block.entries, out);
    if let Some(more) = &block.more {
        put!(out, r#"<p class="aside">{}</p>"#, escaped(more));
    }
    put!(out, "</section>");
}

/// Those with others below them can be opened; there is no deeper nesting than that of the model.
fn entries(entries: &[Entry], out: &mut String) {
    put!(out, "<ul class=\"entries\">");
    for Entry { name, value, below } in entries {
        let (name, value) = (escaped(name), escaped(value));
        let name = if name.is_empty() { name } else { format!("<b><bdi>{name}</bdi></b> ") };
        let line = format!("{name}<span><bdi>{value}</bdi></span>");
        if below.is_empty() {
            put!(out, "<li>{line}</li>");
        } else {
            put!(out, "<li><details><summary>{line}</summary>");
            self::entries(below, out);
            put!(out, "</details></li>");
        }
    }
    put!(out, "</ul>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escaped("</script><b a='\"&"), "&lt;/script&gt;&lt;b a=&#39;&quot;&amp;");
        assert_eq!(escaped("a\u{202e}b"), r"a\u{202e}b");
    }

    #[test]
    fn what_is_put_in_a_place_is_not_looked_at_again() {
        let values = [("a", "{{b}}"), ("b", "x")];
        assert_eq!(filled("<{{a}}|{{b}}>", &values), "<{{b}}|x>");
    }

    #[test]
    fn the_script_does_not_end_early() {
        assert!(!SCRIPT.to_lowercase().contains("</script"));
        assert!(!SCRIPT.contains("<!--"));
        assert!(!STYLE.to_lowercase().contains("</style"));
    }
}
