//! The storages and tensors of a tar archive.

use std::collections::HashMap;
use std::sync::Arc;

use statedict_core::{DType, Elements, Fault, Location, Storage, Tensor};

use crate::dtype;
use crate::encode::{Gradient, Named, Placed};
use crate::pickle::graph::{self, NodeId};
use crate::pickle::{Graph, shifted};
use crate::tar::members::Cursor;
use crate::tensors::{StorageId, Storages};

/// The most digits of a number that an object is named by; 64 bits have 19.
const MAX_NUMBER: usize = 20;

/// The tensors and storages of an archive, by the number that the pickle refers to them by.
#[derive(Clone, Default)]
pub(super) struct Objects {
    pub(super) storages: HashMap<i64, Held>,
    pub(super) tensors: HashMap<i64, (i64, Tensor)>,
}

/// A storage, or a view of one.
#[derive(Clone)]
pub(super) struct Held {
    /// The storage that has the bytes.
    pub(super) root: i64,
    /// Where the view starts in it, in elements.
    offset: u64,
    pub(super) dtype: DType,
    storage: Arc<Storage>,
}

impl Objects {
    pub(super) fn read_storages(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        for _ in 0..count(cursor)? {
            let at = cursor.at;
            let pickle = cursor.pickle()?;
            let graph = Graph::read(&pickle).map_err(|fault| shifted(fault, at))?;
            let expected = || Fault::malformed(at, "a storage is not (key, location, class)");
            let (key, class) = match graph.tuple(graph.root).ok_or_else(expected)? {
                [key, _, class] => (graph.int(*key).ok_or_else(expected)?, *class),
                _ => return Err(expected()),
            };
            let (_, class) = graph.global(class).ok_or_else(expected)?;
            let Some(dtype) = dtype::of_storage(&class) else {
                return Err(Fault::Unsupported(format!("storage class {class} is not known")));
            };
            let bytes = cursor.size()?.checked_mul(dtype.bits() / 8).ok_or_else(expected)?;
            let storage = Arc::new(Storage::stored(cursor.skip(bytes)?));
            self.storages.insert(key, Held { root: key, offset: 0, dtype, storage });
        }
        self.read_views(cursor)
    }

    fn read_views(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let at = cursor.at;
        let pickle = cursor.pickle()?;
        let graph =
            Graph::read_of(&pickle, cursor.file_len()).map_err(|fault| shifted(fault, at))?;
        let expected = || Fault::malformed(at, "storage views are not (key, root, offset, count)");
        for view in graph.sequence(graph.root).ok_or_else(expected)? {
            let numbers = graph.tuple(view).ok_or_else(expected)?.iter().map(|n| graph.int(*n));
            let numbers: Option<Vec<i64>> = numbers.collect();
            let Some([key, root, offset, count]) = numbers.as_deref() else {
                return Err(expected());
            };
            let root = self.storages.get(root).cloned().ok_or_else(expected)?;
            let held = root.slice(*offset, *count).ok_or_else(expected)?;
            self.storages.insert(*key, held);
        }
        Ok(())
    }

    pub(super) fn read_tensors(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        for _ in 0..count(cursor)? {
            let at = cursor.at;
            let pickle = cursor.pickle()?;
            let graph = Graph::read(&pickle).map_err(|fault| shifted(fault, at))?;
            let expected = || Fault::malformed(at, "a tensor is not (key, storage, class)");
            let (key, storage) = match graph.tuple(graph.root).ok_or_else(expected)? {
                [key, storage, _] => (graph.int(*key), graph.int(*storage)),
                _ => return Err(expected()),
            };
            let (key, storage) = key.zip(storage).ok_or_else(expected)?;
            let rank = u64::try_from(cursor.i32()?).map_err(|_| expected())?;
            cursor.skip(4)?;
            let (shape, strides) = (cursor.sizes(rank)?, cursor.sizes(rank)?);
            let offset = cursor.size()?;
            let Some(held) = self.storages.get(&storage) else {
                return Err(Fault::malformed(at, format!("tensor {key} has no storage {storage}")));
            };
            let (dtype, bytes) = (held.dtype.clone(), held.storage.clone());
            let tensor = Tensor::view(dtype, shape, strides, offset, bytes).map_err(|wrong| {
                Fault::malformed(at, format!("tensor {key}: storage {storage}: {wrong}"))
            })?;
            self.tensors.insert(key, (storage, tensor));
        }
        Ok(())
    }

    /// The opcodes that rebuild a tensor over storage `place` of a zip archive, which has elements of
    /// this type.
    pub(super) fn opcodes(
        &self,
        held: &Held,
        tensor: &Tensor,
        place: usize,
        dtype: &DType,
    ) -> Result<Vec<u8>, Fault> {
        let view = tensor.as_view().expect("tar archives hold plain tensors only");
        let placed = Placed {
            storage: Named {
                dtype,
                key: &place.to_string(),
                location: "cpu",
                count: self.storages[&held.root].count(),
                parts: 5,
            },
            shape: &tensor.shape,
            strides: view.strides(),
            offset: held.offset + view.offset(),
            gradient: Gradient::NotRequired,
            parameter: None,
        };
        placed
            .opcodes()
            .ok_or_else(|| Fault::Unsupported(format!("a zip archive has no {dtype} storages")))
    }
}

impl Held {
    fn count(&self) -> u64 {
        self.storage.len() / (self.dtype.bits() / 8).max(1)
    }

    /// The whole storage, to be written into another archive with elements of this type.
    pub(super) fn elements(&self, to: &DType) -> Result<Elements, Fault> {
        let (dtype, shape) = (self.dtype.clone(), vec![self.count()]);
        let whole = Tensor::dense(dtype, shape, 0, self.storage.clone());
        let whole = whole.map_err(|wrong| Fault::broken(wrong.to_string()))?;
        Elements::new(whole, Some(to)).map_err(Fault::Unsupported)
    }

    /// A view of this storage, counted in elements.
    fn slice(&self, offset: i64, count: i64) -> Option<Held> {
        let (offset, count) = (u64::try_from(offset).ok()?, u64::try_from(count).ok()?);
        let Location::Stored(range) = &self.storage.location else { return None };
        let size = self.dtype.bits() / 8;
        let start = range.start.checked_add(offset.checked_mul(size)?)?;
        let end = start.checked_add(count.checked_mul(size)?)?;
        let storage = Arc::new(Storage::stored(start..end));
        (end <= range.end).then(|| Held { offset: self.offset + offset, storage, ..self.clone() })
    }
}

/// A pickled number of things that follow.
fn count(cursor: &mut Cursor<'_>) -> Result<i64, Fault> {
    let at = cursor.at;
    let pickle = cursor.pickle()?;
    let graph = Graph::read(&pickle).map_err(|fault| shifted(fault, at))?;
    graph.int(graph.root).ok_or_else(|| Fault::malformed(at, "a count is not a number"))
}

/// The number that a persistent id names an object by.
pub(super) fn number(graph: &Graph<'_>, id: NodeId) -> Result<i64, Fault> {
    let text = graph.text(id).filter(|text| text.len() <= MAX_NUMBER);
    let text = text.and_then(|text| text.parse().ok());
    text.or_else(|| graph.int(id))
        .ok_or_else(|| Fault::broken("a persistent id is not a number of a tensor or storage"))
}

impl Storages for Objects {
    fn find(&mut self, id: &StorageId) -> Result<Arc<Storage>, Fault> {
        Err(Fault::broken(format!("storage '{}' has no place in a tar archive", id.key)))
    }

    fn tensor(&self, graph: &Graph<'_>, node: NodeId) -> Result<Option<Tensor>, Fault> {
        let graph::Value::Persistent(id) = graph.value(node) else { return Ok(None) };
        if graph.class_named_by(id).is_some() {
            return Ok(None);
        }
        let key = number(graph, id)?;
        match (self.tensors.get(&key), self.storages.get(&key)) {
            (Some((_, tensor)), _) => Ok(Some(tensor.clone())),
            (None, Some(_)) => Ok(None),
            (None, None) => {
                Err(Fault::broken(format!("the pickle names object {key}, which is missing")))
            }
        }
    }
}
