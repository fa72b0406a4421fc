//! Sizes in rules and recipes: given, in the recipe, in a configuration beside the file.

mod folder;

use folder::{Folder, numbered};

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
    Folder::of([("m.safetensors", numbered(&keys)), ("r.toml", RECIPE.into())])
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
    ran.check(1, "needs the size 'last': --set last=N, or a config.json");
    let ran = folder().run(&["rename", "layers.{=top}.w -> top", "m.safetensors"]);
    ran.check(1, "needs the size 'top': --set top=N, or a config.json");
}

#[test]
fn sizes_are_given_or_come_from_a_configuration() {
    let expected = ["blocks.1.w", "blocks.0.w", "norm.head"];
    let folder = folder();
    folder.typed("apply r.toml m.safetensors --set last=1 -o a.safetensors").check(0, "");
    assert_eq!(keys(&folder, "a.safetensors"), expected);
    folder.add("other.json", br#"{"num_layers": 2}"#);
    folder.typed("apply r.toml m.safetensors --config other.json -o b.safetensors").check(0, "");
    assert_eq!(keys(&folder, "b.safetensors"), expected);
    folder.add("params.json", br#"{"num_layers": 2, "missing_layers": null}"#);
    folder.typed("apply r.toml m.safetensors -o c.safetensors").check(0, "");
    assert_eq!(keys(&folder, "c.safetensors"), expected);
    // What config.json says goes before params.json, and what is given before both.
    folder.add("config.json", br#"{"num_layers": 7}"#);
    folder.typed("apply r.toml m.safetensors -o d.safetensors").check(0, "");
    assert_eq!(keys(&folder, "d.safetensors")[0], "blocks.6.w");
    folder.typed("apply r.toml m.safetensors --set num_layers=2 -o e.safetensors").check(0, "");
    assert_eq!(keys(&folder, "e.safetensors"), expected);
}

#[test]
fn a_list_of_the_configuration_gives_its_length() {
    let folder = folder();
    folder.add("l.toml", RECIPE.replace("num_layers - 1", "widths.length - 1").as_bytes());
    folder.add("config.json", br#"{"widths": [64, 128]}"#);
    folder.typed("apply l.toml m.safetensors -o a.safetensors").check(0, "");
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
        folder.typed("apply r.toml m.safetensors -o out.safetensors").check(1, said);
    }
    let folder = folder();
    folder.add("config.json", b"{");
    folder.typed("apply r.toml m.safetensors").check(2, "config.json: not JSON");
    folder.typed("apply r.toml m.safetensors --config none.json").check(2, "none.json");
    folder.typed("apply r.toml m.safetensors --set last=x").check(2, "--set");
    folder.typed("apply r.toml m.safetensors --set last").check(2, "expected NAME=N");
    let ran = folder.typed("apply r.toml m.safetensors --set lsat=1");
    ran.check(2, "no rule has a size or a place 'lsat'");
}

#[test]
fn a_recipe_is_not_applied_twice() {
    let folder = folder();
    folder.typed("apply r.toml m.safetensors --set last=1 -o a.safetensors").check(0, "");
    let ran = folder.typed("apply r.toml a.safetensors --set last=1 -o b.safetensors");
    let said = "'blocks.1.w' is there already: the recipe seems to have been applied (expect)";
    ran.check(1, said);
    // A stage expects what the stages before it leave.
    let recipe = "[[stage]]\nstrip = \"layers\"\n[[stage]]\nexpect = \"0.w\"\nadd = \"x\"\n";
    folder.add("s.toml", recipe.as_bytes());
    folder.typed("apply s.toml m.safetensors").check(1, "'0.w' is there already");
    folder.typed("apply s.toml a.safetensors --allow-unchanged").check(0, "");
}

#[test]
fn the_sides_of_a_rename_may_have_separators_of_their_own() {
    let folder = Folder::of([("m.safetensors", numbered(&["enc/a/w", "enc/b/w"]))]);
    let args = ["rename", "enc/{r..} -> e.{r..}", "m.safetensors", "--separator", "/,."];
    let ran = folder.run(&[&args[..], &["-o", "a.safetensors"]].concat());
    ran.check(0, "");
    assert_eq!(keys(&folder, "a.safetensors"), ["e.a.w", "e.b.w"]);
    let recipe = "separator = ['/', '.']\n[[stage]]\nrename = 'enc/{r..} -> e.{r..}'\n\
        [[stage]]\nrename = 'e.{x}.w -> {x}.weight'\n";
    folder.add("r.toml", recipe.as_bytes());
    folder.typed("apply r.toml m.safetensors -o b.safetensors").check(0, "");
    assert_eq!(keys(&folder, "b.safetensors"), ["a.weight", "b.weight"]);
    folder.typed("strip enc m.safetensors --separator ab").check(2, "expected one character");
}

#[test]
fn rules_are_explained_in_words() {
    let folder = folder();
    let ran = folder.typed("apply r.toml m.safetensors --set last=1 --explain");
    ran.check(0, "drops the keys that match");
    ran.check(0, "renames keys");
}
