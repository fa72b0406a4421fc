//! `statedict diff` measures what Python measures, finds whatever differs, and nothing where there is
//! nothing.

use std::ffi::OsStr;
use std::path::Path;

use compat_tests::{Entry, Tally, Zoo, oracle, statedict, text};
use serde_json::{Value, json};

/// True if both are the same number but for the last digits that a decimal text may lose.
fn is_near(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * a.abs().max(b.abs()),
        _ => a == b,
    }
}

/// What is wrong with the values that differ in one pair of files, if something is.
fn problem(found: &Value, expected: &Value) -> Option<String> {
    let found = found["values"].as_array().expect("a list");
    let expected = expected.as_object().expect("tensors");
    for value in found {
        let key = text(&value["key"]);
        let Some(wanted) = expected.get(&key) else {
            return Some(format!("{value} is not expected"));
        };
        for fact in ["count", "of", "nan", "max_abs", "max_rel"] {
            if !is_near(&value[fact], &wanted[fact]) {
                return Some(format!("{value}\nexpected {wanted}"));
            }
        }
    }
    (found.len() != expected.len())
        .then(|| format!("{} tensors differ, expected {}", found.len(), expected.len()))
}

#[test]
fn values_are_as_far_apart_as_python_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let pairs = oracle(json!({ "do": "apart", "folder": folder.path() }));
    let mut tally = Tally::new();
    for pair in pairs.as_array().expect("a list") {
        let (a, b) = (text(&pair["a"]), text(&pair["b"]));
        let run = statedict(["diff", "--json", &a, &b]);
        let problem = match run.status {
            Some(1) => problem(&run.json(), &pair["values"]),
            status => Some(format!("exit {status:?}: {}", run.stderr)),
        };
        tally.note(format!("{a} {b}"), problem);
    }
    tally.close("pairs of files as far apart as expected");
}

/// What `diff --json` says of state dicts of two files.
fn diff(a: &Path, b: &Path, at: &str) -> Result<(Option<i32>, Value), String> {
    let at = if at.is_empty() { "/" } else { at };
    let words = ["diff", "--json", "--at", at].map(AsRef::<OsStr>::as_ref);
    let run = statedict(words.into_iter().chain([a.as_os_str(), b.as_os_str()]));
    match run.status {
        Some(0 | 1) => Ok((run.status, run.json())),
        status => Err(format!("exit {status:?}: {}", run.stderr)),
    }
}

/// What is wrong, if something is, with a file held against itself, and against one with a prefix:
/// there every tensor is renamed, but for those that have no elements to compare.
fn unlike_itself(zoo: &Zoo, entry: &Entry, at: &str) -> Result<Option<String>, String> {
    let (status, itself) = diff(&entry.path, &entry.path, at)?;
    if status != Some(0) {
        return Ok(Some(itself.to_string()));
    }
    let output = zoo.output(&entry.name);
    let words = ["add", "statedict.prefix", "--at", if at.is_empty() { "/" } else { at }, "-o"];
    let words = words.map(AsRef::<OsStr>::as_ref);
    let run = statedict(words.into_iter().chain([output.as_os_str(), entry.path.as_os_str()]));
    if run.status != Some(0) {
        return Err(run.stderr);
    }
    let (_, renamed) = diff(&entry.path, &output, at)?;
    let nothing = ["values", "dtype", "shape", "layout"];
    // What its elements identify is renamed; what has none is removed and added.
    let removed = renamed["removed"].as_array().expect("a list").len();
    let added = renamed["added"].as_array().expect("a list").len();
    let is_whole = removed == added
        && itself["not_compared"] == json!([])
        && nothing.iter().all(|list| renamed[list] == json!([]));
    Ok((!is_whole).then(|| renamed.to_string()))
}

#[test]
fn a_file_is_the_same_as_itself_and_as_itself_with_a_prefix_but_for_its_keys() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for entry in zoo.renamable() {
        for at in &entry.at {
            let problem = unlike_itself(&zoo, entry, at).unwrap_or_else(Some);
            tally.note(format!("{} {at}", entry.name), problem);
        }
    }
    tally.close("files like themselves");
}

/// The exit status of `diff`, and what is said on standard error.
fn status(words: &[&str]) -> (Option<i32>, String) {
    let run = statedict([&["diff"], words].concat());
    (run.status, run.stderr)
}

#[test]
fn every_single_change_is_a_difference_and_the_same_again_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = oracle(json!({ "do": "changed", "folder": folder.path() }));
    let (one, same) = (text(&files["one"]), text(&files["same"]));
    assert_eq!(status(&[&one, &same]).0, Some(0));
    let mut tally = Tally::new();
    for (name, path) in files["changed"].as_object().expect("files by what changed") {
        for words in [vec![], vec!["-q"]] {
            let found = status(&[&words[..], &[&one, &text(path)]].concat());
            tally.note(format!("{name} {words:?}"), (found.0 != Some(1)).then_some(found.1));
        }
    }
    let weights = ["weight", "scale", "zero point", "packed ints", "scale of a channel"];
    for (name, path) in files["changed"].as_object().expect("files by what changed") {
        let expected = if weights.contains(&name.as_str()) { 1 } else { 0 };
        let is_about_weights =
            expected == 1 || ["int", "learning rate", "str under a key"].contains(&name.as_str());
        let (found, said) = status(&["--weights-only", &one, &text(path)]);
        let problem = (is_about_weights && found != Some(expected)).then_some(said);
        tally.note(format!("{name} --weights-only"), problem);
    }
    tally.close("changes that are found");
}

#[test]
fn metadata_is_compared_and_what_cannot_be_ends_with_status_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = oracle(json!({ "do": "changed", "folder": folder.path() }));
    let metadata: Vec<String> =
        files["metadata"].as_array().expect("files").iter().map(text).collect();
    for (i, a) in metadata.iter().enumerate() {
        for (j, b) in metadata.iter().enumerate() {
            assert_eq!(status(&[a, b]).0, Some(i32::from(i != j)), "{a} {b}");
            assert_eq!(status(&["--weights-only", a, b]).0, Some(0), "{a} {b}");
        }
    }
    let unknown = text(&files["unknown"]);
    for words in [&[][..], &["-q"]] {
        let (found, said) = status(&[words, &[&unknown, &unknown]].concat());
        assert_eq!(found, Some(2), "{said}");
        assert!(said.contains("error: could not compare 'config'"), "{said}");
    }
    assert_eq!(status(&["--weights-only", &unknown, &unknown]).0, Some(0));
}

#[test]
fn every_fixture_is_the_same_as_itself() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut tally = Tally::new();
    for entry in std::fs::read_dir(fixtures).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() && !path.ends_with("sharded") {
            continue;
        }
        let run = statedict(["diff".as_ref(), path.as_os_str(), path.as_os_str()]);
        tally.note(path.display().to_string(), (run.status != Some(0)).then_some(run.stderr));
    }
    tally.close("fixtures like themselves");
}
