//! What a pickle would build, as a graph: nodes shared as the pickle shares them, nothing executed.

use std::borrow::Cow;
use std::iter;

use super::chains::{Chain, Chains};
use super::literal::plain;
use super::opcode::{self, Extent, Op};
use super::unescape::decoded;

/// A node's place in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) u32);

/// An opcode's place in the pickle: its first byte.
pub(crate) type OpPlace = u32;

/// A node where it is used, with the opcodes that put it there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) node: NodeId,
    /// The opcode that pushed it: the one that made it, or one that fetched it.
    pub(crate) pushed_by: OpPlace,
    /// The first of the opcodes that made it.
    pub(crate) start: OpPlace,
}

/// What a node is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits, in bytes, the lowest first.
    BigInt(Extent),
    /// An integer beyond 64 bits, in text.
    Digits(Extent),
    Float(f64),
    /// A text; the opcode that made it holds it.
    Text(OpPlace),
    Bytes(Extent),
    Tuple(Items),
    /// A list, dict, set or object, which can grow after it was made.
    Compound(CompoundId),
    Global(GlobalId),
    /// A reference to something outside the pickle: a storage.
    Persistent(NodeId),
    /// An object of copyreg's extension registry, or one whose making cannot be followed.
    Unknown,
}

/// A global's place in the graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GlobalId(pub(crate) u32);

/// A class or function by name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Global {
    /// The lines of an opcode.
    Lines {
        /// The first line.
        module: Extent,
        /// The second one.
        name: Extent,
    },
    /// Texts that were on the stack.
    Texts {
        /// The opcode that holds the module.
        module: OpPlace,
        /// The opcode that holds the name.
        name: OpPlace,
    },
}

/// A node as it is kept: there are a dozen for every tensor, so numbers and bytes stay where they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node {
    None,
    Bool(bool),
    /// A number or bytes; the opcode that made it holds it.
    Literal(OpPlace),
    /// A text; the opcode that made it holds it.
    Text(OpPlace),
    Tuple(TupleId),
    Compound(CompoundId),
    Global(GlobalId),
    Persistent(NodeId),
    Unknown,
}

/// A tuple's place in the graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TupleId(pub(crate) u32);

/// A run of the graph's tuple items.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Items {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A compound's place in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CompoundId(pub(crate) u32);

/// A thing that can grow after it was made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compound {
    pub(crate) kind: Kind,
    /// The first of the opcodes that made what was called, if it is a call.
    pub(crate) start: OpPlace,
    /// The opcode that made it, with the mark in front if it took what was above one.
    pub(crate) made: Batch,
    /// What `SETITEM(S)` put into it.
    pub(crate) entries: Chain,
    /// What `APPEND(S)` or `ADDITEMS` put into it.
    pub(crate) elements: Chain,
    /// What `BUILD` gave it.
    pub(crate) states: Chain,
}

/// How a compound came to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Kind {
    #[default]
    Dict,
    List,
    Set,
    /// A call: `REDUCE`, or the making of an instance.
    Call {
        callable: NodeId,
        args: NodeId,
    },
}

/// A key with its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Slot,
    pub(crate) value: Slot,
    pub(crate) batch: Batch,
    /// The first opcode of the entry.
    pub(crate) start: OpPlace,
}

/// An element of a list or set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    pub(crate) value: Slot,
    pub(crate) batch: Batch,
}

/// The opcodes around things added together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Batch {
    /// Where the `MARK` is, or [`UNMARKED`].
    mark: OpPlace,
    /// The opcode that adds.
    pub(crate) close: OpPlace,
}

/// The place of no `MARK`: pickles are shorter than that.
const UNMARKED: OpPlace = OpPlace::MAX;

impl Batch {
    pub(crate) fn new(mark: Option<OpPlace>, close: OpPlace) -> Batch {
        Batch { mark: mark.unwrap_or(UNMARKED), close }
    }

    /// The `MARK` in front; none for a single `SETITEM` or `APPEND`.
    pub(crate) fn mark(self) -> Option<OpPlace> {
        (self.mark != UNMARKED).then_some(self.mark)
    }
}

impl Default for Batch {
    fn default() -> Batch {
        Batch::new(None, 0)
    }
}

/// A value put into the memo, with the opcodes that make it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memoized {
    pub(crate) node: NodeId,
    pub(crate) start: OpPlace,
    /// Where the last opcode ends that makes or fills it.
    pub(crate) end: OpPlace,
}

/// A reference to something outside the pickle, with the opcodes that make it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// What names it.
    pub(crate) id: NodeId,
    /// The first opcode.
    pub(crate) start: OpPlace,
    /// The last opcode, which makes the reference.
    pub(crate) op: OpPlace,
}

/// A pickle, decoded and followed, never executed.
pub(crate) struct Graph<'p> {
    pub(crate) pickle: Cow<'p, [u8]>,
    /// How many bytes a listing of it may take.
    pub(crate) room: usize,
    pub(crate) root: NodeId,
    /// The byte after `STOP`.
    pub(crate) end: usize,
    pub(crate) nodes: Vec<Node>,
    /// The items of all tuples.
    pub(crate) items: Vec<NodeId>,
    /// Where each tuple's items end.
    pub(crate) tuples: Vec<u32>,
    pub(crate) globals: Vec<Global>,
    /// Module and name of the first of them, decoded, if they are text: most pickles have few, and
    /// ask for them for every tensor.
    pub(crate) first_names: Vec<Option<(String, String)>>,
    pub(crate) compounds: Vec<Compound>,
    pub(crate) entries: Chains<Entry>,
    pub(crate) elements: Chains<Element>,
    pub(crate) states: Chains<Slot>,
    /// Every `PUT` that is noted, with its memo id and its place in `memoized`, in stream order.
    pub(crate) puts: Vec<(OpPlace, u32, u32)>,
    /// Every `GET`, with its memo id and its place in `memoized`, in stream order.
    pub(crate) gets: Vec<(OpPlace, u32, u32)>,
    /// Every `DUP` of a text, with the node it repeats.
    pub(crate) repeats: Vec<(OpPlace, NodeId)>,
    pub(crate) memoized: Vec<Memoized>,
    /// Every `STACK_GLOBAL`, with the texts it takes: module and name.
    pub(crate) stack_globals: Vec<(OpPlace, Slot, Slot)>,
    /// Every `NEWOBJ_EX`, with the class it takes.
    pub(crate) keyword_instances: Vec<(OpPlace, Slot)>,
    /// Every reference to something outside the pickle, in stream order.
    pub(crate) persistent: Vec<Reference>,
}

impl<'p> Graph<'p> {
    pub(crate) fn value(&self, node: NodeId) -> Value {
        match self.nodes.get(node.0 as usize).copied().unwrap_or(Node::Unknown) {
            Node::None => Value::None,
            Node::Bool(truth) => Value::Bool(truth),
            Node::Literal(op) => plain(&self.pickle, self.op(op)).unwrap_or(Value::Unknown),
            Node::Text(op) => Value::Text(op),
            Node::Tuple(tuple) => Value::Tuple(self.items_of(tuple)),
            Node::Compound(id) => Value::Compound(id),
            Node::Global(id) => Value::Global(id),
            Node::Persistent(id) => Value::Persistent(id),
            Node::Unknown => Value::Unknown,
        }
    }

    fn items_of(&self, TupleId(tuple): TupleId) -> Items {
        let end = |tuple: Option<u32>| tuple.and_then(|tuple| self.tuples.get(tuple as usize));
        let start = end(tuple.checked_sub(1)).copied().unwrap_or(0);
        Items { start, end: end(Some(tuple)).copied().unwrap_or(start) }
    }

    /// Bytes that the graph takes beside the pickle.
    pub(crate) fn weight(&self) -> usize {
        size_of_val(self.nodes.as_slice())
            + size_of_val(self.items.as_slice())
            + size_of_val(self.tuples.as_slice())
            + size_of_val(self.globals.as_slice())
            + size_of_val(self.compounds.as_slice())
            + size_of_val(self.puts.as_slice())
            + size_of_val(self.gets.as_slice())
            + size_of_val(self.repeats.as_slice())
            + size_of_val(self.memoized.as_slice())
            + size_of_val(self.stack_globals.as_slice())
            + size_of_val(self.keyword_instances.as_slice())
            + size_of_val(self.persistent.as_slice())
            + self.entries.weight()
            + self.elements.weight()
            + self.states.weight()
    }

    /// What writing the pickle with some opcodes in other words needs of the graph.
    pub(crate) fn without_values(self) -> Graph<'p> {
        Graph {
            nodes: Vec::new(),
            items: Vec::new(),
            tuples: Vec::new(),
            globals: Vec::new(),
            first_names: Vec::new(),
            compounds: Vec::new(),
            entries: Chains::default(),
            elements: Chains::default(),
            states: Chains::default(),
            persistent: Vec::new(),
            ..self
        }
    }

    pub(crate) fn compound(&self, id: CompoundId) -> &Compound {
        &self.compounds[id.0 as usize]
    }

    /// The compound that a node is, if it is one.
    pub(crate) fn as_compound(&self, node: NodeId) -> Option<(CompoundId, &Compound)> {
        match self.value(node) {
            Value::Compound(id) => Some((id, self.compound(id))),
            _ => None,
        }
    }

    pub(crate) fn tuple(&self, node: NodeId) -> Option<&[NodeId]> {
        match self.value(node) {
            Value::Tuple(items) => self.items.get(items.start as usize..items.end as usize),
            _ => None,
        }
    }

    pub(crate) fn int(&self, node: NodeId) -> Option<i64> {
        match self.value(node) {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The text that a node is; `None` for other values and for texts that are not Unicode.
    pub(crate) fn text(&self, node: NodeId) -> Option<Cow<'_, str>> {
        match self.value(node) {
            Value::Text(op) => self.text_of(op),
            _ => None,
        }
    }

    /// The text that an opcode pushes.
    pub(crate) fn text_of(&self, op: OpPlace) -> Option<Cow<'_, str>> {
        let op = self.op(op);
        let bytes = op.argument.of(&self.pickle);
        match op.code {
            opcode::UNICODE | opcode::STRING => decoded(op.code, bytes).map(Cow::Owned),
            _ => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        }
    }

    /// `module` and `name` of a global.
    pub(crate) fn global(&self, node: NodeId) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        match self.value(node) {
            Value::Global(GlobalId(id)) => match self.first_names.get(id as usize) {
                Some(names) => {
                    let (module, name) = names.as_ref()?;
                    Some((Cow::Borrowed(module), Cow::Borrowed(name)))
                }
                None => self.names(*self.globals.get(id as usize)?),
            },
            Value::Persistent(id) => self.global(self.class_named_by(id)?),
            _ => None,
        }
    }

    /// `module` and `name` as the pickle spells them; none if they are no text.
    pub(super) fn names(&self, global: Global) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        match global {
            Global::Texts { module, name } => Some((self.text_of(module)?, self.text_of(name)?)),
            Global::Lines { module, name } => {
                let line = |line: Extent| std::str::from_utf8(line.of(&self.pickle)).ok();
                Some((Cow::Borrowed(line(module)?), Cow::Borrowed(line(name)?)))
            }
        }
    }

    /// The class that a persistent id stands for, where old formats note a module's source.
    ///
    /// Streams write `('module', class, file, source)`, tar archives `(class, file, source)`.
    pub(crate) fn class_named_by(&self, id: NodeId) -> Option<NodeId> {
        let is_class = |node: &NodeId| matches!(self.value(*node), Value::Global(_));
        match self.tuple(id)? {
            [tag, class, ..] if self.text(*tag).as_deref() == Some("module") => Some(*class),
            [class, _, _] if is_class(class) => Some(*class),
            _ => None,
        }
        .filter(is_class)
    }

    /// The callable and the arguments of a call.
    pub(crate) fn call(&self, node: NodeId) -> Option<(NodeId, NodeId)> {
        match self.as_compound(node)?.1.kind {
            Kind::Call { callable, args } => Some((callable, args)),
            _ => None,
        }
    }

    pub(crate) fn op(&self, place: OpPlace) -> Op {
        Op::at(&self.pickle, place as usize).expect("every opcode was decoded once")
    }

    /// The place of the opcode after another.
    pub(crate) fn after(&self, place: OpPlace) -> OpPlace {
        self.op(place).whole.end
    }

    /// The place of the last opcode, which is `STOP`.
    pub(crate) fn stop(&self) -> OpPlace {
        self.end.saturating_sub(1) as OpPlace
    }

    /// Every opcode with its place, in stream order.
    pub(crate) fn opcodes(&self) -> impl Iterator<Item = (OpPlace, Op)> {
        let op = |place: OpPlace| ((place as usize) < self.end).then(|| (place, self.op(place)));
        iter::successors(op(0), move |(_, before)| op(before.whole.end))
    }

    /// The key-value pairs of a mapping, whichever way its pickler wrote them.
    pub(crate) fn entries(&self, compound: &Compound) -> Vec<Entry> {
        self.each_entry(compound).collect()
    }

    /// The same one after another: a mapping of very many is longer than what is made of it.
    ///
    /// Python 2 hands an `OrderedDict` its items as a list of lists in the call's arguments.
    pub(crate) fn each_entry(&self, compound: &Compound) -> impl Iterator<Item = Entry> {
        let listed = self.entries_in_arguments(compound).unwrap_or_default();
        listed.into_iter().chain(self.entries.items(compound.entries).copied())
    }

    /// The list that a call of a mapping's class is given, if its elements are pairs.
    fn listed_pairs(&self, compound: &Compound) -> Option<&Compound> {
        let Kind::Call { callable, args } = compound.kind else { return None };
        let [list] = self.tuple(args)? else { return None };
        let (_, list) = self.as_compound(*list)?;
        let (module, name) = self.global(callable)?;
        let is_known = matches!(
            (module.as_ref(), name.as_ref()),
            ("collections", "OrderedDict") | ("builtins" | "__builtin__", "dict")
        );
        // Of another class only the first pair can show that it is a mapping.
        let first = self.elements.items(list.elements).next();
        let is_pair = |(key, _): (Slot, Slot)| matches!(self.value(key.node), Value::Text(_));
        let is_list = matches!(list.kind, Kind::List);
        (is_list && (is_known || first.and_then(|it| self.pair(it)).is_some_and(is_pair)))
            .then_some(list)
    }

    /// A key with its value, in a list or tuple of two.
    fn pair(&self, element: &Element) -> Option<(Slot, Slot)> {
        let pair = element.value;
        if let Some(items) = self.tuple(pair.node) {
            let [key, value] = items else { return None };
            // Which opcodes pushed the items of a tuple is not kept.
            return Some((Slot { node: *key, ..pair }, Slot { node: *value, ..pair }));
        }
        let (_, pair) = self.as_compound(pair.node)?;
        let mut parts = self.elements.items(pair.elements).map(|part| part.value);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(key), Some(value), None) => Some((key, value)),
            _ => None,
        }
    }

    /// True for a mapping that a call makes of a list of pairs.
    pub(crate) fn is_made_of_pairs(&self, compound: &Compound) -> bool {
        let list = self.listed_pairs(compound);
        list.is_some_and(|list| {
            let mut elements = self.elements.items(list.elements).peekable();
            elements.peek().is_some() && elements.all(|element| self.pair(element).is_some())
        })
    }

    /// True for a mapping with keys in tuples, whose opcodes are not known.
    pub(crate) fn has_keys_in_tuples(&self, compound: &Compound) -> bool {
        let list = self.listed_pairs(compound);
        list.is_some_and(|list| {
            let mut elements = self.elements.items(list.elements);
            elements.any(|element| self.tuple(element.value.node).is_some())
        })
    }

    /// How many elements there are where [`Graph::entries`] looks for pairs beside a mapping's own.
    pub(crate) fn pairs_in_arguments(&self, compound: &Compound) -> usize {
        self.listed_pairs(compound).map_or(0, |list| self.elements.items(list.elements).count())
    }

    fn entries_in_arguments(&self, compound: &Compound) -> Option<Vec<Entry>> {
        let list = self.listed_pairs(compound)?;
        let pair = |element: &Element| {
            let (key, value) = self.pair(element)?;
            Some(Entry { key, value, batch: element.batch, start: element.value.start })
        };
        self.elements.items(list.elements).map(pair).collect()
    }

    /// The values of a list or tuple.
    pub(crate) fn sequence(&self, node: NodeId) -> Option<Vec<NodeId>> {
        if let Some(items) = self.tuple(node) {
            return Some(items.to_vec());
        }
        let (_, compound) = self.as_compound(node)?;
        match compound.kind {
            Kind::List => {
                Some(self.elements.items(compound.elements).map(|e| e.value.node).collect())
            }
            _ => None,
        }
    }
}
