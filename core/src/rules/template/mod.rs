//! Patterns over the segments of a key: `layers.{i}.attn.{rest..}`.
//!
//! | written | matches |
//! |---|---|
//! | `conv1` | that segment |
//! | `*`, `conv*` | one segment, or the rest of one; at least one character |
//! | `{n}`, `layer{n}` | the same, captured |
//! | `{n+1}`, `{2n+1}`, `{3-n}` | a whole number, captured as what it is made of |
//! | `{last-n}`, `{last-1-n}` | the same, where `last` is a size |
//! | `{n:02}`, `{n+1:02}` | a number of at least two digits, with zeros in front |
//! | `{p=a,b.c}` | one of these words, captured as its place in the list |
//! | `{a,b}` | one of these words |
//! | `{=last}` | the value of a size |
//! | `**` | any number of segments, none included |
//! | `{n..}` | the same, captured |
//!
//! A backslash makes the next character literal; a separator always separates, but for those in the
//! words of a list.
//! A segment may have several captures: each is as short as it can be. They touch only where a list
//! makes clear which word is meant.

mod held;
mod matching;
mod parse;
pub(crate) mod part;
mod unique;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::IndexSet;
use crate::rules::template::matching::program;

pub use held::{CannotFill, Held, Value};
pub(crate) use matching::Op;
pub use parse::BadTemplate;
pub(crate) use parse::{is_identifier, words};
pub use part::Name;
pub(crate) use part::{Affine, Capture, Form, Part, Segment};

/// What segments are joined by unless something else is said.
pub const SEPARATOR: char = '.';

/// The most digits of a number in a key.
const MOST_DIGITS: usize = 20;

/// A pattern over the segments of a key.
///
/// Its captures have distinct names; [`Template::parse`] sees to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    separator: char,
    segments: Vec<Segment>,
    /// The segments as steps of matching.
    program: Arc<[Op]>,
}

impl Template {
    /// A template of these segments, whose captures have distinct names.
    pub(crate) fn of_segments(segments: Vec<Segment>, separator: char) -> Template {
        let program = program(&segments, separator).into();
        Template { separator, segments, program }
    }

    /// A template that matches this key alone.
    pub fn literal(key: &str, separator: char) -> Template {
        let segments = key.split(separator).map(Segment::literal).collect();
        Template::of_segments(segments, separator)
    }

    /// What segments are joined by.
    pub fn separator(&self) -> char {
        self.separator
    }

    /// True if the template matches the key.
    pub fn matches(&self, key: &str) -> bool {
        self.spans(key).is_some()
    }

    /// True if the last segment of every key that matches is spelled out.
    pub(crate) fn ends_literally(&self) -> bool {
        match self.segments.last() {
            Some(Segment::Parts(parts)) => {
                parts.iter().all(|part| matches!(part, Part::Literal(_)))
            }
            _ => false,
        }
    }

    /// The captures that are within one segment.
    pub(crate) fn captures(&self) -> impl Iterator<Item = &Capture> {
        self.parts().filter_map(|part| match part {
            Part::Capture(capture) => Some(capture),
            _ => None,
        })
    }

    /// The parts of the segments.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.segments.iter().flat_map(|segment| match segment {
            Segment::Parts(parts) => parts.as_slice(),
            Segment::Rest(_) => &[],
        })
    }

    /// The names captured, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.program.iter().filter_map(|op| op.name()).map(|name| &**name)
    }

    /// The words of a capture that is one of a list.
    pub fn words(&self, name: &str) -> Option<&[String]> {
        let capture = self.captures().find(|capture| *capture.name == *name)?;
        match &capture.form {
            Form::Words(words) => Some(words),
            _ => None,
        }
    }

    /// The names that stand for any number of segments.
    pub(crate) fn rest_names(&self) -> impl Iterator<Item = &Name> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Rest(Some(name)) => Some(name),
            _ => None,
        })
    }

    /// The names whose number has a form of its own.
    pub(crate) fn affine_names(&self) -> impl Iterator<Item = &Name> {
        let affine = self.captures().filter(|capture| matches!(capture.form, Form::Affine(_)));
        affine.map(|capture| &capture.name)
    }

    /// The sizes that it speaks of and that have no number yet.
    pub fn unbound_sizes(&self) -> impl Iterator<Item = &Name> {
        self.parts().filter_map(|part| match part {
            Part::Size(name) => Some(name),
            Part::Capture(Capture { form: Form::Affine(affine), .. }) => affine.size.as_ref(),
            _ => None,
        })
    }

    /// True if some part is matched and not captured.
    pub(crate) fn has_wildcards(&self) -> bool {
        let in_parts = self.parts().any(|part| matches!(part, Part::Wild | Part::Choice(_)));
        in_parts || self.segments.contains(&Segment::Rest(None))
    }

    /// The text that every key which matches begins with.
    pub(crate) fn literal_start(&self) -> String {
        match &self.program[..] {
            [Op::Literal(text), ..] => text.clone(),
            _ => String::new(),
        }
    }

    /// The same with the captures of these names taken for numbers.
    pub(crate) fn with_numbers(self, numbers: &IndexSet<Name>) -> Template {
        self.map_parts(|part| match part {
            Part::Capture(Capture { name, form: Form::Text }) if numbers.contains(&name) => {
                Part::Capture(Capture { name, form: Form::Digits })
            }
            part => part,
        })
    }

    /// The same with sizes put in where their numbers are known.
    pub(crate) fn with_sizes(self, size: impl Fn(&str) -> Option<u64>) -> Template {
        self.map_parts(|part| match part {
            Part::Size(name) => match size(&name) {
                Some(value) => Part::Literal(alloc::format!("{value}")),
                None => Part::Size(name),
            },
            Part::Capture(Capture { name, form: Form::Affine(affine) }) => {
                let value = affine.size.as_ref().and_then(|name| size(name));
                let form = Form::Affine(affine.with_size(value).unwrap_or(affine));
                Part::Capture(Capture { name, form })
            }
            part => part,
        })
    }

    /// The same with other parts, literals that touch made one.
    pub(crate) fn map_parts(self, mut change: impl FnMut(Part) -> Part) -> Template {
        let Template { separator, segments, .. } = self;
        let segments = segments.into_iter().map(|segment| match segment {
            Segment::Rest(name) => Segment::Rest(name),
            Segment::Parts(parts) => Segment::Parts(joined(parts.into_iter().map(&mut change))),
        });
        Template::of_segments(segments.collect(), separator)
    }
}

/// The parts with literals that touch made one, and empty ones left out.
fn joined(parts: impl Iterator<Item = Part>) -> Vec<Part> {
    let mut out: Vec<Part> = Vec::new();
    for part in parts {
        match (out.last_mut(), part) {
            (_, Part::Literal(text)) if text.is_empty() => {}
            (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(&text),
            (_, part) => out.push(part),
        }
    }
    out
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
    use alloc::string::ToString;

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
        let held = template.recognise("p.x.q.x.r").expect("matches");
        let rest = |parts: &[&str]| Value::Rest(parts.iter().map(|part| (*part).into()).collect());
        assert_eq!(held.get("a"), Some(&rest(&["p"])));
        assert_eq!(held.get("b"), Some(&rest(&["q", "x", "r"])));
    }

    #[test]
    fn each_bad_template_says_what_is_wrong() {
        let message = |text| Template::parse(text, '.').expect_err("bad").to_string();
        assert_eq!(message(""), "a template cannot be empty");
        assert_eq!(
            message("a.{b"),
            r"'{b' has a brace without its partner; write \{ or \} for the character itself"
        );
        assert_eq!(message("a*{b}"), "segment 'a*{b}' has more than one '*' or capture");
        assert_eq!(
            message("{a}{b}"),
            "'{a}' and '{b}' touch, so a key could be read in several ways; put text between them, \
             or make one list of both"
        );
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
