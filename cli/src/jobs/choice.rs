//! What was taken of a file where nothing was named.

use statedict_core::{Catalog, StateDict};

/// Which file of a request something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The only one, or the first.
    First,
    /// The second of two.
    Second,
    /// The model that a checkpoint is fitted into.
    Target,
}

/// The state dict that was taken where none was named, and the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What was taken.
    pub taken: Summary,
    /// What else could have been taken.
    pub others: Vec<Summary>,
}

/// A state dict by its path and size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The path, empty at the root.
    pub path: String,
    /// How many tensors it has.
    pub tensors: usize,
}

impl Choice {
    /// What could have been taken instead of a state dict; `None` if nothing could.
    pub(crate) fn of(catalog: &Catalog, taken: &StateDict) -> Option<Choice> {
        let others: Vec<Summary> = catalog.others(taken).map(Summary::of).collect();
        let taken = Summary::of(taken);
        (!others.is_empty()).then_some(Choice { taken, others })
    }
}

impl Summary {
    pub(crate) fn of(state_dict: &StateDict) -> Summary {
        Summary { path: state_dict.path.clone(), tensors: state_dict.tensors() }
    }
}
