//! What is on the stack of the machine: places in one list of values, which are Python's identities.

use super::admitted::Admitted;

/// The place of a value.
pub(super) type Id = usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    /// Whole numbers beyond 128 bits are [`Value::Opaque`].
    Int(i128),
    Float(f64),
    /// UTF-8 that may have surrogates.
    Text(Vec<u8>),
    Tuple(Vec<Id>),
    Size(Vec<Id>),
    List(Vec<Id>),
    Dict(DictKind, Vec<(Key, Id)>),
    Set,
    Global(&'static str, Admitted),
    Storage(Storage),
    Tensor(View),
    Parameter(View),
    /// What the model knows nothing of.
    Opaque,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DictKind {
    Plain,
    Ordered,
    Counter,
}

/// A storage of the archive, under a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) number: usize,
    pub(super) dtype: &'static str,
}

/// Elements of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) storage: Storage,
    /// In elements, as are strides.
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

/// A key of a dict, where equal keys of Python are equal.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Text(Vec<u8>),
    /// Numbers that are whole, and how the first of them is printed, if that is known.
    Int(i128, Option<&'static str>),
    Float(u64),
    None,
    Tuple(Vec<Key>),
    Global(&'static str),
    Identity(Id),
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        match (self, other) {
            (Key::Text(a), Key::Text(b)) => a == b,
            (Key::Int(a, _), Key::Int(b, _)) => a == b,
            (Key::Float(a), Key::Float(b)) => a == b,
            (Key::None, Key::None) => true,
            (Key::Tuple(a), Key::Tuple(b)) => a == b,
            (Key::Global(a), Key::Global(b)) => a == b,
            (Key::Identity(a), Key::Identity(b)) => a == b,
            _ => false,
        }
    }
}

impl Value {
    /// Whether `bool()` of it is true, if that is known.
    pub(super) fn truth(&self) -> Option<bool> {
        Some(match self {
            Value::None => false,
            Value::Bool(truth) => *truth,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Tuple(items) | Value::Size(items) | Value::List(items) => !items.is_empty(),
            Value::Dict(_, items) => !items.is_empty(),
            _ => return None,
        })
    }
}

/// Bytes of an element of a type; none if it has no plain elements.
pub(super) fn element_size(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "BOOL" | "U8" | "I8" => 1,
        "I16" | "F16" | "BF16" => 2,
        "I32" | "F32" => 4,
        "I64" | "F64" | "C64" => 8,
        "C128" => 16,
        _ => return None,
    })
}
