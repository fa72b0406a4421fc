//! Who may read and who may edit a file at the same time, and what is left of an interrupted edit.

#![cfg(unix)]

#[path = "crash/disk.rs"]
#[allow(dead_code, reason = "the tests of crashes use all of it")]
mod disk;
mod folder;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use disk::{Fault, Faulty, Known, Patience, Plain};
use folder::{Folder, keys};
use statedict_checkpoint::{
    Access, Checkpoint, Disk, Error, Interrupted, Journals, Kind, PrependSupport, System,
    WriteMethod, recover,
};
use statedict_core::{Headroom, Plan, Policy, plan};

/// A safetensors file of one tensor, and as many spaces in its header as asked for.
fn file(folder: &Folder, name: &str, key: &str, room: usize) -> PathBuf {
    let header = format!(r#"{{"{key}":{{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}}}"#);
    let header = header.clone() + &" ".repeat(room);
    let len = (header.len() as u64).to_le_bytes();
    folder.file(name, &[&len, header.as_bytes(), &[7, 8, 9]].concat())
}

fn planned(checkpoint: &Checkpoint, rule: &str) -> Plan {
    let catalog = checkpoint.catalog();
    let rules = [rule.parse().expect("a rule")];
    let selected = catalog.select(None).expect("one");
    plan(&rules, catalog, &selected, Policy::default()).expect("a plan").plan
}

fn edit(path: &Path, rule: &str) -> Result<WriteMethod, Error> {
    edit_on(path, rule, Arc::new(System))
}

/// Edits a file once the others have released it, however long that takes; each wait is reported.
fn edit_patiently(path: &Path, rule: &str, waits: mpsc::Sender<()>) -> Result<WriteMethod, Error> {
    edit_on(path, rule, Arc::new(Plain::waiting(Patience::Endless(waits))))
}

fn edit_on(path: &Path, rule: &str, disk: Arc<dyn Disk>) -> Result<WriteMethod, Error> {
    let checkpoint = Checkpoint::open_to_replace(path, disk)?;
    let plan = planned(&checkpoint, rule);
    Ok(checkpoint.rename(&plan, Headroom::Bytes(0))?.way)
}

/// Strips the prefix from a file with its key, and stops right after the guard is written.
fn cut_short(path: &Path) {
    let plain: Arc<dyn Disk> = Arc::new(Plain::new(PrependSupport::Copy).known(Known::ByMachine));
    for at in 0.. {
        let disk = Faulty::new(plain.clone(), Fault::Stop, at);
        edit_on(path, "strip:module", disk).expect_err("stopped");
        if fs::read(path).expect("readable").starts_with(b"\xffEDITING") {
            return;
        }
        recover(path, Journals::Own).expect("recovered");
    }
}

#[test]
fn an_edit_waits_for_those_who_read() {
    let folder = Folder::new();
    let path = file(&folder, "m.safetensors", "module.w", 0);
    let reader = Checkpoint::open(&path).expect("a checkpoint");
    let is_read = AtomicBool::new(true);
    let (waits, waiting) = mpsc::channel();
    thread::scope(|scope| {
        let editor = scope.spawn(|| {
            let way = edit_patiently(&path, "strip:module", waits);
            assert!(!is_read.load(Ordering::SeqCst), "edited while it was read");
            way
        });
        waiting.recv().expect("the editor waits");
        assert_eq!(reader.catalog().rows[0].key.as_str(), "module.w");
        is_read.store(false, Ordering::SeqCst);
        drop(reader);
        assert_eq!(editor.join().expect("no panic").expect("edited"), WriteMethod::InPlace);
    });
    assert_eq!(keys(&path), ["w"]);
}

#[test]
fn who_has_a_file_too_long_keeps_it() {
    let folder = Folder::new();
    let path = file(&folder, "m.safetensors", "module.w", 0);
    let _reader = Checkpoint::open(&path).expect("a checkpoint");
    let disk = Arc::new(Plain::waiting(Patience::None));
    let error = edit_on(&path, "strip:module", disk).expect_err("in use");
    assert_eq!(error.kind(), Kind::InUse);
    assert!(error.to_string().ends_with("another process is reading or editing it"), "{error}");
}

#[test]
fn editors_at_once_come_one_after_the_other() {
    let folder = Folder::new();
    let path = file(&folder, "m.safetensors", "w", 400);
    let names = ["a", "b", "c", "d", "e", "f"];
    let (waits, _waiting) = mpsc::channel();
    thread::scope(|scope| {
        for name in names {
            let (path, waits) = (&path, waits.clone());
            scope.spawn(move || {
                edit_patiently(path, &format!("add:{name}"), waits).expect("edited")
            });
        }
    });
    let key = keys(&path).remove(0);
    let mut added: Vec<&str> = key.strip_suffix(".w").expect("the tensor").split('.').collect();
    added.sort_unstable();
    assert_eq!(added, names);
    assert_eq!(folder.names(), ["m.safetensors"]);
}

#[test]
fn an_edit_cut_short_is_undone_by_the_next() {
    let folder = Folder::new();
    let path = file(&folder, "m.safetensors", "module.w", 0);
    let before = fs::read(&path).expect("readable");
    cut_short(&path);
    let checkpoint = Checkpoint::open(&path).expect("read through the journal");
    assert_eq!(checkpoint.interrupted(), [Interrupted::Pending { file: path.clone() }]);
    assert_eq!(checkpoint.catalog().rows[0].key.as_str(), "module.w");
    drop(checkpoint);
    let restored = recover(&path, Journals::Own).expect("recovered");
    assert!(matches!(&restored[..], [Interrupted::Restored { .. }]), "{restored:?}");
    assert_eq!(fs::read(&path).expect("readable"), before);
    assert_eq!(recover(&path, Journals::Own).expect("nothing to do"), []);
}

#[cfg(target_os = "linux")]
#[test]
fn inserting_that_the_file_system_did_not_finish_is_undone() {
    const LEN: usize = 300_000;
    let folder = Folder::new();
    let header = format!(r#"{{"w":{{"dtype":"U8","shape":[{LEN}],"data_offsets":[0,{LEN}]}}}}"#);
    let data: Vec<u8> = (0..LEN).map(|i| (i % 251 + 1) as u8).collect();
    let start = (header.len() as u64).to_le_bytes();
    let before = [&start[..], header.as_bytes(), &data].concat();
    let path = folder.file("m.safetensors", &before);
    let PrependSupport::Insert { block } = System.front(&fs::File::open(&path).expect("there"))
    else {
        println!("skipped: nothing can be inserted on this file system");
        return;
    };
    let blocks = before.len() as u64 / block;
    for number in [1, 2, blocks / 2, blocks - 1, blocks, blocks + 1] {
        fs::write(&path, &before).expect("room");
        let plain = Plain::new(PrependSupport::Insert { block }).known(Known::ByMachine);
        let plain: Arc<dyn Disk> = Arc::new(plain);
        // The journal is whole then, the guard is written, and nothing is inserted yet.
        let disk = Faulty::new(plain, Fault::Stop, 7);
        edit_on(&path, "add:wrapped.by.something.longer", disk.clone()).expect_err("stopped");
        assert_eq!(disk.where_it_struck(), "insert");
        // Only the last blocks have moved, or none: the file is but longer.
        let file = System.open(&path).expect("writable");
        System.sync(&file).expect("synced");
        if number > blocks {
            System.set_len(&file, before.len() as u64 + block).expect("longer")
        } else {
            System.insert(&file, number * block, block).expect("inserted")
        }
        assert_eq!(keys(&path), ["w"]);
        recover(&path, Journals::Own).expect("recovered");
        assert!(fs::read(&path).expect("readable") == before, "block {number}");
    }
    assert_eq!(folder.names(), ["m.safetensors"]);
}

#[test]
fn a_file_moved_away_from_its_journal_is_called_what_it_is() {
    let folder = Folder::new();
    let path = file(&folder, "m.safetensors", "module.w", 0);
    cut_short(&path);
    let moved = folder.at("moved.safetensors");
    fs::rename(&path, &moved).expect("movable");
    let error = Checkpoint::open(&moved).expect_err("refused");
    assert_eq!(error.kind(), Kind::Foreign);
    assert!(error.to_string().contains("editing in place was interrupted"), "{error}");
}

#[test]
fn a_journal_is_not_trusted_beside_a_copy_of_its_file() {
    let folder = Folder::new();
    let path = file(&folder, "m.safetensors", "module.w", 0);
    let before = fs::read(&path).expect("readable");
    cut_short(&path);
    let journal = folder.at(".m.safetensors.statedict-journal");
    let copy = folder.at("copied/m.safetensors");
    fs::create_dir(folder.at("copied")).expect("room");
    fs::copy(&path, &copy).expect("room");
    fs::copy(journal, folder.at("copied/.m.safetensors.statedict-journal")).expect("room");
    let error = Checkpoint::open(&copy).expect_err("not trusted");
    assert_eq!(error.kind(), Kind::UntrustedJournal);
    assert!(error.to_string().contains("written for another file"), "{error}");
    let error = edit(&copy, "strip:module").expect_err("not trusted");
    assert_eq!(error.kind(), Kind::UntrustedJournal);
    let error = recover(&copy, Journals::Own).expect_err("not trusted");
    assert_eq!(error.kind(), Kind::UntrustedJournal);
    let restored = recover(&copy, Journals::Any).expect("recovered");
    assert!(matches!(&restored[..], [Interrupted::Restored { .. }]), "{restored:?}");
    assert_eq!(fs::read(&copy).expect("readable"), before);
}

#[test]
fn a_file_moved_along_with_its_journal_is_read_through_it() {
    let folder = Folder::new();
    let path = file(&folder, "m.safetensors", "module.w", 0);
    cut_short(&path);
    fs::create_dir(folder.at("moved")).expect("room");
    let moved = folder.at("moved/m.safetensors");
    for name in ["m.safetensors", ".m.safetensors.statedict-journal"] {
        fs::rename(folder.at(name), folder.at("moved").join(name)).expect("movable");
    }
    assert_eq!(keys(&moved), ["module.w"]);
}

#[test]
fn who_has_another_secret_or_none_does_not_trust_the_journal() {
    let folder = Folder::new();
    let path = file(&folder, "m.safetensors", "module.w", 0);
    cut_short(&path);
    for secret in [Some([1; 32]), None] {
        let disk = Arc::new(Plain::new(PrependSupport::Copy).known(Known::BySecret(secret)));
        let error = Checkpoint::open_on(&path, disk).expect_err("not trusted");
        assert_eq!(error.kind(), Kind::UntrustedJournal);
        assert!(error.to_string().contains("not written by this user"), "{error}");
    }
    assert_eq!(keys(&path), ["module.w"]);
}

#[test]
fn who_can_keep_no_secret_gets_a_new_file() {
    let folder = Folder::new();
    let path = file(&folder, "m.safetensors", "module.w", 0);
    let disk = Arc::new(Plain::new(PrependSupport::Copy).known(Known::BySecret(None)));
    assert_eq!(edit_on(&path, "strip:module", disk).expect("replaced"), WriteMethod::Replaced);
    assert_eq!((keys(&path), folder.names()), (vec!["w".into()], vec!["m.safetensors".into()]));
}

#[test]
fn a_journal_that_is_damaged_is_not_thrown_away() {
    let folder = Folder::new();
    let path = file(&folder, "m.safetensors", "module.w", 0);
    cut_short(&path);
    let journal = folder.at(".m.safetensors.statedict-journal");
    let mut bytes = fs::read(&journal).expect("readable");
    bytes.truncate(bytes.len() - 1);
    fs::write(&journal, bytes).expect("room");
    let error = recover(&path, Journals::Own).expect_err("it holds the only old bytes");
    assert_eq!(error.kind(), Kind::Journal);
    assert!(journal.exists());
}

#[test]
fn a_shard_whose_editing_was_cut_short_is_restored_before_all_are_edited() {
    let folder = Folder::new();
    let shard = file(&folder, "1.safetensors", "module.w", 0);
    let index = r#"{"weight_map":{"module.w":"1.safetensors"}}"#;
    folder.file("m.safetensors.index.json", index.as_bytes());
    cut_short(&shard);
    assert_eq!(edit(folder.path(), "strip:module").expect("edited"), WriteMethod::InPlace);
    assert_eq!(folder.names(), ["1.safetensors", "m.safetensors.index.json"]);
    assert_eq!(keys(folder.path()), ["w"]);
}

#[test]
fn a_new_file_is_its_makers_alone_until_it_has_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let made = System.create(&folder.at("new"), Access::Private).expect("made");
    let mode = made.metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
