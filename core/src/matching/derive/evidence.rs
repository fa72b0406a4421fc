//! What comparing elements shows.

use alloc::vec::Vec;

use crate::IndexMap;
use crate::matching::derive::overlap::Overlap;

/// What comparing the elements of two state dicts, `a` and `b`, shows.
///
/// Tensors are named by the positions of their [entries](crate::diff::Side::entries).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Tensors with the same elements in the same shape, if need be after a cast to `b`'s type.
    pub alike: Vec<Alike>,
    /// Tensors with the same elements in another order or shape.
    pub rearranged: Vec<Rearranged>,
    /// Tensors that are a part of another.
    pub portions: Vec<Slice>,
    /// The places of elements that tensors of both sides have in common, for those that are not
    /// alike.
    pub overlaps: Vec<Overlap>,
}

impl Evidence {
    /// For each tensor of `b` those of `a` with the same elements; the first entry about it counts.
    pub(super) fn alike_by_b(&self) -> IndexMap<usize, &[usize]> {
        let mut found = IndexMap::default();
        for alike in &self.alike {
            for b in &alike.b {
                found.entry(*b).or_insert(alike.a.as_slice());
            }
        }
        found
    }

    /// A tensor of `a` and one of `b` for everything known of two that are not alike.
    pub(super) fn related(&self) -> impl Iterator<Item = (usize, usize)> {
        let rearranged = self.rearranged.iter().map(|it| (it.a, it.b));
        let overlaps = self.overlaps.iter().map(|it| (it.a, it.b));
        let portions = self.portions.iter().map(|it| (*it.key_of_a(), *it.key_of_b()));
        rearranged.chain(overlaps).chain(portions)
    }
}

/// Tensors of both sides whose elements do not distinguish them; at least one of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike {
    /// Those of `a`, in order.
    pub a: Vec<usize>,
    /// Those of `b`, in order.
    pub b: Vec<usize>,
    /// True if all elements are one number, which says nothing of where they come from.
    pub is_constant: bool,
}

/// A tensor of `a` and one of `b` with the same elements, otherwise arranged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rearranged<T = usize> {
    /// The one of `a`.
    pub a: T,
    /// The one of `b`.
    pub b: T,
    /// What is different.
    pub how: Arrangement,
}

/// How the elements of one tensor are part of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// Rows are columns.
    Transposed,
    /// Three dimensions or more in another order: which of the other's dimensions each is.
    Permuted(&'static [usize]),
    /// In the same order, in another shape.
    Reshaped,
    /// The same rows in another order.
    RowsReordered,
}

/// A tensor of one side that is some rows, or columns, of a tensor of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<T = usize> {
    /// The smaller tensor.
    pub part: T,
    /// The larger one.
    pub whole: T,
    /// The side of the larger one.
    pub owner: Side,
    /// The first row or column.
    pub start: u64,
    /// The one after the last.
    pub end: u64,
    /// What of the larger tensor is counted.
    pub lines: Axis,
    /// True if the smaller tensor has these lines transposed.
    pub is_transposed: bool,
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// What a part of a tensor is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Along the first dimension.
    Rows,
    /// Along the second of two dimensions.
    Columns,
}
