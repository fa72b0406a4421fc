//! Templates as text.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use thiserror::Error;

use crate::IndexSet;
use crate::rules::limits::{MAX_HOLES, MAX_STEP, MAX_WIDTH, MAX_WORDS};
use crate::rules::template::Template;
use crate::rules::template::part::{Affine, Capture, Form, Part, Segment};

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadTemplate {
    /// There is nothing in it.
    #[error("a template cannot be empty")]
    Empty,
    /// `{` without `}`, or the reverse.
    #[error("'{0}' has a brace without its partner; write \\{{ or \\}} for the character itself")]
    Brace(String),
    /// A `*` beside another hole in one segment, which could match in several ways.
    #[error("segment '{0}' has more than one '*' or capture")]
    TwoHoles(String),
    /// Two captures with nothing between them, which could match in several ways.
    #[error(
        "'{0}' and '{1}' touch, so a key could be read in several ways; put text between them, or \
         make one list of both"
    )]
    Touching(String, String),
    /// `**` or `{n..}` beside other text in its segment.
    #[error("'**' and '{{name..}}' must be a whole segment, unlike in '{0}'")]
    RestNotAlone(String),
    /// A capture whose name is not an identifier, or whose shift is not a number.
    #[error("'{{{0}}}' is not a capture; write {{name}}, {{name..}}, {{name+1}} or {{name-1}}")]
    Capture(String),
    /// A number in a form that there is not.
    #[error(
        "'{{{0}}}' is not a number of a key; write {{2i+1}}, {{3-i}}, {{last-i}} or {{last-1-i}}, \
         and {{i:02}} for two digits"
    )]
    Number(String),
    /// A size that is not a name.
    #[error("'{{{0}}}' is not a size; write {{=name}}")]
    Size(String),
    /// A blank in a list.
    #[error("'{{{0}}}' has a blank in its list; write the words without, or '\\ ' for a blank")]
    Blank(String),
    /// A word that is there twice.
    #[error("'{{{list}}}' has the word '{word}' twice")]
    Word {
        /// What is between the braces.
        list: String,
        /// The word.
        word: String,
    },
    /// A name captured twice on one side.
    #[error("'{{{0}}}' is captured twice")]
    Repeated(String),
    /// More of something than there may be.
    #[error("{what} in '{text}' exceeds the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// Where.
        text: String,
        /// How much there may be.
        limit: u64,
    },
}

impl BadTemplate {
    fn limit(what: &'static str, text: &str, limit: usize) -> BadTemplate {
        let shown: String = text.chars().take(80).collect();
        BadTemplate::Limit { what, text: shown, limit: u64::try_from(limit).unwrap_or(u64::MAX) }
    }
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
        if segments.iter().map(Segment::holes).sum::<usize>() > MAX_HOLES {
            return Err(BadTemplate::limit("the number of captures", text, MAX_HOLES));
        }
        if matches!(segments.as_slice(), [Segment::Parts(parts)] if parts.is_empty()) {
            return Err(BadTemplate::Empty);
        }
        let template = Template::of_segments(segments, separator);
        let mut seen = IndexSet::default();
        for name in template.names() {
            if !seen.insert(name) {
                return Err(BadTemplate::Repeated(name.to_owned()));
            }
        }
        Ok(template)
    }
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

impl Segment {
    fn parse(text: &str) -> Result<Segment, BadTemplate> {
        if text == "**" {
            return Ok(Segment::Rest(None));
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            rest = match c {
                '\\' => {
                    let escaped = after.chars().next();
                    literal.extend(escaped);
                    &after[escaped.map_or(0, char::len_utf8)..]
                }
                '*' if after.starts_with('*') => {
                    return Err(BadTemplate::RestNotAlone(text.to_owned()));
                }
                '*' => {
                    push(&mut parts, &mut literal, Part::Wild);
                    after
                }
                '}' => return Err(BadTemplate::Brace(text.to_owned())),
                '{' => {
                    let (inside, after) =
                        closed(after).ok_or_else(|| BadTemplate::Brace(text.to_owned()))?;
                    if let Some(name) = inside.strip_suffix("..") {
                        if inside.len() + 2 != text.len() {
                            return Err(BadTemplate::RestNotAlone(text.to_owned()));
                        }
                        return Ok(Segment::Rest(Some(identifier(name, inside)?.into())));
                    }
                    push(&mut parts, &mut literal, Part::parse(inside)?);
                    after
                }
                other => {
                    literal.push(other);
                    after
                }
            };
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        refuse_unclear(&parts, text)?;
        Ok(Segment::Parts(parts))
    }

    fn holes(&self) -> usize {
        match self {
            Segment::Rest(_) => 1,
            Segment::Parts(parts) => parts.iter().filter(|part| part.is_hole()).count(),
        }
    }
}

fn push(parts: &mut Vec<Part>, literal: &mut String, part: Part) {
    if !literal.is_empty() {
        parts.push(Part::Literal(core::mem::take(literal)));
    }
    parts.push(part);
}

/// What is before the closing brace, and what follows it; `None` where there is none.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '}' if !escaped => return Some((&text[..at], &text[at + 1..])),
            '{' if !escaped => return None,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}

/// Refuses holes in one segment that could be read in several ways.
fn refuse_unclear(parts: &[Part], text: &str) -> Result<(), BadTemplate> {
    let holes = parts.iter().filter(|part| part.is_hole()).count();
    if holes > 1 && parts.contains(&Part::Wild) {
        return Err(BadTemplate::TwoHoles(text.to_owned()));
    }
    let touching = parts.windows(2).find(|pair| {
        pair.iter().all(Part::is_hole) && !pair[0].ends_clearly() && !pair[1].begins_clearly()
    });
    match touching {
        Some([a, b]) => Err(BadTemplate::Touching(a.to_string(), b.to_string())),
        _ => Ok(()),
    }
}

impl Part {
    fn parse(inside: &str) -> Result<Part, BadTemplate> {
        if let Some(name) = inside.strip_prefix('=') {
            let name = identifier(name, inside);
            let name = name.map_err(|_| BadTemplate::Size(inside.to_owned()))?;
            return Ok(Part::Size(name.into()));
        }
        if let Some((name, list)) = split_once(inside, '=') {
            let name = identifier(name, inside)?;
            return Ok(Part::Capture(Capture {
                name: name.into(),
                form: Form::Words(words(list, inside)?),
            }));
        }
        if split_once(inside, ',').is_some() {
            return Ok(Part::Choice(words(inside, inside)?));
        }
        Ok(Part::Capture(Capture::parse(inside)?))
    }

    pub(super) fn is_hole(&self) -> bool {
        !matches!(self, Part::Literal(_))
    }

    /// True if it is clear where it ends, whatever follows.
    fn ends_clearly(&self) -> bool {
        self.words().is_some_and(|words| !any_pair(words, |a, b| b.starts_with(a)))
    }

    /// True if it is clear where it begins, whatever comes before.
    fn begins_clearly(&self) -> bool {
        self.words().is_some_and(|words| !any_pair(words, |a, b| b.ends_with(a)))
    }

    pub(super) fn words(&self) -> Option<&[String]> {
        match self {
            Part::Choice(words) => Some(words),
            Part::Capture(Capture { form: Form::Words(words), .. }) => Some(words),
            _ => None,
        }
    }
}

/// True if a relation holds between any two words.
pub(super) fn any_pair(words: &[String], holds: impl Fn(&str, &str) -> bool) -> bool {
    let others = |i: usize| words.iter().enumerate().filter(move |(j, _)| *j != i);
    words.iter().enumerate().any(|(i, a)| others(i).any(|(_, b)| holds(a, b)))
}

/// The two sides of the first such character that is not escaped.
fn split_once(text: &str, at: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        if c == at && !escaped {
            return Some((&text[..i], &text[i + c.len_utf8()..]));
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// The words of a list, which have commas between them.
pub(crate) fn words(list: &str, inside: &str) -> Result<Vec<String>, BadTemplate> {
    let mut words = Vec::from([String::new()]);
    let mut characters = list.chars();
    while let Some(c) = characters.next() {
        match (c, words.last_mut()) {
            (' ', _) => return Err(BadTemplate::Blank(inside.to_owned())),
            (',', _) => words.push(String::new()),
            ('\\', Some(word)) => word.extend(characters.next()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    if words.len() > MAX_WORDS {
        return Err(BadTemplate::limit("the number of words", inside, MAX_WORDS));
    }
    let mut seen = IndexSet::default();
    if let Some(word) = words.iter().find(|word| !seen.insert(word.as_str())) {
        let (list, word) = (inside.to_owned(), word.clone());
        return Err(BadTemplate::Word { list, word });
    }
    Ok(words)
}

impl Capture {
    fn parse(inside: &str) -> Result<Capture, BadTemplate> {
        let (body, width) = match inside.split_once(':') {
            Some((body, width)) => (body, Some(width)),
            None => (inside, None),
        };
        let width = width.map_or(Ok(0), |width| parse_width(width, inside))?;
        let terms = terms(body, inside)?;
        let (name, factor, size, shift) = match terms.as_slice() {
            [one] => (one.name, one.factor, None, 0),
            [one, add] if add.name.is_none() => (one.name, one.factor, None, add.number()),
            [add, one] if add.name.is_none() => (one.name, one.factor, None, add.number()),
            [size, one] if one.factor < 0 => (one.name, one.factor, size.plain_name(), 0),
            [size, add, one] if add.name.is_none() && one.factor < 0 => {
                (one.name, one.factor, size.plain_name(), add.number())
            }
            _ => return Err(BadTemplate::Capture(inside.to_owned())),
        };
        let (Some(name), true) = (name, size.is_some() == (size_terms(&terms) == 1)) else {
            return Err(BadTemplate::Number(inside.to_owned()));
        };
        let is_plain = factor == 1 && shift == 0 && width == 0 && size.is_none();
        let size = size.map(Into::into);
        let form = if is_plain && !body.starts_with(|c: char| c.is_ascii_digit()) {
            Form::Text
        } else {
            Form::Affine(Affine { factor, size, shift, width })
        };
        Ok(Capture { name: name.into(), form })
    }
}

/// How many names there are beside that of the capture.
fn size_terms(terms: &[Term]) -> usize {
    terms.iter().filter(|term| term.name.is_some()).count().saturating_sub(1)
}

fn parse_width(text: &str, inside: &str) -> Result<usize, BadTemplate> {
    let width = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok());
    match width.flatten() {
        Some(1..=MAX_WIDTH) => Ok(text.parse().unwrap_or(MAX_WIDTH)),
        Some(0) | None => Err(BadTemplate::Number(inside.to_owned())),
        Some(_) => Err(BadTemplate::limit("the width", inside, MAX_WIDTH)),
    }
}

/// A signed number, perhaps times a name.
struct Term<'a> {
    factor: i64,
    name: Option<&'a str>,
}

impl<'a> Term<'a> {
    /// The number of a term without a name.
    fn number(&self) -> i64 {
        self.factor
    }

    fn plain_name(&self) -> Option<&'a str> {
        self.name.filter(|_| self.factor == 1)
    }
}

/// The terms of a sum: `2i+1`, `last-1-i`.
fn terms<'a>(body: &'a str, inside: &str) -> Result<Vec<Term<'a>>, BadTemplate> {
    let bad = || BadTemplate::Capture(inside.to_owned());
    let mut terms = Vec::new();
    let mut rest = body;
    loop {
        let (sign, unsigned) = match rest.chars().next() {
            Some('+') if !terms.is_empty() => (1, &rest[1..]),
            Some('-') if !terms.is_empty() => (-1, &rest[1..]),
            Some(_) if terms.is_empty() => (1, rest),
            _ => return Err(bad()),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
        let (number, after) = unsigned.split_at(end);
        let end = after.find(['+', '-']).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        if number.is_empty() && name.is_empty() {
            return Err(bad());
        }
        let name = if name.is_empty() { None } else { Some(checked(name, inside)?) };
        let factor = if number.is_empty() { 1 } else { step(number, inside)? };
        if name.is_some() && factor == 0 {
            return Err(BadTemplate::Number(inside.to_owned()));
        }
        terms.push(Term { factor: sign * factor, name });
        if after.is_empty() {
            return Ok(terms);
        }
        if terms.len() == 3 {
            return Err(BadTemplate::Number(inside.to_owned()));
        }
        rest = after;
    }
}

fn step(number: &str, inside: &str) -> Result<i64, BadTemplate> {
    let limit = || BadTemplate::Limit {
        what: "a number",
        text: inside.chars().take(80).collect(),
        limit: MAX_STEP.unsigned_abs(),
    };
    number.parse().ok().filter(|step| *step <= MAX_STEP).ok_or_else(limit)
}

fn checked<'a>(name: &'a str, inside: &str) -> Result<&'a str, BadTemplate> {
    identifier(name, inside)?;
    Ok(name)
}

/// True for a letter or underscore followed by letters, digits and underscores.
pub(crate) fn is_identifier(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    starts && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn identifier(name: &str, inside: &str) -> Result<String, BadTemplate> {
    if is_identifier(name) {
        return Ok(name.to_owned());
    }
    Err(BadTemplate::Capture(inside.to_owned()))
}
