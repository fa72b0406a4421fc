//! What a file holds.

mod digests;
mod glance;
mod order;

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::Checkpoint;
use statedict_core::{
    Catalog, Depth, Fate, Opening, Policy, Rule, SEPARATOR, StateDict, TensorEntry, Value,
    WRAPPERS, plan, wrapping,
};

use crate::jobs::error::Error;
use crate::jobs::library::{Conventions, Recognised};
use crate::jobs::observer::Observer;
use crate::jobs::opening::open_as;
use crate::jobs::selection::Summary;
use crate::jobs::shown::Shown;

pub use glance::Glance;
pub use order::Order;

use digests::Digests;

/// Lists what a file holds.
///
/// # Example
/// ```no_run
/// use statedict::{List, silent};
///
/// let list = List { file: "model.pth".into(), hash: true, ..List::default() };
/// for listed in list.run(&silent())?.tensors() {
///     println!("{} {:?} {:?}", listed.entry.key.as_str(), listed.entry.tensor.shape, listed.sha256);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The file.
    pub file: PathBuf,
    /// Which of its tensors.
    pub shown: Shown,
    /// In which order they are listed.
    pub order: Order,
    /// Take the SHA-256 of each tensor's elements, which reads the whole file.
    pub hash: bool,
    /// Read what the file holds beside tensors.
    pub payload: bool,
    /// How a checkpoint of many files is opened.
    pub opening: Opening,
}

/// What was found.
pub struct Outcome {
    /// The file, opened.
    pub checkpoint: Checkpoint,
    /// What it holds beside tensors, if that was asked for and there is something.
    pub payload: Option<Value>,
    /// The wrappers that it was saved under, if they can be taken off.
    pub wrapped: Option<Wrapped>,
    /// The naming convention that the keys follow, if they clearly follow one.
    pub recognised: Recognised,
    /// What it holds at a glance.
    pub glance: Glance,
    /// Positions in the catalog of the tensors that were asked for.
    rows: Vec<usize>,
    /// Their digests; none if they were not asked for.
    digests: Option<Vec<Option<String>>>,
}

/// A tensor with the digest of its elements.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The tensor, and where it is in the file.
    pub entry: &'a TensorEntry,
    /// In hexadecimal; none if not asked for, or if there are no plain elements.
    pub sha256: Option<&'a str>,
}

/// State dicts that were saved under wrappers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The wrappers' own segments in the keys of the first: `module`.
    pub segments: Vec<&'static str>,
    /// The state dicts.
    pub state_dicts: Vec<Summary>,
    /// The first is the one that is meant where no path is named.
    pub is_plain: bool,
}

impl List {
    /// Looks.
    ///
    /// # Errors
    /// What keeps the file from being read, and a path that leads nowhere.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        // What reading them takes is free again when the listing needs it.
        let conventions = Conventions::known();
        let depth = if self.hash { Depth::Elements } else { Depth::Listing };
        let opening = Opening { depth, ..self.opening.clone() };
        let checkpoint = open_as(&self.file, &opening, observer)?;
        let catalog = checkpoint.catalog();
        let mut rows = self.shown.rows(&checkpoint)?;
        order::sort(&mut rows, catalog, self.order);
        if self.hash {
            observer.begin_reading(checkpoint.len());
        }
        let digests = if self.hash { Some(Digests::all(&checkpoint, &rows)?) } else { None };
        let payload = if self.payload { checkpoint.payload()? } else { None };
        let wrapped = Wrapped::of(catalog);
        let recognised =
            conventions.recognise(rows.iter().map(|row| catalog.rows[*row].key.as_str()));
        let glance = Glance::of(&checkpoint, &rows, self.shown.is_everything())?;
        Ok(Outcome { payload, wrapped, recognised, glance, rows, digests, checkpoint })
    }
}

impl Outcome {
    /// The tensors that were asked for, in the file's order.
    pub fn tensors(&self) -> impl Iterator<Item = Listed<'_>> {
        self.rows.iter().enumerate().map(|(i, row)| Listed {
            entry: &self.checkpoint.catalog().rows[*row],
            sha256: self.digests.as_ref().and_then(|digests| digests[i].as_deref()),
        })
    }
}

impl Wrapped {
    /// The wrappers of a file's state dicts; `None` if there are none, or keys cannot be without.
    fn of(catalog: &Catalog) -> Option<Wrapped> {
        let renamable = catalog.state_dicts.iter().filter(|it| it.fixed.is_none());
        let wrapped =
            renamable.map(|it| (it, wrapping(it.keys()))).filter(|(_, by)| !by.is_empty());
        let (wrapped, segments): (Vec<&StateDict>, Vec<_>) = wrapped.unzip();
        let (first, segments) = (*wrapped.first()?, segments.into_iter().next()?);
        if !can_be_unwrapped(catalog, &wrapped) {
            return None;
        }
        Some(Wrapped {
            segments,
            state_dicts: wrapped.iter().map(|it| Summary::of(it)).collect(),
            is_plain: matches!(catalog.select(None).as_deref(), Ok([only]) if only.path == first.path),
        })
    }
}

/// True if the keys of these state dicts can be without wrappers.
fn can_be_unwrapped(catalog: &Catalog, wrapped: &[&StateDict]) -> bool {
    let unwrap = Rule::unwrap_all();
    wrapped.iter().all(|it| clearly_differ(it, &unwrap))
        || plan(&[unwrap], catalog, wrapped, Policy::default()).is_ok()
}

/// True if no two keys of a state dict get one name, nor one none at all, which can mostly be told
/// without a plan: that takes as much memory as the listing.
fn clearly_differ(state_dict: &StateDict, rule: &Rule) -> bool {
    let hasher = RandomState::new();
    let hashes = state_dict.keys().map(|key| match rule.apply(key) {
        Fate::Becomes(name) => Some(hasher.hash_one(name.as_str())),
        Fate::Undefined if !is_wrapper_alone(key) => Some(hasher.hash_one(key)),
        Fate::Undefined | Fate::Dropped => None,
    });
    let Some(mut hashes) = hashes.collect::<Option<Vec<u64>>>() else { return false };
    hashes.sort_unstable();
    hashes.windows(2).all(|two| two[0] != two[1])
}

fn is_wrapper_alone(key: &str) -> bool {
    key.split(SEPARATOR).all(|segment| WRAPPERS.contains(&segment))
}
