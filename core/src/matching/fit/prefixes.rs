//! Partners whose names end alike: below another prefix, or within a longer path.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::fit::matcher::{Item, Matcher};
use crate::matching::fit::names::only;
use crate::matching::fit::options::Reason;
use crate::matching::numbered::Numbered;
use crate::{IndexMap, IndexSet, SEPARATOR};

/// Prefixes that are replaced one after another.
const MAX_PREFIXES: usize = 32;

/// Keys with the same ending, beyond which an ending says nothing.
const MAX_ALIKE: usize = 8;

/// Segments of a key that are looked at from its end, so that time stays linear.
const MAX_SEGMENTS: usize = 64;

/// Of ten keys that speak for one prefix, how many may speak for a rival.
const MAX_RIVALS: usize = 7;

/// Modules that must be found below a prefix that replaces another.
const MIN_MODULES: usize = 2;

/// A prefix of the source and its replacement in the target; either may be empty.
type Replacement = (String, String);

impl Matcher<'_> {
    /// Settles the keys below prefixes that are consistently replaced by others.
    pub(super) fn settle_prefixes(&mut self) {
        let mut refused = IndexSet::<Replacement>::default();
        for _ in 0..MAX_PREFIXES {
            let votes = self.votes();
            let Some(best) = best(&votes, &refused) else { return };
            let found = self.below(&best);
            if has_rival(&best, &votes) || !self.is_consistent(&best, &found) {
                refused.insert(best);
                continue;
            }
            for (source, target) in found {
                let (from, to) = best.clone();
                self.settle(source, target, Reason::Prefix { from, to });
            }
        }
    }

    /// For each replacement how many keys of the same shape it would bring together.
    fn votes(&self) -> IndexMap<Replacement, usize> {
        let mut endings = IndexMap::<&str, Vec<usize>>::default();
        for (at, item) in self.open_targets() {
            for start in starts(&item.name).filter(|start| is_telling(&item.name[*start..])) {
                let alike = endings.entry(&item.name[start..]).or_default();
                if alike.len() <= MAX_ALIKE {
                    alike.push(at);
                }
            }
        }
        let mut votes = IndexMap::default();
        let (own, theirs) = (Counting::of(&self.sources), Counting::of(&self.targets));
        for (source, item) in self.open_sources() {
            let longest = starts(&item.name)
                .find_map(|start| Some((start, endings.get(&item.name[start..])?)));
            let Some((start, alike)) = longest.filter(|(_, alike)| alike.len() <= MAX_ALIKE) else {
                continue;
            };
            for target in alike.iter().filter(|target| self.agree(source, **target)) {
                let name = &self.targets[*target].name;
                let ending = item.name.len() - start;
                let replacement = (head(&item.name, ending), head(name, ending));
                // Other numbers are a shift, which is for families of modules to find.
                if own.numbers(&replacement.0) == theirs.numbers(&replacement.1) {
                    *votes.entry(replacement).or_default() += 1;
                }
            }
        }
        votes
    }

    /// Source and target keys that the replacement brings together.
    fn below(&self, (from, to): &Replacement) -> Vec<(usize, usize)> {
        let targets = only(self.open_targets(), |item| item.name.clone());
        let sources = only(self.open_sources(), |item| item.name.clone()).into_iter();
        let pairs = sources.filter_map(|(name, source)| {
            let rest = rest(&name, from)?;
            let name = if to.is_empty() { rest.to_string() } else { join(to, rest) };
            source.zip(*targets.get(&name)?)
        });
        pairs.collect()
    }

    /// True if most shapes agree, the prefix is that of several modules or the only one on one side,
    /// and no keys are left of which the numbers alone differ: those would speak for a shift.
    fn is_consistent(&self, (from, to): &Replacement, found: &[(usize, usize)]) -> bool {
        let agreeing = found.iter().filter(|(source, target)| self.agree(*source, *target)).count();
        let (sources, targets): (IndexSet<_>, IndexSet<_>) = found.iter().copied().unzip();
        let left = self.open_sources().filter(|(at, _)| !sources.contains(at));
        let forms: IndexSet<String> = left
            .filter_map(|(_, item)| form(rest(&item.name, from)?, &item.tensor.shape))
            .collect();
        let mut wanted = self.open_targets().filter(|(at, _)| !targets.contains(at));
        let is_shifted = wanted.any(|(_, item)| {
            let form = rest(&item.name, to).and_then(|rest| form(rest, &item.tensor.shape));
            form.is_some_and(|form| forms.contains(&form))
        });
        let modules: IndexSet<&str> = found
            .iter()
            .filter_map(|(source, _)| Some(self.sources[*source].name.rsplit_once(SEPARATOR)?.0))
            .collect();
        let are_enough = from.is_empty() || to.is_empty() || modules.len() >= MIN_MODULES;
        2 * agreeing > found.len() && !is_shifted && are_enough
    }

    /// Settles keys that are the end of a longer one on the other side, and of no other there.
    pub(super) fn settle_contained(&mut self) {
        let (short, long) = (self.contained(false), self.contained(true));
        let found = only_pairs(short.into_iter().chain(long));
        let shifted = self.shifted(&found);
        for (source, target) in found {
            if self.agree(source, target) && !shifted.contains(&(source, target)) {
                self.settle(source, target, Reason::Suffix);
            }
        }
    }

    /// Those of the pairs beside which keys are left, on both sides, of which the numbers alone
    /// differ: they would speak for a shift.
    fn shifted(&self, found: &[(usize, usize)]) -> IndexSet<(usize, usize)> {
        let (sources, targets): (IndexSet<_>, IndexSet<_>) = found.iter().copied().unzip();
        let left = self.open_sources().filter(|(at, _)| !sources.contains(at));
        let own: IndexSet<String> = left.filter_map(|(_, item)| form_of(item)).collect();
        let left = self.open_targets().filter(|(at, _)| !targets.contains(at));
        let theirs: IndexSet<String> = left.filter_map(|(_, item)| form_of(item)).collect();
        let shifted = found.iter().filter(|(source, target)| {
            form_of(&self.sources[*source]).is_some_and(|form| own.contains(&form))
                && form_of(&self.targets[*target]).is_some_and(|form| theirs.contains(&form))
        });
        shifted.copied().collect()
    }

    /// Pairs of which one name ends with the whole of the other: the target's if `inverted`.
    fn contained(&self, inverted: bool) -> Vec<(usize, usize)> {
        let sources: Vec<_> = self.open_sources().collect();
        let targets: Vec<_> = self.open_targets().collect();
        let counting = Counting::of(if inverted { &self.sources } else { &self.targets });
        let (short, long) = if inverted { (targets, sources) } else { (sources, targets) };
        let names = only(short.into_iter(), |item| item.name.clone());
        let mut takers = IndexMap::<usize, Option<usize>>::default();
        for (at, item) in &long {
            let ends = starts(&item.name).skip(1).filter(|start| is_name(&item.name[*start..]));
            let mut inner = ends.filter(|start| counting.numbers(&item.name[..*start]).is_empty());
            if let Some(Some(found)) = inner.find_map(|start| names.get(&item.name[start..])) {
                takers.entry(*found).and_modify(|taker| *taker = None).or_insert(Some(*at));
            }
        }
        let found = takers.into_iter().filter_map(|(short, long)| Some((short, long?)));
        if inverted {
            found.map(|(target, source)| (source, target)).collect()
        } else {
            found.collect()
        }
    }
}

/// The pairs of which neither part is in another.
fn only_pairs(found: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let all: IndexSet<(usize, usize)> = found.collect();
    let (mut sources, mut targets) =
        (IndexMap::<_, usize>::default(), IndexMap::<_, usize>::default());
    for (source, target) in &all {
        *sources.entry(*source).or_default() += 1;
        *targets.entry(*target).or_default() += 1;
    }
    let only = all.into_iter();
    only.filter(|(source, target)| sources[source] == 1 && targets[target] == 1).collect()
}

/// The replacement that most keys speak for, of two at least.
fn best(
    votes: &IndexMap<Replacement, usize>,
    refused: &IndexSet<Replacement>,
) -> Option<Replacement> {
    let open = votes.iter().filter(|(found, votes)| **votes > 1 && !refused.contains(*found));
    // Of those with as many votes, the first.
    let (found, _) = open.rev().max_by_key(|(_, votes)| **votes)?;
    Some(found.clone())
}

/// True if nearly as many keys speak for another source, or another target, of the same keys.
fn has_rival(best: &Replacement, votes: &IndexMap<Replacement, usize>) -> bool {
    let own = votes.get(best).copied().unwrap_or(0);
    votes.iter().any(|(other, votes)| {
        let competes = (other.0 == best.0) != (other.1 == best.1);
        competes && 10 * votes > MAX_RIVALS * own
    })
}

/// Where the segments of a name start, from the first on; of the last ones if there are many.
fn starts(name: &str) -> impl Iterator<Item = usize> {
    let mut starts: Vec<usize> = name
        .rmatch_indices(SEPARATOR)
        .map(|(at, _)| at + SEPARATOR.len_utf8())
        .take(MAX_SEGMENTS)
        .collect();
    if starts.len() < MAX_SEGMENTS {
        starts.push(0);
    }
    starts.into_iter().rev()
}

/// True if an ending says more than which parameter of some layer it is.
fn is_telling(ending: &str) -> bool {
    let Some((path, _)) = ending.rsplit_once(SEPARATOR) else { return false };
    path.split(SEPARATOR).any(|segment| !Numbered::of(segment).is_bare())
}

/// True if a whole name says more than which parameter it is.
fn is_name(name: &str) -> bool {
    is_telling(name) || !name.contains(SEPARATOR) && !is_usual(name)
}

/// True for the names of parameters that most modules have.
pub(super) fn is_usual(leaf: &str) -> bool {
    ["weight", "bias", "running_mean", "running_var", super::matcher::COUNTER].contains(&leaf)
}

/// The names of one side, up to each number that is not always the same.
struct Counting<'a>(IndexMap<&'a str, Option<u64>>);

impl<'a> Counting<'a> {
    fn of(items: &'a [Item]) -> Counting<'a> {
        let mut seen = IndexMap::<&str, Option<u64>>::default();
        for (stem, number) in items.iter().flat_map(|item| numbers(&item.name)) {
            let only = seen.entry(stem).or_insert(Some(number));
            *only = only.filter(|only| *only == number);
        }
        Counting(seen)
    }

    /// The numbers of a path that count something: not the 2 of `wav2vec2`.
    fn numbers(&self, path: &str) -> Vec<u64> {
        let numbers =
            numbers(path).filter(|(stem, _)| self.0.get(*stem).is_none_or(Option::is_none));
        numbers.map(|(_, number)| number).collect()
    }
}

/// The numbers of a path, each with the text before it; of the last segments if there are many.
fn numbers(path: &str) -> impl Iterator<Item = (&str, u64)> {
    starts(path).filter_map(|start| {
        let segment = path[start..].split(SEPARATOR).next()?;
        let numbered = Numbered::of(segment);
        Some((&path[..start + numbered.before.len()], numbered.number?))
    })
}

fn has_number(path: &str) -> bool {
    numbers(path).next().is_some()
}

/// The text before an ending of that length, without the separator.
fn head(name: &str, ending: usize) -> String {
    let head = &name[..name.len() - ending];
    head.strip_suffix(SEPARATOR).unwrap_or(head).to_string()
}

/// The key below a prefix; every key is below the empty one.
fn rest<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    match prefix {
        "" => Some(name),
        prefix => name.strip_prefix(prefix)?.strip_prefix(SEPARATOR),
    }
}

fn join(prefix: &str, rest: &str) -> String {
    alloc::format!("{prefix}{SEPARATOR}{rest}")
}

fn form_of(item: &Item) -> Option<String> {
    form(&item.name, &item.tensor.shape)
}

/// A name without its numbers, with its shape; none if it has no number.
fn form(name: &str, shape: &[u64]) -> Option<String> {
    has_number(name).then(|| {
        let segments: Vec<String> =
            name.split(SEPARATOR).map(|segment| Numbered::of(segment).to_string()).collect();
        alloc::format!("{}{shape:?}", segments.join("."))
    })
}
