//! Places: what the dimensions of a tensor are made of, `[(heads 2 x) ..]`.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::rules::limits::{MAX_DEPTH, MAX_PLACES};
use crate::rules::sizes::{SizeExpression, parse_number};
use crate::rules::template::{Name, is_identifier, words};
use crate::rules::tensor::{Inline, Problem};

/// The dimensions of a tensor, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dimensions(pub(crate) Vec<Place>);

/// What one dimension is made of, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An axis.
    Name(Name),
    /// An axis of this size, whose name is the number; of one element it has no name.
    Number(u64),
    /// Any number of dimensions.
    Rest,
    /// Several axes in one dimension, the first the slowest.
    Product(Vec<Place>),
    /// Parts one after another, each a product.
    Sum(Vec<Vec<Place>>),
    /// A product or a sum of this size.
    Sized(Box<Place>, SizeExpression),
    /// `_`, a part of a sum: what is cut off, or filled in with a number.
    Beyond {
        /// A name that no rule can write, its own in the rule.
        name: Name,
        /// What is there, if that is said.
        filled: Option<Filling>,
    },
    /// One of these names, by the word that its term was written out for.
    #[doc(hidden)]
    Choice(Vec<String>),
}

/// The number that rows are filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filling(u64);

impl Filling {
    /// A number; none for NaN.
    pub fn new(number: f64) -> Option<Filling> {
        (!number.is_nan()).then(|| Filling(number.to_bits()))
    }

    /// The number.
    pub fn number(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// How a rule writes what is cut off or filled in.
pub(crate) const BEYOND: &str = "_";

impl Dimensions {
    /// The dimensions.
    pub fn places(&self) -> &[Place] {
        &self.0
    }

    /// True if they end or begin with, or are, any number of dimensions.
    pub fn has_rest(&self) -> bool {
        self.0.contains(&Place::Rest)
    }

    /// Reads what is between brackets; sizes that are said there go into `inline`.
    pub(super) fn parse(text: &str, inline: &mut Inline) -> Result<Dimensions, Problem> {
        let mut parser = Parser { rest: text, inline, places: 0 };
        let mut places = Vec::new();
        loop {
            parser.skip_blanks();
            match parser.rest.chars().next() {
                None => break,
                Some('|') => return Err(Problem::BareSum),
                Some(')') => return Err(Problem::Parenthesis(text.to_owned())),
                Some(_) => places.push(parser.place(0)?),
            }
        }
        if places.iter().filter(|place| **place == Place::Rest).count() > 1 {
            return Err(Problem::RestTwice);
        }
        Ok(Dimensions(places))
    }

    /// The same with each place changed that has nothing inside.
    pub(super) fn map(self, change: &mut dyn FnMut(Place) -> Place) -> Dimensions {
        Dimensions(self.0.into_iter().map(|place| place.map(change)).collect())
    }

    /// The places that have nothing inside, in order.
    pub(crate) fn leaves(&self) -> Vec<&Place> {
        self.0.iter().flat_map(Place::leaves).collect()
    }
}

impl Place {
    fn map(self, change: &mut dyn FnMut(Place) -> Place) -> Place {
        match self {
            Place::Product(places) => {
                Place::Product(places.into_iter().map(|place| place.map(change)).collect())
            }
            Place::Sum(parts) => {
                let parts = parts.into_iter();
                let parts =
                    parts.map(|part| part.into_iter().map(|place| place.map(change)).collect());
                Place::Sum(parts.collect())
            }
            Place::Sized(place, size) => Place::Sized(Box::new(place.map(change)), size),
            leaf => change(leaf),
        }
    }

    pub(crate) fn leaves(&self) -> Vec<&Place> {
        match self {
            Place::Sized(place, _) => place.leaves(),
            Place::Product(places) => places.iter().flat_map(Place::leaves).collect(),
            Place::Sum(parts) => parts.iter().flatten().flat_map(Place::leaves).collect(),
            leaf => [leaf].into(),
        }
    }

    /// The names in it, `1` excepted.
    pub(crate) fn names(&self) -> Vec<Name> {
        self.leaves().into_iter().filter_map(Place::name).collect()
    }

    /// The parts of the first sum in it.
    pub(crate) fn sum(&self) -> Option<&[Vec<Place>]> {
        match self {
            Place::Sum(parts) => Some(parts),
            Place::Product(places) => places.iter().find_map(Place::sum),
            Place::Sized(place, _) => place.sum(),
            _ => None,
        }
    }

    /// Every sum in it, the outer ones first.
    pub(crate) fn sums(&self) -> Vec<&[Vec<Place>]> {
        match self {
            Place::Sum(parts) => {
                let inner = parts.iter().flatten().flat_map(Place::sums);
                core::iter::once(parts.as_slice()).chain(inner).collect()
            }
            Place::Product(places) => places.iter().flat_map(Place::sums).collect(),
            Place::Sized(place, _) => place.sums(),
            _ => Vec::new(),
        }
    }

    /// What is filled in, where a part of a sum is nothing but that.
    pub(crate) fn beyond(part: &[Place]) -> Option<(&Name, Option<Filling>)> {
        match part {
            [Place::Beyond { name, filled }] => Some((name, *filled)),
            _ => None,
        }
    }

    /// The sizes that are said behind parentheses, with these.
    pub(crate) fn said(&self) -> Vec<(&Place, &SizeExpression)> {
        match self {
            Place::Sized(place, size) => {
                core::iter::once((&**place, size)).chain(place.said()).collect()
            }
            Place::Product(places) => places.iter().flat_map(Place::said).collect(),
            Place::Sum(parts) => parts.iter().flatten().flat_map(Place::said).collect(),
            _ => Vec::new(),
        }
    }

    /// The name that elements are told apart by along it; none for one element.
    pub(crate) fn name(&self) -> Option<Name> {
        match self {
            Place::Name(name) => Some(name.clone()),
            Place::Number(number) if *number != 1 => Some(number.to_string().into()),
            Place::Rest => Some("..".into()),
            Place::Beyond { name, .. } => Some(name.clone()),
            _ => None,
        }
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, sizes: &mut Shown) -> fmt::Result {
        match self {
            Place::Name(name) => match sizes.first(name) {
                Some(size) => write!(f, "{name}={size}"),
                None => f.write_str(name),
            },
            Place::Number(number) => write!(f, "{number}"),
            Place::Rest => f.write_str(".."),
            Place::Choice(words) => write!(f, "{{{}}}", words.join(",")),
            Place::Beyond { filled: None, .. } => f.write_str(BEYOND),
            Place::Beyond { filled: Some(filled), .. } => {
                write!(f, "{BEYOND}={}", filled.number())
            }
            Place::Sized(place, size) => {
                place.write(f, sizes)?;
                write!(f, "={size}")
            }
            Place::Product(places) => {
                f.write_str("(")?;
                write_all(f, places, sizes)?;
                f.write_str(")")
            }
            Place::Sum(parts) => {
                f.write_str("(")?;
                for (i, part) in parts.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { " | " })?;
                    write_all(f, part, sizes)?;
                }
                f.write_str(")")
            }
        }
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, places: &[Place], sizes: &mut Shown) -> fmt::Result {
    for (i, place) in places.iter().enumerate() {
        f.write_str(if i == 0 { "" } else { " " })?;
        place.write(f, sizes)?;
    }
    Ok(())
}

/// The sizes that are still to be written, each where its name is first.
#[derive(Default)]
pub(super) struct Shown(pub(super) Inline);

impl Shown {
    fn first(&mut self, name: &Name) -> Option<SizeExpression> {
        self.0.shift_remove(name)
    }
}

impl Dimensions {
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, sizes: &mut Shown) -> fmt::Result {
        f.write_str("[")?;
        write_all(f, &self.0, sizes)?;
        f.write_str("]")
    }
}

impl fmt::Display for Dimensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &mut Shown::default())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &mut Shown::default())
    }
}

struct Parser<'a> {
    rest: &'a str,
    inline: &'a mut Inline,
    places: usize,
}

impl<'a> Parser<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn place(&mut self, depth: usize) -> Result<Place, Problem> {
        self.places += 1;
        if self.places > MAX_PLACES {
            return Err(Problem::limit("the number of places", MAX_PLACES));
        }
        if depth > MAX_DEPTH {
            return Err(Problem::limit("the depth of parentheses", MAX_DEPTH));
        }
        let c = self.rest.chars().next().unwrap_or(')');
        match c {
            '(' => self.parentheses(depth),
            '{' => self.choice(),
            '.' if self.rest.starts_with("..") => {
                if depth > 0 {
                    return Err(Problem::RestInside);
                }
                self.rest = &self.rest[2..];
                Ok(Place::Rest)
            }
            c if c.is_alphanumeric() || c == '_' => self.axis(),
            ',' => Err(Problem::Comma),
            c => Err(Problem::Character(c)),
        }
    }

    fn parentheses(&mut self, depth: usize) -> Result<Place, Problem> {
        let whole = self.rest;
        self.rest = &self.rest[1..];
        let mut parts = Vec::from([Vec::new()]);
        loop {
            self.skip_blanks();
            let last = parts.last_mut();
            match (self.rest.chars().next(), last) {
                (Some(')'), _) => break,
                (Some('|'), _) => {
                    self.rest = &self.rest[1..];
                    parts.push(Vec::new());
                }
                (Some(_), Some(last)) => last.push(self.place(depth + 1)?),
                _ => return Err(Problem::Parenthesis(whole.to_owned())),
            }
        }
        self.rest = &self.rest[1..];
        if parts.iter().any(Vec::is_empty) {
            return Err(Problem::EmptyPart);
        }
        let place = match parts.len() {
            1 => match parts.pop() {
                Some(mut places) if places.len() == 1 => places.pop().ok_or(Problem::EmptyPart)?,
                places => Place::Product(places.unwrap_or_default()),
            },
            _ => Place::Sum(parts),
        };
        match self.rest.trim_start_matches(' ').strip_prefix('=') {
            None => Ok(place),
            Some(size) => {
                let (size, rest) = SizeExpression::parse_start(size)?;
                self.rest = rest;
                self.end()?;
                Ok(Place::Sized(Box::new(place), size))
            }
        }
    }

    /// `_`, or `_=0`.
    fn beyond(&mut self) -> Result<Place, Problem> {
        let name = BEYOND.into();
        let behind = self.rest.trim_start_matches(' ');
        let Some(number) = behind.strip_prefix('=') else {
            self.end()?;
            return Ok(Place::Beyond { name, filled: None });
        };
        let number = number.trim_start_matches(' ');
        let end = number.find([' ', '|', ')']).unwrap_or(number.len());
        let (word, rest) = number.split_at(end);
        let filled = word.parse().ok().and_then(Filling::new);
        let filled = filled.ok_or_else(|| Problem::NotAFilling(word.to_owned()))?;
        self.rest = rest;
        self.end()?;
        Ok(Place::Beyond { name, filled: Some(filled) })
    }

    /// Refuses what cannot follow a place: that is a blank, a bar or a parenthesis.
    fn end(&self) -> Result<(), Problem> {
        match self.rest.chars().next() {
            None | Some(' ' | '|' | '(' | ')') => Ok(()),
            Some('.') if self.rest.starts_with("..") => Ok(()),
            Some(',') => Err(Problem::Comma),
            Some(c) => Err(Problem::Character(c)),
        }
    }

    fn choice(&mut self) -> Result<Place, Problem> {
        let Some((inside, after)) = self.rest[1..].split_once('}') else {
            return Err(Problem::Brace(self.rest.to_owned()));
        };
        if inside.contains('=') {
            return Err(Problem::CaptureAmongPlaces(inside.to_owned()));
        }
        let words = words(inside, inside)?;
        if let Some(word) = words.iter().find(|word| !is_identifier(word)) {
            return Err(Problem::NotAName(word.clone()));
        }
        if words.len() == 1 {
            return Err(Problem::CaptureAmongPlaces(inside.to_owned()));
        }
        self.rest = after;
        self.skip_blanks();
        if self.rest.starts_with('=') {
            return Err(Problem::SizeOfList(inside.to_owned()));
        }
        Ok(Place::Choice(words))
    }

    fn axis(&mut self) -> Result<Place, Problem> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (word, after) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = after;
        if word == BEYOND {
            return self.beyond();
        }
        let place = if word.bytes().all(|byte| byte.is_ascii_digit()) {
            match parse_number(word)? {
                0 => return Err(Problem::NoElements),
                number => Place::Number(number),
            }
        } else if is_identifier(word) {
            Place::Name(word.into())
        } else {
            return Err(Problem::NotAName(word.to_owned()));
        };
        let behind = self.rest.trim_start_matches(' ');
        if let Some(size) = behind.strip_prefix('=') {
            let (size, rest) = SizeExpression::parse_start(size)?;
            self.rest = rest;
            let Place::Name(name) = &place else {
                return Err(Problem::SizeOfNumber(word.to_owned()));
            };
            self.note(name, size)?;
        }
        // `(a.b)`, `2x`
        self.end()?;
        Ok(place)
    }

    fn note(&mut self, name: &Name, size: SizeExpression) -> Result<(), Problem> {
        match self.inline.get(name) {
            Some(known) if *known != size => {
                let (name, a, b) = (name.clone(), known.to_string(), size.to_string());
                Err(Problem::SizedTwice { name, a, b })
            }
            _ => {
                self.inline.insert(name.clone(), size);
                Ok(())
            }
        }
    }
}
