//! `statedict ls --json --hash` says what PyTorch, NumPy and safetensors load.

use compat_tests::{Entry, Tally, Zoo, oracle, statedict, text};
use serde_json::{Value, json};

/// The kind that `ls --json` must name for a file of the zoo.
fn kind(entry: &Entry) -> &'static str {
    match entry.extension() {
        "safetensors" => "safetensors",
        "npz" => "npz",
        _ if entry.name == "scripted.pt" => "torchscript",
        _ if entry.name.contains("legacy") => "pth-legacy",
        _ => "pth",
    }
}

/// What is wrong with the listing of a file, if something is.
fn problem(entry: &Entry) -> Option<String> {
    let run = statedict(["ls", "--json", "--hash"].map(Into::into).iter().chain([&entry.path]));
    if run.status != Some(0) {
        return Some(format!("exit {:?}: {}", run.status, run.stderr.trim()));
    }
    let listing = run.json();
    if listing["format"] != kind(entry) {
        return Some(format!("format {}", listing["format"]));
    }
    let truth = oracle(json!({ "do": "truth", "file": entry.path }));
    let (mut expected, mut found) = (rows(&truth, None), rows(&listing["tensors"], Some(&truth)));
    if entry.extension() == "safetensors" {
        expected.sort();
        found.sort();
    }
    let first = expected.iter().zip(&found).find(|(left, right)| left != right);
    match first {
        Some((expected, found)) => Some(format!("expected {expected}\nfound {found}")),
        None if expected.len() == found.len() => None,
        None => Some(format!("{} tensors, expected {}", found.len(), expected.len())),
    }
}

/// Rows as comparable text; a type that the truth has no name for may be called anything.
fn rows(list: &Value, truth: Option<&Value>) -> Vec<String> {
    let list = list.as_array().expect("a list of tensors");
    let row = |(i, row): (usize, &Value)| {
        let unnamed = truth.unwrap_or(&Value::Null)[i]["dtype"] == "other";
        let dtype = if unnamed { "other".into() } else { text(&row["dtype"]) };
        let elements = match &row["sha256"] {
            Value::Null if unnamed || dtype == "other" => String::new(),
            Value::Null => text(&row["layout"]),
            _ if unnamed => String::new(),
            hash => text(hash),
        };
        format!("{} {} {dtype} {} {elements}", row["at"], row["key"], row["shape"])
    };
    list.iter().enumerate().map(row).collect()
}

#[test]
fn every_file_is_listed_as_its_own_library_loads_it() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for entry in &zoo.entries {
        tally.note(&entry.name, problem(entry));
    }
    tally.close("files listed as loaded");
}
