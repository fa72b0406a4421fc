//! The tensors of a file as text, a line for each.

use std::borrow::Cow;
use std::io::{self, Write};

use statedict::core::{Catalog, Data, IndexMap, Tensor, TensorEntry};
use statedict::jobs::library::Recognised;
use statedict::jobs::list::{Listed, Outcome};

use crate::commands::ls::wrapped;
use crate::failure::Failure;
use crate::terminal::text::{count, first_few, name, printable, size};

/// Things beside the tensors that the last line names; the rest is counted.
const NAMED: usize = 8;

/// A line for every tensor, in columns, below the path of the mapping that holds it.
pub(crate) fn table(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    for (at, tensors) in by_path(outcome) {
        head(at, tensors.len(), out)?;
        let [k, d, s, z, _] = widths(&tensors);
        for [key, dtype, shape, size, last] in tensors.iter().map(cells) {
            let line = format!("{key:k$}  {dtype:d$}  {shape:s$}  {size:>z$}  {last}");
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    foot(outcome, out)
}

/// Characters of the widest column; what is wider goes on beyond it, and the others stay where they
/// are.
const MAX_COLUMN: usize = 100;

/// How wide a column of these is.
pub(crate) fn widest<'a>(cells: impl Iterator<Item = &'a str>) -> usize {
    cells.map(width).max().unwrap_or(0)
}

/// How many characters of a column this takes.
fn width(cell: &str) -> usize {
    cell.chars().count().min(MAX_COLUMN)
}

/// How wide each column is; lines are made again when they are printed, since all of them together
/// take more memory than what they are about.
fn widths(tensors: &[Listed]) -> [usize; 5] {
    let mut widths = [0; 5];
    for line in tensors.iter().map(cells) {
        for (widest, cell) in widths.iter_mut().zip(&line) {
            *widest = width(cell).max(*widest);
        }
    }
    widths
}

/// Key, type, shape, size, and the digest or what the tensor is instead of plain elements.
type Cells<'a> = [Cow<'a, str>; 5];

fn cells<'a>(listed: &Listed<'a>) -> Cells<'a> {
    let TensorEntry { key, tensor, .. } = listed.entry;
    let last = match (&listed.sha256, &tensor.data) {
        (Some(digest), _) => Cow::Borrowed(*digest),
        (None, Data::Opaque { layout, .. }) => name(layout),
        (None, Data::View(_) | Data::Blocks(_)) => Cow::Borrowed(""),
    };
    [
        name(key.as_str()),
        name(tensor.dtype.name()),
        Cow::Owned(name(&format!("{:?}", tensor.shape)).into_owned()),
        Cow::Owned(size(tensor.byte_len())),
        last,
    ]
}

/// The tensors by the path of the mapping that holds them, in the order in which the paths occur.
pub(crate) fn by_path(outcome: &Outcome) -> IndexMap<&str, Vec<Listed<'_>>> {
    let mut groups = IndexMap::<&str, Vec<Listed>>::default();
    for listed in outcome.tensors() {
        groups.entry(&*listed.entry.path).or_default().push(listed);
    }
    groups
}

/// The path above the lines of one mapping, and how many tensors it holds.
pub(crate) fn head(at: &str, tensors: usize, out: &mut dyn Write) -> io::Result<()> {
    match at {
        "" => Ok(()),
        at => writeln!(out, "{} ({}):", name(at), count(tensors, "tensor")),
    }
}

/// How much there is in all, and what lies beside the tensors.
pub(crate) fn foot(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let checkpoint = &outcome.checkpoint;
    let bytes = outcome.tensors().map(|listed| Tensor::byte_len(&listed.entry.tensor));
    let bytes = bytes.fold(0, u64::saturating_add);
    let number = count(outcome.tensors().count(), "tensor");
    writeln!(out, "{number}, {} ({})", size(bytes), checkpoint.kind())?;
    let Catalog { payload, state_dicts, .. } = checkpoint.catalog();
    let beside = payload.iter().filter(|thing| state_dicts.iter().all(|s| s.path != thing.path));
    let things: Vec<_> = beside.map(|thing| format!("{} ({})", thing.path, thing.kind)).collect();
    if !things.is_empty() {
        writeln!(out, "beside them: {}", printable(&first_few(&things, NAMED)))?;
    }
    if !outcome.recognised.conventions.is_empty() {
        writeln!(out, "{}", recognised(&outcome.recognised))?;
    }
    if let Some(wrapped) = &outcome.wrapped {
        let line = wrapped::line(wrapped, checkpoint.path());
        writeln!(out, "{}", printable(&line))?;
    }
    Ok(())
}

/// The convention that the keys follow, and the recipes that start from it.
fn recognised(recognised: &Recognised) -> String {
    let conventions = recognised.conventions.join(" or ");
    match recognised.recipes.as_slice() {
        [] => conventions,
        recipes => format!("{conventions}; recipes: {}", recipes.join(", ")),
    }
}
