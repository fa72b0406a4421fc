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
