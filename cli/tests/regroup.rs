//! Rules of tensors as users of `rename` and `apply` meet them.

mod folder;

use folder::Folder;
use serde_json::Value;

/// A safetensors file of bytes that count up.
fn counting(tensors: &[(&str, &[u64])]) -> Vec<u8> {
    let (mut entries, mut end) = (Vec::new(), 0u64);
    for (key, shape) in tensors {
        let start = end;
        end += shape.iter().product::<u64>();
        let offsets = format!("[{start},{end}]");
        entries.push(format!(
            r#""{key}":{{"dtype":"U8","shape":{shape:?},"data_offsets":{offsets}}}"#
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    let data = (0..end).map(|byte| byte as u8);
    let length = (header.len() as u64).to_le_bytes();
    length.into_iter().chain(header.into_bytes()).chain(data).collect()
}

/// Keys with shape and digest, in order.
fn rows(folder: &Folder, name: &str) -> Vec<(String, Value, Value)> {
    let listing = folder.typed(&format!("ls {name} --json --hash"));
    let listing: Value = serde_json::from_str(&listing.out).expect("JSON");
    let tensors = listing["tensors"].as_array().expect("a list").iter();
    let row = |it: &Value| {
        (it["key"].as_str().expect("a key").to_string(), it["shape"].clone(), it["sha256"].clone())
    };
    tensors.map(row).collect()
}

const RECIPE: &[u8] = b"[[stage]]
rename = [
  'b.{i}.qkv.{t}[(p o) ..] -> l.{i}.{p=q,k,v}.{t}[o ..]',
  'b.{i}.{p=gate,up}.weight[o d] -> l.{i}.gate_up.weight[(p o) d]',
  'b.{r..} -> l.{r..}',
]
";

fn model() -> Vec<u8> {
    counting(&[
        ("b.0.qkv.weight", &[6, 4]),
        ("b.0.qkv.bias", &[6]),
        ("b.0.gate.weight", &[3, 4]),
        ("b.0.up.weight", &[3, 4]),
        ("b.0.norm", &[4]),
        ("head", &[2, 4]),
    ])
}

fn folder() -> Folder {
    Folder::of([("a.safetensors", model()), ("recipe.toml", RECIPE.to_vec())])
}

#[test]
fn a_dry_run_shows_what_each_rule_makes() {
    let ran = folder().typed("apply recipe.toml a.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    let expected = "\
a.safetensors: 1 key renamed, 1 unchanged; 4 tensors regrouped into 7
  b.0.norm -> l.0.norm
  b.{i}.qkv.{t}[(p o) ..] -> l.{i}.{p=q,k,v}.{t}[o ..]  (2 tensors -> 6, each [6, 4] -> 3 x [2, 4])
  b.{i}.{p=gate,up}.weight[o d] -> l.{i}.gate_up.weight[(p o) d]  (2 tensors -> 1, 2 x [3, 4] -> [6, 4])
";
    assert_eq!(ran.out, expected);
}

#[test]
fn json_says_what_each_rule_makes() {
    let ran = folder().typed("apply recipe.toml a.safetensors --json");
    let out: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&out["regrouped"], &out["made"]), (&4.into(), &7.into()));
    let rule = &out["regroupings"][1];
    assert_eq!((&rule["groups"], &rule["from"], &rule["to"]), (&1.into(), &2.into(), &1.into()));
    assert_eq!(rule["example"][1], serde_json::json!([["l.0.gate_up.weight", [6, 4]]]));
}

#[test]
fn a_recipe_of_several_rules_leads_back_and_so_does_its_plan() {
    let folder = folder();
    let there = folder.typed("apply recipe.toml a.safetensors -o b.safetensors --save-plan p.json");
    assert_eq!(there.status, 0, "{}", there.err);
    let keys: Vec<String> = rows(&folder, "b.safetensors").into_iter().map(|row| row.0).collect();
    let expected = [
        "l.0.q.weight",
        "l.0.k.weight",
        "l.0.v.weight",
        "l.0.q.bias",
        "l.0.k.bias",
        "l.0.v.bias",
        "l.0.gate_up.weight",
        "l.0.norm",
        "head",
    ];
    assert_eq!(keys, expected);
    let original = rows(&folder, "a.safetensors");
    for (what, output) in [("recipe.toml", "c.safetensors"), ("p.json", "d.safetensors")] {
        let back = folder.typed(&format!("apply {what} b.safetensors --inverse -o {output}"));
        assert_eq!(back.status, 0, "{}", back.err);
        let mut found = rows(&folder, output);
        found.sort_by_key(|row| original.iter().position(|it| it.0 == row.0));
        assert_eq!(found, original, "{what}");
    }
}

#[test]
fn rules_that_would_not_give_a_key_back_are_not_undone() {
    let folder = Folder::of([("b.safetensors", counting(&[("b.x", &[2]), ("b.y", &[3])]))]);
    // Undone, `b.x` becomes `a.x`, of which the first rule makes `c`.
    folder.add("r.toml", b"[[stage]]\nrename = ['a.x -> c', 'a.{r..} -> b.{r..}']\n");
    let ran = folder.typed("apply r.toml b.safetensors --inverse -o a.safetensors");
    assert_eq!(ran.status, 1, "{}", ran.err);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(lines[0].contains("the rules cannot be undone here: 'b.x' would not be made again"));
    assert!(
        lines[1].contains("the rules cannot be undone here: 'c' would be made, and is not there")
    );
}

#[test]
fn tensors_are_not_regrouped_in_place() {
    let ran = folder().typed("apply recipe.toml a.safetensors -i");
    assert_eq!(ran.status, 2, "{}", ran.err);
    assert!(ran.err.contains("in place only names change"), "{}", ran.err);
}
