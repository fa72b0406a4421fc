//! Files that are joined and split hold what PyTorch, NumPy and safetensors find in their sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use compat_tests::{oracle, statedict, text};
use serde_json::{Value, json};

/// What Python says is in a file: a key with type, shape and digest.
fn truth(file: &Path, at: &str) -> BTreeMap<String, Value> {
    let rows = oracle(json!({ "do": "truth", "file": file }));
    let rows = rows.as_array().expect("rows").iter().filter(|row| text(&row["at"]) == at);
    rows.map(|row| (text(&row["key"]), json!([row["dtype"], row["shape"], row["sha256"]])))
        .collect()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn run(words: &[&str]) {
    let run = statedict(words);
    assert_eq!(run.status, Some(0), "{words:?}: {}", run.stderr);
}

/// A key that one of the files only records as the same as another is a key of its own in a .pth.
fn check_tie(tensors: &mut BTreeMap<String, Value>, alias: &str, kept: &str) {
    if let Some(tensor) = tensors.remove(alias) {
        assert_eq!(tensor, tensors[kept], "{alias}");
    }
}

/// Files with the prefixes that they get, and the paths of their state dicts.
const SOURCES: [(&str, &str, &str); 5] = [
    ("plain.safetensors", "a", ""),
    ("trainer.pth", "b", "model"),
    ("legacy.pth", "c", ""),
    ("stored.npz", "d", ""),
    ("deflated.pth", "e", ""),
];

#[test]
fn files_of_all_formats_are_joined_and_split_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let files = SOURCES.map(|(name, ..)| fixture(name).display().to_string());
    let prefixes = SOURCES.map(|(_, prefix, _)| format!("{prefix}="));
    let mut expected = BTreeMap::new();
    for (name, prefix, at) in SOURCES {
        let tensors = truth(&fixture(name), at);
        assert!(!tensors.is_empty(), "{name}");
        expected
            .extend(tensors.into_iter().map(|(key, tensor)| (format!("{prefix}.{key}"), tensor)));
    }
    for name in ["all.safetensors", "all.pth"] {
        let all = path(name);
        let mut words = vec!["join"];
        words.extend(files.iter().map(String::as_str));
        words.extend(prefixes.iter().flat_map(|prefix| ["--prefix", prefix]));
        words.extend(["-o", &all]);
        run(&words);
        let mut joined = truth(Path::new(&all), "");
        check_tie(&mut joined, "a.module.c", "a.module.a");
        assert_eq!(joined, expected, "{name}");

        let parts =
            SOURCES.map(|(_, prefix, _)| format!("{prefix}={}", path(&format!("{prefix}-{name}"))));
        let mut words = vec!["split", &all];
        words.extend(parts.iter().flat_map(|part| ["--prefix", part]));
        run(&words);
        for (source, prefix, at) in SOURCES {
            let mut part = truth(Path::new(&path(&format!("{prefix}-{name}"))), "");
            if prefix == "a" {
                check_tie(&mut part, "module.c", "module.a");
            }
            assert_eq!(part, truth(&fixture(source), at), "{source}");
        }
    }
}
