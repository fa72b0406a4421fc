//! What programs read of the command is as it was in 0.1.0: fields may come, none changes or goes.

mod folder;

use std::fs;
use std::path::Path;

use serde_json::Value;

use folder::Folder;

/// What 0.1.0 printed of the files of `compat-tests`, and how it ended.
const SAMPLES: &str = include_str!("samples/0.1.0.json");

fn samples() -> Value {
    serde_json::from_str(SAMPLES).expect("JSON")
}

/// A folder with the files that the samples are of.
fn fixtures() -> Folder {
    let folder = Folder::of([]);
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compat-tests/fixtures");
    for entry in fs::read_dir(&from).expect("fixtures") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_str().expect("UTF-8");
        if path.is_file() {
            fs::copy(&path, folder.path(name)).expect("copied");
        }
    }
    fs::create_dir(folder.path("sharded")).expect("made");
    for entry in fs::read_dir(from.join("sharded")).expect("shards") {
        let entry = entry.expect("readable");
        let name = format!("sharded/{}", entry.file_name().to_str().expect("UTF-8"));
        fs::copy(entry.path(), folder.path(&name)).expect("copied");
    }
    folder
}

/// Where a value is not all that another one was, as a path.
fn difference(old: &Value, new: &Value, path: &str) -> Option<String> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old.iter().find_map(|(name, old)| {
            let path = format!("{path}.{name}");
            match new.get(name) {
                Some(new) => difference(old, new, &path),
                None => Some(format!("{path} is gone")),
            }
        }),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            let mut pairs = old.iter().zip(new).enumerate();
            pairs.find_map(|(i, (old, new))| difference(old, new, &format!("{path}[{i}]")))
        }
        _ => (old != new).then(|| format!("{path} was {old} and is {new}")),
    }
}

#[test]
fn json_and_exit_status_are_as_they_were() {
    let (samples, folder) = (samples(), fixtures());
    let mut differences = Vec::new();
    for sample in samples["runs"].as_array().expect("a list") {
        let args: Vec<&str> =
            sample["args"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        let ran = folder.run(&args);
        if sample["status"] != ran.status {
            differences
                .push(format!("{args:?} ended with {}, not {}", ran.status, sample["status"]));
        }
        if let Some(old) = sample.get("json") {
            let new = serde_json::from_str(&ran.out).unwrap_or(Value::Null);
            differences.extend(difference(old, &new, "").map(|what| format!("{args:?}: {what}")));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_plan_that_was_saved_is_applied() {
    let folder = fixtures();
    fs::write(folder.path("plan.json"), samples()["plan"].to_string()).expect("writable");
    let ran = folder.run(&["apply", "plan.json", "plain.pth", "-o", "out.pth"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let ran = folder.run(&["apply", "plan.json", "out.pth", "--inverse", "-o", "back.pth"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let ran = folder.run(&["diff", "plain.pth", "back.pth"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
}
