//! The figures of `stats` are those that NumPy calculates in double precision.

use std::path::Path;

use compat_tests::{Tally, Zoo, oracle, statedict, text};
use serde_json::{Value, json};

/// How far a figure may be from NumPy's, of itself.
const TOLERANCE: f64 = 1e-9;

const COUNTS: [&str; 4] = ["count", "zeros", "nan", "inf"];
const FIGURES: [&str; 6] = ["mean", "std", "min", "max", "absmax", "l2"];

/// What `stats --json` prints of each tensor of a file.
fn measured(path: &Path) -> Result<Vec<Value>, String> {
    let run = statedict(["stats".as_ref(), "--json".as_ref(), path.as_os_str()]);
    match run.status {
        Some(0) => Ok(run.json()["tensors"].as_array().expect("a list").clone()),
        _ => Err(run.stderr),
    }
}

/// What is wrong with the figures of a file, if something is.
fn problem(path: &Path) -> Option<String> {
    let found = match measured(path) {
        Ok(found) => found,
        Err(error) => return Some(error),
    };
    let expected = oracle(json!({ "do": "figures", "file": path }));
    let expected = expected.as_array().expect("a list");
    if found.len() != expected.len() {
        return Some(format!("{} tensors, expected {}", found.len(), expected.len()));
    }
    expected.iter().find_map(|expected| {
        let is_it = |row: &&Value| row["key"] == expected["key"] && row["at"] == expected["at"];
        let key = text(&expected["key"]);
        match found.iter().find(is_it) {
            None => Some(format!("{key} is not there")),
            Some(found) => difference(found, expected).map(|what| format!("{key}: {what}")),
        }
    })
}

fn difference(found: &Value, expected: &Value) -> Option<String> {
    if expected["count"].is_null() {
        let is_null = found["zeros"].is_null() && found["mean"].is_null();
        return (!is_null).then(|| "it has figures, and no plain elements".into());
    }
    let differ = |name: &str| format!("{name} is {}, expected {}", found[name], expected[name]);
    if let Some(name) = COUNTS.into_iter().find(|name| found[*name] != expected[*name]) {
        return Some(differ(name));
    }
    if let Some(name) = FIGURES
        .into_iter()
        .find(|name| !close(&found[*name], &expected[*name], &expected["absmax"]))
    {
        return Some(differ(name));
    }
    let counts = found["histogram"].as_array().map(Vec::as_slice).unwrap_or_default();
    let counted: u64 = counts.iter().filter_map(Value::as_u64).sum();
    (expected["finite"] != counted).then(|| format!("{counted} numbers in the histogram"))
}

/// True for figures that are the same but for rounding, of numbers as large as `scale`.
///
/// What cancels out to zero does so to as many digits as the numbers have.
fn close(found: &Value, expected: &Value, scale: &Value) -> bool {
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(expected)) => {
            let least = scale.as_f64().unwrap_or(0.0) * 1e-15;
            (found - expected).abs() <= TOLERANCE * expected.abs() + least
        }
        (found, expected) => found == expected,
    }
}

#[test]
fn figures_of_numbers_of_every_kind_are_numpys() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("numbers.safetensors");
    oracle(json!({ "do": "figures-numbers", "file": file }));
    assert_eq!(problem(&file), None);
    for found in measured(&file).expect("figures") {
        let Some(counts) = found["histogram"].as_array() else { continue };
        let question = json!({
            "do": "figures-histogram", "file": file, "key": found["key"], "bins": counts.len(),
            "start": found["histogram_start"], "width": found["histogram_width"],
        });
        assert_eq!(oracle(question), found["histogram"], "{}", found["key"]);
    }
}

#[test]
fn figures_of_tensors_are_numpys_however_they_are_stored() {
    let (zoo, mut tally) = (Zoo::new(), Tally::new());
    for entry in &zoo.entries {
        tally.note(&entry.name, problem(&entry.path));
    }
    tally.close("files whose figures are NumPy's");
}
