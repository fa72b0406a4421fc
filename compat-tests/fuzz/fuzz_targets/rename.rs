//! A file of any bytes: opened, listed, renamed, revised, opened again, renamed back.
#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    compat_tests::trial(file);
});
