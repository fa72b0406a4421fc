//! The header of an array of any bytes, in an archive.
#![no_main]

libfuzzer_sys::fuzz_target!(|member: &[u8]| {
    compat_tests::trial(&compat_tests::npz(member));
});
