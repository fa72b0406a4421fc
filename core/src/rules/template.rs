//! Patterns over the segments of a key: `layers.{i}.attn.{rest..}`.
//!
//! | written | matches |
//! |---|---|
//! | `conv1` | that segment |
//! | `*`, `conv*` | one segment, or the rest of one; at least one character |
//! | `{n}`, `layer{n}` | the same, captured |
//! | `{n+1}` | a whole number, captured as one less |
//! | `**` | any number of segments, none included |
//! | `{n..}` | the same, captured |
//!
//! A backslash makes the next character literal; a separator always separates.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

/// What segments are joined by unless something else is said.
pub const SEPARATOR: char = '.';

/// Characters that mean something in a template and are escaped to mean themselves.
const SPECIAL: [char; 4] = ['\\', '{', '}', '*'];

/// A pattern over the segments of a key.
///
/// Its captures have distinct names; [`Template::parse`] sees to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    separator: char,
    segments: Vec<Segment>,
}

/// One position of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    Hole { before: String, capture: Option<Capture>, after: String },
    Rest(Option<String>),
}

/// A named part of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) shift: i64,
}

/// What the captures of a template hold after a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Captured {
    Text(String),
    Number(i128),
    Rest(Vec<String>),
}

/// Captures by name, in their order in the template.
pub(crate) type Captures = Vec<(String, Captured)>;

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadTemplate {
    /// There is nothing in it.
    #[error("a template cannot be empty")]
    Empty,
    /// `{` without `}`, or the reverse.
    #[error("'{0}' has a brace without its partner; write \\{{ or \\}} for the character itself")]
    Brace(String),
    /// Two holes in one segment, which could match in several ways.
    #[error("segment '{0}' has more than one '*' or capture")]
    TwoHoles(String),
    /// `**` or `{n..}` beside other text in its segment.
    #[error("'**' and '{{name..}}' must be a whole segment, unlike in '{0}'")]
    RestNotAlone(String),
    /// A capture whose name is not an identifier, or whose shift is not a number.
    #[error("'{{{0}}}' is not a capture; write {{name}}, {{name..}}, {{name+1}} or {{name-1}}")]
    Capture(String),
    /// A name captured twice on one side.
    #[error("'{{{0}}}' is captured twice")]
    Repeated(String),
}

impl Template {
    /// Reads a template whose segments are joined by `separator`.
    pub fn parse(text: &str, separator: char) -> Result<Template, BadTemplate> {
        if text.is_empty() {
            return Err(BadTemplate::Empty);
        }
        let segments = split_segments(text, separator)
            .into_iter()
            .map(Segment::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let template = Template { separator, segments };
        let mut seen: Vec<&str> = Vec::new();
        for name in template.names() {
            if seen.contains(&name) {
                return Err(BadTemplate::Repeated(name.to_owned()));
            }
            seen.push(name);
        }
        Ok(template)
    }

    /// A template of these segments, whose captures have distinct names.
    pub(crate) fn of_segments(segments: Vec<Segment>, separator: char) -> Template {
        Template { separator, segments }
    }

    /// A template that matches this key alone.
    pub fn literal(key: &str, separator: char) -> Template {
        let segments = key.split(separator).map(|s| Segment::Literal(s.to_owned())).collect();
        Template { separator, segments }
    }

    /// What segments are joined by.
    pub fn separator(&self) -> char {
        self.separator
    }

    /// True if the template matches the key.
    pub fn matches(&self, key: &str) -> bool {
        self.captures(key, &[]).is_some()
    }

    /// True if the last segment of every key that matches is spelled out.
    pub(crate) fn ends_literally(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Literal(_)))
    }

    /// The names captured, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Hole { capture: Some(capture), .. } => Some(capture.name.as_str()),
            Segment::Rest(Some(name)) => Some(name),
            _ => None,
        })
    }

    /// The names that stand for any number of segments.
    pub(crate) fn rest_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Rest(Some(name)) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The names whose number is shifted.
    pub(crate) fn shifted_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Hole { capture: Some(capture), .. } if capture.shift != 0 => {
                Some(capture.name.as_str())
            }
            _ => None,
        })
    }

    /// True if some part is matched and not captured.
    pub(crate) fn has_wildcards(&self) -> bool {
        self.segments
            .iter()
            .any(|s| matches!(s, Segment::Hole { capture: None, .. } | Segment::Rest(None)))
    }

    /// What the captures hold if the key matches; those named in `numbers` must be whole numbers.
    ///
    /// Each run of segments between two rests is found as far left as it can be.
    pub(crate) fn captures(&self, key: &str, numbers: &[String]) -> Option<Captures> {
        if !self.may_match(key) {
            return None;
        }
        let parts: Vec<&str> = key.split(self.separator).collect();
        let mut chunks = self.segments.split(|s| matches!(s, Segment::Rest(_)));
        let mut rests = self.segments.iter().filter_map(|segment| match segment {
            Segment::Rest(name) => Some(name.as_deref()),
            _ => None,
        });
        let mut captures = Captures::new();
        let first = chunks.next()?;
        let head = parts.get(..first.len())?;
        match_chunk(first, head, numbers, &mut captures)?;
        let mut at = first.len();
        while let Some(name) = rests.next() {
            let chunk = chunks.next()?;
            let is_last = rests.size_hint().0 == 0 && chunks.clone().next().is_none();
            let found = if is_last {
                let start = parts.len().checked_sub(chunk.len()).filter(|start| *start >= at)?;
                let mut inner = Captures::new();
                match_chunk(chunk, &parts[start..], numbers, &mut inner)?;
                (start, inner)
            } else {
                find_chunk(chunk, &parts, at, numbers)?
            };
            let (start, inner) = found;
            if let Some(name) = name {
                let rest = parts[at..start].iter().map(|part| (*part).to_owned()).collect();
                captures.push((name.to_owned(), Captured::Rest(rest)));
            }
            captures.extend(inner);
            at = start + chunk.len();
        }
        (at == parts.len()).then_some(captures)
    }

    /// The key with the captures filled in; `None` if a number would be negative or too large.
    pub(crate) fn fill(&self, captures: &Captures) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => parts.push(text.clone()),
                Segment::Hole { before, capture, after } => {
                    let capture = capture.as_ref()?;
                    let middle = match lookup(captures, &capture.name)? {
                        Captured::Text(text) => text.clone(),
                        Captured::Number(number) => {
                            u64::try_from(number + i128::from(capture.shift)).ok()?.to_string()
                        }
                        Captured::Rest(_) => return None,
                    };
                    parts.push(format!("{before}{middle}{after}"));
                }
                Segment::Rest(name) => match lookup(captures, name.as_deref()?)? {
                    Captured::Rest(rest) => parts.extend(rest.iter().cloned()),
                    _ => return None,
                },
            }
        }
        let mut buffer = [0u8; 4];
        let separator: &str = self.separator.encode_utf8(&mut buffer);
        Some(parts.join(separator))
    }

    /// The text that every key which matches begins with.
    pub(crate) fn literal_start(&self) -> String {
        let mut start = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => start.push_str(text),
                Segment::Hole { before, .. } => return start + before,
                Segment::Rest(_) => {
                    // A rest may be empty, and then its separator is not there either.
                    start.pop();
                    return start;
                }
            }
            start.push(self.separator);
        }
        start.pop();
        start
    }

    /// A cheap look at the first segment, which settles most keys.
    fn may_match(&self, key: &str) -> bool {
        match self.segments.first() {
            Some(Segment::Literal(text)) => key.starts_with(text.as_str()),
            Some(Segment::Hole { before, .. }) => key.starts_with(before.as_str()),
            _ => true,
        }
    }
}

fn lookup<'c>(captures: &'c Captures, name: &str) -> Option<&'c Captured> {
    captures.iter().find(|(known, _)| known == name).map(|(_, captured)| captured)
}

/// Matches as many segments as there are key parts, one to one.
fn match_chunk(
    chunk: &[Segment],
    parts: &[&str],
    numbers: &[String],
    captures: &mut Captures,
) -> Option<()> {
    for (segment, part) in chunk.iter().zip(parts) {
        segment.capture(part, numbers, captures)?;
    }
    Some(())
}

/// The leftmost place from `from` on where the chunk matches.
fn find_chunk(
    chunk: &[Segment],
    parts: &[&str],
    from: usize,
    numbers: &[String],
) -> Option<(usize, Captures)> {
    let last = parts.len().checked_sub(chunk.len())?;
    (from..=last).find_map(|start| {
        let mut captures = Captures::new();
        match_chunk(chunk, &parts[start..start + chunk.len()], numbers, &mut captures)?;
        Some((start, captures))
    })
}

/// A whole number as it is printed: no sign, no leading zero.
fn whole_number(text: &str) -> Option<i128> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !canonical || !digits {
        return None;
    }
    text.parse::<u64>().ok().map(i128::from)
}

impl Segment {
    fn parse(text: &str) -> Result<Segment, BadTemplate> {
        match text {
            "**" => return Ok(Segment::Rest(None)),
            _ if text.contains("**") => return Err(BadTemplate::RestNotAlone(text.to_owned())),
            _ => {}
        }
        let mut before = String::new();
        let mut after = String::new();
        let (mut has_hole, mut capture) = (false, None);
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            let target = if has_hole { &mut after } else { &mut before };
            match c {
                '\\' => target.extend(characters.next()),
                '*' | '{' if has_hole => {
                    return Err(BadTemplate::TwoHoles(text.to_owned()));
                }
                '*' => has_hole = true,
                '}' => return Err(BadTemplate::Brace(text.to_owned())),
                '{' => {
                    let Some((inside, rest)) = characters.as_str().split_once('}') else {
                        return Err(BadTemplate::Brace(text.to_owned()));
                    };
                    if let Some(name) = inside.strip_suffix("..") {
                        if !before.is_empty() || !rest.is_empty() {
                            return Err(BadTemplate::RestNotAlone(text.to_owned()));
                        }
                        return Ok(Segment::Rest(Some(identifier(name, inside)?)));
                    }
                    has_hole = true;
                    capture = Some(Capture::parse(inside)?);
                    characters = rest.chars();
                }
                other => target.push(other),
            }
        }
        if has_hole {
            return Ok(Segment::Hole { before, capture, after });
        }
        Ok(Segment::Literal(before))
    }

    fn capture(&self, part: &str, numbers: &[String], captures: &mut Captures) -> Option<()> {
        match self {
            Segment::Literal(text) => (part == text).then_some(()),
            Segment::Hole { before, capture, after } => {
                let middle = part.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                if middle.is_empty() {
                    return None;
                }
                let Some(capture) = capture else { return Some(()) };
                let captured = if capture.shift != 0 || numbers.contains(&capture.name) {
                    Captured::Number(whole_number(middle)? - i128::from(capture.shift))
                } else {
                    Captured::Text(middle.to_owned())
                };
                captures.push((capture.name.clone(), captured));
                Some(())
            }
            Segment::Rest(_) => None,
        }
    }
}

impl Capture {
    fn parse(inside: &str) -> Result<Capture, BadTemplate> {
        let Some(sign) = inside.find(['+', '-']) else {
            return Ok(Capture { name: identifier(inside, inside)?, shift: 0 });
        };
        let (name, shift) = inside.split_at(sign);
        let shift: i32 = shift.parse().map_err(|_| BadTemplate::Capture(inside.to_owned()))?;
        Ok(Capture { name: identifier(name, inside)?, shift: i64::from(shift) })
    }
}

/// The name, if it is a letter or underscore followed by letters, digits and underscores.
fn identifier(name: &str, inside: &str) -> Result<String, BadTemplate> {
    let starts = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if starts && name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Ok(name.to_owned());
    }
    Err(BadTemplate::Capture(inside.to_owned()))
}

/// The parts of a text between separators, those within `{…}` excepted.
fn split_segments(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped, mut inside) = (0, false, false);
    for (at, c) in text.char_indices() {
        if c == separator && !inside {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
        if !escaped && (c == '{' || c == '}') {
            inside = c == '{';
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

/// The text with its special characters escaped.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if SPECIAL.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    // An arrow would read as the middle of a rule.
    out.replace("->", "-\\>")
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Literal(text) => f.write_str(&escaped(text)),
            Segment::Hole { before, capture, after } => {
                f.write_str(&escaped(before))?;
                match capture {
                    None => f.write_str("*")?,
                    Some(Capture { name, shift: 0 }) => write!(f, "{{{name}}}")?,
                    Some(Capture { name, shift }) => write!(f, "{{{name}{shift:+}}}")?,
                }
                f.write_str(&escaped(after))
            }
            Segment::Rest(None) => f.write_str("**"),
            Segment::Rest(Some(name)) => write!(f, "{{{name}..}}"),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.segments.iter().enumerate() {
            if i > 0 {
                write!(f, "{}", self.separator)?;
            }
            write!(f, "{segment}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, key: &str, expected: bool) {
        let template = Template::parse(template, '.').expect("a template");
        assert_eq!(template.matches(key), expected, "{template} on {key}");
    }

    #[test]
    fn templates_match_whole_segments() {
        check("conv1.weight", "conv1.weight", true);
        check("conv1.weight", "conv1.weight_g", false);
        check("conv1", "conv1.weight", false);
        check("conv*.weight", "conv12.weight", true);
        check("conv*.weight", "conv.weight", false);
        check("*.weight", "a.b.weight", false);
        check("**.weight", "a.b.weight", true);
        check("**.weight", "weight", true);
        check("**.attn.**", "a.attn.b.attn.c", true);
        check("**.attn.**", "attn", true);
        check("layer{n}.{r..}", "layer3.0.bn1.bias", true);
        check("layer{n+1}.{r..}", "layerx.0", false);
        check("layer{n+1}.x", "layer01.x", false);
        check(r"a\*b", "a*b", true);
        check(r"a\*b", "axb", false);
        check(r"a\.b", "a.b", true);
    }

    #[test]
    fn middle_chunks_are_found_leftmost() {
        let template = Template::parse("{a..}.x.{b..}", '.').expect("a template");
        let captures = template.captures("p.x.q.x.r", &[]).expect("matches");
        let rest = |parts: &[&str]| Captured::Rest(parts.iter().map(|p| p.to_string()).collect());
        assert_eq!(captures[0].1, rest(&["p"]));
        assert_eq!(captures[1].1, rest(&["q", "x", "r"]));
    }

    #[test]
    fn each_bad_template_says_what_is_wrong() {
        let message = |text| Template::parse(text, '.').expect_err("bad").to_string();
        assert_eq!(message(""), "a template cannot be empty");
        assert_eq!(
            message("a.{b"),
            r"'{b' has a brace without its partner; write \{ or \} for the character itself"
        );
        assert_eq!(message("{a}{b}"), "segment '{a}{b}' has more than one '*' or capture");
        assert_eq!(
            message("x{a..}"),
            "'**' and '{name..}' must be a whole segment, unlike in 'x{a..}'"
        );
        assert_eq!(
            message("{a+x}"),
            "'{a+x}' is not a capture; write {name}, {name..}, {name+1} or {name-1}"
        );
        assert_eq!(message("{a}.{a}"), "'{a}' is captured twice");
    }
}
