//! Checkpoints of many files that trainers wrote, where there are such.
//!
//! `STATEDICT_CORPUS` names a folder with `distributed/samples/truth.jsonl`: what is in the folders
//! beside it, or what is to be said of those that are damaged. Without it these tests say so and
//! pass.

use std::fs;
use std::path::Path;

use compat_tests::{Run, Tally, corpus, statedict, text};
use serde_json::Value;

/// The lines of the truth about folders of kinds that are read.
fn truth(samples: &Path) -> Vec<(String, Value)> {
    let truth = fs::read_to_string(samples.join("truth.jsonl")).expect("the truth can be read");
    let lines = truth.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("a JSON document a line");
        (text(&line["file"]), line)
    });
    lines.collect()
}

fn list(path: &Path) -> Run {
    statedict(["ls".as_ref(), "--json".as_ref(), "--hash".as_ref(), path.as_os_str()])
}

/// Tensors as text, in an order of their own: files of several ranks have none.
fn rows(tensors: &Value) -> Vec<String> {
    let tensors = tensors.as_array().expect("a list of tensors");
    let row = |row: &Value| {
        let [at, key, dtype, shape, sha256] =
            ["at", "key", "dtype", "shape", "sha256"].map(|field| &row[field]);
        format!("{at} {key} {dtype} {shape} {sha256}")
    };
    let mut rows: Vec<String> = tensors.iter().map(row).collect();
    rows.sort();
    rows
}

/// The first file of a folder that a text speaks of as missing or damaged.
fn file_in(why: &str) -> Option<&str> {
    let mut words = why.split([' ', ',', ':']);
    words.find(|word| word.starts_with("__") || word.starts_with("mp_rank_"))
}

fn difference(expected: &Value, run: &Run) -> Option<String> {
    if run.status != Some(0) {
        return Some(format!("{:?} {}", run.status, run.stderr.trim()));
    }
    let (expected, found) = (rows(&expected["tensors"]), rows(&run.json()["tensors"]));
    // Trainers keep more tensors than the truth speaks of, such as random states.
    let missing = expected.iter().find(|row| !found.contains(row));
    missing.map(|row| format!("{row} is not among {} tensors", found.len()))
}

#[test]
fn folders_of_trainers_hold_what_was_saved() {
    let Some(samples) = corpus("distributed/samples") else { return };
    let mut tally = Tally::new();
    for (name, line) in truth(&samples).iter().filter(|(_, line)| line.get("expect").is_none()) {
        tally.note(name, difference(line, &list(&samples.join(name))));
    }
    tally.close("folders agree");
}

#[test]
fn damaged_folders_are_refused_and_the_file_is_named() {
    let Some(samples) = corpus("distributed/samples") else { return };
    let mut tally = Tally::new();
    for (name, line) in truth(&samples).iter().filter(|(_, line)| line["expect"] == "refused") {
        let run = list(&samples.join(name));
        let why = text(&line["why"]);
        let unnamed = file_in(&why).filter(|file| !run.stderr.contains(file));
        let unnamed = unnamed.map(|file| format!("'{file}' is not named: {}", run.stderr.trim()));
        tally.note(name, run.impolite(2).or(unnamed));
    }
    tally.close("damaged folders refused");
}

#[test]
fn folders_that_mean_harm_are_dangerous_and_not_read() {
    let Some(samples) = corpus("distributed/samples") else { return };
    let mut tally = Tally::new();
    for (name, _) in truth(&samples).iter().filter(|(_, line)| line["expect"] == "dangerous") {
        let path = samples.join(name);
        let run = statedict(["check".as_ref(), "--json".as_ref(), path.as_os_str()]);
        let is_known = run.status == Some(1) && run.stdout.contains("\"verdict\":\"dangerous\"");
        tally.note(name, (!is_known).then(|| format!("{:?} {}", run.status, run.stdout)));
    }
    tally.close("hostile folders found");
}

#[test]
fn good_folders_are_safe_or_need_their_trainers_classes() {
    let Some(samples) = corpus("distributed/samples") else { return };
    let mut tally = Tally::new();
    for (name, _) in truth(&samples).iter().filter(|(_, line)| line.get("expect").is_none()) {
        let path = samples.join(name);
        let run = statedict(["check".as_ref(), "--json".as_ref(), path.as_os_str()]);
        let is_known = ["dcp-", "hf-"].iter().any(|kind| name.starts_with(kind));
        let is_good = run.status == Some(0) || (!is_known && run.status == Some(1));
        let harms = ["dangerous", "malformed"].map(|it| format!("\"verdict\":\"{it}\""));
        let is_harmful = harms.iter().any(|harm| run.stdout.contains(harm));
        let problem = format!("{:?} {} {}", run.status, run.stdout, run.stderr);
        tally.note(name, (!is_good || is_harmful).then_some(problem));
    }
    tally.close("good folders do no harm");
}
