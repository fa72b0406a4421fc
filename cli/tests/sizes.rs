//! Sizes in rules and recipes: given, in the recipe, in a configuration beside the file.

mod folder;

use folder::{Folder, Ran};

/// A file of these keys, each of one element.
fn safetensors(keys: &[&str]) -> Vec<u8> {
    let entry = |(i, key): (usize, &&str)| {
        let (start, end) = (4 * i, 4 * i + 4);
        format!(r#""{key}":{{"dtype":"F32","shape":[1],"data_offsets":[{start},{end}]}}"#)
    };
    let entries: Vec<String> = keys.iter().enumerate().map(entry).collect();
    let header = format!("{{{}}}", entries.join(","));
    let data: Vec<u8> = (1..=keys.len()).flat_map(|i| (i as f32).to_le_bytes()).collect();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

const RECIPE: &str = r#"
title = "Layers from the other end"
families = ["toy"]
from = "toy, as published"
to = "toy"
expect = ["blocks.**"]
[size]
last = ["missing_layers - 1", "num_layers - 1"]
[[stage]]
drop = ["layers.*.cache"]
rename = ["layers.{last-i}.{r..} -> blocks.{i}.{r..}", "{t}.norm -> norm.{t}"]
"#;

fn folder() -> Folder {
    let keys = ["layers.0.w", "layers.1.w", "layers.1.cache", "head.norm"];
    Folder::of([("m.safetensors", safetensors(&keys)), ("r.toml", RECIPE.into())])
}

fn check(ran: &Ran, status: i32, said: &str) {
    assert_eq!(ran.status, status, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains(said) || ran.out.contains(said), "{}{}", ran.out, ran.err);
}

/// The keys of a file as they are listed, in its order.
fn keys(folder: &Folder, file: &str) -> Vec<String> {
    let listed = folder.typed(&format!("ls --json {file}")).out;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let rows = listed["tensors"].as_array().expect("a list");
    rows.iter().map(|row| row["key"].as_str().expect("text").to_string()).collect()
}

#[test]
fn a_size_that_nobody_says_is_refused_by_name() {
    let ran = folder().typed("apply r.toml m.safetensors -o out.safetensors");
    check(&ran, 1, "needs the size 'last': --set last=N, or a config.json");
    let ran = folder().run(&["rename", "layers.{=top}.w -> top", "m.safetensors"]);
    check(&ran, 1, "needs the size 'top': --set top=N, or a config.json");
}

#[test]
fn sizes_are_given_or_come_from_a_configuration() {
    let expected = ["blocks.1.w", "blocks.0.w", "norm.head"];
    let folder = folder();
    check(&folder.typed("apply r.toml m.safetensors --set last=1 -o a.safetensors"), 0, "");
    assert_eq!(keys(&folder, "a.safetensors"), expected);
    folder.add("other.json", br#"{"num_layers": 2}"#);
    check(&folder.typed("apply r.toml m.safetensors --config other.json -o b.safetensors"), 0, "");
    assert_eq!(keys(&folder, "b.safetensors"), expected);
    folder.add("params.json", br#"{"num_layers": 2, "missing_layers": null}"#);
    check(&folder.typed("apply r.toml m.safetensors -o c.safetensors"), 0, "");
    assert_eq!(keys(&folder, "c.safetensors"), expected);
    // What config.json says goes before params.json, and what is given before both.
    folder.add("config.json", br#"{"num_layers": 7}"#);
    check(&folder.typed("apply r.toml m.safetensors -o d.safetensors"), 0, "");
    assert_eq!(keys(&folder, "d.safetensors")[0], "blocks.6.w");
    check(&folder.typed("apply r.toml m.safetensors --set num_layers=2 -o e.safetensors"), 0, "");
    assert_eq!(keys(&folder, "e.safetensors"), expected);
}

#[test]
fn a_list_of_the_configuration_gives_its_length() {
    let folder = folder();
    folder.add("l.toml", RECIPE.replace("num_layers - 1", "widths.length - 1").as_bytes());
    folder.add("config.json", br#"{"widths": [64, 128]}"#);
    check(&folder.typed("apply l.toml m.safetensors -o a.safetensors"), 0, "");
    assert_eq!(keys(&folder, "a.safetensors"), ["blocks.1.w", "blocks.0.w", "norm.head"]);
}

#[test]
fn a_configuration_that_has_no_number_is_named() {
    for (config, said) in [
        (
            &br#"{"num_layers": true}"#[..],
            "'num_layers' is true in config.json, not a whole number",
        ),
        (br#"{"num_layers": "2"}"#, "'num_layers' is \"2\" in config.json, not a whole number"),
        (br#"{"num_layers": 2.5}"#, "'num_layers' is 2.5 in config.json, not a whole number"),
        (br#"{"num_layers": [2]}"#, "'num_layers' is a list in config.json, not a whole number"),
        (br#"{"num_layers": 0}"#, "'num_layers-1' is -1, and a size cannot be negative"),
    ] {
        let folder = folder();
        folder.add("config.json", config);
        check(&folder.typed("apply r.toml m.safetensors -o out.safetensors"), 1, said);
    }
    let folder = folder();
    folder.add("config.json", b"{");
    check(&folder.typed("apply r.toml m.safetensors"), 2, "config.json: not JSON");
    check(&folder.typed("apply r.toml m.safetensors --config none.json"), 2, "none.json");
    check(&folder.typed("apply r.toml m.safetensors --set last=x"), 2, "--set");
    check(&folder.typed("apply r.toml m.safetensors --set last"), 2, "expected NAME=N");
    let ran = folder.typed("apply r.toml m.safetensors --set lsat=1");
    check(&ran, 2, "no rule has a size or a place 'lsat'");
}

#[test]
fn a_recipe_is_not_applied_twice() {
    let folder = folder();
    check(&folder.typed("apply r.toml m.safetensors --set last=1 -o a.safetensors"), 0, "");
    let ran = folder.typed("apply r.toml a.safetensors --set last=1 -o b.safetensors");
    let said = "'blocks.1.w' is there already: the recipe seems to have been applied (expect)";
    check(&ran, 1, said);
    // A stage expects what the stages before it leave.
    let recipe = "[[stage]]\nstrip = \"layers\"\n[[stage]]\nexpect = \"0.w\"\nadd = \"x\"\n";
    folder.add("s.toml", recipe.as_bytes());
    check(&folder.typed("apply s.toml m.safetensors"), 1, "'0.w' is there already");
    check(&folder.typed("apply s.toml a.safetensors --allow-unchanged"), 0, "");
}

#[test]
fn the_sides_of_a_rename_may_have_separators_of_their_own() {
    let folder = Folder::of([("m.safetensors", safetensors(&["enc/a/w", "enc/b/w"]))]);
    let args = ["rename", "enc/{r..} -> e.{r..}", "m.safetensors", "--separator", "/,."];
    let ran = folder.run(&[&args[..], &["-o", "a.safetensors"]].concat());
    check(&ran, 0, "");
    assert_eq!(keys(&folder, "a.safetensors"), ["e.a.w", "e.b.w"]);
    let recipe = "separator = ['/', '.']\n[[stage]]\nrename = 'enc/{r..} -> e.{r..}'\n\
        [[stage]]\nrename = 'e.{x}.w -> {x}.weight'\n";
    folder.add("r.toml", recipe.as_bytes());
    check(&folder.typed("apply r.toml m.safetensors -o b.safetensors"), 0, "");
    assert_eq!(keys(&folder, "b.safetensors"), ["a.weight", "b.weight"]);
    check(&folder.typed("strip enc m.safetensors --separator ab"), 2, "expected one character");
}

#[test]
fn rules_are_explained_in_words() {
    let folder = folder();
    let ran = folder.typed("apply r.toml m.safetensors --set last=1 --explain");
    check(&ran, 0, "drops the keys that match");
    check(&ran, 0, "renames keys");
}
