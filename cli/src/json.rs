//! What all JSON that is printed shares.

use std::io::{self, Write};
use std::path::Path;

use serde::{Serialize, Serializer};
use statedict::core::LeftOut;
use statedict::jobs::diff::Compared;

/// The version of the form of every object; fields may be added without a new one.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// A value as JSON: objects by their class in angle brackets; tensors, which are listed, left out.
pub(crate) struct Shown<'a>(pub(crate) &'a statedict::core::Value);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use statedict::core::Value as Payload;
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

/// A tensor that is not whole, and is left out.
#[derive(Serialize)]
pub(crate) struct NotWhole<'a> {
    path: &'a str,
    why: &'a str,
}

impl<'a> NotWhole<'a> {
    pub(crate) fn all(left_out: &'a [LeftOut]) -> Vec<NotWhole<'a>> {
        left_out.iter().map(|it| NotWhole { path: &it.path, why: &it.why }).collect()
    }
}

/// The two sides of a comparison.
#[derive(Serialize)]
pub(crate) struct Sides<'a> {
    a: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    a_bytes: Option<String>,
    b: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    b_bytes: Option<String>,
    at_a: &'a str,
    at_b: &'a str,
}

impl<'a> Sides<'a> {
    pub(crate) fn of(a: &'a Compared, b: &'a Compared) -> Sides<'a> {
        Sides {
            a: a.name(),
            a_bytes: path_bytes(&a.file.path),
            b: b.name(),
            b_bytes: path_bytes(&b.file.path),
            at_a: &a.path,
            at_b: &b.path,
        }
    }
}

/// The bytes of a path in hexadecimal digits, where it is not UTF-8, so that the text shown differs.
pub(crate) fn path_bytes(path: &Path) -> Option<String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    path.to_str().is_none().then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Begins an object about a file, whose other fields come one by one.
pub(crate) fn begin_object(path: &Path, out: &mut dyn Write) -> io::Result<()> {
    write!(out, r#"{{"schema_version":{SCHEMA_VERSION},"file":"#)?;
    put(&path.display().to_string(), out)?;
    if let Some(bytes) = path_bytes(path) {
        write!(out, r#","file_bytes":"#)?;
        put(&bytes, out)?;
    }
    Ok(())
}

/// A list with a line for each item, written as they come.
pub(crate) fn put_lines(
    items: impl Iterator<Item = impl Serialize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    out.write_all(b"[")?;
    for (i, item) in items.enumerate() {
        out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
        put(&item, out)?;
    }
    out.write_all(b"\n]")
}

pub(crate) fn put(value: &(impl Serialize + ?Sized), out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(out, value).map_err(io::Error::from)
}
