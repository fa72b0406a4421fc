//! The command that takes the tensors out of a file that nobody should load.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;
use statedict::silent;
use statedict_checkpoint::Checkpoint;

use crate::args::{Args, Task};
use crate::terminal::text::{as_operand, shell_word};
use statedict::jobs::target::stem;

/// The conversion of a file to safetensors that works, as it can be typed; `None` if none does.
pub(crate) fn command(file: &Path) -> Option<String> {
    let words = words(file)?;
    let words = words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ");
    Some(format!("statedict {words}"))
}

/// The words of that conversion after the program's name, tried up to the writing.
pub(crate) fn words(file: &Path) -> Option<Vec<String>> {
    // A path that begins with a dash would be read as an option.
    let (file, output) = (as_operand(file), as_operand(&output(file)));
    let attempt = |at: Option<&str>| {
        let mut words: Vec<OsString> = vec!["statedict".into(), "convert".into()];
        words.extend(at.iter().map(|at| format!("--at={at}").into()));
        words.extend([file.clone().into(), output.clone().into()]);
        works(&words)
            .then(|| words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect())
    };
    let several = || {
        let checkpoint = Checkpoint::open(Path::new(&file)).ok()?;
        let state_dicts = &checkpoint.catalog().state_dicts;
        let paths = state_dicts.iter().map(|s| if s.at.is_empty() { "/" } else { &s.at });
        paths.map(|at| attempt(Some(at))).find_map(|command| command)
    };
    attempt(None).or_else(several)
}

fn works(words: &[OsString]) -> bool {
    match Args::try_parse_from(words).map(Args::task) {
        Ok(Ok(Task::Rename(mut request))) => {
            request.job.dry_run = true;
            request.job.run(&silent()).is_ok()
        }
        _ => false,
    }
}

/// `net.safetensors` for `net.pth`, or a name that is not taken.
fn output(file: &Path) -> PathBuf {
    let named = |ending: &str| file.with_file_name(format!("{}.{ending}", stem(file)));
    let beside = named("safetensors");
    if beside.exists() { named("tensors.safetensors") } else { beside }
}
