//! What came out, as text: the plan on standard output, talk on standard error.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use statedict::checkpoint::{FORMATS, Overflow, SideFiles, WriteMethod};
use statedict::core::casting::{Uncast, UncastReason};
use statedict::core::{IndexMap, Mentions, Regrouping, Section, Ties};
use statedict::jobs::model_dtype::StaleDtype;
use statedict::jobs::rename::{
    Conversion, Destination, Encoding, OmittedBecause, Outcome, not_cast, not_followed,
};
use statedict::jobs::selection::Role;
use statedict::jobs::target::{sibling, stem};
use statedict::jobs::words::{omitted, overflow_result, overflowed_values};

use crate::commands::rename::changes::{changes, counts, unprefixed};
use crate::commands::rename::{Count, RenameRequest};
use crate::failure::Failure;
use crate::hints;
use crate::hints::command_line::suggestion;
use crate::terminal::color::{Meaning, Stream, painted};
use crate::terminal::text::{NAMED, count, first_few, printable, say, size};

/// Lines of a plan that are repeated after writing; the rest is counted.
const LINES_SHOWN: usize = 20;

/// Everything that would become of the keys.
pub(crate) fn plan(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let file = outcome.source.path.display().to_string();
    writeln!(out, "{}: {}", printable(&file), counts(outcome))?;
    for line in changes(outcome) {
        let line = printable(&line);
        let is_loss = line.contains(" -> (dropped)");
        let meaning = if is_loss { Meaning::Bad } else { Meaning::Plain };
        writeln!(out, "{}", painted(Stream::Out, meaning, &line))?;
    }
    Ok(())
}

/// What was done and what is worth knowing about it.
pub(crate) fn print(request: &RenameRequest, outcome: &Outcome) {
    if let Some(output) = &outcome.output {
        say(&format!("{}: {}", written(outcome, output), counts(outcome)));
        print_changes(outcome);
        let (kind, written) = (outcome.source.kind, outcome.source.rewritten_as);
        if outcome.conversion.is_none() && kind != written {
            say(&format!("note: statedict cannot write {kind}; the new file is {written}"));
        }
    }
    if let Some(choice) = &outcome.choice {
        say(&hints::choice(choice, &outcome.source.path, Role::First));
    }
    print_aliases(outcome);
    if let (Some(output), Some(target)) = (&outcome.output, &outcome.replaced_link) {
        let (output, target) = (output.display(), target.display());
        say(&format!("note: {output} was a link to {target}, which is unchanged"));
    }
    print_side_files(&outcome.side_files);
    if let Some(StaleDtype { declared, written }) = &outcome.stale_dtype {
        say(&format!(
            "note: config.json says {declared}, and most weights are {written} now; loaders that \
             follow it cast them back"
        ));
    }
    if let Some(plan) = request.job.save_plan.as_ref().filter(|_| !request.job.dry_run) {
        say(&format!("saved the plan as {}", plan.display()));
    }
    print_unused(request, outcome);
    if outcome.planned.unmatched_keys > 0 {
        let keys = count(outcome.planned.unmatched_keys, "key");
        say(&format!(
            "note: {keys} matched no rule and keep their names (--strict to refuse, --only to drop)"
        ));
    }
    print_one_way(outcome);
    print_mentions(&outcome.mentions);
    if let Some(uncast) = &outcome.uncast {
        print_uncast(uncast);
    }
    print_overflows(&outcome.overflows);
    if let Some(conversion) = &outcome.conversion {
        print_ties(conversion);
        print_omitted(conversion);
    }
    if request.job.destination == Destination::Nowhere || request.job.dry_run {
        print_dry_run(request, outcome);
    }
}

/// That nothing was written, and the line that would do it.
fn print_dry_run(request: &RenameRequest, outcome: &Outcome) {
    let is_placed = request.job.destination != Destination::Nowhere;
    let is_joined = !outcome.joined.is_empty();
    let is_new = is_placed || is_joined || request.converts() || outcome.planned.plan.computes();
    let or_in_place = if is_new { "" } else { " (-i instead of -o replaces the file)" };
    if request.count == Count::Several {
        return say("dry run, nothing written");
    }
    say(&format!("dry run, nothing written; to apply{or_in_place}:"));
    let output = (!is_placed).then(|| suggested(request, outcome));
    say(&format!("  {}", suggestion(&request.typed, output.as_deref())));
}

/// `net-new` for the folder `net/`.
fn new_folder(folder: &Path) -> PathBuf {
    match folder.file_name() {
        Some(name) => folder.with_file_name(format!("{}-new", name.to_string_lossy())),
        None => folder.join("new"),
    }
}

/// What went along with the weights of a model folder, and what did not.
pub(crate) fn print_side_files(side_files: &SideFiles) {
    if !side_files.carried.is_empty() {
        let files = count(side_files.carried.len(), "file");
        say(&format!("  with {files} beside the weights: {}", names_of(&side_files.carried)));
    }
    if !side_files.left.is_empty() {
        say(&format!("note: not carried along, other weights: {}", names_of(&side_files.left)));
    }
}

/// The command that writes another format, if not asked otherwise.
const CONVERT: &str = "convert";

impl RenameRequest {
    /// True if another format is wanted, if not asked otherwise.
    fn converts(&self) -> bool {
        self.typed.first().is_some_and(|command| command == CONVERT)
    }
}

/// An output that is not the file itself.
fn suggested(request: &RenameRequest, outcome: &Outcome) -> PathBuf {
    let (file, own) = (&outcome.source.path, outcome.source.format);
    let Encoding { format, sharding, .. } = &request.job.encoding;
    let other = FORMATS.iter().copied().rev().find(|format| format.name() != own.name());
    let is_read_alone = own.facts().extensions.is_empty();
    let format = format.or(other.filter(|_| request.converts() || is_read_alone)).unwrap_or(own);
    if !outcome.joined.is_empty() {
        return sibling(&file.with_file_name("joined"), "", format);
    }
    if format.facts().writes_folders {
        let from = outcome.source.model_folder.as_deref().unwrap_or(file);
        return from.with_file_name(format!("{}-{}", stem(from), format.name()));
    }
    if is_read_alone && sharding.is_none() {
        return sibling(outcome.source.model_folder.as_deref().unwrap_or(file), "", format);
    }
    if let Some(folder) = &outcome.source.model_folder {
        return new_folder(folder);
    }
    if sharding.is_some() || outcome.source.is_sharded {
        return file.with_file_name(format!("{}-new", stem(file)));
    }
    let plain = sibling(file, "", format);
    let is_free = format.name() != own.name() && fs::symlink_metadata(&plain).is_err();
    if is_free { plain } else { sibling(file, "-new", format) }
}

/// What was written where, and by which way.
pub(crate) fn written(outcome: &Outcome, output: &Path) -> String {
    let format = outcome.conversion.as_ref().map_or(outcome.source.format, |c| c.to);
    let (name, output) = (format.name(), output.display());
    let bytes = size(outcome.bytes_written().unwrap_or_default());
    let files = match outcome.files {
        1 => String::new(),
        several => format!(", {several} files"),
    };
    match outcome.replaced.map(|replaced| replaced.way) {
        None | Some(WriteMethod::Replaced) => format!("wrote {output} ({name}, {bytes}{files})"),
        Some(WriteMethod::Unchanged) => format!("{output} ({name}) is already as requested"),
        Some(WriteMethod::InPlace) => format!("edited {output} in place ({name}, {bytes} written)"),
        Some(WriteMethod::Inserted) => {
            format!("edited {output} in place ({name}, {bytes} written, blocks inserted)")
        }
        Some(WriteMethod::Shared) => {
            format!("replaced {output} by a clone ({name}, {bytes} written)")
        }
    }
}

/// One object under several paths is renamed under all of them.
fn print_aliases(outcome: &Outcome) {
    for (at, aliases) in &outcome.aliases {
        let aliases = first_few(aliases, NAMED);
        say(&format!("note: '{at}' is the same object as {aliases}, so both change"));
    }
}

fn print_changes(outcome: &Outcome) {
    let lines = changes(outcome);
    for line in lines.iter().take(LINES_SHOWN) {
        say(line);
    }
    if lines.len() > LINES_SHOWN {
        say(&format!("  and {} more", count(lines.len() - LINES_SHOWN, "line")));
    }
}

/// Tensors that several keys share, and how they are written.
pub(crate) fn print_ties(conversion: &Conversion) {
    if !conversion.tied.is_empty() {
        let groups: Vec<String> = conversion.tied.iter().map(|keys| keys.join(" = ")).collect();
        let groups = first_few(&groups, NAMED);
        say(&match conversion.ties {
            Ties::Each => {
                format!("note: shared tensors duplicated (--ties one stores them once): {groups}")
            }
            Ties::One => format!("note: ties written once, under the first key: {groups}"),
        });
    }
    if !conversion.restored.is_empty() {
        let groups: Vec<String> = conversion.restored.iter().map(|keys| keys.join(" = ")).collect();
        let groups = first_few(&groups, NAMED);
        say(&format!("note: keys that the metadata records as shared are written again: {groups}"));
    }
}

/// What is not in a new file.
pub(crate) fn print_omitted(conversion: &Conversion) {
    if !conversion.omitted.is_empty() {
        let (to, omitted) = (conversion.to.name(), omitted(&conversion.omitted));
        say(&match conversion.because {
            OmittedBecause::Alone => format!("note: not written, because of --alone: {omitted}"),
            OmittedBecause::Extracted => {
                format!("note: not written, since only the state dict is extracted: {omitted}")
            }
            OmittedBecause::TensorsOnly => {
                format!("note: not written, since only tensors are taken: {omitted}")
            }
            OmittedBecause::Shards => {
                format!("note: not written, since shards hold only the state dict: {omitted}")
            }
            OmittedBecause::Encoded => {
                format!("note: not written, since only the tensors are encoded again: {omitted}")
            }
            OmittedBecause::Format => format!("note: not written, {to} cannot store it: {omitted}"),
        });
    }
}

/// Rules that recognised nothing; a recipe for families of models has some for each.
fn print_unused(request: &RenameRequest, outcome: &Outcome) {
    let unused = &outcome.planned.unused_rules;
    if request.job.rules.are_for_families() && !unused.is_empty() {
        let rules = count(unused.len(), "rule");
        return say(&format!("note: {rules} of the recipe match no key of this model"));
    }
    for rule in unused {
        say(&format!("note: '{rule}' matches no key"));
    }
}

/// Tensors from which nothing leads back, those of one reason in a line.
fn print_one_way(outcome: &Outcome) {
    for Regrouping { rule, cut, .. } in outcome.planned.regroupings.iter().filter(|it| it.cut > 0) {
        let rule = unprefixed(rule);
        say(&format!("note: one way: '{rule}' cuts off {cut} elements, which are lost"));
    }
    let mut by_reason = IndexMap::<String, Vec<&str>>::default();
    let sections = outcome.planned.plan.sections().iter();
    for (key, why) in sections.flat_map(Section::one_way) {
        by_reason.entry(why).or_default().push(key);
    }
    for (why, keys) in by_reason {
        say(&match keys.as_slice() {
            [key] => format!("note: one way: '{key}' {why}"),
            keys => format!("note: one way: each of {} {why}", count(keys.len(), "tensor")),
        });
    }
}

/// Names of keys elsewhere in the file: those that follow in a line, the others by place.
fn print_mentions(mentions: &Mentions) {
    if !mentions.followed.is_empty() {
        let places = mentions.followed.iter();
        let places = places.map(|(at, names)| format!("{at} ({})", count(names, "name")));
        let places: Vec<String> = places.collect();
        say(&format!("also renamed: {}", first_few(&places, NAMED)));
    }
    let places = not_followed(mentions);
    for place in places.iter().take(LINES_SHOWN) {
        say(&format!("note: {place}"));
    }
    if places.len() > LINES_SHOWN {
        say(&format!("note: not followed: {} more", count(places.len() - LINES_SHOWN, "place")));
    }
}

/// Numbers that casts had no room for.
pub(crate) fn print_overflows(overflows: &[Overflow]) {
    let mut by_result = IndexMap::<&str, Vec<&Overflow>>::default();
    for overflow in overflows {
        by_result.entry(overflow_result(&overflow.to)).or_default().push(overflow);
    }
    for (result, overflows) in by_result {
        let values = overflows.iter().map(|overflow| overflow.values).fold(0, u64::saturating_add);
        let values = overflowed_values(&overflows[0].to, values);
        let tensors = count(overflows.len(), "tensor");
        let keys: Vec<String> = overflows.iter().map(|overflow| overflow.key.clone()).collect();
        let keys = first_few(&keys, NAMED);
        say(&format!("note: {values} became {result} in {tensors}: {keys}"));
    }
}

/// Tensors that keep their type, and patterns that name none.
pub(crate) fn print_uncast(uncast: &Uncast) {
    for pattern in &uncast.unused_rules {
        say(&format!("note: --cast '{pattern}' matches no key"));
    }
    let (scaled, opaque): (Vec<_>, Vec<_>) =
        uncast.tensors.iter().partition(|tensor| tensor.reason == UncastReason::Scaled);
    if !scaled.is_empty() {
        let keys: Vec<_> = scaled.iter().map(|tensor| tensor.key.clone()).collect();
        let (tensors, keys) = (count(scaled.len(), "tensor"), first_few(&keys, NAMED));
        say(&format!("note: {tensors} of quantized layers not cast, scales are recorded: {keys}"));
        let key =
            scaled.iter().find(|tensor| tensor.key.ends_with(".weight")).unwrap_or(&scaled[0]);
        say(&format!("      (--cast '{}=DTYPE' casts this one anyway)", key.key));
    }
    for tensor in opaque {
        say(&format!("note: {}", not_cast(tensor)));
    }
}

fn names_of(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    first_few(&names, NAMED)
}
