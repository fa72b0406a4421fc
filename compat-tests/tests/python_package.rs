//! The Python package: its wheel, installed where nothing else of it is, has the command and the module,
//! and passes its own tests; its types are as it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use compat_tests::{command, fresh_python, package_python, succeed};

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../python")
}

/// The wheel, built in a folder; the command in it is the one that is tested everywhere.
fn wheel(python: &Path, folder: &Path) -> PathBuf {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--no-build-isolation", "--wheel-dir"])
        .args([folder, &package()])
        .env("PATH", with_tools_of(python))
        .env("STATEDICT_COMMAND", command())
        .env("MATURIN_PEP517_ARGS", "--profile dev");
    succeed(&mut pip, "the wheel is built");
    let mut files =
        fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    files.find(|file| file.extension().is_some_and(|it| it == "whl")).expect("a wheel")
}

/// The search path, in which the tools beside a Python come first.
fn with_tools_of(python: &Path) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", python.parent().expect("it is in a folder").display())
}

#[test]
fn the_wheel_has_command_and_module_and_passes_its_own_tests() {
    let folder = tempfile::tempdir().expect("a folder");
    let tools = package_python();
    let wheel = wheel(&tools, folder.path());
    let python = fresh_python(&folder.path().join("fresh"), &tools);
    let mut pip = Command::new(&tools);
    pip.args(["-m", "pip", "--python"]).arg(&python).args(["install", "--quiet", "--no-deps"]);
    succeed(pip.arg(&wheel), "the wheel is installed");

    let installed = python.with_file_name("statedict");
    succeed(Command::new(&installed).arg("--version"), "the command is there");
    succeed(Command::new(&python).args(["-m", "statedict", "--version"]), "Python finds it");

    let mut pytest = Command::new(&python);
    // Beside the package's folder, so that what is imported is what was installed.
    pytest.current_dir(folder.path()).args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    succeed(pytest.arg(package().join("tests")), "the package's own tests pass");

    let mut mypy = Command::new(&tools);
    mypy.current_dir(package()).args(["-m", "mypy", "--no-error-summary", "--cache-dir"]);
    succeed(mypy.arg(folder.path().join("mypy")), "its types are as it says");
}
