//! What the elements of two files have to do with each other.

mod folder;

use folder::Folder;
use statedict_checkpoint::{Checkpoint, match_contents};
use statedict_core::{
    derive::{Arrangement, Axis, Derivation, Evidence, Side},
    diff::{self, Entry},
};

/// A tensor: its key, type, shape and bytes.
type Described<'a> = (&'a str, &'a str, &'a [u64], Vec<u8>);

fn file(folder: &Folder, name: &str, tensors: &[Described]) -> Checkpoint {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (key, dtype, shape, bytes) in tensors {
        let (start, end) = (data.len(), data.len() + bytes.len());
        header.push(format!(
            r#""{key}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
        data.extend(bytes);
    }
    let header = format!("{{{}}}", header.join(","));
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
    Checkpoint::open(&folder.file(name, &file)).expect("a checkpoint")
}

fn entries(checkpoint: &Checkpoint) -> Vec<Entry<'_>> {
    let catalog = checkpoint.catalog();
    diff::Side { catalog, state_dict: &catalog.state_dicts[0] }.entries().collect()
}

fn evidence(a: &[Described], b: &[Described]) -> Evidence {
    let folder = Folder::new();
    let (a, b) = (file(&folder, "a.safetensors", a), file(&folder, "b.safetensors", b));
    match_contents((&a, &entries(&a)), (&b, &entries(&b))).expect("readable")
}

fn derivation(a: &[Described], b: &[Described]) -> Derivation {
    let folder = Folder::new();
    let (a, b) = (file(&folder, "a.safetensors", a), file(&folder, "b.safetensors", b));
    let (in_a, in_b) = (entries(&a), entries(&b));
    let evidence = match_contents((&a, &in_a), (&b, &in_b)).expect("readable");
    Derivation::new(&in_a, &in_b, &evidence)
}

/// Bytes without a pattern that would repeat.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Rows of `width` bytes, columns for rows.
fn transposed(bytes: &[u8], width: usize) -> Vec<u8> {
    (0..width).flat_map(|column| bytes.iter().skip(column).step_by(width).copied()).collect()
}

#[test]
fn equal_tensors_are_grouped_and_constants_are_marked() {
    let (w, v) = (noise(32, 1), noise(32, 2));
    let a =
        [("a", "U8", &[32][..], w.clone()), ("b", "U8", &[32], v), ("z", "U8", &[4], vec![0; 4])];
    let b =
        [("x", "U8", &[32][..], w.clone()), ("y", "U8", &[32], w), ("o", "U8", &[4], vec![0; 4])];
    let found = evidence(&a, &b);
    let found: Vec<_> =
        found.alike.iter().map(|it| (it.a.clone(), it.b.clone(), it.is_constant)).collect();
    assert_eq!(found.len(), 2);
    assert!(found.contains(&(vec![0], vec![0, 1], false)));
    assert!(found.contains(&(vec![2], vec![2], true)));
}

#[test]
fn transposed_and_reshaped_tensors_are_known() {
    let w = noise(64, 3);
    let check = |shape: &[u64], bytes: Vec<u8>, expected: Option<Arrangement>| {
        let found = evidence(&[("a", "U8", &[16, 4], w.clone())], &[("b", "U8", shape, bytes)]);
        assert_eq!(found.rearranged.first().map(|it| it.how), expected, "{shape:?}");
    };
    check(&[4, 16], transposed(&w, 4), Some(Arrangement::Transposed));
    check(&[4, 16], w.clone(), Some(Arrangement::Reshaped));
    check(&[16, 4, 1, 1], w.clone(), Some(Arrangement::Reshaped));
    let mut other = w.clone();
    other[63] ^= 1;
    check(&[16, 4, 1], other, None);
    let turned: Vec<u8> = w.chunks(4).rev().flatten().copied().collect();
    check(&[16, 4], turned, Some(Arrangement::RowsReordered));
}

/// A kernel as TensorFlow and JAX keep it: height, width, inputs, outputs.
#[test]
fn kernels_of_other_frameworks_are_known() {
    let kernel = noise(2 * 3 * 4 * 5, 8);
    let at = |h: usize, w: usize, i: usize, o: usize| kernel[((h * 3 + w) * 4 + i) * 5 + o];
    let mut weight = Vec::new();
    for (o, i) in (0..5).flat_map(|o| (0..4).map(move |i| (o, i))) {
        weight
            .extend((0..2).flat_map(|h| (0..3).map(move |w| (h, w))).map(|(h, w)| at(h, w, i, o)));
    }
    let a = [("k", "U8", &[2, 3, 4, 5][..], kernel.clone())];
    let b = [("w", "U8", &[5, 4, 2, 3][..], weight)];
    let how = |found: Evidence| found.rearranged.first().map(|it| it.how);
    assert_eq!(how(evidence(&a, &b)), Some(Arrangement::Permuted(&[3, 2, 0, 1])));
    assert_eq!(how(evidence(&b, &a)), Some(Arrangement::Permuted(&[2, 3, 1, 0])));
}

#[test]
fn one_number_in_another_shape_shows_nothing() {
    let found =
        evidence(&[("a", "U8", &[8, 2], vec![1; 16])], &[("b", "U8", &[2, 8], vec![1; 16])]);
    assert_eq!(found, Evidence::default());
}

/// Every way in which one tensor is a part of another, each way round.
#[test]
fn rows_and_columns_of_fused_tensors_are_known() {
    let whole = noise(24 * 8, 4);
    let (part, columns) = (whole[64..128].to_vec(), transposed(&transposed(&whole, 8)[48..96], 24));
    let check = |shape: &[u64], bytes: Vec<u8>, expected: (Axis, u64, u64, bool)| {
        let fused = [("w", "U8", &[24, 8][..], whole.clone())];
        let parts = [("p", "U8", shape, bytes)];
        for (found, owner) in
            [(evidence(&fused, &parts), Side::A), (evidence(&parts, &fused), Side::B)]
        {
            let found: Vec<_> = found.portions.iter().collect();
            let [it] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((it.lines, it.start, it.end, it.is_transposed), expected);
            assert_eq!((it.part, it.whole, it.owner), (0, 0, owner));
        }
    };
    check(&[8, 8], part.clone(), (Axis::Rows, 8, 16, false));
    check(&[8, 8], transposed(&part, 8), (Axis::Rows, 8, 16, true));
    check(&[24, 2], columns.clone(), (Axis::Columns, 2, 4, false));
    check(&[2, 24], transposed(&columns, 2), (Axis::Columns, 2, 4, true));
}

#[test]
fn parts_longer_than_what_is_looked_for_are_compared_to_their_end() {
    let whole = noise(4 * 2000, 5);
    let part = whole[4 * 700..4 * 1400].to_vec();
    let mut other = part.clone();
    *other.last_mut().expect("bytes") ^= 1;
    let fused = [("w", "U8", &[2000, 4][..], whole)];
    assert_eq!(evidence(&fused, &[("p", "U8", &[700, 4], part)]).portions.len(), 1);
    assert_eq!(evidence(&fused, &[("p", "U8", &[700, 4], other)]), Evidence::default());
}

#[test]
fn a_part_that_is_in_two_places_has_none() {
    let part = noise(32, 6);
    let fused = [("w", "U8", &[16, 4][..], [part.clone(), part.clone()].concat())];
    assert_eq!(evidence(&fused, &[("p", "U8", &[8, 4], part)]), Evidence::default());
}

#[test]
fn tensors_are_known_after_a_cast() {
    let numbers: Vec<f32> = noise(64, 7).into_iter().map(|byte| f32::from(byte) / 7.0).collect();
    let wide: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    // These numbers are none that are between two halves of a bfloat16.
    let narrow = numbers.iter().flat_map(|number| {
        let bits = number.to_bits();
        (((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) as u16).to_le_bytes()
    });
    let narrow: Vec<u8> = narrow.collect();
    let a = [("m.w", "F32", &[16, 4][..], wide.clone()), ("m.b", "F32", &[8, 8], wide)];
    let b = [("w", "BF16", &[16, 4][..], narrow.clone()), ("b", "BF16", &[8, 8], narrow)];
    let found = derivation(&a, &b);
    let pairs: Vec<_> = found.pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(pairs, [("m.w", "w"), ("m.b", "b")]);
    assert!(found.is_complete());
}
