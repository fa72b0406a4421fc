//! The legacy stream of PyTorch 0.1.10 to 1.5: five pickles, then the raw storages.
//!
//! ```text
//! magic number | protocol version | system info | object | storage keys | (i64 count, bytes)*
//! ```
//! Source: `_legacy_save` and `_legacy_load` in `torch/serialization.py`.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use statedict_core::{
    Catalog, Container, DType, Fault, Growth, Headroom, IndexMap, Layout, Location, Mentions,
    Opened, Plan, Source, Storage, Value, objects::Objects,
};

use crate::archive::check_types;
use crate::big_int::of_text;
use crate::budget::Budget;
use crate::edit::{Edited, edited, mentions};
use crate::objects::objects;
use crate::payload::payload;
use crate::pickle::graph::{self, CompoundId, NodeId};
use crate::pickle::opcode::{self, Op};
use crate::pickle::strings::binunicode;
use crate::pickle::{Graph, shifted};
use crate::recast::{NewRecord, NewRecords};
use crate::tensors::{MAX_STORAGE_KEY, StorageId, Storages, check_length, persistent_storages};
use crate::walk::{Surroundings, Walked, walk};

/// The number that the first pickle holds, in bytes and in digits.
const MAGIC: [u8; 10] = *b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
const MAGIC_TEXT: &str = "119547037146038801333356";

/// The longest first pickle, in bytes.
const MAX_FIRST: u64 = 128;

/// Bytes of the count in front of each storage.
const COUNT: u64 = 8;

/// What a storage's key takes in a list of them, in bytes, beside its text.
const KEY: usize = 40;

/// How much is read at first; doubled until the preamble is whole.
const FIRST_READ: u64 = 64 << 10;

/// The longest preamble, in bytes; see the limit of a pickle.
const MAX_PREAMBLE: u64 = 1 << 30;

/// An opened legacy stream.
pub(crate) struct StreamFile {
    /// The five pickles.
    preamble: Vec<u8>,
    /// Where the pickles before the object's are in the preamble.
    before: [Range<usize>; 3],
    /// Where the object's pickle is in the preamble.
    object: Range<usize>,
    /// Where the list of storage keys is in the preamble.
    keys: Range<usize>,
    /// The storages with their counts in front, by key, in file order.
    storages: IndexMap<String, Range<u64>>,
    /// Where the last storage ends.
    end: u64,
    len: u64,
    catalog: Catalog,
    mappings: Vec<CompoundId>,
}

/// The parts of a storage's persistent id, the last of which says what it is a slice of.
const ID_PARTS: usize = 6;

/// The second pickle's number: the version of the stream.
const VERSION: i64 = 1001;

/// True if the bytes start with a pickle of the magic number, however it spells it.
fn is_stream(head: &[u8]) -> bool {
    let Ok(graph) = Graph::read(head) else { return false };
    match graph.value(graph.root) {
        graph::Value::BigInt(number) => {
            let number = number.of(&graph.pickle);
            number.strip_prefix(&MAGIC).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
        }
        graph::Value::Digits(digits) => of_text(digits.of(&graph.pickle)) == MAGIC_TEXT,
        _ => false,
    }
}

/// True if a pickle of a file of some length builds the number of a version, however it spells it.
fn is_version(pickle: &[u8], file_len: u64) -> bool {
    Graph::read_of(pickle, file_len).is_ok_and(|graph| graph.int(graph.root) == Some(VERSION))
}

impl StreamFile {
    /// Reads the five pickles; `None` if the first is not the magic number.
    pub(crate) fn open(source: &dyn Source) -> Result<Option<StreamFile>, Fault> {
        let head = source.bytes(0..source.len().min(MAX_FIRST))?;
        if !is_stream(&head) {
            return Ok(None);
        }
        let (preamble, [magic, version, system, object, keys]) = preamble(source)?;
        if !is_version(&preamble[version.clone()], source.len()) {
            let what = "the stream's version is not 1001, the only one there is";
            return Err(Fault::malformed(version.start as u64, what));
        }
        let before = [magic, version, system];
        let order = storage_order(&preamble[keys.clone()], source.len())
            .map_err(|f| shifted(f, keys.start as u64))?;
        let graph = Graph::read_of(&preamble[object.clone()], source.len())
            .map_err(|f| shifted(f, object.start as u64))?;
        check_ids(&graph)?;
        check_types(&graph)?;
        check_views(&graph)?;
        let types = storage_types(&graph)?;
        let storages = lay_of_storages(source, preamble.len() as u64, order, &types)?;
        let mut places = Places { storages: &storages, found: HashMap::new() };
        let pickle = Location::Stored(object.start as u64..object.end as u64);
        let around = Surroundings { storages: &mut places, code: None, pickle };
        let Walked { catalog, mappings } = walk(&graph, around)?;
        drop(graph);
        let len = source.len();
        let end = storages.values().map(|range| range.end).max().unwrap_or(preamble.len() as u64);
        Ok(Some(StreamFile {
            preamble,
            before,
            object,
            keys,
            storages,
            end,
            len,
            catalog,
            mappings,
        }))
    }
}

impl Opened for StreamFile {
    fn kind(&self) -> &'static str {
        "pth-legacy"
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn payload(&self) -> Result<Option<Value>, Fault> {
        payload(&Graph::read(&self.preamble[self.object.clone()])?).map(Some)
    }

    fn objects(&self) -> Result<Option<Objects>, Fault> {
        let graph = Graph::read(&self.preamble[self.object.clone()])?;
        let mut places = Places { storages: &self.storages, found: HashMap::new() };
        objects(&graph, &mut places, &self.mappings).map(Some)
    }

    fn mentions(&self, plan: &Plan) -> Result<Mentions, Fault> {
        mentions(
            &Graph::read(&self.preamble[self.object.clone()])?,
            &self.catalog,
            &self.mappings,
            plan,
        )
    }
}

impl Container for StreamFile {
    fn rewrite(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault> {
        if plan.is_identity() {
            return Ok(self.whole());
        }
        let Changed { object, keys, records } = self.edited(plan)?;
        let object = with_room(&object, self.room(&keys, &records, reserve)?)?;
        self.lay_out(&self.preamble[..self.object.start], &object, &keys, &records)
    }

    /// The new pickle with as much padding as makes it as long as the old one; what follows counts
    /// from its end, so no storage can go.
    fn rewrite_in_place(&self, plan: &Plan, growth: Growth) -> Result<Option<Layout>, Fault> {
        if plan.is_identity() {
            return Ok(Some(self.whole()));
        }
        if plan.casts() {
            return Ok(None);
        }
        let Changed { object, keys, .. } = self.edited(plan)?;
        if keys != self.preamble[self.keys.clone()] {
            return Ok(None);
        }
        let bare = Graph::read(&object)?.bare()?;
        let Some(len) = growth.of_head(self.object.len() as u64, bare.len() as u64) else {
            return Ok(None);
        };
        let Some(object) = Graph::read(&bare)?.filled(len as usize - bare.len())? else {
            return Ok(None);
        };
        let mut layout = Layout::new();
        layout.bytes([&self.preamble[..self.object.start], &object, &keys].concat());
        layout.copy(self.preamble.len() as u64..self.len);
        Ok(Some(layout))
    }

    fn rewrite_plainly(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault> {
        let Changed { object, keys, records } = self.edited(plan)?;
        let plain = |pickle: &[u8]| Graph::read(pickle)?.in_protocol_2();
        let before: Vec<Vec<u8>> = self
            .before
            .iter()
            .map(|range| plain(&self.preamble[range.clone()]))
            .collect::<Result<_, _>>()?;
        let keys = plain(&keys)?;
        let object = with_room(&plain(&object)?, self.room(&keys, &records, reserve)?)?;
        self.lay_out(&before.concat(), &object, &keys, &records)
    }
}

impl StreamFile {
    /// The file as it is.
    fn whole(&self) -> Layout {
        let mut whole = Layout::new();
        whole.copy(0..self.len);
        whole
    }

    /// The bytes to keep for a longer pickle beside the storages of a list.
    fn room(&self, keys: &[u8], new: &NewRecords, reserve: Headroom) -> Result<u64, Fault> {
        let bytes = |key: &String| match (new.get(key), self.storages.get(key)) {
            (Some(record), _) => record.elements.byte_len(),
            (None, Some(range)) => range.end - range.start,
            (None, None) => 0,
        };
        let storages = storage_order(keys, self.len)?;
        Ok(reserve.beside(storages.iter().map(bytes).fold(0, u64::saturating_add)))
    }

    /// The object's pickle and the list of storage keys as a plan makes them.
    fn edited(&self, plan: &Plan) -> Result<Changed, Fault> {
        if !plan.metadata().is_empty() {
            let what = "a pth-legacy stream has no place for metadata";
            return Err(Fault::Unsupported(what.into()));
        }
        let old = Graph::read(&self.preamble[self.object.clone()])?;
        let Edited { pickle, records } = edited(old, &self.catalog, &self.mappings, plan)?;
        let types = storage_types(&Graph::read(&pickle)?)?;
        let kept: Vec<&String> = self.storages.keys().filter(|k| types.contains_key(*k)).collect();
        let made = records.keys().filter(|key| !self.storages.contains_key(*key));
        let keys: Vec<&String> = kept.into_iter().chain(made).collect();
        let keys = if keys.iter().copied().eq(self.storages.keys()) {
            self.preamble[self.keys.clone()].to_vec()
        } else {
            list_of(&keys)
        };
        Ok(Changed { object: pickle, keys, records })
    }

    /// A stream of pickles and the storages that one of them lists.
    fn lay_out(
        &self,
        before: &[u8],
        object: &[u8],
        keys: &[u8],
        new: &NewRecords,
    ) -> Result<Layout, Fault> {
        let mut layout = Layout::new();
        layout.bytes([before, object, keys].concat());
        for key in storage_order(keys, self.len)? {
            match (new.get(&key), self.storages.get(&key)) {
                (Some(NewRecord { elements, .. }), _) => {
                    layout.bytes(elements.count().to_le_bytes());
                    layout.elements(elements.clone());
                }
                (None, Some(range)) => layout.copy(range.clone()),
                (None, None) => return Err(Fault::broken(format!("storage '{key}' is missing"))),
            }
        }
        // Loaders ignore what follows the storages; it is not ours to drop.
        layout.copy(self.end..self.len);
        Ok(layout)
    }
}

/// What a plan makes of a stream.
struct Changed {
    object: Vec<u8>,
    /// The list of storage keys.
    keys: Vec<u8>,
    /// Storages that are rewritten, by their keys.
    records: NewRecords,
}

/// A pickle with so many bytes of padding, give or take what opcodes cannot come to.
fn with_room(pickle: &[u8], bytes: u64) -> Result<Vec<u8>, Fault> {
    let bare = Graph::read(pickle)?.bare()?;
    let bytes = usize::try_from(bytes).unwrap_or(0);
    let filled = Graph::read(&bare)?.filled(bytes)?;
    Ok(filled.unwrap_or(bare))
}

/// The five pickles, and where each is.
fn preamble(source: &dyn Source) -> Result<(Vec<u8>, [Range<usize>; 5]), Fault> {
    let mut buffer = source.bytes(0..source.len().min(FIRST_READ))?;
    let mut ranges: [Range<usize>; 5] = Default::default();
    let mut at = 0;
    for range in &mut ranges {
        let start = at;
        let mut code = None;
        while code != Some(opcode::STOP) {
            match Op::at(&buffer, at) {
                Ok(op) => (at, code) = (op.whole.end as usize, Some(op.code)),
                Err(fault) => buffer = more(source, buffer.len() as u64).ok_or(fault)??,
            }
        }
        *range = start..at;
    }
    buffer.truncate(at);
    Ok((buffer, ranges))
}

/// Twice as much of the file as was read; `None` if that was all, or all that may be read.
fn more(source: &dyn Source, read: u64) -> Option<Result<Vec<u8>, Fault>> {
    let end = source.len().min(read.saturating_mul(2));
    (end > read && end <= MAX_PREAMBLE).then(|| source.bytes(0..end))
}

/// The keys of the storages, in the order in which they follow the pickles of a file of some length.
fn storage_order(pickle: &[u8], file_len: u64) -> Result<Vec<String>, Fault> {
    let graph = Graph::read_of(pickle, file_len)?;
    let budget = Budget::of(&graph);
    let expected = || Fault::broken("the list of storage keys is not a list of short texts");
    let keys = graph.sequence(graph.root).ok_or_else(expected)?;
    let text = |key: NodeId| {
        let key = graph.text(key).filter(|key| key.len() <= MAX_STORAGE_KEY);
        let key = key.ok_or_else(expected)?;
        budget.spend(KEY + key.len())?;
        Ok(key.into_owned())
    };
    keys.into_iter().map(text).collect()
}

/// Persistent ids of storages say what they are a slice of, if only that they are none.
fn check_ids(graph: &Graph<'_>) -> Result<(), Fault> {
    let ids = graph.persistent.iter().map(|reference| reference.id);
    let ids = ids.filter(|id| graph.class_named_by(*id).is_none());
    let mut lengths = ids.filter_map(|id| graph.tuple(id)).map(<[_]>::len);
    match lengths.find(|parts| *parts != ID_PARTS) {
        Some(parts) => {
            let what = format!("a persistent id has {parts} parts, and {ID_PARTS} are known");
            Err(Fault::broken(what))
        }
        None => Ok(()),
    }
}

/// Slices of storages are named as PyTorch takes them: it goes by their keys, among which are those
/// of whole storages too, and by the first slice of each.
fn check_views(graph: &Graph<'_>) -> Result<(), Fault> {
    let (mut views, mut whole) = (HashMap::new(), HashSet::new());
    for id in persistent_storages(graph) {
        let id = id?;
        whole.insert(id.key.clone());
        let Some(view) = &id.view else { continue };
        let first = views.entry(view.key.clone()).or_insert_with(|| id.clone());
        if (&first.key, &first.view) != (&id.key, &id.view) {
            let what = format!("slice '{}' of a storage is named as two of them", view.key);
            return Err(Fault::broken(what));
        }
    }
    match views.keys().find(|key| whole.contains(*key)) {
        Some(key) => Err(Fault::broken(format!("'{key}' is a storage and a slice of one"))),
        None => Ok(()),
    }
}

/// The element type of every storage that a pickle names; the first mention decides.
fn storage_types(graph: &Graph<'_>) -> Result<HashMap<String, DType>, Fault> {
    let mut types = HashMap::new();
    for id in persistent_storages(graph) {
        let id = id?;
        types.entry(id.key).or_insert(id.dtype);
    }
    Ok(types)
}

/// Where the storages are, each with the eight bytes of its count in front.
fn lay_of_storages(
    source: &dyn Source,
    start: u64,
    order: Vec<String>,
    types: &HashMap<String, DType>,
) -> Result<IndexMap<String, Range<u64>>, Fault> {
    let mut storages = IndexMap::default();
    let mut at = start;
    for key in order {
        let Some(dtype) = types.get(&key) else {
            return Err(Fault::malformed(at, format!("storage '{key}' is listed and never used")));
        };
        let mut count = [0; COUNT as usize];
        source.read_at(at, &mut count)?;
        let count = i64::from_le_bytes(count);
        let bytes = u64::try_from(count).ok().and_then(|count| count.checked_mul(dtype.bits() / 8));
        let end = bytes.and_then(|bytes| at.checked_add(COUNT)?.checked_add(bytes));
        let Some(end) = end.filter(|end| *end <= source.len()) else {
            let what = format!(
                "storage '{key}' of {count} {dtype} elements ends beyond the file's {} bytes",
                source.len()
            );
            return Err(Fault::malformed(at, what));
        };
        if storages.insert(key.clone(), at..end).is_some() {
            return Err(Fault::malformed(at, format!("storage '{key}' is listed twice")));
        }
        at = end;
    }
    Ok(storages)
}

/// A pickled list of texts.
fn list_of(keys: &[&String]) -> Vec<u8> {
    let mut out = vec![opcode::PROTO, 2, opcode::EMPTY_LIST, opcode::MARK];
    for key in keys {
        out.extend(binunicode(key));
    }
    out.extend([opcode::APPENDS, opcode::STOP]);
    out
}

/// The storages of a stream, for the tensors that look at them.
struct Places<'a> {
    storages: &'a IndexMap<String, Range<u64>>,
    found: HashMap<(String, Range<u64>), Arc<Storage>>,
}

impl Storages for Places<'_> {
    fn find(&mut self, id: &StorageId) -> Result<Arc<Storage>, Fault> {
        let Some(range) = self.storages.get(&id.key) else {
            return Err(Fault::broken(format!("storage '{}' does not follow the pickles", id.key)));
        };
        let whole = range.start + COUNT..range.end;
        check_length(id, whole.end - whole.start)?;
        let range = id.slice(whole)?;
        let place = (id.key.clone(), range.clone());
        let storage = self.found.entry(place);
        Ok(storage.or_insert_with(|| Arc::new(Storage::stored(range))).clone())
    }
}
