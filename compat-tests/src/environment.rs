//! A Python with the pinned packages, made once and shared by all test programs.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PINS: &str = include_str!("../python/requirements.txt");

/// The folder that outlives a test run: `statedict` in the user's cache folder.
///
/// # Panics
/// If the folder cannot be made.
pub fn cache() -> PathBuf {
    // Without HOME it is where the system says that the user is at home.
    let home = || env::home_dir().map(|home| home.join(".cache"));
    let user = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = user.or_else(home).unwrap_or_else(env::temp_dir).join("statedict");
    fs::create_dir_all(&folder).expect("the cache folder can be made");
    folder
}

/// The interpreter to use: the one that `STATEDICT_PYTHON` names, or the environment's.
pub(crate) fn interpreter() -> PathBuf {
    match env::var_os("STATEDICT_PYTHON") {
        Some(named) => PathBuf::from(named),
        None => environment().join("bin/python"),
    }
}

/// The environment's folder; makes it if it is not there, one test program at a time.
fn environment() -> PathBuf {
    let pins: Vec<&str> = PINS.split_whitespace().collect();
    let folder = cache().join(format!("python-{}", pins.join("-").replace("==", "-")));
    let complete = folder.join("complete");
    let lock = File::create(cache().join("python.lock")).expect("a lock file can be made");
    lock.lock().expect("the lock file can be locked");
    if !complete.exists() {
        make(&folder);
        fs::write(complete, PINS).expect("the environment can be marked complete");
    }
    folder
}

fn make(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    // Past the capture of test output: it takes minutes, and a slow line.
    let _ = writeln!(
        io::stderr(),
        "fetching PyTorch, NumPy and safetensors into {} (once; about 5 GB on disk)\n\
         STATEDICT_PYTHON=/path/to/python uses a Python of your own that has them",
        folder.display()
    );
    let mut venv = Command::new("python3");
    succeed(
        venv.args(["-m", "venv"]).arg(folder),
        "python3 with its venv module is needed (Debian: apt-get install python3-venv); \
         STATEDICT_PYTHON can name an interpreter that has the packages",
    );
    let mut pip = Command::new(folder.join("bin/python"));
    succeed(
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PINS.split_whitespace()),
        "the pinned packages of compat-tests/python/requirements.txt must be installable",
    );
}

/// Runs a command; what it says goes to the test's own output if it fails.
pub(crate) fn succeed(command: &mut Command, otherwise: &str) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; {otherwise}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed; {otherwise}\n{said}");
}
