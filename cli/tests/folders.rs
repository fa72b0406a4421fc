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
    folder::safetensors(&header, &data)
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
        folder.check("index m", 2, &["already exists", "add --force"]);
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
            "it names 'model-00001-of-00004.safetensors': no such file",
            "it does not name 'model-00001-of-00002.safetensors'",
        ],
        [&[], &[], &["a", "b", "c"]],
    );
}

#[test]
fn what_is_not_a_series_of_shards_gets_no_index() {
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

/// A folder `m` with a LeNet and what lies beside the weights of a model.
fn model() -> Folder {
    let folder = Folder::of([]);
    fs::create_dir_all(folder.path("m/1_Pooling")).expect("a folder");
    fs::create_dir_all(folder.path("m/.git")).expect("a folder");
    fs::copy(LENET, folder.path("m/pytorch_model.bin")).expect("copied");
    for (name, text) in SIDE_FILES {
        folder.add(&format!("m/{name}"), text.as_bytes());
    }
    folder.add("m/tf_model.h5", b"weights");
    folder.add("m/model.safetensors.index.json.bak", b"");
    folder.add("m/.git/config", b"x");
    folder
}

const SIDE_FILES: [(&str, &str); 6] = [
    ("1_Pooling/config.json", "{\"dim\": 3}"),
    ("config.json", "{\"torch_dtype\": \"float32\"}"),
    ("empty.txt", ""),
    ("generation_config.json", "{}"),
    ("model.safetensors.index.json.bak", ""),
    ("tokenizer.model", "words"),
];

/// The files of a folder, sorted, with their places below it.
fn files(folder: &Folder, name: &str) -> Vec<String> {
    fn descend(path: &std::path::Path, below: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(path).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => descend(&entry.path(), &format!("{name}/"), found),
                false => found.push(name),
            }
        }
    }
    let mut found = Vec::new();
    descend(&folder.path(name), "", &mut found);
    found.sort();
    found
}

fn with_side_files(weights: &[&str]) -> Vec<String> {
    let side_files = SIDE_FILES.iter().map(|(name, _)| *name);
    let mut names: Vec<String> =
        side_files.chain(weights.iter().copied()).map(String::from).collect();
    names.sort();
    names
}

#[test]
fn what_lies_beside_the_weights_of_a_model_goes_with_them() {
    let folder = model();
    let check = |words: &str, weights: &[&str]| {
        let said = &["with 6 files beside the weights", "other weights: tf_model.h5"];
        folder.check(&format!("{words} -o out"), 0, said);
        assert_eq!(files(&folder, "out"), with_side_files(weights), "{words}");
        for (name, text) in SIDE_FILES {
            let carried = fs::read(folder.path(&format!("out/{name}"))).expect("there");
            assert_eq!(carried, text.as_bytes(), "{name}");
        }
        let sharded = folder.typed("ls out");
        assert_eq!(sharded.status, 0, "{}", sharded.err);
        fs::remove_dir_all(folder.path("out")).expect("removed");
    };
    check("strip module m", &["pytorch_model.bin"]);
    check("convert m/ --format safetensors", &["model.safetensors"]);
    check("fit m --to m", &["pytorch_model.bin"]);
    let shards = [1, 2, 3].map(|i| format!("model-0000{i}-of-00003.safetensors"));
    let mut names: Vec<&str> = shards.iter().map(String::as_str).collect();
    names.push("model.safetensors.index.json");
    check("unwrap m --shard-size 100KB", &names);
    folder.check("unwrap m -o bare --weights-only", 0, &[]);
    assert_eq!(files(&folder, "bare"), ["pytorch_model.bin"]);
    folder.check("unwrap m -o bare.pth", 0, &[]);
    assert!(folder.path("bare.pth").is_file());
}

#[test]
fn sharded_models_keep_their_files_and_change_format() {
    let folder = model();
    folder.check("convert m s --shard-size 100KB", 0, &[]);
    folder.check("strip module s -o t", 0, &["with 6 files"]);
    assert_eq!(files(&folder, "t"), files(&folder, "s"));
    folder.check("strip module s -o u --format pth", 0, &["with 6 files"]);
    let weights = files(&folder, "u").into_iter().filter(|name| name.ends_with(".bin"));
    assert!(weights.clone().count() > 1, "{:?}", weights.collect::<Vec<_>>());
    folder.check("diff t u -q", 0, &[]);
}

#[test]
fn an_output_that_is_there_keeps_what_it_has_unless_forced() {
    let folder = model();
    fs::create_dir(folder.path("out")).expect("a folder");
    folder.add("out/config.json", b"mine");
    folder.check("unwrap m -o out", 2, &["already exists"]);
    assert_eq!(files(&folder, "out"), ["config.json"]);
    folder.check("unwrap m -o out --force", 0, &[]);
    assert_eq!(files(&folder, "out"), with_side_files(&["pytorch_model.bin"]));
    folder.check("unwrap m -o m/inner", 0, &[]);
    folder.check("unwrap m -o m/inner --force", 0, &[]);
    assert_eq!(files(&folder, "m/inner"), with_side_files(&["pytorch_model.bin"]));
}

#[test]
fn a_configuration_that_declares_another_type_of_numbers_is_said() {
    let folder = model();
    let note = "note: config.json says float32, and most weights are bfloat16 now";
    folder.check("convert m h --cast bf16", 0, &[note]);
    let done = folder.json("unwrap m -i --cast bf16 --json");
    assert_eq!(done["declared_dtype"], "float32");
    let same = folder.typed("convert h f --cast f32");
    assert!(same.status == 0 && !same.err.contains("config.json says"), "{}", same.err);
}

#[test]
fn nothing_is_left_of_a_folder_whose_files_cannot_be_carried() {
    let folder = model();
    fs::create_dir(folder.path("out")).expect("a folder");
    fs::create_dir_all(folder.path("out/config.json")).expect("a folder");
    folder.check("unwrap m -o out --force", 2, &["is a directory; expected a file"]);
    assert_eq!(files(&folder, "out"), [""; 0]);
    assert!(!folder.path("out/1_Pooling").exists());
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

/// A file of one array, as `torch.save` writes it, made by the command itself.
fn pickled(folder: &Folder, name: &str) {
    folder.add("one.safetensors", &safetensors(&["a", "b"]));
    folder.check(&format!("convert one.safetensors -o {name} --force"), 0, &[]);
}

/// The names in a folder.
fn names_in(folder: &Folder, name: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.path(name)).expect("a folder").flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn weights_keep_the_names_that_their_library_looks_for() {
    let folder = Folder::of([]);
    let check = |from: &str, options: &str, expected: &[&str]| {
        let _ = fs::remove_dir_all(folder.path("m"));
        let _ = fs::remove_dir_all(folder.path("n"));
        fs::create_dir(folder.path("m")).expect("a folder");
        match from.ends_with(".bin") {
            true => pickled(&folder, &format!("m/{from}")),
            false => folder.add(&format!("m/{from}"), &safetensors(&["a", "b"])),
        }
        folder.check(&format!("convert m -o n {options}"), 0, &[]);
        assert_eq!(names_in(&folder, "n"), expected, "{from} {options}");
    };
    check("diffusion_pytorch_model.safetensors", "--format pth", &["diffusion_pytorch_model.bin"]);
    check("adapter_model.bin", "--format safetensors", &["adapter_model.safetensors"]);
    check("model.fp16.safetensors", "--format pth", &["pytorch_model.fp16.bin"]);
    check("pytorch_model.bin", "--format safetensors", &["model.safetensors"]);
    check(
        "diffusion_pytorch_model.safetensors",
        "--shard-size 1",
        &[
            "diffusion_pytorch_model-00001-of-00002.safetensors",
            "diffusion_pytorch_model-00002-of-00002.safetensors",
            "diffusion_pytorch_model.safetensors.index.json",
        ],
    );
    check(
        "model.fp16.safetensors",
        "--shard-size 1 --format pth",
        &[
            "pytorch_model.bin.index.fp16.json",
            "pytorch_model.fp16-00001-of-00002.bin",
            "pytorch_model.fp16-00002-of-00002.bin",
        ],
    );
    folder.check("convert n -o o --format safetensors", 0, &[]);
    let joined = "convert o -o one.safetensors --force";
    folder.check(joined, 0, &["2 keys unchanged"]);
    assert_eq!(names_in(&folder, "o"), ["model.fp16.safetensors"]);
}

#[test]
fn shards_are_not_written_under_the_name_of_a_file() {
    let folder = Folder::of([("one.safetensors", safetensors(&["a", "b"]))]);
    let said = "cannot write 'x.npz': it is the name of a file, and --shard-size writes a folder";
    folder.check("convert one.safetensors -o x.npz --shard-size 1", 2, &[said]);
    folder.check("fit one.safetensors --to one.safetensors -o x.npz --shard-size 1", 2, &[said]);
    assert!(!folder.path("x.npz").exists());
}
