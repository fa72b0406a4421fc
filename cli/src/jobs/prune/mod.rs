//! A trainer's file without what its models do not need.

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Existing};
use statedict_core::{Catalog, Headroom, IndexMap, IndexSet, Plan, TensorEntry};

use crate::jobs::error::{Advice, Error};
use crate::jobs::nearest::nearest;
use crate::jobs::observer::Observer;
use crate::jobs::opening::{open, open_to_replace};
use crate::jobs::rename::Destination;
use crate::jobs::target::{refuse_protected, refuse_to_overwrite};

/// Leaves out of a file what is not needed to use its models: optimizer, schedulers, callbacks,
/// random states, counters.
///
/// Entries of the file's outermost mapping that lead to a model's state dict stay; the others go,
/// but for those that are to be kept. Everything that stays is, byte for byte, as it was.
///
/// # Example
/// ```no_run
/// use statedict::jobs::rename::Destination;
/// use statedict::{Prune, silent};
///
/// let prune = Prune {
///     file: "run.ckpt".into(),
///     destination: Destination::File("small.ckpt".into()),
///     keep: vec!["hyper_parameters".into()],
///     ..Prune::default()
/// };
/// println!("{:?}", prune.run(&silent())?.left_out);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Prune {
    /// The file.
    pub file: PathBuf,
    /// Where the result goes; nowhere, to see what would be left out.
    pub destination: Destination,
    /// Entries that stay, by their keys.
    pub keep: Vec<String>,
    /// What to do if the new file exists.
    pub existing: Existing,
}

/// What was done, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Entries that are left out.
    pub left_out: Vec<Entry>,
    /// Entries that stay.
    pub kept: Vec<Entry>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of the new one.
    pub new_bytes: u64,
    /// It was written.
    pub written: bool,
}

/// An entry of a file's outermost mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// What it is, in a word or two.
    pub kind: String,
    /// How many tensors are in it.
    pub tensors: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Default for Prune {
    fn default() -> Prune {
        let (file, destination, keep) = (PathBuf::new(), Destination::Nowhere, Vec::new());
        Prune { file, destination, keep, existing: Existing::Refuse }
    }
}

impl Prune {
    /// Does it, so far as it is to be written.
    ///
    /// # Errors
    /// Nothing that could be left out, an entry to keep that is not there, and what keeps the file
    /// from being read or written.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        let in_place = self.destination == Destination::InPlace;
        if let Destination::File(out) = &self.destination {
            refuse_to_overwrite([out.as_path()], self.existing)?;
        }
        let checkpoint = if in_place {
            open_to_replace(&self.file, observer)?
        } else {
            open(&self.file, observer)?
        };
        if in_place {
            refuse_protected(&checkpoint, self.existing)?;
        }
        let (left_out, kept) = self.divided(&checkpoint)?;
        let plan = Plan::default().without(left_out.iter().map(|it| it.key.clone()).collect());
        let pending = checkpoint.rewrite(&plan, Headroom::Usual)?;
        let (bytes, new_bytes) = (checkpoint.len(), pending.len());
        if self.destination != Destination::Nowhere {
            observer.begin_writing(new_bytes);
        }
        let staged = match &self.destination {
            Destination::File(out) => Some(checkpoint.stage(&pending, out, self.existing)?),
            Destination::InPlace => Some(checkpoint.stage_in_place(&pending)?),
            Destination::Nowhere => None,
        };
        let written = staged.is_some();
        if let Some(staged) = staged {
            staged.commit()?;
        }
        Ok(Outcome { left_out, kept, bytes, new_bytes, written })
    }

    /// The entries that are left out, and those that stay.
    fn divided(&self, checkpoint: &Checkpoint) -> Result<(Vec<Entry>, Vec<Entry>), Error> {
        let catalog = checkpoint.catalog();
        for keep in &self.keep {
            if catalog.outermost().any(|entry| entry == keep) {
                continue;
            }
            let meant = nearest(keep, catalog.outermost()).map(String::from);
            let problem = format_args!("no entry '{keep}' to keep");
            return Err(Error::in_file(&self.file, problem).advise(meant.map(Advice::Meant)));
        }
        let beside: IndexSet<&str> = catalog.beside_models().into_iter().collect();
        let goes = |key: &str| beside.contains(key) && !self.keep.iter().any(|it| it == key);
        let entries = Entry::all(catalog).into_iter();
        let (left_out, kept): (Vec<_>, Vec<_>) = entries.partition(|entry| goes(&entry.key));
        if left_out.is_empty() {
            let problem = format!("{}: nothing to leave out", self.file.display());
            return Err(Error::refused(vec![problem]));
        }
        if kept.is_empty() {
            let problem = "no entry leads to a model's state dict; nothing would be left";
            return Err(Error::refused(vec![format!("{}: {problem}", self.file.display())]));
        }
        Ok((left_out, kept))
    }
}

impl Entry {
    /// The entries of a file's outermost mapping.
    fn all(catalog: &Catalog) -> Vec<Entry> {
        let mut kinds = IndexMap::<&str, &str>::default();
        for thing in &catalog.payload {
            kinds.entry(&thing.path).or_insert(&thing.kind);
        }
        let mut inside = IndexMap::<&str, (usize, u64)>::default();
        for row in &catalog.rows {
            let (tensors, bytes) = inside.entry(outermost(row)).or_default();
            *tensors += 1;
            *bytes = bytes.saturating_add(row.tensor.byte_len());
        }
        let entries = catalog.outermost().map(|key| {
            let kind = kinds.get(key).copied().unwrap_or("tensor").to_string();
            let (tensors, bytes) = inside.get(key).copied().unwrap_or_default();
            Entry { key: key.to_string(), kind, tensors, bytes }
        });
        entries.collect()
    }
}

/// The key of the entry that a tensor is, or is in.
fn outermost(row: &TensorEntry) -> &str {
    match &*row.path {
        "" => row.key.as_str(),
        path => path.split('/').next().unwrap_or(path),
    }
}
