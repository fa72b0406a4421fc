//! Elements that a tensor of each side have in common, and where both have them.

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::matching::derive::evidence::{Arrangement, Axis, Rearranged, Side, Slice};
use crate::row_major_strides;
use crate::sorting;

/// Some elements of a tensor of `a` that are elements of one of `b`.
///
/// Both tensors are seen as their elements in row-major order. The first of these elements has a
/// place in each, and every step leads from there to others: `size` of them, `in_a` elements apart in
/// one tensor and `in_b` in the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Overlap {
    /// The tensor of `a`, by the position of its entry.
    pub a: usize,
    /// The tensor of `b`.
    pub b: usize,
    /// Where the first element is in the one of `a`.
    pub start_in_a: u64,
    /// Where it is in the one of `b`.
    pub start_in_b: u64,
    /// The steps, those that are largest in `b` first.
    pub steps: Vec<Step>,
}

/// Elements at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// How many there are.
    pub size: u64,
    /// How far apart they are in the tensor of `a`.
    pub in_a: u64,
    /// How far apart they are in the tensor of `b`.
    pub in_b: u64,
}

impl Overlap {
    /// How many elements these are.
    pub fn count(&self) -> u64 {
        self.steps.iter().map(|step| step.size).product()
    }

    /// The places of each element in both tensors.
    pub fn places(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        (0..self.count()).map(|index| self.place(index))
    }

    /// Where the element is that comes at this position in `b`'s order.
    pub fn place(&self, mut index: u64) -> (u64, u64) {
        let (mut in_a, mut in_b) = (self.start_in_a, self.start_in_b);
        for step in self.steps.iter().rev() {
            let digit = index % step.size;
            index /= step.size;
            in_a += digit * step.in_a;
            in_b += digit * step.in_b;
        }
        (in_a, in_b)
    }

    /// What a tensor of `a` and one of `b` of these shapes have in common that are arranged like this;
    /// none where the arrangement does not say it.
    pub fn rearranged(it: &Rearranged, a: &[u64], b: &[u64]) -> Option<Overlap> {
        let axes: Vec<usize> = match it.how {
            Arrangement::Transposed => [1, 0].into(),
            Arrangement::Permuted(axes) => axes.into(),
            Arrangement::Reshaped => {
                let steps = [Step { size: a.iter().product(), in_a: 1, in_b: 1 }];
                return Some(Overlap::starting(it.a, it.b, (0, 0), steps.into()));
            }
            Arrangement::RowsReordered => return None,
        };
        let (from, to) = (row_major_strides(a), row_major_strides(b));
        let steps = axes.iter().zip(b).zip(&to);
        let steps =
            steps.map(|((axis, size), in_b)| Step { size: *size, in_a: from[*axis], in_b: *in_b });
        Some(Overlap::starting(it.a, it.b, (0, 0), steps.collect()))
    }

    /// What a tensor and a part of it have in common, the larger one being of this shape.
    pub fn portion(it: &Slice, whole: &[u64]) -> Option<Overlap> {
        let row: u64 = whole.get(1..)?.iter().product();
        let (lines, first) = (it.end - it.start, *whole.first()?);
        // Of the lines and of what is across them: how many, and how far apart in the whole.
        let (line, across, start) = match it.lines {
            Axis::Rows => ((lines, row), (row, 1), it.start * row),
            Axis::Columns => ((lines, 1), (first, row), it.start),
        };
        // In the part as in the whole, unless it is transposed.
        let is_line_first = (it.lines == Axis::Rows) != it.is_transposed;
        let (in_part, across_in_part) = if is_line_first { (across.0, 1) } else { (1, line.0) };
        let step = |size, in_whole, in_part| match it.owner {
            Side::A => Step { size, in_a: in_whole, in_b: in_part },
            Side::B => Step { size, in_a: in_part, in_b: in_whole },
        };
        let steps = [step(line.0, line.1, in_part), step(across.0, across.1, across_in_part)];
        let (a, b, starts) = match it.owner {
            Side::A => (it.whole, it.part, (start, 0)),
            Side::B => (it.part, it.whole, (0, start)),
        };
        Some(Overlap::starting(a, b, starts, steps.into()))
    }

    fn starting(
        a: usize,
        b: usize,
        (start_in_a, start_in_b): (u64, u64),
        steps: Vec<Step>,
    ) -> Overlap {
        Overlap { a, b, start_in_a, start_in_b, steps }.merged()
    }

    /// The same with as few steps as can be.
    #[must_use]
    pub fn merged(mut self) -> Overlap {
        self.steps = merged(self.steps);
        self
    }
}

/// As few steps as can be, the largest in `b` first.
pub(super) fn merged(mut steps: Vec<Step>) -> Vec<Step> {
    steps.retain(|step| step.size != 1);
    sorting::sort_by_key(&mut steps, |step| Reverse((step.in_b, step.in_a)));
    let mut all: Vec<Step> = Vec::new();
    for step in steps {
        match all.last_mut() {
            Some(outer)
                if outer.in_a == step.in_a * step.size && outer.in_b == step.in_b * step.size =>
            {
                *outer = Step { size: outer.size * step.size, ..step };
            }
            _ => all.push(step),
        }
    }
    all
}
