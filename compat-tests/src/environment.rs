//! A Python with the pinned packages, made once and shared by all test programs.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PINS: &str = include_str!("../python/requirements.txt");

/// What builds and tests the Python package.
const PACKAGE_PINS: &str = include_str!("../python/package.txt");

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
    kept("python", PINS, |folder| {
        // Past the capture of test output: it takes minutes, and a slow line.
        let _ = writeln!(
            io::stderr(),
            "fetching PyTorch, NumPy and safetensors into {} (once; about 5 GB on disk)\n\
             STATEDICT_PYTHON=/path/to/python uses a Python of your own that has them",
            folder.display()
        );
        make(Path::new("python3"), folder, PINS, "requirements.txt");
    })
}

/// A Python that builds the Python package and runs its tests, and has what the other one has.
///
/// # Panics
/// If it cannot be made.
pub fn package_python() -> PathBuf {
    let other = interpreter();
    let folder = kept("package", PACKAGE_PINS, |folder| {
        make(&other, folder, PACKAGE_PINS, "package.txt");
    });
    let python = folder.join("bin/python");
    see(&python, &site_packages(&other));
    python
}

/// A Python in a new environment in this folder, which sees the packages of another.
///
/// # Panics
/// If it cannot be made.
pub fn fresh_python(folder: &Path, other: &Path) -> PathBuf {
    let mut venv = Command::new(other);
    succeed(venv.args(["-m", "venv", "--without-pip"]).arg(folder), "it has the venv module");
    let python = folder.join("bin/python");
    see(&python, &site_packages(other));
    see(&python, &site_packages(&interpreter()));
    python
}

/// Lets a Python see what is in a folder of packages.
fn see(python: &Path, packages: &Path) {
    let name = packages.to_string_lossy().replace(['/', '.'], "-");
    let line = format!("{}\n", packages.display());
    fs::write(site_packages(python).join(format!("seen{name}.pth")), line).expect("written");
}

/// Where a Python has its packages.
fn site_packages(python: &Path) -> PathBuf {
    let mut asked = Command::new(python);
    asked.args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]);
    let output = asked.output().unwrap_or_else(|error| panic!("{asked:?}: {error}"));
    String::from_utf8(output.stdout).expect("a path").trim().into()
}

/// A folder of the cache for these packages; makes it if it is not there.
fn kept(name: &str, pins: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let names: Vec<&str> = pins.split_whitespace().collect();
    let folder = cache().join(format!("{name}-{}", names.join("-").replace("==", "-")));
    let complete = folder.join("complete");
    let lock = File::create(cache().join("python.lock")).expect("a lock file can be made");
    lock.lock().expect("the lock file can be locked");
    if !complete.exists() {
        make(&folder);
        fs::write(complete, pins).expect("the environment can be marked complete");
    }
    folder
}

fn make(python: &Path, folder: &Path, pins: &str, file: &str) {
    let _ = fs::remove_dir_all(folder);
    let mut venv = Command::new(python);
    succeed(
        venv.args(["-m", "venv"]).arg(folder),
        "python3 with its venv module is needed (Debian: apt-get install python3-venv); \
         STATEDICT_PYTHON can name an interpreter that has the packages",
    );
    let mut pip = Command::new(folder.join("bin/python"));
    succeed(
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(pins.split_whitespace()),
        &format!("the pinned packages of compat-tests/python/{file} must be installable"),
    );
}

/// Runs a command; what it says goes to the test's own output if it fails.
///
/// # Panics
/// If it fails.
pub fn succeed(command: &mut Command, otherwise: &str) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; {otherwise}"));
    let (out, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed; {otherwise}\n{out}\n{said}");
}
