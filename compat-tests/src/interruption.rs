//! Commands that are killed while they write, and what the real libraries find then.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::{oracle, start, statedict, text};

/// How a command came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was killed while it wrote.
    Killed,
    /// It was done first.
    Done,
}

/// Starts a command that writes into a folder, and kills it `pause` after another file appears
/// there: what it writes, or its journal.
///
/// # Panics
/// If the command cannot be started.
pub fn kill_while_writing(arguments: &[&str], folder: &Path, pause: Duration) -> Ending {
    let mut child = started(arguments, folder);
    thread::sleep(pause);
    let ended = child.try_wait().expect("a child").is_some();
    // SIGKILL: nothing is tidied up.
    child.kill().expect("killable, or dead already");
    child.wait().expect("a child");
    if ended { Ending::Done } else { Ending::Killed }
}

/// How long a command writes that nobody kills, from the first file on that it makes in a folder.
///
/// # Panics
/// If the command cannot be started, or fails.
pub fn time_of_writing(arguments: &[&str], folder: &Path) -> Duration {
    let mut child = started(arguments, folder);
    let start = Instant::now();
    assert!(child.wait().expect("a child").success(), "{arguments:?}");
    start.elapsed()
}

/// A command that has begun to write into a folder, or is done.
fn started(arguments: &[&str], folder: &Path) -> Child {
    let count = || fs::read_dir(folder).expect("readable").count();
    let before = count();
    let mut child = start(arguments);
    while child.try_wait().expect("a child").is_none() && count() == before {
        thread::yield_now();
    }
    child
}

/// What the real libraries find in a file: the old one, the new one, nothing they load, or a third.
pub fn found(file: &Path, old: &Path, new: &Path) -> String {
    text(&oracle(json!({ "do": "which", "file": file, "old": old, "new": new })))
}

/// Recovers a file and says what is wrong with it then, which is to be one of two.
///
/// # Panics
/// If the files cannot be read.
pub fn unrecovered(file: &Path, old: &Path, new: &Path) -> Option<String> {
    let run = statedict([Path::new("recover"), file]);
    if run.status != Some(0) {
        return Some(run.stderr);
    }
    let bytes = |path: &Path| fs::read(path).expect("readable");
    let is_one = [old, new].into_iter().any(|path| bytes(path) == bytes(file));
    match found(file, old, new).as_str() {
        "old" | "new" if is_one => None,
        found => Some(format!("recovered, it is {found}; byte for byte one of two: {is_one}")),
    }
}
