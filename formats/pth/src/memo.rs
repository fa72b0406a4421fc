//! What a pickle put aside under numbers.

use std::collections::HashMap;

/// Values by memo id: those that picklers count up side by side, strange ones in a map, so that no
/// id takes more memory than the opcode that names it.
pub(crate) struct Memo<V> {
    dense: Vec<Option<V>>,
    sparse: HashMap<u32, V>,
    len: u32,
}

impl<V> Default for Memo<V> {
    fn default() -> Memo<V> {
        Memo { dense: Vec::new(), sparse: HashMap::new(), len: 0 }
    }
}

impl<V: Copy> Memo<V> {
    pub(crate) fn put(&mut self, id: u32, value: V) {
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

    pub(crate) fn get(&self, id: u32) -> Option<V> {
        match self.dense.get(id as usize) {
            Some(held) => *held,
            None => self.sparse.get(&id).copied(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Memory that it takes, in bytes, also when the map grows, which makes one twice as large.
    pub(crate) fn weight(&self) -> usize {
        let table = self.sparse.capacity() / 7 * 8 * (size_of::<(u32, V)>() + 1);
        size_of_val(self.dense.as_slice()) + 3 * table
    }
}
