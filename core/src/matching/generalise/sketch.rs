//! Templates that a pair of keys suggests, before it is known how far they hold.
//!
//! A pair is cut so that a run of segments which both keys have becomes `{rest..}`; the numbers
//! around it become captures wherever other pairs with the same texts show how they go along.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use crate::matching::numbered::Numbered;
use crate::rules::template::{Segment, Template};
use crate::{IndexMap, SEPARATOR, TemplatePair};

/// Segments after the rest that may differ between the two keys.
const MAX_TAIL: usize = 3;

/// Lengths of the rest that are tried for one cut, the longest first.
const MAX_RESTS: usize = 8;

/// Keys with more segments suggest nothing, so that time stays linear in the keys' lengths.
const MAX_SEGMENTS: usize = 64;

/// Numbers of a key that are tried as literals one by one.
const MAX_NUMBERS: usize = 3;

/// The names of captured numbers; beyond them nothing is captured.
const NAMES: [&str; 6] = ["i", "j", "k", "l", "m", "n"];

/// A pair of keys in segments.
pub(super) struct Cuttable<'a> {
    from: Vec<Numbered<'a>>,
    to: Vec<Numbered<'a>>,
}

/// Where the rest of both keys lies, and which numbers of the old key stay as they are.
#[derive(Clone)]
pub(super) struct Sketch {
    from: Span,
    to: Span,
    /// Of the old key's numbers outside the rest, those that are captured.
    captured: Vec<bool>,
}

/// The segments before the rest and those after it, as counts; no rest if `rest` is false.
#[derive(Clone, Copy, PartialEq)]
struct Span {
    head: usize,
    tail: usize,
    has_rest: bool,
}

/// Where a number of the new key comes from.
#[derive(Clone, Copy)]
enum Origin {
    Constant(u64),
    Shifted { capture: usize, by: i64 },
}

impl<'a> Cuttable<'a> {
    /// A pair; none if a key has too many segments to look into.
    pub(super) fn new(from: &'a str, to: &'a str) -> Option<Cuttable<'a>> {
        let [from, to] = [from, to].map(|key| {
            let segments = key.split(SEPARATOR).take(MAX_SEGMENTS + 1).map(Numbered::of);
            segments.collect::<Vec<_>>()
        });
        let is_short = from.len().max(to.len()) <= MAX_SEGMENTS;
        is_short.then_some(Cuttable { from, to })
    }

    /// Every sketch of the pair, with the text by which sketches of pairs are the same.
    pub(super) fn sketches(&self) -> Vec<(String, Sketch)> {
        let mut sketches = Vec::new();
        if self.from != self.to {
            self.add(Span::whole(&self.from), Span::whole(&self.to), &mut sketches);
        }
        let tails = if self.from == self.to { 0 } else { MAX_TAIL };
        for tail in 0..=tails.min(self.from.len()) {
            for other in 0..=tails.min(self.to.len()) {
                self.add_rests(tail, other, &mut sketches);
            }
        }
        sketches
    }

    fn add_rests(&self, tail: usize, other: usize, sketches: &mut Vec<(String, Sketch)>) {
        let (from, to) = (&self.from[..self.from.len() - tail], &self.to[..self.to.len() - other]);
        if tail > 0 && self.from[from.len()..] == self.to[to.len()..] {
            return;
        }
        let run = from.iter().rev().zip(to.iter().rev()).take_while(|(a, b)| a == b).count();
        for rest in (1..=run).rev().take(MAX_RESTS) {
            let (head, other_head) = (from.len() - rest, to.len() - rest);
            if from[head..].iter().all(Numbered::is_bare) {
                continue;
            }
            let from = Span { head, tail, has_rest: true };
            let to = Span { head: other_head, tail: other, has_rest: true };
            self.add(from, to, sketches);
        }
    }

    /// Adds the sketches of one cut: all numbers captured, none, and all but each one.
    fn add(&self, from: Span, to: Span, sketches: &mut Vec<(String, Sketch)>) {
        let numbers = from.numbers(&self.from).count();
        let mut choices = Vec::from([alloc::vec![false; numbers]]);
        if (1..=NAMES.len()).contains(&numbers) {
            choices.push(alloc::vec![true; numbers]);
        }
        if (2..=MAX_NUMBERS).contains(&numbers) {
            choices.extend((0..numbers).map(|one| (0..numbers).map(|i| i != one).collect()));
        }
        for captured in choices {
            // Without captures and rest it would be the pair itself.
            if from.has_rest || captured.contains(&true) {
                let sketch = Sketch { from, to, captured };
                sketches.push((sketch.form(self), sketch));
            }
        }
    }
}

impl Span {
    fn whole(segments: &[Numbered]) -> Span {
        Span { head: segments.len(), tail: 0, has_rest: false }
    }

    fn segments<'s, 'a>(self, key: &'s [Numbered<'a>]) -> impl Iterator<Item = &'s Numbered<'a>> {
        key[..self.head].iter().chain(&key[key.len() - self.tail..])
    }

    fn numbers(self, key: &[Numbered]) -> impl Iterator<Item = u64> {
        self.segments(key).filter_map(|segment| segment.number)
    }

    /// The template, whose numbers become segments as `segment` says.
    fn template(
        self,
        key: &[Numbered],
        mut segment: impl FnMut(&Numbered, usize) -> Segment,
    ) -> Template {
        let mut number = 0;
        let mut segments: Vec<Segment> = self
            .segments(key)
            .map(|part| {
                let made = segment(part, number);
                number += usize::from(part.number.is_some());
                made
            })
            .collect();
        if self.has_rest {
            segments.insert(self.head, Segment::Rest(Some("rest".into())));
        }
        Template::of_segments(segments, SEPARATOR)
    }
}

impl Sketch {
    /// The texts of both sides, with marks for the rest and for numbers that may differ.
    fn form(&self, pair: &Cuttable) -> String {
        let mut form = String::new();
        let mut number = 0;
        for (i, segment) in self.from.segments(&pair.from).enumerate() {
            let rest = if self.from.has_rest && i == self.from.head { "\u{1}" } else { "" };
            let is_literal = segment.number.is_some() && !self.captured[number];
            number += usize::from(segment.number.is_some());
            let _ = match segment.number.filter(|_| is_literal) {
                Some(n) => write!(form, "{rest}.{}{n}{}", segment.before, segment.after),
                None => write!(form, "{rest}.{segment}"),
            };
        }
        let _ = write!(form, "\u{2}{}", self.from.tail);
        for segment in self.to.segments(&pair.to) {
            let _ = write!(form, ".{segment}");
        }
        let _ = write!(form, "\u{2}{}\u{2}{}", self.to.tail, self.to.has_rest);
        form
    }

    /// The templates that most of these pairs agree on, all of which have this sketch's form.
    ///
    /// None if numbers of the new keys come from nowhere, or those of the old ones go nowhere.
    pub(super) fn resolve(&self, pairs: &[&Cuttable]) -> Option<TemplatePair> {
        let from: Vec<Vec<u64>> =
            pairs.iter().map(|pair| self.captures(self.from.numbers(&pair.from))).collect();
        let to: Vec<Vec<u64>> =
            pairs.iter().map(|pair| self.to.numbers(&pair.to).collect()).collect();
        let captures = from.first()?.len();
        let varied: Vec<bool> = (0..captures).map(|at| varies(&from, at)).collect();
        let mut origins = Vec::new();
        let mut uses = alloc::vec![0; captures];
        for (at, constant) in to[0].iter().enumerate() {
            if !varies(&to, at) {
                origins.push(Origin::Constant(*constant));
                continue;
            }
            let origin = origin(&from, &varied, &to, at)?;
            if let Origin::Shifted { capture, .. } = origin {
                uses[capture] += 1;
            }
            origins.push(origin);
        }
        if (0..captures).any(|at| varied[at] != (uses[at] == 1)) {
            return None;
        }
        Some(self.pair(pairs.first()?, &varied, &origins))
    }

    fn captures(&self, numbers: impl Iterator<Item = u64>) -> Vec<u64> {
        numbers.zip(&self.captured).filter(|(_, captured)| **captured).map(|(n, _)| n).collect()
    }

    fn pair(&self, example: &Cuttable, varied: &[bool], origins: &[Origin]) -> TemplatePair {
        // The captures that vary, by their places among the old key's numbers, and their names.
        let mut names = IndexMap::<usize, usize>::default();
        let places = (0..self.captured.len()).filter(|place| self.captured[*place]);
        for (capture, place) in places.enumerate().filter(|(capture, _)| varied[*capture]) {
            names.insert(place, capture);
        }
        let name = |capture: usize| names.values().position(|c| *c == capture).unwrap_or(0);
        let from = self.from.template(&example.from, |segment, number| {
            match (segment.number, names.get(&number)) {
                (Some(_), Some(capture)) => hole(segment, name(*capture), 0),
                (own, _) => literal(segment, own),
            }
        });
        let to = self.to.template(&example.to, |segment, number| {
            match segment.number.and(origins.get(number)) {
                Some(Origin::Shifted { capture, by }) => hole(segment, name(*capture), *by),
                Some(Origin::Constant(constant)) => literal(segment, Some(*constant)),
                None => literal(segment, None),
            }
        });
        TemplatePair::new(from, to).expect("both sides have the same captures, each of them once")
    }
}

fn literal(segment: &Numbered, number: Option<u64>) -> Segment {
    let number = number.map(|number| number.to_string()).unwrap_or_default();
    Segment::literal(alloc::format!("{}{number}{}", segment.before, segment.after))
}

/// The capture from which most pairs' number at this place differs by the same amount.
fn origin(from: &[Vec<u64>], varied: &[bool], to: &[Vec<u64>], at: usize) -> Option<Origin> {
    let mut votes = IndexMap::<(usize, i64), usize>::default();
    for (old, new) in from.iter().zip(to) {
        for capture in (0..old.len()).filter(|capture| varied[*capture]) {
            let by = i64::try_from(new[at]).ok()? - i64::try_from(old[capture]).ok()?;
            *votes.entry((capture, by)).or_default() += 1;
        }
    }
    // Of those with as many votes, the smallest shift and then the same place.
    let ((capture, by), count) = votes.into_iter().min_by_key(|((capture, by), count)| {
        (usize::MAX - *count, by.unsigned_abs(), capture.abs_diff(at))
    })?;
    (2 * count > from.len()).then_some(Origin::Shifted { capture, by })
}

/// True if a number is not the same in all rows.
fn varies(rows: &[Vec<u64>], at: usize) -> bool {
    rows.iter().any(|row| row[at] != rows[0][at])
}

/// A segment with a capture in place of its number.
fn hole(segment: &Numbered, name: usize, shift: i64) -> Segment {
    Segment::hole(segment.before, NAMES[name], shift, segment.after)
}
