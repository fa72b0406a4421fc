//! Writing a checkpoint in another format.

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::Existing;
use statedict_core::{MetadataEdits, Opening, Policy, Unmatched};

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;
use crate::jobs::rename::{Destination, Encoding, Outcome, Rename, Strictness};

/// Writes a checkpoint in another format, cast and split into shards if asked; keys keep their names.
///
/// # Example
/// ```no_run
/// use statedict::{Convert, silent};
///
/// let convert = Convert {
///     file: "model.pth".into(),
///     output: Some("model.safetensors".into()),
///     ..Convert::default()
/// };
/// for (key, kind) in &convert.run(&silent())?.conversion.expect("another format").omitted.payload {
///     println!("not written: {key} ({kind})");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Convert {
    /// The file to read.
    pub file: PathBuf,
    /// The path of the state dict; none where only one can be meant.
    pub at: Option<String>,
    /// How a checkpoint of many files is opened.
    pub opening: Opening,
    /// The file to write, whose extension chooses the format; none to see what would be done.
    pub output: Option<PathBuf>,
    /// How tensors are encoded.
    pub encoding: Encoding,
    /// What is to change of the text beside the tensors.
    pub metadata: MetadataEdits,
    /// Whether what cannot be done wholly is refused.
    pub strictness: Strictness,
    /// What to do if a file to be written exists.
    pub existing: Existing,
    /// Where to save the plan as JSON.
    pub save_plan: Option<PathBuf>,
    /// Do all but the writing.
    pub dry_run: bool,
}

impl Convert {
    /// Does it, or all but the writing where that is wanted.
    ///
    /// # Errors
    /// Why it was not done; nothing has been changed then.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        Rename::from(self.clone()).run(observer)
    }
}

/// A conversion is a renaming without rules.
impl From<Convert> for Rename {
    fn from(convert: Convert) -> Rename {
        let Convert {
            file,
            at,
            opening,
            output,
            encoding,
            metadata,
            strictness,
            existing,
            save_plan,
            dry_run,
        } = convert;
        Rename {
            file,
            at,
            opening,
            policy: Policy { unmatched: Unmatched::Allow, ..Policy::default() },
            destination: output.map_or(Destination::Nowhere, Destination::File),
            encoding,
            metadata,
            strictness,
            existing,
            save_plan,
            dry_run,
            ..Rename::default()
        }
    }
}
