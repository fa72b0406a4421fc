//! What reaches a terminal: names as long as a line has room for, and nothing that steers it or is
//! not seen.

mod folder;

use std::process::Command;

use folder::Folder;
use serde_json::{Value, json};

/// A file with one number under each key.
fn safetensors<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    for (i, key) in keys.into_iter().enumerate() {
        let offsets = [4 * i, 4 * i + 4];
        let entry = json!({ "dtype": "F32", "shape": [1], "data_offsets": offsets });
        header.insert(key.into(), entry);
    }
    let (data, header) = (vec![0; 4 * header.len()], Value::Object(header).to_string());
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// Keys that would turn a line around, clear a screen, or look like another key.
const DECEIVING: [&str; 5] =
    ["a.\u{202e}thgiew", "b.\u{9b}2J", "c.\u{1b}[2J\n", "module.\u{2067}d\u{2069}", "e.\u{200b}w"];

#[test]
fn nothing_of_a_file_steers_the_terminal() {
    let folder = Folder::of([
        ("m.safetensors", safetensors(DECEIVING)),
        ("n.safetensors", safetensors(["a.w", "d"])),
    ]);
    for words in [
        "ls m.safetensors",
        "ls --tree m.safetensors",
        "ls --json m.safetensors",
        "strip module m.safetensors",
        "strip module m.safetensors --json",
        "strip modul m.safetensors",
        "drop a.** m.safetensors",
        "rename *.{x}->{x} m.safetensors",
        "keep a.** m.safetensors -o out.npz --force",
        "diff m.safetensors n.safetensors",
        "diff m.safetensors n.safetensors --json",
        "derive m.safetensors m.safetensors",
        "fit m.safetensors --to n.safetensors",
        "check m.safetensors",
        "explain m.safetensors",
        "ls \u{202e}m.safetensors",
        "ls --\u{202e}m",
    ] {
        let complaint = "Unexpected key(s) in state_dict: \"a.\u{202e}thgiew\", \"e.\u{200b}w\". ";
        let ran = folder.typed_with(words, complaint.as_bytes());
        let said = ran.out + &ran.err;
        let is_meant = |c: char| {
            c == '\n' || (!c.is_control() && !"\u{202e}\u{2067}\u{2069}\u{200b}".contains(c))
        };
        assert!(said.chars().all(is_meant), "{words}: {said:?}");
    }
    let listed = folder.typed("ls m.safetensors").out;
    assert!(listed.contains(r"a.\u{202e}thgiew") && listed.contains(r"c.\u{1b}[2J\n"), "{listed}");
    let json: Value =
        serde_json::from_str(&folder.typed("ls --json m.safetensors").out).expect("JSON");
    assert_eq!(json["tensors"][0]["key"], DECEIVING[0]);
}

#[test]
fn one_long_key_makes_no_other_line_long() {
    let long = "k".repeat(70_000) + ".weight";
    let short: Vec<String> = (0..1000).map(|i| format!("l.{i}.w")).collect();
    let keys = short.iter().map(String::as_str).chain([long.as_str()]);
    let folder = Folder::of([("m.safetensors", safetensors(keys))]);
    for words in ["ls m.safetensors", "ls --tree m.safetensors", "strip l m.safetensors"] {
        let ran = folder.typed(words);
        assert_eq!(ran.status, 0, "{words}: {}", ran.err);
        let longest = ran.out.lines().map(|line| line.chars().count()).max();
        assert!(longest < Some(400), "{words}: {longest:?}");
    }
    let cut = "\u{2026}kkkk";
    assert!(folder.typed("ls m.safetensors").out.contains(cut));
    let json: Value =
        serde_json::from_str(&folder.typed("ls --json m.safetensors").out).expect("JSON");
    let has_whole = json["tensors"].as_array().expect("a list").iter().any(|it| it["key"] == *long);
    assert!(has_whole);
}

#[test]
fn collisions_that_are_alike_share_a_line() {
    let keys: Vec<String> =
        (0..1500).flat_map(|i| [format!("l.{i}.a.w"), format!("l.{i}.b.w")]).collect();
    let folder = Folder::of([("m.safetensors", safetensors(keys.iter().map(String::as_str)))]);
    let ran =
        folder.run(&["rename", "l.{i}.a.w -> l.{i}.w", "l.{i}.b.w -> l.{i}.w", "m.safetensors"]);
    assert_eq!(ran.status, 1);
    let errors: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{}", ran.err);
    assert!(errors[0].contains("2 keys would become 'l.{0..1499}.w': 'l.{0..1499}.a.w' by"));
    assert!(errors[0].ends_with("(1500 alike)"), "{}", errors[0]);
}

#[cfg(unix)]
#[test]
fn a_suggested_line_with_such_a_name_does_what_it_says() {
    let folder = Folder::of([("m.safetensors", safetensors(DECEIVING))]);
    let ran = folder.run(&["strip", "a.\u{202e}thgi", "m.safetensors", "--allow-unchanged"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let ran = folder.run(&["rename", "a.\u{202e}thgiew -> a.it's", "m.safetensors"]);
    let line = ran.err.lines().last().expect("a line").trim().to_string();
    let Some(rest) = line.strip_prefix("statedict ") else { panic!("{line}") };
    let script = format!("\"$0\" {rest}");
    let program = folder::statedict();
    let mut bash = Command::new("bash");
    bash.arg("-c").arg(script).arg(program.get_program()).current_dir(folder.path("."));
    let Ok(output) = bash.output() else { return println!("skipped: there is no bash") };
    assert!(output.status.success(), "{line}: {output:?}");
    let listed = folder.typed("ls --json m-new.safetensors").out;
    assert_eq!(
        serde_json::from_str::<Value>(&listed).expect("JSON")["tensors"][0]["key"],
        "a.it's"
    );
}
