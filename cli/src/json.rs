//! What came out, as JSON.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use serde_json::Value;
use statedict_checkpoint::{Checkable, Checked, Checkpoint, Interrupted, Overflow, WriteMethod};
use statedict_core::{
    Data, Finding, IndexMap, MetadataChange, Places, Verdict,
    casting::{UncastReason, UncastTensor},
};

use crate::commands::recover;
use crate::failure::Failure;
use crate::listing::Listed;
use crate::request::Outcome;

/// One tensor of `ls --json`.
#[derive(Serialize)]
struct Tensor<'a> {
    at: &'a str,
    key: &'a str,
    dtype: &'a str,
    shape: &'a [u64],
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<&'a str>,
}

/// What a command that writes did.
#[derive(Serialize)]
struct Done<'a> {
    file: String,
    /// The bytes of a path that is no text, in hexadecimal digits.
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
    passed_over: usize,
    idle: &'a [String],
    /// Names of changed keys elsewhere in the file that follow, if there are such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    followed: Vec<Place<'a>>,
    /// The same of those that stay as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_followed: Vec<Place<'a>>,
    /// Present if tensors were to be cast.
    #[serde(skip_serializing_if = "Option::is_none")]
    cast: Option<Cast<'a>>,
    ties: &'a [Vec<String>],
    restored_ties: &'a [Vec<String>],
    left_behind: Behind<'a>,
    metadata: Vec<Retexted<'a>>,
    plan: Value,
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
    /// Tensors of which finite numbers became infinite.
    overflows: Vec<Infinite<'a>>,
}

/// A tensor of which a cast made finite numbers infinite.
#[derive(Serialize)]
struct Infinite<'a> {
    at: &'a str,
    key: &'a str,
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
struct Retexted<'a> {
    key: &'a str,
    old: Option<&'a str>,
    new: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct Behind<'a> {
    keys: Vec<&'a str>,
    metadata: &'a [String],
    payload: Vec<Thing<'a>>,
}

#[derive(Serialize)]
struct Thing<'a> {
    at: &'a str,
    kind: &'a str,
}

/// One object with every tensor, written as the tensors come.
pub(crate) fn listing<'a>(
    checkpoint: &Checkpoint,
    tensors: impl Iterator<Item = Result<Listed<'a>, Failure>>,
    payload: Option<&statedict_core::Value>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let file = checkpoint.path().display().to_string();
    write!(out, r#"{{"file":"#)?;
    put(&file, out)?;
    if let Some(bytes) = path_bytes(checkpoint.path()) {
        write!(out, r#","file_bytes":"#)?;
        put(&bytes, out)?;
    }
    write!(out, r#","format":"#)?;
    put(checkpoint.kind(), out)?;
    write!(out, r#","metadata":"#)?;
    let metadata: IndexMap<String, String> = checkpoint.metadata().into_iter().collect();
    put(&Pairs(&metadata), out)?;
    write!(out, r#","tensors":["#)?;
    for (i, listed) in tensors.enumerate() {
        out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
        put(&Tensor::of(&listed?), out)?;
    }
    write!(out, "\n]")?;
    if let Some(payload) = payload {
        write!(out, r#","payload":"#)?;
        put(&Shown(payload), out)?;
    }
    Ok(writeln!(out, "}}")?)
}

/// Texts under names, as an object.
struct Pairs<'a>(&'a IndexMap<String, String>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0)
    }
}

/// One object that says what was done, or would be.
pub(crate) fn outcome(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let counts = outcome.counts();
    let conversion = outcome.conversion;
    let left_behind = conversion.map(|it| Behind::of(&it.left)).unwrap_or_default();
    let ties = conversion.map_or([].as_slice(), |it| it.tied.as_slice());
    let restored_ties = conversion.map_or([].as_slice(), |it| it.restored.as_slice());
    let done = Done {
        file: outcome.checkpoint.path().display().to_string(),
        file_bytes: path_bytes(outcome.checkpoint.path()),
        format: outcome.checkpoint.kind(),
        output: outcome.output.map(|path| path.display().to_string()),
        output_bytes: outcome.output.and_then(path_bytes),
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
        passed_over: outcome.planned.unmatched_keys,
        idle: &outcome.planned.unused_rules,
        followed: places(&outcome.mentions.followed),
        not_followed: places(&outcome.mentions.not_followed),
        cast: outcome.uncast.map(|uncast| Cast {
            tensors: outcome.casts().count(),
            not_cast: uncast.tensors.iter().map(NotCast::of).collect(),
            unused_rules: &uncast.unused_rules,
            overflows: outcome.overflows.iter().map(Infinite::of).collect(),
        }),
        ties,
        restored_ties,
        left_behind,
        metadata: outcome.planned.plan.metadata().iter().map(Retexted::of).collect(),
        plan: serde_json::from_str(&outcome.planned.plan.to_json()).map_err(io::Error::from)?,
    };
    put(&done, out)?;
    Ok(writeln!(out)?)
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

/// The files of a folder that were not looked at.
pub(crate) fn unread(folder: &Path, found: &Checkable, out: &mut dyn Write) -> Result<(), Failure> {
    let names = found.unread_names.iter().map(|path| path.display().to_string());
    let names: Vec<String> = names.collect();
    let folder = folder.display().to_string();
    let unread = found.unread;
    put(&serde_json::json!({ "folder": folder, "not_looked_at": unread, "names": names }), out)?;
    Ok(writeln!(out)?)
}

/// One object that says what was restored.
pub(crate) fn recovery(
    file: &Path,
    found: Option<&Interrupted>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (bytes, name) = (path_bytes(file), file.display().to_string());
    let mut object = serde_json::json!({ "file": name, "outcome": recover::word(found) });
    if let Some(bytes) = bytes {
        object["file_bytes"] = bytes.into();
    }
    put(&object, out)?;
    Ok(writeln!(out)?)
}

/// A value as JSON: objects by their class in angle brackets; tensors, which are listed, left out.
pub(crate) struct Shown<'a>(pub(crate) &'a statedict_core::Value);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use statedict_core::Value as Payload;
        match self.0 {
            Payload::None => serializer.serialize_none(),
            Payload::Bool(value) => serializer.serialize_bool(*value),
            Payload::Int(number) => serializer.serialize_i64(*number),
            Payload::Float(number) => serializer.serialize_f64(*number),
            Payload::Text(text) => serializer.serialize_str(text),
            Payload::List(items) => serializer.collect_seq(items.iter().map(Shown)),
            Payload::Map(entries) => {
                let beside = entries.iter().filter(|(_, value)| *value != Payload::Tensor);
                serializer.collect_map(beside.map(|(key, value)| (key, Shown(value))))
            }
            Payload::Object(class) => serializer.collect_str(&format_args!("<{class}>")),
            Payload::Tensor => serializer.serialize_str("<tensor>"),
        }
    }
}

/// The contract of `check --json`: one object a line for each file; `notes`, if there are
/// any, are no faults.
pub(crate) fn checked(checked: &Checked, out: &mut dyn Write) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Shown<'a> {
        r#where: &'a str,
        what: &'a str,
        why: &'a str,
        verdict: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Counts {
        dangerous: usize,
        malformed: usize,
        unknown: usize,
    }
    #[derive(Serialize)]
    struct Report<'a> {
        file: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_bytes: Option<String>,
        verdict: &'static str,
        counts: Counts,
        findings: Vec<Shown<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        notes: Vec<Shown<'a>>,
    }
    fn shown(findings: &[Finding]) -> Vec<Shown<'_>> {
        let shown = |f| {
            let Finding { verdict, place, what, why, name }: &Finding = f;
            let (verdict, name) = (verdict.name(), name.as_deref());
            Shown { r#where: place, what, why, verdict, name }
        };
        findings.iter().map(shown).collect()
    }
    let report = Report {
        file: checked.path.display().to_string(),
        file_bytes: path_bytes(&checked.path),
        verdict: checked.verdict().name(),
        counts: Counts {
            dangerous: checked.count(Verdict::Dangerous),
            malformed: checked.count(Verdict::Malformed),
            unknown: checked.count(Verdict::Unknown),
        },
        findings: shown(&checked.findings),
        notes: shown(&checked.notes),
    };
    put(&report, out)?;
    Ok(writeln!(out)?)
}

/// The bytes of a path in hexadecimal digits, where it is no text and the text shown is not it.
pub(crate) fn path_bytes(path: &Path) -> Option<String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    path.to_str().is_none().then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn put(value: &(impl Serialize + ?Sized), out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(out, value).map_err(io::Error::from)
}

impl<'a> Tensor<'a> {
    fn of(listed: &Listed<'a>) -> Tensor<'a> {
        let tensor = &listed.row.tensor;
        let layout = match &tensor.data {
            Data::Opaque { layout, .. } => Some(layout.as_str()),
            Data::View(_) => None,
        };
        Tensor {
            at: &listed.row.at,
            key: listed.row.key.as_str(),
            dtype: tensor.dtype.name(),
            shape: &tensor.shape,
            bytes: tensor.byte_len(),
            sha256: listed.sha256.clone(),
            layout,
        }
    }
}

impl<'a> Infinite<'a> {
    fn of(overflow: &'a Overflow) -> Infinite<'a> {
        let Overflow { at, key, values } = overflow;
        Infinite { at, key, values: *values }
    }
}

impl<'a> NotCast<'a> {
    fn of(tensor: &'a UncastTensor) -> NotCast<'a> {
        let why = match &tensor.reason {
            UncastReason::Scaled => "scales are recorded".into(),
            UncastReason::Layout(layout) => format!("its layout is {layout}"),
            UncastReason::Unnamed => "its key is no text".into(),
        };
        NotCast { at: &tensor.at, key: &tensor.key, why }
    }
}

impl<'a> Retexted<'a> {
    fn of(MetadataChange { key, old, new }: &'a MetadataChange) -> Retexted<'a> {
        Retexted { key, old: old.as_deref(), new: new.as_deref() }
    }
}

impl<'a> Behind<'a> {
    fn of(left: &'a statedict_core::Omitted) -> Behind<'a> {
        let payload = left.payload.iter().map(|(at, kind)| Thing { at, kind });
        let keys = left.keys.iter().map(|(key, _)| key.as_str());
        Behind { keys: keys.collect(), metadata: &left.metadata, payload: payload.collect() }
    }
}
