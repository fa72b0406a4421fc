//! `statedict diff` measures what Python measures, and finds nothing where there is nothing.

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
/// there every tensor is renamed, but for those that have no elements by which to tell.
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
    let is_whole = renamed["removed"] == itself["not_compared"]
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
