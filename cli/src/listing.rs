//! What is to be listed, and what was found.

use std::path::PathBuf;

use statedict_core::TensorEntry;

/// What to show of a file.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) file: PathBuf,
    /// The path to look below; none for the whole file.
    pub(crate) at: Option<String>,
    pub(crate) shape: Shape,
    /// Digests of the elements are wanted.
    pub(crate) hashed: bool,
}

/// How to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A line for every tensor.
    Table,
    /// A line for every module.
    Tree,
    /// What lies beside the tensors, in lines.
    Payload,
    /// One JSON object.
    Json,
    /// One JSON object, with what lies beside the tensors.
    JsonWithPayload,
}

/// A row with the digest of its elements, where that was asked for.
pub(crate) struct Listed<'a> {
    pub(crate) row: &'a TensorEntry,
    /// In hexadecimal; none if not asked for, or if there are no plain elements.
    pub(crate) sha256: Option<String>,
}
