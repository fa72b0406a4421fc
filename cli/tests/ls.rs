//! What a file holds: parameters first, several files, patterns, orders, states that share a line.

mod folder;

use std::fs;
use std::path::Path;

use folder::{Folder, numbered, safetensors};

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compat-tests/fixtures");
    fs::read(folder.join(name)).expect("a fixture")
}

/// A file of tensors of several types and sizes.
fn net() -> Folder {
    let header = r#"{"layers.10.w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"layers.2.w":{"dtype":"BF16","shape":[4],"data_offsets":[16,24]},"head.w":{"dtype":"F32","shape":[1],"data_offsets":[24,28]}}"#;
    Folder::of([("net.safetensors", safetensors(header, &[0; 28]))])
}

/// The first words of the lines about tensors.
fn keys(out: &str) -> Vec<&str> {
    out.lines().skip(1).filter_map(|line| line.split(' ').next()).collect()
}

#[test]
fn parameters_come_first_with_what_each_type_takes() {
    let ran = net().typed("ls net.safetensors");
    let first = "9 parameters in 3 tensors, 28 B: 20 B F32, 8 B BF16 (safetensors)";
    assert_eq!(ran.out.lines().next(), Some(first));
    let ran = Folder::of([("run.pth", fixture("trainer.pth"))]).typed("ls run.pth");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "2 parameters in 2 tensors, 8 B F32 (pth)");
    assert_eq!(lines[1], "optimizer state (6 tensors), 32 B to load all of it");
}

#[test]
fn patterns_types_and_orders_choose_lines() {
    let folder = net();
    let check = |words: &str, expected: &[&str]| {
        let ran = folder.typed(&format!("ls net.safetensors {words}"));
        assert_eq!((keys(&ran.out).as_slice(), ran.status), (expected, 0), "{words}: {}", ran.err);
    };
    check("layers", &["layers.10.w", "layers.2.w"]);
    check("layers.{i}.w head.*", &["layers.10.w", "layers.2.w", "head.w"]);
    check("--dtype bfloat16", &["layers.2.w"]);
    let none = "no tensor of type 'f17'; there are F32, BF16";
    net().typed("ls net.safetensors --dtype bf16,f17").check(2, none);
    check("--dtype f32,bf16 --sort name", &["head.w", "layers.2.w", "layers.10.w"]);
    check("--sort size", &["layers.10.w", "layers.2.w", "head.w"]);
    check("--sort shape", &["layers.2.w", "layers.10.w", "head.w"]);
    check("--depth 1", &["layers", "head"]);
    folder.typed("ls net.safetensors haed").check(2, "no tensor matches 'haed'");
}

#[test]
fn states_of_an_optimizer_share_a_line() {
    let folder = Folder::of([("run.pth", fixture("trainer.pth"))]);
    let line = "optimizer/state/{0..1} (6 tensors, 24 B): step, exp_avg, exp_avg_sq";
    folder.typed("ls run.pth").check(0, line);
    let all = folder.typed("ls run.pth --all");
    assert!(all.out.contains("optimizer/state/1 (3 tensors):"), "{}", all.out);
}

#[test]
fn several_files_are_listed_one_after_another() {
    let folder = net();
    folder.add("b.safetensors", &numbered(&["head.w"]));
    let ran = folder.typed("ls net.safetensors b.safetensors head");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.starts_with("net.safetensors:\n1 parameter in 1 tensor"), "{}", ran.out);
    assert!(ran.out.contains("\n\nb.safetensors:\n1 parameter"), "{}", ran.out);
    let ran = folder.typed("ls net.safetensors gone.safetensors b.safetensors");
    ran.check(2, "cannot read 'gone.safetensors'");
    assert!(ran.out.contains("b.safetensors:\n1 parameter"), "{}", ran.out);
    let json = folder.typed("ls --json net.safetensors b.safetensors").out;
    let objects = serde_json::Deserializer::from_str(&json).into_iter::<serde_json::Value>();
    let files: Vec<_> = objects.map(|object| object.expect("JSON")["file"].to_string()).collect();
    assert_eq!(files, [r#""net.safetensors""#, r#""b.safetensors""#]);
}

#[test]
fn a_file_alone_is_listed_and_other_words_for_that_work() {
    let folder = net();
    let expected = folder.typed("ls net.safetensors").out;
    for words in ["", "info", "list", "show", "inspect"] {
        assert_eq!(folder.typed(&format!("{words} net.safetensors")).out, expected, "{words}");
    }
    let ran = folder.typed("net.safetensors --dtype bf16");
    assert_eq!(keys(&ran.out), ["layers.2.w"]);
    folder.typed("gone.safetensors").check(2, "gone.safetensors");
}

#[test]
fn a_key_that_would_not_be_seen_is_in_quotes() {
    let folder = Folder::of([("net.safetensors", numbered(&["", "w ", "a b"]))]);
    assert_eq!(keys(&folder.typed("ls net.safetensors").out), [r#""""#, r#""w"#, "a"]);
    let other = numbered(&["w ", "a b"]);
    folder.add("less.safetensors", &other);
    folder.typed("diff --keys-only net.safetensors less.safetensors").check(1, "- \"\"\n");
}

#[test]
fn a_file_that_cannot_be_listed_has_no_title() {
    let folder = Folder::of([("a.safetensors", numbered(&["w"]))]);
    let ran = folder.typed("ls none.safetensors a.safetensors");
    ran.check(2, "cannot read 'none.safetensors': no such file or directory");
    assert!(ran.out.starts_with("a.safetensors:\n1 parameter"), "{}", ran.out);
}

#[test]
fn tensors_beside_the_mappings_have_a_title_of_their_own() {
    let folder = Folder::of([("run.pt", fixture("trainers/nanogpt-like.pt"))]);
    folder.typed("ls run.pt").check(0, "\n/ (1 tensor):\nbest_val_loss  F32  []  4 B\n");
}

#[test]
fn an_average_and_an_optimizer_have_no_parameters_of_the_model() {
    let folder = Folder::of([("run.pth.tar", fixture("trainers/timm-like.pth.tar"))]);
    let ran = folder.typed("ls run.pth.tar");
    let first = "43 parameters in 9 tensors, 176 B: 168 B F32, 8 B I64 (pth)";
    assert_eq!(ran.out.lines().next(), Some(first));
}
