//! The values of one tensor: what `cat` prints and writes.

mod folder;

use std::fs;

use folder::{Folder, safetensors};

/// A file with a tensor of F32, `[4, 3]` and counting up from 0, and one of BF16 that is 1.
fn counting() -> Folder {
    let header = r#"{"w":{"dtype":"F32","shape":[4,3],"data_offsets":[0,48]},"layer.half":{"dtype":"BF16","shape":[1],"data_offsets":[48,50]}}"#;
    let mut data: Vec<u8> = (0..12).flat_map(|i| (i as f32).to_le_bytes()).collect();
    data.extend([0x80, 0x3F]);
    Folder::of([("net.safetensors", safetensors(header, &data))])
}

#[test]
fn values_are_printed_as_numpy_prints_them() {
    let folder = counting();
    let check = |words: &str, expected: &str| {
        let ran = folder.typed(words);
        assert_eq!((ran.out.as_str(), ran.status), (expected, 0), "{words}: {}", ran.err);
    };
    let all = "[[ 0.  1.  2.]\n [ 3.  4.  5.]\n [ 6.  7.  8.]\n [ 9. 10. 11.]]\n";
    check("cat net.safetensors w", all);
    check("cat net.safetensors w --slice 0:2,:2", "[[0. 1.]\n [3. 4.]]\n");
    check("cat net.safetensors w --slice -1", "[ 9. 10. 11.]\n");
    check("cat net.safetensors w --slice ::2,1", "[1. 7.]\n");
    check("cat net.safetensors w --slice 3,2", "11.0\n");
    check("cat net.safetensors w --slice ...,2", "[ 2.  5.  8. 11.]\n");
    check("cat net.safetensors w --slice ::-2,::-1", "[[11. 10.  9.]\n [ 5.  4.  3.]]\n");
    check("cat net.safetensors w --slice 9:", "[]\n");
    check("cat net.safetensors layer.half", "[1.]\n");
}

#[test]
fn bytes_go_to_a_pipe_as_they_are() {
    let folder = counting();
    for words in [&["--raw"][..], &["-o", "-"]] {
        let mut command = folder.command(&["cat", "net.safetensors", "layer.half"]);
        assert_eq!(command.args(words).output().expect("it runs").stdout, [0x80, 0x3F]);
    }
}

#[test]
fn values_are_written_to_files_which_are_not_replaced() {
    let folder = counting();
    folder.typed("cat net.safetensors w -o w.csv").check(0, "");
    let table = fs::read_to_string(folder.path("w.csv")).expect("written");
    assert_eq!(table, "0.0,1.0,2.0\n3.0,4.0,5.0\n6.0,7.0,8.0\n9.0,10.0,11.0\n");
    folder.typed("cat net.safetensors w -o w.csv").check(2, "already exists");
    folder.typed("cat net.safetensors w -o w.csv --force").check(0, "");
    let widened = "written as F32, which holds every BF16; NumPy has no BF16";
    folder.typed("cat net.safetensors layer.half -o half.npy").check(0, widened);
    let array = fs::read(folder.path("half.npy")).expect("written");
    assert!(array.ends_with(&1f32.to_le_bytes()));
    folder.typed("cat net.safetensors w -o w.txt").check(2, "unknown file extension");
    folder.typed("cat net.safetensors w -o net.safetensors --force").check(2, "extension");
    folder.add("it.npy", &fs::read(folder.path("net.safetensors")).expect("there"));
    folder.typed("cat it.npy w -o it.npy --force").check(2, "it.npy");
}

#[test]
fn what_is_not_there_is_named() {
    let folder = counting();
    let ran = folder.typed("cat net.safetensors layer.hafl");
    ran.check(2, "no tensor 'layer.hafl'");
    assert!(ran.err.contains("did you mean 'layer.half'?"), "{}", ran.err);
    let part = folder.typed("cat net.safetensors half");
    assert!(part.err.contains("did you mean 'layer.half'?"), "{}", part.err);
    let listed = "hint: statedict ls net.safetensors lists the keys";
    folder.typed("cat net.safetensors nothing").check(2, listed);
    let turned = "the file comes first: statedict cat net.safetensors w";
    folder.typed("cat w net.safetensors").check(2, turned);
    let outside = "index 4 is outside dimension 0 of size 4";
    folder.typed("cat net.safetensors w --slice 4").check(2, outside);
    folder.typed("cat net.safetensors w --slice 0,0,0").check(2, "3 indices for 2 dimensions");
    folder.typed("cat net.safetensors w --slice x").check(2, "cannot read 'x'");
}

#[test]
fn more_dimensions_than_a_line_has_characters_are_not_printed() {
    let header = |dimensions: usize| {
        let shape = vec!["1"; dimensions].join(",");
        format!(r#"{{"w":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,4]}}}}"#)
    };
    let file = |dimensions| safetensors(&header(dimensions), &1f32.to_le_bytes());
    let folder = Folder::of([("64.safetensors", file(64)), ("100k.safetensors", file(100_000))]);
    let printed = format!("{}1.{}\n", "[".repeat(64), "]".repeat(64));
    folder.typed("cat 64.safetensors w").check(0, &printed);
    let refused = folder.typed("cat 100k.safetensors w");
    refused.check(2, "100000 dimensions; at most 64 are printed");
    refused.check(2, "--slice takes a part, --raw writes the bytes");
}

#[test]
fn so_many_entries_that_memory_would_run_out_are_not_taken_backwards() {
    let header = r#"{"w":{"dtype":"U8","shape":[40000],"data_offsets":[0,40000]}}"#;
    let folder = Folder::of([("net.safetensors", safetensors(header, &[0; 40000]))]);
    let refused = "more than 32768 entries are not taken backwards";
    folder.typed("cat net.safetensors w --slice ::-1").check(2, refused);
    folder.typed("cat net.safetensors w --slice 30000::-1").check(0, "[0 0 0 ... 0 0 0]");
}

#[test]
fn steps_go_through_a_tensor_that_is_in_several_places() {
    let run = concat!(env!("CARGO_MANIFEST_DIR"), "/../compat-tests/fixtures/folders/dcp-st");
    let bytes = |slice: &str| {
        let mut command = folder::statedict();
        command.args(["cat", run, "emb.weight", "--raw", "--slice", slice]);
        command.output().expect("it runs").stdout
    };
    let all = bytes(":");
    let rows: Vec<&[u8]> = all.chunks(24).collect();
    assert_eq!(rows.len(), 10);
    assert_eq!(bytes("::3"), [rows[0], rows[3], rows[6], rows[9]].concat());
    assert_eq!(bytes("8:1:-3"), [rows[8], rows[5], rows[2]].concat());
}
