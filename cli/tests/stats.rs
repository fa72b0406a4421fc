//! Figures of tensors: what `stats` prints, and how it ends.

mod folder;

use folder::{Folder, safetensors};
use serde_json::Value;

/// A file of tensors of F32, each under its key.
fn file(tensors: &[(&str, &[f32])]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (key, numbers) in tensors {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let (len, end) = (numbers.len(), data.len());
        entries.push(format!(
            r#""{key}":{{"dtype":"F32","shape":[{len}],"data_offsets":[{start},{end}]}}"#
        ));
    }
    safetensors(&format!("{{{}}}", entries.join(",")), &data)
}

fn layers() -> Folder {
    let net = file(&[
        ("layers.0.w", &[1.0, 2.0]),
        ("layers.1.w", &[3.0, 4.0]),
        ("head", &[f32::NAN, 0.0, f32::INFINITY]),
        ("pad", &[0.0, -0.0]),
    ]);
    Folder::of([("net.safetensors", net)])
}

fn json(folder: &Folder, words: &str) -> Value {
    let ran = folder.typed(words);
    assert_eq!(ran.status, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).expect("JSON")
}

#[test]
fn each_tensor_has_its_figures() {
    let found = json(&layers(), "stats --json net.safetensors");
    assert_eq!(found["file"], "net.safetensors");
    let first = &found["tensors"][0];
    let expected = serde_json::json!({
        "at": "", "key": "layers.0.w", "dtype": "F32", "shape": [2], "count": 2,
        "mean": 1.5, "std": 0.5, "min": 1.0, "max": 2.0, "absmax": 2.0, "l2": 5f64.sqrt(),
        "zeros": 0, "nan": 0, "inf": 0, "histogram": first["histogram"],
        "histogram_start": 1.0, "histogram_width": first["histogram_width"],
    });
    assert_eq!(*first, expected);
    let head = &found["tensors"][2];
    assert_eq!((&head["nan"], &head["inf"], &head["zeros"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!((&head["mean"], &head["absmax"]), (&0.0.into(), &0.0.into()));
}

#[test]
fn tensors_whose_keys_differ_in_numbers_share_their_figures() {
    let found = json(&layers(), "stats --json net.safetensors layers");
    let groups = found["groups"].as_array().expect("a list");
    assert_eq!(groups.len(), 1);
    assert_eq!((&groups[0]["keys"], &groups[0]["tensors"]), (&"layers.{0..1}.w".into(), &2.into()));
    assert_eq!((&groups[0]["mean"], &groups[0]["count"]), (&2.5.into(), &4.into()));
    let ran = layers().typed("stats net.safetensors");
    assert!(ran.out.contains("layers.{0..1}.w  (2 keys)"), "{}", ran.out);
    assert!(ran.out.contains("NaN in 1 tensor: head"), "{}", ran.out);
    let ran = layers().typed("stats --each net.safetensors layers.1.*");
    assert!(ran.out.contains("layers.1.w") && !ran.out.contains("layers.0"), "{}", ran.out);
}

#[test]
fn tensors_of_other_shapes_are_other_groups() {
    let net = file(&[("fc1", &[1.0]), ("fc2", &[1.0, 2.0]), ("fc3", &[3.0])]);
    let folder = Folder::of([("net.safetensors", net)]);
    let found = json(&folder, "stats --json net.safetensors");
    let groups = found["groups"].as_array().expect("a list").iter();
    let keys: Vec<_> = groups.map(|group| group["keys"].as_str().expect("text")).collect();
    assert_eq!(keys, ["fc1", "fc2", "fc3"]);
}

#[test]
fn flaws_that_are_looked_for_end_with_1() {
    let folder = layers();
    folder.typed("stats net.safetensors").check(0, "");
    folder.typed("stats net.safetensors --fail-on nan").check(1, "error: NaN in 1 tensor: head");
    folder.typed("stats net.safetensors --fail-on inf,zeros").check(1, "infinities in 1 tensor");
    let ran = folder.typed("stats net.safetensors --fail-on zeros");
    ran.check(1, "error: nothing but zeros in 1 tensor: pad");
    assert!(!ran.err.contains("head"), "{}", ran.err);
    folder.typed("stats net.safetensors layers --fail-on nan,inf,zeros").check(0, "");
    let ran = folder.typed("stats net.safetensors -q --fail-on nan");
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    folder.typed("stats net.safetensors --fail-on none").check(2, "nan, inf, zeros");
}

#[test]
fn a_table_of_commas_has_a_line_for_each_tensor() {
    let folder = Folder::of([("net.safetensors", file(&[("a,b", &[1.0, 3.0]), ("c", &[])]))]);
    let ran = folder.typed("stats net.safetensors --csv");
    let lines: Vec<&str> = ran.out.lines().collect();
    let head = "at,key,dtype,shape,count,mean,std,min,max,absmax,l2,zeros,nan,inf,histogram";
    assert_eq!(lines[0], head);
    let start = ",\"a,b\",F32,2,2,2.0,1.0,1.0,3.0,3.0,3.1622776601683795,0,0,0,1 ";
    assert!(lines[1].starts_with(start), "{}", lines[1]);
    assert_eq!(lines[2], ",c,F32,0,0,,,,,,,0,0,0,");
}

#[test]
fn patterns_that_match_nothing_are_refused_with_what_was_meant() {
    let ran = layers().typed("stats net.safetensors layres.0.w");
    ran.check(2, "no tensor matches 'layres.0.w'");
    assert!(ran.err.contains("hint: did you mean 'layers.0.w'?"), "{}", ran.err);
}

#[test]
fn elements_that_are_no_numbers_have_none_and_are_listed() {
    let header = r#"{"x":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}"#;
    let folder = Folder::of([("net.safetensors", safetensors(header, &[1, 2]))]);
    let ran = folder.typed("stats net.safetensors");
    ran.check(0, "without figures: x: elements of type F4 are not read as numbers");
    let found = json(&folder, "stats --json net.safetensors");
    assert_eq!(
        (&found["tensors"][0]["mean"], &found["tensors"][0]["count"]),
        (&Value::Null, &4.into())
    );
}
