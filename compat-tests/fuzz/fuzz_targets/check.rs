//! A file of any bytes, checked: an answer, never a panic, and nothing that is safe is refused.
#![no_main]

use std::path::Path;

use compat_tests::mutation::{Swarm, change_bytes};
use compat_tests::{Trial, trial};
use statedict_checkpoint::check_source_named;
use statedict_core::Verdict;

const SWARM: Swarm = Swarm { size: 4, mutate: change_bytes };

libfuzzer_sys::fuzz_target!(init: SWARM.announce(), |file: &[u8]| {
    SWARM.each(file, judge);
});

fn judge(file: &[u8]) {
    let checked = check_source_named(&file, Path::new("")).expect("the bytes are at hand");
    if checked.verdict() == Verdict::Safe {
        assert_ne!(trial(file), Trial::Refused, "{:?}", checked.notes);
    }
}
