//! Pickles are changed opcode by opcode, crossed, and now and then changed byte by byte.

use compat_tests::mutation::{cross_fuzzed, fuzz_pickle};

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mutant = fuzz_pickle(data, size, max_size, seed);
    mutant.unwrap_or_else(|| libfuzzer_sys::fuzzer_mutate(data, size, max_size))
});

libfuzzer_sys::fuzz_crossover!(|front: &[u8], back: &[u8], out: &mut [u8], seed: u32| {
    cross_fuzzed(front, back, out, seed)
});
