//! Everything that writes: strip, add, unwrap, rename, keep, drop, apply and convert are one request.

use std::io::Write;
use std::path::Path;

use statedict_checkpoint::{Checkpoint, Overflow, PendingFiles, Replaced, SideFiles, WriteMethod};
use statedict_core::{
    Catalog, Format, IndexMap, Issue, Mentions, MetadataChange, NotSelected, Omitted, Plan,
    PlanError, Planned, Rule, Section, StateDict, TensorSet, Ties, casting::Uncast, plan,
};

use crate::failure::Failure;
use crate::model_dtype::{StaleDtype, stale_dtype};
use crate::opening::{open, open_to_replace};
use crate::output::Companions;
use crate::request::{
    Conversion, Destination, Encoding, Extent, Form, LeftReason, Outcome, Request, Spelling,
    Strictness, Talk,
};
use crate::rules::Rules;
use crate::watch::Watch;
use crate::{hints, json, output, report};

/// The format whose files hold a pickle.
const PICKLED: &str = "pth";

pub(crate) fn run(request: &Request, out: &mut dyn Write) -> Result<(), Failure> {
    request.refuse_to_overwrite()?;
    let checkpoint = match request.destination {
        Destination::InPlace => open_to_replace(&request.file)?,
        _ => open(&request.file)?,
    };
    if matches!(request.destination, Destination::InPlace) {
        output::refuse_protected(&checkpoint, request.existing)?;
    }
    let mut planned = request.plan(&checkpoint)?;
    let uncast = request.cast(&checkpoint, &mut planned.plan)?;
    let work = request.lay_out(&checkpoint, &planned.plan)?;
    let mentions = request.mentions(&checkpoint, &planned.plan, &work)?;
    let side_files = request.side_files(&checkpoint)?;
    let total = work.rewritten().map_or(checkpoint.len(), PendingFiles::len);
    let files = work.rewritten().map_or(1, PendingFiles::files);
    let replaced_link = request.new_file().and_then(output::replaced_link);
    let (checkpoint, watch) = Watch::over(checkpoint, total, request.talk)?;
    let written = watch.settle(request.write(&checkpoint, &planned.plan, &work, &side_files))?;
    let replaced = written.replaced;
    let outcome = Outcome {
        checkpoint: &checkpoint,
        planned: &planned,
        mentions: &mentions,
        overflows: &written.overflows,
        uncast: (!request.encoding.casting.is_empty()).then_some(&uncast),
        output: request.output(),
        replaced,
        bytes: replaced.map_or(total, |replaced| replaced.written),
        files: replaced.map_or(files, |replaced| replaced.files),
        replaced_link,
        stale_dtype: request.stale_dtype(&checkpoint, &planned.plan),
        side_files,
        conversion: work.conversion(),
    };
    match (request.form, outcome.output) {
        (Form::Json, _) => json::outcome(&outcome, out)?,
        (Form::Text, None) => report::plan(&outcome, out)?,
        (Form::Text, Some(_)) => {}
    }
    out.flush()?;
    if request.talk == Talk::All {
        report::tell(request, &outcome);
    }
    Ok(())
}

/// What is to be written.
enum Work {
    /// The file itself with other keys, by the cheapest way there is.
    Rename,
    /// What has been laid out; with what it means, if tensors are written anew.
    Write(PendingFiles, Option<Box<Conversion>>),
}

impl Work {
    fn rewritten(&self) -> Option<&PendingFiles> {
        match self {
            Work::Rename => None,
            Work::Write(rewritten, _) => Some(rewritten),
        }
    }

    fn conversion(&self) -> Option<&Conversion> {
        match self {
            Work::Write(_, conversion) => conversion.as_deref(),
            Work::Rename => None,
        }
    }
}

/// What came of writing.
struct Written {
    /// How the file itself was replaced, if that was asked for.
    replaced: Option<Replaced>,
    overflows: Vec<Overflow>,
}

impl Request {
    /// Does all but the writing, to see whether it can be done.
    pub(crate) fn rehearse(&self) -> Result<(), Failure> {
        self.refuse_to_overwrite()?;
        let checkpoint = Checkpoint::open(&self.file)?;
        let mut planned = self.plan(&checkpoint)?;
        self.cast(&checkpoint, &mut planned.plan)?;
        let work = self.lay_out(&checkpoint, &planned.plan)?;
        self.mentions(&checkpoint, &planned.plan, &work).map(drop)
    }

    /// Sees to it before any work that nothing is in the way.
    fn refuse_to_overwrite(&self) -> Result<(), Failure> {
        if let Some(plan) = &self.save_plan
            && (is_same_file(plan, &self.file)
                || self.output().is_some_and(|output| is_same_file(plan, output)))
        {
            let name = plan.display();
            return Err(Failure::could_not(format_args!("{name}: the plan would replace it")));
        }
        let new = self.new_file().into_iter().chain(self.save_plan.as_deref());
        output::refuse_to_overwrite(new, self.existing)
    }

    /// The format that was asked for, by its name or by that of the new file; `None` where the
    /// file keeps its own.
    fn format_wanted(
        &self,
        checkpoint: &Checkpoint,
    ) -> Result<Option<&'static dyn Format>, Failure> {
        let Encoding { format, sharding, .. } = &self.encoding;
        if let Some(sharding) = sharding {
            return Ok(Some(sharding.format));
        }
        match self.new_file() {
            Some(path) if !output::is_folder(path, checkpoint, None) => {
                output::format_of(path, *format).map(Some)
            }
            _ => Ok(*format),
        }
    }

    /// The folder that is written to, if the output is one.
    fn new_folder(&self, checkpoint: &Checkpoint) -> Option<&Path> {
        let sharding = self.encoding.sharding.as_ref();
        self.new_file().filter(|output| output::is_folder(output, checkpoint, sharding))
    }

    /// What lies beside the weights of a model folder and is carried to another.
    fn side_files(&self, checkpoint: &Checkpoint) -> Result<SideFiles, Failure> {
        match self.new_folder(checkpoint) {
            Some(output) => output::side_files(output, checkpoint, self.encoding.companions),
            None => Ok(SideFiles::default()),
        }
    }

    /// What the configuration says that goes with the weights, if it is no longer so.
    fn stale_dtype(&self, checkpoint: &Checkpoint, plan: &Plan) -> Option<StaleDtype> {
        let carried = self.new_folder(checkpoint).is_some()
            && self.encoding.companions == Companions::Carried;
        let stays = matches!(self.destination, Destination::InPlace);
        if carried || stays { stale_dtype(checkpoint, plan) } else { None }
    }

    fn plan(&self, checkpoint: &Checkpoint) -> Result<Planned, Failure> {
        let Planned { plan, unmatched_keys, mut unused_rules } = self.plan_keys(checkpoint)?;
        let there = checkpoint.metadata();
        let saved = MetadataChange::apply(plan.metadata(), there.clone());
        let unused = self.metadata.unused(&saved);
        unused_rules.extend(unused.iter().map(|pattern| format!("--drop-metadata {pattern}")));
        let wanted = MetadataChange::apply(&self.metadata.resolve(&saved), saved);
        let plan = plan.with_metadata(MetadataChange::between(&there, &wanted));
        Ok(Planned { plan, unmatched_keys, unused_rules })
    }

    fn plan_keys(&self, checkpoint: &Checkpoint) -> Result<Planned, Failure> {
        let catalog = checkpoint.catalog();
        match &self.rules {
            Rules::Stages(stages) => {
                let selected = match catalog.select(self.at.as_deref()) {
                    // Metadata are the file's, whichever state dict may be meant.
                    Err(NotSelected::Several(_))
                        if stages.is_empty() && !self.metadata.is_empty() =>
                    {
                        all(catalog)
                    }
                    selected => selected.map_err(|error| self.not_selected(&error))?,
                };
                plan(stages, catalog, &selected, self.policy)
                    .map_err(|refused| self.refused(&refused, stages, &selected))
            }
            Rules::Saved(_) if self.at.is_some() => {
                Err(Failure::could_not("a saved plan names its state dicts; leave --at out"))
            }
            Rules::Saved(saved) => saved
                .resolve(catalog, self.policy)
                .map_err(|refused| self.refused(&refused, &[], &all(catalog))),
        }
    }

    /// Writes into the plan what is to be cast; gives what is not.
    fn cast(&self, checkpoint: &Checkpoint, plan: &mut Plan) -> Result<Uncast, Failure> {
        let uncast =
            self.encoding.casting.apply(plan, checkpoint.catalog(), &checkpoint.metadata());
        if self.strictness == Strictness::Refuse && !uncast.tensors.is_empty() {
            let line = |tensor| format!("{}: {}", self.file.display(), report::not_cast(tensor));
            return Err(Failure::no(uncast.tensors.iter().map(line).collect()));
        }
        Ok(uncast)
    }

    /// The new file: the old one with other keys and types, or the tensors encoded anew.
    fn lay_out(&self, checkpoint: &Checkpoint, plan: &Plan) -> Result<Work, Failure> {
        let named = self.format_wanted(checkpoint)?;
        let to = named.unwrap_or_else(|| checkpoint.format());
        if self.encoding.spelling == Spelling::Plain && to.name() != PICKLED {
            let error = format!("--protocol is for pickles, and {} has none", to.name());
            return Err(Failure::could_not(error));
        }
        if !to.holds_metadata() && plan.metadata().iter().any(|change| change.new.is_some()) {
            let error = format!("--metadata: {} has no place for metadata", to.name());
            return Err(Failure::could_not(error).hint("safetensors and .pth have one"));
        }
        let Encoding { ties, extent, sharding, .. } = &self.encoding;
        let extracts = named.is_some() && self.is_fixed(checkpoint, plan);
        let folder = self.new_folder(checkpoint);
        let joins = checkpoint.is_sharded() && named.is_some() && folder.is_none();
        // One file of a model folder keeps its name in another, or gets the usual one.
        let in_folder = |rewritten: PendingFiles| match folder {
            Some(_) => rewritten.in_folder(output::model_name(checkpoint, to)),
            None => rewritten,
        };
        let reason = match extent {
            Extent::Alone => LeftReason::Alone,
            Extent::Whole if extracts => LeftReason::Extracted,
            Extent::Whole if sharding.is_some() => LeftReason::Shards,
            Extent::Whole => LeftReason::Format,
        };
        let anew = reason != LeftReason::Format
            || joins
            || *ties == Ties::One
            || (plan.casts() && !to.casts_in_files());
        if to.name() == checkpoint.format().name() && !anew {
            let reserve = self.encoding.reserve;
            let rewritten = match (self.encoding.spelling, &self.destination) {
                (Spelling::Kept, Destination::InPlace) if !plan.casts() => return Ok(Work::Rename),
                (Spelling::Kept, _) => checkpoint.rewrite(plan, reserve),
                (Spelling::Plain, _) => checkpoint.rewrite_plainly(plan, reserve),
            };
            let hint = plan.casts().then_some(hints::CAST_ELSEWHERE).map(String::from);
            let rewritten = rewritten.map_err(|error| Failure::from(error).hints(hint))?;
            return Ok(Work::Write(in_folder(rewritten), None));
        }
        let other = to.name() != checkpoint.format().name();
        let (section, state_dict) = self.only_section(checkpoint, plan)?;
        let unholdable = |error| Failure::unholdable(self.file.display(), &error);
        let gathered = TensorSet::gather(checkpoint.catalog(), state_dict, section, *ties);
        let (mut contents, mut left) = gathered.map_err(unholdable)?;
        let followed = checkpoint.metadata_after(section);
        contents.metadata = MetadataChange::apply(plan.metadata(), followed);
        contents.reserve = self.encoding.reserve;
        let recorded = contents.recorded_ties();
        contents.fit_into(to, &mut left);
        self.refuse_to_lose(&left)?;
        let tied = broken_ties(&contents, to, &recorded);
        let restored = if to.shares_elements() { groups(recorded) } else { Vec::new() };
        let rewritten = match &self.encoding.sharding {
            Some(sharding) => checkpoint.encode_shards(to, contents, sharding.limit),
            None if checkpoint.is_sharded() && folder.is_some() && other => {
                checkpoint.encode_shards(to, contents, checkpoint.largest_file())
            }
            None if named.is_none() || (checkpoint.is_sharded() && folder.is_some()) => {
                checkpoint.encode_alike(contents, section)
            }
            None => checkpoint.encode(to, &contents),
        };
        let conversion = Conversion { to, left, reason, tied, ties: *ties, restored };
        Ok(Work::Write(in_folder(rewritten.map_err(unholdable)?), Some(Box::new(conversion))))
    }

    /// The names of changed keys elsewhere in a file that keeps what it holds beside its tensors.
    fn mentions(
        &self,
        checkpoint: &Checkpoint,
        plan: &Plan,
        work: &Work,
    ) -> Result<Mentions, Failure> {
        let keeps = work.conversion().is_none_or(|conversion| {
            conversion.to.name() == checkpoint.format().name() && !conversion.to.casts_in_files()
        });
        let mentions = match keeps {
            true => checkpoint.mentions(plan)?,
            false => Mentions::default(),
        };
        if self.strictness == Strictness::Refuse && !mentions.not_followed.is_empty() {
            let line = |place| format!("{}: {place}", self.file.display());
            let lines = report::not_followed(&mentions).into_iter().map(line);
            return Err(
                Failure::no(lines.collect()).hint("without --strict these names stay as they are")
            );
        }
        Ok(mentions)
    }

    /// Refuses to put a file of tensors alone in the place of one that holds more.
    fn refuse_to_lose(&self, left: &Omitted) -> Result<(), Failure> {
        let replaced = self.output().is_some_and(|output| is_same_file(output, &self.file));
        if !replaced || (left.is_empty()) {
            return Ok(());
        }
        let (file, lost) = (self.file.display(), report::left_behind(left));
        let error =
            format!("{file}: writing its tensors anew would lose what lies beside them: {lost}");
        Err(Failure::no(vec![error]).hint("write another file with -o, which keeps this one"))
    }

    /// True if a conversion would take a state dict out of an object whose keys are fixed.
    fn is_fixed(&self, checkpoint: &Checkpoint, plan: &Plan) -> bool {
        let state_dicts = &checkpoint.catalog().state_dicts;
        let fixed = |at: &str| state_dicts.iter().any(|s| s.is_at(at) && s.fixed.is_some());
        plan.sections().iter().any(|section| fixed(section.at()))
    }

    /// The section of a plan for a file that can hold one state dict.
    fn only_section<'a>(
        &self,
        checkpoint: &'a Checkpoint,
        plan: &'a Plan,
    ) -> Result<(&'a Section, &'a StateDict), Failure> {
        let state_dicts = &checkpoint.catalog().state_dicts;
        let found = match plan.sections() {
            [section] => state_dicts.iter().find(|s| s.at == section.at()).map(|s| (section, s)),
            _ => None,
        };
        found.ok_or_else(|| {
            let (file, sections) = (self.file.display(), plan.sections().len());
            let error = format!(
                "{file}: a new file holds one state dict, and {sections} are selected; \
                 expected --at PATH"
            );
            match state_dicts.first() {
                Some(first) => Failure::could_not(error).hint(hints::at("--at", &first.at)),
                None => Failure::could_not(error),
            }
        })
    }

    /// Writes the output and the plan, so far as they are wanted, each wholly or not at all.
    fn write(
        &self,
        checkpoint: &Checkpoint,
        plan: &Plan,
        work: &Work,
        side_files: &SideFiles,
    ) -> Result<Written, Failure> {
        let stage =
            |(path, rewritten)| checkpoint.stage_model(rewritten, side_files, path, self.existing);
        let output = self.new_file().zip(work.rewritten()).map(stage).transpose()?;
        let saved = self
            .save_plan
            .as_deref()
            .map(|path| output::stage_text(plan.to_json(), path, self.existing));
        let saved = saved.transpose()?;
        let in_place = matches!(self.destination, Destination::InPlace);
        let replacement = work.rewritten().filter(|_| in_place);
        let replacement = replacement.map(|new| checkpoint.stage_in_place(new)).transpose()?;
        let overflows = match output.as_ref().or(replacement.as_ref()) {
            Some(staged) => checkpoint.overflows(staged, plan)?,
            None => Vec::new(),
        };
        self.refuse_to_overflow(&overflows)?;
        let replaced = match (replacement, work) {
            (Some(staged), Work::Write(new, _)) => {
                staged.commit()?;
                let (written, files) = (new.len(), new.files());
                Some(Replaced { way: WriteMethod::Replaced, written, files })
            }
            (None, Work::Rename) if in_place => {
                Some(checkpoint.rename(plan, self.encoding.reserve)?)
            }
            _ => None,
        };
        for staged in output.into_iter().chain(saved) {
            staged.commit()?;
        }
        Ok(Written { replaced, overflows })
    }

    /// Refuses casts that make finite numbers infinite, where that was asked for.
    fn refuse_to_overflow(&self, overflows: &[Overflow]) -> Result<(), Failure> {
        if self.strictness == Strictness::Note || overflows.is_empty() {
            return Ok(());
        }
        let line = |overflow: &Overflow| {
            let (file, values) = (self.file.display(), report::finite_values(overflow.values));
            format!("{file}: {values} of '{}' would become infinite", overflow.key)
        };
        Err(Failure::no(overflows.iter().map(line).collect())
            .hint("bf16 has the range of f32; --cast 'PATTERN=f32' keeps some tensors as they are"))
    }

    fn not_selected(&self, error: &NotSelected) -> Failure {
        let failure = Failure::could_not(format_args!("{}: {error}", self.file.display()));
        match error {
            NotSelected::Several(known) if !known.is_empty() => {
                failure.hint(hints::at_or_all(&known[0].0))
            }
            other => failure.hints(hints::near_path(other, "--at")),
        }
    }

    fn refused(&self, refused: &PlanError, stages: &[Rule], selected: &[&StateDict]) -> Failure {
        let line = |issue| format!("{}: {issue}", self.file.display());
        let mut failure = Failure::no(report::issues(refused).into_iter().map(line).collect());
        failure.hints = hints::for_refusal(refused, stages, selected);
        let is_fixed = |issue| matches!(issue, &Issue::Fixed { .. });
        if refused.issues.iter().any(is_fixed) {
            failure.hints.push(hints::extraction(&self.file, self.at.as_deref()));
        }
        failure
    }
}

fn all(catalog: &Catalog) -> Vec<&StateDict> {
    catalog.state_dicts.iter().collect()
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
    let written_out = if to.shares_elements() { Vec::new() } else { contents.tied() };
    let own = |group: Vec<&str>| group.into_iter().map(String::from).collect();
    groups(once).into_iter().chain(written_out.into_iter().map(own)).collect()
}

/// Keys that share elements, the one that is written first.
fn groups(ties: impl IntoIterator<Item = (String, String)>) -> Vec<Vec<String>> {
    let mut groups = IndexMap::<String, Vec<String>>::default();
    for (key, kept) in ties {
        groups.entry(kept.clone()).or_insert_with(|| vec![kept]).push(key);
    }
    groups.into_values().collect()
}

pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::fs;
    a == b || matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
