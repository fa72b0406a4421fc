//! Clusters of forms as the text of rules.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::derive::clusters::{Cluster, Number, spelled_number};
use crate::matching::derive::families::{Digit, Piece};
use crate::matching::derive::forms::{Form, FormTerm};
use crate::matching::derive::layouts::{Layout, OfKey};
use crate::matching::derive::lists::{TermText, Wording};
use crate::matching::derive::pins::{KnownSize, Pin, pins};

/// Names of numbers in keys.
const CAPTURES: [&str; 6] = ["i", "j", "k", "l", "m", "n"];

/// Names of numbers in keys that are places on the other side.
const NUMBERS: [&str; 4] = ["e", "f", "g", "h"];

/// Names of words in keys that are places on the other side.
const WORDS: [&str; 2] = ["p", "q"];

/// Names of places.
const PLACES: [&str; 13] = ["a", "b", "c", "d", "o", "u", "v", "w", "x", "y", "z", "aa", "bb"];

/// The largest size that a place has for its name.
const LARGEST_NUMBER: u64 = 4;

/// The text of a cluster's rule; none if it has more places than there are names, or sizes that are
/// not the same in all of its forms.
pub(super) fn wording(forms: &[Form], cluster: &Cluster, known: &[KnownSize]) -> Option<Wording> {
    let form = &forms[cluster.forms[0]];
    let sizes: Vec<&[u64]> = cluster.forms.iter().map(|at| forms[*at].sizes.as_slice()).collect();
    let pins = pins(form, &sizes, known)?;
    let names = Names::of(form, cluster, &pins, known)?;
    let words = Words { form, cluster, pins: &pins, names: &names };
    words.text()
}

/// The names of everything in a rule.
struct Names {
    /// Of classes of places.
    classes: Vec<String>,
    /// Of the digits of each term, of the left and of the right.
    digits: [Vec<Vec<String>>; 2],
}

impl Names {
    fn of(
        form: &Form,
        cluster: &Cluster,
        pins: &[Option<Pin>],
        known: &[KnownSize],
    ) -> Option<Names> {
        let mut numbers = NUMBERS.iter();
        let mut words = WORDS.iter();
        let mut places = PLACES.iter();
        let mut digits = [names_of(&form.left), names_of(&form.right)];
        let mut classes: Vec<String> = Vec::new();
        if cluster.captures > CAPTURES.len() {
            return None;
        }
        for (class, digit) in form.digits.iter().enumerate() {
            let name = match digit {
                Some(own) => {
                    let (side, term, digit) = match *own {
                        OfKey::Left { term, digit } => (0, term, digit),
                        OfKey::Right { term, digit } => (1, term, digit),
                    };
                    let of = if side == 0 { &form.left } else { &form.right };
                    let name = match &of[term].digits[digit] {
                        Digit::Numbers { .. } => numbers.next()?,
                        Digit::Words(_) => words.next()?,
                    };
                    digits[side][term][digit] = name.to_string();
                    name.to_string()
                }
                None => match pins[class] {
                    Some(Pin::Known(at)) => known[at].name.clone(),
                    _ if is_number(form, class, pins) => form.sizes[class].to_string(),
                    _ => places.next()?.to_string(),
                },
            };
            classes.push(name);
        }
        Some(Names { classes, digits })
    }
}

fn names_of(terms: &[FormTerm]) -> Vec<Vec<String>> {
    terms.iter().map(|term| alloc::vec![String::new(); term.digits.len()]).collect()
}

/// True if a place may be called by its size: a small one that has to be said, and is the only one of
/// that size that is.
fn is_number(form: &Form, class: usize, pins: &[Option<Pin>]) -> bool {
    let size = form.sizes[class];
    let is_pinned = |class: usize| matches!(pins[class], Some(Pin::Number(_)));
    let others = (0..pins.len()).filter(|other| *other != class && is_pinned(*other));
    let count = |terms: &[FormTerm]| {
        let mut all = Vec::new();
        let dimensions = terms.iter().filter_map(|term| term.dimensions.as_ref()).flatten();
        dimensions.for_each(|layout| layout.classes(&mut all));
        all.into_iter().filter(|own| *own == class).count()
    };
    is_pinned(class)
        && (2..=LARGEST_NUMBER).contains(&size)
        && others.into_iter().all(|other| form.sizes[other] != size)
        && count(&form.left) == 1
        && count(&form.right) == 1
}

struct Words<'w> {
    form: &'w Form,
    cluster: &'w Cluster,
    pins: &'w [Option<Pin>],
    names: &'w Names,
}

impl Words<'_> {
    fn text(&self) -> Option<Wording> {
        let mut number = 0;
        let mut said = alloc::vec![false; self.pins.len()];
        let mut sides = Vec::new();
        for (side, terms) in [&self.form.left, &self.form.right].into_iter().enumerate() {
            let mut texts = Vec::new();
            for (term, own) in terms.iter().enumerate() {
                let names = &self.names.digits[side][term];
                let key = self.key(&own.pieces, &own.digits, names, &mut number)?;
                let places = own.dimensions.as_ref().map(|dimensions| {
                    dimensions.iter().map(|layout| self.place(layout, &mut said)).collect()
                });
                texts.push(TermText { key, places, ties: Vec::new() });
            }
            sides.push(texts);
        }
        // The numbers of ties come after all others.
        for (side, terms) in [&self.form.left, &self.form.right].into_iter().enumerate() {
            for (term, own) in terms.iter().enumerate() {
                for tie in &own.ties {
                    let names = &self.names.digits[side][term];
                    let key = self.key(tie, &own.digits, names, &mut number)?;
                    sides[side][term].ties.push(key);
                }
            }
        }
        let right = sides.pop()?;
        let left = sides.pop()?;
        Some(Wording { left, right, clusters: Vec::new(), lists: 0 })
    }

    fn key(
        &self,
        pieces: &[Piece],
        digits: &[Digit],
        names: &[String],
        number: &mut usize,
    ) -> Option<String> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(own) => {
                    // Nothing that the notation has another meaning for.
                    if own.contains(['{', '}', '[', ']', '*', '\\', ',', '=', ' ', '>', '|']) {
                        return None;
                    }
                    text += own;
                }
                Piece::Number(_) => {
                    let own: Number = self.cluster.numbers[*number];
                    text += &own.spelled(&CAPTURES);
                    *number += 1;
                }
                Piece::Digit(digit) => match &digits[*digit] {
                    Digit::Numbers { first, by, .. } => {
                        text += &spelled_number(&names[*digit], *by, *first);
                    }
                    Digit::Words(words) => {
                        text += &alloc::format!("{{{}={}}}", names[*digit], words.join(","));
                    }
                },
            }
        }
        Some(text)
    }

    /// A dimension, the places in it with their sizes where those have to be said.
    fn place(&self, layout: &Layout, said: &mut [bool]) -> String {
        match layout {
            Layout::One => "1".into(),
            Layout::Axis(class) => {
                let name = &self.names.classes[*class];
                let is_new = !core::mem::replace(&mut said[*class], true);
                let size = match &self.pins[*class] {
                    Some(Pin::Number(size)) if is_new && size.to_string() != *name => {
                        alloc::format!("={size}")
                    }
                    Some(Pin::Multiple { of, by }) if is_new => {
                        let of = &self.names.classes[*of];
                        let by = if *by == 1 { String::new() } else { alloc::format!("{by}*") };
                        alloc::format!("={by}{of}")
                    }
                    _ => String::new(),
                };
                alloc::format!("{name}{size}")
            }
            Layout::Product(all) => {
                let all: Vec<String> = all.iter().map(|layout| self.place(layout, said)).collect();
                alloc::format!("({})", all.join(" "))
            }
            Layout::Sum(all) => {
                let all = all.iter().map(|layout| match layout {
                    Layout::Product(parts) => {
                        let parts: Vec<String> =
                            parts.iter().map(|layout| self.place(layout, said)).collect();
                        parts.join(" ")
                    }
                    other => self.place(other, said),
                });
                alloc::format!("({})", all.collect::<Vec<_>>().join(" | "))
            }
        }
    }
}
