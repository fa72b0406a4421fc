//! Partners among modules that differ in numbers only.
//!
//! `layer{n}.{i}.bn1` and `res{n+1}.{i}.conv1.norm` belong together if their numbers lie alike, all
//! shapes are the same, and nothing else on either side is so; where several are, names decide or
//! nothing does.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::IndexMap;
use crate::matching::fit::Reason;
use crate::matching::fit::matcher::{Item, Matcher, is_counter};
use crate::matching::fit::modules::{Depth, Family, Module, form};
use crate::matching::fit::words::{are_alike, match_by_name, may_be_the_same};
use crate::sorting;

/// How often the families are looked at again, since each that is settled can settle others.
const MAX_ROUNDS: usize = 16;

/// Items that are passed on the way to the nearest with a partner.
const MAX_DISTANCE: usize = 256;

/// The text before a number on either side.
type Stems = (String, String);

/// How far the numbers of the target are from those of the source.
pub(super) type Shifts = IndexMap<Stems, i64>;

/// How far one number is from another.
pub(super) struct Shift {
    stems: Stems,
    /// The source's number.
    number: u64,
    by: i64,
}

impl Shift {
    fn new(stems: Stems, number: u64, other: u64) -> Shift {
        Shift { stems, number, by: other.cast_signed() - number.cast_signed() }
    }
}

/// What holds for both sides while one round lasts.
#[derive(Clone, Copy)]
pub(super) struct Given {
    /// True if the order of both sides can be believed.
    are_ordered: bool,
    /// True if the open modules outside of all layers have the same parameters on both sides.
    are_rests_alike: bool,
}

/// Two families that may belong together, and what speaks for it.
struct Match<'f, 'b> {
    source: &'f Family<'b>,
    target: &'f Family<'b>,
    reason: Reason,
}

impl Matcher<'_> {
    /// Settles families of modules until no more are found.
    pub(super) fn settle_families(&mut self, depth: Depth, are_ordered: bool) {
        for _ in 0..MAX_ROUNDS {
            if !self.is_open() || !self.settle_families_once(depth, are_ordered) {
                return;
            }
        }
    }

    fn settle_families_once(&mut self, depth: Depth, are_ordered: bool) -> bool {
        let given = self.given(are_ordered);
        let mut shifts = self.shifts();
        let mut settled = Vec::new();
        let sources = Family::of(Module::of(self.open_sources()), depth);
        let targets = Family::of(Module::of(self.open_targets()), depth);
        for (sources, targets) in self.classes(&sources, &targets) {
            for found in self.matches(&sources, &targets, given) {
                let found_shifts = found.shifts();
                let is_kept = keeps(&shifts, &found_shifts);
                if is_kept || found.is_settled_by_shapes(&self.sources) {
                    if is_kept && found.source.members.len() > 1 {
                        shifts.extend(found_shifts.into_iter().map(|it| (it.stems, it.by)));
                    }
                    settled.extend(found.items());
                }
            }
        }
        let found = !settled.is_empty();
        for (source, target, reason) in settled {
            self.settle(source, target, reason);
        }
        found
    }

    /// Families of both sides that could be each other's, by their order in the file.
    fn classes<'f, 'b>(
        &self,
        sources: &'f [Family<'b>],
        targets: &'f [Family<'b>],
    ) -> Vec<(Vec<&'f Family<'b>>, Vec<&'f Family<'b>>)> {
        let mut classes = IndexMap::<String, (Vec<_>, Vec<_>)>::default();
        for family in sources {
            classes.entry(family.signature(&self.sources)).or_default().0.push(family);
        }
        for family in targets {
            if let Some(class) = classes.get_mut(&family.signature(&self.targets)) {
                class.1.push(family);
            }
        }
        let mut classes: Vec<_> =
            classes.into_values().filter(|(_, targets)| !targets.is_empty()).collect();
        for (sources, targets) in &mut classes {
            sorting::sort_by_key(sources, |family| family.first());
            sorting::sort_by_key(targets, |family| family.first());
        }
        classes
    }

    fn matches<'f, 'b>(
        &self,
        sources: &[&'f Family<'b>],
        targets: &[&'f Family<'b>],
        given: Given,
    ) -> Vec<Match<'f, 'b>> {
        if let ([source], [target]) = (sources, targets) {
            let reason = if source.members.len() > 1 { Reason::Template } else { Reason::Alone };
            let is_sure = self.is_sure(source, target, given);
            return is_sure.then_some(Match { source, target, reason }).into_iter().collect();
        }
        fn forms<'f>(families: &[&'f Family]) -> Vec<&'f str> {
            families.iter().map(|family| family.form.as_str()).collect()
        }
        let pairs = match_by_name(&forms(sources), &forms(targets), given.are_ordered);
        let pair = |(a, b): (usize, usize)| Match {
            source: sources[a],
            target: targets[b],
            reason: Reason::Likeness,
        };
        pairs.into_iter().map(pair).collect()
    }

    /// True if two families that are the only ones of their kind belong together beyond chance.
    fn is_sure(&self, source: &Family, target: &Family, given: Given) -> bool {
        let (a, b) = (&source.members[0].1, &target.members[0].1);
        let are_beside = given.are_ordered && self.are_beside(a, b);
        let is_placed = !given.are_ordered || are_beside || self.is_between(a, b);
        let is_likely = are_alike(a.path, b.path) || are_beside || a.dimensions(&self.sources) > 1;
        let are_outside = is_outside(a) && is_outside(b);
        match source.members.len() {
            1 => is_placed && !self.is_chance(a, b, given) && (is_likely || are_outside),
            _ => is_likely,
        }
    }

    /// True if no more than a shape speaks for two modules outside of all layers.
    ///
    /// Those are often heads, and heads of two tasks have one shape by chance: with a shape of two
    /// dimensions alone they go together only if all the others outside of layers would.
    pub(super) fn is_chance(&self, source: &Module, target: &Module, given: Given) -> bool {
        is_outside(source)
            && is_outside(target)
            && source.dimensions(&self.sources) < 3
            && !may_be_the_same(source.path, target.path)
            && !(given.are_ordered && self.are_beside(source, target))
            && !given.are_rests_alike
    }

    /// What holds for both sides as they are now.
    pub(super) fn given(&self, are_ordered: bool) -> Given {
        Given { are_ordered, are_rests_alike: self.are_rests_alike() }
    }

    /// True if the open modules outside of all layers have the same parameters on both sides.
    fn are_rests_alike(&self) -> bool {
        signatures_outside(Module::of(self.open_sources()), &self.sources)
            == signatures_outside(Module::of(self.open_targets()), &self.targets)
    }

    /// True if the parameters before both modules, or those after both, belong together.
    pub(super) fn are_beside(&self, source: &Module, target: &Module) -> bool {
        let before = (0..source.first()).rev().find(|at| !is_counter(&self.sources[*at]));
        let before_target = (0..target.first()).rev().find(|at| !is_counter(&self.targets[*at]));
        let after =
            (source.last() + 1..self.sources.len()).find(|at| !is_counter(&self.sources[*at]));
        let after_target =
            (target.last() + 1..self.targets.len()).find(|at| !is_counter(&self.targets[*at]));
        [(before, before_target), (after, after_target)].into_iter().any(|(source, target)| {
            let partner = source.and_then(|at| self.sources[at].partner);
            partner.is_some() && partner == target
        })
    }

    /// True if the target lies between the partners of the source's nearest neighbours.
    fn is_between(&self, source: &Module, target: &Module) -> bool {
        let first = source.first();
        let mut before = self.sources[first.saturating_sub(MAX_DISTANCE)..first].iter().rev();
        let end = self.sources.len().min(source.last() + 1 + MAX_DISTANCE);
        let mut after = self.sources[source.last() + 1..end].iter();
        before.find_map(|item| item.partner).is_none_or(|at| at < target.first())
            && after.find_map(|item| item.partner).is_none_or(|at| at > target.last())
    }

    /// The shifts on which several numbers agree among the names that were brought together.
    pub(super) fn shifts(&self) -> Shifts {
        let mut known = IndexMap::<Stems, (i64, u64, Agreement)>::default();
        for (source, target, _) in &self.pairs {
            let names = (&self.sources[*source].name, &self.targets[*target].name);
            for Shift { stems, number, by } in shifts_between(names.0, names.1) {
                let (first, seen, agreement) =
                    known.entry(stems).or_insert((by, number, Agreement::One));
                *agreement = match *agreement {
                    _ if *first != by => Agreement::None,
                    Agreement::One if *seen != number => Agreement::Several,
                    same => same,
                };
            }
        }
        let agreed = known.into_iter().filter(|(_, (.., it))| *it == Agreement::Several);
        agreed.map(|(stems, (by, ..))| (stems, by)).collect()
    }
}

/// Whether numbers agree on how they are shifted.
#[derive(Clone, Copy, PartialEq)]
enum Agreement {
    One,
    Several,
    None,
}

/// The shift of each number of two names, if both have as many.
pub(super) fn shifts_between(source: &str, target: &str) -> Vec<Shift> {
    let ((a, own), (b, theirs)) = (form(source, Depth::All), form(target, Depth::All));
    if own.len() != theirs.len() {
        return Vec::new();
    }
    let stems = stems(&a).zip(stems(&b)).map(|(a, b)| (a.to_string(), b.to_string()));
    let numbers = own.into_iter().zip(theirs);
    stems.zip(numbers).map(|(stems, (own, other))| Shift::new(stems, own, other)).collect()
}

/// True if no number is shifted otherwise than it is known to be.
pub(super) fn keeps(shifts: &Shifts, found: &[Shift]) -> bool {
    found.iter().all(|found| shifts.get(&found.stems).is_none_or(|known| *known == found.by))
}

/// True for a module without a number: it is not one of several layers.
fn is_outside(module: &Module) -> bool {
    form(module.path, Depth::All).1.is_empty()
}

/// The form up to each of its numbers.
fn stems(form: &str) -> impl Iterator<Item = &str> {
    form.match_indices('\u{0}').map(|(at, _)| &form[..at])
}

impl Family<'_> {
    fn first(&self) -> usize {
        self.members.iter().map(|(_, module)| module.first()).min().unwrap_or(0)
    }
}

impl Match<'_, '_> {
    /// The shift of each number that varies, and of each in the first names if both have as many.
    fn shifts(&self) -> Vec<Shift> {
        let (source, target) = (self.source, self.target);
        let (own, theirs) = (source.stems(), target.stems());
        let mut shifts = Vec::new();
        for (a, b) in source.varied().into_iter().zip(target.varied()) {
            let stems = (own[a].to_string(), theirs[b].to_string());
            shifts.push(Shift::new(stems, source.lowest(a), target.lowest(b)));
        }
        shifts.extend(shifts_between(source.members[0].1.path, target.members[0].1.path));
        shifts
    }

    /// True if all members have different shapes, and names are alike: then numbers need not agree
    /// with what is known of others.
    fn is_settled_by_shapes(&self, items: &[Item]) -> bool {
        let (source, target) = (self.source.members[0].1.path, self.target.members[0].1.path);
        are_alike(source, target) && self.source.are_all_different(items)
    }

    fn items(&self) -> impl Iterator<Item = (usize, usize, Reason)> {
        let members = self.source.members.iter().zip(&self.target.members);
        members.flat_map(|((_, source), (_, target))| {
            let parts = source.parts.iter().zip(&target.parts);
            parts.map(|((_, a), (_, b))| (*a, *b, self.reason.clone()))
        })
    }
}

/// The signatures of the modules outside of all layers, in order.
fn signatures_outside(modules: Vec<Module>, items: &[Item]) -> Vec<String> {
    let outside = modules.into_iter().filter(is_outside);
    let mut all: Vec<String> = outside.map(|module| module.signature(items)).collect();
    all.sort_unstable();
    all
}
