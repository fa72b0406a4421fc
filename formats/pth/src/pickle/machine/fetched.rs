//! Which memo ids a pickle fetches.

use crate::pickle::opcode::{self, Op};

/// The memo ids that a pickle fetches; none where it was not asked for.
///
/// A bit for each id below the pickle's length, which picklers never go beyond; any id from there on
/// may be fetched.
#[derive(Default)]
pub(super) struct Fetched {
    bits: Vec<u64>,
}

impl Fetched {
    /// Those of a pickle, up to its `STOP` or the first byte that is no opcode.
    pub(super) fn of(pickle: &[u8]) -> Fetched {
        let mut fetched = Fetched { bits: vec![0; pickle.len().div_ceil(BITS)] };
        let mut next = 0;
        while let Ok(op) = Op::at(pickle, next)
            && op.code != opcode::STOP
        {
            if opcode::is_get(op.code)
                && let Some(id) = op.memo_id(pickle)
            {
                fetched.note(id);
            }
            next = op.whole.end as usize;
        }
        fetched
    }

    fn note(&mut self, id: u32) {
        if let Some(word) = self.bits.get_mut(id as usize / BITS) {
            *word |= bit(id);
        }
    }

    /// True if an id may be fetched.
    pub(super) fn has(&self, id: u32) -> bool {
        self.bits.get(id as usize / BITS).is_none_or(|word| word & bit(id) != 0)
    }

    /// Bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        size_of_val(self.bits.as_slice())
    }
}

/// Bits of a word.
const BITS: usize = u64::BITS as usize;

fn bit(id: u32) -> u64 {
    1 << (id % u64::BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_kind_of_fetch_are_known() {
        let fetched = Fetched::of(b"h\x01j\x02\0\0\0g3\nq\x04.h\x05");
        let known: Vec<u32> = (0..10).filter(|id| fetched.has(*id)).collect();
        assert_eq!(known, [1, 2, 3]);
    }

    #[test]
    fn ids_beyond_the_pickle_may_be_fetched() {
        assert!(Fetched::of(b"j\xff\xff\xff\xff.").has(u32::MAX));
    }
}
