//! What the captures of a template hold after a match, and keys made of it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use thiserror::Error;

use crate::rules::template::part::{Affine, Capture, Form, Name, Part, Segment};
use crate::rules::template::{Op, Template};

/// What the captures of a template hold, in their order in the template.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Held(Vec<(Name, Value)>);

/// What one capture holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A part of a segment.
    Text(Arc<str>),
    /// A number, or which word of a list it is.
    Number(i128),
    /// Whole segments.
    Rest(Vec<Arc<str>>),
}

/// Why there is no key for what captures hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CannotFill {
    /// A key has no negative numbers.
    #[error("{{{form}}} would be {number}")]
    Negative {
        /// What is between the braces.
        form: String,
        /// The number.
        number: i128,
    },
    /// More than 64 bits.
    #[error("{{{0}}} would be larger than 2^64")]
    TooLarge(Name),
    /// A list is shorter than the number asks for.
    #[error("{{{name}}} is {number}, and its list has {words} words")]
    NoWord {
        /// The capture.
        name: Name,
        /// What it holds.
        number: i128,
        /// The words that there are.
        words: usize,
    },
    /// A text that would be cut at the separator of the new key.
    #[error("{{{name}}} is '{text}', which '{separator}' would cut in two")]
    Separator {
        /// The capture.
        name: Name,
        /// What it holds.
        text: Arc<str>,
        /// What segments of the new key are joined by.
        separator: char,
    },
    /// A capture that holds nothing, or not what is asked for.
    #[error("{{{0}}} is not captured")]
    Missing(Name),
    /// A size that has no number.
    #[error("needs the size '{0}': --set {0}=N, or a config.json")]
    UnknownSize(Name),
}

impl Held {
    /// What the capture of this name holds.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }

    /// The captures.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Value)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The same with a capture more, or with another value of it.
    pub fn set(&mut self, name: Name, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, held)) => *held = value,
            None => self.0.push((name, value)),
        }
    }

    /// The captures of a match, from where the holes of the program begin and end.
    pub(super) fn of_spans(
        template: &Template,
        key: &str,
        spans: &[(usize, usize)],
    ) -> Option<Held> {
        let holes = template.program.iter().filter(|op| op.is_hole());
        let mut held = Vec::with_capacity(spans.len());
        for (op, (start, end)) in holes.zip(spans) {
            let Some(name) = op.name() else { continue };
            held.push((name.clone(), value(op, key.get(*start..*end)?, template.separator)?));
        }
        Some(Held(held))
    }
}

impl FromIterator<(Name, Value)> for Held {
    fn from_iter<I: IntoIterator<Item = (Name, Value)>>(values: I) -> Held {
        let mut held = Held::default();
        for (name, value) in values {
            held.set(name, value);
        }
        held
    }
}

impl Value {
    /// A number that counts: the place along an axis.
    pub fn index(&self) -> Option<u64> {
        match self {
            Value::Number(number) => u64::try_from(*number).ok(),
            Value::Text(_) | Value::Rest(_) => None,
        }
    }
}

fn value(op: &Op, text: &str, separator: char) -> Option<Value> {
    Some(match op {
        Op::Number(_, affine) => Value::Number(affine.read(text)?),
        Op::Words(_, words) => {
            let word = words.all.iter().position(|word| word == text)?;
            Value::Number(i128::try_from(word).ok()?)
        }
        Op::RestInner(_) => segments(text.strip_prefix(separator), separator),
        Op::RestStart(_) => segments(text.strip_suffix(separator), separator),
        Op::RestWhole(_) => segments(Some(text), separator),
        Op::Nothing(_) => Value::Rest(Vec::new()),
        Op::Text(_) | Op::Literal(_) | Op::Never => Value::Text(text.into()),
    })
}

/// Nothing is no segment, and an empty text is one.
fn segments(text: Option<&str>, separator: char) -> Value {
    Value::Rest(text.into_iter().flat_map(|text| text.split(separator)).map(Arc::from).collect())
}

impl Template {
    /// The key with the captures filled in.
    ///
    /// # Errors
    /// A number that would be negative or too large, a list that has no such word, a text that the
    /// separator would cut.
    pub fn fill(&self, held: &Held) -> Result<String, CannotFill> {
        let mut key = String::new();
        let mut is_first = true;
        for segment in &self.segments {
            match segment {
                Segment::Parts(parts) => {
                    self.begin(&mut key, &mut is_first);
                    for part in parts {
                        self.fill_part(part, held, &mut key)?;
                    }
                }
                Segment::Rest(name) => {
                    let name = name.as_ref().ok_or_else(|| CannotFill::Missing("**".into()))?;
                    let Some(Value::Rest(rest)) = held.get(name) else {
                        return Err(CannotFill::Missing(name.clone()));
                    };
                    for text in rest {
                        self.begin(&mut key, &mut is_first);
                        key.push_str(self.whole(name, text)?);
                    }
                }
            }
        }
        Ok(key)
    }

    /// A separator in front of all but the first segment.
    fn begin(&self, key: &mut String, is_first: &mut bool) {
        if !*is_first {
            key.push(self.separator);
        }
        *is_first = false;
    }

    fn fill_part(&self, part: &Part, held: &Held, key: &mut String) -> Result<(), CannotFill> {
        match part {
            Part::Literal(text) => key.push_str(text),
            Part::Wild | Part::Choice(_) => return Err(CannotFill::Missing("*".into())),
            Part::Size(name) => return Err(CannotFill::UnknownSize(name.clone())),
            Part::Capture(Capture { name, form }) => match (form, held.get(name)) {
                (Form::Words(words), Some(Value::Number(number))) => {
                    let word = usize::try_from(*number).ok().and_then(|at| words.get(at));
                    key.push_str(word.ok_or_else(|| CannotFill::NoWord {
                        name: name.clone(),
                        number: *number,
                        words: words.len(),
                    })?);
                }
                (Form::Affine(affine), Some(Value::Number(number))) => {
                    key.push_str(&affine.write(name, *number)?);
                }
                (Form::Text | Form::Digits, Some(Value::Number(number))) => {
                    key.push_str(&Affine::PLAIN.write(name, *number)?);
                }
                (Form::Text | Form::Digits, Some(Value::Text(text))) => {
                    key.push_str(self.whole(name, text)?);
                }
                _ => return Err(CannotFill::Missing(name.clone())),
            },
        }
        Ok(())
    }

    /// The text, if this template's separator leaves it in one piece.
    fn whole<'t>(&self, name: &Name, text: &'t Arc<str>) -> Result<&'t str, CannotFill> {
        if text.contains(self.separator) {
            let (name, text) = (name.clone(), text.clone());
            return Err(CannotFill::Separator { name, text, separator: self.separator });
        }
        Ok(text)
    }
}

impl Affine {
    /// The same with its size put in; `None` if that is not known.
    pub(crate) fn with_size(&self, value: Option<u64>) -> Option<Affine> {
        let shift = self.shift.checked_add(i64::try_from(value?).ok()?)?;
        Some(Affine { size: None, shift, ..self.clone() })
    }
}
