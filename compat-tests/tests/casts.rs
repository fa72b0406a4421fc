//! Casts inside a file: real PyTorch finds the tensors cast as `.to()` casts them, sharing what they
//! shared, and everything else as it was.

use std::fs;
use std::path::Path;

use compat_tests::{Tally, oracle, statedict, text};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How the cast file is written.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Output,
    InPlace,
    ProtocolTwo,
}

/// What is wrong with the cast of a random file, if something is.
fn problem(folder: &Path, seed: u64, kind: &str, manner: Manner) -> Option<String> {
    let [old, new] = ["old.pth", "new.pth"].map(|name| folder.join(name));
    let question = json!({
        "do": "random-cast", "seed": seed, "file": old, "legacy": kind == "legacy",
    });
    let made = oracle(question);
    let at = text(&made["at"]);
    let path = if at.is_empty() { "/" } else { &at };
    let rules: Vec<String> = made["rules"].as_array()?.iter().map(text).collect();
    // What is edited in place is a copy under the other name.
    let file = if matches!(manner, Manner::InPlace) { &new } else { &old };
    fs::copy(&old, &new).expect("the file can be copied");
    let mut words = vec!["rename", "no-such-key -> x", file.to_str()?, "--allow-unchanged"];
    words.extend(["--at", path]);
    words.extend(rules.iter().flat_map(|rule| ["--cast", rule]));
    words.extend(match manner {
        Manner::InPlace => vec!["-i"],
        Manner::Output => vec!["-o", new.to_str()?, "--force"],
        Manner::ProtocolTwo => vec!["-o", new.to_str()?, "--force", "--protocol", "2"],
    });
    let run = statedict(words);
    if run.status != Some(0) {
        return Some(run.stderr);
    }
    let question = json!({
        "do": "judge-cast", "old": old, "new": new, "at": at, "rules": made["rules"],
    });
    match oracle(question) {
        Value::Null => None,
        wrong => Some(format!("{rules:?} {wrong}")),
    }
}

fn check(seeds: std::ops::Range<u64>, kind: &str, manner: Manner) {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let mut tally = Tally::new();
    for seed in seeds {
        tally.note(format!("seed {seed}"), problem(folder.path(), seed, kind, manner));
    }
    tally.close(&format!("random files of the kind {kind} cast ({manner:?})"));
}

#[test]
fn a_cast_changes_what_it_is_for_and_nothing_else() {
    check(0..80, "archive", Manner::Output);
}

#[test]
fn a_cast_in_place_is_the_same_cast() {
    check(100..130, "archive", Manner::InPlace);
}

#[test]
fn a_cast_may_write_the_pickle_in_protocol_2() {
    check(200..230, "archive", Manner::ProtocolTwo);
}

#[test]
fn a_legacy_stream_is_cast_as_a_stream() {
    check(300..340, "legacy", Manner::Output);
}
