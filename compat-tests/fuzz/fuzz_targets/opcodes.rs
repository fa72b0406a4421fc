//! A bare pickle: what `check` follows against the model of weights-only loading, with no file
//! around it, so that there are many executions.
#![no_main]

#[path = "mutators/pickles.rs"]
mod mutators;

use compat_tests::mutation::{Swarm, mutate_pickle};

/// A short pickle takes a tenth of what libFuzzer takes to account for it.
const SWARM: Swarm = Swarm { size: 32, mutate: mutate_pickle };

libfuzzer_sys::fuzz_target!(init: SWARM.announce(), |pickle: &[u8]| {
    SWARM.each(pickle, compat_tests::agree_on_pickle);
});
