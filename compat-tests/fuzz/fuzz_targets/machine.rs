//! A pickle in an archive: `check` and `ls` against the model of weights-only loading.
//!
//! Pickles are changed opcode by opcode, and now and then byte by byte.
#![no_main]

use compat_tests::mutation::fuzz_pickle;

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mutant = fuzz_pickle(data, size, max_size, seed);
    mutant.unwrap_or_else(|| libfuzzer_sys::fuzzer_mutate(data, size, max_size))
});

libfuzzer_sys::fuzz_target!(|pickle: &[u8]| {
    compat_tests::agree(pickle);
});
