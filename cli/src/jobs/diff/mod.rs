//! What differs between two files.

mod renaming;

use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Scope, compare, compare_beside};
use statedict_core::{
    Catalog, Rule, StateDict,
    diff::{Diff as Difference, Matching, Side, Tolerance},
};

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;
use crate::jobs::opening::open;
use crate::jobs::rename::FileSummary;
use crate::jobs::selection::{Input, Role};

/// Compares the keys, dtypes, shapes and values of two files of any formats.
///
/// # Example
/// ```no_run
/// use statedict::{Diff, Input, silent};
///
/// let diff =
///     Diff { a: Input::file("a.pth"), b: Input::file("b.safetensors"), ..Diff::default() };
/// assert!(diff.run(&silent())?.diff.is_same());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// The first file.
    pub a: Input,
    /// The second file; where no path is named, its state dict is the one at the path of the first,
    /// or the only one.
    pub b: Input,
    /// How much of them is compared.
    pub depth: Depth,
    /// How far apart elements of the state dicts may be; types do not count as a difference then.
    pub tolerance: Tolerance,
}

/// How much of two files is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Keys, types and shapes; no element is read.
    Keys,
    /// Tensors, with their elements.
    Weights,
    /// What lies beside them, too.
    #[default]
    All,
}

/// What was found.
pub struct Outcome {
    /// The first side.
    pub a: Compared,
    /// The second side.
    pub b: Compared,
    /// How much was compared.
    pub depth: Depth,
    /// How far apart elements might be.
    pub tolerance: Tolerance,
    /// Keys that both have.
    pub common: usize,
    /// What differs.
    pub diff: Difference,
    /// The rule that renames the keys of the first as they are in the second, if there is one that
    /// makes all of the renames and no other.
    pub renaming: Option<Rule>,
    /// Both files, opened.
    pub checkpoints: [Checkpoint; 2],
}

/// A state dict that was compared, and its file.
#[derive(Clone)]
pub struct Compared {
    /// The file.
    pub file: FileSummary,
    /// The path of the state dict, empty at the root.
    pub path: String,
    /// How many keys it has.
    pub keys: usize,
    /// How many state dicts the file has.
    pub state_dicts: usize,
}

impl Diff {
    /// Compares them.
    ///
    /// # Errors
    /// What keeps them from being compared; a difference is none.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        let (a, b) = (open(&self.a.file, observer)?, open(&self.b.file, observer)?);
        let (ours, theirs) = selected((&self.a, &a), (&self.b, &b))?;
        self.a.notice_choice(a.catalog(), ours, Role::First, observer);
        self.b.notice_choice(b.catalog(), theirs, Role::Second, observer);
        let tied = (with_recorded_ties(&a, ours, theirs), with_recorded_ties(&b, theirs, ours));
        let (our_side, their_side) =
            (side(&a, ours, tied.0.as_ref()), side(&b, theirs, tied.1.as_ref()));
        let matching = Matching::new(our_side, their_side);
        let mut diff = match self.depth {
            Depth::Keys => matching.diff(),
            Depth::Weights | Depth::All => {
                observer.begin_reading(a.len().saturating_add(b.len()));
                compare(&matching, &a, &b, self.tolerance)?
            }
        };
        if let Some(scope) = self.scope() {
            compare_beside(&mut diff, &matching, (&a, our_side), (&b, their_side), scope)?;
        }
        diff.reordered &= a.format().facts().orders_keys && b.format().facts().orders_keys;
        Ok(Outcome {
            a: Compared::of(&a, our_side.state_dict),
            b: Compared::of(&b, their_side.state_dict),
            depth: self.depth,
            tolerance: self.tolerance,
            common: matching.common.len(),
            renaming: renaming::find(a.catalog(), our_side.state_dict, &diff),
            diff,
            checkpoints: [a, b],
        })
    }

    /// What beside the state dicts is compared.
    fn scope(&self) -> Option<Scope> {
        let is_selected = self.a.at.is_some() || self.b.at.is_some();
        match self.depth {
            Depth::Keys => None,
            Depth::Weights => Some(Scope::Weights),
            Depth::All if is_selected => Some(Scope::StateDicts),
            Depth::All => Some(Scope::Files),
        }
    }
}

impl Outcome {
    /// True if nothing differs that counts: where values are compared within a tolerance, types do not.
    pub fn is_same(&self) -> bool {
        if self.is_within_tolerance() {
            self.diff.is_same_but_for_dtypes()
        } else {
            self.diff.is_same()
        }
    }

    /// True if values are compared, and may be apart.
    pub fn is_within_tolerance(&self) -> bool {
        self.depth != Depth::Keys && !self.tolerance.is_none()
    }
}

impl Compared {
    pub(crate) fn of(checkpoint: &Checkpoint, state_dict: &StateDict) -> Compared {
        Compared {
            file: FileSummary::of(checkpoint),
            path: state_dict.path.clone(),
            keys: state_dict.len(),
            state_dicts: checkpoint.catalog().state_dicts.len(),
        }
    }

    /// The file's name as it is shown.
    pub fn name(&self) -> String {
        self.file.path.display().to_string()
    }
}

/// The state dicts of two files that are meant; of the second the one that is named, the one at the
/// path of the first, or the only one.
pub(crate) fn selected<'a>(
    (a, first): (&Input, &'a Checkpoint),
    (b, second): (&Input, &'a Checkpoint),
) -> Result<(&'a StateDict, &'a StateDict), Error> {
    let ours = a.only(first.catalog().select(a.at.as_deref()), Role::First)?;
    let path = a.at.as_deref().unwrap_or(&ours.path);
    let same_path = second.catalog().state_dict_at(path);
    let theirs = match same_path {
        Some(same_path) if b.at.is_none() => same_path,
        _ => b.only(second.catalog().select(b.at.as_deref()), Role::Second)?,
    };
    Ok((ours, theirs))
}

/// The catalog of a file with the keys that its metadata says share another key's elements, so far
/// as the other state dict has them; none where there are none.
fn with_recorded_ties(file: &Checkpoint, own: &StateDict, other: &StateDict) -> Option<Catalog> {
    let mut catalog = file.catalog().clone();
    let place = place_of(file, own)?;
    let mut found = false;
    for (alias, kept) in file.metadata() {
        let row =
            catalog.rows.iter().position(|row| *row.path == *own.path && row.key.as_str() == kept);
        if other.contains(&alias) && !own.contains(&alias) {
            let inserted = row.map(|row| catalog.state_dicts[place].insert(alias, Some(row)));
            found |= inserted.is_some_and(|inserted| inserted.is_ok());
        }
    }
    found.then_some(catalog)
}

/// A state dict of the file's catalog, or of another one of the same form.
fn side<'a>(
    file: &'a Checkpoint,
    state_dict: &'a StateDict,
    tied: Option<&'a Catalog>,
) -> Side<'a> {
    let Some((catalog, place)) = tied.zip(place_of(file, state_dict)) else {
        return Side { catalog: file.catalog(), state_dict };
    };
    Side { catalog, state_dict: &catalog.state_dicts[place] }
}

fn place_of(file: &Checkpoint, state_dict: &StateDict) -> Option<usize> {
    file.catalog().state_dicts.iter().position(|it| std::ptr::eq(it, state_dict))
}
