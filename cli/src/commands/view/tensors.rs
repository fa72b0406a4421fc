//! The tensors of a file with their figures, in columns.

use statedict::core::{Data, Statistics, Tensor};
use statedict::jobs::{list, stats};

use crate::commands::view::headline::entries;
use crate::page::{Figure, Kind, Row, Tensors};
use crate::terminal::numbers::heights;

/// Bins of a histogram on the page.
const BINS: usize = 16;

/// The height of the highest bin.
const HIGHEST: u8 = 15;

/// A figure's name, what it is called, and how it is taken.
type Taken = (&'static str, &'static str, fn(&Statistics) -> Option<f64>);

const FIGURES: [Taken; 8] = [
    ("mean", "mean", Statistics::mean),
    ("std", "std", Statistics::std),
    ("min", "min", Statistics::min),
    ("max", "max", Statistics::max),
    ("l2", "L2", Statistics::l2),
    ("zeros", "zeros", |found| share(found.zeros, found.count)),
    ("nan", "NaN", |found| Some(found.nan as f64)),
    ("inf", "Inf", |found| Some(found.inf as f64)),
];

/// Figures that are hardly ever anything but zero, and have a column only then.
const FLAWS: [&str; 2] = ["nan", "inf"];

/// All tensors of a file.
pub(super) fn all(listed: &list::Outcome, measured: Option<&stats::Outcome>) -> Tensors {
    let rows = entries(listed).map(|entry| row(&entry.path, entry.key.as_str(), &entry.tensor));
    let mut tensors = Tensors { rows: rows.collect(), ..Tensors::default() };
    let Some(measured) = measured else { return tensors };
    let found: Vec<Option<&Statistics>> =
        measured.tensors().map(|tensor| tensor.measured.ok()).collect();
    if found.len() != tensors.rows.len() {
        return tensors;
    }
    tensors.figures = FIGURES
        .into_iter()
        .map(|(name, title, take)| {
            let values = found.iter().map(|found| found.and_then(take)).collect();
            Figure { name, title, values }
        })
        .filter(|figure| !FLAWS.contains(&figure.name) || figure.is_anywhere())
        .collect();
    tensors.histograms = found.iter().map(|found| histogram(*found)).collect();
    tensors.shade = Some("std");
    tensors
}

/// A tensor as the page lists it.
pub(crate) fn row(path: &str, key: &str, tensor: &Tensor) -> Row {
    let layout = match &tensor.data {
        Data::Opaque { layout, .. } => layout.clone(),
        Data::View(_) | Data::Blocks(_) | Data::Unlocated => String::new(),
    };
    let kind = Kind {
        dtype: tensor.dtype.name().to_string(),
        shape: tensor.shape.iter().map(u64::to_string).collect::<Vec<_>>().join("×"),
        count: tensor.count(),
        bytes: tensor.byte_len(),
        layout,
    };
    Row { path: path.to_string(), key: key.to_string(), kind }
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// The histogram as heights, those of its bins that there are.
fn histogram(found: Option<&Statistics>) -> [u8; BINS] {
    let mut bins = [0; BINS];
    let counts = found.and_then(|found| Some(found.histogram()?.counts())).unwrap_or_default();
    let heights = heights(&counts, BINS, HIGHEST);
    bins[..heights.len()].copy_from_slice(&heights);
    bins
}
