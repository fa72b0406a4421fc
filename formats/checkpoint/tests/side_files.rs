//! What is next to the weights of a model: carried wholly, or nothing of it.

#![cfg(unix)]

#[path = "crash/disk.rs"]
#[allow(dead_code, reason = "the tests of crashes use all of it")]
mod disk;
mod folder;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use disk::{Fault, Faulty, Plain};
use folder::{Folder, keys, stripped};
use statedict_checkpoint::{Checkpoint, Disk, Error, Existing, PrependSupport};

const SIDE_FILES: [(&str, &str); 3] =
    [("config.json", "{}"), ("sub/inner/words.txt", "words"), ("vocab.txt", "")];

/// A folder `m` with a model's file and what is next to it.
fn model() -> Folder {
    let folder = Folder::new();
    let checkpoint = folder.checkpoint();
    fs::create_dir_all(folder.at("m/sub/inner")).expect("a folder");
    fs::rename(checkpoint.path(), folder.at("m/model.safetensors")).expect("movable");
    for (name, text) in SIDE_FILES {
        folder.file(&format!("m/{name}"), text.as_bytes());
    }
    folder
}

/// Writes the model without its prefix into another folder.
fn carry(folder: &Folder, disk: Arc<dyn Disk>) -> Result<(), Error> {
    let checkpoint = Checkpoint::open(&folder.at("m")).expect("a model").on_disk(disk);
    let rewritten = stripped(&checkpoint).in_folder("model.safetensors".into());
    let sides = checkpoint.side_files().expect("readable");
    let out = folder.at("out");
    checkpoint.stage_model(&rewritten, &sides, &out, Existing::Refuse)?.commit()
}

fn is_complete(out: &Path) -> bool {
    let is_carried = |(name, text): (&str, &str)| {
        fs::read(out.join(name)).is_ok_and(|carried| carried == text.as_bytes())
    };
    SIDE_FILES.into_iter().all(is_carried) && keys(&out.join("model.safetensors")) == ["w"]
}

/// Does it with a fault at each call in turn, and gives how many calls there are.
fn disturbed(fault: Fault, check: impl Fn(usize, &Path, Result<(), Error>)) -> usize {
    let folder = model();
    let plain: Arc<dyn Disk> = Arc::new(Plain::new(PrependSupport::Copy));
    let mut at = 0;
    loop {
        let disk = Faulty::new(plain.clone(), fault, at);
        let result = carry(&folder, disk.clone());
        let out = folder.at("out");
        check(at, &out, result);
        if !disk.struck() {
            assert!(is_complete(&out));
            return at;
        }
        let _ = fs::remove_dir_all(&out);
        at += 1;
    }
}

#[test]
fn after_an_error_at_any_call_there_is_all_of_a_new_folder_or_nothing() {
    const EIO: i32 = 5;
    let calls = disturbed(Fault::Fail(EIO), |at, out, result| {
        assert!(!out.exists() || is_complete(out), "call {at}: {result:?}");
        assert!(result.is_err() || is_complete(out), "call {at}");
    });
    assert!(calls > 20, "{calls} calls");
}

#[test]
fn weights_come_after_what_is_next_to_them() {
    disturbed(Fault::Stop, |at, out, _| {
        assert!(!out.join("model.safetensors").exists() || is_complete(out), "call {at}");
    });
}
