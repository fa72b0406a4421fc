//! What `diff` found, as a page.

use std::collections::HashMap;

use statedict::checkpoint::Checkpoint;
use statedict::core::diff::Deviation;
use statedict::core::{DType, Key, Tensor};
use statedict::jobs::diff::{Depth, Outcome};
use statedict::jobs::grouping::first_grouped;

use crate::commands::diff::report::{changes, headline, metadata, object, signed};
use crate::commands::view::row;
use crate::hints::command_line;
use crate::page::{Block, Entry, Fact, Figure, Finding, Grade, Label, Page, Sheet, Tensors};
use crate::terminal::numbers::figures;
use crate::terminal::text::{NAMED, count, shell_path};

/// Values beside the tensors that the page shows.
const MOST: usize = 500;

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Same,
    Values,
    Dtype,
    Shape,
    Layout,
    Renamed,
    Removed,
    Added,
    NotCompared,
}

/// The page of a comparison.
pub(crate) fn page(outcome: &Outcome) -> Page {
    let title = format!("{} and {}", outcome.a.name(), outcome.b.name());
    let sheet = Sheet {
        title: title.clone(),
        summary: headline(outcome),
        facts: facts(outcome),
        findings: findings(outcome),
        looked_at: looked_at(outcome),
        tensors: tensors(outcome),
        blocks: blocks(outcome),
        ..Sheet::default()
    };
    Page { title, sheets: vec![sheet] }
}

fn facts(outcome: &Outcome) -> Vec<Fact> {
    let diff = &outcome.diff;
    let answer = if outcome.is_same() { "the same" } else { "differ" };
    let mut facts =
        vec![Fact::new("the files", answer), Fact::new("in both", count(outcome.common, "key"))];
    facts.extend(Fact::numbers([
        ("other values", diff.values.len()),
        ("renamed", diff.renamed.len()),
        ("only in the first", diff.removed.len()),
        ("only in the second", diff.added.len()),
        ("another type", diff.dtypes.len()),
        ("another shape", diff.shapes.len()),
    ]));
    let apart = diff.values.iter().filter_map(|(key, it)| Some((it.products.relative_l2()?, key)));
    if let Some((most, key)) = apart.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        facts.push(Fact::new("farthest, rel. L2", figures(most)).note(key.to_string()));
    }
    facts
}

fn looked_at(outcome: &Outcome) -> String {
    let looked = match outcome.depth {
        Depth::Keys => "Compared: keys, types and shapes; no values",
        Depth::Weights => "Compared: keys, types, shapes and values; nothing beside the tensors",
        Depth::All => "Compared: keys, types, shapes, values, and what lies beside the tensors",
    };
    if outcome.tolerance.is_none() {
        return format!("{looked}.");
    }
    let (atol, rtol) = (outcome.tolerance.atol, outcome.tolerance.rtol);
    format!("{looked}. Numbers count as the same within {atol} + {rtol} × |b|.")
}

fn findings(outcome: &Outcome) -> Vec<Finding> {
    let diff = &outcome.diff;
    let [a, b] = [&outcome.a, &outcome.b].map(|side| shell_path(&side.file.path));
    let fit = || format!("statedict fit {a} --to {b} -o OUT");
    let mut found = Vec::new();
    let mut add = |number: usize, finding: &dyn Fn(String) -> Finding| {
        if number > 0 {
            found.push(finding(count(number, "key")));
        }
    };
    add(diff.shapes.len(), &|keys| {
        let lines = changes(&diff.shapes, |shape| format!("{shape:?}"));
        let finding = Finding::new(Grade::Fault, format!("{keys} of another shape"));
        finding.bounded(lines).remedy("makes the first load where the second does", fit())
    });
    add(diff.layouts.len(), &|keys| {
        let shown = |layout: &Option<String>| layout.clone().unwrap_or("(no tensor)".into());
        let finding = Finding::new(Grade::Fault, format!("{keys} of another layout"));
        finding.bounded(changes(&diff.layouts, shown))
    });
    let nan = diff.values.iter().filter(|(_, it)| it.nan > 0).map(|(key, _)| key.as_str());
    let nan: Vec<&str> = nan.collect();
    add(nan.len(), &|keys| {
        let finding = Finding::new(Grade::Fault, format!("{keys} with NaN in one file only"));
        let worse = first_grouped(nan.iter().copied(), NAMED);
        let shows = format!("statedict stats {b} --each --fail-on nan");
        finding.bounded(vec![worse]).remedy("shows where", shows)
    });
    let infinite = diff.values.iter().filter(|(_, it)| it.max_abs == Some(f64::INFINITY));
    let infinite: Vec<&str> = infinite.map(|(key, _)| key.as_str()).collect();
    add(infinite.len(), &|keys| {
        let finding = Finding::new(Grade::Fault, format!("{keys} infinitely far apart"));
        let worse = first_grouped(infinite.iter().copied(), NAMED);
        let shows = format!("statedict stats {b} --each --fail-on inf");
        finding.bounded(vec![worse]).remedy("shows infinities", shows)
    });
    add(diff.not_compared.len(), &|_| {
        let lines = diff.not_compared.iter().map(|it| format!("{}: {}", it.path, it.why));
        let what = format!("{} could not be compared", diff.not_compared.len());
        Finding::new(Grade::Fault, what).bounded(lines.collect())
    });
    add(diff.renamed.len(), &|keys| {
        let finding = Finding::new(Grade::Advice, format!("{keys} renamed"));
        match command_line::renaming(outcome) {
            Some(command) => finding.remedy("names them as in the second", command),
            None => finding.remedy("finds the recipe", format!("statedict derive {a} {b}")),
        }
    });
    add(diff.removed.len(), &|keys| {
        let finding = Finding::new(Grade::Advice, format!("{keys} only in the first"));
        finding.bounded(signed('-', &diff.removed))
    });
    add(diff.added.len(), &|keys| {
        let finding = Finding::new(Grade::Advice, format!("{keys} only in the second"));
        finding.bounded(signed('+', &diff.added)).remedy("says what could fill them", fit())
    });
    add(diff.dtypes.len(), &|keys| {
        let finding = Finding::new(Grade::Advice, format!("{keys} of another type"));
        let finding = finding.bounded(changes(&diff.dtypes, ToString::to_string));
        match only_cast(outcome) {
            Some(to) => {
                let command =
                    format!("statedict convert {a} OUT --cast {}", to.name().to_lowercase());
                finding.remedy("casts the first", command)
            }
            None => finding,
        }
    });
    if diff.reordered {
        found.push(Finding::new(Grade::Note, "the keys of both are in a different order"));
    }
    found
}

/// The type that all keys of another type have in the second file, if it is a float that `--cast` takes.
fn only_cast(outcome: &Outcome) -> Option<&DType> {
    let mut all = outcome.diff.dtypes.iter().map(|change| &change.b);
    let first = all.next().filter(|first| first.is_float())?;
    all.all(|other| other == first).then_some(first)
}

/// Every key of either file, with how far its values are apart.
fn tensors(outcome: &Outcome) -> Tensors {
    let fates = fates(outcome);
    let renamed: HashMap<&str, &str> =
        outcome.diff.renamed.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let values: HashMap<&str, &Deviation> =
        outcome.diff.values.iter().map(|(key, deviation)| (key.as_str(), deviation)).collect();
    let [a, b] = &outcome.checkpoints;
    let [ours, theirs] = [of_side(a, &outcome.a.path), of_side(b, &outcome.b.path)];
    let other: HashMap<&str, &Tensor> = theirs.iter().copied().collect();
    let added = theirs.iter().filter(|(key, _)| fates.get(key) == Some(&Fate::Added));
    let (mut table, mut fate_of, mut becomes) = (Tensors::default(), Vec::new(), Vec::new());
    let mut deviations = Vec::new();
    for (key, tensor) in ours.iter().chain(added) {
        let fate = fates.get(key).copied().unwrap_or(Fate::Same);
        table.rows.push(row("", key, tensor));
        fate_of.push(fate.name().to_string());
        becomes.push(match (renamed.get(key), other.get(key)) {
            (Some(new), _) => (*new).to_string(),
            (None, Some(now)) => changed(tensor, now),
            (None, None) => String::new(),
        });
        let deviation = values.get(key).copied();
        let is_compared =
            outcome.depth != Depth::Keys && matches!(fate, Fate::Same | Fate::Renamed);
        deviations.push((deviation, is_compared));
    }
    table.labels = vec![Label { name: "difference", title: "difference", values: fate_of }];
    if becomes.iter().any(|it| !it.is_empty()) {
        table.labels.push(Label { name: "becomes", title: "becomes", values: becomes });
    }
    if outcome.depth != Depth::Keys {
        table.figures = columns(&deviations);
        table.shade = Some("rel_l2");
    }
    table
}

/// How far values are apart, in columns; those that are the same are not apart.
fn columns(deviations: &[(Option<&Deviation>, bool)]) -> Vec<Figure> {
    type Taken = (&'static str, &'static str, fn(&Deviation) -> Option<f64>, Option<f64>);
    let columns: [Taken; 6] = [
        ("rel_l2", "rel. L2", |it| it.products.relative_l2(), Some(0.0)),
        ("cosine", "cosine", |it| it.products.cosine(), Some(1.0)),
        ("max_abs", "max abs", |it| it.max_abs, Some(0.0)),
        ("max_rel", "max rel", |it| it.max_rel, Some(0.0)),
        ("changed", "changed", |it| Some(it.count as f64), Some(0.0)),
        ("nan", "NaN", |it| Some(it.nan as f64), Some(0.0)),
    ];
    let columns = columns.into_iter().map(|(name, title, take, same)| {
        let values = deviations.iter().map(|(deviation, is_compared)| match deviation {
            Some(deviation) => take(deviation),
            None => same.filter(|_| *is_compared),
        });
        Figure { name, title, values: values.collect() }
    });
    columns.collect()
}

/// What becomes of each key; of those that have several differences the plainest.
fn fates(outcome: &Outcome) -> HashMap<&str, Fate> {
    let diff = &outcome.diff;
    let mut fates = HashMap::new();
    fates.extend(diff.not_compared.iter().map(|it| (it.path.as_str(), Fate::NotCompared)));
    fates.extend(diff.values.iter().map(|(key, _)| (key.as_str(), Fate::Values)));
    fates.extend(diff.dtypes.iter().map(|it| (it.key.as_str(), Fate::Dtype)));
    fates.extend(diff.shapes.iter().map(|it| (it.key.as_str(), Fate::Shape)));
    fates.extend(diff.layouts.iter().map(|it| (it.key.as_str(), Fate::Layout)));
    fates.extend(diff.removed.iter().map(|key| (key.as_str(), Fate::Removed)));
    fates.extend(diff.added.iter().map(|key| (key.as_str(), Fate::Added)));
    fates.extend(diff.renamed.iter().map(|(from, _): &(Key, Key)| (from.as_str(), Fate::Renamed)));
    fates
}

/// The tensors of the mapping that was compared.
fn of_side<'a>(checkpoint: &'a Checkpoint, path: &str) -> Vec<(&'a str, &'a Tensor)> {
    let own = checkpoint.catalog().rows.iter().filter(|entry| *entry.path == *path);
    own.map(|entry| (entry.key.as_str(), &entry.tensor)).collect()
}

/// `BF16`, `[3×4]`: what the second file has otherwise.
fn changed(was: &Tensor, now: &Tensor) -> String {
    let mut parts = Vec::new();
    if was.dtype != now.dtype {
        parts.push(now.dtype.to_string());
    }
    if was.shape != now.shape {
        parts.push(format!("{:?}", now.shape));
    }
    parts.join(" ")
}

fn blocks(outcome: &Outcome) -> Vec<Block> {
    let diff = &outcome.diff;
    let entry = |line: String| Entry { name: String::new(), value: line, below: Vec::new() };
    let metadata: Vec<Entry> = diff.metadata.iter().map(|it| entry(metadata(it))).collect();
    let beside = diff.objects.iter().take(MOST).map(|it| entry(object(it)));
    let beside: Vec<Entry> = beside.collect();
    let more = diff.objects.len().saturating_sub(MOST) + diff.more;
    let more = (more > 0).then(|| format!("and {more} more"));
    [
        Block { title: "Beside the tensors", entries: beside, more },
        Block { title: "Metadata", entries: metadata, more: None },
    ]
    .into_iter()
    .filter(|block| !block.entries.is_empty())
    .collect()
}

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Fate::Same => "the same",
            Fate::Values => "other values",
            Fate::Dtype => "another type",
            Fate::Shape => "another shape",
            Fate::Layout => "another layout",
            Fate::Renamed => "renamed",
            Fate::Removed => "only in the first",
            Fate::Added => "only in the second",
            Fate::NotCompared => "not compared",
        }
    }
}
