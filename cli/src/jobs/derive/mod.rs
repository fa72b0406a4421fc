//! The recipe that turns the keys of one file into those of another of the same weights.

mod proof;
mod sizes;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Existing, match_contents};
use statedict_core::{DType, IndexMap, StateDict, derive::Derivation, diff::Entry, diff::Side};

use crate::jobs::diff::{Compared, selected};
use crate::jobs::error::Error;
use crate::jobs::observer::Observer;
use crate::jobs::opening::open;
use crate::jobs::selection::{Input, Role};
use crate::jobs::target::{refuse_to_save, stage_text};

/// Finds the recipe that turns the keys of one file into those of another of the same weights.
///
/// # Example
/// ```no_run
/// use statedict::{Derive, Input, silent};
///
/// let derive =
///     Derive { a: Input::file("theirs.pth"), b: Input::file("ours.pth"), ..Derive::default() };
/// println!("{}", derive.run(&silent())?.recipe());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Derive {
    /// The file whose keys are to be renamed.
    pub a: Input,
    /// The file that has the keys wanted; where no path is named, its state dict is the one at the
    /// path of the first, or the only one.
    pub b: Input,
    /// Where to save the recipe.
    pub save_recipe: Option<PathBuf>,
    /// What to do if that file exists.
    pub existing: Existing,
}

/// What was found.
pub struct Outcome {
    /// The first side.
    pub a: Compared,
    /// The second side.
    pub b: Compared,
    /// Which key became which, and the rules behind it.
    pub derivation: Derivation,
    /// How many keys have elements of another type in the second file, by the types.
    pub casts: Vec<(DType, DType, usize)>,
}

impl Default for Derive {
    fn default() -> Derive {
        let (a, b) = (Input::default(), Input::default());
        Derive { a, b, save_recipe: None, existing: Existing::Refuse }
    }
}

impl Derive {
    /// Finds it, and saves it where that is wanted.
    ///
    /// # Errors
    /// What keeps the files from being compared; a recipe that does not give all of the second file
    /// is none.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        let saved = self.save_recipe.as_deref();
        let read = [self.a.file.as_path(), &self.b.file];
        refuse_to_save(saved, "recipe", read, self.existing)?;
        let (a, b) = (open(&self.a.file, observer)?, open(&self.b.file, observer)?);
        let (ours, theirs) = selected((&self.a, &a), (&self.b, &b))?;
        self.a.notice_choice(a.catalog(), ours, Role::First, observer);
        self.b.notice_choice(b.catalog(), theirs, Role::Second, observer);
        let (in_a, in_b) = (entries(&a, ours), entries(&b, theirs));
        observer.begin_reading(a.len().saturating_add(b.len()));
        let evidence = match_contents((&a, &in_a), (&b, &in_b))?;
        let derivation =
            Derivation::with_sizes(&in_a, &in_b, &evidence, &sizes::beside(&self.a.file));
        let mut outcome = Outcome {
            a: Compared::of(&a, ours),
            b: Compared::of(&b, theirs),
            casts: casts(&derivation, (&a, ours), (&b, theirs)),
            derivation,
        };
        outcome.keep_proven((&self.a.file, &a, ours), (&b, theirs))?;
        if let Some(path) = saved {
            let mut text = outcome.recipe();
            if !outcome.has_stages() {
                // A recipe that is read has one, if only one that changes nothing.
                text += "[[stage]]\nrename = \"{r..} -> {r..}\"\n";
            }
            stage_text(text, path, self.existing)?.commit()?;
        }
        Ok(outcome)
    }
}

fn entries<'a>(checkpoint: &'a Checkpoint, state_dict: &'a StateDict) -> Vec<Entry<'a>> {
    Side { catalog: checkpoint.catalog(), state_dict }.entries().collect()
}

/// How many keys get which type, which a recipe does not say.
fn casts(
    derivation: &Derivation,
    (a, ours): (&Checkpoint, &StateDict),
    (b, theirs): (&Checkpoint, &StateDict),
) -> Vec<(DType, DType, usize)> {
    let mut counts = IndexMap::<(String, String), (DType, DType, usize)>::default();
    for (old, new) in &derivation.pairs {
        if let (Some(from), Some(to)) =
            (a.catalog().tensor(ours, old), b.catalog().tensor(theirs, new))
            && from.dtype != to.dtype
        {
            let types = (from.dtype.to_string(), to.dtype.to_string());
            counts.entry(types).or_insert((from.dtype.clone(), to.dtype.clone(), 0)).2 += 1;
        }
    }
    counts.into_values().collect()
}
