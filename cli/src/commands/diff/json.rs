//! What `diff` found, as JSON.

use std::io::Write;

use serde::Serialize;
use statedict::core::{
    Key,
    diff::{Change, Deviation, Diff, Unplaced},
};

use statedict::jobs::diff::{Depth, Outcome};

use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, Shown, Sides, put};

/// The object of `diff --json`.
#[derive(Serialize)]
struct Found<'a> {
    schema_version: u32,
    #[serde(flatten)]
    sides: Sides<'a>,
    keys_only: bool,
    weights_only: bool,
    same: bool,
    added: Vec<&'a str>,
    removed: Vec<&'a str>,
    renamed: Vec<Renamed<'a>>,
    layout: Vec<Changed<'a, Option<&'a str>>>,
    dtype: Vec<Changed<'a, &'a str>>,
    shape: Vec<Changed<'a, &'a [u64]>>,
    values: Vec<Values<'a>>,
    /// What differs beside plain tensors, by its path.
    payload: Vec<Beside<'a>>,
    metadata: Vec<Changed<'a, Option<&'a str>>>,
    /// What one file has and the other's format has no place for.
    no_place: Vec<NoPlace<'a>>,
    not_compared: Vec<&'a str>,
    reordered: bool,
}

#[derive(Serialize)]
struct Renamed<'a> {
    from: &'a str,
    to: &'a str,
}

#[derive(Serialize)]
struct Changed<'a, T> {
    key: &'a str,
    a: T,
    b: T,
}

/// A value that differs, null where there is none; of tensors how far they are apart.
#[derive(Serialize)]
struct Beside<'a> {
    path: &'a str,
    #[serde(flatten)]
    difference: BesideDifference<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum BesideDifference<'a> {
    Objects { a: Option<Shown<'a>>, b: Option<Shown<'a>> },
    Tensors { values: Values<'a> },
}

#[derive(Serialize)]
struct NoPlace<'a> {
    /// The file that has it: `a` or `b`.
    file: &'static str,
    path: &'a str,
    kind: &'a str,
}

/// Differences that are infinite, or no numbers, are null.
#[derive(Serialize)]
struct Values<'a> {
    key: &'a str,
    max_abs: Option<f64>,
    max_rel: Option<f64>,
    count: u64,
    of: u64,
    nan: u64,
    /// The norm of the difference, of the norm of the first.
    rel_l2: Option<f64>,
    cosine: Option<f64>,
}

/// One object with all that differs.
pub(crate) fn difference(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let (a, b, diff) = (&outcome.a, &outcome.b, &outcome.diff);
    let found = Found {
        schema_version: SCHEMA_VERSION,
        sides: Sides::of(a, b),
        keys_only: outcome.depth == Depth::Keys,
        weights_only: outcome.depth == Depth::Weights,
        same: outcome.is_same(),
        added: diff.added.iter().map(Key::as_str).collect(),
        removed: diff.removed.iter().map(Key::as_str).collect(),
        renamed: diff.renamed.iter().map(Renamed::of).collect(),
        layout: changed(&diff.layouts, |layout| layout.as_deref()),
        dtype: changed(&diff.dtypes, |dtype| dtype.name()),
        shape: changed(&diff.shapes, |shape| shape.as_slice()),
        values: diff.values.iter().map(Values::of).collect(),
        payload: beside(diff),
        metadata: changed(&diff.metadata, |text| text.as_deref()),
        no_place: diff.unplaced.iter().map(NoPlace::of).collect(),
        not_compared: diff.not_compared.iter().map(|it| it.path.as_str()).collect(),
        reordered: diff.reordered,
    };
    put(&found, out)?;
    Ok(writeln!(out)?)
}

fn changed<'a, T, U>(changes: &'a [Change<T>], shown: fn(&'a T) -> U) -> Vec<Changed<'a, U>> {
    let changed = changes.iter().map(|change| Changed {
        key: change.key.as_str(),
        a: shown(&change.a),
        b: shown(&change.b),
    });
    changed.collect()
}

fn beside(diff: &Diff) -> Vec<Beside<'_>> {
    let changes = diff.objects.iter().map(|change| Beside {
        path: &change.path,
        difference: BesideDifference::Objects {
            a: change.a.as_ref().map(Shown),
            b: change.b.as_ref().map(Shown),
        },
    });
    let values = diff.object_values.iter().map(|(path, deviation)| Beside {
        path,
        difference: BesideDifference::Tensors { values: Values::new(path, deviation) },
    });
    changes.chain(values).collect()
}

impl<'a> NoPlace<'a> {
    fn of(unplaced: &'a Unplaced) -> NoPlace<'a> {
        let file = if unplaced.in_a { "a" } else { "b" };
        NoPlace { file, path: &unplaced.path, kind: &unplaced.kind }
    }
}

impl<'a> Renamed<'a> {
    fn of((from, to): &'a (Key, Key)) -> Renamed<'a> {
        Renamed { from: from.as_str(), to: to.as_str() }
    }
}

impl<'a> Values<'a> {
    fn of((key, deviation): &'a (Key, Deviation)) -> Values<'a> {
        Values::new(key.as_str(), deviation)
    }

    fn new(key: &'a str, deviation: &Deviation) -> Values<'a> {
        let Deviation { max_abs, max_rel, count, of, nan, products } = *deviation;
        let (rel_l2, cosine) = (products.relative_l2(), products.cosine());
        Values { key, max_abs, max_rel, count, of, nan, rel_l2, cosine }
    }
}
