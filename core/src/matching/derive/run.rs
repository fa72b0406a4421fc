//! A run of elements that two tensors have in common, and whether it could be another one.

use alloc::vec::Vec;

use crate::matching::derive::overlap::Step;
use crate::sorting;
use crate::{IndexMap, IndexSet};

/// Where some elements of a smaller tensor, the part, are in a larger one, the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first of them in the part.
    pub in_part: u64,
    /// The first of them in the whole.
    pub in_whole: u64,
    /// The others; `in_a` is the distance in the whole, `in_b` that in the part.
    pub steps: Vec<Step>,
}

impl Run {
    pub(super) fn count(&self) -> u64 {
        self.steps.iter().map(|step| step.size).product()
    }

    /// An element of the run: its place in the part and in the whole.
    pub(super) fn place(&self, mut index: u64) -> (u64, u64) {
        let (mut in_part, mut in_whole) = (self.in_part, self.in_whole);
        for step in &self.steps {
            let digit = index % step.size;
            index /= step.size;
            in_part += digit * step.in_b;
            in_whole += digit * step.in_a;
        }
        (in_part, in_whole)
    }

    /// True if these places of the part and of the whole are one element of the run.
    pub(super) fn leads_to(&self, (in_part, in_whole): (u64, u64)) -> bool {
        let Some(mut left) = in_part.checked_sub(self.in_part) else { return false };
        let mut there = self.in_whole;
        let mut steps: Vec<&Step> = self.steps.iter().collect();
        sorting::sort_by_key(&mut steps, |step| core::cmp::Reverse(step.in_b));
        for step in steps {
            let digit = (left / step.in_b).min(step.size - 1);
            left -= digit * step.in_b;
            there += digit * step.in_a;
        }
        left == 0 && there == in_whole
    }
}

/// How far the places of the whole are apart at which one element of the part may be.
pub(super) fn shifts(anchors: &[(u64, u64)]) -> IndexSet<i128> {
    let mut places = IndexMap::<u64, Vec<u64>>::default();
    for (in_part, in_whole) in anchors {
        places.entry(*in_part).or_default().push(*in_whole);
    }
    let mut shifts = IndexSet::default();
    for places in places.values() {
        for (from, to) in places.iter().flat_map(|from| places.iter().map(move |to| (from, to))) {
            if from != to {
                shifts.insert(i128::from(*to) - i128::from(*from));
            }
        }
    }
    shifts
}
