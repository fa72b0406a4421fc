//! Opcodes that make and fill containers.

use statedict_core::Fault;

use super::Machine;
use crate::pickle::graph::{
    Batch, Compound, Element, Entry, Kind, Node, NodeId, Slot, TupleId, Value,
};
use crate::pickle::opcode::{self, Op};

impl Machine<'_> {
    pub(super) fn fill(&mut self, op: Op) -> Result<(), Fault> {
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
        let batch = Batch::new(mark, self.now);
        let held = *self.top(op)?;
        self.extend(held.place());
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

    pub(super) fn tuple_of(&mut self, values: &[Slot]) -> NodeId {
        let id = TupleId(self.graph.tuples.len() as u32);
        self.graph.items.extend(values.iter().map(|slot| slot.node));
        self.graph.tuples.push(self.graph.items.len() as u32);
        self.node(Node::Tuple(id))
    }

    pub(super) fn tuple(&mut self, op: Op) -> Result<(), Fault> {
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
    pub(super) fn collect(&mut self, op: Op) -> Result<(), Fault> {
        let (values, mark) = self.pop_to_mark(op)?;
        let batch = Batch::new(Some(mark), self.now);
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
}

/// Keys with their values, as they are between a mark and the opcode that adds them.
fn pairs(values: &[Slot], batch: Batch) -> impl Iterator<Item = Entry> {
    values.chunks_exact(2).map(move |pair| {
        let (key, value) = (pair[0], pair[1]);
        Entry { key, value, batch, start: key.start }
    })
}
