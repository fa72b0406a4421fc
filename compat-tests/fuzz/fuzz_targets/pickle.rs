//! A pickle of any bytes, in an archive with two storages.
#![no_main]

libfuzzer_sys::fuzz_target!(|pickle: &[u8]| {
    compat_tests::trial(&compat_tests::archive(pickle));
});
