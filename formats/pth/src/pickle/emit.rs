//! Writes a patched pickle: opcodes as they are, in other words, or not at all.

use std::collections::{BTreeMap, HashMap, HashSet};

use statedict_core::{Fault, IndexMap};

use super::graph::{Graph, OpIndex};
use super::opcode::{self, Op};
use super::patch::{Exchange, Manner, Scope};
use crate::memo::Memo;

/// How many definitions may be lifted within each other; a pickler nests them a few deep.
const MAX_LIFT_DEPTH: usize = 500;

/// Writes a patched pickle.
pub(super) struct Emitter<'a> {
    pub(super) graph: &'a Graph<'a>,
    pub(super) replaced: Replaced,
    /// Opcodes in place of others, by the first of those.
    pub(super) exchanged: &'a BTreeMap<OpIndex, Exchange>,
    pub(super) dead: Vec<bool>,
    /// How many opcodes may still be lifted.
    pub(super) liftable: usize,
    pub(super) puts: InStream<'a>,
    /// Puts that moved away.
    pub(super) silent: HashSet<OpIndex>,
    /// Puts that moved to after an opcode.
    pub(super) late_puts: HashMap<OpIndex, (u32, u32)>,
    /// `MEMOIZE` is written as a put with its id.
    pub(super) explicit: bool,
    pub(super) manner: Manner,
    pub(super) gets: InStream<'a>,
    /// Memo ids as they are in the pickle written so far, with what they hold.
    pub(super) bound: Memo<u32>,
    pub(super) out: Vec<u8>,
}

/// Opcodes that are written in other words.
pub(super) struct Replaced {
    words: IndexMap<OpIndex, Vec<u8>>,
    /// For each opcode whether there are words for it, which most have not.
    has_words: Vec<bool>,
}

impl Replaced {
    /// Other words for some of so many opcodes.
    pub(super) fn new(words: IndexMap<OpIndex, Vec<u8>>, ops: usize) -> Replaced {
        let mut has_words = vec![false; ops];
        words.keys().for_each(|op| has_words[*op as usize] = true);
        Replaced { words, has_words }
    }

    fn find(&self, index: OpIndex) -> Option<&[u8]> {
        let is_there = self.has_words[index as usize];
        is_there.then(|| self.words.get(&index).map(Vec::as_slice)).flatten()
    }
}

/// Opcodes that put into the memo or get from it, in stream order, of which the next is most often
/// the one that is asked for.
pub(super) struct InStream<'a> {
    ops: &'a [(OpIndex, u32, u32)],
    next: usize,
}

impl InStream<'_> {
    pub(super) fn new(ops: &[(OpIndex, u32, u32)]) -> InStream<'_> {
        InStream { ops, next: 0 }
    }

    /// The memo id that an opcode names, and the place of what it holds in `memoized`.
    fn find(&mut self, index: OpIndex) -> Option<(u32, u32)> {
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
    /// Where its opcode stands in the new pickle.
    at: usize,
    /// Where it ends in the old one.
    end: u64,
}

impl Emitter<'_> {
    pub(super) fn run(&mut self, insertions: &BTreeMap<OpIndex, Vec<u8>>) -> Result<(), Fault> {
        let mut frame: Option<Frame> = None;
        let mut done = 0;
        for index in 0..self.graph.ops.len() as OpIndex {
            let op = self.graph.op(index);
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
            if index >= done && !self.is_dead(index) {
                done = self.emit_whole(index, op, self.graph.ops.len() as OpIndex, 0)?;
            }
        }
        self.close(frame);
        Ok(())
    }

    /// Writes an opcode, or what is written instead of it and those after it if they end before
    /// `limit`; gives the next opcode.
    fn emit_whole(
        &mut self,
        index: OpIndex,
        op: Op,
        limit: OpIndex,
        depth: usize,
    ) -> Result<OpIndex, Fault> {
        match self.exchanged.get(&index) {
            Some(Exchange { end, opcodes, scope })
                if *end <= limit && (depth == 0 || *scope == Scope::Everywhere) =>
            {
                self.out.extend_from_slice(opcodes);
                Ok(*end)
            }
            _ => self.emit(index, op, depth).map(|()| index + 1),
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

    fn is_dead(&self, index: OpIndex) -> bool {
        self.dead.get(index as usize).copied().unwrap_or(false)
    }

    fn emit(&mut self, index: OpIndex, op: Op, depth: usize) -> Result<(), Fault> {
        if let Some(bytes) = self.replaced.find(index) {
            self.out.extend_from_slice(bytes);
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
        let refuse = |what: String| {
            let at = u64::from(self.graph.ops[memoized.start as usize]);
            Err(Fault::too_large(at, what))
        };
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
                opcode::FRAME => index + 1,
                _ => self.emit_whole(index, op, memoized.end, depth + 1)?,
            };
        }
        Ok(())
    }
}
