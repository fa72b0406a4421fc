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

use std::collections::HashMap;

use statedict_core::{
    Data, Elements, Key, Tensor,
    diff::{Deviation, Diff, Matching, Pair, Tolerance},
    objects::Uncompared,
};

pub use beside::{Scope, compare_beside};
pub use match_contents::match_contents;

use crate::checkpoint::Checkpoint;
use crate::compare::duplicate_groups::{Sort, halves, twins};
use crate::compare::operand::Operand;
use crate::compare::tensor_pair::{TensorPair, are_same, deviations_within};
use crate::error::Error;

/// What differs between two state dicts, elements included.
///
/// `matching` is of a state dict of `a` and one of `b`.
/// Reads what both hold under the same key, and what may be under another, in bounded memory.
/// Elements under the same key that are as near as `tolerance` says do not differ.
///
/// # Errors
/// What keeps the elements from being read.
pub fn compare(
    matching: &Matching<'_>,
    a: &Checkpoint,
    b: &Checkpoint,
    tolerance: Tolerance,
) -> Result<Diff, Error> {
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
    let mut found = deviations_within(&couples, tolerance)?;
    complete(&mut found, matching, &keys, a)?;
    let found = keys.into_iter().zip(found);
    let differing = found.filter(|(_, deviation)| deviation.count > 0);
    diff.values.extend(differing.map(|(key, deviation)| (key.clone(), deviation)));
    let (removed, added) = (halves(a, &matching.removed), halves(b, &matching.added));
    diff.rename(&twins(removed, added, Sort::TypeAndShape)?);
    Ok(diff)
}

/// Adds to the products of tensors that differ those of the elements that were the same byte for
/// byte, which are passed over.
fn complete(
    found: &mut [Deviation],
    matching: &Matching<'_>,
    keys: &[&Key],
    a: &Checkpoint,
) -> Result<(), Error> {
    let own: HashMap<&Key, &Tensor> =
        matching.common.iter().filter_map(|pair| Some((&pair.key, pair.a?))).collect();
    let is_partial = |it: &Deviation| it.count > 0 && it.products.passed_over > 0;
    let differing = found.iter_mut().zip(keys).filter(|(deviation, _)| is_partial(deviation));
    let (deviations, tensors): (Vec<&mut Deviation>, Vec<&Tensor>) =
        differing.filter_map(|(deviation, key)| Some((deviation, *own.get(key)?))).unzip();
    for (deviation, measured) in deviations.into_iter().zip(a.statistics(&tensors)?) {
        let squares = measured.ok().and_then(|statistics| statistics.l2()).map(|l2| l2 * l2);
        let rest = squares.map_or(0.0, |squares| squares - deviation.products.aa);
        if rest > 0.0 {
            deviation.products.add_same(rest);
        }
    }
    Ok(())
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
