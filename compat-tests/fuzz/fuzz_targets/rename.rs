//! A file of any bytes: opened, listed, renamed, revised, opened again, renamed back.
#![no_main]

use compat_tests::mutation::{Swarm, change_bytes};

const SWARM: Swarm = Swarm { size: 4, mutate: change_bytes };

libfuzzer_sys::fuzz_target!(init: SWARM.announce(), |file: &[u8]| {
    SWARM.each(file, |file| {
        compat_tests::trial(file);
    });
});
