//! A file of any bytes, checked: an answer, never a panic, and nothing that is safe is refused.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::{env, fs, process};

use compat_tests::{Trial, trial};
use statedict_checkpoint::check;
use statedict_core::Verdict;

/// The one file of this process, whose content is another one each time.
static PATH: LazyLock<PathBuf> =
    LazyLock::new(|| env::temp_dir().join(format!("statedict-fuzz-{}.bin", process::id())));

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    fs::write(&*PATH, file).expect("the temporary folder is writable");
    let checked = check(&PATH).expect("the file can be read");
    if checked.verdict() == Verdict::Safe {
        assert_ne!(trial(file), Trial::Refused, "{:?}", checked.notes);
    }
});
