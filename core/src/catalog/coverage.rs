//! Whether rectangles cover a shape: every element in one of them, none in two.

use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Unassembled;
use super::tensor::count_of;
use crate::sorting;

/// A part of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle<'a> {
    /// The index of its first element in each dimension.
    pub at: &'a [u64],
    /// Its size in each dimension.
    pub size: &'a [u64],
}

impl Rectangle<'_> {
    fn end(&self, axis: usize) -> u64 {
        self.at[axis] + self.size[axis]
    }

    fn is_empty(&self) -> bool {
        self.size.contains(&0)
    }

    /// True if it lies within the shape.
    fn is_within(&self, shape: &[u64]) -> bool {
        let is_room = |(first, (size, all)): (&u64, (&u64, &u64))| {
            first.checked_add(*size).is_some_and(|end| end <= *all)
        };
        self.at.len() == shape.len()
            && self.size.len() == shape.len()
            && self.at.iter().zip(self.size.iter().zip(shape)).all(is_room)
    }

    /// True if they have an element in common.
    fn meets(&self, other: &Rectangle<'_>) -> bool {
        (0..self.at.len())
            .all(|axis| self.at[axis] < other.end(axis) && other.at[axis] < self.end(axis))
    }
}

/// Holds rectangles against a shape: each lies within it, no two overlap, and together they leave no
/// element out. Those without elements do not count, but for lying within.
///
/// # Errors
/// The first rectangle that does not lie within, two that overlap, or how many elements are missing.
pub fn check_coverage(shape: &[u64], rectangles: &[Rectangle<'_>]) -> Result<(), Unassembled> {
    if let Some(outside) = rectangles.iter().find(|it| !it.is_within(shape)) {
        return Err(Unassembled::Outside { at: outside.at.into(), shape: shape.into() });
    }
    let mut full: Vec<&Rectangle<'_>> = rectangles.iter().filter(|it| !it.is_empty()).collect();
    if are_slabs(shape, &full) {
        return Ok(());
    }
    refuse_overlaps(&mut full)?;
    // What does not overlap and lies within has no more elements than the shape.
    let found = full.iter().map(|it| count_of(it.size).unwrap_or(u64::MAX));
    let found = found.fold(0, u64::saturating_add);
    let count = count_of(shape).unwrap_or(u64::MAX);
    if found != count {
        return Err(Unassembled::Incomplete { found, count });
    }
    Ok(())
}

/// True if each begins where the one before ends, in one dimension, and has all of the others: how
/// nearly every checkpoint is cut.
fn are_slabs(shape: &[u64], rectangles: &[&Rectangle<'_>]) -> bool {
    let Some(first) = rectangles.first() else { return false };
    let mut cut = (0..shape.len()).filter(|axis| first.size[*axis] != shape[*axis]);
    let (Some(along), None) = (cut.next().or((!shape.is_empty()).then_some(0)), cut.next()) else {
        return false;
    };
    let mut end = 0;
    let is_next = |it: &&Rectangle<'_>| {
        let is_whole = |axis| axis == along || (it.at[axis] == 0 && it.size[axis] == shape[axis]);
        let begins = it.at[along] == end;
        end = it.end(along);
        begins && (0..shape.len()).all(is_whole)
    };
    rectangles.iter().all(is_next) && end == shape[along]
}

/// Sweeps along the dimension in which most rectangles begin at places of their own, and keeps those
/// that are crossed in the order of the next best dimension.
fn refuse_overlaps(rectangles: &mut [&Rectangle<'_>]) -> Result<(), Unassembled> {
    let overlap = |a: &Rectangle<'_>, b: &Rectangle<'_>| {
        let (first, second) = if a.at <= b.at { (a, b) } else { (b, a) };
        Err(Unassembled::Overlap { first: first.at.into(), second: second.at.into() })
    };
    let [first, second, ..] = rectangles else { return Ok(()) };
    if first.at.is_empty() {
        // Single numbers are all at the same place.
        return overlap(first, second);
    }
    let (along, across) = best_axes(rectangles);
    sorting::sort_by_key(rectangles, |it| it.at[along]);
    let mut crossed = BTreeMap::<(u64, usize), &Rectangle<'_>>::new();
    let mut ends = BinaryHeap::new();
    let mut longest = 0;
    for (number, rectangle) in rectangles.iter().enumerate() {
        while let Some(Reverse((end, place))) = ends.peek().copied()
            && end <= rectangle.at[along]
        {
            crossed.remove(&place);
            ends.pop();
        }
        let before = crossed.range(..(rectangle.end(across), 0)).rev();
        let near = before
            .take_while(|((start, _), _)| start.saturating_add(longest) > rectangle.at[across]);
        if let Some((_, other)) = near.into_iter().find(|(_, other)| other.meets(rectangle)) {
            return overlap(other, rectangle);
        }
        let place = (rectangle.at[across], number);
        longest = longest.max(rectangle.size[across]);
        crossed.insert(place, rectangle);
        ends.push(Reverse((rectangle.end(along), place)));
    }
    Ok(())
}

/// The two dimensions in which most of them begin at places of their own; one twice if there is
/// one alone.
fn best_axes(rectangles: &[&Rectangle<'_>]) -> (usize, usize) {
    let dimensions = rectangles.first().map_or(0, |it| it.at.len());
    let mut axes: Vec<(usize, usize)> = (0..dimensions)
        .map(|axis| {
            let mut starts: Vec<u64> = rectangles.iter().map(|it| it.at[axis]).collect();
            starts.sort_unstable();
            starts.dedup();
            (starts.len(), axis)
        })
        .collect();
    sorting::sort_by_key(&mut axes, |(starts, axis)| (Reverse(*starts), *axis));
    let along = axes.first().map_or(0, |(_, axis)| *axis);
    (along, axes.get(1).map_or(along, |(_, axis)| *axis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn check(shape: &[u64], rectangles: &[(&[u64], &[u64])], expected: &str) {
        let rectangles: Vec<_> =
            rectangles.iter().map(|(at, size)| Rectangle { at, size }).collect();
        let found = check_coverage(shape, &rectangles).err().map(|why| why.to_string());
        assert_eq!(found.unwrap_or_else(|| String::from("whole")), expected, "{rectangles:?}");
    }

    #[test]
    fn a_gap_and_an_overlap_of_one_size_do_not_make_up_for_each_other() {
        check(&[4, 2], &[(&[0, 0], &[2, 2]), (&[2, 0], &[2, 2])], "whole");
        check(
            &[4, 2],
            &[(&[0, 0], &[2, 2]), (&[1, 0], &[2, 2])],
            "the parts at [0, 0] and [1, 0] overlap",
        );
        check(&[4, 2], &[(&[0, 0], &[2, 2]), (&[3, 0], &[1, 2])], "6 of 8 elements are there");
    }

    #[test]
    fn single_numbers_and_empty_tensors_are_covered_by_one_part_or_none() {
        check(&[], &[(&[], &[])], "whole");
        check(&[], &[], "0 of 1 elements are there");
        check(&[], &[(&[], &[]), (&[], &[])], "the parts at [] and [] overlap");
        check(&[0, 3], &[], "whole");
        check(&[0, 3], &[(&[0, 0], &[0, 3])], "whole");
        check(&[3], &[(&[3], &[0]), (&[0], &[3])], "whole");
    }
}
