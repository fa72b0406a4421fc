//! Places: what the dimensions of a tensor are made of, `[(heads 2 x) ..]`.

mod parser;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::rules::sizes::SizeExpression;
use crate::rules::template::Name;
use crate::rules::tensor::Inline;

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

/// The name that a rule's `_` of this number has, which no rule can write.
pub(super) fn beyond_name(number: usize) -> Name {
    alloc::format!("{BEYOND} {number}").into()
}

/// True for such a name.
pub(crate) fn is_beyond(name: &str) -> bool {
    name.strip_prefix(BEYOND).is_some_and(|number| number.starts_with(' '))
}

impl Dimensions {
    /// The dimensions.
    pub fn places(&self) -> &[Place] {
        &self.0
    }

    /// True if they end or begin with, or are, any number of dimensions.
    pub fn has_rest(&self) -> bool {
        self.0.contains(&Place::Rest)
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
