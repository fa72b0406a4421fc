//! What came out, as JSON.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use statedict::checkpoint::{Overflow, WriteMethod};
use statedict::core::casting::{UncastReason, UncastTensor};
use statedict::core::{MetadataChange, Omitted, Places, Regrouping};
use statedict::jobs::join::JoinedSource;
use statedict::jobs::rename::{MergeSummary, Outcome};

use crate::failure::Failure;
use crate::json::{NotWhole, SCHEMA_VERSION, path_bytes, put};

/// What a command that writes did.
#[derive(Serialize)]
struct Done<'a> {
    schema_version: u32,
    file: String,
    /// The bytes of a path that is not UTF-8, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<String>,
    format: &'a str,
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_bytes: Option<String>,
    written: bool,
    /// What the output was a link to before.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_link: Option<String>,
    /// Files beside the weights of a model folder that went along, and weights that did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    side_files: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_carried: Vec<String>,
    /// What the configuration says of the weights that is no longer so.
    #[serde(skip_serializing_if = "Option::is_none")]
    declared_dtype: Option<&'a str>,
    /// How a file was edited in place.
    way: Option<&'static str>,
    bytes_written: Option<u64>,
    renamed: usize,
    unchanged: usize,
    dropped: usize,
    /// Keys whose tensors are taken apart, joined or turned, and the tensors made of them, if any are.
    #[serde(skip_serializing_if = "Option::is_none")]
    regrouped: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<usize>,
    /// What each rule makes of tensors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    regroupings: Vec<Regrouped<'a>>,
    passed_over: usize,
    idle: &'a [String],
    /// Names of changed keys elsewhere in the file that follow, if there are such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    followed: Vec<Place<'a>>,
    /// The same of those that stay as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_followed: Vec<Place<'a>>,
    /// Tensors that are not whole, and are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<NotWhole<'a>>,
    /// Present if tensors were to be cast.
    #[serde(skip_serializing_if = "Option::is_none")]
    cast: Option<Cast<'a>>,
    ties: &'a [Vec<String>],
    restored_ties: &'a [Vec<String>],
    left_behind: Behind<'a>,
    metadata: Vec<Retexted<'a>>,
    /// What was merged, if an adapter was.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<MergedJson<'a>>,
    /// What was joined, if something was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    joined: Vec<JoinedJson<'a>>,
    /// Tensors from which nothing leads back, if there are such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    one_way: Vec<OneWay<'a>>,
    plan: Value,
}

/// What a rule makes of the tensors that it recognises.
#[derive(Serialize)]
struct Regrouped<'a> {
    at: &'a str,
    rule: &'a str,
    groups: usize,
    from: usize,
    to: usize,
    /// How many elements it cuts off and loses.
    cut: u64,
    /// The tensors of the first group with their shapes, and those that are made of them.
    example: [&'a [(String, Vec<u64>)]; 2],
}

/// An adapter that was merged.
#[derive(Serialize)]
struct MergedJson<'a> {
    /// None where it is in the file itself.
    adapter: Option<String>,
    adapted: Vec<Adapted<'a>>,
    replaced: &'a [String],
    dropped: &'a [String],
}

/// A state dict that was joined with others.
#[derive(Serialize)]
struct JoinedJson<'a> {
    file: String,
    at: &'a str,
    prefix: &'a str,
    keys: usize,
}

/// A weight that has an adapter merged.
#[derive(Serialize)]
struct Adapted<'a> {
    key: &'a str,
    rank: u64,
    scale: f64,
}

/// A tensor from which nothing leads back.
#[derive(Serialize)]
struct OneWay<'a> {
    at: &'a str,
    key: &'a str,
    why: String,
}

/// A place with names of keys, and how many there are.
#[derive(Serialize)]
struct Place<'a> {
    at: &'a str,
    names: usize,
}

/// What came of casts.
#[derive(Serialize)]
struct Cast<'a> {
    /// How many tensors get another element type.
    tensors: usize,
    not_cast: Vec<NotCast<'a>>,
    unused_rules: &'a [String],
    /// Tensors of which numbers were beyond the range of the new type.
    overflows: Vec<Infinite<'a>>,
}

/// A tensor of which a cast has no room for some numbers.
#[derive(Serialize)]
struct Infinite<'a> {
    at: &'a str,
    key: &'a str,
    /// The type it is cast to.
    dtype: &'a str,
    values: u64,
}

/// A tensor that keeps its type though a rule is for it.
#[derive(Serialize)]
struct NotCast<'a> {
    at: &'a str,
    key: &'a str,
    why: String,
}

/// What became of a metadata entry.
#[derive(Serialize)]
pub(crate) struct Retexted<'a> {
    key: &'a str,
    old: Option<&'a str>,
    new: Option<&'a str>,
}

/// What has no place in a new file.
#[derive(Default, Serialize)]
pub(crate) struct Behind<'a> {
    keys: Vec<&'a str>,
    metadata: &'a [String],
    payload: Vec<Thing<'a>>,
}

#[derive(Serialize)]
struct Thing<'a> {
    at: &'a str,
    kind: &'a str,
}

/// One object that says what was done, or would be.
pub(crate) fn outcome(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let counts = outcome.counts();
    let conversion = outcome.conversion.as_ref();
    let left_behind = conversion.map(|it| Behind::of(&it.omitted)).unwrap_or_default();
    let ties = conversion.map_or([].as_slice(), |it| it.tied.as_slice());
    let restored_ties = conversion.map_or([].as_slice(), |it| it.restored.as_slice());
    let done = Done {
        schema_version: SCHEMA_VERSION,
        file: outcome.source.path.display().to_string(),
        file_bytes: path_bytes(&outcome.source.path),
        format: outcome.source.kind,
        output: outcome.output.as_ref().map(|path| path.display().to_string()),
        output_bytes: outcome.output.as_deref().and_then(path_bytes),
        written: outcome.output.is_some(),
        replaced_link: outcome.replaced_link.as_ref().map(|path| path.display().to_string()),
        side_files: shown(&outcome.side_files.carried),
        not_carried: shown(&outcome.side_files.left),
        declared_dtype: outcome.stale_dtype.as_ref().map(|stale| stale.declared.as_str()),
        way: outcome.replaced.map(|replaced| way(replaced.way)),
        bytes_written: outcome.bytes_written(),
        renamed: counts.renamed,
        unchanged: counts.unchanged,
        dropped: counts.dropped,
        regrouped: (counts.regrouped > 0).then_some(counts.regrouped),
        made: (counts.regrouped > 0).then_some(counts.made),
        regroupings: outcome.planned.regroupings.iter().map(Regrouped::of).collect(),
        passed_over: outcome.planned.unmatched_keys,
        idle: &outcome.planned.unused_rules,
        followed: places(&outcome.mentions.followed),
        not_followed: places(&outcome.mentions.not_followed),
        left_out: NotWhole::all(&outcome.left_out),
        cast: outcome.uncast.as_ref().map(|uncast| Cast {
            tensors: outcome.casts().count(),
            not_cast: uncast.tensors.iter().map(NotCast::of).collect(),
            unused_rules: &uncast.unused_rules,
            overflows: outcome.overflows.iter().map(Infinite::of).collect(),
        }),
        ties,
        restored_ties,
        left_behind,
        metadata: outcome.planned.plan.metadata().iter().map(Retexted::of).collect(),
        merged: outcome.merged.as_ref().map(MergedJson::of),
        joined: outcome.joined.iter().map(JoinedJson::of).collect(),
        one_way: one_way(outcome),
        plan: serde_json::from_str(&outcome.planned.plan.to_json()).map_err(io::Error::from)?,
    };
    put(&done, out)?;
    Ok(writeln!(out)?)
}

/// The computed tensors from which nothing leads back.
fn one_way(outcome: &Outcome) -> Vec<OneWay<'_>> {
    let mut all = Vec::new();
    for section in outcome.planned.plan.sections() {
        let at = section.path();
        all.extend(section.one_way().map(|(key, why)| OneWay { at, key, why }));
    }
    all
}

impl<'a> MergedJson<'a> {
    fn of(summary: &'a MergeSummary) -> MergedJson<'a> {
        let adapted = summary.adapted.iter();
        let adapted = adapted.map(|it| Adapted { key: &it.key, rank: it.rank, scale: it.scale });
        MergedJson {
            adapter: summary.adapter.as_ref().map(|path| path.display().to_string()),
            adapted: adapted.collect(),
            replaced: &summary.replaced,
            dropped: &summary.dropped,
        }
    }
}

impl<'a> JoinedJson<'a> {
    fn of(source: &'a JoinedSource) -> JoinedJson<'a> {
        let JoinedSource { file, at, prefix, keys } = source;
        JoinedJson { file: file.display().to_string(), at, prefix, keys: *keys }
    }
}

fn places(places: &Places) -> Vec<Place<'_>> {
    places.iter().map(|(at, names)| Place { at, names }).collect()
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

/// The name of a way to edit a file in place.
fn way(way: WriteMethod) -> &'static str {
    match way {
        WriteMethod::Unchanged => "unchanged",
        WriteMethod::InPlace => "in-place",
        WriteMethod::Inserted => "inserted",
        WriteMethod::Shared => "shared",
        WriteMethod::Replaced => "replaced",
    }
}

impl<'a> Regrouped<'a> {
    fn of(regrouping: &'a Regrouping) -> Regrouped<'a> {
        let Regrouping { path: at, rule, groups, from, to, cut, example } = regrouping;
        let example = [example.from.as_slice(), example.to.as_slice()];
        Regrouped { at, rule, groups: *groups, from: *from, to: *to, cut: *cut, example }
    }
}

impl<'a> Infinite<'a> {
    fn of(overflow: &'a Overflow) -> Infinite<'a> {
        let Overflow { path: at, key, to, values } = overflow;
        Infinite { at, key, dtype: to.name(), values: *values }
    }
}

impl<'a> NotCast<'a> {
    fn of(tensor: &'a UncastTensor) -> NotCast<'a> {
        let why = match &tensor.reason {
            UncastReason::Scaled => "scales are recorded".into(),
            UncastReason::Layout(layout) => format!("its layout is {layout}"),
            UncastReason::Unnamed => "its key is not a string".into(),
        };
        NotCast { at: &tensor.path, key: &tensor.key, why }
    }
}

impl<'a> Retexted<'a> {
    pub(crate) fn of(MetadataChange { key, old, new }: &'a MetadataChange) -> Retexted<'a> {
        Retexted { key, old: old.as_deref(), new: new.as_deref() }
    }
}

impl<'a> Behind<'a> {
    pub(crate) fn of(left: &'a Omitted) -> Behind<'a> {
        let payload = left.payload.iter().map(|(at, kind)| Thing { at, kind });
        let keys = left.keys.iter().map(|(key, _)| key.as_str());
        Behind { keys: keys.collect(), metadata: &left.metadata, payload: payload.collect() }
    }
}
