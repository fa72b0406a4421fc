//! Folders that hold a model: which file is meant, and the index that is missing or wrong.

mod folder;

use std::fs;

use folder::Folder;
use serde_json::Value;

const LENET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/lenet-dataparallel.pth");

/// A safetensors file of one byte under each key.
fn safetensors(keys: &[&str]) -> Vec<u8> {
    let entry = |(i, key): (usize, &&str)| {
        format!(r#""{key}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#, i + 1)
    };
    let entries: Vec<String> = keys.iter().enumerate().map(entry).collect();
    let header = format!("{{{}}}", entries.join(","));
    let data: Vec<u8> = (0..keys.len()).map(|i| i as u8).collect();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

const ONE: &str = "m/model-00001-of-00002.safetensors";
const TWO: &str = "m/model-00002-of-00002.safetensors";
const INDEX: &str = "m/model.safetensors.index.json";

/// A folder `m` with two shards, and an index with these places of keys.
fn shards(map: Option<&[(&str, &str)]>) -> Folder {
    let folder = Folder::of([]);
    fs::create_dir(folder.path("m")).expect("a folder");
    folder.add(ONE, &safetensors(&["a", "b"]));
    folder.add(TWO, &safetensors(&["c"]));
    folder.add("m/config.json", b"{}");
    if let Some(map) = map {
        let map: serde_json::Map<String, Value> =
            map.iter().map(|(key, file)| ((*key).into(), Value::from(&file[2..]))).collect();
        let index = serde_json::json!({"metadata": {"total_size": 3, "x": 1}, "weight_map": map});
        folder.add(INDEX, index.to_string().as_bytes());
    }
    folder
}

impl Folder {
    /// The command ends with this status and says these words.
    fn check(&self, words: &str, status: i32, expected: &[&str]) {
        let ran = self.typed(words);
        assert_eq!(ran.status, status, "{words}: {}", ran.err);
        for expected in expected {
            assert!(ran.err.contains(expected), "{words}: no {expected:?} in\n{}", ran.err);
        }
    }

    fn json(&self, words: &str) -> Value {
        let ran = self.typed(words);
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{words}: {}", ran.err))
    }
}

#[test]
fn a_folder_with_one_checkpoint_opens() {
    for name in ["model.safetensors", "pytorch_model.bin", "epoch3.ckpt"] {
        let folder = Folder::of([]);
        fs::create_dir(folder.path("m")).expect("a folder");
        folder.add("m/config.json", b"{}");
        folder.add("m/training_args.bin", b"");
        fs::copy(LENET, folder.path(&format!("m/{name}"))).expect("copied");
        folder.check("ls m", 0, &[&format!("note: opened m/{name}")]);
        folder.check("strip module m -o bare.pth", 0, &[]);
        folder.check("diff m bare.pth -q", 1, &[]);
        folder.check("strip module m -i", 0, &[&format!("m/{name}")]);
        folder.check("diff m bare.pth -q", 0, &[]);
    }
}

#[test]
fn a_folder_with_several_checkpoints_says_which() {
    let folder = Folder::of([]);
    fs::create_dir(folder.path("m")).expect("a folder");
    folder.check("ls m", 2, &["it is a folder without checkpoints"]);
    folder.add("m/a.safetensors", &safetensors(&["a"]));
    folder.add("m/b.safetensors", &safetensors(&["b"]));
    let named = "hint: name one of them: m/a.safetensors, m/b.safetensors";
    folder.check("ls m", 2, &["2 checkpoints and no index: a.safetensors, b.safetensors", named]);
    folder.check("index m", 2, &["no file is named as one of several shards"]);
    folder.check("index m a.safetensors b.safetensors", 0, &["2 keys in 2 files"]);
    folder.check("ls m", 0, &[]);
}

#[test]
fn shards_without_an_index_get_one() {
    let folder = shards(None);
    let hint = "hint: statedict index m makes an index";
    folder.check("ls m", 2, &["2 shards and no index: model-00001-of-00002.safetensors, ", hint]);
    folder.check("index m --dry-run", 0, &["dry run, nothing written", "3 keys in 2 files, 3 B"]);
    assert!(!folder.path(INDEX).exists());
    folder.check("index m", 0, &["wrote m/model.safetensors.index.json: 3 keys in 2 files, 3 B"]);
    let index: Value =
        serde_json::from_slice(&fs::read(folder.path(INDEX)).expect("there")).expect("JSON");
    let expected = serde_json::json!({
        "metadata": {"total_size": 3},
        "weight_map": {"a": ONE[2..], "b": ONE[2..], "c": TWO[2..]},
    });
    assert_eq!(index, expected);
    folder.check("ls m", 0, &[]);
    folder.check("index m", 0, &["is right: 3 keys in 2 files"]);
}

#[test]
fn each_way_in_which_an_index_and_its_files_disagree_is_named_and_mended() {
    let right = [("a", ONE), ("b", ONE), ("c", TWO)];
    let gone = "m/model-00001-of-00004.safetensors";
    let check = |map: &[(&str, &str)], said: &[&str], state: [&[&str]; 3]| {
        let folder = shards(Some(map));
        let hint = "hint: statedict index m --force makes an index";
        folder.check("ls m", 2, &[said, &[hint]].concat());
        let before = fs::read(folder.path(INDEX)).expect("there");
        folder.check("index m", 2, &["it exists already", "add --force"]);
        assert_eq!(fs::read(folder.path(INDEX)).expect("there"), before);
        let done = folder.json("index m --force --json");
        for (field, keys) in ["added", "removed", "moved"].into_iter().zip(state) {
            assert_eq!(done[field], serde_json::json!(keys), "{field}");
        }
        assert_eq!(done["written"], true);
        folder.check("ls m", 0, &[]);
        let index = fs::read_to_string(folder.path(INDEX)).expect("there");
        assert!(index.contains(r#""x": 1"#), "what it does not know stays: {index}");
    };
    let not_b = [right[0], right[2]];
    check(&not_b, &["holds key 'b', which the index does not name"], [&["b"], &[], &[]]);
    check(
        &[&right[..], &[("d", TWO), ("e", ONE)]].concat(),
        &[
            "key 'd' is not in 'model-00002-of-00002.safetensors'",
            "key 'e' is not in 'model-00001-of-00002.safetensors'",
        ],
        [&[], &["d", "e"], &[]],
    );
    check(
        &[("a", TWO), right[1], right[2]],
        &["holds key 'a', which the index says is in 'model-00002-of-00002.safetensors'"],
        [&[], &[], &["a"]],
    );
    check(
        &[("a", gone), ("b", gone), ("c", gone)],
        &[
            "it names 'model-00001-of-00004.safetensors': there is no such file",
            "it does not name 'model-00001-of-00002.safetensors'",
        ],
        [&[], &[], &["a", "b", "c"]],
    );
}

#[test]
fn what_is_no_series_of_shards_gets_no_index() {
    let folder = shards(None);
    folder.add(TWO, &safetensors(&["b", "c"]));
    let twice = "'b' in 'model-00001-of-00002.safetensors' and 'model-00002-of-00002.safetensors'";
    folder.check("index m", 2, &["several files hold the same keys", twice]);
    fs::remove_file(folder.path(TWO)).expect("removed");
    folder.check("index m", 2, &["shards are missing: model-00002-of-00002.safetensors"]);
    folder.check("ls m", 2, &["1 shard and no index"]);
    folder.add(TWO, &safetensors(&["c"]));
    folder.add("m/pytorch_model-1-of-1.bin", b"");
    folder.check("index m", 2, &["several series of shards: 2 of model.safetensors, 1 of"]);
    assert!(!folder.path(INDEX).exists());
}

#[test]
fn weights_beside_the_shards_are_named() {
    let folder = shards(Some(&[("a", ONE), ("b", ONE), ("c", TWO)]));
    folder.add("m/model.safetensors", &safetensors(&["a"]));
    folder.check("ls m", 0, &["not part of the checkpoint, not read: model.safetensors"]);
    folder.check("index m", 0, &["note: not indexed: model.safetensors"]);
}

#[test]
fn a_shard_that_the_index_does_not_name_is() {
    let folder = shards(Some(&[("a", ONE), ("b", ONE)]));
    folder.check("ls m", 0, &["not part of the checkpoint, not read: model-00002-of-00002"]);
    folder.check("index m --force", 0, &["1 key added: c"]);
    folder.check("ls m", 0, &[]);
}

#[cfg(unix)]
#[test]
fn a_snapshot_of_a_hub_cache_is_read_and_its_blobs_stay_as_they_are() {
    use std::os::unix::fs::symlink;
    let folder = Folder::of([]);
    fs::create_dir_all(folder.path("hub/snapshots/rev")).expect("a folder");
    fs::create_dir(folder.path("hub/blobs")).expect("a folder");
    let blob = safetensors(&["m.a"]);
    folder.add("hub/blobs/1", &blob);
    let model = folder.path("hub/snapshots/rev/model.safetensors");
    symlink("../../blobs/1", &model).expect("a link");
    folder.check("ls hub", 2, &["a repository in a hub cache", "hub/snapshots/rev"]);
    folder.check("ls hub/snapshots/rev", 0, &[]);
    folder.check("strip m hub/snapshots/rev -o out.safetensors", 0, &[]);
    folder.check("strip m hub/snapshots/rev -i", 2, &["it is a link", "../../blobs/1"]);
    assert_eq!(fs::read(folder.path("hub/blobs/1")).expect("there"), blob);
    assert!(model.is_symlink());
}
