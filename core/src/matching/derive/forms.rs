//! What a component does, said so that those of other layers say the same.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use crate::matching::derive::components::Component;
use crate::matching::derive::families::{Digit, Piece, family, pieces};
use crate::matching::derive::layouts::{Layout, Layouts, OfKey};
use crate::matching::derive::terms::{Named, Term, Terms};

/// A rule for one component, before its numbers and places have names.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) left: Vec<FormTerm>,
    pub(super) right: Vec<FormTerm>,
    /// For each class of places its size.
    pub(super) sizes: Vec<u64>,
    pub(super) digits: Vec<Option<OfKey>>,
    /// The tensors that it is about.
    pub(super) sources: Vec<usize>,
    pub(super) targets: Vec<usize>,
}

/// A term of a form.
#[derive(Clone, Debug)]
pub(super) struct FormTerm {
    pub(super) pieces: Vec<Piece>,
    pub(super) digits: Vec<Digit>,
    /// None where the tensor stays as it is.
    pub(super) dimensions: Option<Vec<Layout>>,
    /// The keys of its ties, which have the same digits.
    pub(super) ties: Vec<Vec<Piece>>,
}

impl Form {
    /// A tensor that stays as it is under one key or several.
    pub(super) fn renamed(source: (usize, &str), targets: &[(usize, &str)]) -> Form {
        let term = |key: &str| FormTerm {
            pieces: pieces(key),
            digits: Vec::new(),
            dimensions: None,
            ties: Vec::new(),
        };
        let mut right = term(targets[0].1);
        right.ties = targets[1..].iter().map(|(_, key)| pieces(key)).collect();
        Form {
            left: [term(source.1)].into(),
            right: [right].into(),
            sizes: Vec::new(),
            digits: Vec::new(),
            sources: [source.0].into(),
            targets: targets.iter().map(|(at, _)| *at).collect(),
        }
    }

    /// What a component does; none if its elements go ways that layouts cannot say.
    pub(super) fn of(component: &Component, a: &Named<'_>, b: &Named<'_>) -> Option<Form> {
        let mut terms = Terms::of(component, a, b);
        let layouts = Layouts::of(&mut terms)?;
        let mut form = Form {
            left: formed(&terms.left, layouts.left),
            right: formed(&terms.right, layouts.right),
            sizes: layouts.sizes,
            digits: layouts.digits,
            sources: component.sources.clone(),
            targets: component.targets.clone(),
        };
        form.targets.extend(component.ties.iter().map(|(_, alias)| *alias));
        for (term, own) in terms.right.iter().zip(&mut form.right) {
            own.ties = ties(term, component, b)?;
        }
        form.in_reading_order();
        Some(form)
    }

    /// Numbers the classes in the order in which one reads them.
    fn in_reading_order(&mut self) {
        let mut order = Vec::new();
        for term in self.left.iter().chain(&self.right) {
            term.dimensions.iter().flatten().for_each(|layout| layout.classes(&mut order));
        }
        let mut becomes: Vec<Option<usize>> = alloc::vec![None; self.sizes.len()];
        let mut next = 0;
        for class in order {
            if becomes[class].is_none() {
                becomes[class] = Some(next);
                next += 1;
            }
        }
        let (sizes, digits) = (self.sizes.clone(), self.digits.clone());
        for (old, new) in becomes.iter().enumerate() {
            if let Some(new) = new {
                self.sizes[*new] = sizes[old];
                self.digits[*new] = digits[old];
            }
        }
        for term in self.left.iter_mut().chain(&mut self.right) {
            for layout in term.dimensions.iter_mut().flatten() {
                *layout = renumbered(layout, &becomes);
            }
        }
    }

    /// The terms of both sides.
    pub(super) fn terms(&self) -> impl Iterator<Item = &FormTerm> {
        self.left.iter().chain(&self.right)
    }

    /// The numbers in its keys that are no digits, in order; those of ties last.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let keys = self.terms().map(|term| &term.pieces);
        let ties = self.terms().flat_map(|term| &term.ties);
        let numbers = keys.chain(ties).flatten().filter_map(|piece| match piece {
            Piece::Number(number) => Some(*number),
            Piece::Text(_) | Piece::Digit(_) => None,
        });
        numbers.collect()
    }

    /// How many of the numbers are in keys of the left side.
    pub(super) fn numbers_on_the_left(&self) -> usize {
        let pieces = self.left.iter().flat_map(|term| &term.pieces);
        pieces.filter(|piece| matches!(piece, Piece::Number(_))).count()
    }

    /// True if a segment of its keys on the left, or a part of one, is one of these words.
    pub(super) fn says_one_of(&self, words: &[&str]) -> bool {
        let says = |text: &str| {
            let mut parts = text.split(['.', '/', '_']);
            parts.any(|part| words.contains(&part))
        };
        self.left.iter().any(|term| {
            let of_digits = term.digits.iter().any(|digit| match digit {
                Digit::Words(all) => all.iter().any(|word| says(word)),
                Digit::Numbers { .. } => false,
            });
            let texts = term.pieces.iter().any(|piece| match piece {
                Piece::Text(text) => says(text),
                Piece::Number(_) | Piece::Digit(_) => false,
            });
            of_digits || texts
        })
    }

    /// A text that forms have in common which differ in numbers and sizes alone.
    pub(super) fn outline(&self) -> String {
        let mut text = String::new();
        for (side, terms) in [("", &self.left), ("->", &self.right)] {
            text += side;
            for term in terms {
                for key in core::iter::once(&term.pieces).chain(&term.ties) {
                    outline(key, &mut text);
                    text.push(' ');
                }
                let _ = write!(text, "{:?} {:?};", term.digits, term.dimensions);
            }
        }
        text
    }
}

fn outline(key: &[Piece], text: &mut String) {
    for piece in key {
        match piece {
            Piece::Text(own) => *text += own,
            Piece::Number(_) => text.push('\u{0}'),
            Piece::Digit(digit) => *text += &alloc::format!("{{{digit}}}"),
        }
    }
}

fn formed(terms: &[Term], layouts: Vec<Vec<Layout>>) -> Vec<FormTerm> {
    let both = terms.iter().zip(layouts);
    let formed = both.map(|(term, dimensions)| FormTerm {
        pieces: term.pieces.clone(),
        digits: term.digits.clone(),
        dimensions: Some(dimensions),
        ties: Vec::new(),
    });
    formed.collect()
}

fn renumbered(layout: &Layout, becomes: &[Option<usize>]) -> Layout {
    let all = |all: &[Layout]| all.iter().map(|it| renumbered(it, becomes)).collect();
    match layout {
        Layout::One => Layout::One,
        Layout::Axis(class) => Layout::Axis(becomes[*class].unwrap_or(*class)),
        Layout::Product(parts) => Layout::Product(all(parts)),
        Layout::Sum(parts) => Layout::Sum(all(parts)),
    }
}

/// The keys of a term's ties; none if not all its members have as many, with the same digits.
fn ties(term: &Term, component: &Component, b: &Named<'_>) -> Option<Vec<Vec<Piece>>> {
    let of = |member: usize| {
        let own = component.ties.iter().filter(move |(first, _)| *first == member);
        own.map(|(_, alias)| *alias).collect::<Vec<_>>()
    };
    let all: Vec<Vec<usize>> = term.members.iter().map(|member| of(*member)).collect();
    let count = all[0].len();
    if all.iter().any(|own| own.len() != count) {
        return None;
    }
    let mut keys = Vec::new();
    for tie in 0..count {
        let own: Vec<&str> = all.iter().map(|own| (b.keys)(own[tie])).collect();
        if term.digits.is_empty() {
            keys.push(pieces(own[0]));
            continue;
        }
        let family = family(&own)?;
        if family.digits != term.digits {
            return None;
        }
        keys.push(family.pieces);
    }
    Some(keys)
}

impl FormTerm {
    /// The key for each combination of words.
    pub(super) fn spellings(&self) -> Spellings {
        let mut all: Vec<Vec<Spelled>> = [Vec::new()].into();
        for piece in &self.pieces {
            let choices: Vec<Vec<Spelled>> = match piece {
                Piece::Text(text) => [[Spelled::Text(text.clone())].into()].into(),
                Piece::Number(number) => [[Spelled::Number(*number)].into()].into(),
                Piece::Digit(digit) => match &self.digits[*digit] {
                    Digit::Numbers { .. } => [[Spelled::Any].into()].into(),
                    Digit::Words(words) => words.iter().map(|word| spelled(word)).collect(),
                },
            };
            all = all
                .iter()
                .flat_map(|start| {
                    choices.iter().map(|more| {
                        let mut all = start.clone();
                        more.iter().for_each(|piece| join(&mut all, piece.clone()));
                        all
                    })
                })
                .collect();
        }
        Spellings(all)
    }
}

/// The keys of a term, one for each combination of words.
pub(super) struct Spellings(Vec<Vec<Spelled>>);

impl Spellings {
    /// True if a key is one of these, whatever the numbers are that vary.
    ///
    /// `is_captured` says of the term's numbers which are, in order.
    pub(super) fn matches(&self, key: &[Piece], is_captured: &[bool]) -> bool {
        self.0.iter().any(|spelling| is_spelled(key, spelling, is_captured))
    }
}

fn is_spelled(key: &[Piece], spelling: &[Spelled], is_captured: &[bool]) -> bool {
    let mut number = 0;
    let mut of_text = key.iter();
    let mut left = spelling.iter();
    loop {
        match (of_text.next(), left.next()) {
            (None, None) => return true,
            (Some(Piece::Text(x)), Some(Spelled::Text(y))) if x == y => {}
            (Some(Piece::Number(x)), Some(Spelled::Number(y))) => {
                let is_free = is_captured.get(number).copied().unwrap_or(false);
                number += 1;
                if !is_free && x != y {
                    return false;
                }
            }
            (Some(Piece::Number(x)), Some(Spelled::Word(y))) if x == y => {}
            (Some(Piece::Number(_)), Some(Spelled::Any)) => {}
            _ => return false,
        }
    }
}

/// A part of a key in one spelling.
#[derive(Clone, Debug)]
enum Spelled {
    Text(String),
    /// A number of the term's own.
    Number(u64),
    /// A number in a word.
    Word(u64),
    /// A digit's.
    Any,
}

fn spelled(word: &str) -> Vec<Spelled> {
    let parts = pieces(word).into_iter().map(|piece| match piece {
        Piece::Text(text) => Spelled::Text(text),
        Piece::Number(number) => Spelled::Word(number),
        Piece::Digit(_) => Spelled::Any,
    });
    parts.collect()
}

/// Texts that touch are one.
fn join(all: &mut Vec<Spelled>, next: Spelled) {
    match (all.last_mut(), &next) {
        (Some(Spelled::Text(before)), Spelled::Text(text)) => *before += text,
        _ => all.push(next),
    }
}

/// A number as it is.
pub(super) fn literal(number: u64) -> String {
    number.to_string()
}
