//! Honest files of trainers, written by the real libraries: nothing in them is called dangerous.
//!
//! `python/trainers.py` wrote `fixtures/trainers` and its manifest, whose kinds weights-only PyTorch
//! itself is asked to confirm.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use compat_tests::{Loaded, Loaders, Tally, statedict, text};
use serde_json::Value;

/// A line of the manifest.
struct Case {
    name: String,
    path: PathBuf,
    kind: String,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/trainers");
    let manifest = fs::read_to_string(folder.join("manifest.tsv")).expect("a manifest");
    let case = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, kind, _, _] = columns[..] else { panic!("four columns: {line}") };
        Case { name: name.to_string(), path: folder.join(name), kind: kind.to_string() }
    };
    manifest.lines().skip(1).map(case).collect()
}

/// Why the verdict is not what the kind asks for, if it is not.
fn misjudged(case: &Case) -> Option<String> {
    let words: [&OsStr; 3] = ["check".as_ref(), "--json".as_ref(), case.path.as_os_str()];
    let run = statedict(words);
    let report: Value = serde_json::from_str(&run.stdout).ok()?;
    let (verdict, has_notes) = (text(&report["verdict"]), report.get("notes").is_some());
    let is_right = match case.kind.as_str() {
        "admitted" => verdict == "safe" && !has_notes,
        // TorchScript has a loader of its own, which is noted.
        "inert" | "scripted" => verdict == "safe" && has_notes,
        kind => verdict == kind,
    };
    (!is_right).then(|| format!("{} and found {verdict}: {report}", case.kind))
}

#[test]
fn files_of_trainers_raise_no_alarm() {
    let cases = cases();
    assert!(cases.len() > 50, "{} files", cases.len());
    let mut tally = Tally::new();
    for case in &cases {
        tally.note(&case.name, misjudged(case));
    }
    tally.close("files of trainers judged right");
}

#[test]
fn weights_only_loading_says_the_same_of_files_of_trainers() {
    let cases = cases();
    let files: Vec<PathBuf> = cases.iter().map(|case| case.path.clone()).collect();
    let mut tally = Tally::new();
    for (case, loaded) in cases.iter().zip(Loaders::start().load(&files)) {
        let agrees = matches!(loaded, Loaded::Tensors(_)) == (case.kind == "admitted");
        tally.note(&case.name, (!agrees).then(|| format!("{} and {loaded:?}", case.kind)));
    }
    tally.close("files of trainers loaded or refused as their kind says");
}
