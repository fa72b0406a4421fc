//! Same names that could be chance: of layers that are counted otherwise on the other side.
//!
//! Blocks 1 to 6 share five names with blocks 0 to 5, and none of them may be the same block.

use alloc::string::String;
use alloc::vec::Vec;

use crate::matching::fit::Reason;
use crate::matching::fit::matcher::{Item, Matcher};
use crate::matching::fit::modules::{Depth, form};
use crate::matching::numbered::Numbered;
use crate::{IndexMap, IndexSet, SEPARATOR};

/// The keys of one form: their numbers, shapes and positions.
#[derive(Clone, Default)]
struct Counted {
    sources: Vec<(Vec<u64>, usize)>,
    targets: Vec<(Vec<u64>, usize)>,
}

impl Matcher<'_> {
    /// Takes back pairs of the same name where the numbers in it are in doubt.
    ///
    /// Where shapes say that the names are wrong, another partner is sought; else none is.
    pub(super) fn doubt_numbers(&mut self) {
        let mut again = Vec::new();
        let mut doubtful = [self.moved_within(false), self.moved_within(true)].concat();
        let misfits: IndexSet<usize> = self.misfits.iter().map(|(at, _)| *at).collect();
        for counted in self.counted().into_values() {
            let are_left = left(&self.sources, &counted.sources).next().is_some()
                && left(&self.targets, &counted.targets).next().is_some();
            if !are_left || self.keeps_its_numbers(&counted) {
                continue;
            }
            if counted.sources.iter().any(|(_, at)| misfits.contains(at)) {
                again.push(counted);
            } else if self.have_a_shape_in_common(&counted) {
                doubtful.push(counted);
            }
        }
        again.iter().for_each(|counted| self.part(counted));
        for counted in doubtful {
            self.part(&counted);
            counted.sources.iter().for_each(|(_, at)| self.sources[*at].is_doubtful = true);
            counted.targets.iter().for_each(|(_, at)| self.targets[*at].is_doubtful = true);
        }
    }

    /// Settles, as misfits, the same names that no other partner was found for.
    pub(super) fn settle_misfits(&mut self) {
        let names: IndexMap<&str, usize> =
            self.open_targets().map(|(at, item)| (item.key, at)).collect();
        let same = self.open_sources().filter_map(|(at, item)| Some((at, *names.get(item.key)?)));
        let found: Vec<_> = same.filter(|(a, b)| !self.agree(*a, *b)).collect();
        for (source, target) in found {
            self.settle(source, target, Reason::SameName);
        }
    }

    /// The keys of both sides by their form, so far as they have numbers.
    fn counted(&self) -> IndexMap<String, Counted> {
        let mut all = IndexMap::<String, Counted>::default();
        for (at, item) in self.sources.iter().enumerate() {
            let (form, numbers) = form(&item.name, Depth::All);
            if !numbers.is_empty() {
                all.entry(form).or_default().sources.push((numbers, at));
            }
        }
        for (at, item) in self.targets.iter().enumerate() {
            let (form, numbers) = form(&item.name, Depth::All);
            if let Some(counted) = all.get_mut(&form) {
                counted.targets.push((numbers, at));
            }
        }
        all
    }

    /// True if what has one name on both sides also is at one place when both are counted off.
    fn keeps_its_numbers(&self, counted: &Counted) -> bool {
        let (mut own, mut theirs) = (counted.sources.clone(), counted.targets.clone());
        own.sort_unstable();
        theirs.sort_unstable();
        own.len() == theirs.len()
            && own.iter().zip(&theirs).all(|((_, source), (_, target))| {
                self.sources[*source].partner.is_none_or(|partner| partner == *target)
                    && self.agree(*source, *target)
            })
    }

    /// True if what is left of one side has the shape of something that is left of the other.
    fn have_a_shape_in_common(&self, counted: &Counted) -> bool {
        let theirs: IndexSet<_> =
            left(&self.targets, &counted.targets).map(|item| &item.tensor.shape).collect();
        left(&self.sources, &counted.sources).any(|item| theirs.contains(&item.tensor.shape))
    }

    /// Numbered modules of which one is left over, where the other side has one more beside them
    /// that is as good: `layers.0` and `layers.1`, held against `first` and `layers.0`.
    fn moved_within(&self, inverted: bool) -> Vec<Counted> {
        let (own, theirs) =
            if inverted { (&self.targets, &self.sources) } else { (&self.sources, &self.targets) };
        let mut beside = IndexMap::<String, Vec<usize>>::default();
        for (at, item) in theirs.iter().enumerate().filter(|(_, item)| item.partner.is_none()) {
            if let Some((around, leaf)) = named(item) {
                beside.entry(spelled(item, around, leaf)).or_default().push(at);
            }
        }
        let mut moved = IndexMap::<String, (Vec<usize>, Vec<usize>)>::default();
        for (at, item) in own.iter().enumerate().filter(|(_, item)| item.partner.is_none()) {
            let Some((list, leaf)) = numbered(item) else { continue };
            let around = list.rsplit_once(SEPARATOR).map_or("", |(around, _)| around);
            if let Some(theirs) = beside.get(&spelled(item, around, leaf)) {
                let moved = moved.entry(spelled(item, list, leaf)).or_default();
                moved.0.push(at);
                moved.1.clone_from(theirs);
            }
        }
        for (at, partner) in own.iter().enumerate().filter_map(|(at, it)| Some((at, it.partner?))) {
            let item = &own[at];
            let moved =
                numbered(item).and_then(|(list, leaf)| moved.get_mut(&spelled(item, list, leaf)));
            if let Some((all, theirs)) = moved {
                all.push(at);
                theirs.push(partner);
            }
        }
        let mut found = Vec::new();
        for (all, theirs) in moved.into_values() {
            if all.iter().any(|at| own[*at].partner.is_some()) {
                let (sources, targets) = if inverted { (theirs, all) } else { (all, theirs) };
                found.push(Counted { sources: uncounted(sources), targets: uncounted(targets) });
            }
        }
        found
    }

    /// Takes back the pairs and misfits of these keys.
    fn part(&mut self, counted: &Counted) {
        let gone: IndexSet<usize> = counted.sources.iter().map(|(_, at)| *at).collect();
        self.pairs.retain(|(source, ..)| !gone.contains(source));
        self.misfits.retain(|(source, _)| !gone.contains(source));
        for (_, at) in &counted.sources {
            if let Some(target) = self.sources[*at].partner.take() {
                self.targets[target].partner = None;
            }
        }
    }
}

/// What surrounds a named module, and its parameter's name.
fn named<'i>(item: &'i Item) -> Option<(&'i str, &'i str)> {
    let (path, leaf) = item.name.rsplit_once(SEPARATOR)?;
    let (around, own) = path.rsplit_once(SEPARATOR).unwrap_or(("", path));
    (!Numbered::of(own).is_bare()).then_some((around, leaf))
}

/// The list that a module is in, if its own name is a number, and its parameter's name.
fn numbered<'i>(item: &'i Item) -> Option<(&'i str, &'i str)> {
    let (path, leaf) = item.name.rsplit_once(SEPARATOR)?;
    let (list, own) = path.rsplit_once(SEPARATOR)?;
    Numbered::of(own).is_bare().then_some((list, leaf))
}

/// Where a parameter is, and its shape, as text.
fn spelled(item: &Item, around: &str, leaf: &str) -> String {
    alloc::format!("{around} {leaf} {:?}", item.tensor.shape)
}

/// Those of these items that have no partner.
fn left<'i>(
    items: &'i [Item<'i>],
    all: &'i [(Vec<u64>, usize)],
) -> impl Iterator<Item = &'i Item<'i>> {
    all.iter().map(|(_, at)| &items[*at]).filter(|item| item.partner.is_none())
}

/// Items of which no number counts.
fn uncounted(all: Vec<usize>) -> Vec<(Vec<u64>, usize)> {
    all.into_iter().map(|at| (Vec::new(), at)).collect()
}
