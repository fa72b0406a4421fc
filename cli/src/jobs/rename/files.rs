//! The new files: the old ones with other keys, or the tensors encoded again.

use std::path::Path;

use statedict_checkpoint::{Checkpoint, PendingFiles, SideFiles};
use statedict_core::{
    Format, IndexMap, Mentions, MetadataChange, Omitted, Plan, Section, StateDict, TensorSet, Ties,
};

use crate::jobs::error::{Advice, Error};
use crate::jobs::rename::adapter::OpenAdapter;
use crate::jobs::rename::{
    Conversion, Destination, Encoding, Extent, OmittedBecause, Pickles, Rename, Strictness,
};
use crate::jobs::selection::Role;
use crate::jobs::target::{self, Companions, is_same_file};
use crate::jobs::words;

/// The format whose files hold a pickle.
const PICKLED: &str = "pth";

/// How a plan becomes files.
pub(super) struct Approach {
    /// The format that was asked for; none where the file keeps its own.
    named: Option<&'static dyn Format>,
    to: &'static dyn Format,
    /// Why tensors are encoded again, if they are.
    encodes: Option<OmittedBecause>,
}

/// What is to be written.
pub(crate) enum Work {
    /// The file itself with other keys, by the cheapest way there is.
    Rename,
    /// What has been laid out; with what it means, if tensors are encoded again.
    Write(PendingFiles, Option<Box<Conversion>>),
}

impl Work {
    pub(crate) fn pending(&self) -> Option<&PendingFiles> {
        match self {
            Work::Rename => None,
            Work::Write(pending, _) => Some(pending),
        }
    }

    pub(super) fn into_conversion(self) -> Option<Conversion> {
        match self {
            Work::Write(_, conversion) => conversion.map(|conversion| *conversion),
            Work::Rename => None,
        }
    }
}

impl Rename {
    /// The format that was asked for, by its name or by that of the new file; `None` where the
    /// file keeps its own.
    fn format_wanted(&self, checkpoint: &Checkpoint) -> Result<Option<&'static dyn Format>, Error> {
        let Encoding { format, sharding, .. } = &self.encoding;
        match self.new_file() {
            None => Ok(sharding.map(|sharding| sharding.format).or(*format)),
            Some(path) if self.is_folder(path, checkpoint) => {
                target::format_of_folder(path, *format, sharding.as_ref())
            }
            Some(path) => target::format_of(path, *format).map(Some),
        }
    }

    fn is_folder(&self, output: &Path, checkpoint: &Checkpoint) -> bool {
        let Encoding { format, sharding, .. } = &self.encoding;
        target::is_folder(output, checkpoint, *format, sharding.as_ref())
    }

    /// True if the file keeps its form, in which it holds all of its state dicts.
    pub(super) fn keeps_form(&self, checkpoint: &Checkpoint) -> bool {
        let own = checkpoint.format().name();
        let wanted = self.format_wanted(checkpoint);
        self.omitted_because(false) == OmittedBecause::Format
            && wanted.is_ok_and(|to| to.is_none_or(|to| to.name() == own))
    }

    /// The folder that is written to, if the output is one.
    fn new_folder(&self, checkpoint: &Checkpoint) -> Option<&Path> {
        self.new_file().filter(|output| self.is_folder(output, checkpoint))
    }

    /// What lies beside the weights of a model folder and is copied to another.
    pub(super) fn side_files(&self, checkpoint: &Checkpoint) -> Result<SideFiles, Error> {
        match self.new_folder(checkpoint) {
            Some(output) => target::side_files(output, checkpoint, self.encoding.companions),
            None => Ok(SideFiles::default()),
        }
    }

    /// True if the configuration beside the weights stays with them.
    pub(super) fn keeps_configuration(&self, checkpoint: &Checkpoint) -> bool {
        let copied = self.encoding.companions == Companions::Copied;
        self.destination == Destination::InPlace
            || (copied && self.new_folder(checkpoint).is_some())
    }

    /// Whether the old file gets other keys and types, or its tensors are encoded again.
    pub(super) fn approach(&self, checkpoint: &Checkpoint, plan: &Plan) -> Result<Approach, Error> {
        let named = self.format_wanted(checkpoint)?;
        let to = named.unwrap_or_else(|| checkpoint.format());
        self.refuse_impossible(plan, to)?;
        let is_folder = self.new_folder(checkpoint).is_some();
        let joins = checkpoint.is_sharded() && named.is_some() && !is_folder;
        let asked = self.omitted_because(named.is_some() && is_fixed(checkpoint, plan));
        let is_other = to.name() != checkpoint.format().name();
        let encodes = is_other
            || asked != OmittedBecause::Format
            || joins
            || self.ties(plan) == Ties::One
            || plan.computes()
            || (plan.casts() && !to.facts().casts_in_files);
        let because = match asked {
            OmittedBecause::Format if !is_other => OmittedBecause::Encoded,
            asked => asked,
        };
        Ok(Approach { named, to, encodes: encodes.then_some(because) })
    }

    /// The new file.
    pub(super) fn lay_out(
        &self,
        checkpoint: &Checkpoint,
        (plan, adapter): (&Plan, Option<&OpenAdapter>),
        approach: &Approach,
    ) -> Result<Work, Error> {
        let Approach { named, to, encodes } = *approach;
        let folder = self.new_folder(checkpoint);
        let work = match encodes {
            Some(because) => self.encode(checkpoint, (plan, adapter), (named, to), because)?,
            None => match self.rewrite(checkpoint, plan) {
                // What cannot be left out of its files, or renamed in them, can be written again.
                Err(_) if named.is_some() && to.facts().writes_folders => {
                    let because = OmittedBecause::Encoded;
                    self.encode(checkpoint, (plan, adapter), (named, to), because)?
                }
                rewritten => rewritten?,
            },
        };
        // One file of a model folder keeps its name in another, or gets the usual one.
        Ok(match (work, folder) {
            (Work::Write(pending, conversion), Some(_)) => {
                Work::Write(pending.in_folder(target::model_name(checkpoint, to)), conversion)
            }
            (work, _) => work,
        })
    }

    /// How tensors that share their elements are written: once, if the request or the plan says so.
    pub(super) fn ties(&self, plan: &Plan) -> Ties {
        if self.encoding.ties == Ties::One { Ties::One } else { plan.ties() }
    }

    /// Refuses what a format has no place for, and what is not done in place.
    fn refuse_impossible(&self, plan: &Plan, to: &dyn Format) -> Result<(), Error> {
        if plan.computes() && self.destination == Destination::InPlace {
            let problem = "the plan computes tensors, and in place only names change";
            return Err(Error::in_file(&self.file, problem).advise(Advice::WriteElsewhere));
        }
        if self.encoding.pickles == Pickles::Protocol2 && to.name() != PICKLED {
            let error = format!("--protocol is for pickles, and {} has none", to.name());
            return Err(Error::failed(error));
        }
        target::refuse_metadata(plan.metadata(), to)
    }

    /// Why something would not be in a new file.
    fn omitted_because(&self, extracts: bool) -> OmittedBecause {
        match self.encoding.extent {
            Extent::Alone => OmittedBecause::Alone,
            Extent::Tensors => OmittedBecause::TensorsOnly,
            Extent::Whole if extracts => OmittedBecause::Extracted,
            Extent::Whole if self.encoding.sharding.is_some() => OmittedBecause::Shards,
            Extent::Whole => OmittedBecause::Format,
        }
    }

    /// The old file with other keys and types.
    fn rewrite(&self, checkpoint: &Checkpoint, plan: &Plan) -> Result<Work, Error> {
        let headroom = self.encoding.headroom;
        let pending = match (self.encoding.pickles, &self.destination) {
            (Pickles::Kept, Destination::InPlace) if !plan.casts() => return Ok(Work::Rename),
            (Pickles::Kept, _) => checkpoint.rewrite(plan, headroom),
            (Pickles::Protocol2, _) => checkpoint.rewrite_plainly(plan, headroom),
        };
        let advice = plan.casts().then_some(Advice::CastLess);
        let pending = pending.map_err(|error| Error::from(error).advise(advice))?;
        Ok(Work::Write(pending, None))
    }

    /// A new file with the tensors of one state dict.
    fn encode(
        &self,
        checkpoint: &Checkpoint,
        (plan, adapter): (&Plan, Option<&OpenAdapter>),
        (named, to): (Option<&'static dyn Format>, &'static dyn Format),
        because: OmittedBecause,
    ) -> Result<Work, Error> {
        let Encoding { sharding, headroom, .. } = &self.encoding;
        let ties = self.ties(plan);
        let (section, state_dict) = self.only_section(checkpoint, plan)?;
        let unsupported = |error| Error::unsupported(&self.file, &error);
        let of_adapter = |key: &str| adapter?.tensor(key);
        let catalog = checkpoint.catalog();
        let gathered = TensorSet::gather_with(catalog, state_dict, section, ties, &of_adapter);
        let (mut contents, mut omitted) = gathered.map_err(unsupported)?;
        let followed = checkpoint.metadata_after(section);
        contents.metadata = MetadataChange::apply(plan.metadata(), followed);
        contents.reserve = *headroom;
        let recorded = contents.recorded_ties();
        contents.fit_into(to, &mut omitted);
        self.refuse_to_lose(&omitted)?;
        let tied = broken_ties(&contents, to, &recorded);
        let restored = if to.facts().shares_elements { groups(recorded) } else { Vec::new() };
        let (folder, is_sharded) = (self.new_folder(checkpoint), checkpoint.is_sharded());
        let is_other = to.name() != checkpoint.format().name();
        let pending = match sharding {
            Some(sharding) => checkpoint.encode_shards(to, contents, sharding.limit),
            None if is_sharded && folder.is_some() && is_other => {
                checkpoint.encode_shards(to, contents, checkpoint.largest_file())
            }
            None if named.is_none() || (is_sharded && folder.is_some()) => {
                checkpoint.encode_alike(contents, section)
            }
            None => checkpoint.encode(to, &contents),
        };
        let conversion = Conversion { to, omitted, because, tied, ties, restored };
        Ok(Work::Write(pending.map_err(unsupported)?, Some(Box::new(conversion))))
    }

    /// The names of changed keys elsewhere in a file that keeps what it holds beside its tensors.
    pub(super) fn mentions(
        &self,
        checkpoint: &Checkpoint,
        plan: &Plan,
        approach: &Approach,
    ) -> Result<Mentions, Error> {
        let Approach { to, encodes, .. } = approach;
        let is_same = to.name() == checkpoint.format().name();
        if encodes.is_some() && (!is_same || to.facts().casts_in_files) {
            return Ok(Mentions::default());
        }
        let mentions = checkpoint.mentions(plan)?;
        if self.strictness == Strictness::Refuse && !mentions.not_followed.is_empty() {
            let places = not_followed(&mentions).into_iter();
            let lines = places.map(|place| format!("{}: {place}", self.file.display()));
            return Err(Error::refused(lines.collect()).advise(Advice::LeaveMentions));
        }
        Ok(mentions)
    }

    /// Refuses to put a file of tensors alone in the place of one that holds more.
    fn refuse_to_lose(&self, omitted: &Omitted) -> Result<(), Error> {
        let replaced = self.output().is_some_and(|output| is_same_file(output, &self.file));
        if !replaced || omitted.is_empty() {
            return Ok(());
        }
        let lost = words::omitted(omitted);
        let error = format!("writing only its tensors would lose what lies beside them: {lost}");
        let error = format!("{}: {error}", self.file.display());
        Err(Error::refused(vec![error]).advise(Advice::WriteElsewhere))
    }

    /// The section of a plan for a file that can hold one state dict.
    fn only_section<'a>(
        &self,
        checkpoint: &'a Checkpoint,
        plan: &'a Plan,
    ) -> Result<(&'a Section, &'a StateDict), Error> {
        let state_dicts = &checkpoint.catalog().state_dicts;
        if let [section] = plan.sections()
            && let Some(state_dict) = state_dicts.iter().find(|s| s.path == section.path())
        {
            return Ok((section, state_dict));
        }
        let problem = format!(
            "a new file holds one state dict, and {} are selected; expected --at PATH",
            plan.sections().len()
        );
        let first = state_dicts.first();
        let advice = first.map(|it| Advice::Select { of: Role::First, path: it.path.clone() });
        Err(Error::in_file(&self.file, problem).advise(advice))
    }
}

/// True if a conversion would take a state dict out of an object whose keys are fixed.
fn is_fixed(checkpoint: &Checkpoint, plan: &Plan) -> bool {
    let state_dicts = &checkpoint.catalog().state_dicts;
    let mut fixed = state_dicts.iter().filter(|state_dict| state_dict.fixed.is_some());
    fixed.any(|state_dict| plan.sections().iter().any(|section| state_dict.is_at(section.path())))
}

/// `not followed: optimizer/state, 12 names`, a line for each place.
pub fn not_followed(mentions: &Mentions) -> Vec<String> {
    let places = mentions.not_followed.iter();
    places
        .map(|(at, names)| format!("not followed: {at}, {}", words::count(names, "name")))
        .collect()
}

/// Keys that share elements in the old file and do not in the new one, the first as it is written.
///
/// What the old file `recorded` as shared it did not hold either.
pub(crate) fn broken_ties(
    contents: &TensorSet,
    to: &dyn Format,
    recorded: &[(String, String)],
) -> Vec<Vec<String>> {
    let once = contents.ties.iter().filter(|tie| !recorded.contains(tie)).cloned();
    let written_out = if to.facts().shares_elements { Vec::new() } else { contents.tied() };
    let mut all: Vec<Vec<String>> = groups(once);
    all.extend(written_out.into_iter().map(|group| group.into_iter().map(String::from).collect()));
    all
}

/// Keys that share elements, the one that is written first.
fn groups(ties: impl IntoIterator<Item = (String, String)>) -> Vec<Vec<String>> {
    let mut groups = IndexMap::<String, Vec<String>>::default();
    for (key, kept) in ties {
        groups.entry(kept.clone()).or_insert_with(|| vec![kept]).push(key);
    }
    groups.into_values().collect()
}
