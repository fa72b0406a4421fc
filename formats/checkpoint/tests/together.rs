//! Several files that are edited in place together: which are, and what an interrupted edit is taken for.

#![cfg(unix)]

#[path = "crash/disk.rs"]
#[allow(dead_code, reason = "the tests of crashes use all of it")]
mod disk;
mod folder;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use disk::{Fault, Faulty, Known, Plain};
use folder::{Folder, keys, planned};
use statedict_checkpoint::{
    Checkpoint, Disk, Error, Interrupted, Journals, Kind, PrependSupport, WriteMethod, recover,
};
use statedict_core::Headroom;

const INDEX: &str = "m.safetensors.index.json";
const SHARDS: [&str; 2] = ["1.safetensors", "2.safetensors"];
const OLD: [&str; 2] = ["module.a", "module.b"];
const NEW: [&str; 2] = ["a", "b"];

/// Two shards of a byte each, with their index.
fn sharded() -> Folder {
    let folder = Folder::new();
    for ((name, key), value) in SHARDS.iter().zip(OLD).zip([1u8, 2]) {
        let header = format!(r#"{{"{key}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
        let len = (header.len() as u64).to_le_bytes();
        folder.file(name, &[&len[..], header.as_bytes(), &[value]].concat());
    }
    let index = r#"{"weight_map":{"module.a":"1.safetensors","module.b":"2.safetensors"}}"#;
    folder.file(INDEX, index.as_bytes());
    folder
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(Plain::new(PrependSupport::Copy).known(Known::ByMachine))
}

/// Takes the prefix of all keys away.
fn strip(folder: &Path, disk: Arc<dyn Disk>) -> Result<WriteMethod, Error> {
    let checkpoint = Checkpoint::open_to_replace(folder, disk)?;
    Ok(checkpoint.rename(&planned(&checkpoint), Headroom::Bytes(0))?.way)
}

/// The same, stopped as soon as the folder is what is asked for.
fn stopped_when(is_wanted: impl Fn(&Folder) -> bool) -> Folder {
    for at in 0.. {
        let (folder, disk) = (sharded(), Faulty::new(disk(), Fault::Stop, at));
        let stopped = strip(folder.path(), disk);
        if is_wanted(&folder) {
            stopped.expect_err("it did not end");
            return folder;
        }
        assert!(stopped.is_err(), "it ended before the folder was what is asked for");
    }
    unreachable!("it ends")
}

/// True if a file begins as no checkpoint does.
fn is_guarded(folder: &Folder, name: &str) -> bool {
    fs::read(folder.at(name)).expect("readable").starts_with(b"\xffEDITING")
}

/// All shards are written, and the index is the old one.
fn undecided() -> Folder {
    stopped_when(|folder| SHARDS.iter().all(|name| is_guarded(folder, name)))
}

/// The index is the new one, and no shard is whole yet.
fn decided() -> Folder {
    let is_new =
        |folder: &Folder| !fs::read_to_string(folder.at(INDEX)).expect("a text").contains("module");
    stopped_when(is_new)
}

fn inodes(folder: &Folder) -> Vec<u64> {
    SHARDS.iter().map(|name| fs::metadata(folder.at(name)).expect("there").ino()).collect()
}

#[test]
fn shards_stay_the_same_files() {
    let folder = sharded();
    let before = inodes(&folder);
    assert_eq!(strip(folder.path(), disk()).expect("edited"), WriteMethod::InPlace);
    assert_eq!(keys(folder.path()), NEW);
    assert_eq!(inodes(&folder), before);
    assert_eq!(folder.names(), [SHARDS[0], SHARDS[1], INDEX]);
}

#[test]
fn a_shard_that_has_other_names_is_replaced() {
    let folder = sharded();
    let other = folder.at("other");
    fs::hard_link(folder.at(SHARDS[1]), &other).expect("one file system");
    let before = fs::read(&other).expect("readable");
    assert_eq!(strip(folder.path(), disk()).expect("replaced"), WriteMethod::Replaced);
    assert_eq!(keys(folder.path()), NEW);
    assert_eq!(fs::read(&other).expect("readable"), before);
}

#[test]
fn a_shard_that_is_elsewhere_is_replaced() {
    let (folder, other) = (sharded(), Folder::new());
    let elsewhere = other.at("blob");
    fs::rename(folder.at(SHARDS[0]), &elsewhere).expect("one file system");
    std::os::unix::fs::symlink(&elsewhere, folder.at(SHARDS[0])).expect("a link");
    let before = fs::read(&elsewhere).expect("readable");
    assert_eq!(strip(folder.path(), disk()).expect("replaced"), WriteMethod::Replaced);
    assert_eq!(keys(folder.path()), NEW);
    assert_eq!(fs::read(&elsewhere).expect("readable"), before);
}

#[test]
fn until_the_index_is_replaced_all_are_old_and_then_all_are_new() {
    let folder = undecided();
    assert_eq!(keys(folder.path()), OLD);
    for (name, key) in SHARDS.iter().zip(OLD) {
        assert_eq!(keys(&folder.at(name)), [key]);
    }
    let folder = decided();
    let checkpoint = Checkpoint::open(folder.path()).expect("readable");
    let found = checkpoint.interrupted();
    assert!(
        matches!(found, [Interrupted::Decided { .. }, Interrupted::Decided { .. }]),
        "{found:?}"
    );
    assert_eq!(keys(folder.path()), NEW);
    for (name, key) in SHARDS.iter().zip(NEW) {
        assert_eq!(keys(&folder.at(name)), [key]);
    }
}

#[test]
fn recovering_one_shard_recovers_that_to_what_all_are() {
    let folder = undecided();
    let found = recover(&folder.at(SHARDS[0]), Journals::Own).expect("recovered");
    assert!(matches!(&found[..], [Interrupted::Restored { .. }]), "{found:?}");
    assert_eq!(keys(folder.path()), OLD);
    let folder = decided();
    let found = recover(&folder.at(SHARDS[0]), Journals::Own).expect("recovered");
    assert!(matches!(&found[..], [Interrupted::Finished { .. }]), "{found:?}");
    assert_eq!(keys(folder.path()), NEW);
}

#[test]
fn recovering_the_folder_recovers_all() {
    for (folder, expected) in [(undecided(), OLD), (decided(), NEW)] {
        assert_eq!(recover(folder.path(), Journals::Own).expect("recovered").len(), 2);
        assert_eq!(keys(folder.path()), expected);
        assert_eq!(folder.names(), [SHARDS[0], SHARDS[1], INDEX]);
        assert_eq!(recover(folder.path(), Journals::Own).expect("nothing to do"), []);
    }
}

#[test]
fn who_opens_it_to_replace_it_makes_all_whole_first() {
    for (folder, expected) in [(undecided(), OLD), (decided(), NEW)] {
        let checkpoint = Checkpoint::open_to_replace(folder.path(), disk()).expect("readable");
        assert_eq!(checkpoint.interrupted().len(), 2);
        assert_eq!(folder.names(), [SHARDS[0], SHARDS[1], INDEX]);
        drop(checkpoint);
        assert_eq!(keys(folder.path()), expected);
    }
}

#[test]
fn an_index_that_was_changed_since_decides_nothing() {
    for folder in [undecided(), decided()] {
        let index = folder.at(INDEX);
        let changed = fs::read_to_string(&index).expect("a text") + " ";
        fs::write(&index, changed).expect("writable");
        let error = recover(folder.path(), Journals::Own).expect_err("nothing says which");
        assert_eq!(error.kind(), Kind::Journal);
        assert!(error.to_string().contains("decides, which was changed since"), "{error}");
        Checkpoint::open(folder.path()).expect_err("the shards are neither old nor new");
        assert!(is_guarded(&folder, SHARDS[0]) && is_guarded(&folder, SHARDS[1]));
    }
}

#[test]
fn a_shard_that_was_changed_since_it_was_read_is_not_edited() {
    let folder = sharded();
    let checkpoint = Checkpoint::open_to_replace(folder.path(), disk()).expect("a checkpoint");
    let plan = planned(&checkpoint);
    let shard = folder.at(SHARDS[1]);
    let longer = [fs::read(&shard).expect("readable"), vec![0]].concat();
    fs::write(&shard, &longer).expect("writable");
    checkpoint.rename(&plan, Headroom::Bytes(0)).expect_err("it is another file now");
    assert_eq!(fs::read(&shard).expect("readable"), longer);
    assert_eq!(folder.names(), [SHARDS[0], SHARDS[1], INDEX]);
    assert!(!is_guarded(&folder, SHARDS[0]));
}
