//! What `diff` found, as text.
//!
//! A sign begins each line: `-` for keys of the first file alone, `+` for those of the second, `~`
//! for what changed, `?` for what was not compared; renames have none.

use std::io::Write;

use statedict::core::{
    IndexMap, Key,
    diff::{Change, Deviation, Diff},
    objects::ObjectChange,
    sorting,
};

use statedict::jobs::diff::{Compared, Depth, Outcome};
use statedict::jobs::grouping::{Line, grouped};
use statedict::jobs::words::bounded_name;

use crate::commands::ls::payload::brief;
use crate::failure::Failure;
use crate::terminal::color;
use crate::terminal::numbers::figures;
use crate::terminal::text::{count, first_few, printable, short};

/// Values of one kind that have a line each; the rest is counted.
const SHOWN: usize = 100;

/// Things of one kind that a sentence names; the rest is counted.
const NAMED: usize = 6;

/// A line that counts, and a line for each thing that differs or for several alike.
pub(crate) fn difference(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let headline = [headline(outcome)];
    for line in headline.into_iter().chain(lines(outcome)) {
        writeln!(out, "{}", color::signed(&printable(&line)))?;
    }
    Ok(())
}

/// `a.pth and b.pth differ: 2 keys removed, 1 added`.
pub(super) fn headline(outcome: &Outcome) -> String {
    let names = format!("{} and {}", named(&outcome.a), named(&outcome.b));
    let (diff, keys) = (&outcome.diff, count(outcome.common, "key"));
    if !outcome.is_same() {
        return format!("{names} differ: {}", differing(diff).join(", "));
    }
    let keys = match diff.dtypes.len() {
        0 => keys,
        some => format!("{keys}, {some} of another dtype"),
    };
    match (outcome.depth, diff.not_compared.len()) {
        (_, 0) if outcome.is_within_tolerance() => {
            format!("{names} have the same values within the tolerance: {keys}")
        }
        (Depth::Keys, _) => format!("{names} have the same keys, dtypes and shapes: {keys}"),
        (Depth::Weights, 0) => format!("{names} have the same weights: {keys}"),
        (Depth::All, 0) => format!("{names} are the same: {keys}"),
        (_, some) => {
            format!("{names} are the same as far as compared: {keys}, {some} not compared")
        }
    }
}

/// `2 keys removed`, `1 added`, `1 metadata entry`: without what there is none of.
fn differing(diff: &Diff) -> Vec<String> {
    let keys = [
        (diff.removed.len(), "removed"),
        (diff.added.len(), "added"),
        (diff.renamed.len(), "renamed"),
        (diff.layouts.len(), "of another layout"),
        (diff.dtypes.len(), "of another dtype"),
        (diff.shapes.len(), "of another shape"),
        (diff.values.len(), "with other values"),
    ];
    let keys = keys.into_iter().filter(|(number, _)| *number > 0).enumerate();
    let keys = keys.map(|(i, (number, what))| match i {
        0 => format!("{} {what}", count(number, "key")),
        _ => format!("{number} {what}"),
    });
    let beside = diff.objects.len() + diff.object_values.len() + diff.more;
    let beside = (beside > 0).then(|| format!("{} beside plain tensors", count(beside, "value")));
    let metadata = match diff.metadata.len() {
        0 => None,
        1 => Some("1 metadata entry".to_string()),
        some => Some(format!("{some} metadata entries")),
    };
    keys.chain(beside).chain(metadata).collect()
}

/// A file's name, with the path in it unless that is the root.
fn named(side: &Compared) -> String {
    match side.path.as_str() {
        "" => side.name(),
        at => format!("{} ('{at}')", side.name()),
    }
}

fn lines(outcome: &Outcome) -> Vec<String> {
    let diff = &outcome.diff;
    let renamed = grouped(diff.renamed.iter().map(|(from, to)| (from.as_str(), Some(to.as_str()))));
    let mut lines = [
        signed('-', &diff.removed),
        signed('+', &diff.added),
        renamed.iter().map(rename).collect(),
        changes(&diff.layouts, |layout| layout.as_deref().unwrap_or("(no tensor)").to_string()),
        changes(&diff.dtypes, ToString::to_string),
        changes(&diff.shapes, |shape| format!("{shape:?}")),
        values(&diff.values),
    ]
    .concat();
    lines.extend(diff.objects.iter().take(SHOWN).map(object));
    lines.extend(
        diff.object_values
            .iter()
            .take(SHOWN)
            .map(|(path, found)| format!("~ {}: {}", bounded_name(path), deviation(found))),
    );
    let beside = diff.objects.len().saturating_sub(SHOWN)
        + diff.object_values.len().saturating_sub(SHOWN)
        + diff.more;
    if beside > 0 {
        lines.push(format!("  and {} more beside plain tensors", count(beside, "value")));
    }
    lines.extend(diff.metadata.iter().map(metadata));
    let not_compared = diff.not_compared.iter();
    lines.extend(not_compared.map(|it| format!("? {}: not compared: {}", it.path, it.why)));
    lines.extend(unplaced(outcome));
    if diff.reordered {
        lines.push("the common keys are in a different order".into());
    }
    lines
}

/// A value that differs, or that only one side has.
pub(super) fn object(change: &ObjectChange) -> String {
    let path = if change.path.is_empty() { "/".into() } else { bounded_name(&change.path) };
    match (&change.a, &change.b) {
        (Some(a), None) => format!("- {path}: {}", brief(a)),
        (None, Some(b)) => format!("+ {path}: {}", brief(b)),
        (a, b) => {
            let [a, b] = [a, b].map(|value| value.as_ref().map(brief).unwrap_or_default());
            format!("~ {path}: {a} -> {b}")
        }
    }
}

pub(super) fn metadata(change: &Change<Option<String>>) -> String {
    let key = bounded_name(change.key.as_str());
    match (&change.a, &change.b) {
        (Some(a), None) => format!("- metadata {key}: '{}'", short(a)),
        (None, Some(b)) => format!("+ metadata {key}: '{}'", short(b)),
        (a, b) => {
            let shown =
                |text: &Option<String>| short(text.as_deref().unwrap_or_default()).into_owned();
            format!("~ metadata {key}: '{}' -> '{}'", shown(a), shown(b))
        }
    }
}

/// What only one file can hold, a line for each.
fn unplaced(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    let (a, b) = (&outcome.a, &outcome.b);
    for (in_a, own, other) in [(true, a, b), (false, b, a)] {
        let all = outcome.diff.unplaced.iter().filter(|it| it.in_a == in_a);
        let all: Vec<String> = all.map(|it| format!("{} ({})", it.path, it.kind)).collect();
        if !all.is_empty() {
            let (own, other) = (own.name(), other.file.format.name());
            let few = first_few(&all, NAMED);
            lines.push(format!("only in {own}, {other} has no place for it: {few}"));
        }
    }
    lines
}

fn rename(line: &Line) -> String {
    format!(
        "  {} -> {}{}",
        line.old,
        line.new.as_deref().unwrap_or_default(),
        line.number_of_keys()
    )
}

/// The changes, those that are the same in one line.
pub(super) fn changes<T>(changes: &[Change<T>], shown: impl Fn(&T) -> String) -> Vec<String> {
    let mut alike = IndexMap::<String, Vec<&str>>::default();
    for Change { key, a, b } in changes {
        let change = format!("{} -> {}", shown(a), shown(b));
        alike.entry(change).or_default().push(key.as_str());
    }
    let mut lines = Vec::new();
    for (change, keys) in alike {
        let all = grouped(keys.into_iter().map(|key| (key, None)));
        lines.extend(
            all.iter().map(|line| format!("~ {}: {change}{}", line.old, line.number_of_keys())),
        );
    }
    lines
}

/// A line for each group of keys that only one file has.
pub(super) fn signed(sign: char, keys: &[Key]) -> Vec<String> {
    let lines = grouped(keys.iter().map(|key| (key.as_str(), None)));
    lines.iter().map(|line| format!("{sign} {}{}", line.old, line.number_of_keys())).collect()
}

/// How far apart values are, the farthest first; of several keys in one line, together.
fn values(values: &[(Key, Deviation)]) -> Vec<String> {
    let lines = grouped(values.iter().map(|(key, _)| (key.as_str(), None)));
    let mut lines: Vec<(f64, String)> = lines
        .iter()
        .map(|line| {
            let mut whole = Deviation::default();
            let members = line.members.iter().filter_map(|place| values.get(*place));
            members.for_each(|(_, deviation)| whole.merge(deviation));
            (
                distance(&whole),
                format!("~ {}: {}{}", line.old, deviation(&whole), line.number_of_keys()),
            )
        })
        .collect();
    sorting::sort_by(&mut lines, |(a, _), (b, _)| b.total_cmp(a));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// By what values are sorted: what has no distance is farther than anything that has, and so is what
/// became NaN or infinite, which the norms leave out.
fn distance(deviation: &Deviation) -> f64 {
    let is_finite = deviation.nan == 0 && deviation.max_abs != Some(f64::INFINITY);
    deviation.products.relative_l2().filter(|_| is_finite).unwrap_or(f64::INFINITY)
}

/// `max abs 0.5, max rel 0.25, rel L2 0.1, cosine 0.99, 3 of 10 elements`.
fn deviation(deviation: &Deviation) -> String {
    let Deviation { count, of, max_abs, max_rel, nan, products } = deviation;
    let mut text = match max_abs.zip(*max_rel) {
        Some((abs, rel)) => format!("max abs {}, max rel {}, ", figures(abs), figures(rel)),
        None => String::new(),
    };
    if let Some(distance) = products.relative_l2() {
        text += &format!("rel L2 {}, ", figures(distance));
    }
    if let Some(cosine) = products.cosine() {
        text += &format!("cosine {cosine:.6}, ");
    }
    text += &format!("{count} of {of} elements");
    if *nan > 0 {
        text += &format!(", {nan} of them NaN on one side only");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict::core::diff::Products;

    #[test]
    fn changes_that_are_the_same_share_lines() {
        let change = |key: &str, a, b| Change { key: Key::Text(key.into()), a, b };
        let all = [change("l.0.w", 1, 2), change("x", 3, 4), change("l.1.w", 1, 2)];
        let found = changes(&all, ToString::to_string);
        assert_eq!(found, ["~ l.{0..1}.w: 1 -> 2  (2 keys)", "~ x: 3 -> 4"]);
    }

    #[test]
    fn a_line_of_several_keys_has_the_farthest_values() {
        let of = |key: &str, max_abs, nan, apart| {
            let (max_abs, max_rel) = (Some(max_abs), Some(1.0));
            let products = Products { aa: 1.0, bb: 1.0, ab: 0.5, apart, passed_over: 0 };
            let deviation = Deviation { count: 1, of: 10, max_abs, max_rel, nan, products };
            (Key::Text(key.into()), deviation)
        };
        let found = values(&[of("l.0", 0.5, 0, 1.0), of("x", 0.5, 0, 9.0), of("l.1", 2.0, 1, 1.0)]);
        let expected = [
            "~ l.{0..1}: max abs 2, max rel 1, rel L2 1, cosine 0.500000, 2 of 20 elements, \
             1 of them NaN on one side only  (2 keys)",
            "~ x: max abs 0.5, max rel 1, rel L2 3, cosine 0.500000, 1 of 10 elements",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn values_that_became_nan_or_infinite_come_first() {
        let of = |key: &str, max_abs, nan, apart| {
            let products = Products { aa: 1.0, apart, ..Products::default() };
            let max_abs = Some(max_abs);
            let deviation = Deviation { max_abs, nan, products, ..Deviation::default() };
            (Key::Text(key.into()), deviation)
        };
        let infinite = f64::INFINITY;
        let found =
            values(&[of("far", 0.5, 0, 9.0), of("n", 0.0, 1, 0.0), of("i", infinite, 0, 0.0)]);
        let keys: Vec<&str> =
            found.iter().filter_map(|line| Some(line.split_once(':')?.0)).collect();
        assert_eq!(keys, ["~ n", "~ i", "~ far"]);
    }
}
