//! What the names of a rule are.

use crate::IndexSet;
use crate::rules::template::Name;

/// What the names of a rule are: parts of keys, places, or a part of the key on one side and a
/// place on the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Parts of every key on both sides: what a group of tensors has in common.
    pub carried: IndexSet<Name>,
    /// Parts of keys on the left and places on the right: several tensors become one.
    pub gathered: IndexSet<Name>,
    /// Places on the left and parts of keys on the right: one tensor becomes several.
    pub spread: IndexSet<Name>,
    /// Places on the right alone: what there is once is there several times.
    pub repeated: IndexSet<Name>,
    /// Places on the left alone: what is there several times is the same, and is taken once.
    pub compared: IndexSet<Name>,
}

impl Roles {
    pub(super) fn swapped(self) -> Roles {
        Roles {
            carried: self.carried,
            gathered: self.spread,
            spread: self.gathered,
            repeated: self.compared,
            compared: self.repeated,
        }
    }
}
