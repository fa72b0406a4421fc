//! A trainer's file without what its models do not need.

mod folder;

use std::fs;
use std::path::Path;

use folder::{Folder, numbered};

/// A file that a trainer wrote, with an optimizer and counters beside the model.
fn run() -> Folder {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compat-tests/fixtures/trainer.pth");
    Folder::of([("run.pth", fs::read(from).expect("a fixture"))])
}

#[test]
fn models_stay_and_the_rest_is_named() {
    let folder = run();
    let ran = folder.typed("prune run.pth");
    ran.check(0, "- optimizer (dict, 6 tensors, 24 B)");
    assert!(ran.out.contains("  model (collections.OrderedDict, 2 tensors, 8 B)"), "{}", ran.out);
    assert!(ran.err.contains("statedict prune run.pth -o run-small.pth"), "{}", ran.err);
    assert!(!folder.path("run-small.pth").exists());
    folder.typed("prune run.pth -o small.pth").check(0, "wrote small.pth: 2 entries left out");
    let ran = folder.typed("ls --payload small.pth");
    assert!(ran.out.contains("model") && !ran.out.contains("optimizer"), "{}", ran.out);
    folder.typed("diff --at model --at-b model run.pth small.pth").check(0, "");
}

#[test]
fn entries_that_are_named_are_kept() {
    let folder = run();
    let ran = folder.typed("prune run.pth --keep config --json -o small.pth");
    let found: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(
        (&found["written"], &found["left_out"][0]["entry"]),
        (&true.into(), &"optimizer".into())
    );
    let kept = found["kept"].as_array().expect("a list").iter();
    let kept: Vec<_> = kept.map(|entry| entry["entry"].as_str().expect("text")).collect();
    assert_eq!(kept, ["model", "config"]);
    let ran = folder.typed("prune run.pth --keep confg -o other.pth");
    ran.check(2, "no entry 'confg' to keep");
    assert!(ran.err.contains("did you mean 'config'?"), "{}", ran.err);
}

#[test]
fn a_file_is_replaced_only_where_that_is_asked_for() {
    let folder = run();
    folder.typed("prune run.pth -o run.pth").check(2, "already exists");
    folder.typed("prune run.pth -i").check(0, "replaced run.pth");
    folder.typed("prune run.pth -i").check(1, "nothing to leave out");
    folder.add("net.safetensors", &numbered(&["a"]));
    folder.typed("prune net.safetensors -o x.safetensors").check(1, "nothing to leave out");
}
