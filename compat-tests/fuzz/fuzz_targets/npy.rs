//! The header of an array of any bytes, in an archive.
#![no_main]

libfuzzer_sys::fuzz_target!(|member: &[u8]| {
    compat_tests::trial(&statedict_fuzz::npz(member));
});
