//! What becomes of keys and tensors: in numbers, and a line for those that are alike.

use statedict::core::{DType, IndexMap, IndexSet, MetadataChange, Regrouping, Section};
use statedict::jobs::grouping::{Line, grouped};
use statedict::jobs::join::JoinedSource;
use statedict::jobs::rename::{MergeSummary, Outcome};

use crate::terminal::text::{NAMED, bounded, count, first_few};

/// `10 keys renamed, 2 unchanged, 1 dropped; 12 tensors cast to F16`, without what there is none of.
pub(super) fn counts(outcome: &Outcome) -> String {
    let (keys, casts) = (key_counts(outcome), outcome.casts().count());
    if casts == 0 {
        return keys;
    }
    let types: IndexSet<&str> = outcome.casts().map(DType::name).collect();
    let types = types.into_iter().collect::<Vec<_>>().join(" and ");
    format!("{keys}; {} cast to {types}", count(casts, "tensor"))
}

fn key_counts(outcome: &Outcome) -> String {
    let counts = outcome.counts();
    if !outcome.joined.is_empty() {
        let keys = outcome.joined.iter().map(|source| source.keys).sum();
        return count(keys, "key");
    }
    let all =
        [(counts.renamed, "renamed"), (counts.unchanged, "unchanged"), (counts.dropped, "dropped")];
    let mut some = all.into_iter().filter(|(number, _)| *number > 0);
    let regrouped = match counts.regrouped {
        0 => String::new(),
        old => format!("{} regrouped into {}", count(old, "tensor"), counts.made),
    };
    let Some((number, what)) = some.next() else {
        return if regrouped.is_empty() { "no keys".into() } else { regrouped };
    };
    let keys = some.fold(format!("{} {what}", count(number, "key")), |text, (number, what)| {
        format!("{text}, {number} {what}")
    });
    if regrouped.is_empty() { keys } else { format!("{keys}; {regrouped}") }
}

/// The changes of every section, under its path where there is one.
pub(super) fn changes(outcome: &Outcome) -> Vec<String> {
    let sections = outcome.planned.plan.sections();
    let mut lines = Vec::new();
    for section in sections {
        let changes = grouped(changed(section));
        let named = sections.len() > 1 || !section.path().is_empty();
        if named && !changes.is_empty() {
            lines.push(format!("in '{}':", section.path()));
        }
        lines.extend(changes.iter().map(change));
        let regroupings = outcome.planned.regroupings.iter();
        lines.extend(regroupings.filter(|it| it.path == section.path()).map(regrouping));
    }
    lines.extend(outcome.merged.iter().flat_map(merged));
    lines.extend(outcome.joined.iter().map(joined));
    lines.extend(outcome.planned.plan.metadata().iter().map(metadata_change));
    lines
}

/// `  text.*: 12 keys of a.safetensors`, and the path of the state dict where it has one.
fn joined(source: &JoinedSource) -> String {
    let prefix = if source.prefix.is_empty() { "" } else { "." };
    let at = if source.at.is_empty() { String::new() } else { format!(" ('{}')", source.at) };
    let (keys, file) = (count(source.keys, "key"), source.file.display());
    format!("  {}{prefix}*: {keys} of {file}{at}", source.prefix)
}

/// `  a.qkv[(p o) ..] -> a.{p=q,k,v}[o ..]  (12 tensors -> 36, each [48, 16] -> 3 x [16, 16])`.
fn regrouping(regrouping: &Regrouping) -> String {
    let Regrouping { rule, from, to, groups, example, .. } = regrouping;
    let rule = unprefixed(rule);
    if *from == 0 {
        return format!("  {rule}  ({} added)", count(*to, "tensor"));
    }
    let (from, each) = (count(*from, "tensor"), if *groups == 1 { "" } else { "each " });
    let shapes = format!("{} -> {}", shapes(&example.from), shapes(&example.to));
    format!("  {rule}  ({from} -> {to}, {each}{shapes})")
}

/// A rename as it is typed, without its kind and quotes.
pub(super) fn unprefixed(rule: &str) -> &str {
    let Some(rule) = rule.strip_prefix("rename:") else { return rule };
    let unquoted = rule.strip_prefix('"').and_then(|rule| rule.strip_suffix('"'));
    unquoted.filter(|it| !it.contains(['"', '\\'])).unwrap_or(rule)
}

/// `2 x [4, 3] and [4]`.
fn shapes(tensors: &[(String, Vec<u64>)]) -> String {
    let mut counts = IndexMap::<&[u64], usize>::default();
    for (_, shape) in tensors {
        *counts.entry(shape).or_default() += 1;
    }
    let shapes = counts.into_iter().map(|(shape, count)| match count {
        1 => format!("{shape:?}"),
        count => format!("{count} x {shape:?}"),
    });
    first_few(&shapes.collect::<Vec<String>>(), NAMED)
}

/// What an adapter changes, the weights of one rank and scale in a line.
fn merged(summary: &MergeSummary) -> Vec<String> {
    let mut alike = IndexMap::<String, Vec<String>>::default();
    for tensor in &summary.adapted {
        let how = format!("rank {}, scale {}", tensor.rank, tensor.scale);
        alike.entry(how).or_default().push(tensor.key.clone());
    }
    let adapted = alike.into_iter().map(|(how, keys)| {
        let weights = count(keys.len(), "weight");
        format!("  adapter merged into {weights} ({how}): {}", first_few(&keys, NAMED))
    });
    let others = [
        ("replaced by the adapter's own", &summary.replaced),
        ("left out of the adapter", &summary.dropped),
    ];
    let others = others.into_iter().filter(|(_, keys)| !keys.is_empty());
    let others = others.map(|(what, keys)| format!("  {what}: {}", first_few(keys, NAMED)));
    adapted.chain(others).collect()
}

/// `  metadata author: 'me' -> 'you'`.
pub(crate) fn metadata_change(change: &MetadataChange) -> String {
    let MetadataChange { key, old, new } = change;
    let [old, new] = [(old, "(none)"), (new, "(dropped)")].map(|(text, absent)| match text {
        Some(text) => format!("'{}'", bounded(text)),
        None => absent.to_string(),
    });
    format!("  metadata {}: {old} -> {new}", bounded(key))
}

/// What becomes of the keys that no rule of tensors speaks of.
fn changed(section: &Section) -> impl Iterator<Item = (&str, Option<&str>)> {
    let (regrouped, _) = section.regrouped();
    section.fates().filter(move |(old, new)| *new != Some(old) && !regrouped.contains(old))
}

fn change(line: &Line) -> String {
    let keys = line.number_of_keys();
    let new = line.new.as_deref().unwrap_or("(dropped)");
    format!("  {} -> {new}{keys}", line.old)
}
