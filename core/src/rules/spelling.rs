//! Remaps and rules as text, and back.
//!
//! | text | means |
//! |---|---|
//! | `identity` | nothing changes |
//! | `strip:module.` `add:module.` | a leading prefix off, a prefix in front |
//! | `rename:a.{n} -> b.{n}` | templates |
//! | `re:^a\. -> b.` | a regular expression |
//! | `keep:a.**` `drop:a.**` | templates, several with spaces between |
//! | `unwrap` `unwrap:module _orig_mod` | wrapper segments |
//! | `table:a -> b` | old and new names, several with ` ; ` between |
//! | `dequantise:bf16` `dequantise:a.**=f32 bf16` | the type that quantized weights get |
//! | `fold-weight-norm` | weight norms; templates say which |
//! | `fill:a.mask[4 4] = triangle BOOL` | tensors that no file has, several with ` ; ` between |
//! | `strip:a \| add:b` | one after another (remaps only) |
//!
//! Renames at once have ` ; ` between them; a semicolon between spaces that is a part of one is
//! doubled.
//! A separator other than `.` is given in brackets before the colon: `strip[/]:module`; where the
//! new keys of a rename have another, so is that: `rename[/,.]:a/{n} -> a.{n}`.
//! A text that holds ` | `, a quote or a line break is written in double quotes, with `\` before
//! a quote or backslash and `\n` for a line break: `strip:"a | b"`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::rules::kind::{RuleKind, Words};
use crate::rules::remap::{Rename, TemplatePair};
use crate::rules::rule::Replacement;
use crate::rules::separators::Separators;
use crate::{BadRemap, Remap, Rule};

impl FromStr for Remap {
    type Err = BadRemap;

    fn from_str(text: &str) -> Result<Remap, BadRemap> {
        let mut stages = stages(text).into_iter().map(|stage| match stage.rule()? {
            Rule::Remap(remap) => Ok(remap),
            _ => Err(bad(text, "expected rules that never send two keys to one")),
        });
        let first = stages.next().unwrap_or_else(|| Err(unknown(text)))?;
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
    separators: Separators,
    text: String,
}

fn bad(text: &str, expected: &str) -> BadRemap {
    BadRemap::Spelling { text: text.to_string(), expected: expected.to_string() }
}

/// What to say of a text that begins with no kind.
fn unknown(text: &str) -> BadRemap {
    let kinds: Vec<String> = RuleKind::ALL.map(|kind| format!("{}:", kind.name())).into();
    bad(text, &format!("expected identity, re:, {}", alternatives(&kinds)))
}

/// `a, b or c`.
fn alternatives(texts: &[String]) -> String {
    match texts {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        few => few.concat(),
    }
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
        let (separators, text) = match rest.strip_prefix('[') {
            Some(rest) => match rest.split_once("]:").map(|(it, text)| (it.parse(), text)) {
                Some((Ok(separators), text)) => (separators, Some(text)),
                _ => (Separators::default(), None),
            },
            None => (Separators::default(), Some(rest.strip_prefix(':').unwrap_or(rest))),
        };
        // Without `]:` after a separator no kind is known, which `rule` says.
        let (kind, text) = text.map_or(("", ""), |text| (kind, text));
        Stage { whole, kind, separators, text: unquoted(text) }
    }

    fn rule(&self) -> Result<Rule, BadRemap> {
        match (self.kind, RuleKind::named(self.kind)) {
            ("identity", _) if self.text.is_empty() => Ok(Remap::Identity.into()),
            ("re", _) => Ok(Rule::Replace(Replacement::parse(&self.text)?)),
            (_, Some(kind)) => kind.rule(&self.words(kind)?, self.separators),
            _ => Err(unknown(self.whole)),
        }
    }

    fn words(&self, kind: RuleKind) -> Result<Vec<String>, BadRemap> {
        Ok(match kind.words() {
            Words::Prefix => [self.text.clone()].into(),
            Words::Segments => {
                let names = split_outside_escapes(&self.text, ' ').into_iter();
                names.filter(|name| !name.is_empty()).map(|name| plain(&name)).collect()
            }
            Words::Renames | Words::Fillings => split_renames(&self.text),
            Words::AnyPatterns if self.text.is_empty() => Vec::new(),
            Words::Patterns | Words::Types | Words::AnyPatterns => {
                split_outside_escapes(&self.text, ' ')
            }
            Words::Pairs => self.pairs()?,
        })
    }

    fn pairs(&self) -> Result<Vec<String>, BadRemap> {
        let mut words = Vec::new();
        for pair in split_outside_escapes(&self.text, ';') {
            match pair.trim_matches(' ').split_once(" -> ") {
                Some((old, new)) => words.extend([plain(old), plain(new)]),
                None if pair.trim_matches(' ').is_empty() => {}
                None => return Err(bad(self.whole, "expected 'OLD -> NEW ; OLD -> NEW'")),
            }
        }
        Ok(words)
    }
}

/// The renames of a text, which have a semicolon between spaces between them.
fn split_renames(text: &str) -> Vec<String> {
    let tokens: Vec<&str> = text.split(' ').collect();
    let renames = tokens.split(|token| *token == ";");
    renames.map(|tokens| map_semicolons(tokens, |token| token[1..].to_string())).collect()
}

/// A rename with semicolons between spaces doubled, so that none of them ends it.
fn doubled(rename: &str) -> String {
    let tokens: Vec<&str> = rename.split(' ').collect();
    map_semicolons(&tokens, |token| format!("{token};"))
}

/// The tokens with spaces between, those that are semicolons alone changed.
fn map_semicolons(tokens: &[&str], change: impl Fn(&str) -> String) -> String {
    let changed = tokens.iter().map(|token| {
        let is_semicolons = !token.is_empty() && token.bytes().all(|byte| byte == b';');
        if is_semicolons { change(token) } else { (*token).to_string() }
    });
    changed.collect::<Vec<_>>().join(" ")
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

/// A pattern with the blanks escaped that are not yet.
fn blanks_escaped(pattern: &str) -> String {
    let mut out = String::new();
    let mut escaped = false;
    for c in pattern.chars() {
        if c == ' ' && !escaped {
            out.push('\\');
        }
        out.push(c);
        escaped = c == '\\' && !escaped;
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
fn write_stage(
    f: &mut fmt::Formatter<'_>,
    (kind, words): &(RuleKind, Vec<String>),
    separators: Separators,
) -> fmt::Result {
    let (name, text) = match (kind.words(), words.as_slice()) {
        (Words::Renames, [word]) if word.starts_with("re:") => ("re", word[3..].to_string()),
        (form, words) => (kind.name(), text_of(form, words, separators.left)),
    };
    if separators != Separators::default() {
        return write!(f, "{name}[{separators}]:{}", quoted(&text));
    }
    if text.is_empty() {
        return f.write_str(name);
    }
    write!(f, "{name}:{}", quoted(&text))
}

/// The words in one text, as [`Stage::words`] reads them.
fn text_of(form: Words, words: &[String], separator: char) -> String {
    let texts = words.iter();
    match form {
        Words::Prefix => {
            let word = words.concat();
            if word.ends_with(separator) { word } else { format!("{word}{separator}") }
        }
        Words::Segments => texts.map(|name| guarded(name)).collect::<Vec<_>>().join(" "),
        Words::Renames | Words::Fillings => {
            texts.map(|word| doubled(word)).collect::<Vec<_>>().join(" ; ")
        }
        Words::Patterns | Words::Types | Words::AnyPatterns => {
            texts.map(|word| blanks_escaped(word)).collect::<Vec<_>>().join(" ")
        }
        Words::Pairs => {
            let (pairs, _) = words.as_chunks::<2>();
            let pairs = pairs.iter().map(|[a, b]| format!("{} -> {}", guarded(a), guarded(b)));
            pairs.collect::<Vec<_>>().join(" ; ")
        }
    }
}

impl fmt::Display for Remap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.words()) {
            (_, Some(words)) => write_stage(f, &words, self.separators().unwrap_or_default()),
            (Remap::Then(first, second), None) => write!(f, "{first} | {second}"),
            (_, None) => f.write_str("identity"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.words()) {
            (Rule::Remap(remap), _) => remap.fmt(f),
            (_, Some(words)) => write_stage(f, &words, self.separators().unwrap_or_default()),
            (Rule::Formula(rule), None) => f.write_str(&rule.in_words()),
            (Rule::Fates(fates), None) => write!(f, "a plan of {} keys", fates.len()),
            (rule, None) => {
                let texts: Vec<String> =
                    rule.alternatives().iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(", "))
            }
        }
    }
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

/// `FROM -> TO`, as it is written after `re:`.
impl fmt::Display for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An arrow in the expression would read as the middle of the rule.
        let pattern = self.pattern().replace("->", "-\\x3E");
        write!(f, "{pattern} -> {}", self.to())
    }
}
