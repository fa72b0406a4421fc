//! Which tensors of both sides belong together by the elements that they have in common.

use alloc::string::String;
use alloc::vec::Vec;

use crate::matching::derive::overlap::Overlap;
use crate::sorting;
use crate::{IndexMap, IndexSet};

/// Tensors of both sides that have all their elements in common, each of them once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Component {
    /// Those of `a`, in order.
    pub(super) sources: Vec<usize>,
    /// Those of `b`, in order.
    pub(super) targets: Vec<usize>,
    /// The elements; together they cover every tensor once.
    pub(super) overlaps: Vec<Overlap>,
    /// Other tensors of `b` with the elements of a target, in the same places.
    pub(super) ties: Vec<(usize, usize)>,
}

/// A tensor of `b` whose elements are in `a`, but which no rule makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unruled {
    pub(super) b: usize,
    pub(super) why: Why,
}

/// Why no rule makes a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Some of its elements are in no tensor of `a`.
    Incomplete,
    /// Its elements are those of another tensor of `b` as well, in another order.
    Taken,
    /// Some elements of the tensors that it is made of are in no tensor of `b`.
    LeftOver,
    /// The elements go other ways than a pair of layouts can say.
    Irregular,
}

/// The components, and the tensors of `b` that are in none although they share elements with `a`.
///
/// `counts` are the numbers of elements of the tensors of either side.
pub(super) fn components(
    overlaps: &[Overlap],
    (count_a, count_b): (&dyn Fn(usize) -> u64, &dyn Fn(usize) -> u64),
) -> (Vec<Component>, Vec<Unruled>) {
    let mut unruled = Vec::new();
    let mut targets = IndexMap::<usize, Vec<Overlap>>::default();
    for overlap in overlaps {
        let own = targets.entry(overlap.b).or_default();
        // What is in two tensors of `a` is taken from the first.
        if !own.iter().any(|other| is_same_place_in_b(other, overlap)) {
            own.push(overlap.clone());
        }
    }
    targets.retain(|b, own| {
        let is_whole = own.iter().map(Overlap::count).sum::<u64>() == count_b(*b);
        if !is_whole {
            unruled.push(Unruled { b: *b, why: Why::Incomplete });
        }
        is_whole
    });
    let mut ties = Vec::new();
    let mut signatures = IndexMap::<Vec<Overlap>, usize>::default();
    targets.retain(|b, own| {
        let signature: Vec<Overlap> =
            own.iter().map(|overlap| Overlap { b: 0, ..overlap.clone() }).collect();
        match signatures.get(&signature) {
            Some(first) => ties.push((*first, *b)),
            None => {
                signatures.insert(signature, *b);
                return true;
            }
        }
        false
    });
    let mut used = IndexMap::<usize, u64>::default();
    targets.retain(|b, own| {
        let more = counts_by_source(own);
        let used_of = |a: &usize| used.get(a).copied().unwrap_or_default();
        let has_room = more.iter().all(|(a, count)| used_of(a) + count <= count_a(*a));
        if has_room {
            more.into_iter().for_each(|(a, count)| *used.entry(a).or_default() += count);
        } else {
            unruled.push(Unruled { b: *b, why: Why::Taken });
        }
        has_room
    });
    let all = joined(targets, &ties);
    let (whole, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|it| it.sources.iter().all(|a| used.get(a) == Some(&count_a(*a))));
    let left_over = others.into_iter().flat_map(|it| {
        let ties: Vec<usize> = it.ties.iter().map(|(_, alias)| *alias).collect();
        it.targets.into_iter().chain(ties).map(|b| Unruled { b, why: Why::LeftOver })
    });
    unruled.extend(left_over);
    (whole, unruled)
}

/// How many elements of each tensor of `a` these are.
fn counts_by_source(overlaps: &[Overlap]) -> IndexMap<usize, u64> {
    let mut counts = IndexMap::<usize, u64>::default();
    for overlap in overlaps {
        *counts.entry(overlap.a).or_default() += overlap.count();
    }
    counts
}

/// As many elements from the same place on are taken for the same, whatever their steps.
fn is_same_place_in_b(x: &Overlap, y: &Overlap) -> bool {
    x.start_in_b == y.start_in_b && x.count() == y.count()
}

/// Targets that share sources in one component each.
fn joined(targets: IndexMap<usize, Vec<Overlap>>, ties: &[(usize, usize)]) -> Vec<Component> {
    let mut component_of = IndexMap::<usize, usize>::default();
    let mut all: Vec<Option<Component>> = Vec::new();
    for (b, own) in targets {
        let mut component = Component { targets: [b].into(), ..Component::default() };
        let sources: IndexSet<usize> = own.iter().map(|overlap| overlap.a).collect();
        let known: IndexSet<usize> =
            sources.iter().filter_map(|a| component_of.get(a).copied()).collect();
        component.overlaps = own;
        component.sources = sources.into_iter().collect();
        component.ties = ties.iter().filter(|(first, _)| *first == b).copied().collect();
        for other in known {
            if let Some(other) = all[other].take() {
                component.absorb(other);
            }
        }
        component.sources.iter().for_each(|a| {
            component_of.insert(*a, all.len());
        });
        all.push(Some(component));
    }
    let mut all: Vec<Component> = all.into_iter().flatten().collect();
    for component in &mut all {
        component.sources.sort_unstable();
        component.sources.dedup();
        component.targets.sort_unstable();
    }
    sorting::sort_by_key(&mut all, |component| component.sources.first().copied());
    all
}

impl Component {
    fn absorb(&mut self, other: Component) {
        self.sources.extend(other.sources);
        self.targets.extend(other.targets);
        self.overlaps.extend(other.overlaps);
        self.ties.extend(other.ties);
    }
}

/// What is in the way, in a few words.
impl Why {
    /// The reason as the end of a sentence about a tensor of `b`.
    #[must_use]
    pub fn reason(self) -> String {
        let reason = match self {
            Why::Incomplete => "some of its elements are in no tensor of a",
            Why::Taken => "its elements are those of another tensor as well, in another order",
            Why::LeftOver => "other elements of the tensors it is made of are in no tensor of b",
            Why::Irregular => "its elements are in an order that no rule describes",
        };
        reason.into()
    }
}
