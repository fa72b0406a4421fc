//! The command that takes the tensors out of a file that nobody should load.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;
use statedict_checkpoint::Checkpoint;

use crate::args::{Args, Task};
use crate::text::shell_word;

/// The conversion of a file to safetensors that works, as it can be typed; `None` if none does.
pub(crate) fn command(file: &Path) -> Option<String> {
    let words = words(file)?;
    let words = words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ");
    Some(format!("statedict {words}"))
}

/// The words of that conversion after the program's name, tried up to the writing.
pub(crate) fn words(file: &Path) -> Option<Vec<String>> {
    let output = output(file);
    let attempt = |at: Option<&str>| {
        let mut words: Vec<OsString> = vec!["statedict".into(), "convert".into()];
        words.extend(at.iter().flat_map(|at| ["--at".into(), OsString::from(at)]));
        words.extend([file.into(), output.clone().into()]);
        works(&words)
            .then(|| words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect())
    };
    let several = || {
        let checkpoint = Checkpoint::open(file).ok()?;
        let state_dicts = &checkpoint.catalog().state_dicts;
        let paths = state_dicts.iter().map(|s| if s.at.is_empty() { "/" } else { &s.at });
        paths.map(|at| attempt(Some(at))).find_map(|command| command)
    };
    attempt(None).or_else(several)
}

fn works(words: &[OsString]) -> bool {
    match Args::try_parse_from(words).map(Args::task) {
        Ok(Ok(Task::Remap(request))) => request.rehearse().is_ok(),
        _ => false,
    }
}

/// `net.safetensors` for `net.pth`, or a name that is not taken.
fn output(file: &Path) -> PathBuf {
    let beside = file.with_extension("safetensors");
    match beside.exists() {
        true => file.with_extension("tensors.safetensors"),
        false => beside,
    }
}
