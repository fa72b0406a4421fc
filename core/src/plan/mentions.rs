//! Names of keys that a file holds outside its state dicts.
//!
//! Trainers keep them beside the weights: optimizers that know their parameters by name, lists of
//! buffers, shapes by name.
//! What is known to name keys follows a rename; what only looks like it is listed, by place.

use alloc::string::{String, ToString};

use crate::IndexMap;

/// Places beyond these are counted together.
const MAX_PLACES: usize = 100;

/// The placeholder for positions that are counted together.
const FURTHER: &str = "…";

/// Names of renamed or dropped keys outside a file's state dicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Places where names follow the rename.
    pub followed: Places,
    /// Places where names stay as they are.
    pub not_followed: Places,
}

/// Places in a file, each with how many names are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(IndexMap<String, usize>);

impl Places {
    /// Counts names at a place.
    pub fn add(&mut self, at: &str, names: usize) {
        if names == 0 {
            return;
        }
        let at = if self.0.contains_key(at) || self.0.len() < MAX_PLACES { at } else { FURTHER };
        *self.0.entry(at.to_string()).or_default() += names;
    }

    /// The places with their numbers of names, in the order in which they were found.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, usize)> {
        self.0.iter().map(|(at, names)| (at.as_str(), *names))
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Mentions {
    /// Adds what another file of the same checkpoint holds.
    pub fn extend(&mut self, other: &Mentions) {
        other.followed.iter().for_each(|(at, names)| self.followed.add(at, names));
        other.not_followed.iter().for_each(|(at, names)| self.not_followed.add(at, names));
    }
}
