//! What came of fitting a checkpoint into a model.

use std::path::PathBuf;

use statedict_checkpoint::{Overflow, SideFiles};
use statedict_core::{
    Format, MetadataChange, Omitted,
    fit::{Composite, Fit, FitError, Made},
};

use crate::jobs::fit::ComputedTensor;
use crate::jobs::rename::FileSummary;

/// What was found, and what was written.
pub struct Outcome {
    /// The checkpoint that was read.
    pub source: FileSummary,
    /// Which keys belong together.
    pub fit: Fit,
    /// The recipe of the library by which it fits, if one was applied before.
    pub recipe: Option<String>,
    /// The tensors that this recipe takes apart, joins or turns; they are not among the pairs.
    pub computed: Vec<ComputedTensor>,
    /// If it does not fit: tensors that one side has joined, stacked or transposed.
    pub composites: Vec<Composite>,
    /// If it does not fit: recipes of the library that lead from the names it has to the model's.
    pub recipes: Vec<String>,
    /// What the new file is made of, or why there can be none.
    pub result: Result<OutputSummary, Vec<FitError>>,
    /// The file that was written; none if nothing was.
    pub output: Option<PathBuf>,
    /// Tensors of which a cast made finite numbers infinite; known once they are written.
    pub overflows: Vec<Overflow>,
}

/// What a new file is made of.
pub struct OutputSummary {
    /// Tensors that the checkpoint does not have.
    pub made: Vec<Made>,
    /// What of the checkpoint is not in the new file.
    pub omitted: Omitted,
    /// What changes of the text beside the tensors.
    pub metadata: Vec<MetadataChange>,
    /// The format.
    pub to: &'static dyn Format,
    /// Groups of keys that share their elements in the old file and not in the new one.
    pub tied: Vec<Vec<String>>,
    /// Bytes of the new files.
    pub bytes: u64,
    /// How many files there are, an index excepted.
    pub files: usize,
    /// What lies beside the weights of a model folder, and goes with them or does not.
    pub side_files: SideFiles,
}
