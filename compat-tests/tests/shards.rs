//! Shards that are written load through their index, with safetensors and with PyTorch.

use std::path::Path;

use compat_tests::{Tally, Zoo, oracle, statedict};
use serde_json::{Value, json};

/// Splits, renames into another folder and in place; gives what is wrong with the last folder.
fn problem(input: &Path, at: &str, format: &str, folder: &Path) -> Option<String> {
    let [split, moved] = ["split", "moved"].map(|name| folder.join(name).display().to_string());
    let input = input.to_str().expect("a plain path");
    let steps = [
        vec!["convert", input, &split, "--shard-size", "2KB", "--to", format, "--at", at],
        vec!["add", "x.y", &split, "-o", &moved],
        vec!["strip", "x", &moved, "-i"],
        vec!["strip", "y.module", &moved, "-i"],
    ];
    for step in steps {
        let run = statedict(&step);
        if run.status != Some(0) {
            return Some(format!("{step:?}: {}", run.stderr));
        }
    }
    let prefix = "module.";
    let question =
        json!({ "do": "shards", "input": input, "at": at, "prefix": prefix, "folder": moved });
    match oracle(question) {
        Value::Null => None,
        problem => Some(problem.to_string()),
    }
}

#[test]
fn shards_load_through_their_index() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for (name, at) in [("lenet_dataparallel.pth", ""), ("trainer.pth.tar", "state_dict")] {
        for format in ["safetensors", "pth"] {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let problem = problem(&zoo.entry(name).path, at, format, folder.path());
            tally.note(format!("{name} as {format}"), problem);
        }
    }
    tally.close("sharded checkpoints loaded through their index");
}
