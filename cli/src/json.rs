//! What came out, as JSON.

use std::io::{self, Write};
use std::path::Path;

use serde::{Serialize, Serializer};
use statedict_checkpoint::{Checkable, Checked, Checkpoint, Interrupted};
use statedict_core::{Data, Finding, IndexMap, Verdict};

use crate::commands::recover;
use crate::failure::Failure;
use crate::listing::Listed;

/// The version of the form of every object; fields may be added without a new one.
pub(crate) const SCHEMA_VERSION: u32 = 1;

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

pub(crate) fn put(value: &(impl Serialize + ?Sized), out: &mut dyn Write) -> io::Result<()> {
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
