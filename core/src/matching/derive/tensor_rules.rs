//! The rules behind elements that have changed places.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::derive::clusters::{Cluster, Number, clusters};
use crate::matching::derive::components::{Unruled, Why, components};
use crate::matching::derive::evidence::Evidence;
use crate::matching::derive::families::{Piece, pieces};
use crate::matching::derive::forms::Form;
use crate::matching::derive::lists::{Wording, listed};
use crate::matching::derive::pins::KnownSize;
use crate::matching::derive::terms::Named;
use crate::matching::derive::wording::wording;
use crate::sorting;
use crate::{IndexMap, IndexSet, diff::Entry};

/// A rule that moves elements, or gives a tensor several keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedRule {
    /// The rule in the notation of recipes.
    pub text: String,
    /// The keys of `a` that it takes, in order.
    pub sources: Vec<String>,
    /// The keys of `b` that it makes, in order.
    pub targets: Vec<String>,
}

/// Rules, and what no rule was found for.
#[derive(Default)]
pub(super) struct Found {
    pub(super) rules: Vec<DerivedRule>,
    /// Tensors that rules take and make.
    pub(super) sources: IndexSet<usize>,
    pub(super) targets: IndexSet<usize>,
    /// Keys of `a` that the rules would take although they are not about them.
    pub(super) foreign: IndexSet<usize>,
    /// Tensors of `b` with elements of `a` that no rule makes, and why.
    pub(super) unruled: IndexMap<usize, Why>,
}

/// The forms of all components; those of tensors that no layouts describe are left out.
pub(super) fn forms(
    a: &[Entry<'_>],
    b: &[Entry<'_>],
    evidence: &Evidence,
) -> (Vec<Form>, Vec<Unruled>) {
    let (key_a, key_b) = (|at: usize| a[at].key.as_str(), |at: usize| b[at].key.as_str());
    let (shape_a, shape_b) = (|at| shape(a, at), |at| shape(b, at));
    let count = |shape: &[u64]| shape.iter().product();
    let counts: (&dyn Fn(usize) -> u64, &dyn Fn(usize) -> u64) =
        (&|at| count(shape(a, at)), &|at| count(shape(b, at)));
    let (all, mut unruled) = components(&evidence.overlaps, counts);
    let named_a = Named { keys: &key_a, shapes: &shape_a };
    let named_b = Named { keys: &key_b, shapes: &shape_b };
    let mut forms = Vec::new();
    for component in &all {
        match Form::of(component, &named_a, &named_b) {
            Some(form) => forms.push(form),
            None => {
                let ties = component.ties.iter().map(|(_, alias)| *alias);
                let targets = component.targets.iter().copied().chain(ties);
                unruled.extend(targets.map(|b| Unruled { b, why: Why::Irregular }));
            }
        }
    }
    (forms, unruled)
}

fn shape<'a>(entries: &[Entry<'a>], at: usize) -> &'a [u64] {
    entries[at].tensor.map_or(&[], |tensor| tensor.shape.as_slice())
}

impl Found {
    /// The rules of these forms, those that say most of a key first.
    pub(super) fn of(
        a: &[Entry<'_>],
        b: &[Entry<'_>],
        forms: &[Form],
        unruled: Vec<Unruled>,
        known: &[KnownSize],
    ) -> Found {
        let mut found = Found::default();
        found.unruled.extend(unruled.into_iter().map(|it| (it.b, it.why)));
        let mut all: Vec<Cluster> = Vec::new();
        let mut worded: Vec<Wording> = Vec::new();
        let mut push = |cluster: Cluster, text: Wording| {
            worded.push(Wording { clusters: [all.len()].into(), ..text });
            all.push(cluster);
        };
        for cluster in clusters(forms) {
            if let Some(text) = wording(forms, &cluster, known) {
                push(cluster, text);
                continue;
            }
            // One by one every size can be said.
            for at in cluster.forms {
                let numbers = forms[at].numbers().into_iter().map(Number::Literal).collect();
                let own = Cluster { forms: [at].into(), numbers, captures: 0 };
                match wording(forms, &own, known) {
                    Some(text) => push(own, text),
                    None => {
                        let targets = forms[at].targets.iter();
                        found.unruled.extend(targets.map(|b| (*b, Why::Irregular)));
                    }
                }
            }
        }
        let mut rules = listed(worded);
        let captures = |rule: &Wording| rule.clusters.iter().map(|at| all[*at].captures).max();
        sorting::sort_by_key(&mut rules, |rule| (captures(rule), all[rule.clusters[0]].forms[0]));
        // Every rule asks for the parts of every key.
        let keys_of_a: Vec<Vec<Piece>> = a.iter().map(|it| pieces(it.key.as_str())).collect();
        for rule in rules {
            let own = |side: fn(&Form) -> &Vec<usize>| {
                let clusters = rule.clusters.iter().map(|at| &all[*at]);
                let forms = clusters.flat_map(|cluster| &cluster.forms).map(|at| &forms[*at]);
                forms.flat_map(side).copied().collect::<IndexSet<usize>>()
            };
            let (sources, targets) = (own(|form| &form.sources), own(|form| &form.targets));
            let keys = |entries: &[Entry<'_>], all: &IndexSet<usize>| {
                let mut all: Vec<usize> = all.iter().copied().collect();
                all.sort_unstable();
                all.into_iter().map(|at| entries[at].key.to_string()).collect()
            };
            found.rules.push(DerivedRule {
                text: rule.text(),
                sources: keys(a, &sources),
                targets: keys(b, &targets),
            });
            for cluster in &rule.clusters {
                found.foreign.extend(foreign(&keys_of_a, forms, &all[*cluster]));
            }
            found.sources.extend(sources);
            found.targets.extend(targets);
        }
        found.foreign.retain(|at| !found.sources.contains(at));
        found
    }
}

/// Keys of `a`, given in parts, that a rule would take although it is not about them.
fn foreign(keys: &[Vec<Piece>], forms: &[Form], cluster: &Cluster) -> Vec<usize> {
    let own: IndexSet<usize> =
        cluster.forms.iter().flat_map(|at| forms[*at].sources.iter().copied()).collect();
    let form = &forms[cluster.forms[0]];
    let mut first = 0;
    let mut taken: IndexSet<usize> = IndexSet::default();
    for term in &form.left {
        let count = term.pieces.iter().filter(|it| matches!(it, Piece::Number(_))).count();
        let numbers = &cluster.numbers[first..first + count];
        first += count;
        let is_captured: Vec<bool> =
            numbers.iter().map(|number| matches!(number, Number::Captured { .. })).collect();
        let spellings = term.spellings();
        let others = keys.iter().enumerate().filter(|(at, _)| !own.contains(at));
        let matching = others.filter(|(_, key)| spellings.matches(key, &is_captured));
        taken.extend(matching.map(|(at, _)| at));
    }
    taken.into_iter().collect()
}
