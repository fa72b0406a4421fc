//! What the segments of keys are joined by, on the two sides of a rule.

use core::fmt;
use core::str::FromStr;

use crate::rules::template::SEPARATOR;

/// What the segments of keys are joined by on the two sides of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Separators {
    /// In the keys that there are.
    pub left: char,
    /// In the keys that are made.
    pub right: char,
}

impl Separators {
    /// True if the sides differ.
    pub fn are_two(self) -> bool {
        self.left != self.right
    }
}

impl Default for Separators {
    fn default() -> Separators {
        SEPARATOR.into()
    }
}

impl From<char> for Separators {
    fn from(separator: char) -> Separators {
        Separators { left: separator, right: separator }
    }
}

/// `.`, or `/,.` for keys that have slashes and get dots.
impl FromStr for Separators {
    type Err = BadSeparators;

    fn from_str(text: &str) -> Result<Separators, BadSeparators> {
        let mut characters = text.chars();
        match [characters.next(), characters.next(), characters.next(), characters.next()] {
            [Some(both), None, ..] => Ok(both.into()),
            [Some(left), Some(','), Some(right), None] => Ok(Separators { left, right }),
            _ => Err(BadSeparators),
        }
    }
}

impl fmt::Display for Separators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.are_two() {
            return write!(f, "{},{}", self.left, self.right);
        }
        write!(f, "{}", self.left)
    }
}

/// A text that is not what segments are joined by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one character, or two with a comma between them for the two sides: '/,.'")]
pub struct BadSeparators;
