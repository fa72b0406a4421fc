//! Conversions between model families, held to what the official converters make.
//!
//! `STATEDICT_CORPUS` names a folder with `algebra/pairs` (a file, and what the official converter makes
//! of it) and `algebra/prototype/recipes`. Without it the test says so and passes.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use compat_tests::{Tally, statedict};

/// A size that neither a configuration nor a shape has.
const SET: [(&str, &str); 1] = [("sd3-diffusers", "last=2")];

/// Recipes that do not say all that their inverse needs, as their plans do: the heads that rows are
/// made of, and which of two names a key had.
const BACK_BY_PLAN: [&str; 3] = ["sd-unet-ldm-diffusers", "umt5-t5x-hf", "vit-jax-timm"];

/// A format that has no 16-bit brain floats.
const WITHOUT_BF16: [(&str, &str); 1] = [("llama-meta", "npz")];

/// What the official converter adds that no rule makes: constants that mask what comes later.
const MASKS: [&str; 2] = [".attn.bias", ".attn.masked_bias"];

/// Type, shape and digest by key.
type Rows = BTreeMap<String, String>;

fn folder(name: &str) -> Option<PathBuf> {
    let Some(folder) = env::var_os("STATEDICT_CORPUS").filter(|folder| !folder.is_empty()) else {
        println!("skipped: STATEDICT_CORPUS names no folder");
        return None;
    };
    let folder = Path::new(&folder).join("algebra").join(name);
    if !folder.is_dir() {
        println!("skipped: {} is not a folder", folder.display());
        return None;
    }
    Some(folder)
}

fn rows(file: &Path) -> Rows {
    let run = statedict(["ls".as_ref(), "--json".as_ref(), "--hash".as_ref(), file.as_os_str()]);
    assert_eq!(run.status, Some(0), "{}: {}", file.display(), run.stderr);
    let list = run.json();
    let tensors = list["tensors"].as_array().expect("a list of tensors").iter();
    let row = |row: &serde_json::Value| {
        let text = format!("{} {} {}", row["dtype"], row["shape"], row["sha256"]);
        (row["key"].as_str().expect("a key").to_string(), text)
    };
    tensors.map(row).collect()
}

fn run(arguments: &[&str]) -> Result<(), String> {
    let run = statedict(arguments);
    if run.status == Some(0) {
        Ok(())
    } else {
        Err(format!("{arguments:?}: {}", run.stderr.trim()))
    }
}

/// The first key that is not as expected.
fn difference(expected: &Rows, found: &Rows) -> Option<String> {
    let keys = expected.keys().chain(found.keys().filter(|key| !expected.contains_key(*key)));
    keys.map(|key| (key, expected.get(key), found.get(key)))
        .find(|(_, expected, found)| expected != found)
        .map(|(key, expected, found)| format!("'{key}': expected {expected:?}, found {found:?}"))
}

/// Applies a recipe there and back, by its inverse and by that of the plan.
fn hold(name: &str, recipe: &Path, pair: &Path, extension: &str) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let facts: serde_json::Value = serde_json::from_str(
        &fs::read_to_string(pair.join("pair.json")).map_err(|error| error.to_string())?,
    )
    .map_err(|error| error.to_string())?;
    let file = |field: &str| pair.join(facts[field].as_str().unwrap_or_default());
    let (a, b) = (file("a"), file("b"));
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let (there, plan) = (path(&format!("there.{extension}")), path("plan.json"));
    let (back, undone) = (path(&format!("back.{extension}")), path(&format!("undone.{extension}")));
    let recipe = recipe.display().to_string();
    let config = pair.join("config.json");
    let mut given: Vec<String> = Vec::new();
    if config.is_file() {
        given.extend(["--config".to_string(), config.display().to_string()]);
    }
    for (_, size) in SET.iter().filter(|(of, _)| *of == name) {
        given.extend(["--set".to_string(), (*size).to_string()]);
    }
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let a_text = a.display().to_string();
    run(&[&["apply", &recipe, &a_text, "-o", &there, "--save-plan", &plan], &given[..]].concat())?;
    let mut expected = rows(&b);
    expected.retain(|key, _| {
        !MASKS.iter().any(|mask| name.starts_with("megatron") && key.ends_with(mask))
    });
    if let Some(problem) = difference(&expected, &rows(Path::new(&there))) {
        return Err(format!("there: {problem}"));
    }
    run(&["apply", &plan, &there, "--inverse", "-o", &undone])?;
    let undone = rows(Path::new(&undone));
    let mut original = rows(&a);
    // What the recipe drops stays dropped.
    original.retain(|key, _| undone.contains_key(key));
    if let Some(problem) = difference(&original, &undone) {
        return Err(format!("back by the plan: {problem}"));
    }
    if BACK_BY_PLAN.contains(&name) {
        return Ok(());
    }
    run(&[&["apply", &recipe, &there, "--inverse", "-o", &back], &given[..]].concat())?;
    match difference(&original, &rows(Path::new(&back))) {
        Some(problem) => Err(format!("back by the recipe: {problem}")),
        None => Ok(()),
    }
}

#[test]
fn recipes_give_what_the_official_converters_give_and_lead_back() {
    let (Some(recipes), Some(pairs)) = (folder("prototype/recipes"), folder("pairs")) else {
        return;
    };
    let mut tally = Tally::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(recipes)
        .expect("recipes")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for recipe in paths {
        let name = recipe.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for extension in ["safetensors", "pth", "npz"] {
            if WITHOUT_BF16.contains(&(name.as_str(), extension)) {
                continue;
            }
            let problem = hold(&name, &recipe, &pairs.join(&name), extension).err();
            tally.note(format!("{name} as {extension}"), problem);
        }
    }
    tally.close("conversions");
}

/// The pairs of keys of which `fit` says that they belong together, and whose elements differ.
fn wrongly_fitted(pair: &Path) -> Result<(), String> {
    let facts = fs::read_to_string(pair.join("pair.json")).map_err(|error| error.to_string())?;
    let facts: serde_json::Value =
        serde_json::from_str(&facts).map_err(|error| error.to_string())?;
    let file = |field: &str| pair.join(facts[field].as_str().unwrap_or_default());
    let (a, b) = (file("a"), file("b"));
    let (own, theirs) = (rows(&a), rows(&b));
    let [a, b] = [a, b].map(|path| path.display().to_string());
    let found = statedict(["fit", &a, "--to", &b, "--json"]).json();
    let found = found["pairs"].as_array().ok_or("no pairs")?.iter();
    let found = found.map(|it| (it["from"].as_str(), it["to"].as_str()));
    let wrong = found.filter(|(from, to)| {
        from.and_then(|key| own.get(key)) != to.and_then(|key| theirs.get(key))
    });
    let wrong: Vec<String> = wrong.map(|pair| format!("{pair:?}")).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) }
}

#[test]
fn no_tensor_is_fitted_to_one_of_other_elements() {
    let Some(pairs) = folder("pairs") else { return };
    let mut tally = Tally::new();
    let entries = fs::read_dir(pairs).expect("pairs").map(|entry| entry.expect("an entry").path());
    for pair in entries.filter(|path| path.is_dir()) {
        tally.note(pair.display().to_string(), wrongly_fitted(&pair).err());
    }
    tally.close("pairs");
}
