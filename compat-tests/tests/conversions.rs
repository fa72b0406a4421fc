//! Any of the three formats to any other holds the same tensors, or is refused by name.

use compat_tests::{Entry, Tally, Zoo, oracle, statedict};
use serde_json::{Value, json};

const CASTS: [Option<&str>; 5] = [None, Some("f16"), Some("bf16"), Some("f32"), Some("f64")];

/// The format of a file; every other extension is PyTorch's.
fn format(entry: &Entry) -> &str {
    match entry.extension() {
        known @ ("safetensors" | "npz") => known,
        _ => "pth",
    }
}

/// What is wrong with one conversion, if something is.
fn problem(zoo: &Zoo, entry: &Entry, at: &str, to: &str, cast: Option<&str>) -> Option<String> {
    let output = zoo.output(&format!("converted.{to}"));
    let (input, out) = (entry.path.to_str()?, output.to_str()?);
    let mut words = vec!["convert", input, out];
    if entry.at.len() > 1 {
        words.extend(["--at", at]);
    }
    words.extend(cast.iter().flat_map(|cast| ["--cast", cast]));
    let run = statedict(words);
    let problem = oracle(json!({
        "do": "conversion", "input": entry.path, "at": at, "output": output, "cast": cast,
        "status": run.status, "stderr": run.stderr,
    }));
    match (problem, run.status) {
        (Value::Null, Some(0)) => None,
        (Value::Null, status) => {
            let polite = run.impolite(status.unwrap_or(-1));
            polite.or_else(|| output.exists().then(|| "refused, yet written".into()))
        }
        (problem, _) => Some(problem.to_string()),
    }
}

fn check(cast_of: impl Fn(&Entry) -> Vec<Option<&'static str>>, what: &str) {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for entry in zoo.renamable() {
        for to in ["pth", "safetensors", "npz"] {
            for cast in cast_of(entry) {
                if format(entry) == to && cast.is_none() {
                    continue;
                }
                for at in &entry.at {
                    let case = format!("{} {at} to {to} {cast:?}", entry.name);
                    tally.note(case, problem(&zoo, entry, at, to, cast));
                }
            }
        }
    }
    tally.close(what);
}

#[test]
fn every_file_in_every_other_format_holds_the_same_tensors() {
    check(|_| vec![None], "conversions");
}

/// What is wrong with the versions of modules in a cast copy, if something is.
fn misplaced_versions(zoo: &Zoo, entry: &Entry, at: &str, expected: &Value) -> Option<String> {
    let output = zoo.output("cast.pth");
    let (input, out) = (entry.path.to_str()?, output.to_str()?);
    let run = statedict(["convert", input, out, "--cast", "f64", "--at", at]);
    if run.status != Some(0) {
        return Some(run.stderr);
    }
    let found = oracle(json!({ "do": "versions", "file": output, "at": at }));
    (found != *expected).then(|| format!("{found} instead of {expected}"))
}

#[test]
fn versions_of_modules_come_along() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for entry in zoo.renamable().filter(|entry| format(entry) == "pth") {
        for at in &entry.at {
            let expected = oracle(json!({ "do": "versions", "file": entry.path, "at": at }));
            if expected.is_array() {
                let case = format!("{} {at}", entry.name);
                tally.note(case, misplaced_versions(&zoo, entry, at, &expected));
            }
        }
    }
    tally.close("files whose versions of modules are in a cast copy");
}

#[test]
fn casts_round_as_pytorch_rounds() {
    let interesting = ["dtypes", "numbers", "orders", "views", "lazy", "compressed"];
    let casts = |entry: &Entry| {
        if interesting.iter().any(|name| entry.name.starts_with(name)) {
            CASTS[1..].to_vec()
        } else {
            Vec::new()
        }
    };
    check(casts, "casts");
}
