//! What an index counts.

use std::borrow::Borrow;
use std::collections::HashSet;

use statedict_core::Elements;

/// How much tensors hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) bytes: u64,
    pub(crate) elements: u64,
}

impl Totals {
    /// Adds the tensors of a file; those that share their elements count once.
    pub(crate) fn add(&mut self, tensors: impl IntoIterator<Item = impl Borrow<Elements>>) {
        let mut places = HashSet::new();
        for tensor in tensors {
            let tensor = tensor.borrow();
            let place = tensor.place().map(|place| format!("{place:?}"));
            if place.is_none_or(|place| places.insert(place)) {
                self.bytes = self.bytes.saturating_add(tensor.byte_len());
                self.elements = self.elements.saturating_add(tensor.count());
            }
        }
    }
}
