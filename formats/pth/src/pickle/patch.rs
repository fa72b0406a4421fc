//! The same pickle with some opcodes replaced: keys renamed, entries taken out or put in.
//!
//! Key texts are shared through the memo with values, storage tags, other dicts and class names.
//! So an edited occurrence becomes a literal, and an unedited fetch of an edited definition becomes
//! the old literal.
//! A definition that is in a deleted part and is fetched later is lifted to that fetch.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use statedict_core::{Fault, IndexMap};

use super::emit::{
    Dead, Emitter, Exchange, InStream, Manner, Rename, Replaced, Scope, Words, keep_last,
};
use super::graph::{Entry, Graph, OpPlace, Slot, Value};
use super::opcode;
use crate::memo::Memo;

/// How many bytes of opcodes may be lifted, as a multiple of the pickle's length: each opcode is
/// lifted once, unless its memo id changes hands in between, which no pickler makes it do.
const MAX_LIFTED: usize = 4;

/// Changes to a pickle.
#[derive(Debug, Default)]
pub(crate) struct Patch<'p> {
    renames: Vec<Rename<'p>>,
    dead: Vec<Range<OpPlace>>,
    insertions: BTreeMap<OpPlace, Vec<u8>>,
    /// Opcodes in place of others, by the first of those.
    exchanged: BTreeMap<OpPlace, Exchange>,
    respelled: IndexMap<OpPlace, Vec<u8>>,
    /// Puts that are written after a later opcode: from where, to where.
    moved_puts: HashMap<OpPlace, OpPlace>,
    manner: Manner,
}

impl<'p> Patch<'p> {
    /// No changes yet, to be written without what protocol 4 brought.
    pub(crate) fn in_protocol_2() -> Patch<'p> {
        Patch { manner: Manner::ProtocolTwo, ..Patch::default() }
    }

    /// Writes an opcode in other words.
    pub(crate) fn respell(&mut self, op: OpPlace, opcodes: Vec<u8>) {
        self.respelled.insert(op, opcodes);
    }

    /// Puts a value into the memo only after a later opcode.
    pub(crate) fn move_put(&mut self, put: OpPlace, after: OpPlace) {
        self.moved_puts.insert(put, after);
    }

    /// Gives a key another text here, and nowhere else.
    pub(crate) fn rename(&mut self, graph: &Graph<'_>, key: Slot, text: Cow<'p, str>) {
        let definition = match graph.value(key.node) {
            Value::Text(definition) => definition,
            _ => key.pushed_by,
        };
        self.renames.push(Rename { op: key.pushed_by, definition, text });
    }

    /// Takes entries out of a mapping; `dead` says which of `entries`, which are all it has.
    pub(crate) fn delete(
        &mut self,
        graph: &Graph<'_>,
        entries: &[Entry],
        dead: impl Fn(&Entry) -> bool,
    ) {
        for batch in entries.chunk_by(|a, b| a.batch == b.batch) {
            let close = batch[0].batch.close;
            let ends = batch[1..].iter().map(|next| next.start).chain([close]);
            let spans: Vec<_> = batch.iter().zip(ends).filter(|(entry, _)| dead(entry)).collect();
            let adds = !matches!(graph.op(close).code, opcode::DICT | opcode::LIST);
            if spans.len() == batch.len() && adds {
                self.dead.push(close..close + 1);
                self.dead.extend(batch[0].batch.mark().map(|mark| mark..mark + 1));
            }
            self.dead.extend(spans.into_iter().map(|(entry, end)| entry.start..end));
        }
    }

    /// Puts opcodes in front of an opcode.
    pub(crate) fn insert_before(&mut self, op: OpPlace, opcodes: &[u8]) {
        self.insertions.entry(op).or_default().extend_from_slice(opcodes);
    }

    /// Takes opcodes out.
    pub(crate) fn remove(&mut self, ops: Range<OpPlace>) {
        self.dead.push(ops);
    }

    /// Puts opcodes in place of others, unless they are taken out with what they are part of.
    pub(crate) fn replace(&mut self, ops: Range<OpPlace>, opcodes: Vec<u8>) {
        let exchange = Exchange { end: ops.end, opcodes, scope: Scope::Everywhere };
        self.exchanged.insert(ops.start, exchange);
    }

    /// The same where the others stand, and nowhere else that fetches what they define.
    pub(crate) fn replace_in_place(&mut self, ops: Range<OpPlace>, opcodes: Vec<u8>) {
        let exchange = Exchange { end: ops.end, opcodes, scope: Scope::InPlace };
        self.exchanged.insert(ops.start, exchange);
    }

    /// The new pickle, from its first opcode to its `STOP`; what followed is kept.
    ///
    /// # Errors
    /// A pickle whose definitions depend on each other more deeply than any pickler writes.
    pub(crate) fn apply(mut self, graph: &Graph<'_>) -> Result<Vec<u8>, Fault> {
        self.order();
        self.write(graph, self.others(graph))
    }

    /// The same without what the pickle would build in memory while it is written.
    ///
    /// # Errors
    /// As [`Patch::apply`].
    pub(crate) fn finish(mut self, graph: Graph<'_>) -> Result<Vec<u8>, Fault> {
        self.order();
        let others = self.others(&graph);
        self.write(&graph.without_values(), others)
    }

    /// Puts the renames in stream order, of several for one opcode the last.
    fn order(&mut self) {
        keep_last(&mut self.renames, |rename| rename.op);
    }

    fn write(
        &self,
        graph: &Graph<'_>,
        others: Vec<(OpPlace, Words<'_>)>,
    ) -> Result<Vec<u8>, Fault> {
        let moved = |(op, id, place): &(OpPlace, u32, u32)| {
            self.moved_puts.get(op).map(|after| (*after, (*id, *place)))
        };
        let mut emitter = Emitter {
            graph,
            late_puts: graph.puts.iter().filter_map(moved).collect(),
            explicit: self.manner == Manner::ProtocolTwo
                || !(self.dead.is_empty() && self.exchanged.is_empty()),
            manner: self.manner,
            replaced: Replaced::new(&self.renames, others),
            exchanged: &self.exchanged,
            liftable: graph.pickle.len().saturating_mul(MAX_LIFTED),
            dead: Dead::new(self.dead.clone()),
            puts: InStream::new(&graph.puts),
            silent: self.moved_puts.keys().copied().collect(),
            gets: InStream::new(&graph.gets),
            bound: Memo::default(),
            out: Vec::with_capacity(graph.pickle.len()),
        };
        emitter.run(&self.insertions)?;
        emitter.out.extend_from_slice(&graph.pickle[graph.end..]);
        Ok(emitter.out)
    }

    /// What to write in place of opcodes that are not renamed, un-sharing texts where they part; of
    /// several for one opcode the last counts.
    fn others(&self, graph: &Graph<'_>) -> Vec<(OpPlace, Words<'_>)> {
        let mut others: Vec<_> =
            self.respelled.iter().map(|(op, bytes)| (*op, Words::Opcodes(bytes))).collect();
        others.retain(|(op, _)| self.text(*op).is_none());
        let definition = |node| match graph.value(node) {
            Value::Text(definition) => Some(definition),
            _ => None,
        };
        for (get, _, place) in &graph.gets {
            let Some(definition) = definition(graph.memoized[*place as usize].node) else {
                continue;
            };
            match (self.text(definition), self.text(*get)) {
                (Some(new), Some(same)) if new == same => others.push((*get, Words::AsItIs)),
                (Some(_), None) => others.push((*get, Words::Old { definition })),
                _ => {}
            }
        }
        if graph.repeats.is_empty() {
            return others;
        }
        let edited: HashSet<OpPlace> =
            self.renames.iter().map(|rename| rename.definition).collect();
        for (repeat, node) in &graph.repeats {
            let Some(definition) = definition(*node) else { continue };
            if edited.contains(&definition) && self.text(*repeat).is_none() {
                others.push((*repeat, Words::Old { definition }));
            }
        }
        others
    }

    /// The text that an opcode gets.
    fn text(&self, op: OpPlace) -> Option<&str> {
        let found = self.renames.binary_search_by_key(&op, |rename| rename.op).ok()?;
        Some(&self.renames[found].text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::graph::CompoundId;

    /// Renames and drops keys of the first dict of a pickle.
    fn edit(pickle: &[u8], rename: &[(&str, &str)], drop: &[&str]) -> Vec<u8> {
        let graph = Graph::read(pickle).expect("sound");
        let entries = graph.entries(graph.compound(CompoundId(0)));
        let mut patch = Patch::default();
        let text = |entry: &Entry| graph.text(entry.key.node).expect("text").into_owned();
        for entry in &entries {
            if let Some((_, new)) = rename.iter().find(|(old, _)| *old == text(entry)) {
                patch.rename(&graph, entry.key, (*new).into());
            }
        }
        patch.delete(&graph, &entries, |entry| drop.contains(&text(entry).as_str()));
        patch.apply(&graph).expect("applies")
    }

    #[test]
    fn renaming_nothing_changes_no_byte() {
        let pickle = b"\x80\x02}q\0X\x01\0\0\0aq\x01h\x01s.after";
        assert_eq!(edit(pickle, &[], &[]), pickle);
    }

    #[test]
    fn a_value_that_shares_the_key_keeps_its_text() {
        let pickle = b"\x80\x02}q\0X\x01\0\0\0aq\x01h\x01s.";
        let expected = b"\x80\x02}q\0X\x02\0\0\0bbq\x01X\x01\0\0\0as.";
        assert_eq!(edit(pickle, &[("a", "bb")], &[]), expected);
    }

    #[test]
    fn a_key_that_fetches_a_value_becomes_a_literal() {
        let pickle = b"X\x01\0\0\0aq\x010}h\x01K\x01s.";
        assert_eq!(edit(pickle, &[("a", "b")], &[]), b"X\x01\0\0\0aq\x010}X\x01\0\0\0bK\x01s.");
    }

    #[test]
    fn a_definition_in_a_deleted_entry_is_lifted() {
        // {'a': 'v', 'b': <the same 'v'>}
        let pickle = b"}(X\x01\0\0\0aX\x01\0\0\0vq\x05X\x01\0\0\0bh\x05u.";
        assert_eq!(edit(pickle, &[], &["a"]), b"}(X\x01\0\0\0bX\x01\0\0\0vq\x05u.");
    }

    #[test]
    fn an_empty_batch_goes_with_its_mark() {
        let pickle = b"}(X\x01\0\0\0aK\x01uX\x01\0\0\0bK\x02s.";
        assert_eq!(edit(pickle, &[], &["a"]), b"}X\x01\0\0\0bK\x02s.");
        assert_eq!(edit(pickle, &[], &["a", "b"]), b"}.");
        assert_eq!(edit(b"(X\x01\0\0\0aK\x01d.", &[], &["a"]), b"(d.");
    }

    #[test]
    fn memoize_becomes_a_put_where_something_goes() {
        let pickle = b"\x80\x04}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94h\x02u.";
        let expected = b"\x80\x04}q\0(\x8c\x01bq\x02h\x02u.";
        assert_eq!(edit(pickle, &[], &["a"]), expected);
    }

    #[test]
    fn frames_are_mended() {
        let pickle = b"\x80\x04\x95\x08\0\0\0\0\0\0\0}\x8c\x01aK\x01s.";
        let expected = b"\x80\x04\x95\x0a\0\0\0\0\0\0\0}\x8c\x03abcK\x01s.";
        assert_eq!(edit(pickle, &[("a", "abc")], &[]), expected);
    }

    #[test]
    fn texts_keep_their_manner() {
        let check = |pickle: &[u8], expected: &[u8]| {
            assert_eq!(edit(pickle, &[("a", "é")], &[]), expected);
        };
        check(b"}U\x01aK\x01s.", b"}U\x02\xc3\xa9K\x01s.");
        check(b"}Va\nK\x01s.", b"}V\xe9\nK\x01s.");
        check(b"}S'a'\nK\x01s.", b"}V\xe9\nK\x01s.");
        check(b"}\x8d\x01\0\0\0\0\0\0\0aK\x01s.", b"}\x8d\x02\0\0\0\0\0\0\0\xc3\xa9K\x01s.");
    }

    #[test]
    fn long_texts_change_their_opcode_and_back() {
        let long = "x".repeat(300);
        let pickle = b"\x80\x04}\x8c\x01aK\x01s.";
        let longer = edit(pickle, &[("a", &long)], &[]);
        assert_eq!(edit(&longer, &[(&long, "a")], &[]), pickle);
    }
}
