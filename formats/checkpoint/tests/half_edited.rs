//! `check` of files with a journal next to them, which a stranger may have put there.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};
use statedict_checkpoint::{Checkpoint, Kind, check};
use statedict_core::Verdict;

const HARMLESS: &[u8] = b"\x80\x02N.000000000000000";
const HARMFUL: &[u8] = b"\x80\x02cposix\nsystem\n)R.";

/// The journal of an edit that makes all bytes of one file those of another as long.
fn journal(name: &str, old: &[u8], new: &[u8]) -> Vec<u8> {
    let number = |number: usize| (number as u64).to_le_bytes();
    let head = [
        &1u32.to_le_bytes()[..],
        &(name.len() as u32).to_le_bytes(),
        name.as_bytes(),
        &number(old.len()),
        &number(new.len()),
        &number(0),
        // Both ends of so short a file are all of it.
        &Sha256::digest([old, old].concat()),
        &number(1),
        &number(0),
        &number(new.len()),
    ]
    .concat();
    let version = 1u32.to_le_bytes();
    let start = [&b"statedict edit\r\n"[..], &version, &number(head.len())].concat();
    let all = [&start[..], &head, old, new].concat();
    let sum = Sha256::digest(&all);
    [&all[..], &sum].concat()
}

fn written(folder: &Path, journal: &[u8]) -> std::path::PathBuf {
    let file = folder.join("x.pkl");
    fs::write(&file, HARMFUL).expect("writable");
    fs::write(folder.join(".x.pkl.statedict-journal"), journal).expect("writable");
    file
}

#[test]
fn a_journal_does_not_hide_what_is_in_the_file() {
    assert_eq!(HARMLESS.len(), HARMFUL.len());
    let folder = tempfile::tempdir().expect("a folder");
    let file = written(folder.path(), &journal("x.pkl", HARMLESS, HARMFUL));
    let checked = check(&file).expect("readable");
    let found: Vec<&str> = checked.findings.iter().map(|finding| &*finding.what).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0], "calls posix.system()");
    assert!(found[1].ends_with("whose journals do not say whose they are"), "{found:?}");
    let error = Checkpoint::open(&file).expect_err("refused");
    assert_eq!(error.kind(), Kind::UntrustedJournal);
}

#[test]
fn what_is_not_a_journal_of_the_file_is_a_note() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = written(folder.path(), &journal("y.pkl", HARMLESS, HARMFUL));
    fs::write(&file, HARMLESS).expect("writable");
    let checked = check(&file).expect("readable");
    let journal = |note: &&statedict_core::Finding| note.what.contains("journal");
    let journals = checked.notes.iter().filter(journal).count();
    assert_eq!((checked.verdict(), journals), (Verdict::Safe, 1), "{:?}", checked.notes);
}
