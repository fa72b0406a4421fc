//! An archive of any bytes, held against the `zip` crate.
//!
//! Differences that are accepted: the crate reads more archives than we do (it looks for a directory
//! further up, and repairs offsets), keeps one entry of each name, and checks what a member's
//! local header says only when it is read.
//! What both read is the same: names, sizes, and bytes where both say they are sound.
#![no_main]

#[path = "mutators/files.rs"]
mod mutators;

use std::io::{Cursor, Read};

use compat_tests::mutation::{Swarm, mutate_file};
use statedict_zip::{Archive, Entry, Method};
use zip::ZipArchive;

/// The longest member that is read by both.
const MAX_MEMBER: u64 = 1 << 20;

const SWARM: Swarm = Swarm { size: 8, mutate: mutate_file };

libfuzzer_sys::fuzz_target!(init: SWARM.announce(), |file: &[u8]| {
    SWARM.each(file, judge);
});

/// What we read of an archive is in the file, and what the crate reads.
fn judge(file: &[u8]) {
    let Ok(Some(ours)) = Archive::open(&file) else { return };
    let located: Vec<_> = ours.entries().iter().map(|entry| entry.locate(&file)).collect();
    for range in located.iter().flatten().map(|located| &located.data) {
        assert!(range.start <= range.end && range.end <= file.len() as u64);
    }
    let Ok(mut theirs) = ZipArchive::new(Cursor::new(file)) else { return };
    for entry in ours.entries() {
        let is_plain = matches!(entry.method(), Method::Stored | Method::Deflated);
        let is_alone = ours.entries().iter().filter(|e| e.name() == entry.name()).count() == 1;
        if is_plain && is_alone && entry.size() <= MAX_MEMBER {
            compare(entry, file, &mut theirs);
        }
    }
}

/// Where both read a member, they read the same.
fn compare(entry: &Entry, file: &[u8], theirs: &mut ZipArchive<Cursor<&[u8]>>) {
    let ours = entry.read(&file, MAX_MEMBER);
    let Ok(mut member) = theirs.by_name(entry.name()) else { return };
    let mut content = Vec::new();
    let read = member.by_ref().take(MAX_MEMBER + 1).read_to_end(&mut content);
    if let (Ok(ours), Ok(_)) = (ours, read)
        && member.header_start() == entry.header_offset()
    {
        assert_eq!(ours, content, "member '{}'", entry.name());
    }
}
