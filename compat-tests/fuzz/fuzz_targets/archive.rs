//! A file of any kind, changed member by member and opcode by opcode: checked, listed and renamed.
#![no_main]

#[path = "mutators/files.rs"]
mod mutators;

use std::path::Path;

use compat_tests::mutation::{Swarm, mutate_file};
use compat_tests::{Trial, trial};
use statedict_checkpoint::check_source_named;
use statedict_core::Verdict;

const SWARM: Swarm = Swarm { size: 4, mutate: mutate_file };

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
