//! What a pickle put aside under numbers.

use std::collections::HashMap;

use super::machine::Value;

/// Values by memo id: those that picklers count up side by side, strange ones in a map, so that no
/// id takes more memory than the opcode that names it.
#[derive(Default)]
pub(super) struct Memo {
    dense: Vec<Option<Value>>,
    sparse: HashMap<u32, Value>,
    len: u32,
}

impl Memo {
    pub(super) fn put(&mut self, id: u32, value: Value) {
        let place = id as usize;
        if place == self.dense.len() && !self.sparse.contains_key(&id) {
            self.dense.push(None);
        }
        let before = match self.dense.get_mut(place) {
            Some(slot) => slot.replace(value),
            None => self.sparse.insert(id, value),
        };
        self.len += u32::from(before.is_none());
    }

    /// Puts under the next number, as `MEMOIZE` does.
    pub(super) fn push(&mut self, value: Value) {
        self.put(self.len, value);
    }

    pub(super) fn get(&self, id: u32) -> Option<Value> {
        match self.dense.get(id as usize) {
            Some(held) => *held,
            None => self.sparse.get(&id).copied(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }
}
