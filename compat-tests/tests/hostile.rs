//! A second set of files that mean harm or look as if they did, where there is one.
//!
//! `STATEDICT_CORPUS` names a folder with `hostile2/manifest.tsv`, which says what each file is, and
//! `hostile2/mutants/manifest.tsv`, damaged real files.
//! Each file is judged by `check`, listed by `ls --hash` against what weights-only PyTorch loads,
//! and both within bounds of processor time and memory.
//! Without the set these tests say so and pass.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use compat_tests::{Loaded, Loaders, Measured, Meter, Tally, tensor_rows, text};
use serde_json::Value;

/// Processor time for each megabyte of a file, begun ones included.
const TIME_PER_MEGABYTE: Duration = Duration::from_secs(2);

/// Processor time that no file below 100 MB may take.
const MOST_TIME: Duration = Duration::from_secs(10);

/// Memory beside the size of the file, in bytes.
const MEMORY: u64 = 64 << 20;

/// When a run is killed, which is far beyond what it may take, on a machine that has more to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// An honest file that the manifest calls safe, and that no PyTorch loads: protocol 0 writes the
/// persistent ids of storages as text, which both of its unpicklers refuse.
const NOBODY_LOADS: &str = "ok_protocol_0.pth";

fn set() -> Option<PathBuf> {
    let named = env::var_os("STATEDICT_CORPUS").filter(|folder| !folder.is_empty());
    let set = named.map(|folder| Path::new(&folder).join("hostile2"));
    let set = set.filter(|set| set.join("manifest.tsv").is_file());
    if set.is_none() {
        println!("skipped: STATEDICT_CORPUS names no folder with hostile2/manifest.tsv");
    }
    set
}

/// A line of a manifest.
struct Case {
    file: PathBuf,
    class: String,
    expected: String,
}

/// The lines of a manifest, which has these columns for class and verdict.
fn cases(manifest: &Path, class: usize, expected: usize) -> Vec<Case> {
    let folder = manifest.parent().expect("a manifest is in a folder");
    let lines = fs::read_to_string(manifest).expect("a manifest");
    let case = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let column = |number: usize| columns.get(number).expect("a column").to_string();
        Case { file: folder.join(column(0)), class: column(class), expected: column(expected) }
    };
    lines.lines().skip(1).map(case).collect()
}

impl Case {
    fn name(&self) -> String {
        let folder = self.file.parent().and_then(Path::file_name).unwrap_or_default();
        let file = self.file.file_name().unwrap_or_default();
        format!("{}/{}", folder.display(), file.display())
    }

    /// Why the verdict is wrong, if it is.
    fn misjudged(&self, verdict: &str, report: &Value) -> Option<String> {
        let is_right = match (self.class.as_str(), self.expected.as_str()) {
            _ if self.file.ends_with(NOBODY_LOADS) => verdict == "malformed",
            ("unknown", _) => verdict == "unknown",
            (_, "not-safe") => verdict != "safe",
            (_, "any" | "wrong-data") => true,
            (_, expected) => verdict == expected,
        };
        let expected = format!("{} of class {}", self.expected, self.class);
        (!is_right).then(|| format!("expected {expected}, found {verdict}: {report}"))
    }
}

/// What a check says, or why it says nothing.
fn report(measured: &Measured) -> Result<Value, String> {
    let run = &measured.run;
    let report: Value = serde_json::from_str(run.stdout.lines().next().unwrap_or_default())
        .map_err(|_| format!("exit {:?}: {}", run.status, run.stderr))?;
    let status = match report["verdict"].as_str() {
        Some("safe") => 0,
        Some("dangerous" | "unknown") => 1,
        _ => 2,
    };
    let is_right = run.status == Some(status);
    is_right.then_some(report.clone()).ok_or(format!("exit {:?}: {report}", run.status))
}

/// What a run took too much of, if it did.
fn unbounded(measured: &Measured, file: &Path) -> Option<String> {
    let len = fs::metadata(file).map_or(0, |metadata| metadata.len());
    let megabytes = u32::try_from(len.div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1);
    let most_time = TIME_PER_MEGABYTE.saturating_mul(megabytes).min(MOST_TIME);
    let most_memory = MEMORY + len;
    let Measured { time, peak, .. } = measured;
    (*time > most_time || *peak > most_memory)
        .then(|| format!("{time:?} of {most_time:?}, {} of {} MiB", peak >> 20, most_memory >> 20))
}

/// Why a listing is not what PyTorch loads, if it is neither that nor a refusal.
fn other_data(listing: &Measured, loaded: &Loaded) -> Option<String> {
    let run = &listing.run;
    if run.status != Some(0) {
        return run.impolite(2);
    }
    let Loaded::Tensors(expected) = loaded else { return None };
    let listing: Value = serde_json::from_str(&run.stdout).ok()?;
    let found = tensor_rows(&listing["tensors"]);
    (&found != expected).then(|| format!("PyTorch loads {expected:?}, ls lists {found:?}"))
}

fn judge(manifest: &Path, cases: &[Case]) {
    let set = manifest.parent().and_then(Path::file_name).unwrap_or_default();
    let files: Vec<PathBuf> = cases.iter().map(|case| case.file.clone()).collect();
    let loaded = Loaders::start().load(&files);
    let mut meter = Meter::start();
    let (mut verdicts, mut data, mut bounds) = (Tally::new(), Tally::new(), Tally::new());
    for (case, loaded) in cases.iter().zip(&loaded) {
        let name = case.name();
        let words: [&OsStr; 3] = ["check".as_ref(), "--json".as_ref(), case.file.as_os_str()];
        let checked = meter.run(PATIENCE, &words);
        bounds.note(format!("check {name}"), unbounded(&checked, &case.file));
        let problem = match report(&checked) {
            Ok(report) => case.misjudged(&text(&report["verdict"]), &report),
            Err(problem) => Some(problem),
        };
        verdicts.note(&name, problem);
        let words: [&OsStr; 4] =
            ["ls".as_ref(), "--json".as_ref(), "--hash".as_ref(), case.file.as_os_str()];
        let listing = meter.run(PATIENCE, &words);
        bounds.note(format!("ls {name}"), unbounded(&listing, &case.file));
        data.note(&name, other_data(&listing, loaded));
    }
    let set = set.display();
    let problems = [
        verdicts.count(&format!("{set} files judged right")),
        data.count(&format!("{set} files listed as PyTorch loads them, or refused")),
        bounds.count(&format!("{set} runs within bounds")),
    ];
    assert!(problems.iter().all(String::is_empty), "{}", problems.join("\n"));
}

#[test]
fn every_file_of_the_second_set_is_judged_listed_and_bounded() {
    let Some(set) = set() else { return };
    let manifest = set.join("manifest.tsv");
    judge(&manifest, &cases(&manifest, 2, 3));
}

#[test]
fn damaged_real_files_are_judged_as_weights_only_loading_does() {
    let Some(set) = set() else { return };
    let manifest = set.join("mutants/manifest.tsv");
    judge(&manifest, &cases(&manifest, 1, 1));
}
