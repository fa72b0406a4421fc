//! Keys that differ in numbers and words alone, as one key with digits.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::IndexSet;

/// Words of a list; beyond them keys are better listed one by one.
const MAX_WORDS: usize = 64;

/// Numbers after a letter (`fc1`, `fc2`) that are spelled as words.
const FEW: usize = 4;

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Piece {
    Text(String),
    Number(u64),
    /// What varies, by its position among the digits.
    Digit(usize),
}

/// What varies in the keys of one family.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Digit {
    /// `first`, `first + by` and so on; backwards if that is less than zero.
    Numbers { size: u64, first: i64, by: i64 },
    /// One of these.
    Words(Vec<String>),
}

impl Digit {
    pub(super) fn size(&self) -> u64 {
        match self {
            Digit::Numbers { size, .. } => *size,
            Digit::Words(words) => words.len() as u64,
        }
    }
}

/// Keys as one, and the value of every digit in each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) pieces: Vec<Piece>,
    pub(super) digits: Vec<Digit>,
    /// For each key, in the order given.
    pub(super) values: Vec<Vec<u64>>,
}

/// A key as texts and numbers.
pub(super) fn pieces(key: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = key;
    while let Some(first) = rest.chars().next() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number = &rest[..digits];
        let is_canonical = number == "0" || !number.starts_with('0');
        match number.parse::<u32>() {
            Ok(value) if is_canonical => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(core::mem::take(&mut text)));
                }
                pieces.push(Piece::Number(value.into()));
                rest = &rest[digits..];
            }
            _ => {
                let end = if digits > 0 { digits } else { first.len_utf8() };
                text.push_str(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// The keys as one family, each digit's values counted together; none if they are no such family.
///
/// Words are in the order in which `keys` has them.
pub(super) fn family(keys: &[&str]) -> Option<Family> {
    let split: Vec<Vec<Piece>> = keys.iter().map(|key| pieces(key)).collect();
    let first = split.first()?;
    let is_aligned = split.iter().all(|other| {
        other.len() == first.len()
            && other.iter().zip(first).all(|(x, y)| {
                matches!(
                    (x, y),
                    (Piece::Text(_), Piece::Text(_)) | (Piece::Number(_), Piece::Number(_))
                )
            })
    });
    let found = if is_aligned { aligned(&split) } else { None };
    found.or_else(|| worded(keys)).filter(Family::is_complete)
}

impl Family {
    /// True if every combination of values is one key.
    fn is_complete(&self) -> bool {
        let all: u64 = self.digits.iter().map(Digit::size).product();
        let different: IndexSet<&Vec<u64>> = self.values.iter().collect();
        different.len() as u64 == all && self.values.len() as u64 == all
    }
}

/// Keys with the same texts and numbers in the same places, but for some.
fn aligned(split: &[Vec<Piece>]) -> Option<Family> {
    let first = &split[0];
    let varies = |at: usize| split.iter().any(|other| other[at] != first[at]);
    let texts: Vec<usize> =
        (0..first.len()).filter(|at| matches!(first[*at], Piece::Text(_)) && varies(*at)).collect();
    // Words may begin and end within a text; what lies between two of them belongs to them.
    let span = texts.first().copied().zip(texts.last().copied());
    let mut family = Family {
        pieces: Vec::new(),
        digits: Vec::new(),
        values: alloc::vec![Vec::new(); split.len()],
    };
    let mut at = 0;
    while at < first.len() {
        if let Some((from, to)) = span.filter(|(from, _)| *from == at) {
            let words: Vec<String> = split.iter().map(|it| spelled(&it[from..=to])).collect();
            family.push_words(&words)?;
            at = to + 1;
            continue;
        }
        match &first[at] {
            Piece::Number(_) if varies(at) => {
                let numbers: Vec<u64> = split.iter().map(|it| number(&it[at])).collect();
                let is_bare = at == 0
                    || matches!(&first[at - 1], Piece::Text(text) if !text.ends_with(char::is_alphabetic));
                family.push_numbers(&numbers, is_bare)?;
            }
            piece => family.pieces.push(piece.clone()),
        }
        at += 1;
    }
    Some(family)
}

/// Keys that have nothing in common but how they begin and end.
fn worded(keys: &[&str]) -> Option<Family> {
    let mut family = Family {
        pieces: Vec::new(),
        digits: Vec::new(),
        values: alloc::vec![Vec::new(); keys.len()],
    };
    family.push_words(&keys.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Some(family)
}

impl Family {
    /// A digit whose values are words, which are cut to what is not the same in all of them.
    fn push_words(&mut self, words: &[String]) -> Option<()> {
        let (start, end) = common(words);
        let first = &words[0];
        if start > 0 {
            self.push_pieces(&first[..start]);
        }
        let own: IndexSet<&str> = words.iter().map(|word| &word[start..word.len() - end]).collect();
        let is_plain = |word: &&str| !word.is_empty() && !word.contains(['{', '}', ',', '=', ' ']);
        if own.len() > MAX_WORDS || !own.iter().all(is_plain) {
            return None;
        }
        for (word, values) in words.iter().zip(&mut self.values) {
            let own = own.get_index_of(&word[start..word.len() - end]);
            values.push(own.expect("it is one of them") as u64);
        }
        self.pieces.push(Piece::Digit(self.digits.len()));
        self.digits.push(Digit::Words(own.into_iter().map(String::from).collect()));
        if end > 0 {
            self.push_pieces(&first[first.len() - end..]);
        }
        Some(())
    }

    fn push_pieces(&mut self, text: &str) {
        self.pieces.extend(pieces(text));
    }

    fn push_numbers(&mut self, numbers: &[u64], is_bare: bool) -> Option<()> {
        let mut own: Vec<u64> = numbers.to_vec();
        own.sort_unstable();
        own.dedup();
        let by = own[1] - own[0];
        let is_even = own.windows(2).all(|pair| pair[1] - pair[0] == by);
        let is_counted = is_even && (is_bare && by == 1 || own.len() > FEW);
        if !is_counted {
            // A word stands for a number after a letter: `fc{p=1,2}`.
            let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            return self.push_words(&words);
        }
        for (number, values) in numbers.iter().zip(&mut self.values) {
            values.push((number - own[0]) / by);
        }
        self.pieces.push(Piece::Digit(self.digits.len()));
        let (first, by) = (i64::try_from(own[0]).ok()?, i64::try_from(by).ok()?);
        self.digits.push(Digit::Numbers { size: own.len() as u64, first, by });
        Some(())
    }
}

/// The bytes that all words begin and end with, in whole parts between `.`, `/` and `_`.
fn common(words: &[String]) -> (usize, usize) {
    let first = &words[0];
    let is_break = |c: char| matches!(c, '.' | '/' | '_');
    let same = |len: usize| words.iter().all(|word| word.get(..len) == first.get(..len));
    let starts =
        first.char_indices().filter(|(_, c)| is_break(*c)).map(|(at, c)| at + c.len_utf8());
    let start = starts.filter(|at| same(*at)).max().unwrap_or(0);
    let shortest = words.iter().map(String::len).min().unwrap_or(0);
    let ends = first.char_indices().filter(|(at, c)| *at >= start && is_break(*c));
    let ends = ends.map(|(at, _)| first.len() - at);
    let same = |len: usize| {
        len + start < shortest
            && words
                .iter()
                .all(|word| word.get(word.len() - len..) == first.get(first.len() - len..))
    };
    let end = ends.filter(|len| same(*len)).max().unwrap_or(0);
    (start, end)
}

fn number(piece: &Piece) -> u64 {
    match piece {
        Piece::Number(number) => *number,
        Piece::Text(_) | Piece::Digit(_) => 0,
    }
}

fn spelled(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(own) => text += own,
            Piece::Number(number) => text += &number.to_string(),
            Piece::Digit(_) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[&str], expected: Option<&str>) {
        let family = family(keys);
        let text = family.map(|family| {
            let text: Vec<String> = family
                .pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Number(number) => number.to_string(),
                    Piece::Digit(at) => match &family.digits[*at] {
                        Digit::Numbers { size, first, by } => {
                            alloc::format!("{{{first}+{by}*{size}}}")
                        }
                        Digit::Words(words) => alloc::format!("{{{}}}", words.join(",")),
                    },
                })
                .collect();
            text.concat()
        });
        assert_eq!(text.as_deref(), expected);
    }

    #[test]
    fn numbers_and_words_that_vary_are_digits() {
        check(&["l.0.q", "l.0.k", "l.0.v"], Some("l.0.{q,k,v}"));
        check(&["l.3.to_q.w", "l.3.to_out.0.w"], Some("l.3.to_{q,out.0}.w"));
        check(&["e.0.w1.w", "e.0.w3.w", "e.1.w1.w", "e.1.w3.w"], Some("e.{0+1*2}.w{1,3}.w"));
        check(&["b_1/k", "b_2/k", "b_3/k"], Some("b_{1+1*3}/k"));
        check(&["e.0.gate", "e.0.up", "e.1.gate"], None);
        check(&["a.x", "a.x"], None);
    }
}
