//! Memory that is aligned as the places in a file are to which it is written.

use crate::disk::DirectFile;

/// The unit within which addresses and places agree.
const UNIT: usize = DirectFile::MAX_BLOCK as usize;

/// Memory that is used again for one piece of a file after another.
#[derive(Debug, Default)]
pub(super) struct Aligned {
    memory: Vec<u8>,
}

impl Aligned {
    /// Some bytes that begin as far behind a unit of memory as `place` is behind one of the file, so
    /// that whole blocks of the file are whole blocks of memory.
    pub(super) fn for_place(&mut self, place: u64, len: usize) -> &mut [u8] {
        let room = len + UNIT - 1;
        if self.memory.len() < room {
            self.memory = vec![0; room];
        }
        let start = behind_unit(place).wrapping_sub(self.memory.as_ptr().addr()) % UNIT;
        &mut self.memory[start..start + len]
    }
}

fn behind_unit(place: u64) -> usize {
    (place % DirectFile::MAX_BLOCK) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_agree_with_places() {
        let mut memory = Aligned::default();
        for (place, len) in [(0, 1), (5, 100), (4096, 70_000), (1 << 40, 3), (65_535, 65_537)] {
            let bytes = memory.for_place(place, len);
            assert_eq!(bytes.len(), len);
            assert_eq!(bytes.as_ptr().addr() % UNIT, behind_unit(place));
        }
    }
}
