//! What a template is made of.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::rules::template::held::CannotFill;

/// The name of a capture, of a place or of a size.
pub type Name = Arc<str>;

/// Characters that mean something in a template and are escaped to mean themselves.
const SPECIAL: [char; 7] = ['\\', '{', '}', '*', '[', ',', '='];

/// One position of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// One segment; of none it is the empty one. Literals are not empty and do not touch.
    Parts(Vec<Part>),
    /// Any number of segments.
    Rest(Option<Name>),
}

/// A part of a segment; the words of a list may hold separators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(String),
    /// `*`
    Wild,
    /// `{a,b}`: one of these.
    Choice(Vec<String>),
    Capture(Capture),
    /// `{=last}`: the value of a size.
    Size(Name),
}

/// A named part of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capture {
    pub(crate) name: Name,
    pub(crate) form: Form,
}

/// What a capture can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Any text.
    Text,
    /// The same, which the rest of the rule takes for a number.
    Digits,
    /// A number in another form.
    Affine(Affine),
    /// One of these words, as its index.
    Words(Vec<String>),
}

/// A number as a key has it: `factor * value + size + shift`, filled up with zeros to a width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Affine {
    pub(crate) factor: i64,
    /// Added, once it is known.
    pub(crate) size: Option<Name>,
    pub(crate) shift: i64,
    pub(crate) width: usize,
}

impl Segment {
    pub(crate) fn literal(text: impl Into<String>) -> Segment {
        let text = text.into();
        Segment::Parts(if text.is_empty() { Vec::new() } else { [Part::Literal(text)].into() })
    }

    /// A capture between texts, whose number is shifted.
    pub(crate) fn hole(before: &str, name: &str, shift: i64, after: &str) -> Segment {
        let form = match shift {
            0 => Form::Text,
            shift => Form::Affine(Affine { shift, ..Affine::PLAIN }),
        };
        let capture = Part::Capture(Capture { name: name.into(), form });
        let literal = |text: &str| (!text.is_empty()).then(|| Part::Literal(text.to_string()));
        let parts = [literal(before), Some(capture), literal(after)];
        Segment::Parts(parts.into_iter().flatten().collect())
    }
}

impl Affine {
    /// A number as it is printed.
    pub(crate) const PLAIN: Affine = Affine { factor: 1, size: None, shift: 0, width: 0 };

    /// The value behind a text, if it is a number of this form.
    pub(crate) fn read(&self, text: &str) -> Option<i128> {
        if self.size.is_some() {
            return None;
        }
        let number = i128::from(digits(text, self.width)?) - i128::from(self.shift);
        let factor = i128::from(self.factor);
        (number % factor == 0).then_some(number / factor)
    }

    /// The text of a value.
    pub(crate) fn write(&self, name: &Name, value: i128) -> Result<String, CannotFill> {
        if let Some(size) = &self.size {
            return Err(CannotFill::UnknownSize(size.clone()));
        }
        let scaled = value.checked_mul(i128::from(self.factor));
        let number = scaled.and_then(|scaled| scaled.checked_add(i128::from(self.shift)));
        let number = number.ok_or_else(|| CannotFill::TooLarge(name.clone()))?;
        if number < 0 {
            let form = self.text(name);
            return Err(CannotFill::Negative { form, number });
        }
        let number = u64::try_from(number).map_err(|_| CannotFill::TooLarge(name.clone()))?;
        Ok(format!("{number:0width$}", width = self.width))
    }

    /// `last-i`, `2i+1:02`: what is between the braces.
    pub(crate) fn text(&self, name: &str) -> String {
        let factor = match self.factor.unsigned_abs() {
            1 if self.is_said_otherwise() => String::new(),
            factor => factor.to_string(),
        };
        let mut text = match (&self.size, self.factor < 0) {
            (Some(size), _) if self.shift == 0 => format!("{size}-{factor}{name}"),
            (Some(size), _) => format!("{size}{:+}-{factor}{name}", self.shift),
            (None, true) => format!("{}-{factor}{name}", self.shift),
            (None, false) if self.shift == 0 => format!("{factor}{name}"),
            (None, false) => format!("{factor}{name}{:+}", self.shift),
        };
        if self.width > 0 {
            text += &format!(":0{}", self.width);
        }
        text
    }

    /// True if something beside the factor says that it is a number.
    fn is_said_otherwise(&self) -> bool {
        self.factor < 0 || self.shift != 0 || self.width > 0
    }
}

/// A whole number as it is printed: no sign, zeros in front up to the width and no further.
fn digits(text: &str, width: usize) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0') || text.len() == width;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !canonical || !digits || text.len() < width {
        return None;
    }
    text.parse().ok()
}

/// The text with its special characters escaped.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        if SPECIAL.contains(&c) || reads_as_constant(&text[at..]) {
            out.push('\\');
        }
        out.push(c);
    }
    // An arrow would read as the middle of a rule.
    out.replace("->", "-\\>")
}

/// True for a blank before a sign and a number, which ends a key in a rule of tensors.
fn reads_as_constant(text: &str) -> bool {
    let signs = [" + ", " - ", " / ", " * "];
    let after = signs.iter().find_map(|sign| text.strip_prefix(sign));
    after.is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit() || "-.".contains(c)))
}

/// The words of a list with what ends one escaped.
fn escaped_words(words: &[String]) -> String {
    let words = words.iter().map(|word| {
        let mut out = String::new();
        for c in word.chars() {
            if ['\\', '{', '}', ',', ' ', '='].contains(&c) {
                out.push('\\');
            }
            out.push(c);
        }
        out.replace("->", "-\\>")
    });
    words.collect::<Vec<_>>().join(",")
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Literal(text) => f.write_str(&escaped(text)),
            Part::Wild => f.write_str("*"),
            Part::Choice(words) => write!(f, "{{{}}}", escaped_words(words)),
            Part::Size(name) => write!(f, "{{={name}}}"),
            Part::Capture(Capture { name, form }) => match form {
                Form::Text | Form::Digits => write!(f, "{{{name}}}"),
                Form::Affine(affine) => write!(f, "{{{}}}", affine.text(name)),
                Form::Words(words) => write!(f, "{{{name}={}}}", escaped_words(words)),
            },
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Parts(parts) => parts.iter().try_for_each(|part| part.fmt(f)),
            Segment::Rest(None) => f.write_str("**"),
            Segment::Rest(Some(name)) => write!(f, "{{{name}..}}"),
        }
    }
}
