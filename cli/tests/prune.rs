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

#[test]
fn a_file_without_a_model_is_not_emptied() {
    // As PyTorch wrote them before 1.6: a magic number, a version, a machine, an object, no storages.
    let pickles: [&[u8]; 5] = [
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
        b"\x80\x02M\xe9\x03.",
        b"\x80\x02}(X\x0d\0\0\0little_endian\x88u.",
        b"\x80\x02}X\x05\0\0\0epochK\x03s.",
        b"\x80\x02].",
    ];
    let folder = Folder::of([("counters.pth", pickles.concat())]);
    let refused = "no entry leads to a model's state dict; nothing would be left";
    folder.typed("prune counters.pth -o small.pth").check(1, refused);
    assert!(!folder.path("small.pth").exists());
}
