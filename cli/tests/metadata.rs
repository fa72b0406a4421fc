//! Metadata of a file, shown, kept, changed and refused.

mod folder;

use std::fs;

use serde_json::{Value, json};

use folder::Folder;

/// A safetensors file of two tensors, of which a third key is recorded to share one.
fn lora() -> Vec<u8> {
    let metadata = json!({
        "format": "pt", "ss_network_dim": "4", "ss_network_module": "networks.lora",
        "head.weight": "embed.weight", "note": "\u{1b}[2J",
    });
    safetensors(&["embed.weight", "fc.weight"], &metadata)
}

fn safetensors(keys: &[&str], metadata: &Value) -> Vec<u8> {
    let entry = |(i, key): (usize, &&str)| {
        let (start, end) = (4 * i, 4 * i + 4);
        format!(r#""{key}":{{"dtype":"F32","shape":[1],"data_offsets":[{start},{end}]}}"#)
    };
    let entries: Vec<String> = keys.iter().enumerate().map(entry).collect();
    let header = format!(r#"{{"__metadata__":{metadata},{}}}"#, entries.join(","));
    let data: Vec<u8> = (1..=keys.len()).flat_map(|i| (i as f32).to_le_bytes()).collect();
    folder::safetensors(&header, &data)
}

fn folder() -> Folder {
    Folder::of([("lora.safetensors", lora())])
}

impl Folder {
    fn json(&self, words: &str) -> Value {
        let ran = self.typed(words);
        serde_json::from_str(&ran.out)
            .unwrap_or_else(|error| panic!("{words}: {error}: {}", ran.err))
    }

    fn metadata(&self, name: &str) -> Value {
        self.json(&format!("ls --json {name}"))["metadata"].clone()
    }

    fn keys(&self, name: &str) -> Vec<String> {
        let listed = self.json(&format!("ls --json {name}"));
        let rows = listed["tensors"].as_array().expect("a list");
        rows.iter().map(|row| row["key"].as_str().expect("text").to_string()).collect()
    }

    /// The file that holds a key of the sharded checkpoint.
    fn home(&self, key: &str) -> String {
        let index = fs::read(self.path("sharded/model.safetensors.index.json")).expect("there");
        let index: Value = serde_json::from_slice(&index).expect("JSON");
        format!("sharded/{}", index["weight_map"][key].as_str().expect("named"))
    }

    /// The command ends with this status, having said these words on standard error.
    fn check(&self, words: &str, status: i32, said: &[&str]) {
        let ran = self.typed(words);
        assert_eq!(ran.status, status, "{words}: {}", ran.err);
        for said in said {
            assert!(ran.err.contains(said), "{words}: '{said}' is not in {}", ran.err);
        }
    }
}

#[test]
fn metadata_is_listed_whole_as_json_and_bounded_and_escaped_as_text() {
    let folder = folder();
    let expected = json!({
        "format": "pt", "head.weight": "embed.weight", "note": "\u{1b}[2J",
        "ss_network_dim": "4", "ss_network_module": "networks.lora",
    });
    assert_eq!(folder.metadata("lora.safetensors"), expected);
    let ran = folder.typed("ls --payload lora.safetensors");
    assert!(ran.out.starts_with("metadata:\n  format: 'pt'\n"), "{}", ran.out);
    assert!(ran.out.contains("  note: '\\u{1b}[2J'\n"), "{}", ran.out);
    let long = "x".repeat(50_000);
    folder.add("long.safetensors", &safetensors(&["w"], &json!({ "tags": long })));
    assert_eq!(folder.metadata("long.safetensors")["tags"], long);
    let shown = folder.typed("ls --payload long.safetensors").out;
    assert!(shown.ends_with("x… (49880 more characters)'\n") && shown.len() < 300, "{shown}");
}

#[test]
fn a_pth_keeps_metadata_and_gives_it_back() {
    let folder = folder();
    let words = "note: keys that the metadata records as shared are written again: \
                 embed.weight = head.weight";
    folder.check("convert lora.safetensors lora.pth", 0, &[words]);
    let kept = json!({
        "note": "\u{1b}[2J", "ss_network_dim": "4", "ss_network_module": "networks.lora",
    });
    assert_eq!(folder.metadata("lora.pth"), kept);
    assert_eq!(folder.keys("lora.pth"), ["embed.weight", "head.weight", "fc.weight"]);
    folder.check("add m lora.pth -i", 0, &["edited lora.pth in place"]);
    assert_eq!(folder.metadata("lora.pth"), kept);
    folder.check("strip m lora.pth -o back.safetensors --ties one", 0, &["ties written once"]);
    assert_eq!(folder.metadata("back.safetensors"), folder.metadata("lora.safetensors"));
}

#[test]
fn an_npz_has_no_place_for_metadata_which_is_listed_or_refused() {
    let folder = folder();
    let words = [
        "note: shared tensors duplicated (--ties one stores them once): embed.weight = head.weight",
        "note: not written, npz cannot store it: note (metadata), \
         ss_network_dim (metadata), ss_network_module (metadata)",
    ];
    folder.check("convert lora.safetensors lora.npz", 0, &words);
    assert_eq!(folder.keys("lora.npz"), ["embed.weight", "head.weight", "fc.weight"]);
    let done = folder.json("convert lora.safetensors lora.npz --force --json");
    let left = json!(["note", "ss_network_dim", "ss_network_module"]);
    assert_eq!(done["left_behind"]["metadata"], left);
    let refused = ["error: --metadata: npz has no place for metadata"];
    folder.check("rename lora.npz -i --metadata a=b", 2, &refused);
    folder.check("convert lora.safetensors new.npz --metadata a=b", 2, &refused);
    assert!(!folder.path("new.npz").exists());
}

#[test]
fn metadata_is_changed_in_place_where_it_fits_and_elsewhere_too() {
    let folder = folder();
    folder.check(
        "rename lora.safetensors -i --drop-metadata ss_*",
        0,
        &["edited lora.safetensors"],
    );
    let data = fs::read(folder.path("lora.safetensors")).expect("there").len();
    folder.check("rename lora.safetensors -i --metadata ss_x=4 --drop-metadata note", 0, &[]);
    let expected = json!({ "format": "pt", "head.weight": "embed.weight", "ss_x": "4" });
    assert_eq!(folder.metadata("lora.safetensors"), expected);
    assert_eq!(fs::read(folder.path("lora.safetensors")).expect("there").len(), data);

    folder.check("rename lora.safetensors -o new.safetensors --metadata a=b=c", 0, &[]);
    assert_eq!(folder.metadata("new.safetensors")["a"], "b=c");
    folder.check("convert new.safetensors new.pth --metadata a= --drop-metadata ss_x", 0, &[]);
    assert_eq!(folder.metadata("new.pth"), json!({ "a": "" }));
    for value in ["1", "longer", "2"] {
        folder.check(&format!("rename new.pth -i --metadata v={value}"), 0, &["edited new.pth"]);
        assert_eq!(folder.metadata("new.pth"), json!({ "a": "", "v": value }));
    }
    folder.check("rename new.pth -i --drop-metadata ?", 0, &["metadata v: '2' -> (dropped)"]);
    assert_eq!(folder.metadata("new.pth"), json!({}));
    folder.add("bare.safetensors", &safetensors(&["w"], &Value::Null));
    folder.check("rename bare.safetensors -i --metadata a=1", 0, &[]);
    assert_eq!(folder.metadata("bare.safetensors"), json!({ "a": "1" }));
    folder.check("drop w bare.safetensors -i --metadata a=2", 0, &[]);
    assert_eq!(folder.metadata("bare.safetensors"), json!({ "a": "2" }));
}

#[test]
fn changes_of_metadata_are_shown_before_and_saved_with_the_plan() {
    let folder = folder();
    let ran = folder.typed("add m lora.safetensors --metadata note=x --drop-metadata none --json");
    let shown: Value = serde_json::from_str(&ran.out).expect("JSON");
    let change = json!([{ "key": "note", "old": "\u{1b}[2J", "new": "x" }]);
    assert_eq!((&shown["metadata"], &shown["plan"]["metadata"]), (&change, &change));
    assert_eq!(shown["idle"], json!(["--drop-metadata none"]));
    folder.check(
        "add m lora.safetensors --metadata note=x --save-plan p.json -o new.safetensors",
        0,
        &["metadata note: '\\u{1b}[2J' -> 'x'"],
    );
    folder.check("apply p.json new.safetensors --inverse -o old.safetensors", 0, &[]);
    assert_eq!(folder.metadata("old.safetensors"), folder.metadata("lora.safetensors"));
}

#[test]
fn what_is_not_metadata_is_refused() {
    let folder = folder();
    let check = |words: &str, said: &str| {
        folder.check(&format!("rename lora.safetensors {words}"), 2, &[said])
    };
    check("-i --metadata author", "error: --metadata: expected KEY=VALUE, found 'author'");
    check("-i --metadata =x", "expected KEY=VALUE with a key before '='");
    check("-i --metadata a=1 --metadata a=2", "metadata key 'a' is given twice");
    check("-i", "<FROM -> TO>...");
    assert_eq!(fs::read(folder.path("lora.safetensors")).expect("there"), lora());
}

#[test]
fn shards_and_their_index_keep_what_each_says() {
    let folder = folder();
    folder.check("convert lora.safetensors sharded --shard-size 4", 0, &[]);
    let index = folder.path("sharded/model.safetensors.index.json");
    let mut text: Value = serde_json::from_slice(&fs::read(&index).expect("there")).expect("JSON");
    text["metadata"]["origin"] = json!({ "step": 3 });
    fs::write(&index, text.to_string()).expect("written");
    let expected = json!({
        "format": "pt", "note": "\u{1b}[2J", "ss_network_dim": "4", "head.weight": "embed.weight",
        "ss_network_module": "networks.lora", "origin": r#"{"step":3}"#,
    });
    assert_eq!(folder.metadata("sharded"), expected);
    folder.check("rename sharded -i --metadata note=x --drop-metadata ss_*", 0, &[]);
    let second = folder.home("fc.weight");
    assert_eq!(folder.metadata(&second), json!({ "format": "pt", "note": "x" }));
    folder.check("convert sharded one.pth", 0, &[]);
    assert_eq!(folder.metadata("one.pth"), json!({ "note": "x", "origin": r#"{"step":3}"# }));
    folder.check("rename sharded -i --drop-metadata origin", 0, &[]);
    assert_eq!(folder.metadata("sharded").get("origin"), None);
    let second = folder.home("fc.weight");
    folder.check(&format!("rename {second} -i --metadata note=y"), 0, &[]);
    let (said, first) = (folder.metadata("sharded"), folder.home("embed.weight"));
    let own = |file: &str| said[format!("{}/note", file.trim_start_matches("sharded/"))].clone();
    assert_eq!([own(&first), own(&second)], ["x", "y"]);
}
