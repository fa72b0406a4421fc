//! The recipes of the library, on what the official converters make of small models.
//!
//! `texts/conversions.jsonl` has a line for each conversion: the tensors of the source, whose
//! elements are consecutive numbers, and digests of what the converter made of them.
//! `python -m conversions.record` renews it where the converters are installed;
//! `STATEDICT_CONVERTERS` names Pythons that have them, between colons, and they make other cases.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

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

/// Little-endian elements that count up from the first.
fn elements(dtype: &str, first: u64, count: u64) -> Vec<u8> {
    let numbers = first..first + count;
    match dtype {
        "F32" => numbers.flat_map(|number| (number as f32).to_le_bytes()).collect(),
        "I64" => numbers.flat_map(|number| (number as i64).to_le_bytes()).collect(),
        other => panic!("no conversion has {other}"),
    }
}

/// Writes the source of a conversion.
fn write_source(conversion: &Value, path: &Path) {
    let (mut header, mut bytes) = (serde_json::Map::new(), Vec::new());
    for row in conversion["a"].as_array().expect("tensors") {
        let (dtype, begin) = (text(&row[1]), bytes.len());
        let shape: Vec<u64> = serde_json::from_value(row[2].clone()).expect("a shape");
        let first = row[3].as_u64().expect("a first element");
        bytes.extend(elements(&dtype, first, shape.iter().product()));
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, bytes.len()]});
        header.insert(text(&row[0]), entry);
    }
    fs::write(path, safetensors(&Value::Object(header).to_string(), &bytes)).expect("written");
}

/// The tensors of a file: type, shape, and the beginning of the digest.
fn tensors(path: &Path) -> BTreeMap<String, Value> {
    let listed = statedict(["ls".as_ref(), "--json".as_ref(), "--hash".as_ref(), path.as_os_str()]);
    let listed = listed.json();
    let rows = listed["tensors"].as_array().expect("tensors").iter();
    let row = |row: &Value| json!([row["dtype"], row["shape"], &text(&row["sha256"])[..16]]);
    rows.map(|it| (text(&it["key"]), row(it))).collect()
}

/// What the official converter made of it.
fn expected(conversion: &Value) -> BTreeMap<String, Value> {
    let rows = conversion["b"].as_array().expect("tensors").iter();
    rows.map(|row| (text(&row[0]), json!([row[1], row[2], row[3]]))).collect()
}

/// Applies a recipe, with the sizes that the conversion gives.
fn apply(recipe: &str, conversion: &Value, input: &Path, output: &Path) -> Result<(), String> {
    let mut words = vec!["apply".to_string(), recipe.to_string(), input.display().to_string()];
    words.extend(["-o".to_string(), output.display().to_string()]);
    for (name, number) in conversion["set"].as_object().expect("sizes") {
        words.extend(["--set".to_string(), format!("{name}={number}")]);
    }
    let run = statedict(words);
    if run.status == Some(0) { Ok(()) } else { Err(format!("{recipe}: {}", run.stderr)) }
}

/// Why two sets of tensors are not the same, if they are not.
fn difference(
    found: &BTreeMap<String, Value>,
    expected: &BTreeMap<String, Value>,
) -> Option<String> {
    let wrong = expected.iter().find(|(key, tensor)| found.get(*key) != Some(*tensor));
    let wrong =
        wrong.map(|(key, tensor)| format!("{key}: {:?}, expected {tensor}", found.get(key)));
    wrong.or_else(|| {
        found.keys().find(|key| !expected.contains_key(*key)).map(|key| format!("{key} is there"))
    })
}

#[test]
fn recipes_give_what_the_official_converters_give_and_lead_back() {
    let (library, folder) = (library(), tempfile::tempdir().expect("a folder"));
    let at = |name: &str| folder.path().join(name);
    let (source, result, again) = (at("a.safetensors"), at("b.safetensors"), at("c.safetensors"));
    let mut tally = Tally::new();
    for conversion in conversions() {
        let (name, recipe) = (text(&conversion["name"]), text(&conversion["recipe"]));
        for path in [&source, &result, &again] {
            let _ = fs::remove_file(path);
        }
        write_source(&conversion, &source);
        fs::write(at("config.json"), conversion["config"].to_string()).expect("written");
        let there = apply(&recipe, &conversion, &source, &result);
        let is_there = there.is_ok();
        let problem = there.err().or_else(|| difference(&tensors(&result), &expected(&conversion)));
        tally.note(&name, problem);
        let inverse = &library[&recipe]["inverse"];
        if is_there && conversion["way"] == "both" && !inverse.is_null() {
            let back = apply(&text(inverse), &conversion, &result, &again);
            let problem = match back {
                Err(error) => Some(error),
                Ok(()) => lost(&tensors(&source), &tensors(&again)),
            };
            tally.note(&name, problem);
        }
    }
    tally.close("conversions come out and lead back");
}

/// Writes what `ls --json` would print of what the official converter made.
fn write_listing(conversion: &Value, path: &Path) {
    let rows = conversion["b"].as_array().expect("tensors").iter();
    let tensors =
        rows.map(|row| json!({"at": "", "key": row[0], "dtype": row[1], "shape": row[2]}));
    let tensors: Vec<Value> = tensors.collect();
    let listing = json!({"file": "b.safetensors", "format": "safetensors", "tensors": tensors});
    fs::write(path, listing.to_string()).expect("written");
}

/// Of the recorded conversions so many fit by themselves: names, types and shapes of the model alone
/// lead to the recipe, and no tensor is another than the official converter's.
const FIT: usize = 70;

#[test]
fn what_fits_by_a_recipe_is_what_the_official_converter_gives() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (source, listing, result) =
        (at("a.safetensors"), at("model.json"), at("fitted.safetensors"));
    let (mut tally, mut fitted) = (Tally::new(), 0);
    for conversion in conversions() {
        let _ = fs::remove_file(&result);
        write_source(&conversion, &source);
        write_listing(&conversion, &listing);
        fs::write(at("config.json"), conversion["config"].to_string()).expect("written");
        let mut words = vec!["fit".to_string(), source.display().to_string()];
        words.extend(["--to".to_string(), listing.display().to_string()]);
        words.extend(["-o".to_string(), result.display().to_string()]);
        for (name, number) in conversion["set"].as_object().expect("sizes") {
            words.extend(["--set".to_string(), format!("{name}={number}")]);
        }
        if statedict(words).status == Some(0) {
            fitted += 1;
            let problem = difference(&tensors(&result), &expected(&conversion));
            tally.note(text(&conversion["name"]), problem);
        }
    }
    assert!(fitted >= FIT, "{fitted} fit");
    tally.close("conversions that fit are right");
}

#[test]
fn conversions_of_other_elements_and_twice_the_size_come_out_too() {
    let named = env::var_os("STATEDICT_CONVERTERS").unwrap_or_default();
    if named.is_empty() {
        println!("skipped: STATEDICT_CONVERTERS names no Python with the converters' libraries");
        return;
    }
    let mut tally = Tally::new();
    for python in env::split_paths(&named) {
        let folder = tempfile::tempdir().expect("a folder");
        for case in made(&python, folder.path()) {
            let within = |file: &str| folder.path().join(text(&case["name"])).join(file);
            let result = within("result.safetensors");
            let there = apply(&text(&case["recipe"]), &case, &within("a.safetensors"), &result);
            let expected = || tensors(&within("b.safetensors"));
            let problem = there.err().or_else(|| difference(&tensors(&result), &expected()));
            tally.note(text(&case["name"]), problem);
        }
    }
    tally.close("conversions of twice the size come out");
}

/// The conversions that a Python with converters makes.
fn made(python: &Path, folder: &Path) -> Vec<Value> {
    let mut command = Command::new(python);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("python"));
    command.args(["-W", "ignore", "-m", "conversions"]).arg(folder).args(["7", "2"]);
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("Python runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let answer: Value = serde_json::from_slice(&output.stdout).expect(&said);
    assert_eq!(answer["failed"], json!({}), "{said}");
    answer["made"].as_array().expect("a list").clone()
}

/// What a recipe's inverse did not bring back, but for what the recipe drops.
fn lost(source: &BTreeMap<String, Value>, again: &BTreeMap<String, Value>) -> Option<String> {
    let kept = source.iter().filter(|(key, _)| again.contains_key(*key) || !is_dropped(key));
    let kept = kept.map(|(key, tensor)| (key.clone(), tensor.clone())).collect();
    difference(again, &kept)
}

/// Keys that models compute themselves, which the official converters drop.
fn is_dropped(key: &str) -> bool {
    const DROPPED: [&str; 8] = [
        ".inv_freq",
        ".masked_bias",
        ".attn_mask",
        ".attn.bias",
        ".attention.bias",
        ".relative_position_index",
        "rope.freqs",
        "decoder.version",
    ];
    DROPPED.iter().any(|end| key.ends_with(end)) || key == "decoder.output_projection.weight"
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
