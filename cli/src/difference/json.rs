//! What `diff` found, as JSON.

use std::io::{self, Write};

use serde::Serialize;
use statedict_core::{Change, Deviation, Key};

use crate::commands::diff::{Depth, Difference};
use crate::failure::Failure;
use crate::json::path_bytes;

/// The object of `diff --json`.
#[derive(Serialize)]
struct Found<'a> {
    a: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    a_bytes: Option<String>,
    b: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    b_bytes: Option<String>,
    at_a: &'a str,
    at_b: &'a str,
    keys_only: bool,
    same: bool,
    added: Vec<&'a str>,
    removed: Vec<&'a str>,
    renamed: Vec<Renamed<'a>>,
    layout: Vec<Changed<'a, Option<&'a str>>>,
    dtype: Vec<Changed<'a, &'a str>>,
    shape: Vec<Changed<'a, &'a [u64]>>,
    values: Vec<Values<'a>>,
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

/// Differences that are infinite, or no numbers, are null.
#[derive(Serialize)]
struct Values<'a> {
    key: &'a str,
    max_abs: Option<f64>,
    max_rel: Option<f64>,
    count: u64,
    of: u64,
    nan: u64,
}

/// One object with all that differs.
pub(crate) fn difference(difference: &Difference, out: &mut dyn Write) -> Result<(), Failure> {
    let (a, b, diff) = (difference.a, difference.b, &difference.diff);
    let found = Found {
        a: a.name(),
        a_bytes: path_bytes(a.checkpoint.path()),
        b: b.name(),
        b_bytes: path_bytes(b.checkpoint.path()),
        at_a: &a.state_dict.at,
        at_b: &b.state_dict.at,
        keys_only: difference.depth == Depth::Keys,
        same: diff.is_same(),
        added: diff.added.iter().map(Key::as_str).collect(),
        removed: diff.removed.iter().map(Key::as_str).collect(),
        renamed: diff.renamed.iter().map(Renamed::of).collect(),
        layout: changed(&diff.layouts, |layout| layout.as_deref()),
        dtype: changed(&diff.dtypes, |dtype| dtype.name()),
        shape: changed(&diff.shapes, |shape| shape.as_slice()),
        values: diff.values.iter().map(Values::of).collect(),
        not_compared: diff.not_compared.iter().map(Key::as_str).collect(),
        reordered: diff.reordered,
    };
    serde_json::to_writer(&mut *out, &found).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

fn changed<'a, T, U>(changes: &'a [Change<T>], shown: fn(&'a T) -> U) -> Vec<Changed<'a, U>> {
    let changed = |change: &'a Change<T>| Changed {
        key: change.key.as_str(),
        a: shown(&change.a),
        b: shown(&change.b),
    };
    changes.iter().map(changed).collect()
}

impl<'a> Renamed<'a> {
    fn of((from, to): &'a (Key, Key)) -> Renamed<'a> {
        Renamed { from: from.as_str(), to: to.as_str() }
    }
}

impl<'a> Values<'a> {
    fn of((key, deviation): &'a (Key, Deviation)) -> Values<'a> {
        let Deviation { max_abs, max_rel, count, of, nan } = *deviation;
        Values { key: key.as_str(), max_abs, max_rel, count, of, nan }
    }
}
