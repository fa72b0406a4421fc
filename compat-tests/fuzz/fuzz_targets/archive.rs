//! A file of any kind, changed member by member and opcode by opcode: checked, listed and renamed.
#![no_main]

use std::path::Path;

use compat_tests::mutation::{Swarm, fuzz_file, mutate_file};
use compat_tests::{Trial, trial};
use statedict_checkpoint::check_source_named;
use statedict_core::Verdict;

const SWARM: Swarm = Swarm { size: 4, mutate: mutate_file };

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mutant = fuzz_file(data, size, max_size, seed);
    mutant.unwrap_or_else(|| libfuzzer_sys::fuzzer_mutate(data, size, max_size))
});

libfuzzer_sys::fuzz_target!(init: SWARM.announce(), |file: &[u8]| {
    SWARM.each(file, judge);
});

fn judge(file: &[u8]) {
    let checked = check_source_named(&file, Path::new("")).expect("the bytes are at hand");
    let found = trial(file);
    if checked.verdict() == Verdict::Safe {
        assert_ne!(found, Trial::Refused, "{:?}", checked.notes);
    }
}
