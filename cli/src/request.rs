//! What is to become of a file, and what became of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use statedict_checkpoint::{Checkpoint, Existing, Overflow, Replaced, SideFiles};
use statedict_core::{
    DType, Format, Headroom, Mentions, MetadataEdits, Omitted, Planned, Policy, Ties,
    casting::{Casting, Uncast},
};

use crate::model_dtype::StaleDtype;
use crate::output::Companions;
use crate::rules::Rules;

/// What is to become of a file.
pub(crate) struct Request {
    pub(crate) file: PathBuf,
    pub(crate) rules: Rules,
    pub(crate) policy: Policy,
    /// What is to change of the text beside the tensors.
    pub(crate) metadata: MetadataEdits,
    /// The state dict; `*` for all, none where there is only one.
    pub(crate) at: Option<String>,
    pub(crate) destination: Destination,
    pub(crate) encoding: Encoding,
    /// What to do if a file to be written is there already.
    pub(crate) existing: Existing,
    pub(crate) save_plan: Option<PathBuf>,
    pub(crate) strictness: Strictness,
    pub(crate) form: Form,
    pub(crate) talk: Talk,
}

/// Where the result goes.
pub(crate) enum Destination {
    /// Nowhere: the plan is shown, with what was typed and an output for it.
    Nowhere { typed: Vec<String> },
    /// Into the file's own place.
    InPlace,
    /// Into another file, whose name chooses the format.
    File(PathBuf),
}

/// How tensors are written anew where they are.
pub(crate) struct Encoding {
    pub(crate) casting: Casting,
    pub(crate) ties: Ties,
    pub(crate) extent: Extent,
    pub(crate) spelling: Spelling,
    /// Room for longer keys in what is written.
    pub(crate) reserve: Headroom,
    pub(crate) companions: Companions,
    /// The format, if it was asked for by name.
    pub(crate) format: Option<&'static dyn Format>,
    /// Several files instead of one.
    pub(crate) sharding: Option<Sharding>,
}

/// Several files with an index.
pub(crate) struct Sharding {
    /// The most bytes of elements in each.
    pub(crate) limit: u64,
    pub(crate) format: &'static dyn Format,
}

/// How much of a file goes into a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All that there is room for.
    Whole,
    /// A state dict, and nothing beside it.
    Alone,
}

/// How a file is written that keeps its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// In the words it has.
    Kept,
    /// In words that loaders read by default.
    Plain,
}

/// What to do about what cannot be done wholly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Say so and go on.
    Note,
    /// Refuse.
    Refuse,
}

/// How the outcome is put on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// How much is said on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    All,
    Errors,
}

/// What was done, or would be.
pub(crate) struct Outcome<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) planned: &'a Planned,
    /// Names of changed keys elsewhere in the file.
    pub(crate) mentions: &'a Mentions,
    /// What is not cast though that was asked for; none if no cast was asked for.
    pub(crate) uncast: Option<&'a Uncast>,
    /// Tensors of which a cast made finite numbers infinite; known once they are written.
    pub(crate) overflows: &'a [Overflow],
    /// The file that was written; none if nothing was.
    pub(crate) output: Option<&'a Path>,
    /// How the file itself was edited, if that was asked for.
    pub(crate) replaced: Option<Replaced>,
    /// Bytes that were written, or would be.
    pub(crate) bytes: u64,
    /// How many files there are, an index excepted.
    pub(crate) files: usize,
    /// What lies beside the weights of a model folder, and went with them or did not.
    pub(crate) side_files: SideFiles,
    /// The type of numbers that the configuration still declares, if it is no longer theirs.
    pub(crate) stale_dtype: Option<StaleDtype>,
    /// What the link led to that the output replaced, if it was one.
    pub(crate) replaced_link: Option<PathBuf>,
    /// What writing the tensors anew meant; none where the file is the old one with other keys.
    pub(crate) conversion: Option<&'a Conversion>,
}

/// What came of writing tensors into a new file.
pub(crate) struct Conversion {
    pub(crate) to: &'static dyn Format,
    pub(crate) left: Omitted,
    /// Why it is left.
    pub(crate) reason: LeftReason,
    /// Groups of keys that share their elements in the old file and not in the new one.
    pub(crate) tied: Vec<Vec<String>>,
    pub(crate) ties: Ties,
    /// Groups of keys that the old file records as shared, and the new one holds.
    pub(crate) restored: Vec<Vec<String>>,
}

/// Why something is not in a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftReason {
    /// The state dict alone was asked for.
    Alone,
    /// The state dict is taken out of an object whose keys are fixed.
    Extracted,
    /// It is spread over several files, which hold tensors only.
    Shards,
    /// The format has no place for it.
    Format,
}

/// How many keys became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) renamed: usize,
    pub(crate) unchanged: usize,
    pub(crate) dropped: usize,
}

impl Request {
    /// The file to write that has a name of its own, if one is; its extension chooses the format.
    pub(crate) fn new_file(&self) -> Option<&Path> {
        match &self.destination {
            Destination::File(path) => Some(path),
            Destination::InPlace | Destination::Nowhere { .. } => None,
        }
    }

    /// The file to write, if one is.
    pub(crate) fn output(&self) -> Option<&Path> {
        match &self.destination {
            Destination::Nowhere { .. } => None,
            Destination::InPlace => Some(&self.file),
            Destination::File(path) => Some(path),
        }
    }
}

impl Outcome<'_> {
    /// Bytes that were written to the disk, if any were to be.
    pub(crate) fn bytes_written(&self) -> Option<u64> {
        self.output.map(|_| self.bytes)
    }

    /// The types that tensors get, one for each tensor that gets another one.
    pub(crate) fn casts(&self) -> impl Iterator<Item = &DType> {
        let sections = self.planned.plan.sections().iter();
        sections.flat_map(|section| section.casts().map(|(_, to)| to))
    }

    /// How many keys became what, over all state dicts; those that were left behind are none.
    pub(crate) fn counts(&self) -> Counts {
        let left = self.conversion.map(|conversion| conversion.left.keys.as_slice());
        let left: HashSet<&str> =
            left.unwrap_or_default().iter().map(|(key, _)| key.as_str()).collect();
        let mut counts = Counts::default();
        for section in self.planned.plan.sections() {
            for (old, new) in section.fates() {
                match new {
                    Some(_) if left.contains(old) => {}
                    None => counts.dropped += 1,
                    Some(new) if new == old => counts.unchanged += 1,
                    Some(_) => counts.renamed += 1,
                }
            }
        }
        counts
    }
}
