//! What a file says it holds.

mod arithmetic;
mod blocks;
mod coverage;
mod dtype;
mod joining;
mod metadata;
mod node;
pub mod objects;
pub(crate) mod selection;
mod shares;
pub(crate) mod tensor;
mod tree;
mod value;
pub(crate) mod views;

pub use arithmetic::{Arithmetic, Operation};
pub use blocks::{Blocks, TensorBlock, Unassembled};
pub use coverage::{Rectangle, check_coverage};
pub use dtype::DType;
pub use joining::Collision;
pub use metadata::{BadMetadata, Glob, MetadataChange, MetadataEdits};
pub use node::Node;
pub use shares::{Joint, Piece, PieceCopy};
pub use tensor::{ByteOrder, Data, Location, Misplaced, Storage, Tensor, View, row_major_strides};
pub use tree::{Nested, Step, Tree};
pub use value::Value;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroUsize;

use thiserror::Error;

use crate::IndexMap;

/// Keys, tensors and state dicts of one checkpoint, in file order.
///
/// Within a state dict keys are unique; [`StateDict::insert`] sees to it.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Every tensor of the file, whichever container holds it.
    pub rows: Vec<TensorEntry>,
    /// The mappings whose keys can be renamed.
    pub state_dicts: Vec<StateDict>,
    /// What lies beside the tensors: epoch, optimizer, objects of unknown classes.
    pub payload: Vec<Payload>,
}

/// One tensor and where in the file's structure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// The path of dict keys and list indices to the mapping that holds it, joined by `/`; one text
    /// for all tensors of a mapping.
    pub path: Arc<str>,
    /// Its key there.
    pub key: Key,
    /// What it is.
    pub tensor: Tensor,
}

impl TensorEntry {
    /// The path to the tensor: its mapping's, and its key.
    pub fn full_path(&self) -> String {
        match &*self.path {
            "" => self.key.as_str().into(),
            path => alloc::format!("{path}/{}", self.key),
        }
    }
}

/// The name of a tensor in the mapping that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A string, which can be renamed; it shares its text with the state dict that has it.
    Text(Arc<str>),
    /// Anything else, as Python prints it: `3`, `('t', 1)`. Shown, never renamed.
    Other(Arc<str>),
}

/// A thing beside the tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The path to it, joined by `/`.
    pub path: String,
    /// What it is, in a word or two: `int`, `dict`, `argparse.Namespace`.
    pub kind: String,
}

/// A mapping from keys to tensors (and perhaps other values), in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateDict {
    /// The path to it, joined by `/`; empty at the root.
    pub path: String,
    /// Other paths that lead to the same object, so that renaming here renames there.
    pub aliases: Vec<String>,
    /// Module paths that its `_metadata` describes, with their versions where those are numbers; the
    /// root is `""`.
    pub modules: IndexMap<String, Option<u64>>,
    /// Why its keys cannot be renamed, if they cannot.
    pub fixed: Option<String>,
    entries: IndexMap<Arc<str>, Row>,
}

/// The row of a value that is a tensor; half as long as an `Option<usize>`, of which there may be very
/// many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Row(Option<NonZeroUsize>);

impl Row {
    fn of(row: usize) -> Row {
        Row(NonZeroUsize::new(row.wrapping_add(1)))
    }

    fn get(self) -> Option<usize> {
        Some(self.0?.get() - 1)
    }

    /// The same behind this many others.
    fn moved(self, by: usize) -> Row {
        self.get().map(|row| Row::of(row + by)).unwrap_or_default()
    }
}

/// Why no state dict was selected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotSelected {
    /// The file holds none.
    #[error("the file holds no state dict (no mapping from names to tensors)")]
    None,
    /// Several could be meant and none was named.
    #[error("{}", Several(.0))]
    Several(Vec<(String, usize)>),
    /// None is at the path that was named.
    #[error("no state dict at '{path}'; the file has: {}", Listed(.known))]
    Nowhere {
        /// The path that was asked for.
        path: String,
        /// What there is, below that path if there is something: paths with the number of tensors.
        known: Vec<(String, usize)>,
    },
}

struct Several<'a>(&'a [(String, usize)]);

impl fmt::Display for Several<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [_] => write!(
                f,
                "the file holds no state dict that is clearly a model's, but {}",
                Listed(self.0)
            ),
            all => write!(f, "the file holds {} state dicts: {}", all.len(), Listed(all)),
        }
    }
}

/// The most paths that a sentence names; the rest is counted.
const LISTED: usize = 12;

struct Listed<'a>(&'a [(String, usize)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (path, tensors)) in self.0.iter().take(LISTED).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let noun = if *tensors == 1 { "tensor" } else { "tensors" };
            // As it is typed.
            let path = if path.is_empty() { "/" } else { path };
            write!(f, "{comma}'{path}' ({tensors} {noun})")?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Catalog {
    /// A catalog of one state dict at the root that holds these tensors; a repeated key is an error.
    pub fn flat<K: Into<Arc<str>>>(
        tensors: impl IntoIterator<Item = (K, Tensor)>,
    ) -> Result<Catalog, DuplicateKey> {
        let mut catalog = Catalog::default();
        let mut state_dict = StateDict::default();
        let (root, tensors) = (Arc::<str>::default(), tensors.into_iter());
        // Lists that grow as they are filled take more than half as much again.
        let (least, most) = tensors.size_hint();
        state_dict.entries.reserve_exact(most.unwrap_or(least));
        catalog.rows.reserve_exact(most.unwrap_or(least));
        for (key, tensor) in tensors {
            let key = key.into();
            state_dict.insert(key.clone(), Some(catalog.rows.len()))?;
            catalog.rows.push(TensorEntry { path: root.clone(), key: Key::Text(key), tensor });
        }
        catalog.state_dicts.push(state_dict);
        Ok(catalog)
    }

    /// A catalog of one state dict with these keys and nothing known of their values.
    pub fn of_keys<K: AsRef<str>>(
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Catalog, DuplicateKey> {
        let mut state_dict = StateDict::default();
        for key in keys {
            state_dict.insert(key.as_ref(), None)?;
        }
        Ok(Catalog { state_dicts: [state_dict].into(), ..Catalog::default() })
    }

    /// The first state dict that the path leads to, by any of its paths.
    pub fn state_dict_at(&self, path: &str) -> Option<&StateDict> {
        self.state_dicts.iter().find(|state_dict| state_dict.is_at(path))
    }

    /// The tensor under a key of a state dict of this catalog; `None` for a key of other payload.
    pub fn tensor(&self, state_dict: &StateDict, key: &str) -> Option<&Tensor> {
        let row = state_dict.row(key)?;
        self.rows.get(row).map(|row| &row.tensor)
    }
}

/// A key that one mapping holds twice.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("key '{0}' occurs twice")]
pub struct DuplicateKey(pub String);

impl StateDict {
    /// Adds a key after those that are there, with the row of its tensor if it has one.
    pub fn insert(
        &mut self,
        key: impl Into<Arc<str>>,
        row: Option<usize>,
    ) -> Result<(), DuplicateKey> {
        match self.entries.entry(key.into()) {
            indexmap::map::Entry::Occupied(entry) => {
                Err(DuplicateKey(String::from(&**entry.key())))
            }
            indexmap::map::Entry::Vacant(entry) => {
                entry.insert(row.map(Row::of).unwrap_or_default());
                Ok(())
            }
        }
    }

    /// A state dict with these keys, none of them with a tensor yet.
    pub fn of_keys<K: Into<Arc<str>>>(keys: impl IntoIterator<Item = K>) -> StateDict {
        let entries = keys.into_iter().map(|key| (key.into(), Row::default())).collect();
        StateDict { entries, ..StateDict::default() }
    }

    /// Says which row is the tensor of a key that is there.
    pub fn set_row(&mut self, key: &str, row: usize) {
        if let Some(entry) = self.entries.get_mut(key) {
            *entry = Row::of(row);
        }
    }

    /// The row of the tensor under a key.
    pub(crate) fn row(&self, key: &str) -> Option<usize> {
        self.entries.get(key)?.get()
    }

    /// The rows of its tensors, in file order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> {
        self.entries.values().filter_map(|row| row.get())
    }

    /// How many of its values are tensors.
    pub fn tensors(&self) -> usize {
        self.rows().count()
    }

    /// Its keys in file order, those of values that are not tensors included.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.keys().map(|key| &**key)
    }

    /// The same, to be shared.
    pub(crate) fn shared_keys(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.entries.keys()
    }

    /// The key of that number in file order.
    pub(crate) fn key(&self, number: usize) -> Option<&str> {
        self.entries.get_index(number).map(|(key, _)| &**key)
    }

    /// The number of that key in file order.
    pub(crate) fn number(&self, key: &str) -> Option<usize> {
        self.entries.get_index_of(key)
    }

    /// True if it has this key.
    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if it has no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True if the path leads to it; `/` and the empty path are the root.
    pub fn is_at(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.path == path || self.aliases.iter().any(|alias| alias == path)
    }
}

impl Key {
    /// The key as it is shown.
    pub fn as_str(&self) -> &str {
        match self {
            Key::Text(key) | Key::Other(key) => key,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_occurs_once() {
        assert_eq!(Catalog::of_keys(["a", "a"]).map(|_| ()), Err(DuplicateKey("a".into())));
    }
}
