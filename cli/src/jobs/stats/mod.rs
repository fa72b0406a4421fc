//! Figures of what is in a file's tensors.

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Measured};
use statedict_core::{IndexMap, Opening, Statistics, Tensor, TensorEntry, sorting};

use crate::jobs::error::Error;
use crate::jobs::grouping::grouped_whole;
use crate::jobs::observer::Observer;
use crate::jobs::opening::open_as;
use crate::jobs::shown::Shown;

/// Takes the figures of tensors' elements: mean, deviation, extremes, norm, zeros, NaN, histogram.
///
/// # Example
/// ```no_run
/// use statedict::{Stats, silent};
///
/// let stats = Stats { file: "model.pth".into(), ..Stats::default() };
/// for tensor in stats.run(&silent())?.tensors() {
///     if let Ok(found) = tensor.measured {
///         println!("{} {:?} {:?}", tensor.entry.key.as_str(), found.mean(), found.std());
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// The file.
    pub file: PathBuf,
    /// Which of its tensors.
    pub shown: Shown,
    /// How a checkpoint of many files is opened.
    pub opening: Opening,
}

/// What was found.
pub struct Outcome {
    /// The file, opened.
    pub checkpoint: Checkpoint,
    /// Positions in the catalog of the tensors that were looked at.
    rows: Vec<usize>,
    /// The figures of each, or why it has none.
    measured: Vec<Measured>,
}

/// A tensor and its figures.
#[derive(Clone, Copy, Debug)]
pub struct TensorStats<'a> {
    /// The tensor, and where it is in the file.
    pub entry: &'a TensorEntry,
    /// Its figures, or why it has none.
    pub measured: Result<&'a Statistics, &'a str>,
}

/// Tensors of one mapping, type and shape whose keys differ in numbers alone, and their figures
/// together.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The path of the mapping, empty at the root.
    pub path: &'a str,
    /// The keys: `layers.{0..31}.attn.weight`.
    pub keys: String,
    /// The tensors.
    pub tensors: Vec<TensorStats<'a>>,
    /// The figures of all of them that have some.
    pub statistics: Statistics,
}

/// What is wrong with the elements of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Some are not a number.
    Nan,
    /// Some are infinite.
    Inf,
    /// All are zero.
    Zeros,
}

impl Stats {
    /// Takes them.
    ///
    /// # Errors
    /// What keeps the file from being read, a path that leads nowhere, and patterns that match no
    /// tensor.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        let checkpoint = open_as(&self.file, &self.opening, observer)?;
        let rows = self.shown.rows(&checkpoint)?;
        let tensors: Vec<&Tensor> =
            rows.iter().map(|row| &checkpoint.catalog().rows[*row].tensor).collect();
        let bytes = tensors.iter().map(|tensor| tensor.byte_len()).fold(0, u64::saturating_add);
        observer.begin_reading(bytes.min(checkpoint.len()));
        let measured = checkpoint.statistics(&tensors)?;
        Ok(Outcome { rows, measured, checkpoint })
    }
}

impl Outcome {
    /// The tensors that were looked at, in the file's order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorStats<'_>> {
        self.rows.iter().zip(&self.measured).map(|(row, measured)| TensorStats {
            entry: &self.checkpoint.catalog().rows[*row],
            measured: measured.as_ref().map_err(String::as_str),
        })
    }

    /// The same, those together that are alike and whose keys differ in numbers alone.
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut alike = IndexMap::<_, Vec<(usize, TensorStats<'_>)>>::default();
        for (place, stats) in self.tensors().enumerate() {
            let TensorEntry { path, tensor, .. } = stats.entry;
            let class = (&**path, &tensor.dtype, &*tensor.shape);
            alike.entry(class).or_default().push((place, stats));
        }
        let mut groups: Vec<(usize, Group<'_>)> =
            alike.iter().flat_map(|((path, ..), tensors)| Group::all(path, tensors)).collect();
        sorting::sort_by_key(&mut groups, |(first, _)| *first);
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// The tensors that have a flaw.
    pub fn flawed(&self, flaw: Flaw) -> impl Iterator<Item = TensorStats<'_>> {
        self.tensors().filter(move |tensor| flaw.is_in(tensor))
    }
}

impl<'a> Group<'a> {
    /// The groups of some tensors that are alike, each with the place of its first.
    fn all(path: &'a str, tensors: &[(usize, TensorStats<'a>)]) -> Vec<(usize, Group<'a>)> {
        let keys = tensors.iter().map(|(_, stats)| (stats.entry.key.as_str(), None));
        let groups = grouped_whole(keys).into_iter().filter_map(|line| {
            let (first, members): (Vec<usize>, Vec<TensorStats>) =
                line.members.iter().map(|at| tensors[*at]).unzip();
            let mut statistics = Statistics::default();
            for measured in members.iter().filter_map(|stats| stats.measured.ok()) {
                statistics.merge(measured);
            }
            let group = Group { path, keys: line.old, tensors: members, statistics };
            Some((first.into_iter().min()?, group))
        });
        groups.collect()
    }
}

impl Flaw {
    fn is_in(self, tensor: &TensorStats<'_>) -> bool {
        let Ok(found) = tensor.measured else { return false };
        match self {
            Flaw::Nan => found.nan > 0,
            Flaw::Inf => found.inf > 0,
            Flaw::Zeros => found.count > 0 && found.zeros == found.count,
        }
    }
}
