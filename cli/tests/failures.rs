//! Failures as programs read them: with --json one object on standard output, whatever went wrong.

mod folder;

use folder::{Folder, Ran, numbered, safetensors};
use serde_json::Value;

/// A tensor that the file is too short for.
const TOO_LONG: &str = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;

fn folder() -> Folder {
    let folder = Folder::of([
        ("m.safetensors", numbered(&["a.w", "b.w"])),
        ("other.safetensors", numbered(&["c.w"])),
        ("bad.safetensors", safetensors(TOO_LONG, &[])),
        ("noise.bin", b"hello".to_vec()),
    ]);
    std::fs::create_dir(folder.path("empty")).expect("made");
    folder
}

impl Ran {
    /// The error that was printed, the only thing on standard output.
    fn error(&self) -> Value {
        let value: Value = serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err));
        assert_eq!(value.as_object().map(serde_json::Map::len), Some(1), "{value}");
        value["error"].clone()
    }
}

#[test]
fn every_command_says_in_json_why_a_file_cannot_be_read() {
    let folder = folder();
    for words in [
        "ls none.pth",
        "stats none.pth",
        "strip a none.pth",
        "add a none.pth -o x.pth",
        "unwrap none.pth -i",
        "rename a->b none.pth",
        "keep a none.pth",
        "drop a none.pth",
        "dequantise f32 none.pth",
        "fold-weight-norm none.pth",
        "fill x[2]|=|zeros|F32 none.pth",
        "prune none.pth",
        "apply recipe.toml none.pth",
        "convert none.pth x.npz",
        "merge none.pth m.safetensors",
        "diff none.pth m.safetensors",
        "diff m.safetensors none.pth",
        "check none.pth",
        "derive none.pth m.safetensors",
        "fit none.pth --to m.safetensors",
        "fit m.safetensors --to none.pth",
        "explain none.pth",
        "index none",
        "recover none.pth",
    ] {
        folder.add("recipe.toml", b"[[stage]]\nstrip = \"a\"\n");
        let words: Vec<String> = words.split(' ').map(|word| word.replace('|', " ")).collect();
        let typed: Vec<&str> = words.iter().map(String::as_str).chain(["--json"]).collect();
        let (ran, words) = (folder.run(&typed), words.join(" "));
        assert_eq!(ran.status, 2, "{words}: {}", ran.err);
        let error = ran.error();
        assert_eq!(error["kind"], "io", "{words}: {error}");
        let path = error["path"].as_str().unwrap_or_else(|| panic!("{words}: {error}"));
        assert!(path.starts_with("none"), "{words}: {error}");
        let message = error["message"].as_str().expect("a text");
        assert!(ran.err.contains(message), "{words}: {message} {}", ran.err);
    }
}

#[test]
fn kinds_of_failure_have_names_that_stay() {
    let folder = folder();
    for (words, status, kind) in [
        ("ls bad.safetensors", 2, "malformed"),
        ("ls noise.bin", 2, "unknown-format"),
        ("ls empty", 2, "folder"),
        ("strip a m.safetensors -o other.safetensors", 2, "exists"),
        ("rename *.{x}->{x} m.safetensors", 1, "collision"),
        ("strip z m.safetensors", 1, "refused"),
        ("ls m.safetensors z", 2, "failed"),
        ("strip", 2, "usage"),
        ("ls m.safetensors --no-such-option", 2, "usage"),
        ("no-such-command m.safetensors", 2, "usage"),
        ("convert m.safetensors --cast f7", 2, "failed"),
        ("recipes none-to-none:none", 2, "failed"),
    ] {
        let ran = folder.typed(&format!("{words} --json"));
        assert_eq!(ran.status, status, "{words}: {}{}", ran.out, ran.err);
        let error = ran.error();
        assert_eq!(error["kind"], kind, "{words}: {error}");
        assert!(error["message"].as_str().is_some_and(|it| !it.is_empty()), "{words}: {error}");
        assert!(error["path"].is_null() || error["path"].is_string(), "{words}: {error}");
    }
}

#[test]
fn hints_are_in_the_object() {
    let ran = folder().typed("strip a m.safetensors -o other.safetensors --json");
    assert_eq!(ran.error()["hint"], "add --force to replace it");
    let ran = folder().typed("ls m.safetensors --json --jsn");
    assert!(ran.error()["message"].as_str().is_some_and(|it| it.contains("--jsn")), "{}", ran.out);
}

#[test]
fn an_answer_of_no_stays_the_object_that_it_was() {
    let folder = folder();
    for words in
        ["diff m.safetensors other.safetensors", "fit m.safetensors --to other.safetensors"]
    {
        let ran = folder.typed(&format!("{words} --json"));
        assert_eq!(ran.status, 1, "{words}: {}", ran.err);
        let value: Value = serde_json::from_str(&ran.out).expect("one object");
        assert!(value.get("error").is_none(), "{words}: {value}");
    }
}

#[test]
fn of_several_files_those_that_fail_have_an_object_in_their_place() {
    let folder = folder();
    for (words, status) in [
        ("ls m.safetensors none.pth other.safetensors", 2),
        ("check m.safetensors none.pth other.safetensors", 2),
    ] {
        let ran = folder.typed(&format!("{words} --json"));
        assert_eq!(ran.status, status, "{words}: {}", ran.err);
        let objects = serde_json::Deserializer::from_str(&ran.out).into_iter::<Value>();
        let objects: Vec<Value> = objects.map(|it| it.expect("JSON")).collect();
        assert_eq!(objects.len(), 3, "{words}: {}", ran.out);
        assert_eq!(objects[0]["file"], "m.safetensors", "{words}");
        assert_eq!(objects[1]["error"]["path"], "none.pth", "{words}");
        assert_eq!(objects[2]["file"], "other.safetensors", "{words}");
    }
}

#[test]
fn without_json_nothing_of_a_failure_is_on_standard_output() {
    let folder = folder();
    for words in ["ls none.pth", "strip", "check none.pth", "recipes none-to-none:none"] {
        let ran = folder.typed(words);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{words}");
    }
}

#[test]
fn errors_of_the_system_are_in_plain_words() {
    let folder = folder();
    for (words, said) in [
        ("explain none.pth", "error: none.pth: no such file or directory\n"),
        ("apply none.toml m.safetensors", "error: none.toml: no such file or directory\n"),
        ("index m.safetensors", "it is a file; expected the folder of the shards\n"),
        ("ls m.safetensors/x.pth", "a part of the path is a file, not a folder\n"),
        ("check --allow none.txt m.safetensors", "none.txt: no such file or directory\n"),
    ] {
        let ran = folder.typed(words);
        ran.check(2, said);
        assert!(!ran.err.contains("os error"), "{words}: {}", ran.err);
    }
}
