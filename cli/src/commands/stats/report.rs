//! Figures as text, a line for each tensor or group of tensors.

use std::io::Write;

use statedict::core::Statistics;
use statedict::jobs::grouping::first_grouped;
use statedict::jobs::stats::{Flaw, Group, Outcome};

use crate::failure::Failure;
use crate::terminal::color::{Meaning, Stream, painted};
use crate::terminal::columns::{Side, write_columns};
use crate::terminal::numbers::{amount, figures, sparkline};
use crate::terminal::text::{NAMED, count, first_few, name};

/// What the columns are, and on which side of them the cells.
const HEAD: [(&str, Side); 12] = [
    ("key", Side::Left),
    ("dtype", Side::Left),
    ("count", Side::Right),
    ("mean", Side::Right),
    ("std", Side::Right),
    ("min", Side::Right),
    ("max", Side::Right),
    ("L2", Side::Right),
    ("zeros", Side::Right),
    ("NaN", Side::Right),
    ("Inf", Side::Right),
    ("histogram", Side::Left),
];

type Cells = [String; HEAD.len()];

/// A line for each group of tensors whose keys differ in numbers alone.
pub(crate) fn groups(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let groups = outcome.groups();
    let lines = groups.iter().map(|group| {
        let more = match group.tensors.len() {
            1 => String::new(),
            tensors => format!("  ({tensors} keys)"),
        };
        let name = format!("{}{more}", name(&full(group.path, &group.keys)));
        let dtype = group.tensors.first().map(|stats| stats.entry.tensor.dtype.name());
        cells(name, dtype.unwrap_or_default().to_string(), unmeasured(group), &group.statistics)
    });
    table(lines.collect(), outcome, out)
}

/// A line for each tensor.
pub(crate) fn tensors(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let lines = outcome.tensors().map(|tensor| {
        let key = name(&tensor.entry.full_path()).into_owned();
        let dtype = tensor.entry.tensor.dtype.name().to_string();
        let statistics = tensor.measured.cloned().unwrap_or_default();
        cells(key, dtype, tensor.measured.err(), &statistics)
    });
    table(lines.collect(), outcome, out)
}

/// What is wrong with which tensors, if something is.
pub(crate) fn flawed(outcome: &Outcome, flaw: Flaw) -> Option<String> {
    let tensors: Vec<String> =
        outcome.flawed(flaw).map(|tensor| tensor.entry.full_path()).collect();
    let what = match flaw {
        Flaw::Nan => "NaN in",
        Flaw::Inf => "infinities in",
        Flaw::Zeros => "nothing but zeros in",
    };
    let keys = first_grouped(tensors.iter().map(String::as_str), NAMED);
    (!tensors.is_empty()).then(|| format!("{what} {}: {keys}", count(tensors.len(), "tensor")))
}

fn table(mut lines: Vec<Cells>, outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    if !lines.is_empty() {
        let is_any = |column: usize| lines.iter().any(|line| !line[column].is_empty());
        let head = std::array::from_fn(|column| match HEAD[column].0 {
            "NaN" | "Inf" if !is_any(column) => String::new(),
            head => head.to_string(),
        });
        lines.insert(0, head);
    }
    write_columns(HEAD.map(|(_, side)| side), &lines, out)?;
    foot(outcome, out)
}

/// How much was looked at, and what was not.
fn foot(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let (mut tensors, mut elements, mut flawless) = (0, 0u64, true);
    let mut left_out = Vec::new();
    for tensor in outcome.tensors() {
        match tensor.measured {
            Ok(found) => {
                tensors += 1;
                elements = elements.saturating_add(found.count);
                flawless &= found.nan == 0 && found.inf == 0;
            }
            Err(why) => left_out.push(format!("{}: {why}", name(&tensor.entry.full_path()))),
        }
    }
    let elements = amount(elements);
    let clean = if flawless { "; no NaN, no Inf" } else { "" };
    writeln!(out, "{elements} elements in {}{clean}", count(tensors, "tensor"))?;
    for flaw in [Flaw::Nan, Flaw::Inf] {
        if let Some(line) = flawed(outcome, flaw) {
            writeln!(out, "{}", painted(Stream::Out, Meaning::Bad, &line))?;
        }
    }
    if !left_out.is_empty() {
        writeln!(out, "without figures: {}", first_few(&left_out, NAMED))?;
    }
    Ok(())
}

fn full(path: &str, keys: &str) -> String {
    if path.is_empty() { keys.to_string() } else { format!("{path}/{keys}") }
}

/// Why a group has no figures, if none of its tensors has.
fn unmeasured<'a>(group: &Group<'a>) -> Option<&'a str> {
    let is_measured = group.tensors.iter().any(|tensor| tensor.measured.is_ok());
    let first = group.tensors.first().filter(|_| !is_measured)?;
    first.measured.err()
}

fn cells(key: String, dtype: String, unmeasured: Option<&str>, found: &Statistics) -> Cells {
    if unmeasured.is_some() {
        let mut cells = Cells::default();
        (cells[0], cells[1], cells[2]) = (key, dtype, "-".into());
        return cells;
    }
    let number = |figure: Option<f64>| figure.map_or_else(|| "-".into(), figures);
    let some = |times: u64| if times == 0 { String::new() } else { amount(times) };
    let counts = found.histogram().map(|histogram| histogram.counts()).unwrap_or_default();
    [
        key,
        dtype,
        amount(found.count),
        number(found.mean()),
        number(found.std()),
        number(found.min()),
        number(found.max()),
        number(found.l2()),
        amount(found.zeros),
        some(found.nan),
        some(found.inf),
        sparkline(&counts),
    ]
}
