//! What is beside the tensors of a file, as Python's own values; nothing in it is run.

use std::fmt;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value of a file.
pub(crate) enum Payload {
    None,
    Bool(bool),
    Int(i128),
    Unsigned(u128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Payload>),
    Map(Vec<(Payload, Payload)>),
    /// What is no plain value, such as a tensor, in words.
    Opaque(String),
}

impl Payload {
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(match self {
            Payload::None => py.None().into_bound(py),
            Payload::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
            Payload::Int(number) => number.into_pyobject(py)?.into_any(),
            Payload::Unsigned(number) => number.into_pyobject(py)?.into_any(),
            Payload::Float(number) => number.into_pyobject(py)?.into_any(),
            Payload::Text(text) => text.into_pyobject(py)?.into_any(),
            Payload::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
            Payload::List(items) => {
                let items = items.into_iter().map(|item| item.into_python(py));
                PyList::new(py, items.collect::<PyResult<Vec<_>>>()?)?.into_any()
            }
            Payload::Map(entries) => {
                let map = PyDict::new(py);
                for (key, value) in entries {
                    map.set_item(key.into_python(py)?, value.into_python(py)?)?;
                }
                map.into_any()
            }
            Payload::Opaque(what) => {
                py.import("statedict._checkpoint")?.getattr("Opaque")?.call1((what,))?
            }
        })
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

/// What is no value of Python's own, as the error says that it was found.
fn opaque(error: &impl fmt::Display) -> Payload {
    let what = error.to_string();
    Payload::Opaque(what.strip_prefix("found ").unwrap_or(&what).to_string())
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Payload, E> {
        Ok(Payload::None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Payload, E> {
        Ok(Payload::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Payload, E> {
        Ok(Payload::Int(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Payload, E> {
        Ok(Payload::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Payload, E> {
        Ok(Payload::Int(number.into()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Payload, E> {
        Ok(Payload::Unsigned(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Payload, E> {
        Ok(Payload::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Payload, E> {
        Ok(Payload::Text(text.to_string()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Payload, E> {
        Ok(Payload::Bytes(bytes.to_vec()))
    }

    /// What cannot be a value is one in words, and what is around it stays what it is.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Payload, A::Error> {
        let mut list = Vec::new();
        loop {
            match items.next_element::<Payload>() {
                Ok(Some(item)) => list.push(item),
                Ok(None) => return Ok(Payload::List(list)),
                Err(error) => list.push(opaque(&error)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Payload, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Payload>()? {
            let value = entries.next_value::<Payload>();
            map.push((key, value.unwrap_or_else(|error| opaque(&error))));
        }
        Ok(Payload::Map(map))
    }
}
