//! Follows a pickle's opcodes without executing anything.

use std::borrow::Cow;

use statedict_core::Fault;

use super::chains::Chains;
use super::graph::{
    Batch, Compound, CompoundId, Element, Entry, Global, GlobalId, Graph, Items, Kind, Memoized,
    Name, NodeId, OpIndex, Reference, Slot, Value,
};
use super::literal::{is_utf8_with_surrogates, plain};
use super::opcode::{self, Extent, Op};
use crate::memo::Memo;

/// The longest pickle that is read, in bytes: room for ten million tensors, and short enough that
/// opcodes and nodes can be counted in 32 bits.
const MAX_PICKLE: usize = 1 << 30;

/// The most memory that a pickle's graph may take, as a multiple of the pickle's length.
///
/// The densest that picklers write, lists of small numbers and of short containers, take up to 40
/// times their length; bytes that make a container each would take 100.
const MAX_GROWTH: usize = 48;

/// What a graph may take whatever the pickle's length: a million containers.
const MAX_SMALL: usize = 64 << 20;

/// The longest module or class name, in bytes: names are looked at again for every use of them.
const MAX_NAME: usize = 1024;

/// How many opcodes are followed between looks at the memory that they took.
const LOOK_EVERY: usize = 1 << 12;

impl<'p> Graph<'p> {
    /// Decodes a pickle up to its `STOP` and follows what it would build.
    ///
    /// Memory is proportional to the pickle's length, whatever it claims.
    ///
    /// # Errors
    /// An unknown opcode, an argument beyond the end, a stack or memo access that cannot be, with
    /// the offset within the pickle.
    pub(crate) fn read(pickle: impl Into<Cow<'p, [u8]>>) -> Result<Graph<'p>, Fault> {
        let pickle = pickle.into();
        if pickle.len() > MAX_PICKLE {
            return Err(Fault::too_large(0, "the pickle is longer than 1 GiB, the reader's limit"));
        }
        let mut machine = Machine::new(pickle);
        let mut at = 0;
        loop {
            let op = Op::at(&machine.graph.pickle, at)?;
            machine.graph.ops.push(op.whole.start);
            at = op.whole.end as usize;
            if op.code == opcode::STOP {
                machine.graph.root = machine.pop(op)?.slot.node;
                machine.graph.end = at;
                return Ok(machine.graph);
            }
            machine.step(op)?;
            if machine.graph.ops.len().is_multiple_of(LOOK_EVERY) {
                machine.check_weight(op)?;
            }
        }
    }
}

/// The stack and memo of a pickle machine.
struct Machine<'p> {
    graph: Graph<'p>,
    stack: Vec<Held>,
    /// Stack heights at which marks stand, with the opcodes that set them.
    marks: Vec<(usize, OpIndex)>,
    /// Memo ids, with the place of what they hold in the graph's `memoized`.
    memo: Memo<u32>,
}

/// A value on the stack.
#[derive(Clone, Copy)]
struct Held {
    slot: Slot,
    /// Its place in the graph's `memoized`, once it was put there.
    memoized: Option<u32>,
}

impl<'p> Machine<'p> {
    fn new(pickle: Cow<'p, [u8]>) -> Machine<'p> {
        let graph = Graph {
            pickle,
            root: NodeId(0),
            end: 0,
            ops: Vec::new(),
            nodes: Vec::new(),
            items: Vec::new(),
            globals: Vec::new(),
            compounds: Vec::new(),
            entries: Chains::default(),
            elements: Chains::default(),
            states: Chains::default(),
            puts: Vec::new(),
            gets: Vec::new(),
            repeats: Vec::new(),
            memoized: Vec::new(),
            stack_globals: Vec::new(),
            keyword_instances: Vec::new(),
            persistent: Vec::new(),
        };
        Machine { graph, stack: Vec::new(), marks: Vec::new(), memo: Memo::default() }
    }

    /// Refuses to let the graph grow beyond proportion.
    fn check_weight(&self, op: Op) -> Result<(), Fault> {
        let memo = (size_of::<(u32, u32)>() + 1) * 2;
        let own = self.stack.len() * size_of::<Held>()
            + self.marks.len() * size_of::<(usize, OpIndex)>()
            + self.memo.len() * memo;
        let limit = self.graph.pickle.len().saturating_mul(MAX_GROWTH).saturating_add(MAX_SMALL);
        if own.saturating_add(self.graph.weight()) <= limit {
            return Ok(());
        }
        let what = format!(
            "what the pickle builds takes more than {MAX_GROWTH} times its length, the reader's limit"
        );
        Err(Fault::too_large(u64::from(op.whole.start), what))
    }

    /// The index of the opcode being followed.
    fn now(&self) -> OpIndex {
        (self.graph.ops.len() - 1) as OpIndex
    }

    fn step(&mut self, op: Op) -> Result<(), Fault> {
        match op.code {
            opcode::PROTO | opcode::FRAME => Ok(()),
            opcode::MARK => {
                self.marks.push((self.stack.len(), self.now()));
                Ok(())
            }
            opcode::POP | opcode::POP_MARK | opcode::DUP => self.shuffle(op),
            opcode::BINPUT
            | opcode::LONG_BINPUT
            | opcode::PUT
            | opcode::MEMOIZE
            | opcode::BINGET
            | opcode::LONG_BINGET
            | opcode::GET => self.memory(op),
            opcode::APPEND
            | opcode::APPENDS
            | opcode::ADDITEMS
            | opcode::SETITEM
            | opcode::SETITEMS
            | opcode::BUILD => self.fill(op),
            opcode::REDUCE
            | opcode::NEWOBJ
            | opcode::NEWOBJ_EX
            | opcode::OBJ
            | opcode::INST
            | opcode::GLOBAL
            | opcode::STACK_GLOBAL => self.call(op),
            opcode::TUPLE | opcode::TUPLE1 | opcode::TUPLE2 | opcode::TUPLE3 => self.tuple(op),
            opcode::DICT | opcode::LIST | opcode::FROZENSET => self.collect(op),
            opcode::BINPERSID | opcode::PERSID => self.persistent(op),
            _ => self.literal(op),
        }
    }

    fn fault(&self, op: Op, what: &str) -> Fault {
        Fault::malformed(u64::from(op.whole.start), format!("opcode {:#04x} {what}", op.code))
    }

    fn node(&mut self, value: Value) -> NodeId {
        self.graph.nodes.push(value);
        NodeId((self.graph.nodes.len() - 1) as u32)
    }

    fn push_slot(&mut self, node: NodeId, start: OpIndex) {
        let slot = Slot { node, pushed_by: self.now(), start };
        self.stack.push(Held { slot, memoized: None });
    }

    /// Pushes a value that this opcode alone makes.
    fn push(&mut self, value: Value) {
        let node = self.node(value);
        self.push_slot(node, self.now());
    }

    fn push_compound(&mut self, mut compound: Compound, start: OpIndex) {
        compound.made.close = self.now();
        let id = CompoundId(self.graph.compounds.len() as u32);
        self.graph.compounds.push(compound);
        let node = self.node(Value::Compound(id));
        self.push_slot(node, start);
    }

    fn pop(&mut self, op: Op) -> Result<Held, Fault> {
        let floor = self.marks.last().map_or(0, |(height, _)| *height);
        if self.stack.len() <= floor {
            return Err(self.fault(op, "needs a value that is not on the stack"));
        }
        self.stack.pop().ok_or_else(|| self.fault(op, "needs a value that is not on the stack"))
    }

    fn top(&mut self, op: Op) -> Result<&mut Held, Fault> {
        match self.stack.len().checked_sub(1) {
            Some(last) => Ok(&mut self.stack[last]),
            None => Err(self.fault(op, "needs a value that is not on the stack")),
        }
    }

    /// The values above the last mark, and the opcode that set it.
    fn pop_to_mark(&mut self, op: Op) -> Result<(Vec<Slot>, OpIndex), Fault> {
        let Some((height, mark)) = self.marks.pop() else {
            return Err(self.fault(op, "needs a mark that is not on the stack"));
        };
        let held = self.stack.split_off(height.min(self.stack.len()));
        Ok((held.into_iter().map(|held| held.slot).collect(), mark))
    }

    fn shuffle(&mut self, op: Op) -> Result<(), Fault> {
        let mark_on_top = self.marks.last().is_some_and(|(height, _)| *height == self.stack.len());
        match op.code {
            opcode::POP_MARK => self.pop_to_mark(op).map(|_| ()),
            opcode::POP if mark_on_top => {
                self.marks.pop();
                Ok(())
            }
            opcode::POP => self.pop(op).map(|_| ()),
            _ => {
                let held = self.pop(op)?;
                self.stack.push(held);
                let (node, now) = (held.slot.node, self.now());
                self.graph.repeats.push((now, node));
                self.push_slot(node, now);
                Ok(())
            }
        }
    }

    fn memory(&mut self, op: Op) -> Result<(), Fault> {
        let id = self.memo_id(op)?;
        match op.code {
            opcode::BINGET | opcode::LONG_BINGET | opcode::GET => {
                let Some(place) = self.memo.get(id) else {
                    return Err(self.fault(op, &format!("gets memo {id}, which was never put")));
                };
                let now = self.now();
                self.graph.gets.push((now, id, place));
                let node = self.graph.memoized[place as usize].node;
                let slot = Slot { node, pushed_by: now, start: now };
                self.stack.push(Held { slot, memoized: None });
            }
            _ => {
                let now = self.now();
                let next_place = self.graph.memoized.len() as u32;
                let held = self.top(op)?;
                let place = *held.memoized.get_or_insert(next_place);
                let slot = held.slot;
                if place == next_place {
                    let (node, start) = (slot.node, slot.start);
                    self.graph.memoized.push(Memoized { node, start, end: now + 1 });
                }
                self.extend(Some(place));
                self.memo.put(id, place);
                self.graph.puts.push((now, id, place));
            }
        }
        Ok(())
    }

    fn memo_id(&self, op: Op) -> Result<u32, Fault> {
        let id = match op.code {
            opcode::MEMOIZE => u32::try_from(self.memo.len()).ok(),
            opcode::PUT | opcode::GET => {
                let text = std::str::from_utf8(op.argument.of(&self.graph.pickle)).ok();
                text.and_then(|text| text.trim().parse().ok())
            }
            _ => u32::try_from(op.number(&self.graph.pickle)).ok(),
        };
        id.ok_or_else(|| self.fault(op, "names no memo id below 2^32"))
    }

    /// The opcode being followed belongs to what makes a memoized value.
    fn extend(&mut self, place: Option<u32>) {
        let end = self.now() + 1;
        if let Some(place) = place {
            self.graph.memoized[place as usize].end = end;
        }
    }

    fn fill(&mut self, op: Op) -> Result<(), Fault> {
        let (added, mark) = match op.code {
            opcode::APPENDS | opcode::ADDITEMS | opcode::SETITEMS => {
                let (added, mark) = self.pop_to_mark(op)?;
                (added, Some(mark))
            }
            opcode::SETITEM => {
                let value = self.pop(op)?.slot;
                ([self.pop(op)?.slot, value].into(), None)
            }
            _ => ([self.pop(op)?.slot].into(), None),
        };
        let batch = Batch { mark, close: self.now() };
        let held = *self.top(op)?;
        self.extend(held.memoized);
        let Value::Compound(id) = self.graph.value(held.slot.node) else {
            // `BUILD` may give state to anything; only containers take items.
            return match op.code {
                opcode::BUILD => Ok(()),
                _ => Err(self.fault(op, "adds to a value that is no container")),
            };
        };
        let mut compound = self.graph.compounds[id.0 as usize];
        match op.code {
            opcode::BUILD => added.into_iter().for_each(|state| {
                self.graph.states.push(&mut compound.states, state);
            }),
            opcode::SETITEM | opcode::SETITEMS => {
                if added.len() % 2 == 1 {
                    return Err(self.fault(op, "has a key without a value"));
                }
                self.put_entries(&mut compound, &added, batch);
            }
            _ => self.put_elements(&mut compound, &added, batch),
        }
        self.graph.compounds[id.0 as usize] = compound;
        Ok(())
    }

    fn put_entries(&mut self, compound: &mut Compound, values: &[Slot], batch: Batch) {
        for entry in pairs(values, batch) {
            self.graph.entries.push(&mut compound.entries, entry);
        }
    }

    fn put_elements(&mut self, compound: &mut Compound, values: &[Slot], batch: Batch) {
        for value in values.iter().copied() {
            self.graph.elements.push(&mut compound.elements, Element { value, batch });
        }
    }

    fn call(&mut self, op: Op) -> Result<(), Fault> {
        match op.code {
            opcode::GLOBAL => {
                let global = self.global_line(op)?;
                let node = self.global(global);
                self.push_slot(node, self.now());
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop(op)?.slot, self.pop(op)?.slot);
                let text = |slot: Slot| match self.graph.value(slot.node) {
                    Value::Text(text) => {
                        self.check_name(op, self.graph.op(text).argument)?;
                        Ok(Name::Text(text))
                    }
                    _ => Err(self.fault(op, "needs two texts")),
                };
                let global = Global { module: text(module)?, name: text(name)? };
                let now = self.now();
                self.graph.stack_globals.push((now, module, name));
                let node = self.global(global);
                self.push_slot(node, module.start);
            }
            opcode::INST => {
                let global = self.global_line(op)?;
                let node = self.global(global);
                let callable = Slot { node, pushed_by: self.now(), start: self.now() };
                let (args, mark) = self.pop_to_mark(op)?;
                let args = self.tuple_of(&args);
                self.instance(callable, args, mark);
            }
            opcode::OBJ => {
                let (values, mark) = self.pop_to_mark(op)?;
                let Some((callable, args)) = values.split_first() else {
                    return Err(self.fault(op, "needs a class above the mark"));
                };
                let args = self.tuple_of(args);
                self.instance(*callable, args, mark);
            }
            _ => {
                if op.code == opcode::NEWOBJ_EX {
                    self.pop(op)?;
                }
                let (args, callable) = (self.pop(op)?.slot, self.pop(op)?.slot);
                if op.code == opcode::NEWOBJ_EX {
                    let now = self.now();
                    self.graph.keyword_instances.push((now, callable));
                }
                self.instance(callable, args.node, callable.start);
            }
        }
        Ok(())
    }

    fn global_line(&self, op: Op) -> Result<Global, Fault> {
        let Extent { start, end } = op.argument;
        let lines = op.argument.of(&self.graph.pickle);
        let Some(feed) = lines.iter().position(|byte| *byte == b'\n') else {
            return Err(self.fault(op, "names no module and name"));
        };
        self.check_name(op, op.argument)?;
        let middle = start + feed as u32;
        let module = Name::Line(Extent { start, end: middle });
        Ok(Global { module, name: Name::Line(Extent { start: middle + 1, end }) })
    }

    fn check_name(&self, op: Op, name: Extent) -> Result<(), Fault> {
        if name.of(&self.graph.pickle).len() <= MAX_NAME {
            return Ok(());
        }
        let what =
            format!("a module or class has a name of over {MAX_NAME} bytes, the reader's limit");
        Err(Fault::too_large(u64::from(op.whole.start), what))
    }

    fn global(&mut self, global: Global) -> NodeId {
        let id = GlobalId(self.graph.globals.len() as u32);
        self.graph.globals.push(global);
        self.node(Value::Global(id))
    }

    fn instance(&mut self, callable: Slot, args: NodeId, start: OpIndex) {
        let kind = Kind::Call { callable, args };
        self.push_compound(Compound { kind, ..Compound::default() }, start);
    }

    fn tuple_of(&mut self, values: &[Slot]) -> NodeId {
        let start = self.graph.items.len() as u32;
        self.graph.items.extend(values.iter().map(|slot| slot.node));
        let end = self.graph.items.len() as u32;
        self.node(Value::Tuple(Items { start, end }))
    }

    fn tuple(&mut self, op: Op) -> Result<(), Fault> {
        let count = match op.code {
            opcode::TUPLE1 => 1,
            opcode::TUPLE2 => 2,
            opcode::TUPLE3 => 3,
            _ => {
                let (values, mark) = self.pop_to_mark(op)?;
                let node = self.tuple_of(&values);
                self.push_slot(node, mark);
                return Ok(());
            }
        };
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(self.pop(op)?.slot);
        }
        values.reverse();
        let node = self.tuple_of(&values);
        self.push_slot(node, values[0].start);
        Ok(())
    }

    /// `DICT`, `LIST` and `FROZENSET`, which make a container of what is above the mark.
    fn collect(&mut self, op: Op) -> Result<(), Fault> {
        let (values, mark) = self.pop_to_mark(op)?;
        let batch = Batch { mark: Some(mark), close: self.now() };
        let mut compound = Compound { made: batch, ..Compound::default() };
        match op.code {
            opcode::DICT if values.len() % 2 == 1 => {
                return Err(self.fault(op, "has a key without a value"));
            }
            opcode::DICT => self.put_entries(&mut compound, &values, batch),
            code => {
                compound.kind = if code == opcode::LIST { Kind::List } else { Kind::Set };
                self.put_elements(&mut compound, &values, batch);
            }
        }
        self.push_compound(compound, mark);
        Ok(())
    }

    fn persistent(&mut self, op: Op) -> Result<(), Fault> {
        let (id, start) = match op.code {
            opcode::PERSID => (self.node(Value::Text(self.now())), self.now()),
            _ => {
                let slot = self.pop(op)?.slot;
                (slot.node, slot.start)
            }
        };
        let op = self.now();
        self.graph.persistent.push(Reference { id, start, op });
        let node = self.node(Value::Persistent(id));
        self.push_slot(node, start);
        Ok(())
    }

    fn literal(&mut self, op: Op) -> Result<(), Fault> {
        let now = self.now();
        let empty = |kind| Compound { kind, ..Compound::default() };
        match op.code {
            opcode::EMPTY_DICT => self.push_compound(empty(Kind::Dict), now),
            opcode::EMPTY_LIST => self.push_compound(empty(Kind::List), now),
            opcode::EMPTY_SET => self.push_compound(empty(Kind::Set), now),
            opcode::EMPTY_TUPLE => {
                let node = self.tuple_of(&[]);
                self.push_slot(node, now);
            }
            // The buffer is outside the stream; what it holds is unknown either way.
            opcode::READONLY_BUFFER => {
                self.top(op)?;
            }
            code if opcode::is_text(code) => {
                self.check_text(op)?;
                self.push(Value::Text(now));
            }
            _ => {
                let value = self.plain(op)?;
                self.push(value);
            }
        }
        Ok(())
    }

    /// A text is UTF-8, lone surrogates allowed as Python's `surrogatepass` allows them.
    fn check_text(&self, op: Op) -> Result<(), Fault> {
        let bytes = op.argument.of(&self.graph.pickle);
        match op.code {
            opcode::UNICODE | opcode::STRING | opcode::BINSTRING | opcode::SHORT_BINSTRING => {
                Ok(())
            }
            _ if is_utf8_with_surrogates(bytes) => Ok(()),
            _ => Err(self.fault(op, "holds a text that is not UTF-8")),
        }
    }

    /// A value without parts.
    fn plain(&self, op: Op) -> Result<Value, Fault> {
        plain(&self.graph.pickle, op).ok_or_else(|| self.fault(op, "holds no number"))
    }
}

/// Keys with their values, as they lie between a mark and the opcode that adds them.
fn pairs(values: &[Slot], batch: Batch) -> impl Iterator<Item = Entry> {
    values.chunks_exact(2).map(move |pair| {
        let (key, value) = (pair[0], pair[1]);
        Entry { key, value, batch, start: key.start }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(pickle: &[u8]) -> String {
        match Graph::read(pickle) {
            Ok(_) => "sound".into(),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn sound_pickles_are_followed_to_their_stop() {
        assert_eq!(message(b"\x80\x02}q\0X\x01\0\0\0aq\x01K\x01s.garbage"), "sound");
        assert_eq!(message(b"(K\x01K\x02l."), "sound");
        assert_eq!(message(b"K\x01(0."), "sound");
    }

    #[test]
    fn each_contradiction_is_named_with_its_place() {
        assert_eq!(message(b"\x80\x02"), "at byte 2: the pickle ends without STOP");
        assert_eq!(message(b"R."), "at byte 0: opcode 0x52 needs a value that is not on the stack");
        assert_eq!(message(b"h\x05."), "at byte 0: opcode 0x68 gets memo 5, which was never put");
        assert_eq!(message(b"t."), "at byte 0: opcode 0x74 needs a mark that is not on the stack");
        assert_eq!(message(b"}(K\x01u."), "at byte 4: opcode 0x75 has a key without a value");
        assert_eq!(message(b"Ifoo\n."), "at byte 0: opcode 0x49 holds no number");
        assert_eq!(
            message(b"X\x01\0\0\0\xff."),
            "at byte 0: opcode 0x58 holds a text that is not UTF-8"
        );
        assert_eq!(
            message(b"K\x01K\x02a."),
            "at byte 4: opcode 0x61 adds to a value that is no container"
        );
        assert_eq!(message(b"(."), "at byte 1: opcode 0x2e needs a value that is not on the stack");
    }

    #[test]
    fn lone_surrogates_are_text() {
        assert_eq!(message(b"X\x03\0\0\0\xed\xa0\x80."), "sound");
    }
}
