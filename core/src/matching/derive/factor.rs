//! From some elements that two tensors have in common to all of them.
//!
//! A conversion moves elements in a mixed radix: the place of an element in one tensor is made of
//! digits, each of which counts steps of one size in the other. The digits are found one by one, the
//! fastest first: a digit of `size` whose neighbours are `step` apart in the other tensor is right if it
//! leads from every element that is known (an *anchor*) to equal elements.

use alloc::vec::Vec;

use crate::matching::derive::digits::{Digits, folded};
use crate::matching::derive::divisors::{divisors, divisors_from_largest, primes};
use crate::matching::derive::overlap::merged;
use crate::matching::derive::run::{Run, shifts};
use crate::{IndexSet, row_major_strides};

/// Values of a digit that are looked at for one anchor.
const MAX_VALUES: u64 = 6;

/// Blocks into which a tensor falls whose parts have changed places.
const MAX_BLOCKS: u64 = 4096;

/// Elements by which two blocks are held to be the same.
const BLOCK_SAMPLES: u64 = 12;

/// Elements by which a part is held to be in a second place.
const SHIFT_SAMPLES: u64 = 256;

/// Steps that are tried; beyond them the shapes have too many divisors.
const MAX_STEPS: usize = 4096;

/// Anchors that are right, at the least, where some are not.
const MIN_RIGHT: usize = 4;

/// Anchors that are looked at where some are not right.
const MAX_DOUBTED: usize = 64;

/// Anchors that are enough if they are sure.
const MIN_SURE: usize = 8;

/// A part and a whole, whose elements are compared by `same(place in the part, place in the whole)`.
pub struct Search<'a, F> {
    /// The shape of the part.
    pub part: &'a [u64],
    /// The shape of the whole.
    pub whole: &'a [u64],
    /// Elements of both that are equal: places in the part and in the whole.
    pub anchors: Vec<(u64, u64)>,
    /// How many of the anchors, from the first, are sure to be the same element; others may be equal by
    /// chance.
    pub sure: usize,
    /// True if an element of the part equals one of the whole.
    pub same: F,
}

impl<E, F: FnMut(u64, u64) -> Result<bool, E>> Search<'_, F> {
    /// Where the part's elements are in the whole, as far as the anchors lead; empty if they lead
    /// nowhere.
    ///
    /// What is found was held against a sample of elements, and is to be compared to the end.
    ///
    /// # Errors
    /// What keeps elements from being compared.
    pub fn runs(mut self) -> Result<Vec<Run>, E> {
        let (count, room) = (count(self.part), count(self.whole));
        if self.anchors.is_empty() || count == 0 || count > room {
            return Ok(Vec::new());
        }
        let candidates = self.candidates();
        let all = self.anchors.clone();
        let mut tried = Vec::new();
        if self.sure >= MIN_SURE || self.sure == all.len() {
            self.anchors.truncate(self.sure);
            let runs = self.all_digits(&candidates, count)?;
            if !runs.is_empty() {
                return Ok(runs);
            }
            tried = core::mem::replace(&mut self.anchors, all.clone());
        }
        self.keep_likely(&candidates, count)?;
        if self.anchors.len() < MIN_RIGHT || self.anchors == tried {
            return Ok(Vec::new());
        }
        let mut runs = self.all_digits(&candidates, count)?;
        let shifts = shifts(&all);
        for at in (0..runs.len()).rev() {
            let run = &runs[at];
            let is_sure = all[..self.sure].iter().any(|anchor| run.leads_to(*anchor));
            if !is_sure && self.is_elsewhere(run, &shifts)? {
                runs.swap_remove(at);
            }
        }
        Ok(runs)
    }

    /// True if all that was looked at of a run is at some other place of the whole as well: nothing says
    /// then which of them is meant.
    fn is_elsewhere(&mut self, run: &Run, shifts: &IndexSet<i128>) -> Result<bool, E> {
        for shift in shifts {
            if self.is_shifted(run, *shift)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_shifted(&mut self, run: &Run, shift: i128) -> Result<bool, E> {
        let (count, room) = (run.count(), count(self.whole));
        let samples = count.min(SHIFT_SAMPLES);
        for sample in 0..samples {
            // The first, the last, and others that are not at equal distances of the digits.
            let index = u128::from(sample) * u128::from(count - 1) / u128::from(samples.max(2) - 1);
            let (in_part, in_whole) = run.place(u64::try_from(index).expect("below the count"));
            let Some(there) = u64::try_from(i128::from(in_whole) + shift).ok() else {
                return Ok(false);
            };
            if there >= room || !(self.same)(in_part, there)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Leaves out anchors that do not share the fastest digit of most others: elements that are equal
    /// by chance.
    fn keep_likely(&mut self, candidates: &[u64], count: u64) -> Result<(), E> {
        let mut all = core::mem::take(&mut self.anchors);
        all.truncate(MAX_DOUBTED);
        let mut best: Vec<(u64, u64)> = Vec::new();
        for size in primes(count) {
            for &step in candidates {
                let mut right = Vec::new();
                for anchor in &all {
                    self.anchors = [*anchor].into();
                    if self.holds(1, size, step)? {
                        right.push(*anchor);
                    }
                }
                if right.len() > best.len() {
                    best = right;
                }
            }
        }
        self.anchors = best;
        Ok(())
    }

    fn all_digits(&mut self, candidates: &[u64], count: u64) -> Result<Vec<Run>, E> {
        let mut digits = Digits::none();
        while digits.block < count {
            let left = count / digits.block;
            match self.next_digit(&digits, candidates, left)? {
                Some((size, Some(step))) => digits.push(size, step),
                Some((size, None)) => digits.block *= size,
                None => return self.blocks(&digits, candidates, left),
            }
        }
        let (in_part, in_whole) = self.anchors[0];
        let (in_part, in_whole) = digits.start(in_part, in_whole);
        Ok([Run { in_part, in_whole, steps: merged(digits.steps) }].into())
    }

    /// The distances in the whole that a digit may have.
    fn candidates(&self) -> Vec<u64> {
        let mut multiples: IndexSet<u64> = IndexSet::default();
        for size in self.part.iter().chain(self.whole) {
            multiples.extend(divisors(*size));
        }
        let strides = row_major_strides(self.whole);
        let mut steps: Vec<u64> = Vec::new();
        let room = count(self.whole);
        for (stride, size) in strides.iter().zip(self.whole) {
            if *size > 1 {
                steps.extend(multiples.iter().map(|by| stride.saturating_mul(*by)));
            }
        }
        steps.retain(|step| *step < room && *step > 0);
        steps.sort_unstable();
        steps.dedup();
        steps.truncate(MAX_STEPS);
        steps
    }

    /// The size of the next digit and its distance in the whole; no distance if all anchors have the
    /// same value of it, and the whole only elements with that.
    fn next_digit(
        &mut self,
        digits: &Digits,
        candidates: &[u64],
        left: u64,
    ) -> Result<Option<(u64, Option<u64>)>, E> {
        let sizes = divisors_from_largest(left);
        for size in primes(left) {
            let next = digits.last.map(|(size, step)| size * step);
            for &step in next.iter().chain(candidates) {
                if self.holds(digits.block, size, step)? {
                    // A part of a digit holds as well, and so may a size that only few anchors show to be
                    // wrong: the largest that holds is the digit.
                    for &size in &sizes {
                        if self.holds(digits.block, size, step)? {
                            return Ok(Some((size, Some(step))));
                        }
                    }
                }
            }
        }
        let is_fixed = |size: u64| {
            let value = |place: u64| place / digits.block % size;
            let first = value(self.anchors[0].0);
            self.anchors.len() > 3 && self.anchors.iter().all(|(place, _)| value(*place) == first)
        };
        let fixed = sizes.into_iter().find(|size| *size > 1 && is_fixed(*size));
        Ok(fixed.map(|size| (size, None)))
    }

    /// True if a digit leads from all anchors to equal elements.
    fn holds(&mut self, block: u64, size: u64, step: u64) -> Result<bool, E> {
        let room = count(self.whole);
        for at in 0..self.anchors.len() {
            let (in_part, in_whole) = self.anchors[at];
            let own = in_part / block % size;
            let Some(first) = own.checked_mul(step).and_then(|by| in_whole.checked_sub(by)) else {
                return Ok(false);
            };
            if step.checked_mul(size - 1).is_none_or(|by| first + by >= room) {
                return Ok(false);
            }
            for value in values(size, own) {
                let place = in_part - own * block + value * block;
                if !(self.same)(place, first + value * step)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The part as blocks of what is known so far, which are in several places of the whole.
    fn blocks(&mut self, digits: &Digits, candidates: &[u64], left: u64) -> Result<Vec<Run>, E> {
        if left > MAX_BLOCKS {
            return Ok(Vec::new());
        }
        let mut offsets: Vec<Option<u64>> = alloc::vec![None; usize::try_from(left).unwrap_or(0)];
        for &(in_part, in_whole) in &self.anchors {
            let (start, in_whole) = digits.start_of_block(in_part, in_whole);
            let block = usize::try_from(start / digits.block).unwrap_or(0);
            if let (Some(offset), Some(in_whole)) = (offsets.get_mut(block), in_whole)
                && offset.is_none()
            {
                *offset = Some(in_whole);
            }
        }
        for place in 0..offsets.len() {
            self.spread(digits, candidates, &mut offsets, place)?;
        }
        let Some(offsets) = offsets.into_iter().collect::<Option<Vec<u64>>>() else {
            return Ok(Vec::new());
        };
        Ok(folded(&offsets, digits).unwrap_or_default())
    }

    /// Finds the blocks before and after one that is known, as long as they are at equal distances.
    fn spread(
        &mut self,
        digits: &Digits,
        candidates: &[u64],
        offsets: &mut [Option<u64>],
        place: usize,
    ) -> Result<(), E> {
        let Some(own) = offsets[place] else { return Ok(()) };
        for next in [place.checked_add(1), place.checked_sub(1)].into_iter().flatten() {
            if offsets.get(next).is_none_or(Option::is_some) {
                continue;
            }
            let both =
                candidates.iter().flat_map(|step| [own.checked_add(*step), own.checked_sub(*step)]);
            for other in both.flatten() {
                if self.is_block(digits, next as u64, other)? {
                    offsets[next] = Some(other);
                    if next < place {
                        self.spread(digits, candidates, offsets, next)?;
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    fn is_block(&mut self, digits: &Digits, block: u64, in_whole: u64) -> Result<bool, E> {
        let last: u64 = digits.steps.iter().map(|step| (step.size - 1) * step.in_a).sum();
        if in_whole + last >= count(self.whole) {
            return Ok(false);
        }
        let samples = BLOCK_SAMPLES.min(digits.block);
        for sample in 0..samples {
            let within = (sample * (digits.block / samples)) + sample % (digits.block / samples);
            let by = digits.distance(within);
            if !(self.same)(block * digits.block + within, in_whole + by)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn count(shape: &[u64]) -> u64 {
    shape.iter().product()
}

/// Some values of a digit, the first and the last among them.
fn values(size: u64, own: u64) -> impl Iterator<Item = u64> {
    let step = if size > MAX_VALUES { size / MAX_VALUES } else { 1 };
    let some = (0..size).step_by(usize::try_from(step).unwrap_or(usize::MAX));
    some.chain([size - 1]).filter(move |value| *value != own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;
    use proptest::prelude::*;

    /// Where each element of the part is in the whole, and what is found of that from every element
    /// that `anchors` keeps.
    fn found(part: &[u64], whole: &[u64], places: &[u64], anchors: usize) -> Vec<Run> {
        // Anchors at equal distances could all have the same value of a digit.
        let mut state = 1u64;
        let scattered = (0..anchors).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).expect("31 bits") % places.len()
        });
        let known: Vec<(u64, u64)> = scattered.map(|at| (at as u64, places[at])).collect();
        let same = |at: u64, place: u64| {
            Ok::<_, Infallible>(places[usize::try_from(at).expect("small")] == place)
        };
        let sure = known.len();
        let Ok(runs) = Search { part, whole, anchors: known, sure, same }.runs();
        runs
    }

    fn places(runs: &[Run], count: usize) -> Vec<u64> {
        let mut places = alloc::vec![u64::MAX; count];
        for run in runs {
            let size: u64 = run.steps.iter().map(|step| step.size).product();
            for mut index in 0..size {
                let (mut at, mut place) = (run.in_part, run.in_whole);
                for step in run.steps.iter().rev() {
                    at += index % step.size * step.in_b;
                    place += index % step.size * step.in_a;
                    index /= step.size;
                }
                places[usize::try_from(at).expect("small")] = place;
            }
        }
        places
    }

    proptest! {
        #[test]
        fn any_order_of_digits_is_found_again(
            sizes in prop::collection::vec(1u64..6, 1..6),
            order in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(),
        ) {
            // The digits of the part in some other order make the place in the whole.
            let mut left: Vec<usize> = (0..sizes.len()).collect();
            let mut seed = order.index(720);
            let mut turned = Vec::new();
            while !left.is_empty() {
                turned.push(left.remove(seed % left.len()));
                seed /= left.len() + 1;
            }
            let whole: Vec<u64> = turned.iter().map(|at| sizes[*at]).collect();
            let (own, theirs) = (row_major_strides(&sizes), row_major_strides(&whole));
            let count: u64 = sizes.iter().product();
            let expected: Vec<u64> = (0..count).map(|at| {
                turned.iter().zip(&theirs).map(|(digit, stride)| at / own[*digit] % sizes[*digit] * stride).sum()
            }).collect();
            // Both shapes have several digits in one dimension.
            let merge = |sizes: &[u64]| {
                let at = cut.index(sizes.len() + 1);
                [sizes[..at].iter().product::<u64>(), sizes[at..].iter().product()]
            };
            let runs = found(&merge(&sizes), &merge(&whole), &expected, 40);
            prop_assert_eq!(places(&runs, expected.len()), expected);
        }
    }

    #[test]
    fn elements_that_are_equal_by_chance_do_not_mislead() {
        // Rows of pairs become two halves; every other anchor is another element of the same value.
        let expected: Vec<u64> = (0..96).map(|at| at % 2 * 48 + at / 2).collect();
        let known = (0..24).map(|n| {
            let at = n * 37 % 96;
            let place = expected[usize::try_from(at).expect("small")];
            (at, if n % 2 == 0 { place } else { (place + 5 * n) % 96 })
        });
        let same = |at: u64, place: u64| {
            Ok::<_, Infallible>(expected[usize::try_from(at).expect("small")] == place)
        };
        let anchors = known.collect();
        let search = Search { part: &[96], whole: &[2, 48], anchors, sure: 0, same };
        let Ok(runs) = search.runs();
        assert_eq!(places(&runs, 96), expected);
    }

    #[test]
    fn halves_that_change_places_are_two_runs() {
        let expected: Vec<u64> = (0..24).map(|at| (at + 12) % 24).collect();
        let runs = found(&[6, 4], &[6, 4], &expected, 40);
        assert_eq!(runs.len(), 2);
        assert_eq!(places(&runs, 24), expected);
    }

    #[test]
    fn rows_grouped_by_heads_are_a_run_for_each_size() {
        // Two groups of (2 q, 1 k, 1 v) become all q, all k, all v; rows of three elements.
        let rows = [0, 1, 4, 5, 2, 6, 3, 7];
        let expected: Vec<u64> =
            rows.iter().flat_map(|row| (0..3).map(move |column| row * 3 + column)).collect();
        let runs = found(&[8, 3], &[8, 3], &expected, 200);
        assert_eq!(runs.len(), 2);
        assert_eq!(places(&runs, 24), expected);
    }
}
