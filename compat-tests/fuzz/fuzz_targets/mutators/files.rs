//! Files are changed member by member, in their headers, opcode by opcode, and byte by byte.

use compat_tests::mutation::fuzz_file;

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mutant = fuzz_file(data, size, max_size, seed);
    mutant.unwrap_or_else(|| libfuzzer_sys::fuzzer_mutate(data, size, max_size))
});
