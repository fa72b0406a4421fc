//! What is opened, and how the rest is named.

mod folder;

use std::path::Path;

use folder::Folder;
use statedict_checkpoint::{Checkpoint, Kind};

/// A file's bytes, and the kind and end of the error that opening it gives.
fn check(bytes: &[u8], kind: Kind, expected: &str) {
    let folder = Folder::new();
    let path = folder.file("model.safetensors", bytes);
    let error = Checkpoint::open(&path).expect_err("refused");
    assert_eq!(error.path(), path);
    assert_eq!(error.kind(), kind);
    let text = error.to_string();
    assert_eq!(text, format!("cannot read '{}': {expected}", path.display()));
    assert!(!text.contains('\n'));
}

#[test]
fn a_checkpoint_tells_what_it_is() {
    let folder = Folder::new();
    let checkpoint = folder.checkpoint();
    assert_eq!(checkpoint.kind(), "safetensors");
    assert_eq!(checkpoint.format().name(), "safetensors");
    assert_eq!(checkpoint.len(), 8 + 60 + 3);
    assert_eq!(checkpoint.path(), folder.at("in.safetensors"));
    let row = &checkpoint.catalog().rows[0];
    let hash = checkpoint.sha256(&row.tensor).expect("readable").expect("plain elements");
    assert_eq!(hash[..4], [0x66, 0xa6, 0x75, 0x71]);
}

#[test]
fn files_that_are_not_checkpoints_are_named_for_what_they_are() {
    check(b"", Kind::Malformed, "the file is empty");
    check(b"<html>", Kind::Foreign, "it is an HTML page: the download gave a page, not the file");
    check(
        b"\x10\0\0",
        Kind::Foreign,
        "a safetensors file begins with 8 bytes of header length, and this one has 3",
    );
    check(
        b"\xff\0\0\0\0\0\0\0{}",
        Kind::Malformed,
        "at byte 0: header length 255 exceeds the file's 10 bytes",
    );
}

#[test]
fn what_is_not_a_file_is_not_opened() {
    let message = |path: &Path| Checkpoint::open(path).expect_err("refused").to_string();
    assert_eq!(message(Path::new("no such")), "cannot read 'no such': no such file or directory");
    let empty = tempfile::tempdir().expect("a folder");
    assert!(message(empty.path()).ends_with("it is a folder without checkpoints"));
}
