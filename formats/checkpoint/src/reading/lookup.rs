//! Which tensor of a checkpoint is meant.

use statedict_core::{Catalog, Tensor, TensorEntry};

use crate::checkpoint::Checkpoint;
use crate::error::{Action, Cause, Error};

/// A tensor of a checkpoint, by name or as the catalog has it.
///
/// Whatever takes one takes `"fc.weight"`, an entry of the catalog, and a [`Tensor`]: one of the
/// catalog's, or another view of one, as [`Checkpoint::slice`] and [`Tensor::permuted`] make them.
#[derive(Clone, Copy, Debug)]
pub enum TensorRef<'a> {
    /// By its key, or by its path where the file holds several state dicts.
    Name(&'a str),
    /// An entry of the catalog.
    Entry(&'a TensorEntry),
    /// A tensor.
    Tensor(&'a Tensor),
}

impl<'a> From<&'a str> for TensorRef<'a> {
    fn from(name: &'a str) -> TensorRef<'a> {
        TensorRef::Name(name)
    }
}

impl<'a> From<&'a String> for TensorRef<'a> {
    fn from(name: &'a String) -> TensorRef<'a> {
        TensorRef::Name(name)
    }
}

impl<'a> From<&'a TensorEntry> for TensorRef<'a> {
    fn from(entry: &'a TensorEntry) -> TensorRef<'a> {
        TensorRef::Entry(entry)
    }
}

impl<'a> From<&'a Tensor> for TensorRef<'a> {
    fn from(tensor: &'a Tensor) -> TensorRef<'a> {
        TensorRef::Tensor(tensor)
    }
}

impl TensorRef<'_> {
    /// What an error calls it: the path in the file, or what can be said of a view of it.
    pub(super) fn name(&self, catalog: &Catalog) -> String {
        match self {
            TensorRef::Name(name) => (*name).to_string(),
            TensorRef::Entry(row) => row.full_path(),
            TensorRef::Tensor(tensor) => {
                match catalog.rows.iter().find(|row| row.tensor == **tensor) {
                    Some(row) => row.full_path(),
                    None => format!("{} {:?}", tensor.dtype, tensor.shape),
                }
            }
        }
    }
}

/// Places that an error names.
const NAMED: usize = 4;

impl Checkpoint {
    pub(super) fn resolve<'a>(&'a self, which: TensorRef<'a>) -> Result<&'a Tensor, Error> {
        match which {
            TensorRef::Tensor(tensor) => Ok(tensor),
            TensorRef::Entry(row) => Ok(&row.tensor),
            TensorRef::Name(name) => {
                let meant = self.meant().and_then(|at| self.catalog().state_dicts.get(at));
                let own = meant.and_then(|state_dict| self.catalog().tensor(state_dict, name));
                let found = own.map_or_else(|| anywhere(self.catalog(), name), Ok);
                found.map_err(|cause| Error::new(Action::Read, self.path(), cause))
            }
        }
    }
}

/// The only tensor of the file with that key or path.
fn anywhere<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Tensor, Cause> {
    let named: Vec<&TensorEntry> = catalog.rows.iter().filter(|row| is_called(row, name)).collect();
    match named.as_slice() {
        [] => Err(Cause::NoTensor(unknown(catalog, name))),
        [first, others @ ..] if others.iter().all(|row| row.tensor == first.tensor) => {
            Ok(&first.tensor)
        }
        several => {
            let paths: Vec<String> =
                several.iter().take(NAMED).map(|row| format!("'{}'", row.full_path())).collect();
            let more = if several.len() > NAMED { ", …" } else { "" };
            let paths = paths.join(", ");
            Err(Cause::NoTensor(format!("'{name}' is ambiguous: {paths}{more}; use the full path")))
        }
    }
}

fn is_called(row: &TensorEntry, name: &str) -> bool {
    let key = row.key.as_str();
    let is_path =
        || Some(key) == name.strip_prefix(&*row.path).and_then(|key| key.strip_prefix('/'));
    key == name || is_path()
}

fn unknown(catalog: &Catalog, name: &str) -> String {
    match catalog.rows.as_slice() {
        [] => format!("no tensor '{name}': the checkpoint has no tensors"),
        [only] => format!("no tensor '{name}'; the only one is '{}'", only.full_path()),
        [first, .., last] => format!(
            "no tensor '{name}' among {}, '{}' to '{}'",
            catalog.rows.len(),
            first.full_path(),
            last.full_path()
        ),
    }
}
