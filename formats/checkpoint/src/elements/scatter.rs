//! Units of a window of a storage, put in their places in a block.

use crate::elements::axes::{Axis, joined, steps};
use crate::elements::window::size;

/// Copies every unit, a number of so many bytes, of the window to its place in the block.
pub(crate) fn scatter(unit: u64, window: &[u8], block: &mut [u8], axes: &[Axis]) {
    // Tiles whose sides are at most a line of the processor's cache.
    match unit {
        16 => scatter_units::<16, 4>(window, block, axes),
        8 => scatter_units::<8, 8>(window, block, axes),
        4 => scatter_units::<4, 16>(window, block, axes),
        2 => scatter_units::<2, 16>(window, block, axes),
        _ => scatter_units::<1, 16>(window, block, axes),
    }
}

fn scatter_units<const N: usize, const TILE: usize>(
    window: &[u8],
    block: &mut [u8],
    axes: &[Axis],
) {
    let (window, block) = (window.as_chunks::<N>().0, block.as_chunks_mut::<N>().0);
    let mut axes = axes.to_vec();
    axes.sort_by_key(|axis| std::cmp::Reverse(axis.target));
    let mut axes = joined(axes);
    let Some(along) = axes.pop() else {
        block[0] = window[0];
        return;
    };
    if (along.source, along.target) == (1, 1) {
        for (from, to) in steps(&axes) {
            let (from, to, len) = (size(from), size(to), size(along.size));
            block[to..to + len].copy_from_slice(&window[from..from + len]);
        }
        return;
    }
    let nearest = (0..axes.len()).min_by_key(|i| axes[*i].source);
    match nearest.filter(|nearest| axes[*nearest].source < along.source) {
        Some(nearest) => {
            let across = axes.remove(nearest);
            for (from, to) in steps(&axes) {
                let (window, block) = (&window[size(from)..], &mut block[size(to)..]);
                transpose::<[u8; N], TILE>(window, block, across, along);
            }
        }
        None => {
            axes.push(along);
            for (from, to) in steps(&axes) {
                block[size(to)] = window[size(from)];
            }
        }
    }
}

/// Copies two axes, of which the first is the nearer one in the window and the second in the block,
/// tile by tile, so that a tile's lines stay in the cache.
fn transpose<T: Copy, const TILE: usize>(window: &[T], block: &mut [T], across: Axis, along: Axis) {
    let sides = [size(across.size), size(along.size)];
    let (from, to) = ([across.source, along.source], [across.target, along.target]);
    let (from, to) = (from.map(size), to.map(size));
    for i in (0..sides[0]).step_by(TILE) {
        for j in (0..sides[1]).step_by(TILE) {
            let window = &window[i * from[0] + j * from[1]..];
            let block = &mut block[i * to[0] + j * to[1]..];
            let side = [(sides[0] - i).min(TILE), (sides[1] - j).min(TILE)];
            if side == [TILE; 2] && from[0] == 1 && to[1] == 1 {
                whole_tile::<T, TILE>(window, block, from[1], to[0]);
            } else {
                part_of_tile(window, block, side, from, to);
            }
        }
    }
}

/// A square whose rows are side by side in the window, and whose columns are in the block.
fn whole_tile<T: Copy, const TILE: usize>(
    window: &[T],
    block: &mut [T],
    row: usize,
    column: usize,
) {
    let rows: [&[T; TILE]; TILE] = std::array::from_fn(|j| {
        window[j * row..].first_chunk().expect("the window has whole rows")
    });
    for i in 0..TILE {
        let to = block[i * column..].first_chunk_mut().expect("the block has whole columns");
        *to = std::array::from_fn::<T, TILE, _>(|j| rows[j][i]);
    }
}

fn part_of_tile<T: Copy>(
    window: &[T],
    block: &mut [T],
    side: [usize; 2],
    from: [usize; 2],
    to: [usize; 2],
) {
    for i in 0..side[0] {
        for j in 0..side[1] {
            block[i * to[0] + j * to[1]] = window[i * from[0] + j * from[1]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

    /// Axes in some order of their sizes in the block, and others in the window.
    fn axes() -> impl Strategy<Value = (Vec<u64>, Vec<usize>)> {
        let size = prop_oneof![Just(1u64), 2u64..5, Just(64), 60u64..70];
        proptest::collection::vec(size, 0..4).prop_flat_map(|sizes| {
            let order: Vec<usize> = (0..sizes.len()).collect();
            (Just(sizes), Just(order).prop_shuffle())
        })
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn every_unit_comes_to_its_place((sizes, order) in axes(), unit in 0usize..5) {
            let unit = [1u64, 2, 4, 8, 16][unit];
            let mut axes: Vec<Axis> = Vec::new();
            let mut target = 1;
            for size in &sizes {
                axes.push(Axis { size: *size, source: 0, target });
                target *= size;
            }
            let mut source = 1;
            for i in order {
                axes[i].source = source;
                source *= axes[i].size;
            }
            let len = size(target * unit);
            let window: Vec<u8> = (0..len).map(|i| (i * 7 + i / 251) as u8).collect();
            let mut expected = vec![0; len];
            for (from, to) in steps(&axes) {
                let (from, to, unit) = (size(from * unit), size(to * unit), size(unit));
                expected[to..to + unit].copy_from_slice(&window[from..from + unit]);
            }
            let mut block = vec![0; len];
            scatter(unit, &window, &mut block, &axes);
            assert!(block == expected, "{axes:?} of {unit}");
        }
    }
}
