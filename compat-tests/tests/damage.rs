//! Every prefix and every changed byte of a small file of each kind: read or refused, soon and in
//! little memory, and what can be read can be renamed.
//!
//! In files of up to [`EVERY_VALUE`] bytes every byte takes all 255 other values. In longer ones it
//! takes up to twelve: each of its bits flipped, 0x00, 0xff, one more and one less.
//! Each prefix, and each file with all bits of one byte flipped, is checked as well.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use compat_tests::{Tally, Trial, processor_time, trial};
use statedict_checkpoint::{Checkpoint, check};
use statedict_core::{Plan, Verdict};
use tempfile::NamedTempFile;

/// The longest file whose bytes take every other value.
const EVERY_VALUE: usize = 512;

/// The most memory that one damaged file may take, in bytes.
const MEMORY: u64 = 64 << 20;

/// The longest that one damaged file may take of the processor, unoptimised.
const TIME: Duration = Duration::from_secs(1);

thread_local! {
    /// The file that this thread checks, again and again with other bytes in it.
    static FILE: NamedTempFile = NamedTempFile::new().expect("a file");
}

/// Puts a file through everything, and checks it: what is safe is never refused.
fn trial_and_check(bytes: &[u8]) -> Trial {
    let found = trial(bytes);
    let verdict = FILE.with(|file| {
        fs::write(file.path(), bytes).expect("writable");
        check(file.path()).expect("readable").verdict()
    });
    assert!(verdict != Verdict::Safe || found != Trial::Refused, "it is safe and cannot be read");
    found
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The files in a folder of fixtures, with their names.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("the fixtures are there");
    let paths = entries.map(|entry| entry.expect("readable").path()).filter(|path| path.is_file());
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut files: Vec<_> =
        paths.map(|path| (name(&path), fs::read(&path).expect("readable"))).collect();
    files.sort();
    files
}

/// The values that a byte takes instead of its own.
fn values(byte: u8, len: usize) -> BTreeSet<u8> {
    let mut values: BTreeSet<u8> = if len <= EVERY_VALUE {
        (0..=u8::MAX).collect()
    } else {
        let near = [0, u8::MAX, byte.wrapping_add(1), byte.wrapping_sub(1)];
        (0..8).map(|bit| byte ^ (1 << bit)).chain(near).collect()
    };
    values.remove(&byte);
    values
}

/// The file with every byte changed in turn; `try_out` gives what it made of each.
fn every_change(name: &str, bytes: &[u8], try_out: impl Fn(&[u8]) -> Trial + Sync) -> usize {
    let places = Mutex::new(0..bytes.len());
    let work = || {
        let (mut count, mut damaged) = (0, bytes.to_vec());
        loop {
            let Some(at) = places.lock().expect("no test panics with it").next() else {
                return count;
            };
            for value in values(bytes[at], bytes.len()) {
                damaged[at] = value;
                within_bounds(&format!("{name} with byte {at} {value:#04x}"), &damaged, &try_out);
                count += 1;
            }
            damaged[at] = bytes[at];
        }
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("bounds are kept")).sum()
    })
}

/// Tries out one file, and panics with its name if that takes too long or too much, or panics.
///
/// What takes long on the clock, which may be the machine's doing, is tried again and measured.
fn within_bounds(name: &str, bytes: &[u8], try_out: impl Fn(&[u8]) -> Trial) -> Trial {
    let (start, mut outcome) = (Instant::now(), None);
    let taken = allocation_counter::measure(|| {
        outcome = Some(catch_unwind(AssertUnwindSafe(|| try_out(bytes))));
    });
    assert!(taken.bytes_max < MEMORY, "{name} takes {} bytes", taken.bytes_max);
    if start.elapsed() >= TIME {
        let start = processor_time();
        let _ = catch_unwind(AssertUnwindSafe(|| try_out(bytes)));
        let time = processor_time() - start;
        assert!(time < TIME, "{name} takes {time:?}");
    }
    outcome.expect("it was tried").unwrap_or_else(|_| panic!("{name} breaks a promise"))
}

#[test]
fn the_files_themselves_are_renamed() {
    for (name, bytes) in files(&fixtures()) {
        let expected = match name.as_str() {
            // Names that code beside or behind them refers to.
            "module.pth" | "scripted.pt" => Trial::Listed,
            _ => Trial::Renamed,
        };
        assert_eq!(within_bounds(&name, &bytes, trial_and_check), expected, "{name}");
    }
}

#[test]
fn every_prefix_of_a_file_is_refused() {
    let mut tally = Tally::new();
    for (name, bytes) in files(&fixtures()) {
        for end in 0..bytes.len() {
            let found =
                within_bounds(&format!("{name} cut to {end}"), &bytes[..end], trial_and_check);
            let refused = matches!(found, Trial::Refused | Trial::Foreign);
            tally.note(&name, (!refused).then(|| format!("cut to {end} it is read")));
        }
    }
    tally.close("prefixes refused");
}

#[test]
fn every_changed_byte_of_a_file_is_noticed_or_harmless() {
    for (name, bytes) in files(&fixtures()) {
        let start = Instant::now();
        let count = every_change(&name, &bytes, trial);
        println!("{name}: {count} changes in {:?}", start.elapsed());
    }
}

#[test]
fn every_flipped_byte_of_a_file_can_be_checked() {
    for (name, bytes) in files(&fixtures()) {
        let mut damaged = bytes.clone();
        for at in 0..bytes.len() {
            damaged[at] = !bytes[at];
            within_bounds(&format!("{name} with byte {at} flipped"), &damaged, trial_and_check);
            damaged[at] = bytes[at];
        }
    }
}

#[test]
fn every_change_of_an_index_leads_to_its_shards_or_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "model.safetensors.index.json";
    for (name, bytes) in files(&fixtures().join("sharded")) {
        fs::write(folder.path().join(name), bytes).expect("writable");
    }
    let (path, index) = (folder.path().join(name), fs::read(fixtures().join("sharded").join(name)));
    let index = index.expect("readable");
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("writable");
        let Ok(checkpoint) = Checkpoint::open(&path) else { return Trial::Refused };
        assert_eq!(checkpoint.catalog().rows.len(), 2);
        Trial::Listed
    };
    for end in 0..index.len() {
        assert_eq!(within_bounds("a cut index", &index[..end], open), Trial::Refused, "{end}");
    }
    let mut damaged = index.clone();
    for at in 0..index.len() {
        for value in values(index[at], index.len()) {
            damaged[at] = value;
            within_bounds("a changed index", &damaged, open);
        }
        damaged[at] = index[at];
    }
}

#[test]
fn every_change_of_a_plan_is_a_plan_or_none() {
    let plan =
        br#"{"statedict_plan":1,"state_dicts":[{"at":"m","keys":[["a","\u0062"],["c",null]]}]}"#;
    let read = |bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Trial::Foreign };
        let Ok(plan) = Plan::from_json(text) else { return Trial::Refused };
        assert_eq!(Plan::from_json(&plan.to_json()).expect("its own text"), plan);
        Trial::Listed
    };
    assert_eq!(within_bounds("a plan", plan, read), Trial::Listed);
    for end in 0..plan.len() {
        assert_eq!(within_bounds("a cut plan", &plan[..end], read), Trial::Refused, "{end}");
    }
    every_change("a plan", plan, read);
}
