//! The gentlest rule that turns the keys that are there into those that are wanted.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::iter;

use crate::explain::diagnosis::context::{Left, LoadContext};
use crate::sorting;
use crate::{
    Catalog, DType, IndexMap, IndexSet, Remap, Rule, SEPARATOR, Storage, Template, Tensor,
    Undefined, WRAPPERS,
    diff::Side,
    fit::{FitOptions, MatchBy, fit},
    generalise,
};

/// Prefixes of one kind that are tried, those that most keys suggest first.
const MAX_PREFIXES: usize = 4;

/// Sources and wanted keys that are paired to see which prefix could stand for which, and the rules
/// of that kind that are tried.
const MAX_TRIED: usize = 4;
const MAX_WANTED: usize = 4096;
const MAX_REPLACEMENTS: usize = 64;

/// Segments of a key that are looked at from its end, so that time stays linear.
const MAX_SEGMENTS: usize = 64;

/// A rule with what it leaves undone.
pub(super) struct Found {
    pub(super) rule: Rule,
    pub(super) undefined: Undefined,
    pub(super) left: Left,
}

/// The rule that leaves the least undone, the gentler one of two; `None` if none does anything.
pub(super) fn find(scene: &LoadContext) -> Option<Found> {
    let untouched = scene.untouched().amount();
    let mut best: Option<Found> = None;
    // Templates take longest to find, and are not looked for where something simpler does.
    let templates = iter::once_with(|| renames(scene)).flatten();
    for rule in candidates(scene).into_iter().chain(templates) {
        for undefined in [Undefined::Keep, Undefined::Drop] {
            let Some(left) = scene.judge(&rule, undefined) else { continue };
            let least = best.as_ref().map_or(untouched, |best| best.left.amount());
            if left.amount() < least && left.missing.len() <= untouched.0 {
                best = Some(Found { rule: rule.clone(), undefined, left });
            }
        }
        if best.as_ref().is_some_and(|best| best.left.is_nothing()) {
            break;
        }
    }
    if best.as_ref().is_none_or(|best| !best.left.is_nothing())
        && let Some(sure) = only_complete(scene)
    {
        return Some(sure);
    }
    // A rule that brings nothing the model wants only makes the file smaller.
    best.filter(|best| best.left.missing.len() < untouched.0 || untouched.0 == 0)
}

fn candidates(scene: &LoadContext) -> Vec<Rule> {
    let mut rules = Vec::new();
    if scene.sources.iter().any(|key| has_wrapper(key)) {
        rules.push(Rule::unwrap_all());
    }
    let wanted = &scene.wanted;
    let sources: IndexSet<&str> = scene.sources.iter().copied().collect();
    let strips = prefixes(scene.sources.iter().copied(), wanted);
    let adds = prefixes(wanted.iter().copied(), &sources);
    rules.extend(strips.iter().filter_map(|prefix| Some(Remap::strip(prefix).ok()?.into())));
    rules.extend(adds.iter().filter_map(|prefix| Some(Remap::add(prefix).ok()?.into())));
    rules
}

/// The one prefix in the place of another that leaves nothing undone; `None` if two would do.
fn only_complete(scene: &LoadContext) -> Option<Found> {
    let mut complete = None;
    for rule in replacements(scene) {
        for undefined in [Undefined::Keep, Undefined::Drop] {
            let Some(left) = scene.judge(&rule, undefined).filter(Left::is_nothing) else {
                continue;
            };
            if complete.is_some() {
                return None;
            }
            complete = Some(Found { rule, undefined, left });
            break;
        }
    }
    complete
}

/// Prefixes in the place of others that would make a key that is wanted of a source.
fn replacements(scene: &LoadContext) -> Vec<Rule> {
    let mut texts = IndexSet::<String>::default();
    for source in scene.sources.iter().take(MAX_TRIED) {
        for wanted in scene.wanted.iter().take(MAX_WANTED) {
            texts.extend(replacement(source, wanted));
        }
    }
    let rules = texts.into_iter().take(MAX_REPLACEMENTS);
    rules.filter_map(|text| Rule::rename(&text, SEPARATOR).ok()).collect()
}

/// The rule that puts another prefix in front of the segments that both keys end with; `None` if
/// one of the keys is no more than those, or they end with none.
pub fn prefix_replacement(from: &str, to: &str) -> Option<Rule> {
    Rule::rename(&replacement(from, to)?, SEPARATOR).ok()
}

/// The same as text.
fn replacement(from: &str, to: &str) -> Option<String> {
    let (olds, news) = (from.split(SEPARATOR), to.split(SEPARATOR));
    let shared = olds.rev().zip(news.rev()).take_while(|(old, new)| old == new).count();
    if shared == 0 {
        return None;
    }
    Some(format!("{}.{{rest..}} -> {}.{{rest..}}", above(from, shared)?, above(to, shared)?))
}

/// A key without its last segments, as a template; `None` if nothing is left.
fn above(key: &str, segments: usize) -> Option<String> {
    let all: Vec<_> = key.split(SEPARATOR).collect();
    let own = all.len().checked_sub(segments).filter(|own| *own > 0)?;
    Some(Template::literal(&all[..own].join("."), SEPARATOR).to_string())
}

pub(super) fn has_wrapper(key: &str) -> bool {
    key.split(SEPARATOR).any(|segment| WRAPPERS.contains(&segment))
}

/// The prefixes of these keys whose remainders are keys of the others, the commonest first.
fn prefixes<'a>(keys: impl Iterator<Item = &'a str>, others: &IndexSet<&str>) -> Vec<&'a str> {
    let mut counts = IndexMap::<&str, usize>::default();
    for key in keys {
        for (dot, _) in key.rmatch_indices(SEPARATOR).take(MAX_SEGMENTS) {
            if dot > 0 && others.contains(&key[dot + 1..]) {
                *counts.entry(&key[..dot]).or_default() += 1;
            }
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    sorting::sort_by_key(&mut counts, |(_, count)| core::cmp::Reverse(*count));
    counts.into_iter().take(MAX_PREFIXES).map(|(prefix, _)| prefix).collect()
}

/// One rule behind the pairs that names alone leave no choice about.
fn renames(scene: &LoadContext) -> Option<Rule> {
    let sources = of_names(scene.sources.iter().copied())?;
    let wanted = of_names(scene.wanted.iter().copied())?;
    let options = FitOptions { by: MatchBy::Suffix, ..FitOptions::default() };
    let fit = fit(side(&sources)?, side(&wanted)?, &options).ok()?;
    if fit.pairs.is_empty() {
        return None;
    }
    let mut pairs: Vec<(String, String)> =
        fit.pairs.into_iter().map(|pair| (pair.from, pair.to)).collect();
    pairs.extend(fit.unused.into_iter().map(|key| (key.clone(), key)));
    pairs.extend(scene.common().map(|key| (key.to_string(), key.to_string())));
    generalise::renames(&pairs)
}

fn side(catalog: &Catalog) -> Option<Side<'_>> {
    Some(Side { catalog, state_dict: catalog.state_dicts.first()? })
}

/// A catalog of keys whose tensors are all alike, so that only their names differ.
fn of_names<'a>(keys: impl Iterator<Item = &'a str>) -> Option<Catalog> {
    let storage = Arc::new(Storage::stored(0..4));
    let tensor = Tensor::dense(DType::F32, vec![1], 0, storage).ok()?;
    Catalog::flat(keys.map(|key| (key.to_string(), tensor.clone()))).ok()
}
