//! A bare pickle: what `check` follows against the model of weights-only loading, with no file
//! around it, so that there are many executions.
//!
//! Pickles are changed opcode by opcode, and now and then byte by byte.
#![no_main]

use compat_tests::mutation::{Dice, mutate_pickle};

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut dice = Dice::new(seed.into());
    if dice.below(8) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let mut pickle = data[..size].to_vec();
    mutate_pickle(&mut pickle, &mut dice);
    let len = pickle.len().min(max_size);
    data[..len].copy_from_slice(&pickle[..len]);
    len
});

libfuzzer_sys::fuzz_target!(|pickle: &[u8]| {
    compat_tests::agree_on_pickle(pickle);
});
