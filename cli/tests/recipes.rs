//! The library of recipes: listed, printed, applied by name, offered by `ls`.

mod folder;

use folder::{Folder, numbered};

const MAMBA: [&str; 3] = [
    "backbone.embedding.weight",
    "backbone.layers.0.mixer.A_log",
    "backbone.layers.0.mixer.x_proj.weight",
];

fn folder() -> Folder {
    Folder::of([("m.safetensors", numbered(&MAMBA))])
}

#[test]
fn a_recipe_is_applied_by_its_name() {
    let folder = folder();
    folder.typed("apply ssm-to-hf:mamba m.safetensors -o h.safetensors").check(0, "");
    let listed = folder.typed("ls h.safetensors");
    listed.check(0, "backbone.embeddings.weight");
    listed.check(0, "Mamba, Hugging Face; recipes: hf-to-ssm:mamba");
    folder.typed("apply hf-to-ssm:mamba h.safetensors -o back.safetensors").check(0, "");
    folder.typed("diff m.safetensors back.safetensors").check(0, "");
}

#[test]
fn the_inverse_of_an_inverse_is_the_recipe() {
    let folder = folder();
    let ran = folder.typed("apply hf-to-ssm:mamba --inverse m.safetensors -o h.safetensors");
    ran.check(0, "");
    folder.typed("ls h.safetensors").check(0, "backbone.embeddings.weight");
}

#[test]
fn a_recipe_is_not_applied_to_its_own_result() {
    let folder = folder();
    folder.typed("apply ssm-to-hf:mamba m.safetensors -o h.safetensors").check(0, "");
    let again = folder.typed("apply ssm-to-hf:mamba h.safetensors -o again.safetensors");
    again.check(1, "backbone.embeddings.weight");
}

#[test]
fn a_name_that_is_neither_file_nor_recipe_gets_the_one_that_was_meant() {
    let folder = folder();
    let ran = folder.typed("apply ssm-to-hf:mambo m.safetensors");
    ran.check(2, "'ssm-to-hf:mambo' is neither a file nor a recipe of the library");
    ran.check(2, "did you mean ssm-to-hf:mamba?");
    let error = "no recipe of the library is called 'mamba'";
    folder.typed("recipes mamba").check(2, error);
    folder.typed("apply missing.toml m.safetensors").check(2, "missing.toml: no such file");
}

#[test]
fn a_file_goes_before_a_recipe_of_its_name() {
    let folder = folder();
    folder.add("ssm-to-hf:mamba", b"[[stage]]\nstrip = 'backbone'\n");
    folder.typed("apply ssm-to-hf:mamba m.safetensors -o s.safetensors").check(0, "");
    folder.typed("ls s.safetensors").check(0, "layers.0.mixer.A_log");
}

#[test]
fn a_recipe_that_loses_something_has_no_inverse() {
    let ran = folder().typed("apply kohya-to-diffusers:lora --inverse m.safetensors");
    ran.check(1, "it loses something that an inverse would need");
}

#[test]
fn recipes_are_listed_and_printed() {
    let folder = folder();
    folder.typed("recipes").check(0, "meta-to-hf:llama\n    Llama, Meta -> Hugging Face");
    folder.typed("recipes meta-to-hf:llama").check(0, "heads = [");
    folder.typed("recipes hf-to-meta:llama").check(0, "applies meta-to-hf:llama backwards");
    let json = folder.typed("recipes --json meta-to-hf:mistral").out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["recipes"][0]["name"], "meta-to-hf:llama");
    assert_eq!(json["recipes"][0]["inverse"], "hf-to-meta:llama");
    let printed = folder.typed("recipes ssm-to-hf:mamba").out;
    folder.add("mine.toml", printed.as_bytes());
    folder.typed("apply mine.toml m.safetensors -o h.safetensors").check(0, "");
}

#[test]
fn nothing_is_said_of_names_that_no_convention_has() {
    let folder = Folder::of([("o.safetensors", numbered(&["conv1.weight", "fc.bias"]))]);
    let listed = folder.typed("ls o.safetensors").out;
    assert!(!listed.contains("recipes"), "{listed}");
    let json = folder.typed("ls --json o.safetensors").out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["conventions"], serde_json::json!([]));
    assert_eq!(json["recipes"], serde_json::json!([]));
}
