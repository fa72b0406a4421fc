//! `check` on files that mean harm and files that only look so.
//!
//! `python/hostile.py` writes several hundred, byte by byte; `STATEDICT_CORPUS` names a folder with
//! more of them that others wrote (`hostile/manifest.tsv`), and with checkpoints that nobody here
//! wrote (`corpus`). Without it those tests say so and pass.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use compat_tests::{Run, Tally, Zoo, oracle, statedict, statedict_within, text};
use serde_json::{Value, json};

/// Seconds of processor time; one is promised for a small file, but not unoptimised.
const PATIENCE: u32 = 30;

/// Files of the corpus with classes of their own, or that are not checkpoints at all.
const NOT_SAFE: [(&str, &str); 3] = [
    ("full_model_checkpoint.pt", "unknown"),
    ("modlegacy-own.pt", "unknown"),
    ("broken.pt", "malformed"),
];

/// Files that call a class that is not known and nothing else.
const CLASSES_ALONE: [&str; 2] = ["call_18.pth", "spelled_build.pth"];

fn folder(name: &str) -> Option<PathBuf> {
    let Some(folder) = env::var_os("STATEDICT_CORPUS").filter(|folder| !folder.is_empty()) else {
        println!("skipped: STATEDICT_CORPUS names no folder");
        return None;
    };
    Some(Path::new(&folder).join(name))
}

/// What a check says, or why it says nothing.
fn checked(path: &Path) -> Result<(Run, Value), String> {
    let words: [&OsStr; 3] = ["check".as_ref(), "--json".as_ref(), path.as_os_str()];
    let run = statedict_within(PATIENCE, words).ok_or("still running after its time")?;
    let status = |verdict: &str| match verdict {
        "safe" => 0,
        "dangerous" | "unknown" => 1,
        _ => 2,
    };
    match serde_json::from_str::<Value>(&run.stdout) {
        Ok(report) if run.status == Some(status(&text(&report["verdict"]))) => Ok((run, report)),
        _ => Err(format!("exit {:?}: {}{}", run.status, run.stdout, run.stderr)),
    }
}

/// Why a file is not judged as expected, its findings with these words.
fn misjudged(path: &Path, verdict: &str, words: &[String]) -> Option<String> {
    let report = match checked(path) {
        Ok((_, report)) => report,
        Err(problem) => return Some(problem),
    };
    let findings = report["findings"].to_string().replace("\\\\", "\\");
    let missing = words.iter().find(|word| !findings.contains(word.as_str()));
    if verdict == "any" || (report["verdict"] == verdict && missing.is_none()) {
        return None;
    }
    Some(format!("expected {verdict} {words:?}, found {}: {findings}", report["verdict"]))
}

/// Tallies by verdict, so that each count is listed by itself.
struct Tallies([(&'static str, &'static str, Tally); 5]);

impl Tallies {
    fn new() -> Tallies {
        Tallies([
            ("dangerous", "dangerous files flagged, the callable named", Tally::new()),
            ("unknown", "files of unknown classes called so, the class named", Tally::new()),
            ("malformed", "malformed files refused", Tally::new()),
            ("safe", "safe files clean", Tally::new()),
            ("any", "odd files survived", Tally::new()),
        ])
    }

    fn note(&mut self, verdict: &str, file: &str, problem: Option<String>) {
        let known = self.0.iter_mut().find(|(name, ..)| *name == verdict);
        known.expect("a known verdict").2.note(file, problem);
    }

    fn close(self, of: &str) {
        for (verdict, what, tally) in self.0 {
            if verdict != "any" || of == "shared" {
                tally.close(&format!("{of} {what}"));
            }
        }
    }
}

#[test]
fn files_of_every_class_are_judged_as_they_were_meant() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let entries = oracle(json!({ "do": "hostile", "folder": folder.path() }));
    let mut tallies = Tallies::new();
    for entry in entries.as_array().expect("a list of entries") {
        let (file, verdict) = (text(&entry["file"]), text(&entry["verdict"]));
        let words: Vec<String> =
            entry["words"].as_array().expect("words").iter().map(text).collect();
        tallies.note(&verdict, &file, misjudged(&folder.path().join(&file), &verdict, &words));
    }
    tallies.close("own");
}

#[test]
fn files_that_others_made_to_do_harm_are_judged_as_they_were_meant() {
    let Some(hostile) = folder("hostile") else { return };
    let manifest = fs::read_to_string(hostile.join("manifest.tsv")).expect("a manifest");
    let mut tallies = Tallies::new();
    for line in manifest.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [file, _, _, verdict, why] = columns[..] else { panic!("five columns: {line}") };
        let called = why.strip_suffix(" is called").map(str::to_string);
        let words: Vec<String> = called.into_iter().collect();
        let verdict = if CLASSES_ALONE.contains(&file) { "unknown" } else { verdict };
        tallies.note(verdict, file, misjudged(&hostile.join(file), verdict, &words));
    }
    tallies.close("shared");
}

#[test]
fn real_checkpoints_raise_no_alarm() {
    let Some(corpus) = folder("corpus") else { return };
    let words: [&OsStr; 3] = ["check".as_ref(), "--json".as_ref(), corpus.as_os_str()];
    let run = statedict(words);
    let mut tally = Tally::new();
    for line in run.stdout.lines() {
        let report: Value = serde_json::from_str(line).expect("one object a line");
        let file = text(&report["file"]);
        let known = NOT_SAFE.iter().find(|(name, _)| file.ends_with(name));
        let expected = known.map_or("safe", |(_, verdict)| verdict);
        let is_right = report["verdict"] == expected;
        tally.note(&file, (!is_right).then(|| report.to_string()));
    }
    tally.close("real files judged right");
}

#[test]
fn what_the_libraries_write_raises_no_alarm() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for entry in &zoo.entries {
        tally.note(&entry.name, misjudged(&entry.path, "safe", &[]));
    }
    tally.close("files of the zoo clean");
}

#[test]
fn everything_that_weights_only_loading_admits_is_clean() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("admitted.pkl");
    let names = oracle(json!({ "do": "admitted", "out": file }));
    let (_, report) = checked(&file).expect("a report");
    assert!(names.as_array().is_some_and(|names| names.len() > 100), "{names}");
    assert_eq!((&report["verdict"], report.get("notes")), (&json!("safe"), None));
}

#[test]
fn the_command_that_saves_the_tensors_works_where_it_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let entries = oracle(json!({ "do": "hostile", "folder": folder.path() }));
    let mut tally = Tally::new();
    for entry in entries.as_array().expect("a list of entries") {
        let file = text(&entry["file"]);
        if entry["verdict"] != "dangerous" {
            continue;
        }
        let Ok((run, _)) = checked(&folder.path().join(&file)) else { continue };
        let command = run.stderr.lines().find_map(|line| line.strip_prefix("  statedict "));
        let must_be_named = entry["class"] == "call" && file.ends_with(".pth");
        let problem = match command {
            Some(command) => failed_rescue(command),
            None => must_be_named.then(|| format!("no command is named: {}", run.stderr)),
        };
        if command.is_some() || must_be_named {
            tally.note(&file, problem);
        }
    }
    tally.close("commands that take tensors out of dangerous files work");
}

/// The words of a command line whose quotes are single ones around whole words.
fn typed(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in command.chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            letter => words.last_mut().expect("there is one").push(letter),
        }
    }
    words
}

/// Why a command did not give a file that is safe.
fn failed_rescue(command: &str) -> Option<String> {
    let words = typed(command);
    let run = statedict(&words);
    let output = Path::new(words.last().expect("a command has words"));
    match run.status {
        Some(0) => misjudged(output, "safe", &[]),
        status => Some(format!("{command}: exit {status:?}: {}", run.stderr)),
    }
}
