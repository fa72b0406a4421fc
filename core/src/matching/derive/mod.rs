//! The renaming behind two state dicts of the same weights, found by comparing elements.
//!
//! Elements are compared by whoever has the files; what they show is the [`Evidence`].
//! Here it is decided which key became which, and few rules are found that say so.

mod clusters;
mod components;
mod digits;
mod divisors;
mod evidence;
mod factor;
mod families;
mod forms;
mod layouts;
mod lists;
mod overlap;
mod pins;
mod resolve;
mod run;
mod tensor_rules;
mod terms;
mod wording;

pub use components::Why;
pub use evidence::{Alike, Arrangement, Axis, Evidence, Rearranged, Side, Slice};
pub use factor::Search;
pub use overlap::{Overlap, Step};
pub use pins::KnownSize;
pub use run::Run;
pub use tensor_rules::DerivedRule;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::derive::forms::Form;
use crate::matching::derive::resolve::Resolution;
use crate::matching::derive::tensor_rules::{Found, forms};
use crate::matching::generalise::generalise_beside;
use crate::{IndexMap, IndexSet, Key, SEPARATOR, diff::Entry, generalise::Generalised};

/// How the keys of `a` become those of `b`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Derivation {
    /// Keys whose tensors have the same elements, if need be after a cast, and keys of values that
    /// are not tensors; in the order of `a`.
    pub pairs: Vec<(String, String)>,
    /// Keys that go together by the rules or by their names; their elements differ, or cannot be
    /// compared.
    pub by_name: Vec<(String, String)>,
    /// Tensors that a renaming alone does not make into those of `b`.
    pub rearranged: Vec<Rearranged<String>>,
    /// Tensors that are parts of others, which a renaming alone does not take apart or together.
    pub portions: Vec<Slice<String>>,
    /// Keys of `b` that nothing here accounts for, in order.
    pub open: Vec<Unexplained>,
    /// Keys of `a` that have no place in `b`, in order; the rules drop them.
    pub dropped: Vec<String>,
    /// Rules that move elements, or give a tensor several keys; in the recipe they come before those
    /// of the last stage of `rules`.
    pub tensor_rules: Vec<DerivedRule>,
    /// The sizes that these rules call by names.
    pub sizes: Vec<KnownSize>,
    /// Tensors of `b` whose elements are in `a`, and which no rule makes.
    pub unruled: Vec<Unruled>,
    /// The separators between the segments of the keys of both sides, where they are not `.`.
    pub separators: Option<[char; 2]>,
    /// The rules for keys alone. Keys of tensors that no rule is about keep their names, unless others
    /// take them.
    pub rules: Generalised,
}

/// A tensor of `b` whose elements are in `a`, and which no rule makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unruled {
    /// Its key.
    pub key: String,
    /// What is in the way.
    pub why: Why,
}

/// A key of `b` that nothing accounts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexplained {
    /// The key.
    pub key: String,
    /// Keys of `a` with these very elements: nothing decides between them, or they have another
    /// place too.
    pub candidates: Vec<String>,
}

impl Derivation {
    /// Decides which key became which, from the entries of both sides and what comparing them
    /// showed.
    ///
    /// A tensor whose elements are under one key of each side decides by itself, unless they are
    /// all one number. What is under several goes where the rules found behind the others, or
    /// the modules around, send it; where those disagree or are silent, nothing is guessed.
    ///
    /// # Panics
    /// If a position is beyond the entries.
    pub fn new(a: &[Entry<'_>], b: &[Entry<'_>], evidence: &Evidence) -> Derivation {
        Derivation::with_sizes(a, b, evidence, &[])
    }

    /// The same where some sizes are known by names, which the rules then say instead of numbers.
    ///
    /// # Panics
    /// If a position is beyond the entries.
    pub fn with_sizes(
        a: &[Entry<'_>],
        b: &[Entry<'_>],
        evidence: &Evidence,
        sizes: &[KnownSize],
    ) -> Derivation {
        let mut resolution = Resolution::new(a, b);
        resolution.settle(evidence);
        let by_name = resolution.settle_names(evidence);
        let ties = resolution.settle_copies(evidence);
        let mut found = Derivation {
            rearranged: evidence.rearranged.iter().map(|it| it.named(a, b)).collect(),
            portions: evidence.portions.iter().map(|it| it.named(a, b)).collect(),
            by_name,
            separators: separators(a, b),
            ..Derivation::default()
        };
        let ruled = found.find_tensor_rules(&resolution, &ties, evidence, sizes);
        found.pairs = resolution.pairs();
        found.open = found.open(&resolution, evidence);
        found.find_rules(&resolution, evidence, &ruled);
        found
    }

    /// True if the rules give all of `b`.
    pub fn is_complete(&self) -> bool {
        let made: IndexSet<&str> =
            self.tensor_rules.iter().flat_map(|rule| &rule.targets).map(String::as_str).collect();
        let is_made = |key: &String| made.contains(key.as_str());
        self.by_name.is_empty()
            && self.open.is_empty()
            && self.unruled.is_empty()
            && self.rearranged.iter().all(|it| is_made(&it.b))
            && self.portions.iter().all(|it| is_made(it.key_of_b()))
    }

    /// Takes back rules that do not make what they should, by their positions in order; what they were
    /// for is listed as made by no rule.
    pub fn retract(&mut self, rules: &[usize]) {
        let mut at = 0;
        let mut retracted = Vec::new();
        self.tensor_rules.retain(|rule| {
            let is_kept = !rules.contains(&at);
            at += 1;
            if !is_kept {
                retracted.extend(rule.targets.iter().cloned());
            }
            is_kept
        });
        let unruled = retracted.into_iter().map(|key| Unruled { key, why: Why::Irregular });
        self.unruled.extend(unruled);
    }

    /// The rules that move elements; those of keys alone as well, where separators differ.
    fn find_tensor_rules(
        &mut self,
        resolution: &Resolution<'_>,
        ties: &IndexMap<usize, Vec<usize>>,
        evidence: &Evidence,
        sizes: &[KnownSize],
    ) -> Found {
        let (a, b) = (resolution.a, resolution.b);
        let (mut forms, unruled) = forms(a, b, evidence);
        let key = |at: usize| (at, b[at].key.as_str());
        for (source, others) in ties {
            let Some(first) = resolution.target_of(*source) else { continue };
            let targets: Vec<_> =
                core::iter::once(first).chain(others.iter().copied()).map(key).collect();
            forms.push(Form::renamed((*source, a[*source].key.as_str()), &targets));
        }
        if self.separators.is_some() {
            for (source, entry) in a.iter().enumerate().filter(|(at, _)| !ties.contains_key(at)) {
                if let Some(target) = resolution.target_of(source) {
                    forms.push(Form::renamed((source, entry.key.as_str()), &[key(target)]));
                }
            }
        }
        let mut found = Found::of(a, b, &forms, unruled, sizes);
        self.tensor_rules = core::mem::take(&mut found.rules);
        let says = |name: &str| {
            let places = self.tensor_rules.iter().flat_map(|rule| rule.text.split('[').skip(1));
            let mut places = places.filter_map(|text| text.split(']').next());
            places.any(|text| text.split(|c: char| !c.is_alphanumeric()).any(|it| it == name))
        };
        self.sizes = sizes.iter().filter(|size| says(&size.name)).cloned().collect();
        self.unruled = found
            .unruled
            .iter()
            .map(|(at, why)| Unruled { key: b[*at].key.to_string(), why: *why })
            .collect();
        found
    }

    /// The keys of `b` that are in no pair, not rearranged, no part, and no whole of parts.
    fn open(&self, resolution: &Resolution<'_>, evidence: &Evidence) -> Vec<Unexplained> {
        let mut named_keys: IndexSet<&str> = IndexSet::default();
        let named = self.pairs.iter().chain(&self.by_name).map(|(_, b)| b.as_str());
        let parts = self.portions.iter().filter(|it| it.owner == Side::A);
        named_keys.extend(named.chain(self.rearranged.iter().map(|it| it.b.as_str())));
        named_keys.extend(parts.map(|it| it.part.as_str()));
        named_keys.extend(covered(resolution, evidence));
        named_keys.extend(self.tensor_rules.iter().flat_map(|it| &it.targets).map(String::as_str));
        named_keys.extend(self.unruled.iter().map(|it| it.key.as_str()));
        let alike = evidence.alike_by_b();
        let keys = resolution.b.iter().enumerate();
        let open = keys.filter(|(_, entry)| !named_keys.contains(entry.key.as_str()));
        open.map(|(place, entry)| Unexplained {
            key: entry.key.to_string(),
            candidates: alike.get(&place).map_or_else(Vec::new, |a| resolution.keys_of_a(a)),
        })
        .collect()
    }

    fn find_rules(&mut self, resolution: &Resolution<'_>, evidence: &Evidence, ruled: &Found) {
        let is_ruled: IndexSet<&str> =
            ruled.sources.iter().map(|at| resolution.a[*at].key.as_str()).collect();
        let mut pairs: Vec<(String, String)> =
            self.pairs.iter().chain(&self.by_name).cloned().collect();
        pairs.retain(|(old, _)| !is_ruled.contains(old.as_str()));
        let stays = resolution.stays(evidence, |b| ruled.targets.contains(&b));
        let (mut olds, mut news): (IndexSet<String>, IndexSet<String>) =
            pairs.iter().cloned().unzip();
        news.extend(self.tensor_rules.iter().flat_map(|it| it.targets.iter().cloned()));
        for entry in resolution.a.iter().filter(|entry| matches!(entry.key, Key::Text(_))) {
            let key = entry.key.as_str();
            if is_ruled.contains(key) || !olds.insert(key.into()) {
                continue;
            }
            if stays.contains(key) && news.insert(key.into()) {
                pairs.push((key.into(), key.into()));
            } else {
                self.dropped.push(key.into());
            }
        }
        self.guard(&mut pairs, ruled, resolution);
        let others = self.tensor_rules.iter().flat_map(|rule| &rule.sources).map(String::as_str);
        let others: Vec<&str> = others.collect();
        self.rules = generalise_beside(&pairs, &self.dropped, &others);
    }
}

impl Derivation {
    /// Puts renames before the rules for elements that would take their keys.
    fn guard(
        &mut self,
        pairs: &mut Vec<(String, String)>,
        ruled: &Found,
        resolution: &Resolution<'_>,
    ) {
        let foreign: IndexSet<&str> =
            ruled.foreign.iter().map(|at| resolution.a[*at].key.as_str()).collect();
        let (taken, others): (Vec<_>, Vec<_>) =
            core::mem::take(pairs).into_iter().partition(|(old, _)| foreign.contains(old.as_str()));
        *pairs = others;
        let guards = taken.into_iter().map(|(old, new)| DerivedRule {
            text: alloc::format!("{old} -> {new}"),
            sources: [old].into(),
            targets: [new].into(),
        });
        let rules = core::mem::take(&mut self.tensor_rules);
        self.tensor_rules = guards.chain(rules).collect();
    }
}

/// The separators between the segments of both sides' keys, if one is not `.`.
fn separators(a: &[Entry<'_>], b: &[Entry<'_>]) -> Option<[char; 2]> {
    let of = |entries: &[Entry<'_>]| {
        let count = |separator: char| {
            entries.iter().filter(|entry| entry.key.as_str().contains(separator)).count()
        };
        if count('/') > count(SEPARATOR) { '/' } else { SEPARATOR }
    };
    let both = [of(a), of(b)];
    (both != [SEPARATOR; 2]).then_some(both)
}

/// The tensors of `b` whose rows, or columns, are tensors of `a`, all of them.
fn covered<'a>(resolution: &Resolution<'a>, evidence: &Evidence) -> Vec<&'a str> {
    let mut wholes = IndexMap::<(usize, bool), Vec<(u64, u64)>>::default();
    for portion in evidence.portions.iter().filter(|portion| portion.owner == Side::B) {
        let along_rows = portion.lines == Axis::Rows;
        wholes.entry((portion.whole, along_rows)).or_default().push((portion.start, portion.end));
    }
    let mut covered = Vec::new();
    for ((whole, along_rows), mut ranges) in wholes {
        ranges.sort_unstable();
        let entry = &resolution.b[whole];
        let dimension = usize::from(!along_rows);
        let lines = entry.tensor.and_then(|tensor| tensor.shape.get(dimension).copied());
        let mut reached = 0;
        for (start, end) in ranges {
            if start <= reached {
                reached = reached.max(end);
            }
        }
        covered.extend((lines == Some(reached)).then_some(entry.key.as_str()));
    }
    covered
}

impl<T> Slice<T> {
    /// The one of the two that is of `a`.
    fn key_of_a(&self) -> &T {
        match self.owner {
            Side::A => &self.whole,
            Side::B => &self.part,
        }
    }

    /// The one of the two that is of `b`.
    pub fn key_of_b(&self) -> &T {
        match self.owner {
            Side::A => &self.part,
            Side::B => &self.whole,
        }
    }
}

impl Rearranged {
    fn named(&self, a: &[Entry<'_>], b: &[Entry<'_>]) -> Rearranged<String> {
        let (a, b) = (a[self.a].key.to_string(), b[self.b].key.to_string());
        Rearranged { a, b, how: self.how }
    }
}

impl Slice {
    fn named(&self, a: &[Entry<'_>], b: &[Entry<'_>]) -> Slice<String> {
        let (parts, wholes) = match self.owner {
            Side::A => (b, a),
            Side::B => (a, b),
        };
        Slice {
            part: parts[self.part].key.to_string(),
            whole: wholes[self.whole].key.to_string(),
            owner: self.owner,
            start: self.start,
            end: self.end,
            lines: self.lines,
            is_transposed: self.is_transposed,
        }
    }
}
