//! What came out, as text: the plan on standard output, talk on standard error.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use statedict_checkpoint::{FORMATS, Overflow, SideFiles, WriteMethod};
use statedict_core::{
    DType, IndexSet, Issue, Mentions, MetadataChange, Omitted, PlanError, Section, Ties,
    casting::{Uncast, UncastReason, UncastTensor},
};

use crate::failure::Failure;
use crate::grouping::{Line, grouped, grouped_whole};
use crate::model_dtype::StaleDtype;
use crate::output::{sibling, stem};
use crate::request::{Conversion, Destination, Encoding, LeftReason, Outcome, Request};
use crate::rules::Rules;
use crate::selected::say_choice;
use crate::suggestion::suggestion;
use crate::text::{bounded, count, first_few, printable, say, size};

/// Lines of a plan that are repeated after writing; the rest is counted.
const LINES_TOLD: usize = 20;

/// Things of one kind that a sentence names; the rest is counted.
const NAMED: usize = 6;

/// Things with tensors in them that a sentence names, since they are what people look for.
const TENSORS_NAMED: usize = 24;

/// Why a plan cannot be; collisions that differ in numbers alone share a line, as renames do.
pub(crate) fn issues(refused: &PlanError) -> Vec<String> {
    let text = |issue: &Issue| match issue {
        Issue::Collision { to, .. } => (to.clone(), issue.to_string()),
        Issue::Emptied { key, .. } | Issue::Undefined { key, .. } => {
            (key.clone(), issue.to_string())
        }
        other => (other.to_string(), other.to_string()),
    };
    let texts: Vec<(String, String)> = refused.issues.iter().map(text).collect();
    let lines = grouped_whole(texts.iter().map(|(key, text)| (key.as_str(), Some(text.as_str()))));
    let line = |line: Line| {
        let more = if line.keys == 1 { String::new() } else { format!("  ({} alike)", line.keys) };
        format!("{}{more}", line.new.unwrap_or(line.old))
    };
    lines.into_iter().map(line).collect()
}

/// Everything that would become of the keys.
pub(crate) fn plan(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let file = outcome.checkpoint.path().display().to_string();
    writeln!(out, "{}: {}", printable(&file), counts(outcome))?;
    for line in changes(outcome) {
        writeln!(out, "{}", printable(&line))?;
    }
    Ok(())
}

/// What was done and what is worth knowing about it.
pub(crate) fn tell(request: &Request, outcome: &Outcome) {
    if let Some(output) = outcome.output {
        say(&format!("{}: {}", written(outcome, output), counts(outcome)));
        tell_changes(outcome);
        let (kind, written) = (outcome.checkpoint.kind(), outcome.checkpoint.rewritten_as());
        if outcome.conversion.is_none() && kind != written {
            say(&format!("note: {kind} is read only; the new file is of the kind {written}"));
        }
    }
    tell_choice(request, outcome);
    tell_aliases(outcome);
    if let (Some(output), Some(target)) = (outcome.output, &outcome.replaced_link) {
        let (output, target) = (output.display(), target.display());
        say(&format!("note: {output} was a link to {target}, which is unchanged"));
    }
    tell_side_files(&outcome.side_files);
    if let Some(StaleDtype { declared, written }) = &outcome.stale_dtype {
        say(&format!(
            "note: config.json says {declared}, and most weights are {written} now; loaders that \
             follow it cast them back"
        ));
    }
    if let Some(plan) = &request.save_plan {
        say(&format!("saved the plan as {}", plan.display()));
    }
    for rule in &outcome.planned.unused_rules {
        say(&format!("note: '{rule}' matches no key"));
    }
    if outcome.planned.unmatched_keys > 0 {
        let keys = count(outcome.planned.unmatched_keys, "key");
        say(&format!("note: {keys} passed over by the rules (--strict refuses, --only drops)"));
    }
    tell_mentions(outcome.mentions);
    if let Some(uncast) = outcome.uncast {
        tell_uncast(uncast);
    }
    tell_overflows(outcome.overflows);
    if let Some(conversion) = &outcome.conversion {
        tell_conversion(conversion);
    }
    if let Destination::Nowhere { typed } = &request.destination {
        let edits = typed.first().is_none_or(|command| command != CONVERT);
        let or_in_place = if edits { " (-i instead of -o replaces the file)" } else { "" };
        say(&format!("nothing is written yet; this would do it{or_in_place}:"));
        say(&format!("  {}", suggestion(typed, &suggested(request, outcome))));
    }
}

/// `net-new` for the folder `net/`.
fn new_folder(folder: &Path) -> PathBuf {
    match folder.file_name() {
        Some(name) => folder.with_file_name(format!("{}-new", name.to_string_lossy())),
        None => folder.join("new"),
    }
}

/// What went along with the weights of a model folder, and what did not.
pub(crate) fn tell_side_files(side_files: &SideFiles) {
    let named = |paths: &[PathBuf]| {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        first_few(&names, NAMED)
    };
    if !side_files.carried.is_empty() {
        let files = count(side_files.carried.len(), "file");
        say(&format!("  with {files} beside the weights: {}", named(&side_files.carried)));
    }
    if !side_files.left.is_empty() {
        say(&format!("note: not carried along, other weights: {}", named(&side_files.left)));
    }
}

/// The command that writes another format, if not asked otherwise.
const CONVERT: &str = "convert";

/// An output that is not the file itself.
fn suggested(request: &Request, outcome: &Outcome) -> PathBuf {
    let (file, own) = (outcome.checkpoint.path(), outcome.checkpoint.format());
    let Encoding { format, sharding, .. } = &request.encoding;
    let converts = matches!(&request.destination,
        Destination::Nowhere { typed } if typed.first().is_some_and(|it| it == CONVERT));
    let other = FORMATS.into_iter().rev().find(|format| format.name() != own.name());
    let format = format.or(other.filter(|_| converts)).unwrap_or(own);
    if let Some(folder) = outcome.checkpoint.model_folder() {
        return new_folder(folder);
    }
    if sharding.is_some() || outcome.checkpoint.is_sharded() {
        return file.with_file_name(format!("{}-new", stem(file)));
    }
    let plain = sibling(file, "", format);
    let is_free = format.name() != own.name() && fs::symlink_metadata(&plain).is_err();
    if is_free { plain } else { sibling(file, "-new", format) }
}

/// What was written where, and by which way.
fn written(outcome: &Outcome, output: &Path) -> String {
    let format = outcome.conversion.as_ref().map_or(outcome.checkpoint.format(), |c| c.to);
    let (name, output) = (format.name(), output.display());
    let bytes = size(outcome.bytes_written().unwrap_or_default());
    let files = match outcome.files {
        1 => String::new(),
        several => format!(", {several} files"),
    };
    match outcome.replaced.map(|replaced| replaced.way) {
        None | Some(WriteMethod::Replaced) => format!("wrote {output} ({name}, {bytes}{files})"),
        Some(WriteMethod::Unchanged) => format!("{output} ({name}) is as wanted"),
        Some(WriteMethod::InPlace) => format!("edited {output} in place ({name}, {bytes} written)"),
        Some(WriteMethod::Inserted) => {
            format!("edited {output} in place ({name}, {bytes} written, blocks inserted)")
        }
        Some(WriteMethod::Shared) => {
            format!("replaced {output} by a clone ({name}, {bytes} written)")
        }
    }
}

/// Which state dict was taken, where the command line and the rules named none.
fn tell_choice(request: &Request, outcome: &Outcome) {
    let catalog = outcome.checkpoint.catalog();
    if let (None, Rules::Stages(_), [section]) =
        (&request.at, &request.rules, outcome.planned.plan.sections())
        && let Some(chosen) = catalog.state_dicts.iter().find(|it| it.at == section.at())
    {
        say_choice(catalog, outcome.checkpoint.path(), chosen, "--at");
    }
}

/// One object under several paths is renamed under all of them.
fn tell_aliases(outcome: &Outcome) {
    let sections = outcome.planned.plan.sections();
    let named = |at: &str| sections.iter().any(|section| section.at() == at);
    let state_dicts = &outcome.checkpoint.catalog().state_dicts;
    for state_dict in state_dicts.iter().filter(|state_dict| named(&state_dict.at)) {
        if !state_dict.aliases.is_empty() {
            let aliases = first_few(&state_dict.aliases, NAMED);
            say(&format!(
                "note: '{}' is the same object as {aliases}, so both change",
                state_dict.at
            ));
        }
    }
}

fn tell_changes(outcome: &Outcome) {
    let lines = changes(outcome);
    for line in lines.iter().take(LINES_TOLD) {
        say(line);
    }
    if lines.len() > LINES_TOLD {
        say(&format!("  and {} more", count(lines.len() - LINES_TOLD, "line")));
    }
}

fn tell_conversion(conversion: &Conversion) {
    if !conversion.tied.is_empty() {
        let groups: Vec<String> = conversion.tied.iter().map(|keys| keys.join(" = ")).collect();
        let groups = first_few(&groups, NAMED);
        say(&match conversion.ties {
            Ties::Each => {
                format!("note: ties written out for each key (--ties one: once): {groups}")
            }
            Ties::One => format!("note: ties written once, under the first key: {groups}"),
        });
    }
    if !conversion.restored.is_empty() {
        let groups: Vec<String> = conversion.restored.iter().map(|keys| keys.join(" = ")).collect();
        let groups = first_few(&groups, NAMED);
        say(&format!("note: keys that the metadata records as shared are written again: {groups}"));
    }
    if !conversion.left.is_empty() {
        let (to, left) = (conversion.to.name(), left_behind(&conversion.left));
        say(&match conversion.reason {
            LeftReason::Alone => format!("note: not written, because of --alone: {left}"),
            LeftReason::Extracted => {
                format!("note: not written, since only the state dict is extracted: {left}")
            }
            LeftReason::Shards => {
                format!("note: not written, since shards hold only the state dict: {left}")
            }
            LeftReason::Format => {
                format!("note: left behind, for {to} has no place for it: {left}")
            }
        });
    }
}

/// Names of keys elsewhere in the file: those that follow in a line, the others by place.
fn tell_mentions(mentions: &Mentions) {
    if !mentions.followed.is_empty() {
        let place = |(at, names)| format!("{at} ({})", count(names, "name"));
        let places: Vec<String> = mentions.followed.iter().map(place).collect();
        say(&format!("also renamed: {}", first_few(&places, NAMED)));
    }
    let places = not_followed(mentions);
    for place in places.iter().take(LINES_TOLD) {
        say(&format!("note: {place}"));
    }
    if places.len() > LINES_TOLD {
        say(&format!("note: not followed: {} more", count(places.len() - LINES_TOLD, "place")));
    }
}

/// `not followed: optimizer/state, 12 names`, a line for each place.
pub(crate) fn not_followed(mentions: &Mentions) -> Vec<String> {
    let line = |(at, names)| format!("not followed: {at}, {}", count(names, "name"));
    mentions.not_followed.iter().map(line).collect()
}

/// `1 finite value`, `2 finite values`.
pub(crate) fn finite_values(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "finite value")
}

/// Numbers that a cast made infinite.
pub(crate) fn tell_overflows(overflows: &[Overflow]) {
    if overflows.is_empty() {
        return;
    }
    let values = overflows.iter().map(|overflow| overflow.values).fold(0, u64::saturating_add);
    let (values, tensors) = (finite_values(values), count(overflows.len(), "tensor"));
    let keys: Vec<String> = overflows.iter().map(|overflow| overflow.key.clone()).collect();
    let keys = first_few(&keys, NAMED);
    say(&format!("note: {values} became infinite in {tensors}: {keys}"));
}

/// Tensors that keep their type, and patterns that name none.
fn tell_uncast(uncast: &Uncast) {
    for pattern in &uncast.unused_rules {
        say(&format!("note: --cast '{pattern}' matches no key"));
    }
    let scaled = |tensor: &&UncastTensor| tensor.reason == UncastReason::Scaled;
    let (scaled, opaque): (Vec<_>, Vec<_>) = uncast.tensors.iter().partition(scaled);
    let named = |tensors: &[&UncastTensor]| {
        let keys: Vec<_> = tensors.iter().map(|tensor| tensor.key.clone()).collect();
        first_few(&keys, NAMED)
    };
    if !scaled.is_empty() {
        let (tensors, keys) = (count(scaled.len(), "tensor"), named(&scaled));
        say(&format!("note: {tensors} of quantized layers not cast, scales are recorded: {keys}"));
        let key =
            scaled.iter().find(|tensor| tensor.key.ends_with(".weight")).unwrap_or(&scaled[0]);
        say(&format!("      (--cast '{}=DTYPE' casts this one all the same)", key.key));
    }
    for tensor in opaque {
        say(&format!("note: {}", not_cast(tensor)));
    }
}

/// That a tensor keeps its type, and why.
pub(crate) fn not_cast(tensor: &UncastTensor) -> String {
    match &tensor.reason {
        UncastReason::Scaled => {
            format!("'{}' is not cast: it belongs to a quantized layer", tensor.key)
        }
        UncastReason::Layout(layout) => {
            format!("'{}' is not cast: its layout is {layout}", tensor.key)
        }
        UncastReason::Unnamed => format!("'{}' is not cast: its key is no text", tensor.key),
    }
}

/// What has no place in a new file: first what holds tensors, and of the rest the first few.
pub(crate) fn left_behind(left: &Omitted) -> String {
    let metadata = left.metadata.iter().map(|key| (key.clone(), "metadata".to_string()));
    let metadata: Vec<_> = metadata.collect();
    let all = left.keys.iter().chain(&metadata).chain(&left.payload);
    let holds_tensors = |kind: &str| kind.ends_with("tensor") || kind.ends_with("tensors");
    let (tensors, rest): (Vec<_>, Vec<_>) = all.partition(|(_, kind)| holds_tensors(kind));
    let few = NAMED.max(tensors.len().min(TENSORS_NAMED));
    let all = tensors.into_iter().chain(rest);
    first_few(&all.map(|(path, kind)| format!("{path} ({kind})")).collect::<Vec<_>>(), few)
}

/// `10 keys renamed, 2 unchanged, 1 dropped; 12 tensors cast to F16`, without what there is none of.
fn counts(outcome: &Outcome) -> String {
    let (keys, casts) = (key_counts(outcome), outcome.casts().count());
    if casts == 0 {
        return keys;
    }
    let types: IndexSet<&str> = outcome.casts().map(DType::name).collect();
    let types = types.into_iter().collect::<Vec<_>>().join(" and ");
    format!("{keys}; {} cast to {types}", count(casts, "tensor"))
}

fn key_counts(outcome: &Outcome) -> String {
    let counts = outcome.counts();
    let all =
        [(counts.renamed, "renamed"), (counts.unchanged, "unchanged"), (counts.dropped, "dropped")];
    let mut some = all.into_iter().filter(|(number, _)| *number > 0);
    let Some((number, what)) = some.next() else { return "no keys".into() };
    some.fold(format!("{} {what}", count(number, "key")), |text, (number, what)| {
        format!("{text}, {number} {what}")
    })
}

/// The changes of every section, under its path where there is one.
fn changes(outcome: &Outcome) -> Vec<String> {
    let sections = outcome.planned.plan.sections();
    let mut lines = Vec::new();
    for section in sections {
        let changes = grouped(changed(section));
        let named = sections.len() > 1 || !section.at().is_empty();
        if named && !changes.is_empty() {
            lines.push(format!("in '{}':", section.at()));
        }
        lines.extend(changes.iter().map(change));
    }
    lines.extend(outcome.planned.plan.metadata().iter().map(metadata_change));
    lines
}

/// `  metadata author: 'me' -> 'you'`.
fn metadata_change(change: &MetadataChange) -> String {
    let shown = |text: &Option<String>| match text {
        Some(text) => format!("'{}'", bounded(text)),
        None => "(none)".to_string(),
    };
    let MetadataChange { key, old, new } = change;
    let new = new.as_ref().map_or("(dropped)".to_string(), |_| shown(new));
    format!("  metadata {}: {} -> {new}", bounded(key), shown(old))
}

fn changed(section: &Section) -> impl Iterator<Item = (&str, Option<&str>)> {
    section.fates().filter(|(old, new)| *new != Some(old))
}

fn change(line: &Line) -> String {
    let keys = if line.keys == 1 { String::new() } else { format!("  ({} keys)", line.keys) };
    let new = line.new.as_deref().unwrap_or("(dropped)");
    format!("  {} -> {new}{keys}", line.old)
}
