//! Dimensions, and stepping through them.

/// A dimension with the distances between neighbours, in the storage and in what is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) size: u64,
    pub(crate) source: u64,
    pub(crate) target: u64,
}

/// Axes of which the outer ones are stepped through and one is cut into runs of `chunk`.
pub(crate) struct Cut<'a> {
    pub(crate) outer: &'a [Axis],
    pub(crate) axis: Axis,
    pub(crate) chunk: u64,
    pub(crate) inner: &'a [Axis],
}

impl<'a> Cut<'a> {
    pub(crate) fn at(axes: &'a [Axis], i: usize, chunk: u64) -> Cut<'a> {
        Cut { outer: &axes[..i], axis: axes[i], chunk: chunk.max(1), inner: &axes[i + 1..] }
    }

    pub(crate) fn nowhere(axes: &'a [Axis]) -> Cut<'a> {
        let one = Axis { size: 1, source: 0, target: 0 };
        Cut { outer: &[], axis: one, chunk: 1, inner: axes }
    }

    /// Where each piece starts, in the storage and in the block, and how much of the cut axis it has.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let Axis { size, source, target } = self.axis;
        let chunk = self.chunk;
        steps(self.outer).flat_map(move |(from, to)| {
            (0..size.div_ceil(chunk)).map(move |i| {
                let first = i * chunk;
                (from + first * source, to + first * target, chunk.min(size - first))
            })
        })
    }
}

/// The axes without those of one entry; neighbours of which the outer one goes on where the inner one
/// ends, on both sides, are one.
pub(crate) fn joined(axes: impl IntoIterator<Item = Axis>) -> Vec<Axis> {
    let mut joined = Vec::<Axis>::new();
    for axis in axes.into_iter().filter(|axis| axis.size != 1) {
        let ends = |stride: u64| stride.checked_mul(axis.size);
        match joined.last_mut() {
            Some(outer)
                if ends(axis.source) == Some(outer.source)
                    && ends(axis.target) == Some(outer.target) =>
            {
                *outer = Axis { size: outer.size * axis.size, ..axis };
            }
            _ => joined.push(axis),
        }
    }
    joined
}

/// The place of every combination of indices, the last axis changing fastest.
pub(crate) fn steps(axes: &[Axis]) -> impl Iterator<Item = (u64, u64)> {
    let mut index = vec![0; axes.len()];
    let mut place = axes.iter().all(|axis| axis.size > 0).then_some((0, 0));
    std::iter::from_fn(move || {
        let found = place?;
        place = advance(axes, &mut index, found);
        Some(found)
    })
}

fn advance(axes: &[Axis], index: &mut [u64], (mut from, mut to): (u64, u64)) -> Option<(u64, u64)> {
    for (axis, index) in axes.iter().zip(index).rev() {
        if *index + 1 < axis.size {
            *index += 1;
            return Some((from + axis.source, to + axis.target));
        }
        from -= *index * axis.source;
        to -= *index * axis.target;
        *index = 0;
    }
    None
}
