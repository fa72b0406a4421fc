//! Merging an adapter into the model it was trained for.

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::Existing;
use statedict_core::{MetadataEdits, Template};

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;
use crate::jobs::rename::{Destination, Encoding, Outcome, Rename};
use crate::jobs::rules::Rules;
use crate::jobs::selection::Input;

/// Merges an adapter of low rank (LoRA) into the weights it was trained for: PEFT's, diffusers' or
/// kohya's.
///
/// # Example
/// ```no_run
/// use statedict::{Input, Merge, silent};
///
/// let merge = Merge {
///     base: Input::file("llama/"),
///     adapter: Some("llama-lora/".into()),
///     output: Some("llama-merged/".into()),
///     ..Merge::default()
/// };
/// println!("{} weights adapted", merge.run(&silent())?.merged.expect("merged").adapted.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Merge {
    /// The model.
    pub base: Input,
    /// The adapter: a file, or a folder with its configuration; none where both are in one file, as
    /// PEFT keeps a model in training.
    pub adapter: Option<PathBuf>,
    /// How it is merged.
    pub how: MergeRules,
    /// The file or folder to write; none to see what would be done.
    pub output: Option<PathBuf>,
    /// How tensors are encoded.
    pub encoding: Encoding,
    /// What is to change of the text beside the tensors.
    pub metadata: MetadataEdits,
    /// What to do if a file to be written exists.
    pub existing: Existing,
    /// Do all but the writing.
    pub dry_run: bool,
}

/// How an adapter is merged.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeRules {
    /// `adapter_config.json`; none for the one beside the adapter, if there is one.
    pub config: Option<PathBuf>,
    /// What stands for its `lora_alpha`.
    pub alpha: Option<f64>,
    /// What every product is multiplied by, besides its own scale.
    pub weight: f64,
    /// Keys of the adapter that are left out.
    pub drop: Vec<Template>,
}

impl Default for MergeRules {
    fn default() -> MergeRules {
        MergeRules { config: None, alpha: None, weight: 1.0, drop: Vec::new() }
    }
}

impl Merge {
    /// Does it, or all but the writing where that is wanted.
    ///
    /// # Errors
    /// Every tensor of the adapter that belongs to no weight, and whatever else keeps it from being
    /// done; nothing has been changed then.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        Rename::from(self.clone()).run(observer)
    }
}

/// A merging is a rewriting of the base whose rules are the adapter's.
impl From<Merge> for Rename {
    fn from(merge: Merge) -> Rename {
        Rename {
            file: merge.base.file,
            at: merge.base.at,
            rules: Rules::Merge(merge.how),
            adapter: merge.adapter,
            destination: merge.output.map_or(Destination::Nowhere, Destination::File),
            encoding: merge.encoding,
            metadata: merge.metadata,
            existing: merge.existing,
            dry_run: merge.dry_run,
            ..Rename::default()
        }
    }
}
