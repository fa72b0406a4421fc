//! The values of one tensor.

pub mod slice;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Existing, Index, TensorPart};
use statedict_core::DType;

use crate::jobs::error::{Advice, Error};
use crate::jobs::nearest::nearest_name;
use crate::jobs::observer::Observer;
use crate::jobs::opening::open;
use crate::jobs::target::refuse_to_save;

/// Opens a file to read the values of one of its tensors, or of a part of it.
///
/// # Example
/// ```no_run
/// use statedict::{Cat, silent};
///
/// let cat = Cat { file: "model.pth".into(), key: "fc.weight".into(), ..Cat::default() };
/// let opened = cat.run(&silent())?;
/// let part = opened.part()?;
/// println!("{} {:?}: {} bytes", part.dtype(), part.shape(), part.read()?.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cat {
    /// The file.
    pub file: PathBuf,
    /// The tensor's key, or its path where several mappings have that key.
    pub key: String,
    /// What of its first dimensions is meant; all of it if nothing.
    pub slice: Vec<Index>,
}

/// The file, opened.
pub struct Outcome {
    /// The file.
    pub checkpoint: Checkpoint,
    key: String,
    slice: Vec<Index>,
}

/// A file of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFormat {
    /// NumPy's, of one array.
    Npy,
    /// The elements' bytes and nothing else: row-major, little-endian.
    Bytes,
}

/// What became of the type of elements that were saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// They have their own.
    AsTheyAre,
    /// NumPy does not have theirs; they are in one that holds all of its numbers.
    Widened {
        /// Their own.
        from: DType,
        /// The one in the file.
        to: DType,
    },
}

impl Cat {
    /// Opens it.
    ///
    /// # Errors
    /// What keeps the file from being read; no tensor of that name, or no such part of it.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        let checkpoint = open(&self.file, observer)?;
        let (key, slice) = (self.key.clone(), self.slice.clone());
        let outcome = Outcome { checkpoint, key, slice };
        let found = outcome.part().map(|part| part.byte_len());
        match found {
            Ok(bytes) => {
                observer.begin_reading(bytes);
                Ok(outcome)
            }
            Err(error) => Err(error.advise(outcome.advice())),
        }
    }
}

impl Outcome {
    /// The tensor, or the part of it that is meant.
    ///
    /// # Errors
    /// As [`Cat::run`].
    pub fn part(&self) -> Result<TensorPart<'_>, Error> {
        Ok(self.checkpoint.part(self.key.as_str(), &self.slice)?)
    }

    /// Writes the values to a file.
    ///
    /// # Errors
    /// A file that exists and is not to be replaced, and what keeps it from being written.
    pub fn save(&self, out: &Path, as_: ValueFormat, existing: Existing) -> Result<Saved, Error> {
        refuse_to_save(Some(out), "array", [self.checkpoint.path()], existing)?;
        let (part, mut saved) = (self.part()?, Saved::AsTheyAre);
        let staged = match as_ {
            ValueFormat::Bytes => part.stage_bytes(out, existing)?,
            ValueFormat::Npy => {
                let from = part.dtype().clone();
                let part = match widened(&from) {
                    Some(to) => {
                        saved = Saved::Widened { from, to: to.clone() };
                        part.cast(&to)
                    }
                    None => part,
                };
                part.stage_npy(out, existing)?
            }
        };
        staged.commit()?;
        Ok(saved)
    }

    /// The key that was probably meant if there is none as it was typed, or where the keys are.
    fn advice(&self) -> Option<Advice> {
        let rows = &self.checkpoint.catalog().rows;
        let is_there = |row: &statedict_core::TensorEntry| {
            row.key.as_str() == self.key || row.full_path() == self.key
        };
        if rows.iter().any(is_there) {
            return None;
        }
        let meant = nearest_name(&self.key, rows.iter().map(|row| row.key.as_str()));
        Some(match meant {
            Some(meant) => Advice::Meant(meant.to_string()),
            None => Advice::ListKeys(self.checkpoint.path().to_path_buf()),
        })
    }
}

/// The least type of NumPy's that holds all numbers of one that it does not have.
fn widened(dtype: &DType) -> Option<DType> {
    use DType::{Bf16, F8E4M3, F8E4M3Fnuz, F8E5M2, F8E5M2Fnuz, F8E8M0, F16, F32};
    match dtype {
        F8E4M3 | F8E5M2 | F8E4M3Fnuz | F8E5M2Fnuz => Some(F16),
        Bf16 | F8E8M0 => Some(F32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_numpy_does_not_have_fit_into_wider_ones() {
        assert_eq!(widened(&DType::Bf16), Some(DType::F32));
        assert_eq!(widened(&DType::F8E4M3), Some(DType::F16));
        assert_eq!(widened(&DType::F16), None);
    }
}
