//! Links and special files that someone put where files are read or written.

#![cfg(unix)]

mod folder;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use folder::{Folder, keys, stripped};
use statedict_checkpoint::{Checkpoint, Existing, Kind};

const INDEX: &str = "m.safetensors.index.json";

/// A file of one byte, and an index that leads to it under a name.
fn sharded(shard: &str) -> Folder {
    let folder = Folder::new();
    let header = br#"{"module.w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header, &[7]].concat();
    fs::create_dir(folder.at("outside")).expect("a folder");
    fs::write(folder.at("outside/w.safetensors"), bytes).expect("writable");
    fs::create_dir(folder.at("inside")).expect("a folder");
    let index = format!(r#"{{"weight_map":{{"module.w":"{shard}"}}}}"#);
    fs::write(folder.at("inside").join(INDEX), index).expect("writable");
    folder
}

/// Strips the prefix from the checkpoint in `inside`, into `out`; gives what went wrong.
fn strip(folder: &Folder, out: &str) -> Option<(Kind, String)> {
    let checkpoint = Checkpoint::open(&folder.at("inside")).expect("sharded");
    let rewritten = stripped(&checkpoint);
    let staged = checkpoint.stage(&rewritten, &folder.at(out), Existing::Replace);
    let failure = staged.and_then(|staged| staged.commit()).err()?;
    Some((failure.kind(), failure.to_string()))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.map(|entry| name(entry.expect("readable"))).collect();
    names.sort();
    names
}

#[test]
fn a_shard_that_is_a_link_is_read_and_what_it_leads_to_stays() {
    // As the cache of the Hugging Face hub keeps them.
    let folder = sharded("w.safetensors");
    let target = folder.at("outside/w.safetensors");
    symlink(&target, folder.at("inside/w.safetensors")).expect("a link");
    let before = fs::read(&target).expect("readable");
    assert_eq!(strip(&folder, "inside"), None);
    assert_eq!(keys(&folder.at("inside")), ["w"]);
    assert_eq!(fs::read(&target).expect("readable"), before);
    assert_eq!(names(&folder.at("outside")), ["w.safetensors"]);
    assert!(!folder.at("inside/w.safetensors").is_symlink(), "the link is not needed any more");
}

#[test]
fn no_shard_is_written_or_removed_through_a_link_to_a_folder() {
    let folder = sharded("sub/w.safetensors");
    symlink(folder.at("outside"), folder.at("inside/sub")).expect("a link");
    let (kind, said) = strip(&folder, "inside").expect("refused");
    assert_eq!(kind, Kind::Unsupported);
    assert!(said.contains("is a link, which would lead out of the folder"), "{said}");
    assert_eq!(names(&folder.at("outside")), ["w.safetensors"]);
    assert_eq!(keys(&folder.at("inside")), ["module.w"]);
}

#[test]
fn no_shard_is_written_through_a_link_that_waits_in_the_output() {
    let folder = sharded("sub/w.safetensors");
    fs::create_dir(folder.at("inside/sub")).expect("a folder");
    fs::rename(folder.at("outside/w.safetensors"), folder.at("inside/sub/w.safetensors"))
        .expect("movable");
    fs::create_dir(folder.at("out")).expect("a folder");
    symlink(folder.at("outside"), folder.at("out/sub")).expect("a link");
    let (kind, said) = strip(&folder, "out").expect("refused");
    assert_eq!(kind, Kind::Unsupported);
    assert!(said.contains("is a link"), "{said}");
    assert_eq!(names(&folder.at("outside")), [""; 0]);
}

#[test]
fn a_link_in_the_place_of_a_shard_is_not_followed() {
    let folder = sharded("w.safetensors");
    fs::rename(folder.at("outside/w.safetensors"), folder.at("inside/w.safetensors"))
        .expect("movable");
    fs::create_dir(folder.at("out")).expect("a folder");
    let precious = folder.file("precious", b"precious");
    for name in ["w.safetensors", INDEX] {
        symlink(&precious, folder.at("out").join(name)).expect("a link");
    }
    assert_eq!(strip(&folder, "out"), None);
    assert_eq!(keys(&folder.at("out")), ["w"]);
    assert_eq!(fs::read(&precious).expect("readable"), b"precious");
}

#[test]
fn sockets_are_neither_read_nor_replaced() {
    let folder = sharded("w.safetensors");
    fs::rename(folder.at("outside/w.safetensors"), folder.at("inside/w.safetensors"))
        .expect("movable");
    fs::create_dir(folder.at("out")).expect("a folder");
    let socket = folder.at("out/w.safetensors");
    let _listening = UnixListener::bind(&socket).expect("a socket");
    let (kind, said) = strip(&folder, "out").expect("refused");
    assert_eq!(kind, Kind::NotAFile);
    assert!(said.contains("is a socket; expected a file"), "{said}");
    assert_eq!(names(&folder.at("out")), ["w.safetensors"]);
    assert_eq!(Checkpoint::open(&socket).expect_err("refused").kind(), Kind::NotAFile);
}

#[test]
fn every_new_shard_has_the_mode_of_the_old() {
    let folder = sharded("w.safetensors");
    let shard = folder.at("inside/w.safetensors");
    fs::rename(folder.at("outside/w.safetensors"), &shard).expect("movable");
    fs::set_permissions(&shard, fs::Permissions::from_mode(0o640)).expect("mine");
    assert_eq!(strip(&folder, "out"), None);
    for name in names(&folder.at("out")) {
        let mode = fs::metadata(folder.at("out").join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
    }
}
