//! What all JSON that is printed shares.

use std::io::{self, Write};
use std::path::Path;

use serde::{Serialize, Serializer};

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

/// The bytes of a path in hexadecimal digits, where it is no text and the text shown is not it.
pub(crate) fn path_bytes(path: &Path) -> Option<String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    path.to_str().is_none().then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(crate) fn put(value: &(impl Serialize + ?Sized), out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(out, value).map_err(io::Error::from)
}
