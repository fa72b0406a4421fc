//! Follows a pickle's opcodes without executing anything.

mod calls;
mod containers;
mod fetched;
mod literals;

use std::borrow::Cow;
use std::num::NonZeroU32;

use statedict_core::Fault;

use crate::budget::room;
use crate::memo::Memo;
use crate::pickle::chains::Chains;
use crate::pickle::graph::{
    Compound, CompoundId, Element, Graph, Memoized, Node, NodeId, OpPlace, Slot,
};
use crate::pickle::opcode::{self, Op};
use crate::reserve::reserved;

use fetched::Fetched;

/// The longest pickle that is read, in bytes: room for ten million tensors, and short enough that
/// opcodes and nodes can be counted in 32 bits.
const MAX_PICKLE: usize = 1 << 30;

/// How long a file is at least that a pickle which has been read already was made from, as a multiple
/// of the pickle's length: such a pickle is read again however much its file had beside it.
const AGAIN: u64 = 32;

/// Values that pickles are full of: numbers of one byte, and what follows them here.
const COMMON: usize = 260;
const NONE: usize = 256;
const TRUE: usize = 257;
const FALSE: usize = 258;
const EMPTY_TUPLE: usize = 259;

/// How many opcodes are followed between looks at the memory that they took.
const LOOK_EVERY: usize = 1 << 12;

impl<'p> Graph<'p> {
    /// Decodes a pickle that was read before, or made from one.
    ///
    /// # Errors
    /// See [`Graph::read_of`].
    pub(crate) fn read(pickle: impl Into<Cow<'p, [u8]>>) -> Result<Graph<'p>, Fault> {
        let pickle = pickle.into();
        let len = (pickle.len() as u64).saturating_mul(AGAIN);
        Graph::read_of(pickle, len)
    }

    /// Decodes a pickle up to its `STOP` and follows what it would build.
    ///
    /// Memory is proportional to the length of the file that the pickle is of, whatever it claims.
    ///
    /// # Errors
    /// An unknown opcode, an argument beyond the end, a stack or memo access that cannot be, with
    /// the offset within the pickle; more memory than there is room for.
    pub(crate) fn read_of(
        pickle: impl Into<Cow<'p, [u8]>>,
        file_len: u64,
    ) -> Result<Graph<'p>, Fault> {
        Graph::follow(pickle.into(), file_len, Purpose::Respelling)
    }

    /// The same to change keys and entries: of what is put into the memo only that is noted which is
    /// fetched, and what has no number of its own (`MEMOIZE`). Picklers put far more than they fetch.
    ///
    /// # Errors
    /// See [`Graph::read_of`].
    pub(crate) fn to_edit(
        pickle: impl Into<Cow<'p, [u8]>>,
        file_len: u64,
    ) -> Result<Graph<'p>, Fault> {
        Graph::follow(pickle.into(), file_len, Purpose::Editing)
    }

    /// The same to look at what it would build: a graph that [`Patch`](crate::pickle::patch::Patch) cannot be
    /// applied to, and that takes a third less memory.
    ///
    /// # Errors
    /// See [`Graph::read_of`].
    pub(crate) fn to_list(
        pickle: impl Into<Cow<'p, [u8]>>,
        file_len: u64,
    ) -> Result<Graph<'p>, Fault> {
        Graph::follow(pickle.into(), file_len, Purpose::Listing)
    }

    fn follow(pickle: Cow<'p, [u8]>, file_len: u64, purpose: Purpose) -> Result<Graph<'p>, Fault> {
        if pickle.len() > MAX_PICKLE {
            return Err(Fault::too_large(0, "the pickle is longer than 1 GiB, the reader's limit"));
        }
        let mut machine = Machine::new(pickle, file_len, purpose);
        let mut followed = 0;
        loop {
            let op = Op::at(&machine.graph.pickle, machine.next as usize)?;
            (machine.now, machine.next) = (op.whole.start, op.whole.end);
            if op.code == opcode::STOP {
                machine.graph.root = machine.pop(op)?.slot.node;
                machine.graph.end = op.whole.end as usize;
                machine.check_weight(op, 0)?;
                let room = machine.room();
                let mut graph = machine.graph;
                graph.room = room.saturating_sub(graph.weight());
                return Ok(graph);
            }
            machine.step(op)?;
            followed += 1;
            if followed % LOOK_EVERY == 0 {
                machine.check_weight(op, 0)?;
            }
        }
    }
}

/// What a graph is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To see what the pickle would build.
    Listing,
    /// To change the pickle as well, for which it is noted what is fetched from the memo.
    Editing,
    /// To write any of its opcodes in other words, for which everything is noted that is put into the
    /// memo.
    Respelling,
}

/// The stack and memo of a pickle machine.
struct Machine<'p> {
    graph: Graph<'p>,
    /// The opcode being followed.
    now: OpPlace,
    /// The one after it.
    next: OpPlace,
    /// How long the file is that the pickle is of.
    file_len: u64,
    stack: Vec<Held>,
    /// Stack heights at which marks are, with the opcodes that set them.
    marks: Vec<(usize, OpPlace)>,
    /// Memo ids, with one more than the place of what they hold in the graph's `memoized`; if
    /// nothing is to be edited, than the number of the node.
    memo: Memo<NonZeroU32>,
    purpose: Purpose,
    /// The memo ids that are fetched, if nothing else is to be noted.
    fetched: Fetched,
    /// The nodes of values that pickles are full of, each kept once.
    common: [Option<NodeId>; COMMON],
    /// The latest persistent id that was made to be named once, as picklers make each; those that
    /// are named over and over give no more room.
    last_spelled_out: Option<NodeId>,
    /// How many such ids there are.
    spelled_out: usize,
}

/// A value on the stack.
#[derive(Clone, Copy)]
struct Held {
    slot: Slot,
    /// One more than its place in the graph's `memoized`, once it was put there.
    memoized: Option<NonZeroU32>,
}

impl Held {
    /// Its place in the graph's `memoized`.
    fn place(self) -> Option<u32> {
        self.memoized.map(|place| place.get() - 1)
    }
}

impl<'p> Machine<'p> {
    fn new(pickle: Cow<'p, [u8]>, file_len: u64, purpose: Purpose) -> Machine<'p> {
        let len = pickle.len() as u64;
        let (fetched, gets, puts) = match purpose {
            Purpose::Listing => (Fetched::default(), 0, 0),
            Purpose::Editing => (Fetched::of(&pickle), len, 0),
            Purpose::Respelling => (Fetched::default(), len, len),
        };
        let graph = Graph {
            pickle,
            room: 0,
            root: NodeId(0),
            end: 0,
            nodes: reserved(len),
            items: reserved(len),
            tuples: reserved(len),
            globals: reserved(len),
            first_names: Vec::new(),
            compounds: reserved(len),
            entries: Chains::for_pickle(len),
            elements: Chains::for_pickle(len),
            states: Chains::default(),
            puts: reserved(puts),
            gets: reserved(gets),
            repeats: Vec::new(),
            memoized: reserved(puts),
            stack_globals: Vec::new(),
            keyword_instances: Vec::new(),
            persistent: Vec::new(),
        };
        let memo = Memo::default();
        let (stack, marks, common) = (reserved(len), Vec::new(), [None; COMMON]);
        Machine {
            graph,
            now: 0,
            next: 0,
            file_len,
            stack,
            marks,
            memo,
            purpose,
            fetched,
            common,
            last_spelled_out: None,
            spelled_out: 0,
        }
    }

    /// Refuses to let the graph grow beyond proportion, by so many bytes more.
    fn check_weight(&self, op: Op, more: usize) -> Result<(), Fault> {
        let own = self.fetched.weight()
            + self.stack.len() * size_of::<Held>()
            + self.marks.len() * size_of::<(usize, OpPlace)>()
            + self.memo.weight();
        if own.saturating_add(self.graph.weight()).saturating_add(more) <= self.room() {
            return Ok(());
        }
        let what = "what the pickle builds takes more memory than the reader's limit for a file of \
                    this length";
        Err(Fault::too_large(u64::from(op.whole.start), what))
    }

    /// How much memory the pickle and the listing of it may take.
    fn room(&self) -> usize {
        room(self.file_len, self.graph.pickle.len(), self.spelled_out)
    }

    fn step(&mut self, op: Op) -> Result<(), Fault> {
        match op.code {
            opcode::PROTO | opcode::FRAME => Ok(()),
            opcode::MARK => {
                self.marks.push((self.stack.len(), self.now));
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

    fn node(&mut self, node: Node) -> NodeId {
        self.graph.nodes.push(node);
        NodeId((self.graph.nodes.len() - 1) as u32)
    }

    fn push_slot(&mut self, node: NodeId, start: OpPlace) {
        let slot = Slot { node, pushed_by: self.now, start };
        self.stack.push(Held { slot, memoized: None });
    }

    /// Pushes a value that this opcode alone makes.
    fn push(&mut self, node: Node) {
        let node = self.node(node);
        self.push_slot(node, self.now);
    }

    fn push_compound(&mut self, mut compound: Compound, start: OpPlace) {
        compound.made.close = self.now;
        let id = CompoundId(self.graph.compounds.len() as u32);
        self.graph.compounds.push(compound);
        let node = self.node(Node::Compound(id));
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
    fn pop_to_mark(&mut self, op: Op) -> Result<(Vec<Slot>, OpPlace), Fault> {
        let Some((height, mark)) = self.marks.pop() else {
            return Err(self.fault(op, "needs a mark that is not on the stack"));
        };
        let count = self.stack.len().saturating_sub(height);
        if count > LOOK_EVERY {
            let taken = size_of::<Held>() + size_of::<Slot>() + size_of::<Element>();
            self.check_weight(op, count.saturating_mul(taken))?;
        }
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
                let (node, now) = (held.slot.node, self.now);
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
                let Some(place) = self.memo.get(id).map(|place| place.get() - 1) else {
                    return Err(self.fault(op, &format!("gets memo {id}, which was never put")));
                };
                let now = self.now;
                let node = match self.purpose {
                    Purpose::Listing => NodeId(place),
                    Purpose::Editing | Purpose::Respelling => {
                        self.graph.gets.push((now, id, place));
                        self.graph.memoized[place as usize].node
                    }
                };
                let slot = Slot { node, pushed_by: now, start: now };
                self.stack.push(Held { slot, memoized: None });
            }
            _ if self.purpose == Purpose::Listing => {
                let node = self.top(op)?.slot.node;
                self.remember(id, node.0);
            }
            // Nothing fetches it, so what it holds does not matter; it counts for `MEMOIZE`.
            opcode::BINPUT | opcode::LONG_BINPUT
                if self.purpose == Purpose::Editing && !self.fetched.has(id) =>
            {
                self.top(op)?;
                self.remember(id, 0);
            }
            _ => {
                let now = self.now;
                let next_place = self.graph.memoized.len() as u32;
                let held = self.top(op)?;
                let place = held.place().unwrap_or(next_place);
                held.memoized = NonZeroU32::new(place + 1);
                let slot = held.slot;
                if place == next_place {
                    let (node, start) = (slot.node, slot.start);
                    self.graph.memoized.push(Memoized { node, start, end: self.next });
                }
                self.extend(Some(place));
                self.remember(id, place);
                self.graph.puts.push((now, id, place));
            }
        }
        Ok(())
    }

    fn remember(&mut self, id: u32, place: u32) {
        // There are fewer opcodes than 2^30.
        if let Some(place) = NonZeroU32::new(place + 1) {
            self.memo.put(id, place);
        }
    }

    fn memo_id(&self, op: Op) -> Result<u32, Fault> {
        let id = match op.code {
            opcode::MEMOIZE => u32::try_from(self.memo.len()).ok(),
            _ => op.memo_id(&self.graph.pickle),
        };
        id.ok_or_else(|| self.fault(op, "names no memo id below 2^32"))
    }

    /// The opcode being followed belongs to what makes a memoized value.
    fn extend(&mut self, place: Option<u32>) {
        if let Some(place) = place {
            self.graph.memoized[place as usize].end = self.next;
        }
    }
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
