//! Payload to look at: what a file holds beside its tensors.

use alloc::string::String;
use alloc::vec::Vec;

/// A value other than a tensor, as far as it is known without executing anything.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Python's `None`.
    None,
    /// True or false.
    Bool(bool),
    /// A whole number of up to 64 bits.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// A mapping, its keys as Python prints them.
    Map(Vec<(String, Value)>),
    /// Anything else, by its class: `argparse.Namespace`.
    Object(String),
    /// A tensor, which has a row of its own in the catalog.
    Tensor,
}

impl Value {
    /// What it is, in a word: `int`, `argparse.Namespace`.
    pub fn kind(&self) -> &str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "str",
            Value::List(_) => "list",
            Value::Map(_) => "dict",
            Value::Object(class) => class,
            Value::Tensor => "tensor",
        }
    }
}
