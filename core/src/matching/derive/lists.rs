//! Rules that differ in one segment of their keys, as one rule with a list.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::sorting;
use crate::{IndexMap, IndexSet};

/// Names of lists that stay in the key.
const NAMES: [&str; 3] = ["t", "s", "r"];

/// Words of a list; beyond them rules are easier to read one by one.
const MAX_WORDS: usize = 12;

/// A rule as texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wording {
    pub(super) left: Vec<TermText>,
    pub(super) right: Vec<TermText>,
    /// The clusters that it says.
    pub(super) clusters: Vec<usize>,
    /// Lists that it has so far.
    pub(super) lists: usize,
}

/// A term of a rule as texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TermText {
    pub(super) key: String,
    /// None where the tensor stays as it is.
    pub(super) places: Option<Vec<String>>,
    pub(super) ties: Vec<String>,
}

/// The rules with lists where that makes them fewer; each list is of one segment on either side.
pub(super) fn listed(mut rules: Vec<Wording>) -> Vec<Wording> {
    while let Some((all, merged)) = best(&rules) {
        rules[all[0]] = merged;
        let others: IndexSet<usize> = all[1..].iter().copied().collect();
        let mut at = 0;
        rules.retain(|_| {
            at += 1;
            !others.contains(&(at - 1))
        });
    }
    rules
}

/// Rules that become one, as many as can be.
fn best(rules: &[Wording]) -> Option<(Vec<usize>, Wording)> {
    let mut buckets = IndexMap::<Bucket, Vec<usize>>::default();
    for (at, rule) in rules.iter().enumerate() {
        for bucket in rule.buckets() {
            buckets.entry(bucket).or_default().push(at);
        }
    }
    let mut several: Vec<(Bucket, Vec<usize>)> =
        buckets.into_iter().filter(|(_, all)| (2..=MAX_WORDS).contains(&all.len())).collect();
    sorting::sort_by_key(&mut several, |(_, all)| usize::MAX - all.len());
    several.into_iter().find_map(|(bucket, all)| Some((all.clone(), merged(rules, &bucket, &all)?)))
}

/// What rules share that differ in one segment on either side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Bucket {
    left: (String, String),
    right: (String, String),
    places: [Option<Vec<String>>; 2],
    lists: usize,
}

impl Wording {
    /// A text for all of the rule.
    pub(super) fn text(&self) -> String {
        let side = |terms: &[TermText]| {
            let terms: Vec<String> = terms.iter().map(TermText::text).collect();
            terms.join(", ")
        };
        alloc::format!("{} -> {}", side(&self.left), side(&self.right))
    }

    fn buckets(&self) -> Vec<Bucket> {
        let ([left], [right]) = (self.left.as_slice(), self.right.as_slice()) else {
            return Vec::new();
        };
        if !right.ties.is_empty() || self.lists == NAMES.len() {
            return Vec::new();
        }
        let places = shortened(left, right);
        let mut all = Vec::new();
        for own in cuts(&left.key) {
            for other in cuts(&right.key) {
                all.push(Bucket {
                    left: (own.0.into(), own.2.into()),
                    right: (other.0.into(), other.2.into()),
                    places: places.clone(),
                    lists: self.lists,
                });
            }
        }
        all
    }
}

impl TermText {
    fn text(&self) -> String {
        let mut text = self.key.clone();
        if let Some(places) = &self.places {
            text += &alloc::format!("[{}]", places.join(" "));
        }
        for tie in &self.ties {
            text += &alloc::format!(" = {tie}");
        }
        text
    }
}

/// A key before, in and after each of its segments that is a plain word.
fn cuts(key: &str) -> Vec<(&str, &str, &str)> {
    let is_break = |c: char| matches!(c, '.' | '/');
    let mut cuts = Vec::new();
    let (mut start, mut depth) = (0, 0);
    for (at, c) in key.char_indices().chain([(key.len(), '.')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if is_break(c) && depth == 0 => {
                let word = &key[start..at];
                if !word.is_empty() && !word.contains(['{', '}', ',', '=']) {
                    cuts.push((&key[..start], word, &key[at..]));
                }
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    cuts
}

/// The places without the last dimensions that stay as they are on both sides.
fn shortened(left: &TermText, right: &TermText) -> [Option<Vec<String>>; 2] {
    let (Some(x), Some(y)) = (&left.places, &right.places) else {
        return [left.places.clone(), right.places.clone()];
    };
    let is_plain = |place: &str| !place.contains(['(', '=', '.']) && place.parse::<u64>().is_err();
    let both = x.iter().rev().zip(y.iter().rev());
    let count = both.take_while(|(x, y)| x == y && is_plain(x)).count();
    let short = |places: &[String]| {
        let own = places[..places.len() - count].iter().cloned();
        own.chain(["..".to_string()]).collect::<Vec<_>>()
    };
    [Some(short(x)), Some(short(y))]
}

fn merged(rules: &[Wording], bucket: &Bucket, all: &[usize]) -> Option<Wording> {
    let word = |key: &str, (start, end): &(String, String)| {
        key[start.len()..key.len() - end.len()].to_string()
    };
    let lefts: IndexSet<String> =
        all.iter().map(|at| word(&rules[*at].left[0].key, &bucket.left)).collect();
    let rights: IndexSet<String> =
        all.iter().map(|at| word(&rules[*at].right[0].key, &bucket.right)).collect();
    if lefts.len() != all.len() || rights.len() != all.len() {
        return None;
    }
    let first = &rules[all[0]];
    let (x, y) = (&first.left[0], &first.right[0]);
    let is_alike = all
        .iter()
        .all(|at| rules[*at].left[0].places == x.places && rules[*at].right[0].places == y.places);
    let places =
        if is_alike { [x.places.clone(), y.places.clone()] } else { bucket.places.clone() };
    // Where all that is left is `..`, the tensors stay as they are.
    let is_same = places.iter().all(|own| own.as_ref().is_some_and(|own| own == &[".."]));
    let [left, right] = if is_same { [None, None] } else { places };
    let name = NAMES[first.lists];
    let key = |(start, end): &(String, String), words: &IndexSet<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        alloc::format!("{start}{{{name}={}}}{end}", words.join(","))
    };
    let term = |key, places| TermText { key, places, ties: Vec::new() };
    let mut clusters: Vec<usize> =
        all.iter().flat_map(|at| rules[*at].clusters.iter().copied()).collect();
    clusters.sort_unstable();
    Some(Wording {
        left: [term(key(&bucket.left, &lefts), left)].into(),
        right: [term(key(&bucket.right, &rights), right)].into(),
        clusters,
        lists: first.lists + 1,
    })
}
