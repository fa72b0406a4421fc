//! The tensors of a file as text, a line for each.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::iter;

use statedict::core::{Catalog, Data, IndexMap, TensorEntry};
use statedict::jobs::library::Recognised;
use statedict::jobs::list::{Listed, Outcome};

use crate::commands::ls::folded::Folded;
use crate::commands::ls::{Lines, glance, wrapped};
use crate::failure::Failure;
use crate::terminal::color::{Meaning, Stream, painted};
use crate::terminal::columns::width;
use crate::terminal::text::{count, first_few, name, printable, size};

/// Things beside the tensors that the last line names; the rest is counted.
const NAMED: usize = 8;

/// Bytes of lines that are written at once.
const AT_ONCE: usize = 16 << 10;

/// A line for every tensor, in columns, below the path of the mapping that holds it.
pub(crate) fn table(outcome: &Outcome, shown: Lines, out: &mut dyn Write) -> Result<(), Failure> {
    glance::head(outcome, out)?;
    let groups = by_path(outcome);
    let folded = match shown {
        Lines::All => Folded::default(),
        Lines::Folded => Folded::of(outcome, &groups),
    };
    for (place, (at, tensors)) in groups.iter().enumerate() {
        if folded.write(at, out)? {
            continue;
        }
        head(place, at, tensors.len(), out)?;
        let (widths, mut cells, mut lines) = (widths(tensors), Cells::default(), String::new());
        for tensor in tensors {
            cells.fill(tensor);
            cells.write(&widths, &mut lines);
            if lines.len() >= AT_ONCE {
                out.write_all(lines.as_bytes())?;
                lines.clear();
            }
        }
        out.write_all(lines.as_bytes())?;
    }
    foot(outcome, out)
}

/// How wide each column is; lines are made again when they are printed, since all of them together
/// take more memory than what they are about.
fn widths(tensors: &[Listed]) -> [usize; 5] {
    let (mut widths, mut cells) = ([0; 5], Cells::default());
    for tensor in tensors {
        cells.fill(tensor);
        for (widest, cell) in widths.iter_mut().zip(&cells.texts) {
            *widest = width(cell).max(*widest);
        }
    }
    widths
}

/// Key, type, shape, size, and the digest or what the tensor is instead of plain elements; one line
/// after another in the same texts.
#[derive(Default)]
struct Cells {
    texts: [String; 5],
    /// What the texts of shape and size are of: neighbours are often alike.
    shape: Vec<u64>,
    bytes: Option<u64>,
}

/// The column of types, which have a colour.
const DTYPE: usize = 1;

/// The column that is aligned to the right: sizes.
const RIGHT: usize = 3;

impl Cells {
    fn fill(&mut self, listed: &Listed<'_>) {
        let TensorEntry { key, tensor, .. } = listed.entry;
        let [named, dtype, shape, bytes, last] = &mut self.texts;
        named.clear();
        named.push_str(&name(key.as_str()));
        dtype.clear();
        dtype.push_str(&name(tensor.dtype.name()));
        if shape.is_empty() || self.shape != tensor.shape {
            self.shape.clone_from(&tensor.shape);
            bracketed(&tensor.shape, shape);
            if let Cow::Owned(cut) = name(shape) {
                *shape = cut;
            }
        }
        let byte_len = tensor.byte_len();
        if self.bytes.replace(byte_len) != Some(byte_len) {
            *bytes = size(byte_len);
        }
        last.clear();
        match (&listed.sha256, &tensor.data) {
            (Some(digest), _) => last.push_str(digest),
            (None, Data::Opaque { layout, .. }) => last.push_str(&name(layout)),
            (None, Data::View(_) | Data::Blocks(_) | Data::Unlocated) => {}
        }
    }

    /// Appends the line.
    fn write(&self, widths: &[usize; 5], lines: &mut String) {
        let start = lines.len();
        for (i, (cell, width)) in self.texts.iter().zip(widths).enumerate() {
            let gap = if i == 0 { "" } else { "  " };
            let padding = width.saturating_sub(cell.chars().count());
            let (before, after) = if i == RIGHT { (padding, 0) } else { (0, padding) };
            lines.push_str(gap);
            lines.extend(iter::repeat_n(' ', before));
            if i == DTYPE {
                lines.push_str(&painted(Stream::Out, Meaning::Type, cell));
            } else {
                lines.push_str(cell);
            }
            lines.extend(iter::repeat_n(' ', after));
        }
        lines.truncate(start + lines[start..].trim_end().len());
        lines.push('\n');
    }
}

/// Makes the text that of a shape: `[2, 3]`.
fn bracketed(shape: &[u64], text: &mut String) {
    text.clear();
    text.push('[');
    for (i, size) in shape.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{size}");
    }
    text.push(']');
}

/// The tensors by the path of the mapping that holds them, in the order in which the paths occur.
pub(crate) fn by_path(outcome: &Outcome) -> IndexMap<&str, Vec<Listed<'_>>> {
    let mut groups = IndexMap::<&str, Vec<Listed>>::default();
    for listed in outcome.tensors() {
        let path = &*listed.entry.path;
        match groups.last_mut().filter(|(last, _)| **last == path) {
            Some((_, group)) => group.push(listed),
            None => groups.entry(path).or_default().push(listed),
        }
    }
    groups
}

/// The path above the lines of one mapping, and how many tensors it holds; the root needs it only where
/// it is not the first.
pub(crate) fn head(place: usize, at: &str, tensors: usize, out: &mut dyn Write) -> io::Result<()> {
    let path = match (place, at) {
        (0, "") => return Ok(()),
        (_, "") => "/".into(),
        (_, at) => name(at),
    };
    let title = format!("{path} ({}):", count(tensors, "tensor"));
    writeln!(out, "{}", painted(Stream::Out, Meaning::Title, &title))
}

/// What lies beside the tensors, and what is known of the keys.
pub(crate) fn foot(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let checkpoint = &outcome.checkpoint;
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
