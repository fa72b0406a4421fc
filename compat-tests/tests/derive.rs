//! Recipes that are derived from a source file and what an official converter made of it.
//!
//! `STATEDICT_CORPUS` names a folder with `algebra/pairs`; without it the test says so and passes.

use std::env;
use std::fs;
use std::path::Path;

use compat_tests::{Run, Tally, statedict, text};
use serde_json::Value;

/// What is wrong with the recipe that is derived of a pair, if anything is.
fn problem(pair: &Path, facts: &Value, folder: &Path) -> Option<String> {
    let file = |name: &str| pair.join(text(&facts[name])).display().to_string();
    let (a, b) = (file("a"), file("b"));
    // The recipe may speak of sizes that the configuration beside the source says.
    let recipe = folder.join("recipe.toml").display().to_string();
    let made = folder.join("made.safetensors").display().to_string();
    let derived = statedict(["derive", "-q", "--force", "--save-recipe", &recipe, &a, &b]);
    if let Some(problem) = failed(&derived) {
        return Some(problem);
    }
    let applied = statedict(["apply", "-q", "--force", &recipe, &a, "-o", &made]);
    failed(&applied).or_else(|| {
        let hashes = |file: &str| {
            let list = statedict(["ls", "--json", "--hash", file]).json();
            let rows = list["tensors"].as_array().expect("a list of tensors").iter();
            let row = |row: &Value| {
                format!("{} {} {} {}", row["key"], row["dtype"], row["shape"], row["sha256"])
            };
            let mut rows: Vec<String> = rows.map(row).collect();
            rows.sort();
            rows
        };
        let (expected, found) = (hashes(&b), hashes(&made));
        let first = expected.iter().zip(&found).find(|(expected, found)| expected != found);
        match first {
            Some((expected, found)) => Some(format!("expected {expected}\nfound {found}")),
            None if expected.len() == found.len() => None,
            None => Some(format!("{} tensors, expected {}", found.len(), expected.len())),
        }
    })
}

fn failed(run: &Run) -> Option<String> {
    (run.status != Some(0)).then(|| format!("{:?} {}", run.status, run.stderr.trim()))
}

#[test]
fn derived_recipes_give_what_official_converters_give() {
    let Some(corpus) = env::var_os("STATEDICT_CORPUS").filter(|folder| !folder.is_empty()) else {
        println!("skipped: STATEDICT_CORPUS names no folder");
        return;
    };
    let pairs = Path::new(&corpus).join("algebra/pairs");
    if !pairs.is_dir() {
        println!("skipped: {} is not a folder", pairs.display());
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut tally = Tally::new();
    let pairs = fs::read_dir(pairs).expect("pairs");
    let mut pairs: Vec<_> = pairs.map(|entry| entry.expect("a pair").path()).collect();
    pairs.sort();
    for pair in pairs.iter().filter(|pair| pair.is_dir()) {
        let facts = fs::read_to_string(pair.join("pair.json")).expect("facts");
        let facts: Value = serde_json::from_str(&facts).expect("JSON");
        if text(&facts["way"]) == "both" {
            tally.note(text(&facts["name"]), problem(pair, &facts, folder.path()));
        }
    }
    tally.close("derived recipes give the official result");
}
