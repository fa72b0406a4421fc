//! Files changed as their structure has it: opcode by opcode, member by member, byte by byte.
//!
//! The same seed gives the same change on every machine.
//! `pickle` changes programs, `archive` the containers around them, and the differential test and
//! the fuzz targets use both.

mod archive;
mod fuzz;
mod pickle;

pub use archive::mutate_archive;
pub use fuzz::{Swarm, change_bytes, cross_fuzzed, fuzz_file, fuzz_pickle, mutate_file};
pub use pickle::{cross_pickles, mutate_pickle};

/// Random numbers of which nothing depends but what is tried next: splitmix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as a seed has it.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number below a limit; 0 if the limit is.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let drawn = z ^ (z >> 31);
        usize::try_from(drawn % (limit as u64).max(1)).unwrap_or_default()
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

/// A file of any kind with one change; the word says what was changed.
pub fn mutate(file: &[u8], dice: &mut Dice) -> (Vec<u8>, &'static str) {
    let is_zip = file.starts_with(b"PK\x03\x04");
    match (is_zip, dice.below(10)) {
        (true, 1..=9) => mutate_archive(file, dice),
        (false, 1..=8) if file.starts_with(b"\x80") => {
            let mut mutant = file.to_vec();
            mutate_pickle(&mut mutant, dice);
            (mutant, "opcodes of a stream")
        }
        _ => (mutate_bytes(file, dice), "bytes"),
    }
}

/// Bytes with a few of them changed, cut out or repeated.
pub fn mutate_bytes(file: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut mutant = file.to_vec();
    let count = [1, 1, 1, 2, 3][dice.below(5)];
    for _ in 0..count {
        let at = dice.below(mutant.len());
        let Some(byte) = mutant.get_mut(at) else { return mutant };
        match dice.below(8) {
            0 => *byte = 0,
            1 => *byte = byte.wrapping_add(1),
            2 => *byte = byte.wrapping_sub(1),
            3 => mutant.truncate(at),
            4 => {
                let end = (at + 1 + dice.below(8)).min(mutant.len());
                mutant.drain(at..end);
            }
            5 => {
                let end = (at + 1 + dice.below(8)).min(mutant.len());
                let copy = mutant[at..end].to_vec();
                mutant.splice(at..at, copy);
            }
            bit => *byte ^= 1 << ((bit + dice.below(8)) % 8),
        }
    }
    mutant
}
