//! A pickle of any bytes, in an archive with two storages: listed, renamed, and renamed back.
#![no_main]

#[path = "mutators/pickles.rs"]
mod mutators;

use compat_tests::mutation::{Swarm, mutate_pickle};

/// An archive takes about as long as libFuzzer takes to account for it.
const SWARM: Swarm = Swarm { size: 8, mutate: mutate_pickle };

libfuzzer_sys::fuzz_target!(init: SWARM.announce(), |pickle: &[u8]| {
    SWARM.each(pickle, |pickle| {
        compat_tests::trial(&compat_tests::archive(pickle));
    });
});
