//! A file of any bytes, checked: an answer, never a panic, and nothing that is safe is refused.
#![no_main]

use std::path::Path;

use compat_tests::{Trial, trial};
use statedict_checkpoint::check_source_named;
use statedict_core::Verdict;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let checked = check_source_named(&file, Path::new("")).expect("the bytes are at hand");
    if checked.verdict() == Verdict::Safe {
        assert_ne!(trial(file), Trial::Refused, "{:?}", checked.notes);
    }
});
