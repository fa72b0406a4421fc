//! Files edited in place, again and again, are what Python makes of them.
//!
//! Every file of the zoo goes through one edit after another; after each, the real libraries load
//! it in every way they have, and it must be what the same rename in Python gives. What is written
//! is in proportion to the index and not to the tensors, and undone edits give the old keys.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use compat_tests::{Entry, Tally, Zoo, oracle, statedict, text};
use serde_json::{Value, json};

/// What a journal and the edges of pages cost at most beside four times the index, in bytes.
const OVERHEAD: u64 = 1024;

/// Edits that follow each other: the words of the command, and the same for the model.
fn edits() -> Vec<(Vec<&'static str>, Value)> {
    let rename = |rule: &'static str| (vec!["rename", rule], json!({ "rename": [rule] }));
    let add = |prefix: &'static str| (vec!["add", prefix], json!({ "add": prefix }));
    let strip = |prefix: &'static str| (vec!["strip", prefix], json!({ "strip": prefix }));
    vec![
        rename("{r..} -> x.{r..}"),
        strip("x"),
        add("wrapped.by"),
        rename("wrapped.by.{r..} -> wrapped.on.{r..}"),
        add("something.rather.longer.than.what.is.there"),
        strip("something.rather.longer.than.what.is.there.wrapped"),
        strip("on"),
        (vec!["unwrap"], json!({ "unwrap": true })),
        (vec!["drop", "**.bias"], json!({ "drop": ["**.bias"] })),
        add("last"),
    ]
}

/// The edits whose outcome has the keys of the file before all of them.
const UNDONE: [usize; 2] = [1, 6];

/// Counts of edits by what was edited and by which way.
type Ways = BTreeMap<String, usize>;

/// Edits a file by one edit after another; gives what was wrong with each.
fn edited(entry: &Entry, folder: &Path, ways: &mut Ways) -> Vec<(String, Option<String>)> {
    let (now, before) = (folder.join(&entry.name), folder.join(format!("before-{}", entry.name)));
    fs::copy(&entry.path, &now).expect("a copy");
    let mut cases = Vec::new();
    for (i, (words, stage)) in edits().into_iter().enumerate() {
        fs::copy(&now, &before).expect("a copy");
        let name = format!("{} {i} {words:?}", entry.name);
        let path = now.to_str().expect("a plain path");
        let run = statedict([&words[..], &[path, "-i", "--json", "--at", &entry.at[0]]].concat());
        let question = json!({
            "do": "edited", "input": before, "output": now, "at": [entry.at[0]],
            "stages": [stage], "status": run.status,
        });
        let judged = oracle(question);
        let mut problem = judged["problem"].as_str().map(String::from);
        if run.status == Some(0) {
            let (way, bytes) = written(&run.json());
            *ways.entry(format!("{} {way}", kind(entry))).or_default() += 1;
            let limit = 4 * judged["index"].as_u64().expect("a length") + OVERHEAD;
            if way != "replaced" && bytes > limit {
                problem = problem.or(Some(format!("{bytes} bytes written, {way}, of {limit}")));
            }
        }
        let is_undone = UNDONE.contains(&i) && run.status == Some(0);
        let undone = || {
            if is_undone {
                oracle(json!({ "do": "same", "old": entry.path, "new": now }))
            } else {
                Value::Null
            }
        };
        let problem = problem.or_else(|| undone().as_str().map(|it| format!("undone: {it}")));
        cases.push((name, problem.or_else(|| litter(folder))));
    }
    cases
}

/// By which way a file was edited, and how many bytes that took.
fn written(outcome: &Value) -> (String, u64) {
    (text(&outcome["way"]), outcome["bytes_written"].as_u64().unwrap_or_default())
}

fn kind(entry: &Entry) -> &str {
    match entry.extension() {
        "safetensors" | "npz" => entry.extension(),
        _ if entry.name.starts_with("legacy") => "stream",
        _ => "pth",
    }
}

/// What is next to the two files that are there.
fn litter(folder: &Path) -> Option<String> {
    let count = fs::read_dir(folder).expect("readable").count();
    (count != 2).then(|| format!("{count} files where 2 are expected"))
}

#[test]
fn edit_after_edit_gives_what_python_gives() {
    let zoo = Zoo::new();
    let (mut tally, mut ways) = (Tally::new(), Ways::new());
    // Comparing thousands of keys takes Python a second.
    let is_small = |entry: &&Entry| !entry.name.contains("00") && !entry.name.contains("1001");
    for entry in zoo.renamable().filter(is_small) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, problem) in edited(entry, folder.path(), &mut ways) {
            tally.note(name, problem);
        }
    }
    println!("{ways:#?}");
    for way in ["pth in-place", "stream in-place", "npz in-place", "safetensors in-place"] {
        assert!(ways.contains_key(way), "{way} of {ways:?}");
    }
    // Whatever the file system can do, an archive has no need of it.
    assert!(!ways.contains_key("pth inserted") && !ways.contains_key("pth shared"), "{ways:?}");
    tally.close("edits of a file edited before");
}

#[test]
fn reserved_room_keeps_growth_in_place() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for name in ["network.safetensors", "network.npz", "legacy.pth", "lenet_dataparallel.pth"] {
        let entry = zoo.entry(name);
        let output = zoo.output(name);
        let path = output.to_str().expect("a plain path");
        let input = entry.path.to_str().expect("a plain path");
        let made = statedict(["strip", "module", input, "-o", path, "--reserve", "16KiB"]);
        assert_eq!(made.status, Some(0), "{}", made.stderr);
        let run = statedict(["add", "module", path, "-i", "--json"]);
        let (way, _) = written(&run.json());
        let undone = || oracle(json!({ "do": "same", "old": entry.path, "new": output }));
        let wrong = (way != "in-place").then_some(way);
        tally.note(name, wrong.or_else(|| undone().as_str().map(String::from)));
    }
    tally.close("files grown into the room that was left for it");
}
