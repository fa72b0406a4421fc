//! Segments with their numbers: `layer12` is `layer`, 12 and nothing.

use core::fmt;

/// The largest number that is looked at as one, so that shifts stay within what templates hold.
const LARGEST: u64 = i32::MAX as u64;

/// A segment, taken apart at its last whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Numbered<'a> {
    /// The text before the number; all of it if there is none.
    pub(crate) before: &'a str,
    pub(crate) number: Option<u64>,
    pub(crate) after: &'a str,
}

impl<'a> Numbered<'a> {
    /// Takes a segment apart; `007` is text, as is a number that is too large.
    pub(crate) fn of(segment: &'a str) -> Numbered<'a> {
        let text = Numbered { before: segment, number: None, after: "" };
        let Some(last) = segment.rfind(|c: char| c.is_ascii_digit()) else { return text };
        let end = last + 1;
        let start = segment[..end]
            .rfind(|c: char| !c.is_ascii_digit())
            .map_or(0, |at| at + segment[at..].chars().next().map_or(1, char::len_utf8));
        let digits = &segment[start..end];
        let canonical = digits == "0" || !digits.starts_with('0');
        match digits.parse::<u64>() {
            Ok(number) if canonical && number <= LARGEST => {
                Numbered { before: &segment[..start], number: Some(number), after: &segment[end..] }
            }
            _ => text,
        }
    }

    /// True if there is nothing beside the number.
    pub(crate) fn is_bare(&self) -> bool {
        self.number.is_some() && self.before.is_empty() && self.after.is_empty()
    }
}

/// The segment with a mark no name has for its number: the form that keys have in common.
impl fmt::Display for Numbered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.number.is_some() { "\u{0}" } else { "" };
        write!(f, "{}{mark}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_number_of_a_segment_counts() {
        let check = |segment, before, number, after| {
            assert_eq!(Numbered::of(segment), Numbered { before, number, after });
        };
        check("12", "", Some(12), "");
        check("layer3", "layer", Some(3), "");
        check("é3é", "é", Some(3), "é");
        check("conv2d_1a", "conv2d_", Some(1), "a");
        check("weight", "weight", None, "");
        check("007", "007", None, "");
        check("99999999999", "99999999999", None, "");
        check("", "", None, "");
    }
}
