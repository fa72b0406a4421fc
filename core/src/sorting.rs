//! Sorting that costs one body of code, whatever is sorted.
//!
//! The standard library's stable sort takes several kilobytes for each type of items and each order,
//! and there are a hundred of them here. This one sorts positions, always by the same body, and then puts
//! the items where these say. It takes half as long again, and suits all that is not in a hot loop.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Sorts items by their own order; those that are equal stay in order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// Sorts items by a key of each.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// Sorts items as `compare` says.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let mut order = sorted_positions(items.len(), &|a, b| compare(&items[a], &items[b]));
    for start in 0..order.len() {
        // A circle of items, each of which belongs where the one before it is.
        let mut place = start;
        while order[place] != start {
            let from = order[place];
            items.swap(place, from);
            order[place] = place;
            place = from;
        }
        order[place] = place;
    }
}

/// Which item belongs at each position.
fn sorted_positions(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..len).collect();
    positions.sort_by(|a, b| compare(*a, *b));
    positions
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use core::cmp::Reverse;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_sorts_as_the_standard_library_does(items: Vec<(u8, String)>) {
            let (mut ours, mut theirs) = (items.clone(), items.clone());
            sort_by_key(&mut ours, |(key, _)| Reverse(key % 4));
            theirs.sort_by_key(|(key, _)| Reverse(key % 4));
            prop_assert_eq!(ours, theirs);

            let (mut ours, mut theirs) = (items.clone(), items);
            sort(&mut ours);
            theirs.sort();
            prop_assert_eq!(ours, theirs);
        }
    }
}
