//! What became of a file whose keys were renamed, or would become of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use statedict_checkpoint::{Checkpoint, Overflow, Replaced, SideFiles};
use statedict_core::{
    DType, Format, LeftOut, Mentions, Omitted, Plan, Planned, Ties, casting::Uncast,
};

use crate::jobs::join::JoinedSource;
use crate::jobs::model_dtype::StaleDtype;
use crate::jobs::rename::MergeSummary;
use crate::jobs::selection::Choice;

/// What was done, or would be.
pub struct Outcome {
    /// The file that was read.
    pub source: FileSummary,
    /// What becomes of its keys.
    pub planned: Planned,
    /// The state dict that was taken where none was named, if others could have been.
    pub choice: Option<Choice>,
    /// State dicts that change under other paths, too, since they are one object.
    pub aliases: Vec<(String, Vec<String>)>,
    /// Names of changed keys elsewhere in the file.
    pub mentions: Mentions,
    /// What is not cast though that was asked for; none if no cast was asked for.
    pub uncast: Option<Uncast>,
    /// Tensors of which a cast made finite numbers infinite; known once they are written.
    pub overflows: Vec<Overflow>,
    /// The file that was written; none if nothing was.
    pub output: Option<PathBuf>,
    /// How the file itself was edited, if that was asked for.
    pub replaced: Option<Replaced>,
    /// Bytes that were written, or would be.
    pub bytes: u64,
    /// How many files there are, an index excepted.
    pub files: usize,
    /// What lies beside the weights of a model folder, and went with them or did not.
    pub side_files: SideFiles,
    /// The type of numbers that the configuration still declares, if it is no longer theirs.
    pub stale_dtype: Option<StaleDtype>,
    /// What the link led to that the output replaced, if it was one.
    pub replaced_link: Option<PathBuf>,
    /// What encoding the tensors again meant; none where the file is the old one with other keys.
    pub conversion: Option<Conversion>,
    /// Tensors of the file that are not whole, and were left out.
    pub left_out: Vec<LeftOut>,
    /// What was merged; none where no adapter was.
    pub merged: Option<MergeSummary>,
    /// What was joined; empty where one file was read.
    pub joined: Vec<JoinedSource>,
}

/// A file that was read.
#[derive(Clone)]
pub struct FileSummary {
    /// The file; for shards, the index or the folder, as it was opened.
    pub path: PathBuf,
    /// The folder that was opened, if a folder was.
    pub model_folder: Option<PathBuf>,
    /// What kind of file it is: `pth-legacy`, `safetensors-sharded`.
    pub kind: &'static str,
    /// Its format.
    pub format: &'static dyn Format,
    /// The kind of file that a rewrite makes of it.
    pub rewritten_as: &'static str,
    /// Several files with an index.
    pub is_sharded: bool,
}

/// What came of encoding tensors into a new file.
pub struct Conversion {
    /// The format of the new file.
    pub to: &'static dyn Format,
    /// What is not in it.
    pub omitted: Omitted,
    /// Why it is not.
    pub because: OmittedBecause,
    /// Groups of keys that share their elements in the old file and not in the new one.
    pub tied: Vec<Vec<String>>,
    /// How shared tensors were to be written.
    pub ties: Ties,
    /// Groups of keys that the old file records as shared, and the new one holds.
    pub restored: Vec<Vec<String>>,
}

/// Why something is not in a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OmittedBecause {
    /// The state dict alone was asked for.
    Alone,
    /// The state dict is taken out of an object whose keys are fixed.
    Extracted,
    /// Only tensors are taken, where files are joined or split.
    TensorsOnly,
    /// It is spread over several files, which hold tensors only.
    Shards,
    /// The tensors are encoded again, and what is beside them is not.
    Encoded,
    /// The format cannot store it.
    Format,
}

/// How many keys became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They have another name.
    pub renamed: usize,
    /// They have the same name.
    pub unchanged: usize,
    /// They are gone.
    pub dropped: usize,
    /// Their tensors are taken apart, joined or turned.
    pub regrouped: usize,
    /// How many tensors are made of those.
    pub made: usize,
}

impl FileSummary {
    pub(crate) fn of(checkpoint: &Checkpoint) -> FileSummary {
        FileSummary {
            path: checkpoint.path().to_path_buf(),
            model_folder: checkpoint.model_folder().map(Path::to_path_buf),
            kind: checkpoint.kind(),
            format: checkpoint.format(),
            rewritten_as: checkpoint.rewritten_as(),
            is_sharded: checkpoint.is_sharded(),
        }
    }
}

impl Outcome {
    /// Bytes that were written to the disk, if any were to be.
    pub fn bytes_written(&self) -> Option<u64> {
        self.output.as_ref().map(|_| self.bytes)
    }

    /// The types that tensors get, one for each tensor that gets another one.
    pub fn casts(&self) -> impl Iterator<Item = &DType> {
        let sections = self.planned.plan.sections().iter();
        sections.flat_map(|section| {
            let computed = section.tensors().into_iter().flatten();
            let computed = computed.filter_map(|(_, made)| made.cast_when_computed());
            section.casts().map(|(_, to)| to).chain(computed)
        })
    }

    /// How many keys became what, over all state dicts; those that were omitted are none.
    pub fn counts(&self) -> Counts {
        let omitted = self.conversion.as_ref().map(|conversion| conversion.omitted.keys.as_slice());
        let omitted: HashSet<&str> =
            omitted.unwrap_or_default().iter().map(|(key, _)| key.as_str()).collect();
        let mut counts = Counts::default();
        for section in self.planned.plan.sections() {
            let (regrouped, made) = section.regrouped();
            counts.regrouped += regrouped.len();
            counts.made += made;
            for (old, new) in section.fates() {
                match new {
                    Some(_) if regrouped.contains(old) => {}
                    Some(_) if omitted.contains(old) => {}
                    None => counts.dropped += 1,
                    Some(new) if new == old => counts.unchanged += 1,
                    Some(_) => counts.renamed += 1,
                }
            }
        }
        counts
    }
}

/// The state dicts of a plan that are found under other paths, too.
pub(super) fn aliases(checkpoint: &Checkpoint, plan: &Plan) -> Vec<(String, Vec<String>)> {
    let state_dicts = checkpoint.catalog().state_dicts.iter();
    let shared =
        state_dicts.filter(|it| !it.aliases.is_empty() && plan.section(&it.path).is_some());
    shared.map(|it| (it.path.clone(), it.aliases.clone())).collect()
}
