//! The zip archive that PyTorch writes since 1.6, as a container.

use std::collections::HashSet;
use std::sync::Arc;

use statedict_core::{
    ByteOrder, Catalog, Container, DType, Fault, Growth, Headroom, IndexMap, IndexSet, Layout,
    Location, Mentions, Opened, Plan, Source, Storage, Value, objects::Objects, sorting,
};
use statedict_zip::{Added, Archive, Change, Entry, Located, Method, Writer};

use crate::edit::{Edited, edited, mentions};
use crate::mentions::is_without;
use crate::metadata::{self, Metadata, NewText};
use crate::objects::objects;
use crate::payload::payload;
use crate::pickle::Graph;
use crate::pickle::graph::CompoundId;
use crate::recast::{NewRecord, NewRecords};
use crate::target::targets;
use crate::tensors::{StorageId, Storages, check_length, persistent_storages};
use crate::torchscript::Code;
use crate::walk::{Surroundings, Walked, walk};

/// The kind of archives that hold code.
const SCRIPTED: &str = "torchscript";

/// The record that builds the object.
const PICKLE: &str = "data.pkl";

/// The folder of the storages' records.
const STORAGES: &str = "data/";

/// The parts of a storage's persistent id; only legacy streams have more.
const ID_PARTS: usize = 5;

/// The longest record that is read whole: a pickle's limit.
const MAX_RECORD: u64 = 1 << 30;

/// The longest pickle that is inflated: PyTorch stores its own, so a deflated one is of an archive
/// that someone packed again, and no excuse to take memory beyond the file's size.
const MAX_INFLATED: u64 = 1 << 20;

/// A pickle that was deflated may inflate to more than that if it is at most this many times as
/// long; keys and opcodes repeat, and shrink to a tenth.
const MAX_INFLATION: u64 = 64;

/// The longest record that says one thing, such as `byteorder`, in bytes.
const MAX_NOTE: u64 = 1 << 10;

/// The most TorchScript code that is read, inflated, in bytes; real models have some hundred
/// kilobytes in all.
const MAX_CODE: u64 = 16 << 20;

/// The alignment of storages where the file names none (PyTorch's own default), in bytes.
const DEFAULT_ALIGNMENT: u64 = 64;

/// The largest alignment that a zip extra field has room to pad to, in bytes.
const MAX_ALIGNMENT: u64 = 1 << 15;

/// An opened archive.
pub(crate) struct ZipFile {
    archive: Archive,
    located: Vec<Located>,
    len: u64,
    kind: &'static str,
    prefix: String,
    alignment: u64,
    byte_order: ByteOrder,
    /// The pickle, which is followed again by who needs more than the catalog: its graph takes
    /// several times as much memory.
    pickle: Vec<u8>,
    catalog: Catalog,
    mappings: Vec<CompoundId>,
    /// No names of keys are anywhere but in the state dict.
    is_without_mentions: bool,
    /// A record that is read and not spelled as PyTorch spells it.
    misspelled: Option<String>,
    metadata: Metadata,
}

/// What a plan makes of an archive.
struct Changed {
    pickle: Vec<u8>,
    /// Records that have no place beside the pickle.
    gone: HashSet<String>,
    /// Storages that are rewritten, by their keys.
    records: NewRecords,
    metadata: NewText,
}

impl ZipFile {
    /// Reads the archive's directory and its pickle; `None` if it has no `data.pkl`.
    pub(crate) fn open(source: &dyn Source) -> Result<Option<ZipFile>, Fault> {
        let Some(archive) = Archive::open(source)? else { return Ok(None) };
        let Some(prefix) = prefix(&archive)? else { return Ok(None) };
        let place = |name: &str| archive.position_ignoring_case(&format!("{prefix}/{name}"));
        let record = |name: &str| Some(&archive.entries()[place(name)?]);
        check_names(&archive, &prefix)?;
        let located: Vec<Located> = archive.locate_all(source)?;
        let text = |name: &str| match record(name) {
            Some(entry) => entry.read_unchecked(source, MAX_NOTE).map(Some),
            None => Ok(None),
        };
        let byte_order = byte_order(text("byteorder")?)?;
        let alignment = alignment(text(".storage_alignment")?);
        let data = record(PICKLE).expect("the prefix is that of the pickle");
        let limit = match data.method() {
            Method::Stored => MAX_RECORD,
            _ => {
                let proportionate = data.compressed_size().saturating_mul(MAX_INFLATION);
                proportionate.clamp(MAX_INFLATED, MAX_RECORD)
            }
        };
        let pickle = data.read_unchecked(source, limit)?;
        let metadata = match record(metadata::RECORD) {
            Some(entry) => Some(entry.read(source, metadata_limit(entry))?),
            None => None,
        };
        let metadata = Metadata::parse(metadata.as_deref());
        let mut records = Records::new(&archive, &located, &prefix, byte_order);
        // Python looks for this one, and distinguishes upper and lower case.
        let code = match archive.find(&format!("{prefix}/constants.pkl")) {
            Some(_) => Some(code(&archive, &prefix, source)?),
            None => None,
        };
        let graph = Graph::to_list(&pickle, source.len()).map_err(in_pickle)?;
        let place = records.locate(place(PICKLE).expect("it was read"))?;
        let Walked { catalog, mappings } = walked(&graph, &mut records, code.as_ref(), place)?;
        let is_without_mentions = is_without(&graph, &mappings);
        let len = source.len();
        let kind = if code.is_some() { SCRIPTED } else { "pth" };
        let misspelled = misspelled(&archive, &prefix).or(records.misspelled);
        Ok(Some(ZipFile {
            archive,
            located,
            len,
            kind,
            prefix,
            alignment,
            byte_order,
            pickle,
            catalog,
            mappings,
            is_without_mentions,
            misspelled,
            metadata,
        }))
    }

    /// The file as it is.
    fn whole(&self) -> Layout {
        let mut whole = Layout::new();
        whole.copy(0..self.len);
        whole
    }

    /// What a plan makes of the pickle and its records.
    ///
    /// # Errors
    /// Records whose names differ in case from those that the pickle and PyTorch's writer use: they
    /// are only read.
    fn edited(&self, plan: &Plan) -> Result<Changed, Fault> {
        if let Some(name) = &self.misspelled {
            let what = format!("record '{name}' differs in case from the name that PyTorch writes");
            return Err(Fault::Unsupported(what));
        }
        let graph = Graph::to_edit(&self.pickle, self.len)?;
        let may_go = plan.drops() || plan.casts();
        let before = if may_go { Some(storage_keys(&graph)?) } else { None };
        let Edited { pickle, records } = edited(graph, &self.catalog, &self.mappings, plan)?;
        let gone = match before {
            Some(before) => gone(&before, &pickle, &records)?,
            None => HashSet::new(),
        };
        let metadata = self.metadata.changed(plan.metadata())?;
        Ok(Changed { pickle, gone, records, metadata })
    }

    /// What the pickle would build.
    fn listed(&self) -> Result<Graph<'_>, Fault> {
        Graph::to_list(&self.pickle, self.len)
    }

    /// The archive again, with what changed.
    fn lay_out(&self, changed: Changed, reserve: Headroom) -> Layout {
        let Changed { mut pickle, gone, records: mut new, metadata } = changed;
        let room = self.room(&gone, reserve);
        let mut writer = Writer::torch(self.alignment);
        writer.comment(self.archive.comment());
        writer.reserve(self.archive.entries());
        // In the order in which they are in the file: PyTorch may compute offsets from it.
        let mut records: Vec<_> = self.archive.entries().iter().zip(&self.located).collect();
        sorting::sort_by_key(&mut records, |(entry, _)| entry.header_offset());
        for (entry, located) in records {
            let record = self.record(entry);
            let storage = record.strip_prefix(STORAGES).unwrap_or_default();
            if record == PICKLE {
                writer.replace(entry, std::mem::take(&mut pickle));
                // PyTorch's offsets count from the first storage on, so a gap before is free.
                writer.gap(room);
            } else if let Some(NewRecord { elements, .. }) = new.shift_remove(storage) {
                writer.elements(entry.name(), Vec::new(), elements);
            } else if !gone.contains(record)
                && (record != metadata::RECORD || metadata == NewText::Kept)
            {
                writer.copy(entry, located, entry.name());
            }
            for (key, made) in new.extract_if(.., |_, made| made.from == storage) {
                let name = format!("{}/{STORAGES}{key}", self.prefix);
                writer.elements(&name, Vec::new(), made.elements);
            }
        }
        if let NewText::Written(text) = metadata {
            writer.bytes(&self.named(metadata::RECORD), text);
        }
        writer.finish()
    }

    /// The same archive around its storages where they are.
    fn revised(&self, changed: Changed) -> Option<Layout> {
        let Changed { mut pickle, gone, mut metadata, .. } = changed;
        let alignment = self.alignment;
        let mut change = |entry| match self.record(entry) {
            PICKLE => {
                let content = std::mem::take(&mut pickle);
                Change::Replace { content, alignment }
            }
            record if gone.contains(record) => Change::Drop,
            metadata::RECORD => match std::mem::replace(&mut metadata, NewText::Kept) {
                NewText::Kept => Change::Keep,
                NewText::Removed => Change::Drop,
                NewText::Written(content) => Change::Replace { content, alignment },
            },
            _ => Change::Keep,
        };
        let changes = self.archive.entries().iter().map(&mut change).collect();
        let located: Vec<&Located> = self.located.iter().collect();
        let added = match metadata {
            NewText::Written(content) => {
                Some(Added { name: self.named(metadata::RECORD), content, alignment })
            }
            NewText::Kept | NewText::Removed => None,
        };
        self.archive.rewrite_in_place(&located, changes, added, self.len)
    }

    /// The whole name of a record.
    fn named(&self, record: &str) -> String {
        format!("{}/{record}", self.prefix)
    }

    /// The bytes to leave free for a longer pickle; TorchScript's names are its code's.
    fn room(&self, gone: &HashSet<String>, reserve: Headroom) -> u64 {
        let kept = self.archive.entries().iter().filter(|entry| {
            let record = self.record(entry);
            record.starts_with(STORAGES) && !gone.contains(record)
        });
        let bytes = kept.map(Entry::size).fold(0, u64::saturating_add);
        if self.kind == SCRIPTED { 0 } else { reserve.beside(bytes) }
    }

    /// The name of an entry in the archive's folder.
    fn record<'e>(&self, entry: &'e Entry) -> &'e str {
        entry.name().get(self.prefix.len() + 1..).unwrap_or_default()
    }
}

impl Opened for ZipFile {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn metadata(&self) -> Vec<(String, String)> {
        self.metadata.texts().to_vec()
    }

    fn payload(&self) -> Result<Option<Value>, Fault> {
        payload(&self.listed()?).map(Some)
    }

    fn objects(&self) -> Result<Option<Objects>, Fault> {
        let Self { archive, located, prefix, byte_order, .. } = self;
        let mut records = Records::new(archive, located, prefix, *byte_order);
        objects(&self.listed()?, &mut records, &self.mappings).map(Some)
    }

    fn mentions(&self, plan: &Plan) -> Result<Mentions, Fault> {
        if self.is_without_mentions {
            return targets(&self.catalog, &self.mappings, plan).map(|_| Mentions::default());
        }
        mentions(&self.listed()?, &self.catalog, &self.mappings, plan)
    }
}

impl Container for ZipFile {
    fn rewrite(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault> {
        if plan.is_identity() {
            return Ok(self.whole());
        }
        Ok(self.lay_out(self.edited(plan)?, reserve))
    }

    fn rewrite_plainly(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault> {
        let mut changed = self.edited(plan)?;
        changed.pickle = Graph::read(changed.pickle)?.in_protocol_2()?;
        Ok(self.lay_out(changed, reserve))
    }

    /// The new pickle in the old one's place, or behind the end of the file.
    ///
    /// Storages are not moved, so `.format_version` stays true while all of them stay. There is
    /// nothing to insert: what does not fit is at the end. TorchScript archives, which their
    /// code speaks of by name, are rewritten.
    fn rewrite_in_place(&self, plan: &Plan, growth: Growth) -> Result<Option<Layout>, Fault> {
        if plan.is_identity() {
            return Ok(Some(self.whole()));
        }
        if self.kind == SCRIPTED || growth != Growth::Within || plan.casts() {
            return Ok(None);
        }
        Ok(self.revised(self.edited(plan)?))
    }
}

/// The records that have no place beside another pickle.
fn gone(
    before: &IndexSet<String>,
    pickle: &[u8],
    new: &NewRecords,
) -> Result<HashSet<String>, Fault> {
    let after = storage_keys(&Graph::read(pickle)?)?;
    if new.is_empty() && before.iter().eq(after.iter()) {
        return Ok(HashSet::new());
    }
    // Storages went or changed, so what PyTorch computes about the layout would be wrong: the
    // record that makes it compute goes too, and it reads the offsets from the directory.
    let gone = before.iter().filter(|key| !after.contains(*key));
    let gone = gone.map(|key| format!("{STORAGES}{key}"));
    Ok(gone.chain([".format_version".to_string()]).collect())
}

/// Lists what the pickle holds, all storages being there that it names.
fn walked(
    graph: &Graph<'_>,
    records: &mut Records<'_>,
    code: Option<&Code>,
    pickle: Location,
) -> Result<Walked, Fault> {
    let lengths = graph.persistent.iter().filter_map(|reference| graph.tuple(reference.id));
    if let Some(parts) = lengths.map(<[_]>::len).find(|parts| *parts != ID_PARTS) {
        let what = format!("a persistent id has {parts} parts, and {ID_PARTS} are known");
        return Err(Fault::broken(what));
    }
    // The walk comes first, since it can say which tensor lacks its storage.
    let walked = walk(graph, Surroundings { storages: records, code, pickle })?;
    let mut types = vec![None; records.found.len()];
    // PyTorch loads a storage where the pickle names it, whether a tensor uses it or not.
    for id in persistent_storages(graph) {
        let id = id?;
        let (place, _) = records.seek(&id)?;
        let StorageId { key, dtype, .. } = id;
        check_type(types[place].get_or_insert_with(|| dtype.clone()), &dtype, &key)?;
    }
    Ok(walked)
}

/// Every storage is named with one type: PyTorch takes the first, whatever later names say.
pub(crate) fn check_types(graph: &Graph<'_>) -> Result<(), Fault> {
    let mut types = IndexMap::default();
    for id in persistent_storages(graph) {
        let StorageId { key, dtype, .. } = id?;
        check_type(types.entry(key.clone()).or_insert_with(|| dtype.clone()), &dtype, &key)?;
    }
    Ok(())
}

/// A storage is named with the type that it was `first` named with.
fn check_type(first: &DType, dtype: &DType, key: &str) -> Result<(), Fault> {
    if first == dtype {
        return Ok(());
    }
    let what = format!("storage '{key}' is named as one of {first} and as one of {dtype}");
    Err(Fault::broken(what))
}

/// A record beside the storages whose name differs in case from the one that is looked for.
fn misspelled(archive: &Archive, prefix: &str) -> Option<String> {
    let notes = [PICKLE, "byteorder", ".storage_alignment", ".format_version"];
    notes.into_iter().find_map(|record| {
        let name = format!("{prefix}/{record}");
        let found = archive.entries().get(archive.position_ignoring_case(&name)?)?;
        (found.raw_name() != name.as_bytes()).then(|| found.name().to_string())
    })
}

/// The code of a TorchScript archive.
fn code(archive: &Archive, prefix: &str, source: &dyn Source) -> Result<Code, Fault> {
    let (mut code, mut left) = (Code::default(), MAX_CODE);
    for entry in archive.entries() {
        let path = entry.name().strip_prefix(prefix).and_then(|name| name.strip_prefix("/code/"));
        if let Some(path) = path.filter(|path| path.ends_with(".py")) {
            let text = entry.read(source, left)?;
            left -= text.len() as u64;
            code.add(path, &String::from_utf8_lossy(&text));
        }
    }
    Ok(code)
}

/// A pickle's offsets count from its own start, which the message has to say.
fn in_pickle(fault: Fault) -> Fault {
    match fault {
        Fault::Malformed { at: Some(at), what } => {
            Fault::broken(format!("data.pkl at byte {at}: {what}"))
        }
        Fault::TooLarge { at: Some(at), what } => {
            Fault::TooLarge { at: None, what: format!("data.pkl at byte {at}: {what}") }
        }
        other => other,
    }
}

/// The folder that all records are in: the first entry's, as PyTorch has it; `None` if there is no
/// pickle in any folder.
///
/// # Errors
/// A pickle in another folder, which PyTorch would not find.
fn prefix(archive: &Archive) -> Result<Option<String>, Fault> {
    let Some(root) = archive.root() else { return Ok(None) };
    if archive.position_ignoring_case(&format!("{root}/{PICKLE}")).is_some() {
        return Ok(Some(root.to_string()));
    }
    match archive.entries().iter().find(|entry| entry.name().ends_with("/data.pkl")) {
        Some(entry) => {
            let what = format!("record '{}' is not in the first record's folder", entry.name());
            Err(Fault::malformed(entry.header_offset(), format!("{what}, '{root}'")))
        }
        None => Ok(None),
    }
}

/// Every record is in one folder and has a name of its own, as PyTorch's loader demands.
fn check_names(archive: &Archive, prefix: &str) -> Result<(), Fault> {
    if let Some(name) = archive.duplicates().first() {
        return Err(Fault::broken(format!("two records are named '{name}'")));
    }
    if let Some((one, other)) = archive.alike() {
        let what = format!("records '{one}' and '{other}' differ in case alone");
        return Err(Fault::broken(format!("{what}, and PyTorch takes one for the other")));
    }
    match archive.entries().iter().find(|entry| !is_below(entry.name(), prefix)) {
        Some(entry) => {
            let what =
                format!("record '{}' is not in the archive's folder '{prefix}'", entry.name());
            Err(Fault::malformed(entry.header_offset(), what))
        }
        None => Ok(()),
    }
}

/// True for a name in this folder that does not lead out of it.
fn is_below(name: &str, prefix: &str) -> bool {
    let is_inside =
        name.split_once('/').is_some_and(|(folder, _)| folder.eq_ignore_ascii_case(prefix));
    is_inside && !name.starts_with('/') && name.split(['/', '\\']).all(|part| part != "..")
}

fn byte_order(record: Option<Vec<u8>>) -> Result<ByteOrder, Fault> {
    match record.as_deref() {
        None | Some(b"little") => Ok(ByteOrder::Little),
        Some(b"big") => Ok(ByteOrder::Big),
        Some(other) => {
            let found = other.get(..other.len().min(20)).unwrap_or_default().escape_ascii();
            Err(Fault::broken(format!("record byteorder is '{found}', expected 'little' or 'big'")))
        }
    }
}

/// How much of a record of metadata is read; what is deflated may grow as a pickle may.
fn metadata_limit(entry: &Entry) -> u64 {
    match entry.method() {
        Method::Stored => metadata::MAX_RECORD,
        _ => entry
            .compressed_size()
            .saturating_mul(MAX_INFLATION)
            .clamp(MAX_INFLATED, metadata::MAX_RECORD),
    }
}

fn alignment(record: Option<Vec<u8>>) -> u64 {
    let number = record.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok());
    number.filter(|number| (1..=MAX_ALIGNMENT).contains(number)).unwrap_or(DEFAULT_ALIGNMENT)
}

/// The keys of the storages that a pickle refers to, in the order in which it first does.
fn storage_keys(graph: &Graph<'_>) -> Result<IndexSet<String>, Fault> {
    persistent_storages(graph).map(|id| Ok(id?.key)).collect()
}

/// The storage records of an archive.
struct Records<'a> {
    archive: &'a Archive,
    /// One for each entry of the archive.
    located: &'a [Located],
    prefix: &'a str,
    byte_order: ByteOrder,
    /// The storages found so far, by the places of their records.
    found: Vec<Option<Arc<Storage>>>,
    /// The place after the last record that was found, where the next one mostly is.
    next: usize,
    /// A storage's record whose name differs in case from the one that is looked for.
    misspelled: Option<String>,
}

impl<'a> Records<'a> {
    fn new(
        archive: &'a Archive,
        located: &'a [Located],
        prefix: &'a str,
        byte_order: ByteOrder,
    ) -> Records<'a> {
        let found = vec![None; archive.entries().len()];
        Records { archive, located, prefix, byte_order, found, next: 0, misspelled: None }
    }

    /// Where the record of a storage is among all.
    fn place(&mut self, key: &str) -> Result<usize, Fault> {
        if self.is_of(self.next, key) {
            return Ok(self.next);
        }
        let name = format!("{}/{STORAGES}{key}", self.prefix);
        let Some(place) = self.archive.position_ignoring_case(&name) else {
            return Err(Fault::broken(format!("storage '{key}' has no record '{name}'")));
        };
        let found = &self.archive.entries()[place];
        if found.raw_name() != name.as_bytes() {
            self.misspelled.get_or_insert_with(|| found.name().to_string());
        }
        Ok(place)
    }

    /// True if the record at a place is a storage's, and spelled as PyTorch spells it.
    fn is_of(&self, place: usize, key: &str) -> bool {
        let name = self.archive.entries().get(place).map(Entry::raw_name);
        let record = name.and_then(|name| name.strip_prefix(self.prefix.as_bytes()));
        let record = record.and_then(|record| record.strip_prefix(b"/"));
        record.and_then(|record| record.strip_prefix(STORAGES.as_bytes())) == Some(key.as_bytes())
    }

    /// Where the bytes of the record at a place are.
    fn locate(&self, place: usize) -> Result<Location, Fault> {
        let entry = &self.archive.entries()[place];
        if entry.is_folder() && entry.size() > 0 {
            let what = format!("record '{}' is a folder by its attributes", entry.name());
            return Err(Fault::broken(format!("{what}, and PyTorch reads no byte of it")));
        }
        let range = self.located[place].data.clone();
        match entry.method() {
            Method::Stored => Ok(Location::Stored(range)),
            Method::Deflated => {
                let crc32 = Some(entry.crc32()).filter(|crc32| *crc32 != 0);
                let (compressed, len) = (range, entry.size());
                Ok(Location::Deflated { compressed, skip: 0, len, crc32 })
            }
            Method::Other(method) => {
                let what = format!("record '{}' is compressed by method {method}", entry.name());
                Err(Fault::Unsupported(what))
            }
        }
    }
}

impl Records<'_> {
    /// A storage, and where its record is among all.
    fn seek(&mut self, id: &StorageId) -> Result<(usize, Arc<Storage>), Fault> {
        let place = self.place(&id.key)?;
        let storage = match &self.found[place] {
            Some(storage) => storage.clone(),
            None => {
                let (location, byte_order) = (self.locate(place)?, self.byte_order);
                Arc::new(Storage { location, byte_order })
            }
        };
        self.found[place] = Some(storage.clone());
        self.next = place + 1;
        check_length(id, storage.len())?;
        Ok((place, storage))
    }
}

impl Storages for Records<'_> {
    fn find(&mut self, id: &StorageId) -> Result<Arc<Storage>, Fault> {
        self.seek(id).map(|(_, storage)| storage)
    }
}
