//! `statedict diff` as its users meet it.

mod folder;

use std::fs;

use serde_json::{Value, json};

use folder::Folder;

const LENET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/lenet-dataparallel.pth");

impl Folder {
    /// A folder with these safetensors files.
    fn with(files: &[(&str, &[Tensor])]) -> Folder {
        Folder::of(files.iter().map(|(name, tensors)| (*name, safetensors(tensors))))
    }

    fn done(&self, args: &[&str]) {
        let ran = self.run(args);
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.err);
    }

    /// The command ends with this status, having printed these lines.
    fn check(&self, args: &[&str], status: i32, lines: &[&str]) {
        let ran = self.run(args);
        let printed: Vec<_> = ran.out.lines().collect();
        assert_eq!((ran.status, printed.as_slice()), (status, lines), "{args:?}: {}", ran.err);
    }

    fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(args);
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.err))
    }
}

/// A key with the name of its type, and its elements as one row.
type Tensor<'a> = (&'a str, &'a str, &'a [f32]);

/// The elements as F32, or as the upper halves of them for BF16.
fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (key, dtype, numbers) in tensors {
        let start = data.len();
        let skipped = if *dtype == "BF16" { 2 } else { 0 };
        for number in *numbers {
            data.extend(&number.to_le_bytes()[skipped..]);
        }
        let (len, end) = (numbers.len(), data.len());
        entries.push(format!(
            r#""{key}":{{"dtype":"{dtype}","shape":[{len}],"data_offsets":[{start},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    folder::safetensors(&header, &data)
}

#[test]
fn a_file_is_the_same_as_itself_in_every_format() {
    let folder = Folder::with(&[]);
    folder.check(
        &["diff", LENET, LENET],
        0,
        &[&format!("{LENET} and {LENET} are the same: 10 keys")],
    );
    for name in ["net.safetensors", "net.npz", "net.pth"] {
        folder.done(&["strip", "module", LENET, "-o", name, "-q"]);
        folder.done(&["diff", "net.safetensors", name]);
        folder.done(&["diff", name, "net.safetensors"]);
    }
}

#[test]
fn a_stripped_prefix_is_ten_renames_and_one_command() {
    let folder = Folder::with(&[]);
    folder.done(&["strip", "module", LENET, "-o", "bare.safetensors", "-q"]);
    let ran = folder.run(&["diff", LENET, "bare.safetensors"]);
    let lines: Vec<_> = ran.out.lines().collect();
    let headline = format!("{LENET} and bare.safetensors differ: 10 keys renamed");
    assert_eq!(
        lines,
        [
            &headline,
            "  module.conv{1..2}.weight -> conv{1..2}.weight  (2 keys)",
            "  module.conv{1..2}.bias -> conv{1..2}.bias  (2 keys)",
            "  module.fc{1..3}.weight -> fc{1..3}.weight  (3 keys)",
            "  module.fc{1..3}.bias -> fc{1..3}.bias  (3 keys)",
        ]
    );
    assert_eq!(ran.status, 1);
    assert!(ran.err.ends_with(&format!("statedict strip module {LENET}\n")), "{}", ran.err);
    let back = folder.run(&["diff", "bare.safetensors", LENET]);
    assert!(back.err.ends_with("statedict add module bare.safetensors\n"), "{}", back.err);
}

#[test]
fn everything_that_differs_has_a_line() {
    let folder = Folder::with(&[
        (
            "a.safetensors",
            &[
                ("old.w", "F32", &[1.0, 2.0, 3.0]),
                ("gone.0", "F32", &[7.0]),
                ("gone.1", "F32", &[8.0]),
                ("cast", "F32", &[1.0, 312.5]),
                ("same", "F32", &[1.0, 2.0]),
                ("longer", "F32", &[1.0]),
                ("value.0", "F32", &[1.0, 2.0]),
                ("value.1", "F32", &[1.0, f32::NAN]),
            ],
        ),
        (
            "b.safetensors",
            &[
                ("new.w", "F32", &[1.0, 2.0, 3.0]),
                ("cast", "BF16", &[1.0, 312.5]),
                ("same", "F32", &[1.0, 2.0]),
                ("longer", "F32", &[1.0, 1.0]),
                ("value.0", "F32", &[1.0, 4.0]),
                ("value.1", "F32", &[1.5, 2.0]),
                ("came", "F32", &[9.0]),
            ],
        ),
    ]);
    let files = ["diff", "a.safetensors", "b.safetensors"];
    folder.check(
        &files,
        1,
        &[
            "a.safetensors and b.safetensors differ: 2 keys removed, 1 added, 1 renamed, \
             1 of another dtype, 1 of another shape, 3 with other values",
            "- gone.{0..1}  (2 keys)",
            "+ came",
            "  old.w -> new.w",
            "~ cast: F32 -> BF16",
            "~ longer: [1] -> [2]",
            "~ value.{0..1}: max abs 2, max rel 0.5, rel L2 0.8416, cosine 0.977008, \
             3 of 4 elements, 1 of them NaN on one side only  (2 keys)",
            "~ cast: max abs 0.5, max rel 0.0016, rel L2 0.0016, cosine 1.000000, 1 of 2 elements",
        ],
    );
    let mut found = folder.json(&[&files[..], &["--json"]].concat());
    let distances = found["values"].as_array_mut().expect("a list").iter_mut().map(|values| {
        let values = values.as_object_mut().expect("an object");
        let distances = ["rel_l2", "cosine"].map(|name| values.remove(name).expect("there"));
        distances.map(|distance| (distance.as_f64().expect("a number") * 1e6).round() / 1e6)
    });
    let distances: Vec<[f64; 2]> = distances.collect();
    assert_eq!(distances, [[0.0016, 1.0], [0.894427, 0.976187], [0.5, 1.0]]);
    assert_eq!(
        found,
        json!({
            "a": "a.safetensors", "b": "b.safetensors", "at_a": "", "at_b": "",
            "schema_version": 1, "keys_only": false, "weights_only": false, "same": false,
            "added": ["came"], "removed": ["gone.0", "gone.1"],
            "renamed": [{ "from": "old.w", "to": "new.w" }],
            "layout": [],
            "dtype": [{ "key": "cast", "a": "F32", "b": "BF16" }],
            "shape": [{ "key": "longer", "a": [1], "b": [2] }],
            "values": [
                { "key": "cast", "max_abs": 0.5, "max_rel": 0.0016,
                  "count": 1, "of": 2, "nan": 0 },
                { "key": "value.0", "max_abs": 2.0, "max_rel": 0.5, "count": 1, "of": 2, "nan": 0 },
                { "key": "value.1", "max_abs": 0.5, "max_rel": 0.5 / 1.5,
                  "count": 2, "of": 2, "nan": 1 },
            ],
            "payload": [], "metadata": [], "no_place": [], "not_compared": [], "reordered": false,
        })
    );
}

#[test]
fn only_the_status_answers_when_asked_to_be_quiet() {
    let folder = Folder::with(&[
        ("a.safetensors", &[("w", "F32", &[1.0])]),
        ("b.safetensors", &[("w", "F32", &[2.0])]),
    ]);
    for (other, status) in [("a.safetensors", 0), ("b.safetensors", 1)] {
        let ran = folder.run(&["diff", "-q", "a.safetensors", other]);
        assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (status, "", ""));
    }
}

#[test]
fn keys_alone_are_compared_without_reading_an_element() {
    let folder = Folder::with(&[
        ("a.safetensors", &[("w", "F32", &[1.0]), ("x", "F32", &[1.0])]),
        ("b.safetensors", &[("w", "F32", &[2.0]), ("y", "F32", &[1.0])]),
        ("c.safetensors", &[("x", "F32", &[2.0]), ("w", "F32", &[5.0])]),
    ]);
    folder.check(
        &["diff", "--keys-only", "a.safetensors", "b.safetensors"],
        1,
        &["a.safetensors and b.safetensors differ: 1 key removed, 1 added", "- x", "+ y"],
    );
    folder.check(
        &["diff", "--keys-only", "a.safetensors", "c.safetensors"],
        0,
        &["a.safetensors and c.safetensors have the same keys, dtypes and shapes: 2 keys"],
    );
}

#[test]
fn renames_of_some_keys_name_no_command_that_renames_others() {
    let folder = Folder::with(&[
        ("a.safetensors", &[("m.a", "F32", &[1.0]), ("m.b", "F32", &[2.0])]),
        ("b.safetensors", &[("a", "F32", &[1.0]), ("m.b", "F32", &[2.0])]),
    ]);
    let ran = folder.run(&["diff", "a.safetensors", "b.safetensors"]);
    assert_eq!((ran.status, ran.err.as_str()), (1, ""));
    assert!(ran.out.ends_with("  m.a -> a\n"), "{}", ran.out);
}

#[test]
fn what_cannot_be_compared_ends_with_status_2() {
    let folder = Folder::with(&[("a.safetensors", &[("w", "F32", &[1.0])])]);
    fs::write(folder.path("junk.pth"), b"junk").expect("written");
    for (args, words) in [
        (["a.safetensors", "junk.pth"], "cannot read 'junk.pth'"),
        (["no.pth", "a.safetensors"], "cannot read 'no.pth'"),
        (["--at=x", "a.safetensors"], "required"),
    ] {
        let ran = folder.run(&[&["diff"], &args[..]].concat());
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
    }
    let ran = folder.run(&["diff", "a.safetensors", "a.safetensors", "--at", "ema"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("a.safetensors: no state dict at 'ema'"), "{}", ran.err);
    let ran = folder.run(&["diff", "a.safetensors", "a.safetensors", "--at-b", "ema"]);
    assert_eq!(ran.status, 2);
}

#[test]
fn a_file_cut_short_is_named() {
    let folder = Folder::with(&[("a.safetensors", &[("w", "F32", &[1.0, 2.0])])]);
    let whole = fs::read(folder.path("a.safetensors")).expect("there");
    fs::write(folder.path("b.safetensors"), &whole[..whole.len() - 4]).expect("written");
    let ran = folder.run(&["diff", "a.safetensors", "b.safetensors"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.starts_with("error: cannot read 'b.safetensors': "), "{}", ran.err);
}

#[test]
fn metadata_is_compared_but_where_a_format_has_no_place_for_it() {
    let with = |metadata: &str| {
        let header = format!(
            r#"{{"__metadata__":{metadata},"w":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#
        );
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat()
    };
    let folder = Folder::of([
        ("a.safetensors", with(r#"{"format":"pt","author":"me"}"#)),
        ("b.safetensors", with(r#"{"format":"pt","author":"you"}"#)),
    ]);
    let files = ["diff", "a.safetensors", "b.safetensors"];
    let lines = [
        "a.safetensors and b.safetensors differ: 1 metadata entry",
        "~ metadata author: 'me' -> 'you'",
    ];
    folder.check(&files, 1, &lines);
    let found = folder.json(&[&files[..], &["--json"]].concat());
    assert_eq!(found["metadata"], json!([{ "key": "author", "a": "me", "b": "you" }]));
    let lines = ["a.safetensors and b.safetensors have the same weights: 1 key"];
    folder.check(&[&files[..], &["--weights-only"]].concat(), 0, &lines);
    folder.done(&["convert", "a.safetensors", "a.npz", "-q"]);
    let lines = [
        "a.safetensors and a.npz are the same: 1 key",
        "only in a.safetensors, npz has no place for it: author (metadata)",
    ];
    folder.check(&["diff", "a.safetensors", "a.npz"], 0, &lines);
}

#[test]
fn what_is_within_a_tolerance_is_the_same() {
    let folder = Folder::with(&[
        ("a.safetensors", &[("w", "F32", &[1.0, 312.5]), ("x", "F32", &[2.0])]),
        ("b.safetensors", &[("w", "BF16", &[1.0, 312.5]), ("x", "F32", &[2.25])]),
    ]);
    let status =
        |words: &str| folder.typed(&format!("diff a.safetensors b.safetensors {words}")).status;
    assert_eq!(status(""), 1);
    assert_eq!(status("--atol 0.5"), 0);
    assert_eq!(status("--atol 0.3"), 1);
    assert_eq!(status("--rtol 0.01"), 1);
    assert_eq!(status("--rtol 0.01 --atol 0.24"), 0);
    let found = folder.json(&["diff", "a.safetensors", "b.safetensors", "--atol", "0.3", "--json"]);
    let keys = found["values"].as_array().expect("a list").iter();
    assert_eq!(keys.map(|it| &it["key"]).collect::<Vec<_>>(), ["w"]);
    assert_eq!(status("--atol=-1"), 2);
    assert_eq!(status("--atol 1 --keys-only"), 2);
    let headline = "a.safetensors and b.safetensors have the same values within the tolerance: \
                    2 keys, 1 of another dtype";
    let lines = [headline, "~ w: F32 -> BF16"];
    folder.check(&["diff", "a.safetensors", "b.safetensors", "--atol", "0.5"], 0, &lines);
}
