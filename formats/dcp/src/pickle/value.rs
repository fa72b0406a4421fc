//! What a pickle builds, nothing of it made.

use std::cell::{Cell, Ref, RefCell};
use std::mem;
use std::num::NonZeroU32;
use std::rc::Rc;

use statedict_core::IndexSet;

/// How deeply values may nest: metadata does not go beyond a dozen.
const MAX_NESTING: u8 = 64;

/// A value; what can grow is shared as the pickle shares it.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value {
    #[default]
    None,
    Int(i64),
    /// A truth value, number or bytes that nothing here depends on.
    Opaque,
    Text(Text),
    /// A `torch.Size`.
    Sizes(SizesId),
    Global(GlobalId),
    /// A `ChunkStorageMetadata`: offsets and sizes.
    Chunk(SizesId, SizesId),
    /// A `MetadataIndex`: a name and, for chunks, an offset.
    Index(TextId, Option<SizesId>),
    /// A `_StorageInfo` without transforms.
    Info(Info),
    /// `TensorProperties`: the type of the elements.
    Properties(GlobalId),
    Node(Rc<Node>),
}

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    /// The number of its file.
    pub(crate) file: u32,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Indexes with what they lead to, of which there may be millions.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// What each is of: a name and, for chunks, where it begins.
    pub(crate) of: Vec<(TextId, Option<SizesId>)>,
    pub(crate) places: Vec<Place>,
}

/// Where something is in a file. Numbers take six bytes; what is beyond that is beyond any file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of its file, or of its file with how it was transformed.
    pub(crate) kind: u32,
    offset: [u8; Place::WIDTH],
    length: [u8; Place::WIDTH],
}

impl Placed {
    pub(crate) fn push(&mut self, name: TextId, at: Option<SizesId>, info: &Info) {
        self.of.push((name, at));
        self.places.push(Place::plain(info));
    }
}

impl Place {
    const WIDTH: usize = 6;

    /// What is said of an item that was not transformed.
    fn plain(info: &Info) -> Place {
        let bytes = |number: u64| {
            let most = u64::MAX >> (64 - 8 * Place::WIDTH);
            let [a, b, c, d, e, f, ..] = number.min(most).to_le_bytes();
            [a, b, c, d, e, f]
        };
        Place { kind: info.file, offset: bytes(info.offset), length: bytes(info.length) }
    }

    /// The same with another number of its file.
    pub(crate) fn of_kind(self, kind: u32) -> Place {
        Place { kind, ..self }
    }

    /// Where it begins, and how long it is.
    pub(crate) fn range(&self) -> (u64, u64) {
        let number =
            |[a, b, c, d, e, f]: [u8; Place::WIDTH]| u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        (number(self.offset), number(self.length))
    }
}

/// A text as one opcode pushed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) id: TextId,
    /// The number of the push among those of all texts; who fetches a text pushes it again.
    pub(crate) push: u32,
}

/// A text's place among the different ones of the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TextId(u32);

/// A `torch.Size`'s place among the different ones of the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SizesId(NonZeroU32);

/// A global's place among those of the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GlobalId(u32);

/// Something that has parts.
#[derive(Debug)]
pub(crate) struct Node {
    kind: RefCell<Kind>,
    /// How deeply its parts nest, itself included.
    depth: Cell<u8>,
    /// True once it is part of another: it does not grow any more, so nothing is ever part of itself
    /// and depths stay true.
    is_part: Cell<bool>,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A tuple, list or set.
    Sequence(Vec<Value>),
    /// A list of chunks alone, their offsets and sizes.
    Chunks(Vec<(SizesId, SizesId)>),
    Dict(Vec<(Value, Value)>, Placed),
    /// A `TensorStorageMetadata`: the type of its elements, its size and chunks.
    Stored(GlobalId, SizesId, Vec<(SizesId, SizesId)>),
    /// An object: what was called with what, and the state it was given.
    Object {
        class: GlobalId,
        args: Vec<Value>,
        state: Value,
    },
}

/// Why a value cannot be put together so.
#[derive(Debug)]
pub(super) enum Misbuilt {
    Nesting,
    Recursive,
    NotGrowing,
    KeyAlone,
}

impl Node {
    pub(crate) fn kind(&self) -> Ref<'_, Kind> {
        self.kind.borrow()
    }

    /// Takes out what a dict has of indexes with their places, which may be most of what there is.
    pub(crate) fn take_placed(&self) -> Placed {
        match &mut *self.kind.borrow_mut() {
            Kind::Dict(_, placed) => mem::take(placed),
            _ => Placed::default(),
        }
    }

    /// The entries of a dict; taken out of what nobody else has.
    pub(crate) fn take_entries(node: &Rc<Node>) -> Option<Vec<(Value, Value)>> {
        match &mut *node.kind.borrow_mut() {
            Kind::Dict(entries, _) => {
                let is_shared = Rc::strong_count(node) > 1;
                Some(if is_shared { entries.clone() } else { mem::take(entries) })
            }
            _ => None,
        }
    }

    /// The chunks of a list that has nothing else, or of a tensor; taken out of what nobody else has.
    pub(crate) fn take_chunks(node: &Rc<Node>) -> Option<Vec<(SizesId, SizesId)>> {
        match &mut *node.kind.borrow_mut() {
            Kind::Chunks(chunks) | Kind::Stored(_, _, chunks) => {
                let is_shared = Rc::strong_count(node) > 1;
                Some(if is_shared { chunks.clone() } else { mem::take(chunks) })
            }
            _ => None,
        }
    }
}

fn is_empty(kind: &Kind) -> bool {
    matches!(kind, Kind::Sequence(items) if items.is_empty())
}

/// Values that are all chunks.
fn chunks(items: &[Value]) -> Option<Vec<(SizesId, SizesId)>> {
    let chunk = |item: &Value| match item {
        Value::Chunk(at, size) => Some((*at, *size)),
        _ => None,
    };
    let mut chunks = Vec::with_capacity(items.len());
    for item in items {
        chunks.push(chunk(item)?);
    }
    Some(chunks)
}

impl Value {
    pub(super) fn sequence(items: Vec<Value>) -> Result<Value, Misbuilt> {
        let depth = depth_above(&items)?;
        Ok(Value::node(Kind::Sequence(items), depth))
    }

    pub(super) fn dict() -> Value {
        Value::node(Kind::Dict(Vec::new(), Placed::default()), 1)
    }

    pub(super) fn object(class: GlobalId, args: Vec<Value>) -> Result<Value, Misbuilt> {
        let depth = depth_above(&args)?;
        Ok(Value::node(Kind::Object { class, args, state: Value::None }, depth))
    }

    fn node(kind: Kind, depth: u8) -> Value {
        let (kind, depth, is_part) = (RefCell::new(kind), Cell::new(depth), Cell::new(false));
        Value::Node(Rc::new(Node { kind, depth, is_part }))
    }

    /// Adds items to a list or set, out of which they are taken.
    pub(super) fn extend(&self, items: &mut [Value]) -> Result<(), Misbuilt> {
        let depth = depth_above(items)?;
        let node = self.growing()?;
        node.deepen(depth);
        let kind = &mut *node.kind.borrow_mut();
        let taken = |items: &mut [Value]| items.iter_mut().map(mem::take).collect::<Vec<Value>>();
        match (kind, chunks(items)) {
            (kind @ Kind::Sequence(_), Some(chunks)) if is_empty(kind) && !items.is_empty() => {
                *kind = Kind::Chunks(chunks);
            }
            (Kind::Sequence(all), _) => all.extend(taken(items)),
            (Kind::Chunks(all), Some(more)) => all.extend(more),
            (kind @ Kind::Chunks(_), None) => {
                let Kind::Chunks(all) = &*kind else { return Err(Misbuilt::NotGrowing) };
                let all = all.iter().map(|(at, size)| Value::Chunk(*at, *size));
                *kind = Kind::Sequence(all.chain(taken(items)).collect());
            }
            _ => return Err(Misbuilt::NotGrowing),
        }
        Ok(())
    }

    /// Adds entries to a dict: keys with their values, in turn, out of which they are taken.
    pub(super) fn insert(&self, entries: &mut [Value]) -> Result<(), Misbuilt> {
        let depth = depth_above(entries)?;
        let node = self.growing()?;
        node.deepen(depth);
        let Kind::Dict(all, placed) = &mut *node.kind.borrow_mut() else {
            return Err(Misbuilt::NotGrowing);
        };
        let (entries, rest) = entries.as_chunks_mut::<2>();
        if !rest.is_empty() {
            return Err(Misbuilt::KeyAlone);
        }
        for entry in entries {
            match entry {
                [Value::Index(name, at), Value::Info(info)] => placed.push(*name, *at, info),
                [key, value] => all.push((mem::take(key), mem::take(value))),
            }
        }
        Ok(())
    }

    /// Gives an object its state; a dict keeps none.
    pub(super) fn build(&self, given: Value, names: &Names) -> Result<(), Misbuilt> {
        let depth = part(&given)?;
        let node = self.growing()?;
        node.deepen(depth);
        let kind = &mut *node.kind.borrow_mut();
        match kind {
            Kind::Object { class, state, .. } => match stored(*class, &given, names) {
                Some(stored) => *kind = stored,
                None => *state = given,
            },
            Kind::Dict(..) => {}
            Kind::Sequence(_) | Kind::Chunks(_) | Kind::Stored(..) => {
                return Err(Misbuilt::NotGrowing);
            }
        }
        Ok(())
    }

    fn growing(&self) -> Result<&Node, Misbuilt> {
        match self {
            Value::Node(node) if node.is_part.get() => Err(Misbuilt::Recursive),
            Value::Node(node) => Ok(node),
            _ => Err(Misbuilt::NotGrowing),
        }
    }
}

impl Node {
    fn deepen(&self, depth: u8) {
        self.depth.set(self.depth.get().max(depth));
    }
}

/// A tensor of a class and its attributes, if it is one whose parts were read at once.
fn stored(class: GlobalId, attributes: &Value, names: &Names) -> Option<Kind> {
    names.global(class).strip_suffix("TensorStorageMetadata")?.strip_suffix('.')?;
    let Value::Node(attributes) = attributes else { return None };
    let Kind::Dict(entries, _) = &*attributes.kind() else { return None };
    let [properties, size, chunks] = entries.as_slice() else { return None };
    let is_named = |(key, _): &(Value, Value), name: &str| match key {
        Value::Text(text) => names.text(text.id) == name,
        _ => false,
    };
    let are_named =
        is_named(properties, "properties") && is_named(size, "size") && is_named(chunks, "chunks");
    match (&properties.1, &size.1, &chunks.1) {
        (Value::Properties(dtype), Value::Sizes(size), Value::Node(chunks)) if are_named => {
            Some(Kind::Stored(*dtype, *size, Node::take_chunks(chunks)?))
        }
        _ => None,
    }
}

/// How deep something is that has these parts.
fn depth_above(parts: &[Value]) -> Result<u8, Misbuilt> {
    parts.iter().try_fold(1, |depth, value| Ok(depth.max(part(value)?)))
}

/// How deep something is that has this part.
fn part(value: &Value) -> Result<u8, Misbuilt> {
    let Value::Node(node) = value else { return Ok(1) };
    node.is_part.set(true);
    match node.depth.get() {
        depth if depth < MAX_NESTING => Ok(depth + 1),
        _ => Err(Misbuilt::Nesting),
    }
}

/// The texts, sizes and globals of a pickle, each once.
#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: IndexSet<Box<str>>,
    /// The same one after the other.
    row: Row,
    /// The text that followed each the last time it was read at once with an object.
    after: Vec<u32>,
    last_text: u32,
    sizes: IndexSet<Box<[u64]>>,
    /// Some of those that were asked for last, each where others with its hash would be.
    recent: Vec<Option<(Few, SizesId)>>,
    globals: IndexSet<String>,
    /// The texts that are paths of data files.
    files: IndexSet<TextId>,
}

impl Names {
    pub(crate) fn add_text(&mut self, text: &str) -> TextId {
        let known = self.texts.get_index_of(text);
        TextId(place(known.unwrap_or_else(|| {
            self.row.push(text);
            self.texts.insert_full(text.into()).0
        })))
    }

    /// The text of these bytes, if they are one.
    pub(super) fn add_text_of(&mut self, bytes: &[u8]) -> Option<TextId> {
        // Every rank says the same names in the same order.
        let after = self.after.get(self.last_text as usize).copied().unwrap_or(0);
        let number = if self.row.get(after) == Some(bytes) {
            after
        } else {
            self.add_text(std::str::from_utf8(bytes).ok()?).0
        };
        self.after.resize(self.texts.len(), 0);
        if let Some(after) = self.after.get_mut(self.last_text as usize) {
            *after = number;
        }
        self.last_text = number;
        Some(TextId(number))
    }

    pub(crate) fn add_sizes(&mut self, sizes: &[u64]) -> SizesId {
        let slot = Few::of(sizes).map(|few| (few, few.slot()));
        if let Some((few, slot)) = slot
            && let Some(Some((known, id))) = self.recent.get(slot)
            && *known == few
        {
            return *id;
        }
        let known = self.sizes.get_index_of(sizes);
        let id = SizesId::at(known.unwrap_or_else(|| self.sizes.insert_full(sizes.into()).0));
        if let Some((few, slot)) = slot {
            self.recent.resize(Few::SLOTS, None);
            self.recent[slot] = Some((few, id));
        }
        id
    }

    pub(super) fn add_global(&mut self, path: String) -> GlobalId {
        GlobalId(place(self.globals.insert_full(path).0))
    }

    pub(crate) fn text(&self, id: TextId) -> &str {
        &self.texts[id.0 as usize]
    }

    /// How many different texts there are.
    pub(crate) fn texts(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn sizes(&self, id: SizesId) -> &[u64] {
        &self.sizes[id.number() as usize]
    }

    /// The number of the data file with this path.
    pub(crate) fn add_file(&mut self, path: TextId) -> u32 {
        place(self.files.insert_full(path).0)
    }

    /// The paths of data files, by their numbers.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|path| self.text(*path))
    }

    /// The sizes by their numbers.
    pub(crate) fn into_sizes(self) -> IndexSet<Box<[u64]>> {
        self.sizes
    }

    /// A global as `module.name`.
    pub(crate) fn global(&self, id: GlobalId) -> &str {
        &self.globals[id.0 as usize]
    }
}

/// Texts as one, of which comparing one after the other waits for no memory.
#[derive(Debug, Default)]
struct Row {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Row {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
    }

    fn get(&self, number: u32) -> Option<&[u8]> {
        let number = number as usize;
        let start =
            number.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(start..*self.ends.get(number)?)
    }
}

/// Sizes of few dimensions, compared without a look elsewhere: nearly all have no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Few {
    count: usize,
    sizes: [u64; Few::MOST],
}

impl Few {
    const MOST: usize = 4;
    const SLOTS: usize = 2048;

    fn of(sizes: &[u64]) -> Option<Few> {
        let (mut few, count) = ([0; Few::MOST], sizes.len());
        few.get_mut(..count)?.copy_from_slice(sizes);
        Some(Few { count, sizes: few })
    }

    fn slot(&self) -> usize {
        // Half of the digits of the golden ratio, as in many hashes.
        let mix = |hash: u64, size: &u64| (hash ^ size).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = self.sizes.iter().fold(0, mix);
        (hash >> 32) as usize % Few::SLOTS
    }
}

impl TextId {
    pub(crate) fn number(self) -> usize {
        self.0 as usize
    }
}

impl SizesId {
    /// The one of this number.
    pub(crate) fn at(number: usize) -> SizesId {
        SizesId(NonZeroU32::MIN.saturating_add(place(number)))
    }

    pub(crate) fn number(self) -> u32 {
        self.0.get() - 1
    }
}

/// A place among so many that a pickle has them.
fn place(place: usize) -> u32 {
    u32::try_from(place).expect("a pickle's memo has 32-bit places, and its reader a limit")
}
