//! What is at the front of a file while it is edited, so that nobody takes it for whole.
//!
//! A reader that knows of no journal would else load an edit that was interrupted as a third file,
//! neither the old nor the new. With this in front, PyTorch, NumPy and safetensors refuse it: no
//! header is so long, and no archive, pickle or array begins like this.

use std::ops::Range;

/// The first bytes of a file that is being edited.
pub(crate) const GUARD: [u8; 8] = *b"\xffEDITING";

/// Its place in the file.
pub(crate) const PLACE: Range<u64> = 0..GUARD.len() as u64;

/// True if ranges that are ascending and apart cover the place of the guard.
pub(crate) fn is_covered<'a>(ranges: impl Iterator<Item = &'a Range<u64>>) -> bool {
    let covered = ranges.map(|range| range.end.min(PLACE.end).saturating_sub(range.start));
    covered.sum::<u64>() == PLACE.end
}

/// A range of a file cut in two: what is in the guard's place, and what is behind it.
pub(crate) fn parted(range: &Range<u64>) -> (Range<u64>, Range<u64>) {
    let cut = PLACE.end.clamp(range.start, range.end);
    (range.start..cut, cut..range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_the_place_together_or_not() {
        let check = |ranges: &[(u64, u64)], expected| {
            let ranges: Vec<_> = ranges.iter().map(|(start, end)| *start..*end).collect();
            assert_eq!(is_covered(ranges.iter()), expected, "{ranges:?}");
        };
        check(&[(0, 9)], true);
        check(&[(0, 3), (3, 8), (90, 99)], true);
        check(&[(0, 3), (4, 9)], false);
        check(&[(1, 9)], false);
        check(&[], false);
    }

    #[test]
    fn a_range_is_parted_at_the_end_of_the_place() {
        assert_eq!(parted(&(0..20)), (0..8, 8..20));
        assert_eq!(parted(&(2..5)), (2..5, 5..5));
        assert_eq!(parted(&(9..20)), (9..9, 9..20));
    }
}
