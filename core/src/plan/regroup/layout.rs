//! The dimensions of a side as axes, and places where a tensor has several parts.

use alloc::format;
use alloc::vec::Vec;

use crate::IndexMap;
use crate::rules::template::Name;
use crate::rules::tensor::{Dimensions, Place};

/// The size of each name in one group.
pub(super) type Sizes = IndexMap<Name, u64>;

/// What has one index among the elements of a tensor: axes of one element are left out.
#[derive(Clone, Debug)]
pub(super) enum Atom<'r> {
    /// A name.
    Axis(Name),
    /// Parts one after another.
    Sum(&'r [Vec<Place>]),
}

/// True if the dimensions are whatever there is.
pub(super) fn is_rest(places: &Dimensions) -> bool {
    matches!(places.places(), [Place::Rest])
}

/// The places of each dimension, where `..` is so many.
pub(super) fn dimensions<'r>(places: Option<&'r Dimensions>, rest: usize) -> Vec<Dimension<'r>> {
    let Some(places) = places else { return (0..rest).map(Dimension::Rest).collect() };
    let mut dimensions = Vec::new();
    for place in places.places() {
        match place {
            Place::Rest => dimensions.extend((0..rest).map(Dimension::Rest)),
            place => dimensions.push(Dimension::Place(place)),
        }
    }
    dimensions
}

/// One dimension of a tensor.
#[derive(Clone, Copy)]
pub(super) enum Dimension<'r> {
    /// What the rule says it is made of.
    Place(&'r Place),
    /// One of those that `..` stands for.
    Rest(usize),
}

impl<'r> Dimension<'r> {
    /// Its size.
    pub(super) fn size(self, sizes: &Sizes) -> Option<u64> {
        match self {
            Dimension::Place(place) => size(place, sizes),
            Dimension::Rest(number) => sizes.get(&rest_name(number)).copied(),
        }
    }

    /// The names in it.
    pub(super) fn names(self) -> Vec<Name> {
        match self {
            Dimension::Place(place) => place.names(),
            Dimension::Rest(number) => [rest_name(number)].into(),
        }
    }

    pub(super) fn add_atoms(self, atoms: &mut Vec<Atom<'r>>) {
        match self {
            Dimension::Place(place) => add_atoms(place, atoms),
            Dimension::Rest(number) => atoms.push(Atom::Axis(rest_name(number))),
        }
    }
}

/// The name of a dimension that `..` stands for, which no rule can write.
pub(super) fn rest_name(number: usize) -> Name {
    format!("..{number}").into()
}

/// The size of a place, if every name in it has one.
pub(super) fn size(place: &Place, sizes: &Sizes) -> Option<u64> {
    match place {
        Place::Name(name) => sizes.get(name).copied(),
        Place::Number(number) => Some(*number),
        Place::Product(places) => product(places, sizes),
        Place::Sum(parts) => sum(parts, sizes),
        Place::Sized(place, _) => size(place, sizes),
        Place::Beyond { name, .. } => sizes.get(name).copied(),
        Place::Rest | Place::Choice(_) => None,
    }
}

fn product(places: &[Place], sizes: &Sizes) -> Option<u64> {
    let mut places = places.iter().map(|place| size(place, sizes));
    places.try_fold(1u64, |all, place| all.checked_mul(place?))
}

fn sum(parts: &[Vec<Place>], sizes: &Sizes) -> Option<u64> {
    let mut parts = parts.iter().map(|part| product(part, sizes));
    parts.try_fold(0u64, |all, part| all.checked_add(part?))
}

fn add_atoms<'r>(place: &'r Place, atoms: &mut Vec<Atom<'r>>) {
    match place {
        Place::Product(places) => places.iter().for_each(|place| add_atoms(place, atoms)),
        Place::Sum(parts) => atoms.push(Atom::Sum(parts)),
        Place::Sized(place, _) => add_atoms(place, atoms),
        leaf => atoms.extend(leaf.name().map(Atom::Axis)),
    }
}

/// The atoms of one part of a sum.
pub(super) fn atoms_of(part: &[Place]) -> Vec<Atom<'_>> {
    let mut atoms = Vec::new();
    part.iter().for_each(|place| add_atoms(place, &mut atoms));
    atoms
}

impl Atom<'_> {
    /// Its size; one that is not known is none.
    pub(super) fn size(&self, sizes: &Sizes) -> u64 {
        let size = match self {
            Atom::Axis(name) => sizes.get(name).copied(),
            Atom::Sum(parts) => sum(parts, sizes),
        };
        size.unwrap_or(0)
    }
}

/// The sizes of atoms.
pub(super) fn shape(atoms: &[Atom], sizes: &Sizes) -> Vec<u64> {
    atoms.iter().map(|atom| atom.size(sizes)).collect()
}
