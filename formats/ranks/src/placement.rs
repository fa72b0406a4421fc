//! Which elements of a tensor a rank has, by how it was placed on a mesh of devices.
//!
//! Source: `torch/distributed/tensor/placement_types.py`, 2.4 to 2.15.

use std::ops::Range;

/// How a tensor was placed along one axis of a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Every rank has all of it.
    Replicate,
    /// Dimension `dim` was cut.
    Shard { dim: usize },
    /// Dimension `dim` was cut after what later axes of the mesh cut of it, which were `split` parts.
    Strided { dim: usize, split: u64 },
}

/// The places of one dimension that a rank has, in the order in which it has them.
pub(crate) type Intervals = Vec<Range<u64>>;

/// A rank's place along one axis of the mesh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) placement: Placement,
    pub(crate) coordinate: u64,
    pub(crate) size: u64,
}

/// What a rank has of each dimension of a tensor; `None` if a placement speaks of no dimension of it.
pub(crate) fn local(shape: &[u64], axes: &[Axis]) -> Option<Vec<Intervals>> {
    let mut dims: Vec<Intervals> = shape
        .iter()
        .map(|size| Some(0..*size).filter(|it| !it.is_empty()).into_iter().collect())
        .collect();
    let mut cuts = vec![1u64; shape.len()];
    // What is strided was cut after the others on the same dimension, the last axis first.
    let is_strided = |axis: &&Axis| matches!(axis.placement, Placement::Strided { .. });
    let plain = axes.iter().filter(|axis| !is_strided(axis));
    for axis in plain.chain(axes.iter().rev().filter(is_strided)) {
        let (dim, split) = match axis.placement {
            Placement::Replicate => continue,
            Placement::Shard { dim } => (dim, None),
            Placement::Strided { dim, split } => (dim, Some(split)),
        };
        let (own, cut) = (dims.get_mut(dim)?, cuts.get_mut(dim)?);
        *own = match split {
            // The axis that cut it into parts is not in this mesh: some of each part.
            Some(split) if *cut != split => (0..split)
                .flat_map(|part| chunk(&chunk(own, split, part), axis.size, axis.coordinate))
                .collect(),
            _ => chunk(own, axis.size, axis.coordinate),
        };
        *cut = cut.saturating_mul(axis.size);
    }
    Some(dims)
}

/// One of `n` parts of some places, as `torch.chunk` cuts them: the last ones may have fewer, or none.
fn chunk(intervals: &[Range<u64>], n: u64, number: u64) -> Intervals {
    let total: u64 = intervals.iter().map(|it| it.end - it.start).sum();
    let per = total.div_ceil(n.max(1));
    let (first, last) = (number.saturating_mul(per), number.saturating_add(1).saturating_mul(per));
    let (mut kept, mut at) = (Vec::new(), 0);
    for interval in intervals {
        let next = at + (interval.end - interval.start);
        let (from, to) = (first.max(at), last.min(next));
        if from < to {
            kept.push(interval.start + (from - at)..interval.start + (to - at));
        }
        at = next;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(placement: Placement, coordinate: u64, size: u64) -> Axis {
        Axis { placement, coordinate, size }
    }

    /// The rows that a rank has of a tensor of one dimension.
    fn rows(count: u64, axes: &[Axis]) -> Vec<(u64, u64)> {
        let dims = local(&[count], axes).expect("a dimension");
        dims[0].iter().map(|interval| (interval.start, interval.end)).collect()
    }

    #[test]
    fn a_dimension_is_cut_as_torch_chunk_cuts_it() {
        let of_rank = |rank| rows(9, &[axis(Placement::Shard { dim: 0 }, rank, 4)]);
        let found: Vec<_> = (0..4).map(of_rank).collect();
        assert_eq!(found, [vec![(0, 3)], vec![(3, 6)], vec![(6, 9)], vec![]]);
    }

    #[test]
    fn what_is_strided_is_cut_after_the_axes_behind_it() {
        // FSDP over tensor parallelism, 14 rows on 2 x 2 ranks, as torch places them.
        let of_rank = |dp, tp| {
            let strided = axis(Placement::Strided { dim: 0, split: 2 }, dp, 2);
            rows(14, &[strided, axis(Placement::Shard { dim: 0 }, tp, 2)])
        };
        let found = [of_rank(0, 0), of_rank(0, 1), of_rank(1, 0), of_rank(1, 1)];
        assert_eq!(found, [[(0, 4)], [(7, 11)], [(4, 7)], [(11, 14)]]);
    }

    #[test]
    fn a_stride_whose_other_axis_is_not_in_the_mesh_takes_some_of_each_part() {
        let strided = [axis(Placement::Strided { dim: 0, split: 2 }, 0, 2)];
        assert_eq!(rows(8, &strided), [(0, 2), (4, 6)]);
        assert_eq!(local(&[8], &[axis(Placement::Shard { dim: 3 }, 0, 2)]), None);
    }
}
