//! `statedict derive` as its users meet it.

mod folder;

use std::fs;

use serde_json::{Value, json};

use folder::{Folder, Ran};

/// A key with the shape of its tensor, and its bytes.
type Tensor<'a> = (&'a str, &'a [usize], Vec<u8>);

impl Folder {
    /// A folder with the files `a.safetensors` and `b.safetensors`.
    fn with(a: &[Tensor], b: &[Tensor]) -> Folder {
        Folder::of([("a.safetensors", safetensors(a)), ("b.safetensors", safetensors(b))])
    }

    /// `derive a.safetensors b.safetensors` with more words.
    fn derive(&self, more: &[&str]) -> Ran {
        self.run(&[&["derive", "a.safetensors", "b.safetensors"], more].concat())
    }
}

fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (key, shape, bytes) in tensors {
        let (start, end) = (data.len(), data.len() + bytes.len());
        entries.push(format!(
            r#""{key}":{{"dtype":"U8","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
        data.extend(bytes);
    }
    let header = format!("{{{}}}", entries.join(","));
    folder::safetensors(&header, &data)
}

/// Bytes that differ from those of other numbers.
fn noise(number: u8, len: u8) -> Vec<u8> {
    (0..len).map(|i| i.wrapping_mul(7).wrapping_add(number.wrapping_mul(31)) ^ i).collect()
}

/// Two layers that are renamed, with zeros that only the rule behind the others can distinguish.
fn renamed() -> Folder {
    let zeros = || vec![0; 4];
    Folder::with(
        &[
            ("layers.0.w", &[16], noise(1, 16)),
            ("layers.0.b", &[4], zeros()),
            ("layers.1.w", &[16], noise(2, 16)),
            ("layers.1.b", &[4], zeros()),
            ("old.w", &[3], noise(3, 3)),
        ],
        &[
            ("blocks.1.w", &[16], noise(1, 16)),
            ("blocks.1.b", &[4], zeros()),
            ("blocks.2.w", &[16], noise(2, 16)),
            ("blocks.2.b", &[4], zeros()),
        ],
    )
}

/// A fused tensor that is taken apart, one that is transposed, and one from nowhere.
fn fused() -> Folder {
    let (fused, square) = (noise(4, 32), noise(5, 16));
    let turned = (0..16).map(|i| square[i % 4 * 4 + i / 4]).collect();
    let (first, second) = (fused[..16].to_vec(), fused[16..].to_vec());
    Folder::with(
        &[("qk", &[8, 4], fused), ("w", &[4, 4], square)],
        &[
            ("q", &[4, 4], first),
            ("k", &[4, 4], second),
            ("w", &[4, 4], turned),
            ("new", &[2], noise(6, 2)),
        ],
    )
}

#[test]
fn a_recipe_is_printed_and_applies() {
    let folder = renamed();
    let ran = folder.derive(&["--save-recipe", "r.toml"]);
    let expected = "\
a.safetensors -> b.safetensors: 4 of 4 keys matched by contents
  layers.{0..1}.w -> blocks.{1..2}.w  (2 keys)
  layers.{0..1}.b -> blocks.{1..2}.b  (2 keys)
dropped, b has no place for it: old.w
saved the recipe as r.toml
";
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "", expected));
    let recipe = fs::read_to_string(folder.path("r.toml")).expect("a recipe");
    let expected = r#"# a.safetensors -> b.safetensors: 4 of 4 keys matched by contents
# dropped, b has no place for it: old.w

[[stage]]
drop = "old.**"

[[stage]]
rename = "layers.{i}.{rest..} -> blocks.{i+1}.{rest..}"
"#;
    assert_eq!(recipe, expected);
    assert_eq!(folder.derive(&["-q"]).out, recipe);
    let applied = folder.run(&["apply", "r.toml", "a.safetensors", "-o", "c.safetensors"]);
    assert_eq!(applied.status, 0, "{}", applied.err);
    assert_eq!(folder.run(&["diff", "c.safetensors", "b.safetensors"]).status, 0);
}

#[test]
fn what_moves_elements_is_a_rule_and_what_is_from_nowhere_is_named() {
    let ran = fused().derive(&[]);
    let expected = "\
a.safetensors -> b.safetensors: 0 of 4 keys matched by contents, \
3 by rules that move elements, 1 open
  qk[(p a) b] -> {p=q,k}[a b]  (2 keys)
  w[a b] -> w[b a]  (1 key)
open, a has no such elements: new  (1 key)
";
    assert_eq!((ran.status, ran.err.as_str()), (1, expected));
    let rules =
        "[[stage]]\nrename = [\n  \"qk[(p a) b] -> {p=q,k}[a b]\",\n  \"w[a b] -> w[b a]\",\n]\n";
    assert!(ran.out.ends_with(rules), "{}", ran.out);
}

/// A layer of which nothing is left has keys as the others have, and keeps them.
#[test]
fn a_rule_takes_no_key_that_it_is_not_about() {
    let square = |number| noise(number, 16);
    let turned = |number| -> Vec<u8> {
        let square = square(number);
        (0..16).map(|i| square[i % 4 * 4 + i / 4]).collect()
    };
    let folder = Folder::with(
        &[
            ("l.0.w", &[4, 4], square(1)),
            ("l.1.w", &[4, 4], square(2)),
            ("l.2.w", &[4, 4], square(3)),
        ],
        &[
            ("m.0.w", &[4, 4], turned(1)),
            ("m.1.w", &[4, 4], turned(2)),
            ("m.2.w", &[4, 4], square(3)),
        ],
    );
    let ran = folder.derive(&["--save-recipe", "r.toml"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let recipe = fs::read_to_string(folder.path("r.toml")).expect("a recipe");
    let rules = "  \"l.2.w -> m.2.w\",\n  \"l.{i}.w[a b] -> m.{i}.w[b a]\",\n";
    assert!(recipe.contains(rules), "{recipe}");
    let applied = folder.run(&["apply", "r.toml", "a.safetensors", "-o", "c.safetensors"]);
    assert_eq!(applied.status, 0, "{}", applied.err);
    assert_eq!(folder.run(&["diff", "--weights-only", "c.safetensors", "b.safetensors"]).status, 0);
}

#[test]
fn json_says_the_same() {
    let ran = fused().derive(&["--json", "-q"]);
    let found: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((ran.status, &found["complete"]), (1, &json!(false)));
    assert_eq!(found["rearranged"], json!([{ "from": "w", "to": "w", "how": "transposed" }]));
    let portion = |part, start, end| {
        json!({
            "part": part, "whole": "qk", "whole_in": "a",
            "lines": "rows", "start": start, "end": end, "transposed": false,
        })
    };
    assert_eq!(found["portions"], json!([portion("q", 0, 4), portion("k", 4, 8)]));
    assert_eq!(found["open"], json!([{ "key": "new", "candidates": [] }]));
    let rule = |rule, from: [&str; 1], to: &[&str]| json!({ "rule": rule, "from": from, "to": to });
    let split = rule("qk[(p a) b] -> {p=q,k}[a b]", ["qk"], &["q", "k"]);
    assert_eq!(found["tensor_rules"], json!([split, rule("w[a b] -> w[b a]", ["w"], &["w"])]));
    assert_eq!(found["no_rule"], json!([]));
    let found: Value = serde_json::from_str(&renamed().derive(&["--json"]).out).expect("JSON");
    assert_eq!(found["complete"], json!(true));
    assert_eq!(found["pairs"][0], json!({ "from": "layers.0.w", "to": "blocks.1.w" }));
    assert_eq!(found["dropped"], json!(["old.w"]));
    let rules = ["drop:old.**", "rename:layers.{i}.{rest..} -> blocks.{i+1}.{rest..}"];
    assert_eq!(found["rules"], json!(rules));
    assert!(found["recipe"].as_str().is_some_and(|recipe| recipe.contains("[[stage]]")));
}

#[test]
fn a_recipe_replaces_no_file_without_force() {
    let folder = renamed();
    fs::write(folder.path("r.toml"), "precious").expect("written");
    let ran = folder.derive(&["--save-recipe", "r.toml"]);
    let expected =
        "error: cannot write 'r.toml': already exists\nhint: add --force to replace it\n";
    assert_eq!((ran.status, ran.err.as_str()), (2, expected));
    assert_eq!(fs::read(folder.path("r.toml")).expect("there"), b"precious");
    assert_eq!(folder.derive(&["--save-recipe", "r.toml", "--force"]).status, 0);
    let read = ["--save-recipe", "a.safetensors", "--force"];
    let ran = folder.derive(&read);
    assert_eq!((ran.status, ran.err.contains("would replace it")), (2, true), "{}", ran.err);
}

#[test]
fn a_recipe_of_two_files_with_the_same_keys_is_one_that_applies() {
    let folder = Folder::of([("a.safetensors", folder::numbered(&["a.weight", "b.weight"]))]);
    let ran = folder.typed("derive a.safetensors a.safetensors --save-recipe r.toml");
    assert_eq!(ran.status, 0, "{}", ran.err);
    let ran = folder.typed("apply r.toml a.safetensors -o c.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(folder.typed("diff --weights-only a.safetensors c.safetensors").status, 0);
}
