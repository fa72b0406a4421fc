//! A pickle of any bytes, in an archive with two storages: listed, renamed, and renamed back.
//!
//! Pickles are changed opcode by opcode, crossed, and now and then changed byte by byte.
#![no_main]

use compat_tests::mutation::{Swarm, cross_fuzzed, fuzz_pickle, mutate_pickle};

/// An archive takes about as long as libFuzzer takes to account for it.
const SWARM: Swarm = Swarm { size: 8, mutate: mutate_pickle };

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mutant = fuzz_pickle(data, size, max_size, seed);
    mutant.unwrap_or_else(|| libfuzzer_sys::fuzzer_mutate(data, size, max_size))
});

libfuzzer_sys::fuzz_crossover!(|front: &[u8], back: &[u8], out: &mut [u8], seed: u32| {
    cross_fuzzed(front, back, out, seed)
});

libfuzzer_sys::fuzz_target!(init: SWARM.announce(), |pickle: &[u8]| {
    SWARM.each(pickle, |pickle| {
        compat_tests::trial(&compat_tests::archive(pickle));
    });
});
