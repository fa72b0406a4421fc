//! What a pickle builds, nothing of it made.

use std::cell::{Cell, Ref, RefCell};
use std::mem;
use std::num::NonZeroU32;
use std::rc::Rc;

use statedict_core::IndexSet;

/// How deeply values may nest: metadata does not go beyond a dozen.
const MAX_NESTING: u8 = 64;

/// A value; what can grow is shared as the pickle shares it.
#[derive(Clone, Debug)]
pub(crate) enum Value {
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
    Info(Rc<Info>),
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

/// An index with what it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) name: TextId,
    pub(crate) at: Option<SizesId>,
    /// The number of its file.
    pub(crate) file: u32,
    /// The number of how it was transformed; 0 for not at all.
    pub(crate) transforms: u32,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Placed {
    /// What is said of an item that was not transformed.
    pub(crate) fn plain(name: TextId, at: Option<SizesId>, info: &Info) -> Placed {
        let Info { file, offset, length } = *info;
        Placed { name, at, file, transforms: 0, offset, length }
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
    Dict(Vec<(Value, Value)>, Vec<Placed>),
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
}

impl Node {
    pub(crate) fn kind(&self) -> Ref<'_, Kind> {
        self.kind.borrow()
    }

    /// Takes out what a dict has of indexes with their places, which may be most of what there is.
    pub(crate) fn take_placed(&self) -> Vec<Placed> {
        match &mut *self.kind.borrow_mut() {
            Kind::Dict(_, placed) => mem::take(placed),
            _ => Vec::new(),
        }
    }

    /// Takes out the chunks of a list that has nothing else.
    pub(crate) fn take_chunks(&self) -> Option<Vec<(SizesId, SizesId)>> {
        match &mut *self.kind.borrow_mut() {
            Kind::Chunks(chunks) => Some(mem::take(chunks)),
            _ => None,
        }
    }
}

impl Kind {
    fn of_items(items: Vec<Value>) -> Kind {
        match chunks(&items) {
            Some(chunks) if !items.is_empty() => Kind::Chunks(chunks),
            _ => Kind::Sequence(items),
        }
    }
}

/// Values that are all chunks.
fn chunks(items: &[Value]) -> Option<Vec<(SizesId, SizesId)>> {
    let chunk = |item: &Value| match item {
        Value::Chunk(at, size) => Some((*at, *size)),
        _ => None,
    };
    items.iter().map(chunk).collect()
}

impl Value {
    pub(super) fn sequence(items: Vec<Value>) -> Result<Value, Misbuilt> {
        let depth = depth_above(&items)?;
        Ok(Value::node(Kind::Sequence(items), depth))
    }

    pub(super) fn dict() -> Value {
        Value::node(Kind::Dict(Vec::new(), Vec::new()), 1)
    }

    pub(super) fn object(class: GlobalId, args: Vec<Value>) -> Result<Value, Misbuilt> {
        let depth = depth_above(&args)?;
        Ok(Value::node(Kind::Object { class, args, state: Value::None }, depth))
    }

    fn node(kind: Kind, depth: u8) -> Value {
        let (kind, depth, is_part) = (RefCell::new(kind), Cell::new(depth), Cell::new(false));
        Value::Node(Rc::new(Node { kind, depth, is_part }))
    }

    /// Adds items to a list or set.
    pub(super) fn extend(&self, items: Vec<Value>) -> Result<(), Misbuilt> {
        let node = self.growing()?;
        node.deepen(depth_above(&items)?);
        let kind = &mut *node.kind.borrow_mut();
        match kind {
            Kind::Sequence(all) if all.is_empty() => *kind = Kind::of_items(items),
            Kind::Sequence(all) => all.extend(items),
            Kind::Chunks(all) => match chunks(&items) {
                Some(more) => all.extend(more),
                None => {
                    let all = all.iter().map(|(at, size)| Value::Chunk(*at, *size));
                    *kind = Kind::Sequence(all.chain(items).collect());
                }
            },
            _ => return Err(Misbuilt::NotGrowing),
        }
        Ok(())
    }

    /// Adds entries to a dict.
    pub(super) fn insert(&self, entries: Vec<(Value, Value)>) -> Result<(), Misbuilt> {
        let node = self.growing()?;
        for (key, value) in &entries {
            node.deepen(part(key)?.max(part(value)?));
        }
        match &mut *node.kind.borrow_mut() {
            Kind::Dict(all, placed) => {
                for (key, value) in entries {
                    match (&key, &value) {
                        (Value::Index(name, at), Value::Info(info)) => {
                            placed.push(Placed::plain(*name, *at, info));
                        }
                        _ => all.push((key, value)),
                    }
                }
                Ok(())
            }
            _ => Err(Misbuilt::NotGrowing),
        }
    }

    /// Gives an object its state; a dict keeps none.
    pub(super) fn build(&self, given: Value) -> Result<(), Misbuilt> {
        let node = self.growing()?;
        node.deepen(part(&given)?);
        match &mut *node.kind.borrow_mut() {
            Kind::Object { state, .. } => {
                *state = given;
                Ok(())
            }
            Kind::Dict(..) => Ok(()),
            Kind::Sequence(_) | Kind::Chunks(_) => Err(Misbuilt::NotGrowing),
        }
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
    sizes: IndexSet<Box<[u64]>>,
    globals: IndexSet<String>,
    /// The texts that are paths of data files.
    files: IndexSet<TextId>,
}

impl Names {
    pub(crate) fn add_text(&mut self, text: &str) -> TextId {
        let known = self.texts.get_index_of(text);
        TextId(place(known.unwrap_or_else(|| self.texts.insert_full(text.into()).0)))
    }

    pub(crate) fn add_sizes(&mut self, sizes: &[u64]) -> SizesId {
        let known = self.sizes.get_index_of(sizes);
        SizesId::at(known.unwrap_or_else(|| self.sizes.insert_full(sizes.into()).0))
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
