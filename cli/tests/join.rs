//! Several files in one, and one in several.

mod folder;

use std::fs;

use folder::{Folder, numbered, safetensors};
use serde_json::{Value, json};

const TRAINER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../compat-tests/fixtures/trainer.pth");

/// A trainer's file with the state dicts `state_dict` and `state_dict_ema`.
const EMA: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../compat-tests/fixtures/trainers/timm-like.pth.tar");

/// `a.safetensors` of the keys `w` and `v`, `b.safetensors` of `w`, and `run.pth` of a trainer.
fn files() -> Folder {
    let folder =
        Folder::of([("a.safetensors", numbered(&["w", "v"])), ("b.safetensors", numbered(&["w"]))]);
    fs::copy(TRAINER, folder.path("run.pth")).expect("copied");
    folder
}

impl Folder {
    fn keys(&self, file: &str) -> Vec<String> {
        let ran = self.run(&["ls", "--json", file]);
        let listing: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{file}: {}", ran.err));
        let rows = listing["tensors"].as_array().expect("a list").iter();
        rows.map(|row| row["key"].as_str().expect("a text").to_string()).collect()
    }

    /// Files joined with these words have these keys, and each part is what its source is.
    fn joins(&self, words: &str, keys: &[&str]) {
        self.typed(&format!("join {words} -o all.safetensors --force"))
            .check(0, "wrote all.safetensors");
        assert_eq!(self.keys("all.safetensors"), keys, "{words}");
    }
}

#[test]
fn prefixes_go_to_files_in_their_order_or_by_name() {
    let folder = files();
    let both = ["x.w", "x.v", "y.w"];
    folder.joins("a.safetensors b.safetensors --prefix x= --prefix y=", &both);
    folder.joins(
        "a.safetensors b.safetensors --prefix x. --prefix y=".replace("x.", "x.=").as_str(),
        &both,
    );
    folder.joins("a.safetensors b.safetensors --prefix y=b.safetensors --prefix x=", &both);
    folder.joins("a.safetensors b.safetensors --prefix = --prefix y=", &["w", "v", "y.w"]);
    folder.joins("a.safetensors b.safetensors --prefix y=b.safetensors", &["w", "v", "y.w"]);
    folder.joins(
        "a.safetensors run.pth --prefix net.text=",
        &["net.text.w", "net.text.v", "weight", "bias"],
    );
    folder.joins("a.safetensors", &["w", "v"]);
    let said = "--prefix: 3 prefixes in order are more than there are files without one";
    folder
        .typed("join a.safetensors b.safetensors --prefix x= --prefix y= --prefix z=")
        .check(2, said);
    let said = "no file or state dict 'c.pth'; expected one of a.safetensors";
    folder.typed("join a.safetensors --prefix x=c.pth").check(2, said);
    folder
        .typed("join a.safetensors --prefix x=a.safetensors --prefix y=a.safetensors")
        .check(2, "'a.safetensors' is given two prefixes");
    folder
        .typed("join a.safetensors --prefix x")
        .check(2, "expected PREFIX= or PREFIX=FILE, such as x=");
}

#[test]
fn every_key_that_two_files_have_is_refused() {
    let folder = Folder::of([
        ("a.safetensors", numbered(&["w", "v", "u"])),
        ("b.safetensors", numbered(&["u", "w"])),
    ]);
    let ran = folder.typed("join a.safetensors b.safetensors -o all.safetensors");
    ran.check(1, "error: 'w' is in a.safetensors and in b.safetensors\n");
    ran.check(1, "error: 'u' is in a.safetensors and in b.safetensors\n");
    ran.check(1, "hint: --prefix NAME=");
    assert!(!folder.path("all.safetensors").exists());
}

#[test]
fn state_dicts_of_one_file_are_joined_below_their_paths() {
    let folder = files();
    fs::copy(EMA, folder.path("ema.pth")).expect("copied");
    folder.joins("run.pth --at *", &["model.weight", "model.bias"]);
    folder.typed("join ema.pth --at * -o flat.safetensors").check(0, "18 keys");
    let keys = folder.keys("flat.safetensors");
    assert_eq!([&*keys[0], &*keys[9]], ["state_dict.0.weight", "state_dict_ema.0.weight"]);
    let ran = folder.typed("join run.pth --at * -o all.safetensors --force --json");
    let done: Value = serde_json::from_str(&ran.out).expect("JSON");
    let expected = json!([{"file": "run.pth", "at": "model", "prefix": "model", "keys": 2}]);
    assert_eq!(done["joined"], expected);
    let words = "join ema.pth --at state_dict --at state_dict_ema";
    for (prefixes, expected) in [
        ("--prefix = --prefix ema=", ["0.weight", "ema.0.weight"]),
        ("--prefix ema=state_dict_ema", ["0.weight", "ema.0.weight"]),
        ("--prefix x=ema.pth --prefix a= --prefix b=", ["x.a.0.weight", "x.b.0.weight"]),
    ] {
        folder.typed(&format!("{words} {prefixes} -o two.pth --force")).check(0, "18 keys");
        let keys = folder.keys("two.pth");
        assert_eq!([&*keys[0], &*keys[9]], expected, "{prefixes}");
    }
    folder.joins(
        "a.safetensors run.pth --at / --at model --prefix x=",
        &["x.w", "x.v", "weight", "bias"],
    );
    folder
        .typed("join a.safetensors run.pth --at model")
        .check(2, "hint: with --at once for each file");
    let said = "--at: 3 paths for 2 files; expected one path for all, or one for each";
    folder.typed("join a.safetensors run.pth --at / --at model --at x").check(2, said);
    folder
        .typed("join run.pth --at model --at model")
        .check(2, "the state dict 'model' is named twice");
}

#[test]
fn what_is_no_tensor_is_listed_and_metadata_follow() {
    let entry = r#""w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
    let header = |text: &str| format!(r#"{{"__metadata__":{{{text}}},{entry}}}"#);
    let tied = safetensors(&header(r#""license":"mit","alias":"w""#), &[1]);
    let other = safetensors(&header(r#""license":"gpl","author":"me""#), &[2]);
    let folder = Folder::of([("a.safetensors", tied), ("b.safetensors", other)]);
    fs::copy(TRAINER, folder.path("run.pth")).expect("copied");
    let words = "join a.safetensors b.safetensors run.pth --prefix x= --prefix y=";
    let ran = folder.typed(&format!("{words} -o all.safetensors"));
    ran.check(0, "run.pth/optimizer (dict, 6 tensors)");
    ran.check(0, "b.safetensors/__metadata__/license (other text)");
    let payload = folder.typed("ls --payload all.safetensors").out;
    for line in ["license: 'mit'", "author: 'me'", "x.alias: 'x.w'"] {
        assert!(payload.contains(line), "{line}: {payload}");
    }
    let ran = folder.typed(&format!("{words} -o all.npz"));
    ran.check(0, "license (metadata)");
    assert_eq!(folder.keys("all.npz"), ["x.w", "x.alias", "y.w", "weight", "bias"]);
}

#[test]
fn joined_files_are_of_any_format_cast_and_spread() {
    let folder = files();
    let words = "join a.safetensors run.pth --prefix x=";
    folder.typed(&format!("{words} -o all.pth --cast x.**=f16")).check(0, "2 tensors cast to F16");
    folder.typed(&format!("{words} -o out --shard-size 8")).check(0, "2 files");
    folder.typed(&format!("{words} -o run --format dcp")).check(0, "wrote run (dcp");
    folder.typed("diff out run").check(0, "the same");
    let ran = folder.typed(words);
    ran.check(0, "dry run, nothing written; to apply:");
    ran.check(0, "-o joined.safetensors");
    folder
        .typed(&format!("{words} -o a.safetensors --force"))
        .check(2, "it is one of the files to join");
}

#[test]
fn an_adapter_beside_its_base_is_merged_like_one_of_its_own() {
    let up =
        r#""base_model.model.fc.lora_B.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}"#;
    let down = r#""base_model.model.fc.lora_A.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]}"#;
    let numbers: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|it| it.to_le_bytes()).collect();
    let base = r#"{"fc.base_layer.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
    let plain = r#"{"fc.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
    let folder = Folder::of([
        ("lora.safetensors", safetensors(&format!("{{{up},{down}}}"), &numbers)),
        ("base.safetensors", safetensors(base, &numbers)),
        ("plain.safetensors", safetensors(plain, &numbers)),
    ]);
    let words =
        "join base.safetensors lora.safetensors -o both.safetensors --prefix base_model.model=";
    folder.typed(words).check(0, "3 keys");
    folder.typed("merge both.safetensors --alpha 1 -o one.safetensors").check(0, "");
    folder
        .typed("merge plain.safetensors lora.safetensors --alpha 1 -o two.safetensors")
        .check(0, "");
    folder.typed("diff one.safetensors two.safetensors").check(0, "the same");
}

#[test]
fn what_was_joined_is_split_again() {
    let folder = files();
    folder.joins(
        "a.safetensors run.pth --prefix text= --prefix vision=",
        &["text.w", "text.v", "vision.weight", "vision.bias"],
    );
    let words = "split all.safetensors --prefix text=new.safetensors --prefix vision=new.pth";
    folder.typed(words).check(0, "wrote new.pth (pth");
    folder.typed("diff a.safetensors new.safetensors --weights-only").check(0, "the same");
    folder.typed("diff run.pth new.pth --weights-only").check(0, "the same");
}

#[test]
fn keys_go_to_the_first_file_whose_pattern_matches() {
    let folder = Folder::of([("all.safetensors", numbered(&["a.w", "a.b", "c.w", "d"]))]);
    let words =
        ["split", "all.safetensors", "**.b=b.npz", "a.**=ac.pth", "c.**=ac.pth", "**=rest=1.pth"];
    folder.run(&words).check(0, "");
    assert_eq!(folder.keys("b.npz"), ["a.b"]);
    assert_eq!(folder.keys("ac.pth"), ["a.w", "c.w"]);
    assert_eq!(folder.keys("rest=1.pth"), ["d"]);
}

#[test]
fn keys_that_go_nowhere_are_refused_or_listed() {
    let folder = Folder::of([("all.safetensors", numbered(&["a.w", "c.w", "d"]))]);
    let ran = folder.typed("split all.safetensors a.**=a.pth");
    ran.check(1, "error: all.safetensors: 'c.w' goes to no file\nerror: all.safetensors: 'd' goes");
    ran.check(1, "hint: '**=rest.safetensors' last takes the rest, --only leaves it out");
    assert!(!folder.path("a.pth").exists());
    let ran = folder.typed("split all.safetensors a.**=a.pth --only --json");
    ran.check(0, "note: 2 keys in no new file: c.w, d");
    let done: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(done["in_no_file"], json!(["c.w", "d"]));
    assert_eq!(done["outputs"][0]["keys"], json!([["a.w", "a.w"]]));
    folder
        .typed("split all.safetensors x.**=x.pth **=y.pth")
        .check(1, "no key is left for 'x.**=x.pth'");
}

#[test]
fn all_files_of_a_split_come_or_none() {
    let folder = Folder::of([("all.safetensors", numbered(&["a.w", "b.w"]))]);
    folder.typed("split all.safetensors a.**=a.pth b.**=none/b.pth").check(2, "none/b.pth");
    assert!(!folder.path("a.pth").exists());
    folder.add("b.pth", b"mine");
    folder.typed("split all.safetensors a.**=a.pth b.**=b.pth").check(2, "already exists");
    assert!(!folder.path("a.pth").exists());
    let said = "it is the file to split";
    folder.typed("split all.safetensors **=all.safetensors --force").check(2, said);
    folder.typed("split all.safetensors a.**=a.pth **=b.pth -n --force").check(0, "dry run");
    assert!(!folder.path("a.pth").exists());
    folder.typed("split all.safetensors").check(2, "expected the keys of at least one file");
}
