//! Remaps and rules as text, and back.
//!
//! | text | means |
//! |---|---|
//! | `identity` | nothing changes |
//! | `strip:module.` `add:module.` | a leading prefix off, a prefix in front |
//! | `rename:a.{n} -> b.{n}` | templates |
//! | `re:^a\. -> b.` | a regular expression |
//! | `keep:a.**` `drop:a.**` | templates, several with spaces between |
//! | `unwrap:module _orig_mod` | wrapper segments |
//! | `table:a -> b` | old and new names, several with ` ; ` between |
//! | `strip:a \| add:b` | one after another (remaps only) |
//!
//! A separator other than `.` is given in brackets before the colon: `strip[/]:module`.
//! A text that holds ` | `, a quote or a line break is written in double quotes, with `\` before
//! a quote or backslash and `\n` for a line break: `strip:"a | b"`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::rules::remap::{Prefix, Rename, Table, TemplatePair};
use crate::rules::rule::{Replacement, Wrappers};
use crate::rules::template::Template;
use crate::{BadRemap, Remap, Rule, SEPARATOR};

const EXPECTED: &str =
    "expected identity, strip:, add:, rename:, re:, keep:, drop:, unwrap: or table:";

impl FromStr for Remap {
    type Err = BadRemap;

    fn from_str(text: &str) -> Result<Remap, BadRemap> {
        let mut stages = stages(text).into_iter().map(|stage| match stage.rule()? {
            Rule::Remap(remap) => Ok(remap),
            _ => Err(bad(text, "two keys could become one, which only a plan can tell")),
        });
        let first = stages.next().unwrap_or_else(|| Err(bad(text, EXPECTED)))?;
        stages.try_fold(first, |so_far, next| Ok(so_far.then(next?)))
    }
}

impl FromStr for Rule {
    type Err = BadRemap;

    fn from_str(text: &str) -> Result<Rule, BadRemap> {
        match stages(text).as_slice() {
            [single] => single.rule(),
            _ => Ok(Rule::Remap(text.parse()?)),
        }
    }
}

/// One stage of a spelling: `kind[separator]:text`.
struct Stage<'a> {
    whole: &'a str,
    kind: &'a str,
    separator: char,
    text: String,
}

fn bad(text: &str, expected: &str) -> BadRemap {
    BadRemap::Spelling { text: text.to_string(), expected: expected.to_string() }
}

/// Splits at ` | ` outside double quotes.
fn stages(text: &str) -> Vec<Stage<'_>> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        let opens = text[..at].ends_with(':') && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if quoted || opens => quoted = !quoted,
            '|' if !quoted && text[start..at].ends_with(' ') && text[at + 1..].starts_with(' ') => {
                parts.push(&text[start..at - 1]);
                start = at + 2;
            }
            _ => {}
        }
    }
    parts.push(&text[start.min(text.len())..]);
    parts.into_iter().map(Stage::read).collect()
}

impl<'a> Stage<'a> {
    fn read(whole: &'a str) -> Stage<'a> {
        let (kind, rest) = whole.split_at(whole.find([':', '[']).unwrap_or(whole.len()));
        let (separator, text) = match rest.strip_prefix('[') {
            Some(rest) => {
                let mut characters = rest.chars();
                let separator = characters.next().unwrap_or(SEPARATOR);
                (separator, characters.as_str().strip_prefix("]:"))
            }
            None => (SEPARATOR, Some(rest.strip_prefix(':').unwrap_or(rest))),
        };
        // Without `]:` after a separator no kind is known, which `rule` says.
        let (kind, text) = text.map_or(("", ""), |text| (kind, text));
        Stage { whole, kind, separator, text: unquoted(text) }
    }

    fn rule(&self) -> Result<Rule, BadRemap> {
        let text = self.text.as_str();
        Ok(match self.kind {
            "identity" if text.is_empty() => Remap::Identity.into(),
            "strip" => Remap::Strip(Prefix::new(text, self.separator)?).into(),
            "add" => Remap::Add(Prefix::new(text, self.separator)?).into(),
            "keep" => Remap::Keep(self.templates()?).into(),
            "drop" => Remap::Drop(self.templates()?).into(),
            "table" => Remap::Table(self.table()?).into(),
            "rename" => Rule::rename(text, self.separator)?,
            "re" => Rule::Replace(Replacement::parse(text)?),
            "unwrap" => {
                let names = split_outside_escapes(text, ' ').into_iter().filter(|n| !n.is_empty());
                Rule::Unwrap(Wrappers::new(names.map(|n| plain(&n)).collect(), self.separator)?)
            }
            _ => return Err(bad(self.whole, EXPECTED)),
        })
    }

    fn templates(&self) -> Result<Vec<Template>, BadRemap> {
        let texts = split_outside_escapes(&self.text, ' ');
        Ok(texts.iter().map(|t| Template::parse(t, self.separator)).collect::<Result<_, _>>()?)
    }

    fn table(&self) -> Result<Table, BadRemap> {
        let pairs = split_outside_escapes(&self.text, ';')
            .into_iter()
            .filter(|p| !p.trim_matches(' ').is_empty());
        let pair = |text: String| match text.trim_matches(' ').split_once(" -> ") {
            Some((old, new)) => Ok((plain(old), plain(new))),
            None => Err(bad(self.whole, "expected 'OLD -> NEW ; OLD -> NEW'")),
        };
        Table::new(pairs.map(pair).collect::<Result<Vec<_>, _>>()?)
    }
}

/// The parts of a text between characters that no backslash precedes, backslashes kept.
fn split_outside_escapes(text: &str, at: char) -> Vec<String> {
    let mut parts = Vec::from([String::new()]);
    let mut escaped = false;
    for c in text.chars() {
        if c == at && !escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

/// A name with the characters escaped that mean something between names.
fn guarded(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            ' ' => out.push_str("\\s"),
            '\\' | ';' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// The reverse of [`guarded`].
fn plain(name: &str) -> String {
    let mut out = String::new();
    let mut characters = name.chars();
    while let Some(c) = characters.next() {
        out.extend(match c {
            '\\' => characters.next().map(|c| if c == 's' { ' ' } else { c }),
            c => Some(c),
        });
    }
    out
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return text.to_string();
    };
    let mut out = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        out.extend(match c {
            '\\' => characters.next().map(|c| if c == 'n' { '\n' } else { c }),
            c => Some(c),
        });
    }
    out
}

fn quoted(text: &str) -> String {
    let needs = text.contains(" | ")
        || text.contains(['"', '\n'])
        || text.starts_with("| ")
        || text.ends_with(" |");
    if !needs {
        return text.to_string();
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// `kind:text`, or `kind[separator]:text` where the separator is not a dot.
struct Spelled<'a>(&'a str, char, String);

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spelled(kind, separator, text) = self;
        match *separator {
            SEPARATOR => write!(f, "{kind}:{}", quoted(text)),
            other => write!(f, "{kind}[{other}]:{}", quoted(text)),
        }
    }
}

fn joined(templates: &[Template]) -> (char, String) {
    let separator = templates.first().map_or(SEPARATOR, Template::separator);
    let texts = templates.iter().map(|t| t.to_string().replace(' ', "\\ "));
    (separator, texts.collect::<Vec<_>>().join(" "))
}

impl fmt::Display for Remap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spelled = match self {
            Remap::Identity => return f.write_str("identity"),
            Remap::Then(first, second) => return write!(f, "{first} | {second}"),
            Remap::Add(prefix) => prefix_spelled("add", prefix),
            Remap::Strip(prefix) => prefix_spelled("strip", prefix),
            Remap::Rename(rename) => pair_spelled(rename.pair()),
            Remap::Keep(templates) => {
                let (separator, text) = joined(templates);
                Spelled("keep", separator, text)
            }
            Remap::Drop(templates) => {
                let (separator, text) = joined(templates);
                Spelled("drop", separator, text)
            }
            Remap::Table(table) => {
                let pairs = table.pairs().map(|(a, b)| format!("{} -> {}", guarded(a), guarded(b)));
                Spelled("table", SEPARATOR, pairs.collect::<Vec<_>>().join(" ; "))
            }
        };
        spelled.fmt(f)
    }
}

fn prefix_spelled<'a>(kind: &'a str, prefix: &Prefix) -> Spelled<'a> {
    Spelled(kind, prefix.separator(), format!("{}{}", prefix.text(), prefix.separator()))
}

fn pair_spelled(pair: &TemplatePair) -> Spelled<'static> {
    Spelled("rename", pair.from().separator(), pair.to_string())
}

impl fmt::Display for TemplatePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from().to_string();
        // `re:` at the start would read as a regular expression.
        let guard = if from.starts_with("re:") { "\\" } else { "" };
        write!(f, "{guard}{from} -> {}", self.to())
    }
}

impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pair().fmt(f)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Remap(remap) => remap.fmt(f),
            Rule::Unwrap(wrappers) => {
                let names: Vec<String> = wrappers.names().iter().map(|n| guarded(n)).collect();
                Spelled("unwrap", wrappers.separator(), names.join(" ")).fmt(f)
            }
            Rule::Rewrite(pair) => pair_spelled(pair).fmt(f),
            Rule::Replace(replacement) => {
                // An arrow in the expression would read as the middle of the rule.
                let pattern = replacement.pattern().replace("->", "-\\x3E");
                let text = format!("{pattern} -> {}", replacement.to());
                Spelled("re", SEPARATOR, text).fmt(f)
            }
            Rule::Fates(fates) => write!(f, "a plan of {} keys", fates.len()),
            Rule::FirstOf(rules) => {
                let texts: Vec<String> = rules.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(", "))
            }
        }
    }
}
