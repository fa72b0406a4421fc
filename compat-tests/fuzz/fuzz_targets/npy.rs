//! The header of an array of any bytes, in an archive.
#![no_main]

use compat_tests::mutation::{Swarm, change_bytes};

const SWARM: Swarm = Swarm { size: 8, mutate: change_bytes };

libfuzzer_sys::fuzz_target!(init: SWARM.announce(), |member: &[u8]| {
    SWARM.each(member, |member| {
        compat_tests::trial(&compat_tests::npz(member));
    });
});
