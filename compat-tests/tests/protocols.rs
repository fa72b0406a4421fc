//! Every pickle protocol, as archive and as stream: listed, renamed, and rewritten as protocol 2.

use std::path::Path;

use compat_tests::{Entry, Tally, oracle, statedict, text};
use serde_json::{Value, json};

/// One generated file.
struct Saved {
    entry: Entry,
    shape: String,
    protocol: i64,
    /// PyTorch itself loads it.
    loads: bool,
}

fn generate(folder: &Path) -> Vec<Saved> {
    let entries = oracle(json!({ "do": "protocols", "folder": folder }));
    let saved = |entry: &Value| {
        let name = text(&entry["file"]);
        let at = entry["at"].as_array().expect("paths").iter().map(text).collect();
        Saved {
            entry: Entry { path: folder.join(&name), name, at },
            shape: text(&entry["shape"]),
            protocol: entry["protocol"].as_i64().expect("a number"),
            loads: entry["loads"].as_bool().expect("true or false"),
        }
    };
    entries.as_array().expect("a list").iter().map(saved).collect()
}

fn path(entry: &Entry) -> &str {
    entry.path.to_str().expect("a plain path")
}

/// `ls` agrees with PyTorch; what PyTorch cannot load is refused with the reason.
fn listed(saved: &Saved) -> Option<String> {
    let run = statedict(["ls", "--json", "--hash", path(&saved.entry)]);
    if !saved.loads {
        let refused = run.impolite(2).is_none() && run.stderr.contains("protocol 0");
        return (!refused).then(|| format!("exit {:?}: {}", run.status, run.stderr));
    }
    if run.status != Some(0) {
        return Some(run.stderr);
    }
    let truth = oracle(json!({ "do": "truth", "file": saved.entry.path }));
    let rows = |rows: &Value| -> Vec<String> {
        let row = |row: &Value| {
            ["at", "key", "dtype", "shape", "sha256"].map(|f| text(&row[f])).join(" ")
        };
        rows.as_array().expect("rows").iter().map(row).collect()
    };
    let (expected, found) = (rows(&truth), rows(&run.json()["tensors"]));
    (expected != found).then(|| format!("expected {expected:?}\nfound {found:?}"))
}

/// A rename keeps protocol and container, and gives what the same operation in Python gives.
fn renamed(saved: &Saved, output: &Path) -> Option<String> {
    let run =
        statedict(["strip", "module", path(&saved.entry), "-o", output.to_str().expect("plain")]);
    if saved.shape == "module" {
        let refused = run.impolite(1).is_none() && run.stderr.contains("convert");
        return (!refused).then(|| format!("exit {:?}: {}", run.status, run.stderr));
    }
    let question = json!({
        "do": "operation", "input": saved.entry.path, "at": saved.entry.at,
        "stages": [{ "strip": "module" }], "status": run.status, "output": output,
    });
    match oracle(question) {
        Value::Null => None,
        problem => Some(format!("{problem} {}", run.stderr)),
    }
}

/// In protocol 2 every one loads with weights only.
fn rewritten(saved: &Saved, output: &Path) -> Option<String> {
    let to = output.to_str().expect("a plain path");
    let run = statedict([
        "strip",
        "x",
        "--allow-unchanged",
        "--protocol",
        "2",
        path(&saved.entry),
        "-o",
        to,
    ]);
    if run.status != Some(0) {
        return Some(run.stderr);
    }
    let question = json!({ "do": "rewritten", "input": saved.entry.path, "output": output });
    oracle(question).as_str().map(String::from)
}

#[test]
fn every_protocol_is_listed_renamed_and_rewritten() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (mut listings, mut renames, mut rewrites) = (Tally::new(), Tally::new(), Tally::new());
    for (i, saved) in generate(folder.path()).iter().enumerate() {
        let output = |what: &str| folder.path().join(format!("{what}-{i}.pth"));
        listings.note(&saved.entry.name, listed(saved));
        if !saved.loads {
            assert_eq!(saved.protocol, 0, "{} does not load", saved.entry.name);
            continue;
        }
        renames.note(&saved.entry.name, renamed(saved, &output("renamed")));
        if saved.shape != "module" {
            rewrites.note(&saved.entry.name, rewritten(saved, &output("rewritten")));
        }
    }
    listings.close("protocols and containers listed");
    renames.close("protocols and containers renamed, or refused with the reason");
    rewrites.close("protocols and containers rewritten in protocol 2");
}
