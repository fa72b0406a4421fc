//! Two files held against each other, elements included.

mod folder;

use folder::Folder;
use statedict_checkpoint::{Checkpoint, compare};
use statedict_core::diff::{Diff, Matching, Side, Tolerance};

/// A safetensors file with these F32 tensors of one dimension.
fn safetensors(tensors: &[(&str, &[f32])]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (key, numbers) in tensors {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let (len, end) = (numbers.len(), data.len());
        entries.push(format!(
            r#""{key}":{{"dtype":"F32","shape":[{len}],"data_offsets":[{start},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

fn diff(a: &[(&str, &[f32])], b: &[(&str, &[f32])]) -> Diff {
    let folder = Folder::new();
    let open = |name: &str, tensors| {
        Checkpoint::open(&folder.file(name, &safetensors(tensors))).expect("a checkpoint")
    };
    let (a, b) = (open("a.safetensors", a), open("b.safetensors", b));
    let side = |checkpoint: &'_ Checkpoint| checkpoint.catalog().state_dicts[0].clone();
    let (ours, theirs) = (side(&a), side(&b));
    let matching = Matching::new(
        Side { catalog: a.catalog(), state_dict: &ours },
        Side { catalog: b.catalog(), state_dict: &theirs },
    );
    compare(&matching, &a, &b, Tolerance::default()).expect("readable")
}

/// Renames, and what is left of removed and added keys.
fn check_keys(
    a: &[(&str, &[f32])],
    b: &[(&str, &[f32])],
    renamed: &[(&str, &str)],
    removed: &[&str],
    added: &[&str],
) {
    let found = diff(a, b);
    let pairs: Vec<_> = found.renamed.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(pairs, renamed);
    assert_eq!(found.removed.iter().map(|key| key.as_str()).collect::<Vec<_>>(), removed);
    assert_eq!(found.added.iter().map(|key| key.as_str()).collect::<Vec<_>>(), added);
}

#[test]
fn equal_files_do_not_differ() {
    let both: [(&str, &[f32]); 3] = [("a", &[1.0, f32::NAN]), ("b", &[2.0]), ("c", &[])];
    assert_eq!(diff(&both, &both), Diff::default());
}

#[test]
fn values_that_differ_are_measured() {
    let found = diff(&[("a", &[1.0, 2.0]), ("b", &[0.5])], &[("a", &[1.0, 4.0]), ("b", &[0.5])]);
    let [(key, deviation)] = found.values.as_slice() else { panic!("{found:?}") };
    assert_eq!(key.as_str(), "a");
    assert_eq!((deviation.count, deviation.of), (1, 2));
    assert_eq!((deviation.max_abs, deviation.max_rel), (Some(2.0), Some(0.5)));
    assert!(found.not_compared.is_empty());
}

#[test]
fn tensors_of_other_shapes_are_not_read() {
    let found = diff(&[("a", &[1.0, 2.0])], &[("a", &[1.0])]);
    assert_eq!((found.shapes.len(), found.values.len()), (1, 0));
}

#[test]
fn elements_under_another_key_make_a_rename() {
    check_keys(
        &[("m.a", &[1.0, 2.0]), ("m.b", &[3.0]), ("c", &[4.0])],
        &[("a", &[1.0, 2.0]), ("b", &[3.5]), ("c", &[4.0])],
        &[("m.a", "a")],
        &["m.b"],
        &["b"],
    );
    check_keys(&[("x", &[1.0, 2.0])], &[("y", &[1.0])], &[], &["x"], &["y"]);
}

#[test]
fn many_tensors_of_one_shape_are_distinguished() {
    check_keys(
        &[("l.0", &[1.0]), ("l.1", &[2.0]), ("l.2", &[3.0]), ("l.3", &[9.0])],
        &[("k.7", &[3.0]), ("k.8", &[1.0]), ("k.9", &[2.0])],
        &[("l.0", "k.8"), ("l.1", "k.9"), ("l.2", "k.7")],
        &["l.3"],
        &[],
    );
}

#[test]
fn tensors_that_begin_alike_are_distinguished() {
    let number = 20_000;
    let ending = |last: f32| [vec![0.0; number], vec![last]].concat();
    let (one, two, three) = (ending(1.0), ending(2.0), ending(3.0));
    check_keys(
        &[("a", &one), ("b", &two), ("c", &three)],
        &[("x", &three), ("y", &two), ("z", &ending(4.0))],
        &[("b", "y"), ("c", "x")],
        &["a"],
        &["z"],
    );
}

#[test]
fn equal_tensors_are_renamed_only_where_names_leave_no_choice() {
    let zeros: &[f32] = &[0.0; 4];
    check_keys(
        &[("m.a.w", zeros), ("m.b.w", zeros)],
        &[("b.w", zeros), ("a.w", zeros)],
        &[("m.a.w", "a.w"), ("m.b.w", "b.w")],
        &[],
        &[],
    );
    check_keys(
        &[("a", zeros), ("b", zeros)],
        &[("c", zeros), ("d", zeros)],
        &[],
        &["a", "b"],
        &["c", "d"],
    );
}

#[test]
fn no_number_is_the_same_under_another_key_if_its_bits_are() {
    check_keys(&[("a", &[f32::NAN])], &[("b", &[f32::NAN])], &[("a", "b")], &[], &[]);
    check_keys(&[("a", &[0.0])], &[("b", &[-0.0])], &[], &["a"], &["b"]);
}
