//! Rows of tensors, known by hashes.
//!
//! The hashes have a key of their own in each run, so that no file can be made to have equal ones.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::mem;

use statedict_core::IndexMap;

use crate::compare::operand::Operand;
use crate::elements::StreamError;
use crate::error::Error;
use crate::parallel::each;

/// Says whether more rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    More,
    Enough,
}

/// Tells `take` the hash of each row, in order, until it has enough.
pub(super) fn rows(
    half: &Operand<'_>,
    keys: &RandomState,
    mut take: impl FnMut(u64) -> Rows,
) -> Result<(), Error> {
    let Some(len) = row_len(half) else { return Ok(()) };
    let (mut hasher, mut left) = (keys.build_hasher(), len);
    let streamed = half.stream(&mut |mut bytes| {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(left.min(bytes.len()));
            hasher.write(now);
            (bytes, left) = (later, left - now.len());
            if left == 0 {
                let row = mem::replace(&mut hasher, keys.build_hasher());
                left = len;
                if take(row.finish()) == Rows::Enough {
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
        Ok(())
    });
    match streamed {
        Err(StreamError::Read(fault)) => Err(half.error(fault)),
        Ok(()) | Err(StreamError::Sink(_)) => Ok(()),
    }
}

/// The bytes of a row; none for a tensor without rows, or whose rows are not whole bytes.
pub(super) fn row_len(half: &Operand<'_>) -> Option<usize> {
    let rows = half.shape().first().copied().filter(|rows| *rows > 0)?;
    let whole = half.byte_len() > 0 && half.byte_len().is_multiple_of(rows);
    let len = whole.then(|| half.byte_len() / rows)?;
    usize::try_from(len).ok()
}

/// Tensors of one type and shape that have the same rows in another order, where that leaves no
/// choice.
pub(super) fn reordered(
    a: &[Option<Operand<'_>>],
    b: &[Option<Operand<'_>>],
) -> Result<Vec<(usize, usize)>, Error> {
    let keys = RandomState::new();
    let mut sorts = IndexMap::<_, [Vec<usize>; 2]>::default();
    for (side, halves) in [a, b].into_iter().enumerate() {
        for (place, half) in halves.iter().enumerate() {
            let Some(half) = half.as_ref().filter(|half| row_len(half).is_some()) else { continue };
            let sort = sorts.entry((half.dtype(), half.shape())).or_default();
            sort[side].push(place);
        }
    }
    let both = sorts.into_values().filter(|[a, b]| !a.is_empty() && !b.is_empty());
    let members = both.flat_map(|places| {
        let [in_a, in_b] = places;
        let side = |side: usize, places: Vec<usize>| places.into_iter().map(move |p| (side, p));
        side(0, in_a).chain(side(1, in_b))
    });
    let found = each(members, || {
        |(side, place): (usize, usize)| {
            let Some(half) = [a, b][side][place].as_ref() else { return Ok(None) };
            Ok(fingerprint(half, &keys)?.map(|sum| (sum, side, place)))
        }
    })?;
    let mut alike = IndexMap::<_, [Vec<usize>; 2]>::default();
    for (sum, side, place) in found.into_iter().flatten() {
        let Some(half) = [a, b][side][place].as_ref() else { continue };
        alike.entry((sum, half.dtype(), half.shape())).or_default()[side].push(place);
    }
    let mut pairs: Vec<(usize, usize)> = alike
        .into_values()
        .filter_map(|places| match places.each_ref().map(Vec::as_slice) {
            [[a], [b]] => Some((*a, *b)),
            _ => None,
        })
        .collect();
    pairs.sort_unstable();
    Ok(pairs)
}

/// A number that the order of rows has no part in; none if all rows are the same.
fn fingerprint(half: &Operand<'_>, keys: &RandomState) -> Result<Option<u128>, Error> {
    let (mut sum, mut first, mut differ) = (0u128, None, false);
    rows(half, keys, |row| {
        differ |= *first.get_or_insert(row) != row;
        // Spread over twice the bits, so that many rows do not cancel out.
        sum = sum.wrapping_add(u128::from(row).wrapping_mul(u128::from(row)));
        Rows::More
    })?;
    Ok(differ.then_some(sum))
}
