//! What `fit --init` makes, judged by PyTorch's own initialisers.

use std::fs;
use std::path::PathBuf;

use compat_tests::{Tally, oracle, statedict, text};
use serde_json::json;
use tempfile::TempDir;

/// A model whose every tensor is to be made, each by a rule of its own.
struct Model {
    folder: TempDir,
    /// Keys with their rules.
    rules: Vec<(String, String)>,
}

impl Model {
    fn new() -> Model {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = oracle(json!({ "do": "made", "folder": folder.path() }));
        let rules = rules.as_array().expect("a list").iter();
        let rules = rules.map(|rule| (text(&rule[0]), text(&rule[1]))).collect();
        Model { folder, rules }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Fits the checkpoint to the model; the rules come in this order.
    fn fit(&self, output: &str, seed: &str, rules: &[(String, String)]) -> PathBuf {
        let [source, target, output] = ["source.pth", "target.pth", output].map(|it| self.path(it));
        let mut words = vec!["fit".into(), "--seed".into(), seed.into()];
        words.extend([source.display().to_string(), "--to".into(), target.display().to_string()]);
        words.extend(["-o".into(), output.display().to_string()]);
        words.extend(
            rules.iter().flat_map(|(key, rule)| ["--init".into(), format!("{key}={rule}")]),
        );
        words.extend(["--resize".into(), "rows.*=rows".into()]);
        let run = statedict(words);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        output
    }
}

#[test]
fn what_is_made_is_what_pytorch_would_make() {
    let model = Model::new();
    model.fit("out.pth", "0", &model.rules);
    let found = oracle(json!({ "do": "judge-made", "folder": model.folder.path() }));
    let mut tally = Tally::new();
    for (key, problem) in found.as_object().expect("an object") {
        tally.note(key, problem.as_str().map(String::from));
    }
    tally.close("tensors made as PyTorch makes them");
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_order() {
    let model = Model::new();
    let bytes = |path: PathBuf| fs::read(path).expect("written");
    let backwards: Vec<_> = model.rules.iter().rev().cloned().collect();
    let first = bytes(model.fit("first.pth", "5", &model.rules));
    assert!(first == bytes(model.fit("second.pth", "5", &backwards)));
    assert!(first != bytes(model.fit("third.pth", "6", &model.rules)));
}

/// The bytes that were drawn on the machine where this was written.
#[test]
fn the_same_seed_gives_the_same_bytes_on_every_machine() {
    let model = Model::new();
    let output = model.fit("out.pth", "7", &model.rules);
    let run = statedict(["ls", "--json", "--hash", &output.display().to_string()]);
    let listed = run.json();
    let hash = |key: &str| {
        let mut tensors = listed["tensors"].as_array().expect("a list").iter();
        tensors.find(|it| it["key"] == key).map(|it| text(&it["sha256"]))
    };
    let check = |key, expected: &str| assert_eq!(hash(key).as_deref(), Some(expected), "{key}");
    check("uniform.F64", "02a65375979f5ea57b1ecc0c168ef336032da733b621809a573d8ffc7490c83f");
    check("normal.F64", "cc08ccb7ac0cec21cd2a01d6fd6c27e731a4adda8e0e4b117e4d0a6ff08b1d2f");
    check("xavier.F64", "2b5b95bba2d8fcf499de5cf12e081c231b23dbe395ef2ca49dc7ad99494e6312");
    check("linear.F64", "7938818b27953d8e6d1abede9e2c92c44b7cab706a6ede3d6ba7a1a962a26914");
}
