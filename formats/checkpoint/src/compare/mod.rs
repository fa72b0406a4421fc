//! The elements of two files held against each other.
//!
//! Bytes are compared as they are wherever both files hold them so; elements are made into
//! numbers only where bytes differ.

mod beside;
mod comparator;
mod duplicate_groups;
mod match_contents;
mod numbers;
mod operand;
mod overlaps;
mod rows;
mod slices;
mod tensor_pair;

use statedict_core::{
    Data, Elements, Tensor,
    diff::{Diff, Matching, Pair},
    objects::Uncompared,
};

pub use beside::{Scope, compare_beside};
pub use match_contents::match_contents;

use crate::checkpoint::Checkpoint;
use crate::compare::duplicate_groups::{Sort, halves, twins};
use crate::compare::operand::Operand;
use crate::compare::tensor_pair::{TensorPair, are_same, deviations};
use crate::error::Error;

/// What differs between two state dicts, elements included.
///
/// `matching` is of a state dict of `a` and one of `b`.
/// Reads what both hold under the same key, and what may be under another, in bounded memory.
///
/// # Errors
/// What keeps the elements from being read.
pub fn compare(matching: &Matching<'_>, a: &Checkpoint, b: &Checkpoint) -> Result<Diff, Error> {
    let mut diff = matching.diff();
    let (mut keys, mut couples) = (Vec::new(), Vec::new());
    for pair in matching.common.iter().filter(|pair| !pair.differs_in_layout()) {
        let halves = pair.elements();
        let halves =
            halves.and_then(|(ours, theirs)| Operand::of(a, ours).zip(Operand::of(b, theirs)));
        match halves.and_then(|(ours, theirs)| TensorPair::measured(ours, theirs)) {
            None => diff.not_compared.push(uncompared(pair)),
            Some(couple) => {
                keys.push(&pair.key);
                couples.push(couple);
            }
        }
    }
    let found = keys.into_iter().zip(deviations(&couples)?);
    let differing = found.filter(|(_, deviation)| deviation.count > 0);
    diff.values.extend(differing.map(|(key, deviation)| (key.clone(), deviation)));
    let (removed, added) = (halves(a, &matching.removed), halves(b, &matching.added));
    diff.rename(&twins(removed, added, Sort::TypeAndShape)?);
    Ok(diff)
}

/// Which of some tensors, put together from those of `a`, are these of `b`, element by element.
///
/// # Errors
/// What keeps the elements from being read.
pub fn are_made(
    a: &Checkpoint,
    b: &Checkpoint,
    pairs: &[(Elements, &Tensor)],
) -> Result<Vec<bool>, Error> {
    let (mut couples, mut is_made) = (Vec::new(), vec![false; pairs.len()]);
    for (at, (elements, tensor)) in pairs.iter().enumerate() {
        let both = Operand::made(a, elements).zip(Operand::of(b, tensor));
        let both = both.filter(|(x, y)| x.dtype() == y.dtype() && x.shape() == y.shape());
        couples.extend(both.map(|(x, y)| (at, TensorPair::compared(x, y))));
    }
    let (places, couples): (Vec<usize>, Vec<_>) = couples.into_iter().unzip();
    for (at, same) in places.into_iter().zip(are_same(&couples)?) {
        is_made[at] = same;
    }
    Ok(is_made)
}

/// A pair whose values are not elements that can be read.
fn uncompared(pair: &Pair<'_>) -> Uncompared {
    let why = match pair.a {
        Some(Tensor { data: Data::Opaque { layout, .. }, .. }) => {
            format!("a tensor of layout {layout} has no plain elements")
        }
        Some(tensor) => format!("elements of type {} cannot be read", tensor.dtype),
        None => "the value is not a tensor".to_string(),
    };
    Uncompared { path: pair.key.to_string(), why }
}
