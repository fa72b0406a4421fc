//! Distributed checkpoints that real PyTorch saves, and loads again once they were renamed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use compat_tests::{python, statedict, text};

/// What Python says of the tensors of a folder: names with digests.
fn ask(action: &str, folder: &Path) -> BTreeMap<String, String> {
    let mut command = python();
    let run = command.args(["-W", "ignore", "distributed.py", action]).arg(folder).output();
    let run = run.expect("Python runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let line = String::from_utf8_lossy(&run.stdout);
    let line = line.lines().last().expect("an answer");
    serde_json::from_str(line).expect("a JSON object")
}

/// What the command says of the tensors at a path.
fn listed(file: &Path, at: &str) -> BTreeMap<String, String> {
    let words = ["ls", "--json", "--hash", "--at", at, file.to_str().expect("UTF-8")];
    let run = statedict(words);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let tensors = run.json()["tensors"].as_array().expect("a list").clone();
    tensors.iter().map(|row| (text(&row["key"]), text(&row["sha256"]))).collect()
}

#[test]
fn what_torch_saved_is_listed_converted_and_after_a_rename_loaded_by_torch() {
    let root = tempfile::tempdir().expect("a folder");
    let (folder, file) = (root.path().join("save"), root.path().join("model.safetensors"));
    let saved = ask("save", &folder);
    assert_eq!(listed(&folder, "model"), saved);

    let [from, to] = [&folder, &file].map(|path| path.to_str().expect("UTF-8"));
    let run = statedict(["convert", from, to]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert_eq!(listed(&file, "/"), saved);

    let data = folder.join("__0_0.distcp");
    let before = fs::read(&data).expect("the data file");
    let run = statedict(["rename", "layers.{i}.{r..} -> blocks.{i+1}.{r..}", from, "-i"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("not followed: optim/state, 3 names"), "{}", run.stderr);
    let renamed: BTreeMap<String, String> = saved
        .iter()
        .map(|(name, digest)| {
            let name = name.replace("layers.1.", "blocks.2.").replace("layers.0.", "blocks.1.");
            (name, digest.clone())
        })
        .collect();
    assert_eq!(listed(&folder, "model"), renamed);
    assert_eq!(ask("load", &folder), renamed);
    assert_eq!(fs::read(&data).expect("the data file"), before);
}
