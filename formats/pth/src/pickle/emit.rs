//! Writes a patched pickle: opcodes as they are, in other words, or not at all.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use statedict_core::{Fault, sorting};

use super::graph::{Graph, OpPlace};
use super::opcode::{self, Op};
use crate::memo::Memo;

/// How many definitions may be lifted within each other; a pickler nests them a few deep.
const MAX_LIFT_DEPTH: usize = 500;

/// Opcodes that are written in place of others.
#[derive(Debug)]
pub(super) struct Exchange {
    /// One past the last of the others.
    pub(super) end: OpPlace,
    pub(super) opcodes: Vec<u8>,
    pub(super) scope: Scope,
}

/// Where opcodes are written in place of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Wherever the others would be written.
    Everywhere,
    /// Where the others are; a definition that is lifted from there is what it was.
    InPlace,
}

/// How frames and memo ids are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Manner {
    /// As they are, as far as the changes allow.
    #[default]
    AsTheyAre,
    /// As protocol 2 has them: no frames, and every memo id written out.
    ProtocolTwo,
}

/// Writes a patched pickle.
pub(super) struct Emitter<'a> {
    pub(super) graph: &'a Graph<'a>,
    pub(super) replaced: Replaced<'a>,
    /// Opcodes in place of others, by the first of those.
    pub(super) exchanged: &'a BTreeMap<OpPlace, Exchange>,
    pub(super) dead: Dead,
    /// How many bytes of opcodes may still be lifted.
    pub(super) liftable: usize,
    pub(super) puts: InStream<'a>,
    /// Puts that moved away.
    pub(super) silent: HashSet<OpPlace>,
    /// Puts that moved to after an opcode.
    pub(super) late_puts: HashMap<OpPlace, (u32, u32)>,
    /// `MEMOIZE` is written as a put with its id.
    pub(super) explicit: bool,
    pub(super) manner: Manner,
    pub(super) gets: InStream<'a>,
    /// Memo ids as they are in the pickle written so far, with what they hold.
    pub(super) bound: Memo<u32>,
    pub(super) out: Vec<u8>,
}

/// A text in place of another, in the manner of the opcode that defines the old one.
#[derive(Debug)]
pub(super) struct Rename<'p> {
    /// The opcode that pushes the old one.
    pub(super) op: OpPlace,
    /// The one that defines it.
    pub(super) definition: OpPlace,
    pub(super) text: Cow<'p, str>,
}

impl Rename<'_> {
    fn words(&self) -> Words<'_> {
        Words::Literal { definition: self.definition, text: &self.text }
    }
}

/// What is written in place of an opcode.
#[derive(Clone, Copy)]
pub(super) enum Words<'a> {
    /// The opcode itself.
    AsItIs,
    /// A text in the manner of the opcode that defines the old one.
    Literal {
        definition: OpPlace,
        text: &'a str,
    },
    /// The opcode that defines a text.
    Old {
        definition: OpPlace,
    },
    Opcodes(&'a [u8]),
}

/// Opcodes that are written in other words, in stream order.
pub(super) struct Replaced<'a> {
    renames: &'a [Rename<'a>],
    /// What is not renamed, or is to stay as it is although it is.
    others: Vec<(OpPlace, Words<'a>)>,
    /// The first of each that was not come to yet.
    next_rename: usize,
    next_other: usize,
}

impl<'a> Replaced<'a> {
    /// Renames in stream order, each opcode once, and other words for others; of several for one
    /// opcode the last.
    pub(super) fn new(
        renames: &'a [Rename<'a>],
        mut others: Vec<(OpPlace, Words<'a>)>,
    ) -> Replaced<'a> {
        keep_last(&mut others, |(op, _)| *op);
        Replaced { renames, others, next_rename: 0, next_other: 0 }
    }

    /// The words for an opcode at its place, if there are some; no later one was asked for before.
    fn next(&mut self, place: OpPlace) -> Option<Words<'a>> {
        while self.others.get(self.next_other).is_some_and(|(op, _)| *op < place) {
            self.next_other += 1;
        }
        if let Some((_, words)) = self.others.get(self.next_other).filter(|it| it.0 == place) {
            return Some(*words);
        }
        while self.renames.get(self.next_rename).is_some_and(|rename| rename.op < place) {
            self.next_rename += 1;
        }
        let rename = self.renames.get(self.next_rename).filter(|rename| rename.op == place);
        rename.map(Rename::words)
    }

    /// The same of any opcode.
    fn find(&self, place: OpPlace) -> Option<Words<'a>> {
        if let Ok(found) = self.others.binary_search_by_key(&place, |(op, _)| *op) {
            return Some(self.others[found].1);
        }
        let found = self.renames.binary_search_by_key(&place, |rename| rename.op).ok()?;
        Some(self.renames[found].words())
    }
}

/// Puts what is said of opcodes in stream order, of several for one opcode the last.
pub(super) fn keep_last<T>(all: &mut Vec<T>, op: impl Fn(&T) -> OpPlace) {
    sorting::sort_by_key(all, &op);
    all.dedup_by(|later, kept| {
        let is_same = op(later) == op(kept);
        if is_same {
            std::mem::swap(later, kept);
        }
        is_same
    });
}

/// Opcodes that go.
pub(super) struct Dead {
    /// Ordered by where they start; they may overlap.
    ranges: Vec<Range<OpPlace>>,
    /// The first range that was not come to yet, and where those before it end.
    next: usize,
    end: OpPlace,
}

impl Dead {
    pub(super) fn new(mut ranges: Vec<Range<OpPlace>>) -> Dead {
        sorting::sort_by_key(&mut ranges, |range| range.start);
        Dead { ranges, next: 0, end: 0 }
    }

    /// True if an opcode goes; no later one was asked for before.
    fn has(&mut self, place: OpPlace) -> bool {
        while let Some(range) = self.ranges.get(self.next).filter(|it| it.start <= place) {
            self.end = self.end.max(range.end);
            self.next += 1;
        }
        place < self.end
    }
}

/// Opcodes that put into the memo or get from it, in stream order, of which the next is most often
/// the one that is asked for.
pub(super) struct InStream<'a> {
    ops: &'a [(OpPlace, u32, u32)],
    next: usize,
}

impl InStream<'_> {
    pub(super) fn new(ops: &[(OpPlace, u32, u32)]) -> InStream<'_> {
        InStream { ops, next: 0 }
    }

    /// The memo id that an opcode names, and the place of what it holds in `memoized`.
    fn find(&mut self, index: OpPlace) -> Option<(u32, u32)> {
        let is_next = self.ops.get(self.next).is_some_and(|(op, ..)| *op == index);
        if !is_next {
            self.next = self.ops.binary_search_by_key(&index, |(op, ..)| *op).ok()?;
        }
        let (_, id, place) = self.ops[self.next];
        self.next += 1;
        Some((id, place))
    }
}

/// A frame whose length is mended once its end is reached.
struct Frame {
    /// Where its opcode is in the new pickle.
    at: usize,
    /// Where it ends in the old one.
    end: u64,
}

impl Emitter<'_> {
    pub(super) fn run(&mut self, insertions: &BTreeMap<OpPlace, Vec<u8>>) -> Result<(), Fault> {
        let mut frame: Option<Frame> = None;
        let mut done = 0;
        let graph = self.graph;
        for (index, op) in graph.opcodes() {
            if frame.as_ref().is_some_and(|frame| u64::from(op.whole.start) >= frame.end) {
                self.close(frame.take());
            }
            if op.code == opcode::FRAME && self.manner == Manner::ProtocolTwo {
                continue;
            }
            if op.code == opcode::FRAME {
                self.close(frame.take());
                let length = op.number(&self.graph.pickle);
                let end = u64::from(op.whole.end).saturating_add(length);
                frame = Some(Frame { at: self.out.len(), end });
                self.out.extend_from_slice(op.whole.of(&self.graph.pickle));
                continue;
            }
            if let Some(opcodes) = insertions.get(&index) {
                self.out.extend_from_slice(opcodes);
            }
            let is_dead = self.dead.has(index);
            if index >= done && !is_dead {
                done = self.emit_whole(index, op, graph.end as OpPlace, 0)?;
            }
        }
        self.close(frame);
        Ok(())
    }

    /// Writes an opcode, or what is written instead of it and those after it if they end before
    /// `limit`; gives the next opcode.
    fn emit_whole(
        &mut self,
        index: OpPlace,
        op: Op,
        limit: OpPlace,
        depth: usize,
    ) -> Result<OpPlace, Fault> {
        match self.exchanged.get(&index) {
            Some(Exchange { end, opcodes, scope })
                if *end <= limit && (depth == 0 || *scope == Scope::Everywhere) =>
            {
                self.out.extend_from_slice(opcodes);
                Ok(*end)
            }
            _ => self.emit(index, op, depth).map(|()| op.whole.end),
        }
    }

    /// Mends a frame's length; a frame that became empty goes.
    fn close(&mut self, frame: Option<Frame>) {
        const OPCODE: usize = 9;
        let Some(Frame { at, .. }) = frame else { return };
        let length = self.out.len() - at - OPCODE;
        if length == 0 {
            self.out.truncate(at);
        } else {
            self.out[at + 1..at + OPCODE].copy_from_slice(&(length as u64).to_le_bytes());
        }
    }

    fn emit(&mut self, index: OpPlace, op: Op, depth: usize) -> Result<(), Fault> {
        let words = if depth == 0 { self.replaced.next(index) } else { self.replaced.find(index) };
        if let Some(words) = words.filter(|words| !matches!(words, Words::AsItIs)) {
            self.write(words);
        } else if self.silent.contains(&index) {
            return Ok(());
        } else if opcode::is_put(op.code)
            && let Some((id, place)) = self.puts.find(index)
        {
            self.bound.put(id, place);
            self.put(op, id);
        } else if opcode::is_get(op.code)
            && let Some((id, place)) = self.gets.find(index)
        {
            if self.bound.get(id) != Some(place) {
                return self.lift(place, depth);
            }
            match self.manner {
                Manner::ProtocolTwo => self.numbered(opcode::BINGET, opcode::LONG_BINGET, id),
                Manner::AsTheyAre => self.out.extend_from_slice(op.whole.of(&self.graph.pickle)),
            }
        } else {
            self.out.extend_from_slice(op.whole.of(&self.graph.pickle));
        }
        if let Some((id, place)) = self.late_puts.get(&index).copied() {
            self.bound.put(id, place);
            self.explicit_put(id);
        }
        Ok(())
    }

    fn write(&mut self, words: Words<'_>) {
        match words {
            Words::Literal { definition, text } => {
                self.out.extend(self.graph.literal(definition, text));
            }
            Words::Old { definition } => {
                self.out.extend_from_slice(self.graph.bytes_of(definition));
            }
            Words::Opcodes(opcodes) => self.out.extend_from_slice(opcodes),
            Words::AsItIs => {}
        }
    }

    /// Where something goes, `MEMOIZE` would count differently, so ids are written out.
    fn put(&mut self, op: Op, id: u32) {
        let spelled_out = matches!(op.code, opcode::BINPUT | opcode::LONG_BINPUT);
        let in_text = op.code == opcode::PUT && self.manner == Manner::AsTheyAre;
        if spelled_out || in_text || !self.explicit {
            self.out.extend_from_slice(op.whole.of(&self.graph.pickle));
        } else {
            self.explicit_put(id);
        }
    }

    fn explicit_put(&mut self, id: u32) {
        self.numbered(opcode::BINPUT, opcode::LONG_BINPUT, id);
    }

    /// An opcode with a memo id, in the shorter of its two forms if the id fits.
    fn numbered(&mut self, short: u8, long: u8, id: u32) {
        match u8::try_from(id) {
            Ok(id) => self.out.extend_from_slice(&[short, id]),
            Err(_) => {
                self.out.push(long);
                self.out.extend_from_slice(&id.to_le_bytes());
            }
        }
    }

    /// Writes the opcodes that make a memoized value, here where it is first needed.
    fn lift(&mut self, place: u32, depth: usize) -> Result<(), Fault> {
        let memoized = self.graph.memoized[place as usize];
        let refuse = |what: String| Err(Fault::too_large(u64::from(memoized.start), what));
        if depth > MAX_LIFT_DEPTH {
            return refuse(format!(
                "definitions nest deeper than {MAX_LIFT_DEPTH}, the editor's limit"
            ));
        }
        let Some(left) = self.liftable.checked_sub((memoized.end - memoized.start) as usize) else {
            return refuse("definitions are needed again and again under one memo id".into());
        };
        self.liftable = left;
        let mut index = memoized.start;
        while index < memoized.end {
            let op = self.graph.op(index);
            index = match op.code {
                opcode::FRAME => op.whole.end,
                _ => self.emit_whole(index, op, memoized.end, depth + 1)?,
            };
        }
        Ok(())
    }
}
