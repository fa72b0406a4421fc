//! Templates against keys.
//!
//! A template is a list of literals and holes. A key is read from left to right, each hole taking
//! as little as it can; where that leads nowhere, it takes more. Keys that lead into many such
//! turns are read with a table of what is possible from where, which takes time in proportion to
//! the key, whatever a stranger's file has for keys.

use alloc::string::String;
use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::rules::template::held::Held;
use crate::rules::template::part::{Affine, Capture, Form, Name, Part, Segment};
use crate::rules::template::{MOST_DIGITS, Template};
use crate::sorting;

/// One step of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// This text.
    Literal(String),
    /// At least one character, none of them a separator.
    Text(Option<Name>),
    /// A number.
    Number(Name, Affine),
    /// One of a list.
    Words(Option<Name>, Words),
    /// Any number of segments at the start, each with the separator after it.
    RestStart(Option<Name>),
    /// Any number of segments, each with the separator before it.
    RestInner(Option<Name>),
    /// The whole key.
    RestWhole(Option<Name>),
    /// No segment: a rest that another one follows, which takes all of them.
    Nothing(Option<Name>),
    /// What cannot match, since a size is not known.
    Never,
}

/// The words of a list: as they are written, and in the order they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) all: Vec<String>,
    /// The longest first.
    tried: Vec<String>,
}

impl Words {
    fn new(all: &[String]) -> Words {
        let mut tried = all.to_vec();
        sorting::sort_by_key(&mut tried, |word| usize::MAX - word.len());
        Words { all: all.to_vec(), tried }
    }
}

impl Op {
    pub(crate) fn is_hole(&self) -> bool {
        !matches!(self, Op::Literal(_) | Op::Never)
    }

    /// The name of what it captures.
    pub(crate) fn name(&self) -> Option<&Name> {
        match self {
            Op::Number(name, _) => Some(name),
            Op::Text(name)
            | Op::Words(name, _)
            | Op::RestStart(name)
            | Op::RestInner(name)
            | Op::RestWhole(name)
            | Op::Nothing(name) => name.as_ref(),
            Op::Literal(_) | Op::Never => None,
        }
    }
}

/// The steps of a template's segments.
pub(super) fn program(segments: &[Segment], separator: char) -> Vec<Op> {
    let mut program = Vec::new();
    let mut literal = String::new();
    let mut only_rests = true;
    for (i, segment) in segments.iter().enumerate() {
        match segment {
            Segment::Rest(name) => {
                let is_last = i + 1 == segments.len();
                let name = name.clone();
                flush(&mut literal, &mut program);
                program.push(match segments.get(i + 1) {
                    Some(Segment::Rest(_)) => Op::Nothing(name),
                    _ if only_rests && is_last => Op::RestWhole(name),
                    _ if only_rests => Op::RestStart(name),
                    _ => Op::RestInner(name),
                });
            }
            Segment::Parts(parts) => {
                // What is at the start takes its separators with it.
                if !only_rests {
                    literal.push(separator);
                }
                only_rests = false;
                for part in parts {
                    let Some(op) = step(part) else {
                        let Part::Literal(text) = part else { continue };
                        literal.push_str(text);
                        continue;
                    };
                    flush(&mut literal, &mut program);
                    program.push(op);
                }
            }
        }
    }
    flush(&mut literal, &mut program);
    program
}

fn flush(literal: &mut String, program: &mut Vec<Op>) {
    if !literal.is_empty() {
        program.push(Op::Literal(core::mem::take(literal)));
    }
}

fn step(part: &Part) -> Option<Op> {
    Some(match part {
        Part::Literal(_) => return None,
        Part::Wild => Op::Text(None),
        Part::Choice(words) => Op::Words(None, Words::new(words)),
        Part::Size(_) => Op::Never,
        Part::Capture(Capture { name, form }) => match form {
            Form::Text => Op::Text(Some(name.clone())),
            Form::Digits => Op::Number(name.clone(), Affine::PLAIN),
            Form::Affine(affine) => Op::Number(name.clone(), affine.clone()),
            Form::Words(words) => Op::Words(Some(name.clone()), Words::new(words)),
        },
    })
}

/// Where the holes of a template begin and end in a key.
pub(crate) type Spans = SmallVec<[(usize, usize); 12]>;

impl Template {
    /// What the captures hold if the key matches.
    ///
    /// A capture takes as few segments and characters as it can.
    pub fn recognise(&self, key: &str) -> Option<Held> {
        Held::of_spans(self, key, &self.spans(key)?)
    }

    pub(super) fn spans(&self, key: &str) -> Option<Spans> {
        if !self.may_match(key) {
            return None;
        }
        // Nearly all keys take a few turns for each hole.
        let turns = 16 * (key.len() + self.program.len());
        let reader = Reader::new(self, key, None, turns);
        match reader.spans() {
            Reading::Found(spans) => Some(spans),
            Reading::None => None,
            Reading::TooManyTurns => {
                let table = Table::new(self, key);
                let reader = Reader::new(self, key, Some(&table), usize::MAX);
                match reader.spans() {
                    Reading::Found(spans) => Some(spans),
                    Reading::None | Reading::TooManyTurns => None,
                }
            }
        }
    }

    /// A cheap look at both ends, which settles most keys.
    fn may_match(&self, key: &str) -> bool {
        let starts = match self.program.first() {
            Some(Op::Literal(text)) => key.starts_with(text.as_str()),
            _ => true,
        };
        starts
            && match self.program.last() {
                Some(Op::Literal(text)) => key.ends_with(text.as_str()),
                _ => true,
            }
    }
}

/// What came of reading a key.
enum Reading {
    Found(Spans),
    None,
    TooManyTurns,
}

/// One reading of a key.
struct Reader<'a> {
    program: &'a [Op],
    key: &'a str,
    separator: char,
    table: Option<&'a Table>,
    /// How often it may still try.
    turns: usize,
    /// What was found, the last hole first.
    spans: Spans,
}

impl<'a> Reader<'a> {
    fn new(template: &'a Template, key: &'a str, table: Option<&'a Table>, turns: usize) -> Self {
        let (program, separator) = (&template.program[..], template.separator);
        Reader { program, key, separator, table, turns, spans: Spans::new() }
    }

    fn spans(mut self) -> Reading {
        if self.read(0, 0) {
            self.spans.reverse();
            return Reading::Found(self.spans);
        }
        if self.turns == 0 { Reading::TooManyTurns } else { Reading::None }
    }

    /// True if the rest of the program matches the key from `at` to its end.
    fn read(&mut self, op: usize, at: usize) -> bool {
        self.turns = self.turns.saturating_sub(1);
        if self.turns == 0 || self.table.is_some_and(|table| !table.is_possible(op, at)) {
            return false;
        }
        let Some(step) = self.program.get(op) else { return at == self.key.len() };
        let Some(text) = self.key.get(at..) else { return false };
        match step {
            Op::Never => false,
            Op::Literal(literal) => {
                text.starts_with(literal.as_str()) && self.read(op + 1, at + literal.len())
            }
            Op::Nothing(_) => self.end(op, at, at),
            Op::RestWhole(_) => self.end(op, at, self.key.len()),
            Op::Text(_) => self.read_text(op, at, text),
            Op::Number(_, affine) => {
                let most = digits(text.as_bytes());
                (1..=most)
                    .any(|len| affine.read(&text[..len]).is_some() && self.end(op, at, at + len))
            }
            Op::Words(_, words) => {
                let mut words = words.tried.iter().filter(|word| text.starts_with(word.as_str()));
                words.any(|word| self.end(op, at, at + word.len()))
            }
            Op::RestStart(_) => self.read_start(op, at, text),
            Op::RestInner(_) => self.read_inner(op, at, text),
        }
    }

    /// Reads on behind a hole, and notes it if that leads to the end.
    fn end(&mut self, op: usize, from: usize, to: usize) -> bool {
        let found = self.read(op + 1, to);
        if found {
            self.spans.push((from, to));
        }
        found
    }

    fn read_text(&mut self, op: usize, at: usize, text: &str) -> bool {
        for (i, c) in text.char_indices() {
            if c == self.separator || self.turns == 0 {
                return false;
            }
            if self.end(op, at, at + i + c.len_utf8()) {
                return true;
            }
        }
        false
    }

    fn read_start(&mut self, op: usize, at: usize, text: &str) -> bool {
        let separator = self.separator;
        let ends = text.match_indices(separator).map(|(i, found)| i + found.len());
        core::iter::once(0).chain(ends).any(|len| self.turns > 0 && self.end(op, at, at + len))
    }

    fn read_inner(&mut self, op: usize, at: usize, text: &str) -> bool {
        if self.end(op, at, at) {
            return true;
        }
        let Some(inner) = text.strip_prefix(self.separator) else { return false };
        let before = text.len() - inner.len();
        let ends = inner.match_indices(self.separator).map(|(i, _)| i);
        ends.chain([inner.len()]).any(|end| self.turns > 0 && self.end(op, at, at + before + end))
    }
}

/// How many digits a text begins with, as many as a number can have.
fn digits(text: &[u8]) -> usize {
    text.iter().take(MOST_DIGITS).take_while(|byte| byte.is_ascii_digit()).count()
}

/// From where in a key which steps of a program lead to its end.
struct Table {
    columns: usize,
    bits: Vec<u64>,
}

impl Table {
    /// Filled from the last step and the end of the key to the first and its start.
    fn new(template: &Template, key: &str) -> Table {
        let rows = template.program.len() + 1;
        let columns = key.len() + 1;
        let mut table = Table { columns, bits: alloc::vec![0; (rows * columns).div_ceil(64)] };
        table.set(rows - 1, key.len());
        for (op, step) in template.program.iter().enumerate().rev() {
            table.fill(op, step, key, template.separator);
        }
        table
    }

    fn is_possible(&self, op: usize, at: usize) -> bool {
        let bit = op * self.columns + at;
        self.bits.get(bit / 64).is_some_and(|bits| bits >> (bit % 64) & 1 == 1)
    }

    fn set(&mut self, op: usize, at: usize) {
        let bit = op * self.columns + at;
        if let Some(bits) = self.bits.get_mut(bit / 64) {
            *bits |= 1 << (bit % 64);
        }
    }

    fn fill(&mut self, op: usize, step: &Op, key: &str, separator: char) {
        // True if there is a place further on, within reach, from which the next step leads on.
        let mut reach = false;
        for at in (0..=key.len()).rev().filter(|at| key.is_char_boundary(*at)) {
            let text = &key[at..];
            let next = text.chars().next();
            let is_possible = match step {
                Op::Never => false,
                Op::Literal(literal) => {
                    text.starts_with(literal.as_str())
                        && self.is_possible(op + 1, at + literal.len())
                }
                Op::Nothing(_) => self.is_possible(op + 1, at),
                Op::RestWhole(_) => self.is_possible(op + 1, key.len()),
                Op::Text(_) => {
                    let after = next.filter(|c| *c != separator).map(|c| at + c.len_utf8());
                    reach = after.is_some_and(|after| reach || self.is_possible(op + 1, after));
                    reach
                }
                Op::Number(_, affine) => (1..=digits(text.as_bytes())).any(|len| {
                    affine.read(&text[..len]).is_some() && self.is_possible(op + 1, at + len)
                }),
                Op::Words(_, words) => words.tried.iter().any(|word| {
                    text.starts_with(word.as_str()) && self.is_possible(op + 1, at + word.len())
                }),
                Op::RestStart(_) => {
                    reach |=
                        (at == 0 || key[..at].ends_with(separator)) && self.is_possible(op + 1, at);
                    reach
                }
                Op::RestInner(_) => {
                    let found = self.is_possible(op + 1, at) || reach && next == Some(separator);
                    let is_end = next.is_none_or(|next| next == separator);
                    reach |= is_end && self.is_possible(op + 1, at);
                    found
                }
            };
            if is_possible {
                self.set(op, at);
            }
        }
    }
}
