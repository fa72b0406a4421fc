//! Renaming, dropping and keeping keys: what strip, add, unwrap, rename, keep, drop and apply do.

mod adapter;
mod files;
mod outcome;
mod planning;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Existing, PendingFiles, SideFiles};
use statedict_core::{
    Format, Headroom, Mentions, MetadataEdits, Opening, Planned, Policy, Ties,
    casting::{Casting, Uncast},
};

use crate::jobs::error::Error;
use crate::jobs::join::{JoinedSource, Sources};
use crate::jobs::model_dtype::stale_dtype;
use crate::jobs::observer::Observer;
use crate::jobs::opening::{joined, open_as, open_to_replace};
use crate::jobs::rules::Rules;
use crate::jobs::selection::Choice;
use crate::jobs::sizes::SizeSources;
use crate::jobs::target::{self, Companions, Sharding};

use adapter::OpenAdapter;
use files::Work;

pub use adapter::MergeSummary;
pub(crate) use files::broken_ties;
pub use files::not_followed;
pub use outcome::{Conversion, Counts, FileSummary, OmittedBecause, Outcome};
pub use planning::not_cast;
pub(crate) use writing::Written;

/// Renames the keys of a checkpoint.
///
/// # Example
/// Strip a prefix in the file itself:
/// ```
/// use statedict::jobs::rename::{Destination, Rename};
/// use statedict::{Rules, silent};
///
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("net.safetensors");
/// # let header = br#"{"module.w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
/// # std::fs::write(&file, [&60u64.to_le_bytes()[..], header, &[7]].concat())?;
/// let rename = Rename {
///     file,
///     rules: Rules::parse(["strip:module"])?,
///     destination: Destination::InPlace,
///     ..Rename::default()
/// };
/// assert_eq!(rename.run(&silent())?.counts().renamed, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Rename {
    /// The file to read.
    pub file: PathBuf,
    /// The path of the state dict, whose last part may do; `*` for all, none where only one can be
    /// meant.
    pub at: Option<String>,
    /// How a checkpoint of many files is opened.
    pub opening: Opening,
    /// Where the new names come from.
    pub rules: Rules,
    /// Where the numbers come from that rules know by name.
    pub sizes: SizeSources,
    /// An adapter that the rules speak of.
    pub adapter: Option<PathBuf>,
    /// What is joined in place of the one file, if something is.
    pub sources: Option<Sources>,
    /// What becomes of keys that no rule recognises.
    pub policy: Policy,
    /// What is to change of the text beside the tensors.
    pub metadata: MetadataEdits,
    /// Where the result goes.
    pub destination: Destination,
    /// How tensors are encoded.
    pub encoding: Encoding,
    /// Whether what cannot be done wholly is refused.
    pub strictness: Strictness,
    /// What to do if a file to be written exists; files edited in place are then edited though they
    /// are read-only or links.
    pub existing: Existing,
    /// Where to save the plan as JSON.
    pub save_plan: Option<PathBuf>,
    /// Do all but the writing.
    pub dry_run: bool,
}

/// What is to be written, before it is.
pub(crate) struct Prepared {
    pub(crate) planned: Planned,
    merged: Option<MergeSummary>,
    uncast: Uncast,
    mentions: Mentions,
    pub(crate) work: Work,
    pub(crate) side_files: SideFiles,
    /// How many bytes it has.
    pub(crate) bytes: u64,
    replaced_link: Option<PathBuf>,
}

/// Where the result goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere: the outcome says what would be done.
    #[default]
    Nowhere,
    /// Into the file's own place.
    InPlace,
    /// Into another file, whose name chooses the format.
    File(PathBuf),
}

/// How tensors are encoded.
#[derive(Clone, Default)]
pub struct Encoding {
    /// The types that tensors are cast to.
    pub casting: Casting,
    /// How tensors that several keys share are written.
    pub ties: Ties,
    /// How much of the file goes into a new one.
    pub extent: Extent,
    /// How a file is written that keeps its format.
    pub pickles: Pickles,
    /// Room for longer keys in what is written.
    pub headroom: Headroom,
    /// What becomes of the files beside the weights in a model folder.
    pub companions: Companions,
    /// The format, if not the one that the output's name chooses.
    pub format: Option<&'static dyn Format>,
    /// Several files instead of one.
    pub sharding: Option<Sharding>,
}

/// How much of a file goes into a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// All that there is room for.
    #[default]
    Whole,
    /// A state dict, and nothing beside it; its tensors are on the CPU.
    Alone,
    /// The same where a file is joined with others, or split: nothing else was asked for.
    Tensors,
}

/// How the pickle of a file is written that keeps its format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pickles {
    /// In the protocol it has.
    #[default]
    Kept,
    /// In protocol 2, which loaders read by default.
    Protocol2,
}

/// What to do about what cannot be done wholly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Note it in the outcome and go on.
    #[default]
    Note,
    /// Refuse.
    Refuse,
}

impl Rename {
    /// Does it, or all but the writing where that is wanted.
    ///
    /// # Errors
    /// Why it was not done; nothing has been changed then.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        self.refuse_to_overwrite()?;
        let (mut checkpoint, joined) = self.open(observer)?;
        if self.destination == Destination::InPlace {
            target::refuse_protected(&checkpoint, self.existing)?;
        }
        let prepared = self.prepare(&mut checkpoint, observer)?;
        let mut written = Written::default();
        if !self.dry_run {
            observer.begin_writing(prepared.bytes);
            let ready = self.stage(&checkpoint, &prepared, observer.as_ref())?;
            written = self.commit(&checkpoint, ready, &prepared.work)?;
        }
        Ok(Outcome { joined, ..self.outcome(&checkpoint, prepared, written) })
    }

    /// Plans and lays out what is to be written.
    pub(crate) fn prepare(
        &self,
        checkpoint: &mut Checkpoint,
        observer: &Arc<dyn Observer>,
    ) -> Result<Prepared, Error> {
        let adapter = self.open_adapter(checkpoint, observer)?;
        let prepared = self.prepare_with(checkpoint, adapter.as_ref())?;
        self.refuse_unequal(checkpoint, &prepared.planned.plan)?;
        Ok(prepared)
    }

    /// Opens the adapter, if there is one; its elements lie after those of the checkpoint.
    pub(crate) fn open_adapter(
        &self,
        checkpoint: &mut Checkpoint,
        observer: &Arc<dyn Observer>,
    ) -> Result<Option<OpenAdapter>, Error> {
        let adapter = self.adapter.as_ref();
        adapter.map(|path| OpenAdapter::beside(checkpoint, path, observer)).transpose()
    }

    /// The same as [`prepare`](Rename::prepare) without reading any element.
    pub(crate) fn prepare_with(
        &self,
        checkpoint: &Checkpoint,
        adapter: Option<&OpenAdapter>,
    ) -> Result<Prepared, Error> {
        let (mut planned, merged) = self.plan(checkpoint, adapter)?;
        let uncast = self.cast(checkpoint, &mut planned.plan)?;
        let approach = self.approach(checkpoint, &planned.plan)?;
        // Before anything is laid out, which takes as much memory as what looks for them.
        let mentions = self.mentions(checkpoint, &planned.plan, &approach)?;
        let work = self.lay_out(checkpoint, (&planned.plan, adapter), &approach)?;
        let side_files = self.side_files(checkpoint)?;
        let bytes = work.pending().map_or(checkpoint.len(), PendingFiles::len);
        let replaced_link = self.new_file().and_then(target::replaced_link);
        Ok(Prepared { planned, merged, uncast, mentions, work, side_files, bytes, replaced_link })
    }

    /// The files beside the tensors whose settings may be read.
    pub(crate) fn configurations(&self) -> Vec<PathBuf> {
        let sizes = self.sizes.config.clone().map(|file| vec![file]);
        let mut files = sizes.unwrap_or_else(|| SizeSources::beside(&self.file));
        let adapter = self.adapter.as_deref().unwrap_or(&self.file);
        let merge = match &self.rules {
            Rules::Merge(rules) => Some(rules),
            Rules::Recipe(recipe) => recipe.merge.as_ref(),
            Rules::Stages(_) | Rules::Undone(_) | Rules::Saved(_) => None,
        };
        files.extend(merge.and_then(|rules| rules.configuration(adapter)));
        files.retain(|file| file.is_file());
        files
    }

    /// What was done, or would be.
    pub(crate) fn outcome(
        &self,
        checkpoint: &Checkpoint,
        prepared: Prepared,
        written: Written,
    ) -> Outcome {
        let Prepared { mut planned, merged, uncast, mentions, work, .. } = prepared;
        let files = work.pending().map_or(1, PendingFiles::files);
        let replaced = written.replaced;
        planned.plan = written.plan.unwrap_or(planned.plan);
        Outcome {
            choice: self.choice(checkpoint, &planned.plan),
            aliases: outcome::aliases(checkpoint, &planned.plan),
            mentions,
            uncast: (!self.encoding.casting.is_empty()).then_some(uncast),
            overflows: written.overflows,
            output: self.output().filter(|_| !self.dry_run).map(Path::to_path_buf),
            replaced,
            bytes: replaced.map_or(prepared.bytes, |replaced| replaced.written),
            files: replaced.map_or(files, |replaced| replaced.files),
            replaced_link: prepared.replaced_link,
            stale_dtype: self
                .keeps_configuration(checkpoint)
                .then(|| stale_dtype(checkpoint, &planned.plan))
                .flatten(),
            side_files: prepared.side_files,
            left_out: checkpoint.left_out().to_vec(),
            conversion: work.into_conversion(),
            merged,
            joined: Vec::new(),
            source: FileSummary::of(checkpoint),
            planned,
        }
    }

    /// Opens what is read, and says what was joined, if something was.
    pub(crate) fn open(
        &self,
        observer: &Arc<dyn Observer>,
    ) -> Result<(Checkpoint, Vec<JoinedSource>), Error> {
        if let Some(sources) = &self.sources {
            return sources.open(&self.opening, observer);
        }
        let checkpoint = if !self.dry_run && self.destination == Destination::InPlace {
            open_to_replace(&self.file, observer)?
        } else {
            open_as(&self.file, &self.opening(), observer)?
        };
        Ok((joined(checkpoint, self.at.as_deref())?, Vec::new()))
    }

    /// How the file is opened: as was asked for, and with what a recipe says of it.
    fn opening(&self) -> Opening {
        let mut opening = self.opening.clone();
        opening.cuts.extend(self.rules.cuts().iter().cloned());
        opening
    }

    /// The file to write that has a name of its own, if one is; its extension chooses the format.
    fn new_file(&self) -> Option<&Path> {
        match &self.destination {
            Destination::File(path) => Some(path),
            Destination::InPlace | Destination::Nowhere => None,
        }
    }

    /// The file to write, if one is.
    fn output(&self) -> Option<&Path> {
        match &self.destination {
            Destination::Nowhere => None,
            Destination::InPlace => Some(&self.file),
            Destination::File(path) => Some(path),
        }
    }

    /// Sees to it before any work that nothing is in the way.
    fn refuse_to_overwrite(&self) -> Result<(), Error> {
        let files = [self.file.as_path()].into_iter().chain(self.output());
        target::refuse_to_save_over(self.save_plan.as_deref(), "plan", files)?;
        if let (Some(sources), Some(output)) = (&self.sources, self.new_file()) {
            sources.refuse_output(output)?;
        }
        let new = self.new_file().into_iter().chain(self.save_plan.as_deref());
        target::refuse_to_overwrite(new, self.existing)
    }

    /// Which state dict was taken, where neither the request nor a plan named it.
    fn choice(&self, checkpoint: &Checkpoint, plan: &statedict_core::Plan) -> Option<Choice> {
        let (None, Rules::Stages(_) | Rules::Recipe(_) | Rules::Undone(_), [section]) =
            (&self.at, &self.rules, plan.sections())
        else {
            return None;
        };
        let catalog = checkpoint.catalog();
        let taken = catalog.state_dicts.iter().find(|it| it.path == section.path())?;
        Choice::of(catalog, taken)
    }
}
