//! Checkpoints that nobody here wrote, and files that mean harm, where there are such.
//!
//! `STATEDICT_CORPUS` names a folder with `corpus/truth.jsonl` (what the real libraries read from
//! files beside it) and `hostile/manifest.tsv`. Without it these tests say so and pass.

use std::fs;
use std::path::Path;

use compat_tests::{Run, Tally, corpus, statedict, statedict_within, text};
use serde_json::Value;

/// Files that PyTorch itself cannot load, for want of the classes of their modules; we may list them.
const CLASSES_MISSING: [&str; 2] = ["modlegacy-own.pt", "full_model_checkpoint.pt"];

fn list(path: &Path) -> Run {
    statedict(["ls".as_ref(), "--json".as_ref(), "--hash".as_ref(), path.as_os_str()])
}

/// Rows as text; the order of safetensors is the truth's own.
fn rows(tensors: &Value, file: &str) -> Vec<String> {
    let tensors = tensors.as_array().expect("a list of tensors");
    let dtype = |row: &Value| text(&row["dtype"]).replace("torch.float8_e8m0fnu", "F8_E8M0");
    let row = |row: &Value| {
        let elements = row.get("sha256").map_or("no elements".into(), text);
        format!("{} {} {} {} {elements}", row["at"], row["key"], dtype(row), row["shape"])
    };
    let mut rows: Vec<String> = tensors.iter().map(row).collect();
    if file.ends_with(".safetensors") {
        rows.sort();
    }
    rows
}

fn problem(line: &Value, file: &str, path: &Path) -> Option<String> {
    let run = list(path);
    if line.get("error").is_some() {
        let listed = run.status == Some(0) && CLASSES_MISSING.iter().any(|n| file.ends_with(n));
        return if listed { None } else { run.impolite(2) };
    }
    if run.status != Some(0) {
        return Some(format!("{:?} {}", run.status, run.stderr.trim()));
    }
    let (expected, found) = (rows(&line["tensors"], file), rows(&run.json()["tensors"], file));
    let first = expected.iter().zip(&found).find(|(expected, found)| expected != found);
    match first {
        Some((expected, found)) => Some(format!("expected {expected}\nfound {found}")),
        None if expected.len() == found.len() => None,
        None => Some(format!("{} tensors, expected {}", found.len(), expected.len())),
    }
}

#[test]
fn real_files_are_listed_as_their_libraries_load_them() {
    let Some(corpus) = corpus("corpus") else { return };
    let truth = fs::read_to_string(corpus.join("truth.jsonl")).expect("the truth can be read");
    let mut tally = Tally::new();
    for line in truth.lines() {
        let line: Value = serde_json::from_str(line).expect("a JSON document a line");
        let file = text(&line["file"]);
        tally.note(&file, problem(&line, &file, &corpus.join(&file)));
    }
    tally.close("real files agree");
}

#[test]
fn files_that_mean_harm_are_listed_or_refused_within_seconds() {
    let Some(hostile) = corpus("hostile") else { return };
    let manifest = fs::read_to_string(hostile.join("manifest.tsv")).expect("a manifest");
    let mut tally = Tally::new();
    for line in manifest.lines().skip(1) {
        let file = line.split('\t').next().expect("a line has a first column");
        let path = hostile.join(file);
        let words = ["ls".as_ref(), path.as_os_str()];
        let problem = match statedict_within(5, words) {
            None => Some("still running after 5 s of processor time".into()),
            Some(run) if run.status == Some(0) => None,
            Some(run) => run.impolite(2),
        };
        tally.note(file, problem);
    }
    tally.close("hostile files handled");
}
