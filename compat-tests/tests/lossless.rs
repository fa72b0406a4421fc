//! Nothing is lost: random renames of random pickles, and renames there and back.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use compat_tests::{Tally, Zoo, oracle, statedict, text};
use serde_json::{Value, json};

/// How many random pickles are renamed.
const CASES: usize = 300;

#[test]
fn random_renames_change_the_keys_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let question = json!({ "do": "random", "folder": folder.path(), "count": CASES, "seed": 7 });
    let cases = oracle(question);
    let mut tally = Tally::new();
    let mut written = Vec::new();
    for case in cases.as_array().expect("cases") {
        let (input, plan) = (text(&case["input"]), text(&case["plan"]));
        let output = format!("{input}.out.pth");
        let run = statedict(["apply", &plan, &input, "-o", &output, "--allow-unchanged"]);
        tally.note(&input, (run.status != Some(0)).then(|| run.stderr.clone()));
        let mut case = case.clone();
        case["output"] = Value::String(output);
        written.push(case);
    }
    tally.close("random plans applied");
    let problems = oracle(json!({ "do": "judge-random", "cases": written }));
    assert_eq!(problems, json!([]), "of {CASES}");
}

/// The zip archives below a folder, those that cannot be renamed included.
fn archives(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = Vec::new();
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        let is_archive = || fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"PK\x03\x04"));
        if path.is_dir() {
            found.extend(archives(&path));
        } else if path.extension().is_none_or(|end| end != "npz") && is_archive() {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn a_prefix_put_on_and_taken_off_gives_the_same_pickle() {
    let zoo = Zoo::new();
    let out = tempfile::tempdir().expect("a temporary folder can be made");
    let corpus = env::var_os("STATEDICT_CORPUS").map(|shared| Path::new(&shared).join("corpus"));
    let mut files: Vec<PathBuf> = zoo.entries.iter().map(|entry| entry.path.clone()).collect();
    files.retain(|path| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"PK\x03\x04")));
    files.retain(|path| path.extension().is_none_or(|end| end != "npz"));
    files.extend(corpus.iter().flat_map(|folder| archives(folder)));
    let mut pairs = Vec::new();
    for (i, path) in files.iter().enumerate() {
        let [there, back] = ["there", "back"].map(|way| out.path().join(format!("{way}-{i}.pth")));
        let steps = [("add", path, &there), ("strip", &there, &back)];
        let done = steps.iter().all(|(command, from, to)| {
            let words = [*command, "zz.y", "--at", "*", "-q", "-o"].map(Path::new);
            let words = words.into_iter().chain([to.as_path(), from.as_path()]);
            statedict(words).status == Some(0)
        });
        // Files without a state dict, and those whose keys are fixed, are refused.
        if done {
            pairs.push((path, back));
        }
    }
    let verdicts = oracle(json!({ "do": "pickles", "pairs": pairs }));
    let verdicts: Vec<String> = verdicts.as_array().expect("verdicts").iter().map(text).collect();
    let same = verdicts.iter().filter(|verdict| *verdict == "same bytes").count();
    println!("{same} of {} pickles are the same byte for byte", verdicts.len());
    let mut tally = Tally::new();
    for ((path, _), verdict) in pairs.iter().zip(&verdicts) {
        let good = ["same bytes", "builds the same"].contains(&verdict.as_str());
        tally.note(path.to_string_lossy(), (!good).then(|| verdict.clone()));
    }
    tally.close("pickles that build the same after a prefix came and went");
    // Only where texts had to be un-shared, or MEMOIZE to be numbered, may bytes differ.
    assert!(same * 10 >= verdicts.len() * 7, "{same} of {}", verdicts.len());
}
