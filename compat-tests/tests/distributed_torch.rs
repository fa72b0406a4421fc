//! Distributed checkpoints that real PyTorch saves, and loads again once they were renamed; and those
//! that are written for it, which it loads on any number of ranks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use compat_tests::{python, statedict, text};

/// The last line that a script prints.
fn run(script: &str, action: &str, paths: &[&Path]) -> String {
    let mut command = python();
    let run = command.args(["-W", "ignore", script, action]).args(paths).output();
    let run = run.expect("Python runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let lines = String::from_utf8_lossy(&run.stdout);
    lines.lines().last().unwrap_or_default().to_string()
}

/// What Python says of the tensors of a folder: names with digests.
fn ask(action: &str, folder: &Path) -> BTreeMap<String, String> {
    let answer = run("distributed.py", action, &[folder]);
    serde_json::from_str(&answer).expect("a JSON object")
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

#[test]
fn torch_loads_what_is_written_on_one_rank_two_and_four() {
    let root = tempfile::tempdir().expect("a folder");
    let path = |name: &str| root.path().join(name);
    let source = path("model.pth");
    let folders = [path("one"), path("several"), path("stripped")];
    run("load_dcp.py", "make", &[&source]);
    let write = |words: &[&str], from: &Path, to: &Path| {
        let words = words.iter().map(Path::new).chain([from, Path::new("-o"), to]);
        let run = statedict(words);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
    };
    let dcp = ["convert", "--format", "dcp"];
    write(&dcp, &source, &folders[0]);
    write(&[&dcp[..], &["--shard-size", "100"]].concat(), &source, &folders[1]);
    let added = path("added.pth");
    write(&["add", "x"], &source, &added);
    write(&["strip", "x", "--format", "dcp"], &added, &folders[2]);
    let several = fs::read_dir(&folders[1]).expect("a folder").count();
    assert!(several > 4, "{several} files of at most 100 bytes of elements");

    let wanted = listed(&source, "/");
    let paths: Vec<&Path> = [&source].into_iter().chain(&folders).map(|it| it.as_path()).collect();
    let lines: serde_json::Value =
        serde_json::from_str(&run("load_dcp.py", "load", &paths)).expect("a JSON list");
    for folder in &folders {
        assert_eq!(listed(folder, "/"), wanted);
        let of_folder = lines.as_array().expect("a list").iter();
        let of_folder = of_folder.filter(|line| text(&line[0]) == folder.to_string_lossy());
        let seen: Vec<(u64, String, usize)> = of_folder
            .map(|line| {
                let number = |place: usize| line[place].as_u64().expect("a number");
                (number(1), text(&line[2]), number(3) as usize)
            })
            .collect();
        let on = |ranks: u64, how: &str, count: usize| (ranks, how.to_string(), count);
        let all = wanted.len();
        let on_several = [2, 4].into_iter().flat_map(|ranks| {
            let spread = ["S(0)", "S(1)", "R"].map(|how| on(ranks, how, all));
            spread.into_iter().chain([on(ranks, "fully_shard", 4)])
        });
        let expected: Vec<_> = [on(1, "alone", all)].into_iter().chain(on_several).collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn models_of_dicts_within_dicts_are_joined_from_ranks_of_both_kinds_of_parallelism() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("run");
    let saved = run("megatron.py", "save", &[&folder]);
    let saved: BTreeMap<String, String> = serde_json::from_str(&saved).expect("a JSON object");
    let words = ["ls", "--json", "--hash", folder.to_str().expect("UTF-8")];
    let run = statedict(words);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let tensors = run.json()["tensors"].as_array().expect("a list").clone();
    let path = |row: &serde_json::Value| format!("{}/{}", text(&row["at"]), text(&row["key"]));
    let found: BTreeMap<String, String> = tensors
        .iter()
        .map(|row| (path(row).trim_start_matches("model/").into(), text(&row["sha256"])))
        .collect();
    assert_eq!(found, saved);
}
