//! The library of recipes: listed, printed, applied by name, offered by `ls`.

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

const MAMBA: [&str; 3] = [
    "backbone.embedding.weight",
    "backbone.layers.0.mixer.A_log",
    "backbone.layers.0.mixer.x_proj.weight",
];

fn folder() -> Folder {
    Folder::of([("m.safetensors", safetensors(&MAMBA))])
}

fn check(ran: &Ran, status: i32, said: &str) {
    assert_eq!(ran.status, status, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains(said) || ran.out.contains(said), "{said}: {}{}", ran.out, ran.err);
}

#[test]
fn a_recipe_is_applied_by_its_name() {
    let folder = folder();
    check(&folder.typed("apply ssm-to-hf:mamba m.safetensors -o h.safetensors"), 0, "");
    let listed = folder.typed("ls h.safetensors");
    check(&listed, 0, "backbone.embeddings.weight");
    check(&listed, 0, "Mamba, Hugging Face; recipes: hf-to-ssm:mamba");
    check(&folder.typed("apply hf-to-ssm:mamba h.safetensors -o back.safetensors"), 0, "");
    check(&folder.typed("diff m.safetensors back.safetensors"), 0, "");
}

#[test]
fn the_inverse_of_an_inverse_is_the_recipe() {
    let folder = folder();
    let ran = folder.typed("apply hf-to-ssm:mamba --inverse m.safetensors -o h.safetensors");
    check(&ran, 0, "");
    check(&folder.typed("ls h.safetensors"), 0, "backbone.embeddings.weight");
}

#[test]
fn a_recipe_is_not_applied_to_its_own_result() {
    let folder = folder();
    check(&folder.typed("apply ssm-to-hf:mamba m.safetensors -o h.safetensors"), 0, "");
    let again = folder.typed("apply ssm-to-hf:mamba h.safetensors -o again.safetensors");
    check(&again, 1, "backbone.embeddings.weight");
}

#[test]
fn a_name_that_is_neither_file_nor_recipe_gets_the_one_that_was_meant() {
    let folder = folder();
    let ran = folder.typed("apply ssm-to-hf:mambo m.safetensors");
    check(&ran, 2, "'ssm-to-hf:mambo' is neither a file nor a recipe of the library");
    check(&ran, 2, "did you mean ssm-to-hf:mamba?");
    let error = "no recipe of the library is called 'mamba'";
    check(&folder.typed("recipes mamba"), 2, error);
    check(&folder.typed("apply missing.toml m.safetensors"), 2, "missing.toml: No such file");
}

#[test]
fn a_file_goes_before_a_recipe_of_its_name() {
    let folder = folder();
    folder.add("ssm-to-hf:mamba", b"[[stage]]\nstrip = 'backbone'\n");
    check(&folder.typed("apply ssm-to-hf:mamba m.safetensors -o s.safetensors"), 0, "");
    check(&folder.typed("ls s.safetensors"), 0, "layers.0.mixer.A_log");
}

#[test]
fn a_recipe_that_loses_something_has_no_inverse() {
    let ran = folder().typed("apply kohya-to-diffusers:lora --inverse m.safetensors");
    check(&ran, 1, "it loses something that an inverse would need");
}

#[test]
fn recipes_are_listed_and_printed() {
    let folder = folder();
    check(&folder.typed("recipes"), 0, "meta-to-hf:llama\n    Llama, Meta -> Hugging Face");
    check(&folder.typed("recipes meta-to-hf:llama"), 0, "heads = [");
    check(&folder.typed("recipes hf-to-meta:llama"), 0, "applies meta-to-hf:llama backwards");
    let json = folder.typed("recipes --json meta-to-hf:mistral").out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["recipes"][0]["name"], "meta-to-hf:llama");
    assert_eq!(json["recipes"][0]["inverse"], "hf-to-meta:llama");
    let printed = folder.typed("recipes ssm-to-hf:mamba").out;
    folder.add("mine.toml", printed.as_bytes());
    check(&folder.typed("apply mine.toml m.safetensors -o h.safetensors"), 0, "");
}

#[test]
fn nothing_is_said_of_names_that_no_convention_has() {
    let folder = Folder::of([("o.safetensors", safetensors(&["conv1.weight", "fc.bias"]))]);
    let listed = folder.typed("ls o.safetensors").out;
    assert!(!listed.contains("recipes"), "{listed}");
    let json = folder.typed("ls --json o.safetensors").out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["conventions"], serde_json::json!([]));
    assert_eq!(json["recipes"], serde_json::json!([]));
}
