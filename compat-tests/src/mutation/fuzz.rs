//! What fuzz targets do with an input that libFuzzer gives them, and how new ones are made.

use super::{Dice, cross_pickles, mutate, mutate_bytes, mutate_pickle};

/// A mutant of the pickle in a fuzzer's buffer, put in its place: its length, or none where the
/// fuzzer is to change bytes by itself.
pub fn fuzz_pickle(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> Option<usize> {
    let mut dice = Dice::new(seed.into());
    if dice.below(8) == 0 {
        return None;
    }
    let mut pickle = data[..size].to_vec();
    mutate_pickle(&mut pickle, &mut dice);
    Some(put(&pickle, &mut data[..max_size]))
}

/// The same of a file of any kind.
pub fn fuzz_file(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> Option<usize> {
    let mut dice = Dice::new(seed.into());
    if dice.below(4) == 0 {
        return None;
    }
    let (mutant, _) = mutate(&data[..size], &mut dice);
    Some(put(&mutant, &mut data[..max_size]))
}

/// A file of any kind with one change.
pub fn mutate_file(file: &mut Vec<u8>, dice: &mut Dice) {
    (*file, _) = mutate(file, dice);
}

/// A few bytes changed, cut out or repeated.
pub fn change_bytes(file: &mut Vec<u8>, dice: &mut Dice) {
    *file = mutate_bytes(file, dice);
}

/// Two pickles crossed into a fuzzer's buffer.
pub fn cross_fuzzed(front: &[u8], back: &[u8], out: &mut [u8], seed: u32) -> usize {
    put(&cross_pickles(front, back, &mut Dice::new(seed.into())), out)
}

fn put(mutant: &[u8], buffer: &mut [u8]) -> usize {
    let len = mutant.len().min(buffer.len());
    buffer[..len].copy_from_slice(&mutant[..len]);
    len
}

/// An input with mutants of it, all of which a target tries in one execution of libFuzzer's, whose
/// bookkeeping takes several times as long as a short input.
///
/// The same input has the same mutants on every machine.
/// With `SHOW_INPUTS` each is printed before it is tried, so that the last one printed is the one
/// that a finding is about.
#[derive(Clone, Copy, Debug)]
pub struct Swarm {
    /// How many there are, the input among them.
    pub size: u64,
    /// Changes one into another.
    pub mutate: fn(&mut Vec<u8>, &mut Dice),
}

impl Swarm {
    /// Says how many executions one of libFuzzer's is, for the count.
    pub fn announce(self) {
        eprintln!("inputs tried in each execution: {}", self.size);
    }

    /// Tries an input and its mutants, each of the input or of the mutant before.
    pub fn each(self, input: &[u8], mut judge: impl FnMut(&[u8])) {
        let is_shown = std::env::var_os("SHOW_INPUTS").is_some();
        let mut dice = Dice::new(hash(input));
        let mut mutant = input.to_vec();
        for number in 0..self.size {
            if number > 0 {
                if dice.below(2) == 0 {
                    input.clone_into(&mut mutant);
                }
                (self.mutate)(&mut mutant, &mut dice);
            }
            if is_shown {
                eprintln!("input {number}: {}", mutant.escape_ascii());
            }
            judge(&mutant);
        }
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swarm_has_the_input_and_the_same_mutants_each_time() {
        let tried = || {
            let mut tried = Vec::new();
            let swarm = Swarm { size: 8, mutate: mutate_pickle };
            swarm.each(b"\x80\x02}X\x01\0\0\0aK\x01s.", |input| tried.push(input.to_vec()));
            tried
        };
        assert_eq!(tried(), tried());
        assert_eq!((tried().len(), &tried()[0][..4]), (8, &b"\x80\x02}X"[..]));
        assert!(tried()[1..].iter().any(|mutant| *mutant != tried()[0]));
    }
}
