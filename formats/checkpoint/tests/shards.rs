//! Several files at once: what readers find before, between and after.

mod folder;

use std::fs;
use std::path::Path;

use folder::{Folder, stripped};
use statedict_checkpoint::{Checkpoint, Existing};

/// Two shards of a byte each, with their index.
fn sharded() -> Folder {
    let folder = Folder::new();
    let shard = |key: &str, value: u8| {
        let header = format!(r#"{{"{key}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[value]].concat()
    };
    let put = |name: &str, bytes: &[u8]| drop(folder.file(name, bytes));
    put("1.safetensors", &shard("module.a", 1));
    put("2.safetensors", &shard("module.b", 2));
    let index = r#"{"weight_map":{"module.a":"1.safetensors","module.b":"2.safetensors"}}"#;
    put("m.safetensors.index.json", index.as_bytes());
    folder
}

/// The keys of the checkpoint at a path.
fn keys(path: &Path) -> Vec<String> {
    let checkpoint = Checkpoint::open(path).expect("sharded");
    checkpoint.catalog().rows.iter().map(|row| row.key.to_string()).collect()
}

#[test]
fn until_the_index_changes_readers_find_the_old_checkpoint() {
    let folder = sharded();
    let checkpoint = Checkpoint::open(folder.path()).expect("sharded");
    let staged = checkpoint.stage(&stripped(&checkpoint), folder.path(), Existing::Replace);
    let staged = staged.expect("staged");
    assert_eq!(keys(folder.path()), ["module.a", "module.b"]);
    // The new files are in their places when the index cannot be replaced: all is as it was.
    let index = folder.at("m.safetensors.index.json");
    let aside = folder.at("aside");
    fs::rename(&index, &aside).expect("movable");
    fs::create_dir(&index).expect("an obstacle");
    fs::write(index.join("x"), b"x").expect("writable");
    staged.commit().expect_err("a folder is in the way");
    fs::remove_dir_all(&index).expect("removable");
    fs::rename(&aside, &index).expect("movable");
    assert_eq!(folder.names(), ["1.safetensors", "2.safetensors", "m.safetensors.index.json"]);
    assert_eq!(keys(folder.path()), ["module.a", "module.b"]);
}

#[test]
fn a_dropped_folder_goes_with_what_was_to_be_in_it() {
    let folder = sharded();
    let checkpoint = Checkpoint::open(folder.path()).expect("sharded");
    let new = folder.at("new");
    let staged = checkpoint.stage(&stripped(&checkpoint), &new, Existing::Refuse).expect("staged");
    drop(staged);
    assert!(!new.exists());
    let staged = checkpoint.stage(&stripped(&checkpoint), &new, Existing::Refuse).expect("staged");
    staged.commit().expect("committed");
    assert_eq!(keys(&new), ["a", "b"]);
    assert_eq!(value(&new, "b"), 2);
}

/// The digest shows which byte a tensor of one byte is.
fn value(path: &Path, key: &str) -> u8 {
    let checkpoint = Checkpoint::open(path).expect("sharded");
    let state_dict = &checkpoint.catalog().state_dicts[0];
    let tensor = checkpoint.catalog().tensor(state_dict, key).expect("there");
    let elements = checkpoint.sha256(tensor).expect("readable").expect("plain");
    let digest = |byte: u8| <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest([byte]));
    (0..=255).find(|byte| digest(*byte) == elements).expect("one byte")
}
