//! What `derive` found, as JSON.

use std::io::Write;

use serde::Serialize;
use statedict::core::IndexMap;
use statedict::core::derive::{Arrangement, Axis, Side};

use statedict::jobs::derive::Outcome;

use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, Sides, put};

/// The object of `derive --json`.
#[derive(Serialize)]
struct Found<'a> {
    schema_version: u32,
    #[serde(flatten)]
    sides: Sides<'a>,
    complete: bool,
    pairs: Vec<Pair<'a>>,
    by_name: Vec<Pair<'a>>,
    rearranged: Vec<Rearranged<'a>>,
    portions: Vec<Slice<'a>>,
    open: Vec<Open<'a>>,
    dropped: &'a [String],
    tensor_rules: Vec<TensorRule<'a>>,
    sizes: IndexMap<&'a str, &'a str>,
    no_rule: Vec<Unruled<'a>>,
    rules: Vec<String>,
    recipe: String,
}

#[derive(Serialize)]
struct Pair<'a> {
    from: &'a str,
    to: &'a str,
}

#[derive(Serialize)]
struct Rearranged<'a> {
    from: &'a str,
    to: &'a str,
    how: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    axes: Option<&'static [usize]>,
}

#[derive(Serialize)]
struct Slice<'a> {
    part: &'a str,
    whole: &'a str,
    whole_in: &'static str,
    lines: &'static str,
    start: u64,
    end: u64,
    transposed: bool,
}

/// A rule that moves elements, or gives a tensor several keys.
#[derive(Serialize)]
struct TensorRule<'a> {
    rule: &'a str,
    from: &'a [String],
    to: &'a [String],
}

/// A key of `b` with elements of `a` that no rule makes.
#[derive(Serialize)]
struct Unruled<'a> {
    key: &'a str,
    reason: String,
}

#[derive(Serialize)]
struct Open<'a> {
    key: &'a str,
    candidates: &'a [String],
}

/// One object with all that was found, the recipe's text included.
pub(crate) fn outcome(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let (a, b, derivation) = (&outcome.a, &outcome.b, &outcome.derivation);
    let rearranged = derivation.rearranged.iter();
    let portions = derivation.portions.iter();
    let open = derivation.open.iter();
    let (sizes, unruled) = (derivation.sizes.iter(), derivation.unruled.iter());
    let found = Found {
        schema_version: SCHEMA_VERSION,
        sides: Sides::of(a, b),
        complete: derivation.is_complete(),
        pairs: pairs(&derivation.pairs),
        by_name: pairs(&derivation.by_name),
        rearranged: rearranged.map(Rearranged::of).collect(),
        portions: portions
            .map(|it| Slice {
                part: &it.part,
                whole: &it.whole,
                whole_in: if it.owner == Side::A { "a" } else { "b" },
                lines: if it.lines == Axis::Rows { "rows" } else { "columns" },
                start: it.start,
                end: it.end,
                transposed: it.is_transposed,
            })
            .collect(),
        open: open.map(|it| Open { key: &it.key, candidates: &it.candidates }).collect(),
        dropped: &derivation.dropped,
        tensor_rules: derivation
            .tensor_rules
            .iter()
            .map(|it| TensorRule { rule: &it.text, from: &it.sources, to: &it.targets })
            .collect(),
        sizes: sizes.map(|it| (it.name.as_str(), it.expression.as_str())).collect(),
        no_rule: unruled.map(|it| Unruled { key: &it.key, reason: it.why.reason() }).collect(),
        rules: derivation.rules.stages.iter().map(ToString::to_string).collect(),
        recipe: outcome.recipe(),
    };
    put(&found, out)?;
    Ok(writeln!(out)?)
}

fn pairs(pairs: &[(String, String)]) -> Vec<Pair<'_>> {
    pairs.iter().map(|(from, to)| Pair { from, to }).collect()
}

impl<'a> Rearranged<'a> {
    fn of(it: &'a statedict::core::derive::Rearranged<String>) -> Rearranged<'a> {
        let (how, axes) = match it.how {
            Arrangement::Transposed => ("transposed", None),
            Arrangement::Permuted(axes) => ("permuted", Some(axes)),
            Arrangement::Reshaped => ("reshaped", None),
            Arrangement::RowsReordered => ("rows reordered", None),
        };
        Rearranged { from: &it.a, to: &it.b, how, axes }
    }
}
