//! Rectangles that cover a shape, against a count of every element.

use proptest::prelude::*;
use statedict_core::{Rectangle, Unassembled, check_coverage};

/// Where a rectangle begins, and its sizes.
type Owned = (Vec<u64>, Vec<u64>);

/// A shape of up to four dimensions.
fn shapes() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0..6u64, 0..=4)
}

/// A shape cut into rectangles again and again, at places that `cuts` say, in an order of their own.
fn tilings() -> impl Strategy<Value = (Vec<u64>, Vec<Owned>)> {
    let cuts =
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 0..9);
    (shapes(), cuts)
        .prop_map(|(shape, cuts)| {
            let mut parts = vec![(vec![0; shape.len()], shape.clone())];
            for (which, axis, place) in cuts {
                let (at, size) = parts.swap_remove(which.index(parts.len()));
                let axis = usize::from(axis) % shape.len().max(1);
                // A cut at an edge leaves a part without elements.
                let place = size.get(axis).map_or(0, |all| u64::from(place) % (all + 1));
                let (mut first, mut second) = ((at.clone(), size.clone()), (at, size));
                if !shape.is_empty() {
                    first.1[axis] = place;
                    second.0[axis] += place;
                    second.1[axis] -= place;
                    parts.push(first);
                }
                parts.push(second);
            }
            (shape, parts)
        })
        .prop_flat_map(|(shape, parts)| (Just(shape), Just(parts).prop_shuffle()))
}

/// Rectangles anywhere, some of which reach out of the shape.
fn strewn() -> impl Strategy<Value = (Vec<u64>, Vec<Owned>)> {
    shapes().prop_flat_map(|shape| {
        let axes = shape.len();
        let sizes = move || prop::collection::vec(0..4u64, axes);
        (Just(shape), prop::collection::vec((sizes(), sizes()), 0..6))
    })
}

fn found(shape: &[u64], parts: &[Owned]) -> Result<(), Unassembled> {
    let parts: Vec<_> = parts.iter().map(|(at, size)| Rectangle { at, size }).collect();
    check_coverage(shape, &parts)
}

/// The same by a count of how many rectangles have each element.
fn counted(shape: &[u64], parts: &[Owned]) -> Result<(), &'static str> {
    let is_within = |(at, size): &Owned| (0..shape.len()).all(|i| at[i] + size[i] <= shape[i]);
    if !parts.iter().all(is_within) {
        return Err("outside");
    }
    let count: u64 = shape.iter().product();
    let holders = (0..count).map(|element| {
        let mut rest = element;
        let mut index = vec![0; shape.len()];
        for axis in (0..shape.len()).rev() {
            index[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        let holds = |(at, size): &&Owned| {
            (0..shape.len()).all(|i| at[i] <= index[i] && index[i] < at[i] + size[i])
        };
        parts.iter().filter(holds).count()
    });
    let holders: Vec<usize> = holders.collect();
    match holders.iter().max() {
        Some(2..) => Err("overlap"),
        _ if holders.contains(&0) => Err("incomplete"),
        _ => Ok(()),
    }
}

fn kind(why: Unassembled) -> &'static str {
    match why {
        Unassembled::Outside { .. } => "outside",
        Unassembled::Overlap { .. } => "overlap",
        Unassembled::Incomplete { .. } => "incomplete",
    }
}

proptest! {
    #[test]
    fn a_tiling_in_any_order_covers_its_shape((shape, parts) in tilings()) {
        prop_assert_eq!(found(&shape, &parts), Ok(()));
    }

    #[test]
    fn a_tiling_that_lacks_a_part_lacks_its_elements(
        (shape, mut parts) in tilings(),
        which in any::<prop::sample::Index>(),
    ) {
        let gone: u64 = parts.swap_remove(which.index(parts.len())).1.iter().product();
        let count = shape.iter().product();
        let expected = match gone {
            0 => Ok(()),
            gone => Err(Unassembled::Incomplete { found: count - gone, count }),
        };
        prop_assert_eq!(found(&shape, &parts), expected);
    }

    #[test]
    fn a_tiling_with_a_part_twice_overlaps(
        (shape, mut parts) in tilings(),
        which in any::<prop::sample::Index>(),
    ) {
        let twice = parts[which.index(parts.len())].clone();
        let is_empty = twice.1.contains(&0);
        parts.push(twice);
        let overlaps = matches!(found(&shape, &parts), Err(Unassembled::Overlap { .. }));
        prop_assert_eq!(overlaps, !is_empty);
    }

    #[test]
    fn rectangles_anywhere_are_judged_as_a_count_of_every_element_judges(
        (shape, parts) in strewn(),
    ) {
        prop_assert_eq!(found(&shape, &parts).map_err(kind), counted(&shape, &parts));
    }
}
