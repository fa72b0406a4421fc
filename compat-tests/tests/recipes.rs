//! The recipes of the library, on what the official converters make of small models.
//!
//! `texts/conversions.jsonl` has a line for each conversion: the tensors of the source, whose
//! elements are consecutive numbers, and digests of what the converter made of them.
//! `python -m conversions.record` renews it where the converters are installed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use compat_tests::{Run, Tally, safetensors, statedict, text};
use serde_json::{Value, json};

/// The conversions that were recorded.
fn conversions() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("texts/conversions.jsonl");
    let lines = fs::read_to_string(path).expect("the conversions can be read");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The recipes of the library, by every name they answer to.
fn library() -> BTreeMap<String, Value> {
    let listed = statedict(["recipes", "--json"]).json();
    let mut library = BTreeMap::new();
    for recipe in listed["recipes"].as_array().expect("a list") {
        let name = text(&recipe["name"]);
        let ends = name.split_once(':').expect("a family").0;
        for family in recipe["families"].as_array().expect("families") {
            library.insert(format!("{ends}:{}", text(family)), recipe.clone());
        }
        library.insert(name.clone(), recipe.clone());
    }
    library
}

/// The names of one end of a conversion, as a file without elements worth reading.
fn write_names(rows: &Value, path: &Path) {
    let mut header = serde_json::Map::new();
    for row in rows.as_array().expect("tensors") {
        let entry = json!({"dtype": "U8", "shape": [0], "data_offsets": [0, 0]});
        header.insert(text(&row[0]), entry);
    }
    fs::write(path, safetensors(&Value::Object(header).to_string(), &[])).expect("written");
}

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().expect("a list").iter().map(text).collect()
}

#[test]
fn both_ends_of_every_conversion_are_recognised_as_what_they_are() {
    let (library, folder) = (library(), tempfile::tempdir().expect("a folder"));
    let (mut tally, mut recognised) = (Tally::new(), 0);
    for conversion in conversions() {
        let recipe = &library[&text(&conversion["recipe"])];
        for (side, end) in [("a", "from"), ("b", "to")] {
            let path = folder.path().join(format!("{side}.safetensors"));
            write_names(&conversion[side], &path);
            let listed = list(&path).json();
            let found = names(&listed["conventions"]);
            let case = format!("{} {side}", text(&conversion["name"]));
            recognised += usize::from(!found.is_empty());
            tally.note(&case, misnamed(&found, &text(&recipe[end]), &case));
            if found.contains(&text(&recipe[end])) {
                let start = if side == "a" { &recipe["name"] } else { &recipe["inverse"] };
                let offered = start.is_null() || names(&listed["recipes"]).contains(&text(start));
                tally.note(&case, (!offered).then(|| format!("{start} is not offered")));
            }
        }
    }
    assert!(recognised > 140, "{recognised} recognised");
    tally.close("names are what they are");
}

/// Why these conventions are not the expected one, if they are not; none is right too.
fn misnamed(found: &BTreeSet<String>, expected: &str, case: &str) -> Option<String> {
    // One recipe serves several families, whose names differ in a prefix.
    let is_sister = case == "deit a" && found.contains("DeiT, Hugging Face");
    let is_right = found.is_empty() || found.contains(expected) || is_sister;
    (!is_right).then(|| format!("{found:?}, expected {expected}"))
}

fn list(path: &Path) -> Run {
    statedict(["ls".as_ref(), "--json".as_ref(), path.as_os_str()])
}

#[test]
fn every_recipe_has_a_conversion() {
    let (library, mut held) = (library(), BTreeSet::new());
    for conversion in conversions() {
        held.insert(text(&library[&text(&conversion["recipe"])]["name"]));
    }
    let all: BTreeSet<String> = library.values().map(|recipe| text(&recipe["name"])).collect();
    assert_eq!(held, all);
}
