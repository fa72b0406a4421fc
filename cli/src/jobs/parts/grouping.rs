//! Which files go into which part: neighbours together, as many bytes in each as can be.

use std::ops::Range;

/// Spreads files of these lengths over `parts` groups of neighbours, none empty as long as there are
/// enough files; the same lengths always give the same groups.
///
/// No group has more than its share and the bytes of the largest file.
pub(super) fn groups(lengths: &[u64], parts: usize) -> Vec<Range<usize>> {
    let mut left: u128 = lengths.iter().map(|length| u128::from(*length)).sum();
    let (mut groups, mut at) = (Vec::with_capacity(parts), 0);
    for others in (0..parts).rev() {
        let start = at;
        let share = left / (others as u128 + 1);
        let mut taken = 0u128;
        // Each of the parts that follow needs a file, if there are as many.
        while lengths.len() - at > others {
            let length = u128::from(lengths[at]);
            // The file goes where it is nearer to the share.
            let is_nearer = taken + length / 2 <= share;
            if at > start && others > 0 && !is_nearer {
                break;
            }
            taken += length;
            at += 1;
        }
        if at == start && at < lengths.len() && lengths.len() < parts {
            taken += u128::from(lengths[at]);
            at += 1;
        }
        left -= taken;
        groups.push(start..at);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(lengths: &[u64], parts: usize, expected: &[Range<usize>]) {
        assert_eq!(groups(lengths, parts), expected, "{lengths:?} in {parts}");
    }

    #[test]
    fn neighbours_share_a_part() {
        check(&[5, 5, 5, 5], 2, &[0..2, 2..4]);
        check(&[5, 5, 5, 5, 1], 2, &[0..2, 2..5]);
        check(&[9, 1, 1, 1], 2, &[0..1, 1..4]);
        check(&[1, 1, 1, 9], 2, &[0..3, 3..4]);
        check(&[5; 5], 4, &[0..1, 1..2, 2..4, 4..5]);
    }

    #[test]
    fn parts_without_files_come_last() {
        check(&[5, 5], 4, &[0..1, 1..2, 2..2, 2..2]);
        check(&[], 2, &[0..0, 0..0]);
    }

    proptest! {
        #[test]
        fn every_file_is_in_one_part_and_no_part_has_much_more_than_its_share(
            lengths in prop::collection::vec(0u64..1000, 0..60),
            parts in 1usize..20,
        ) {
            let groups = groups(&lengths, parts);
            prop_assert_eq!(groups.len(), parts);
            let mut at = 0;
            for group in &groups {
                prop_assert_eq!(group.start, at);
                at = group.end;
            }
            prop_assert_eq!(at, lengths.len());
            let filled = groups.iter().filter(|group| !group.is_empty()).count();
            prop_assert_eq!(filled, parts.min(lengths.len()));
            let most = lengths.iter().max().copied().unwrap_or_default();
            let share = lengths.iter().sum::<u64>() / parts as u64;
            for group in groups {
                let bytes: u64 = lengths[group].iter().sum();
                prop_assert!(bytes <= share + 2 * most, "{} of {}, most {}", bytes, share, most);
            }
        }
    }
}
