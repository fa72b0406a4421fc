//! The tar archives of PyTorch before 0.1.10, which are read, and written anew as zip archives.
//!
//! ```text
//! sys_info  pickle of a dict
//! storages  n, then n × ((key, location, class), i64 count, bytes), then [(view, root, offset, count)]
//! tensors   n, then n × ((key, storage, class), i32 rank, 4 bytes, i64 sizes, i64 strides, i64 offset)
//! pickle    the object; a persistent id is the key of a tensor or storage, as text
//! ```
//! Source: `legacy_load` in `torch/serialization.py`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use statedict_core::{
    Catalog, Container, DType, Elements, Fault, Layout, Location, Misplaced, Plan, Source, Storage,
    Tensor, Value,
};

use crate::dtype;
use crate::edit::edit;
use crate::encode::{Placed, archive};
use crate::payload::payload;
use crate::pickle::Graph;
use crate::pickle::graph::{self, CompoundId, NodeId};
use crate::pickle::opcode::{self, Op};
use crate::pickle::patch::Patch;
use crate::tensors::{StorageId, Storages};
use crate::walk::{Surroundings, Walked, walk};

/// Bytes in a block of a tar archive.
const BLOCK: u64 = 512;

/// The most members that are looked at; PyTorch wrote four.
const MAX_MEMBERS: usize = 64;

/// How much is read for a pickle between raw data at first; quadrupled until it is whole.
const FIRST_READ: u64 = 256;

/// An opened tar archive.
pub(crate) struct TarFile {
    pickle: Vec<u8>,
    objects: Objects,
    catalog: Catalog,
    mappings: Vec<CompoundId>,
}

/// The tensors and storages of an archive, by the number that the pickle refers to them by.
#[derive(Default)]
struct Objects {
    storages: HashMap<i64, Held>,
    tensors: HashMap<i64, (i64, Tensor)>,
}

/// A storage, or a view of one.
#[derive(Clone)]
struct Held {
    /// The storage that has the bytes.
    root: i64,
    /// Where the view starts in it, in elements.
    offset: u64,
    dtype: DType,
    storage: Arc<Storage>,
}

impl TarFile {
    /// Reads the members; `None` if the file is no tar archive with PyTorch's members.
    pub(crate) fn open(source: &dyn Source) -> Result<Option<TarFile>, Fault> {
        let members = members(source)?;
        let (Some(storages), Some(tensors), Some(pickle)) =
            (members.get("storages"), members.get("tensors"), members.get("pickle"))
        else {
            return Ok(None);
        };
        let mut objects = Objects::default();
        objects.read_storages(&mut Cursor::new(source, storages.clone()))?;
        objects.read_tensors(&mut Cursor::new(source, tensors.clone()))?;
        let pickle = Cursor::new(source, pickle.clone()).pickle()?;
        let graph = Graph::read(&pickle)?;
        let around = Surroundings { storages: &mut objects, code: None };
        let Walked { catalog, mappings } = walk(&graph, around)?;
        drop(graph);
        Ok(Some(TarFile { pickle, objects, catalog, mappings }))
    }
}

impl Container for TarFile {
    fn kind(&self) -> &'static str {
        "pth-tar"
    }

    fn rewritten_as(&self) -> &'static str {
        "pth"
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn payload(&self) -> Result<Option<Value>, Fault> {
        payload(&Graph::read(&self.pickle)?).map(Some)
    }

    fn rewrite(&self, plan: &Plan) -> Result<Layout, Fault> {
        let graph = Graph::read(&self.pickle)?;
        // Storages are numbered as the pickle comes to them, which is how PyTorch numbers its own.
        let mut order: Vec<i64> = Vec::new();
        let mut patch = Patch::default();
        for reference in graph.persistent.iter().filter(|r| graph.class_named_by(r.id).is_none()) {
            let key = number(&graph, reference.id)?;
            let Some((storage, tensor)) = self.objects.tensors.get(&key) else {
                let what = "the pickle holds a bare storage, which a zip archive has no place for";
                return Err(Fault::Unsupported(what.into()));
            };
            let held = &self.objects.storages[storage];
            let place = order.iter().position(|root| *root == held.root).unwrap_or(order.len());
            if place == order.len() {
                order.push(held.root);
            }
            let opcodes = self.objects.opcodes(held, tensor, place)?;
            patch.replace(reference.start..reference.op + 1, &opcodes);
        }
        edit(&mut patch, &graph, &self.catalog, &self.mappings, plan)?;
        let storages = order.iter().map(|root| self.objects.storages[root].elements());
        let storages = storages.collect::<Result<Vec<_>, _>>()?;
        Ok(archive(patch.apply(&graph)?, storages.into_iter()))
    }
}

/// The members of a tar archive, by name; empty for what is no tar archive.
fn members(source: &dyn Source) -> Result<HashMap<String, Range<u64>>, Fault> {
    let mut members = HashMap::new();
    let mut at = 0;
    for _ in 0..MAX_MEMBERS {
        if source.len().saturating_sub(at) < BLOCK {
            break;
        }
        let block = source.bytes(at..at + BLOCK)?;
        let Some((name, size)) = header(&block) else { break };
        let start = at + BLOCK;
        let end = start.checked_add(size).filter(|end| *end <= source.len());
        let Some(end) = end else {
            let what = format!("tar member '{name}' of {size} bytes ends beyond the file");
            return Err(Fault::malformed(at, what));
        };
        members.insert(name.trim_start_matches("./").to_string(), start..end);
        at = end.next_multiple_of(BLOCK);
    }
    Ok(members)
}

/// Name and size in a header block, if its checksum holds.
fn header(block: &[u8]) -> Option<(String, u64)> {
    let octal = |range: Range<usize>| {
        let text = std::str::from_utf8(block.get(range)?).ok()?;
        u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
    };
    let unsummed = |(i, byte): (usize, &u8)| match i {
        148..156 => u64::from(b' '),
        _ => u64::from(*byte),
    };
    let sum: u64 = block.iter().enumerate().map(unsummed).sum();
    if octal(148..156)? != sum {
        return None;
    }
    let name = block.get(..100)?.split(|byte| *byte == 0).next()?;
    Some((String::from_utf8_lossy(name).into_owned(), octal(124..136)?))
}

/// Reads pickles and raw numbers one after another.
struct Cursor<'a> {
    source: &'a dyn Source,
    at: u64,
    end: u64,
}

impl<'a> Cursor<'a> {
    fn new(source: &'a dyn Source, range: Range<u64>) -> Cursor<'a> {
        Cursor { source, at: range.start, end: range.end }
    }

    /// The next pickle, up to its `STOP`.
    fn pickle(&mut self) -> Result<Vec<u8>, Fault> {
        let mut len = FIRST_READ;
        let mut scanned = 0;
        loop {
            let available = len.min(self.end - self.at);
            let mut buffer = self.source.bytes(self.at..self.at + available)?;
            let fault = loop {
                match Op::at(&buffer, scanned) {
                    Ok(op) => {
                        scanned = op.whole.end as usize;
                        if op.code == opcode::STOP {
                            self.at += scanned as u64;
                            buffer.truncate(scanned);
                            return Ok(buffer);
                        }
                    }
                    Err(fault) => break fault,
                }
            };
            if available == self.end - self.at {
                return Err(fault);
            }
            len = len.saturating_mul(4);
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<Range<u64>, Fault> {
        let start = self.at;
        match start.checked_add(bytes).filter(|end| *end <= self.end) {
            Some(end) => {
                self.at = end;
                Ok(start..end)
            }
            None => {
                Err(Fault::malformed(start, format!("{bytes} bytes end beyond the tar member")))
            }
        }
    }

    fn i32(&mut self) -> Result<i32, Fault> {
        let bytes = self.source.bytes(self.skip(4)?)?;
        Ok(i32::from_le_bytes(bytes.try_into().expect("four bytes were asked for")))
    }

    fn size(&mut self) -> Result<u64, Fault> {
        let at = self.at;
        let bytes = self.source.bytes(self.skip(8)?)?;
        let number = i64::from_le_bytes(bytes.try_into().expect("eight bytes were asked for"));
        u64::try_from(number)
            .map_err(|_| Fault::malformed(at, format!("{number} cannot be a size")))
    }

    fn sizes(&mut self, count: u64) -> Result<Vec<u64>, Fault> {
        // Refused before any memory is taken for it.
        let end = self.at.checked_add(count.saturating_mul(8));
        if end.is_none_or(|end| end > self.end) {
            return Err(Fault::malformed(
                self.at,
                format!("{count} sizes end beyond the tar member"),
            ));
        }
        (0..count).map(|_| self.size()).collect()
    }
}

impl Objects {
    fn read_storages(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        for _ in 0..count(cursor)? {
            let at = cursor.at;
            let pickle = cursor.pickle()?;
            let graph = Graph::read(&pickle)?;
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
        let graph = Graph::read(&pickle)?;
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

    fn read_tensors(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        for _ in 0..count(cursor)? {
            let at = cursor.at;
            let pickle = cursor.pickle()?;
            let graph = Graph::read(&pickle)?;
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
            let place = |wrong: Misplaced| {
                Fault::malformed(at, format!("tensor {key}: storage {storage}: {wrong}"))
            };
            let (dtype, bytes) = (held.dtype.clone(), held.storage.clone());
            let tensor = Tensor::view(dtype, shape, strides, offset, bytes).map_err(place)?;
            self.tensors.insert(key, (storage, tensor));
        }
        Ok(())
    }

    /// The opcodes that rebuild a tensor over storage `place` of a zip archive.
    fn opcodes(&self, held: &Held, tensor: &Tensor, place: usize) -> Result<Vec<u8>, Fault> {
        let view = tensor.as_view().expect("tar archives hold plain tensors only");
        let placed = Placed {
            dtype: &held.dtype,
            storage: (place, self.storages[&held.root].count()),
            shape: &tensor.shape,
            strides: view.strides(),
            offset: held.offset + view.offset(),
        };
        let unknown =
            || Fault::Unsupported(format!("a zip archive has no {} storages", held.dtype));
        placed.opcodes().ok_or_else(unknown)
    }
}

impl Held {
    fn count(&self) -> u64 {
        self.storage.len() / (self.dtype.bits() / 8).max(1)
    }

    /// The whole storage, to be written into another archive.
    fn elements(&self) -> Result<Elements, Fault> {
        let (dtype, shape) = (self.dtype.clone(), vec![self.count()]);
        let whole = Tensor::dense(dtype, shape, 0, self.storage.clone());
        let whole = whole.map_err(|wrong| Fault::broken(wrong.to_string()))?;
        Elements::new(whole, None).map_err(Fault::Unsupported)
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
    let graph = Graph::read(&pickle)?;
    graph.int(graph.root).ok_or_else(|| Fault::malformed(at, "a count is no number"))
}

/// The number that a persistent id names an object by.
fn number(graph: &Graph<'_>, id: NodeId) -> Result<i64, Fault> {
    let text = graph.text(id).and_then(|text| text.parse().ok());
    text.or_else(|| graph.int(id))
        .ok_or_else(|| Fault::broken("a persistent id is no number of a tensor or storage"))
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
