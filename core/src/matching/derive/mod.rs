//! The renaming behind two state dicts of the same weights, found by comparing elements.
//!
//! Elements are compared by whoever has the files; what they show is the [`Evidence`].
//! Here it is decided which key became which, and few rules are found that say so.

mod evidence;
mod resolve;

pub use evidence::{Alike, Arrangement, Axis, Evidence, Rearranged, Side, Slice};

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::derive::resolve::Resolution;
use crate::{
    IndexMap, IndexSet, Key,
    diff::Entry,
    generalise::{Generalised, generalise},
};

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
    /// The rules. Keys of tensors that are rearranged, parts or wholes keep their names, unless
    /// others take them.
    pub rules: Generalised,
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
        let mut resolution = Resolution::new(a, b);
        resolution.settle(evidence);
        let by_name = resolution.settle_names(evidence);
        let mut found = Derivation {
            pairs: resolution.pairs(),
            rearranged: evidence.rearranged.iter().map(|it| it.named(a, b)).collect(),
            portions: evidence.portions.iter().map(|it| it.named(a, b)).collect(),
            by_name,
            ..Derivation::default()
        };
        found.open = found.open(&resolution, evidence);
        found.find_rules(&resolution, evidence);
        found
    }

    /// True if renaming the keys of `a` gives all of `b`.
    pub fn is_complete(&self) -> bool {
        self.by_name.is_empty()
            && self.rearranged.is_empty()
            && self.portions.is_empty()
            && self.open.is_empty()
    }

    /// The keys of `b` that are in no pair, not rearranged, no part, and no whole of parts.
    fn open(&self, resolution: &Resolution<'_>, evidence: &Evidence) -> Vec<Unexplained> {
        let mut named_keys: IndexSet<&str> = IndexSet::default();
        let named = self.pairs.iter().chain(&self.by_name).map(|(_, b)| b.as_str());
        let parts = self.portions.iter().filter(|it| it.owner == Side::A);
        named_keys.extend(named.chain(self.rearranged.iter().map(|it| it.b.as_str())));
        named_keys.extend(parts.map(|it| it.part.as_str()));
        named_keys.extend(covered(resolution, evidence));
        let keys = resolution.b.iter().enumerate();
        let open = keys.filter(|(_, entry)| !named_keys.contains(entry.key.as_str()));
        open.map(|(place, entry)| Unexplained {
            key: entry.key.to_string(),
            candidates: resolution.candidates(place, evidence),
        })
        .collect()
    }

    fn find_rules(&mut self, resolution: &Resolution<'_>, evidence: &Evidence) {
        let mut pairs: Vec<(String, String)> =
            self.pairs.iter().chain(&self.by_name).cloned().collect();
        let stays = resolution.stays(evidence);
        let (mut olds, mut news): (IndexSet<String>, IndexSet<String>) =
            pairs.iter().cloned().unzip();
        for entry in resolution.a.iter().filter(|entry| matches!(entry.key, Key::Text(_))) {
            let key = entry.key.as_str();
            if !olds.insert(key.into()) {
                continue;
            }
            if stays.contains(key) && news.insert(key.into()) {
                pairs.push((key.into(), key.into()));
            } else {
                self.dropped.push(key.into());
            }
        }
        self.rules = generalise(&pairs, &self.dropped);
    }
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
