//! A file of any kind, changed member by member and opcode by opcode: checked, listed and renamed.
#![no_main]

use std::path::Path;

use compat_tests::mutation::{Dice, mutate};
use compat_tests::{Trial, trial};
use statedict_checkpoint::check_source_named;
use statedict_core::Verdict;

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut dice = Dice::new(seed.into());
    if dice.below(4) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let (mutant, _) = mutate(&data[..size], &mut dice);
    let len = mutant.len().min(max_size);
    data[..len].copy_from_slice(&mutant[..len]);
    len
});

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let checked = check_source_named(&file, Path::new("")).expect("the bytes are at hand");
    let found = trial(file);
    if checked.verdict() == Verdict::Safe {
        assert_ne!(found, Trial::Refused, "{:?}", checked.notes);
    }
});
