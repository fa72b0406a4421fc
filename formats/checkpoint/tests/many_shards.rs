//! More shards than a system lets be open at once.

#![cfg(target_os = "linux")]

#[path = "crash/disk.rs"]
#[allow(dead_code, reason = "the tests of crashes use all of it")]
mod disk;
mod folder;

use std::fs;
use std::sync::Arc;

use disk::Plain;
use folder::{Folder, keys, planned, stripped};
use statedict_checkpoint::{Checkpoint, Existing, PrependSupport};
use statedict_core::Headroom;

/// How many files of a checkpoint may be open at once.
const MOST_OPEN: usize = 64;

const SHARDS: usize = 1000;

fn key(shard: usize) -> String {
    format!("module.{shard}")
}

/// Elements of a tensor: more bytes than are read where less is asked for.
const ELEMENTS: usize = 2000;

/// A shard of one tensor, whose first element is its number.
fn shard(number: usize) -> Vec<u8> {
    let (key, end) = (key(number), 4 * ELEMENTS);
    let place = format!(r#""shape":[{ELEMENTS}],"data_offsets":[0,{end}]"#);
    let header = format!(r#"{{"{key}":{{"dtype":"I32",{place}}}}}"#);
    let value = i32::try_from(number).expect("few").to_le_bytes();
    let mut shard = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &value].concat();
    shard.resize(8 + header.len() + end, 0);
    shard
}

/// Shards with their index.
fn sharded() -> Folder {
    let folder = Folder::new();
    for number in 0..SHARDS {
        folder.file(&format!("{number}.safetensors"), &shard(number));
    }
    let places = (0..SHARDS).map(|number| format!(r#""{}":"{number}.safetensors""#, key(number)));
    let index = format!(r#"{{"weight_map":{{{}}}}}"#, places.collect::<Vec<_>>().join(","));
    folder.file("m.safetensors.index.json", index.as_bytes());
    folder
}

/// How many of this process's descriptors lead into a folder.
fn open_in(folder: &Folder) -> usize {
    let inside = folder.path().canonicalize().expect("it is there");
    let descriptors = fs::read_dir("/proc/self/fd").expect("readable");
    let targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok());
    targets.filter(|target| target.starts_with(&inside)).count()
}

/// The number that a shard's tensor is.
fn value(checkpoint: &Checkpoint, key: &str) -> i32 {
    let bytes = checkpoint.read(key).expect("it is there");
    i32::from_le_bytes(*bytes.first_chunk().expect("four bytes"))
}

#[test]
fn of_a_thousand_shards_few_are_open_at_once() {
    let folder = sharded();
    let checkpoint = Checkpoint::open(folder.path()).expect("sharded");
    assert!(open_in(&folder) <= MOST_OPEN, "{} are open", open_in(&folder));
    for number in (0..SHARDS).step_by(7) {
        assert_eq!(value(&checkpoint, &key(number)), i32::try_from(number).expect("few"));
        assert!(open_in(&folder) <= MOST_OPEN, "{} are open", open_in(&folder));
    }
}

#[test]
fn a_thousand_shards_are_renamed_with_few_of_them_open() {
    let folder = sharded();
    let checkpoint = Checkpoint::open(folder.path()).expect("sharded");
    let new = folder.at("new");
    let staged = checkpoint.stage(&stripped(&checkpoint), &new, Existing::Refuse).expect("staged");
    assert!(open_in(&folder) <= MOST_OPEN, "{} are open", open_in(&folder));
    staged.commit().expect("committed");
    let expected: Vec<String> = (0..SHARDS).map(|number| number.to_string()).collect();
    assert_eq!(keys(&new), expected);
    assert_eq!(value(&Checkpoint::open(&new).expect("sharded"), "999"), 999);
}

#[test]
fn a_thousand_shards_are_edited_in_place_with_few_of_them_open() {
    let folder = sharded();
    let disk = Arc::new(Plain::new(PrependSupport::Copy));
    let checkpoint = Checkpoint::open_to_replace(folder.path(), disk).expect("sharded");
    let plan = planned(&checkpoint);
    let replaced = checkpoint.rename(&plan, Headroom::Usual).expect("renamed");
    assert_eq!(replaced.files, SHARDS);
    assert!(open_in(&folder) <= MOST_OPEN, "{} are open", open_in(&folder));
    drop(checkpoint);
    let expected: Vec<String> = (0..SHARDS).map(|number| number.to_string()).collect();
    assert_eq!(keys(folder.path()), expected);
    assert_eq!(value(&Checkpoint::open(folder.path()).expect("sharded"), "999"), 999);
}

#[test]
fn a_shard_that_is_replaced_while_others_are_read_is_refused() {
    let folder = sharded();
    let checkpoint = Checkpoint::open(folder.path()).expect("sharded");
    fs::remove_file(folder.at("0.safetensors")).expect("removable");
    folder.file("0.safetensors", &shard(0));
    let message = checkpoint.read(key(0).as_str()).expect_err("another file").to_string();
    assert!(message.contains("was changed or replaced while the checkpoint was being read"));
    assert_eq!(value(&checkpoint, &key(500)), 500);
}
