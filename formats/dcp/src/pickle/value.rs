//! What a pickle builds, nothing of it made.

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use statedict_core::IndexMap;

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
    Node(Rc<Node>),
}

/// A text as one opcode pushed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) id: TextId,
    /// The number of the push among those of all texts; who fetches a text pushes it again.
    pub(crate) push: u32,
}

/// A text's place among those of the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TextId(u32);

/// A `torch.Size`'s place among the different ones of the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SizesId(u32);

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
    Dict(Vec<(Value, Value)>),
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
}

impl Value {
    pub(super) fn sequence(items: Vec<Value>) -> Result<Value, Misbuilt> {
        let depth = depth_above(&items)?;
        Ok(Value::node(Kind::Sequence(items), depth))
    }

    pub(super) fn dict() -> Value {
        Value::node(Kind::Dict(Vec::new()), 1)
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
        match &mut *node.kind.borrow_mut() {
            Kind::Sequence(all) => {
                all.extend(items);
                Ok(())
            }
            _ => Err(Misbuilt::NotGrowing),
        }
    }

    /// Adds entries to a dict.
    pub(super) fn insert(&self, entries: Vec<(Value, Value)>) -> Result<(), Misbuilt> {
        let node = self.growing()?;
        for (key, value) in &entries {
            node.deepen(part(key)?.max(part(value)?));
        }
        match &mut *node.kind.borrow_mut() {
            Kind::Dict(all) => {
                all.extend(entries);
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
            Kind::Dict(_) => Ok(()),
            Kind::Sequence(_) => Err(Misbuilt::NotGrowing),
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

/// The texts, sizes and globals of a pickle.
#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: Vec<Box<str>>,
    sizes: Vec<Box<[u64]>>,
    known_sizes: IndexMap<Box<[u64]>, SizesId>,
    globals: Vec<String>,
    known_globals: IndexMap<String, GlobalId>,
}

impl Names {
    pub(super) fn add_text(&mut self, text: &str) -> TextId {
        self.texts.push(text.into());
        TextId(place(self.texts.len()))
    }

    pub(super) fn add_sizes(&mut self, sizes: Vec<u64>) -> SizesId {
        if let Some(known) = self.known_sizes.get(sizes.as_slice()) {
            return *known;
        }
        let sizes: Box<[u64]> = sizes.into();
        self.sizes.push(sizes.clone());
        let id = SizesId(place(self.sizes.len()));
        self.known_sizes.insert(sizes, id);
        id
    }

    pub(super) fn add_global(&mut self, path: String) -> GlobalId {
        if let Some(known) = self.known_globals.get(&path) {
            return *known;
        }
        self.globals.push(path.clone());
        let id = GlobalId(place(self.globals.len()));
        self.known_globals.insert(path, id);
        id
    }

    pub(crate) fn text(&self, id: TextId) -> &str {
        &self.texts[id.0 as usize]
    }

    pub(crate) fn sizes(&self, id: SizesId) -> &[u64] {
        &self.sizes[id.0 as usize]
    }

    /// A global as `module.name`.
    pub(crate) fn global(&self, id: GlobalId) -> &str {
        &self.globals[id.0 as usize]
    }
}

/// The place of the last of so many.
fn place(count: usize) -> u32 {
    u32::try_from(count - 1).expect("a pickle's memo has 32-bit places, and its reader a limit")
}
