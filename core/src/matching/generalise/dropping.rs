//! Which patterns match the keys that go, and none of those that stay.

use alloc::string::String;
use alloc::vec::Vec;

use crate::rules::template::Segment;
use crate::{IndexMap, IndexSet, SEPARATOR, Template};

/// Segments of a key that are looked at from either end.
const MAX_SEGMENTS: usize = 64;

/// Few patterns that match all of `dropped` and none of `kept`.
///
/// A key is matched by the first segments that no kept key begins with (`head.**`), or by the last
/// that no kept key ends with (`**.num_batches_tracked`), whichever matches more; else by itself.
pub(super) fn patterns(dropped: &[String], kept: &[&str]) -> Vec<Template> {
    let kept_begins: IndexSet<&str> = kept.iter().flat_map(|key| begins(key)).collect();
    let kept_ends: IndexSet<&str> = kept.iter().flat_map(|key| ends(key)).collect();
    let own_begins = dropped.iter().map(|key| begins(key).find(|b| !kept_begins.contains(b)));
    let own_ends = dropped.iter().map(|key| ends(key).find(|end| !kept_ends.contains(end)));
    let (own_begins, own_ends): (Vec<_>, Vec<_>) = (own_begins.collect(), own_ends.collect());
    let (begin_counts, end_counts) = (counts(&own_begins), counts(&own_ends));
    let mut patterns = IndexMap::<(&str, &str), Template>::default();
    for ((key, begin), end) in dropped.iter().zip(own_begins).zip(own_ends) {
        let below = begin.map_or(0, |begin| begin_counts[begin]);
        let above = end.map_or(0, |end| end_counts[end]);
        match (begin, end) {
            (Some(begin), _) if below >= above && (below > 1 || begin != key) => {
                patterns.entry((begin, "")).or_insert_with(|| template(begin, Some(Place::After)));
            }
            (_, Some(end)) if above > 1 => {
                patterns.entry(("", end)).or_insert_with(|| template(end, Some(Place::Before)));
            }
            _ => {
                patterns.entry((key, key)).or_insert_with(|| template(key, None));
            }
        }
    }
    patterns.into_values().collect()
}

/// Where other segments may be.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Before,
    After,
}

fn template(part: &str, others: Option<Place>) -> Template {
    let mut segments: Vec<Segment> = part.split(SEPARATOR).map(Segment::literal).collect();
    match others {
        Some(Place::Before) => segments.insert(0, Segment::Rest(None)),
        Some(Place::After) => segments.push(Segment::Rest(None)),
        None => {}
    }
    Template::of_segments(segments, SEPARATOR)
}

fn counts<'a>(parts: &[Option<&'a str>]) -> IndexMap<&'a str, usize> {
    let mut counts = IndexMap::default();
    for part in parts.iter().flatten() {
        *counts.entry(*part).or_default() += 1;
    }
    counts
}

/// The segments a key begins with: one, two, all of them.
fn begins(key: &str) -> impl Iterator<Item = &str> {
    let cuts = key.match_indices(SEPARATOR).map(|(at, _)| at).take(MAX_SEGMENTS);
    cuts.map(|at| &key[..at]).chain([key])
}

/// The segments a key ends with: one, two, all of them.
fn ends(key: &str) -> impl Iterator<Item = &str> {
    let cuts = key.rmatch_indices(SEPARATOR).map(|(at, _)| at + SEPARATOR.len_utf8());
    cuts.take(MAX_SEGMENTS).map(|at| &key[at..]).chain([key])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn check(dropped: &[&str], kept: &[&str], expected: &[&str]) {
        let dropped: Vec<String> = dropped.iter().map(ToString::to_string).collect();
        let found = patterns(&dropped, kept);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        for key in &dropped {
            assert!(found.iter().any(|pattern| pattern.matches(key)), "{key} is matched");
        }
        for key in kept {
            assert!(!found.iter().any(|pattern| pattern.matches(key)), "{key} is not matched");
        }
    }

    #[test]
    fn modules_that_go_are_named_once() {
        check(&["head.w", "head.b"], &["fc.w", "fc.b"], &["head.**"]);
        check(&["m.head.w", "m.head.b", "m.x.y.z"], &["m.fc.w"], &["m.head.**", "m.x.**"]);
    }

    #[test]
    fn endings_that_go_are_named_once() {
        check(&["a.n", "b.n"], &["a.w", "b.w"], &["**.n"]);
        check(&["l.0.n", "l.1.n", "n"], &["l.0.w", "n.w"], &["**.n"]);
    }

    #[test]
    fn a_key_alone_is_named_in_full() {
        check(&["a"], &["a.b", "c.a"], &["a"]);
        check(&["a.b.c"], &["a.b.d", "a.e.c"], &["a.b.c"]);
        check(&["a{i}*"], &["b"], &[r"a\{i\}\*"]);
    }

    #[test]
    fn nothing_dropped_needs_no_pattern() {
        check(&[], &["a"], &[]);
    }
}
