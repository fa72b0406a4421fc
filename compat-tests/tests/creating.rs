//! Files of tensors in memory, as PyTorch, NumPy and safetensors load them.

use std::path::Path;

use compat_tests::{Tally, oracle, text};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use statedict_checkpoint::ndarray::{Array, Axis, Slice};
use statedict_checkpoint::{Existing, FORMATS, NewCheckpoint};
use statedict_core::DType;

/// Element types that every format has.
const EVERYWHERE: [DType; 14] = [
    DType::F64,
    DType::F32,
    DType::F16,
    DType::I64,
    DType::I32,
    DType::I16,
    DType::I8,
    DType::U64,
    DType::U32,
    DType::U16,
    DType::U8,
    DType::Bool,
    DType::C64,
    DType::C128,
];

/// Those that some have.
const SOMEWHERE: [DType; 4] = [DType::Bf16, DType::F8E4M3, DType::F8E5M2, DType::F8E8M0];

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of any numbers; of `bool`, only what is one.
fn some_bytes(dtype: &DType, len: u64) -> Vec<u8> {
    let byte = |i: u64| if *dtype == DType::Bool { i % 3 / 2 } else { i * 37 % 251 };
    (0..len).map(|i| byte(i) as u8).collect()
}

/// A row of what a library is to load.
fn row(key: &str, dtype: &DType, shape: &[u64], bytes: &[u8]) -> Value {
    let (dtype, hash) = (dtype.name(), hex(bytes));
    json!({ "at": "", "key": key, "dtype": dtype, "shape": shape, "sha256": hash })
}

/// What is wrong with the file that a library loads, if something is.
fn problem(path: &Path, mut expected: Vec<Value>) -> Option<String> {
    let truth = oracle(json!({ "do": "truth", "file": path }));
    let mut found = truth.as_array().expect("a list of tensors").clone();
    for rows in [&mut expected, &mut found] {
        rows.sort_by_key(|row| text(&row["key"]));
    }
    (found != expected).then(|| format!("expected {expected:?}\nfound {found:?}"))
}

#[test]
fn every_type_of_element_is_loaded_as_it_was_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tally = Tally::new();
    for &format in FORMATS {
        let held = |dtype: &DType| match format.name() {
            "npz" => EVERYWHERE.contains(dtype),
            "safetensors" => *dtype != DType::C128,
            _ => true,
        };
        let dtypes: Vec<DType> = EVERYWHERE.into_iter().chain(SOMEWHERE).filter(held).collect();
        let shapes: [&[u64]; 4] = [&[3, 5], &[], &[0, 2], &[40_000]];
        let tensors: Vec<_> = dtypes
            .iter()
            .flat_map(|dtype| shapes.map(|shape| (dtype, shape)))
            .map(|(dtype, shape)| {
                let len = shape.iter().product::<u64>() * dtype.bits() / 8;
                let key = format!("layer.{dtype}.{shape:?}");
                (key, dtype, shape, some_bytes(dtype, len))
            })
            .collect();
        let mut new = NewCheckpoint::new();
        for (key, dtype, shape, bytes) in &tensors {
            new.bytes(key, (*dtype).clone(), shape, bytes);
        }
        let path = folder.path().join(format!("a.{}", format.facts().extensions[0]));
        new.save(&path, Existing::Refuse).expect("written");
        let rows = tensors.iter().map(|(key, dtype, shape, bytes)| row(key, dtype, shape, bytes));
        tally.note(format.name(), problem(&path, rows.collect()));
    }
    tally.close("formats loaded as given");
}

#[test]
fn arrays_are_loaded_as_they_were_given_whatever_their_strides() {
    let folder = tempfile::tempdir().expect("a folder");
    let numbers = Array::from_iter(0..60u16).into_shape_with_order((3, 4, 5)).expect("60");
    let stepped = numbers.slice_axis(Axis(2), Slice::new(1, None, 2));
    let backwards = numbers.slice_axis(Axis(1), Slice::new(0, None, -1));
    let views = [
        ("whole", numbers.view()),
        ("turned", numbers.t()),
        ("turned otherwise", numbers.view().permuted_axes([1, 2, 0])),
        ("stepped", stepped),
        ("backwards", backwards),
    ];
    let expected = views.iter().map(|(key, view)| {
        let bytes: Vec<u8> = view.iter().flat_map(|number| number.to_le_bytes()).collect();
        let shape: Vec<u64> = view.shape().iter().map(|size| *size as u64).collect();
        row(key, &DType::U16, &shape, &bytes)
    });
    let expected: Vec<Value> = expected.collect();
    let mut new = NewCheckpoint::new();
    for (key, view) in &views {
        new.tensor(*key, view);
    }
    let mut tally = Tally::new();
    for &format in FORMATS {
        let path = folder.path().join(format!("a.{}", format.facts().extensions[0]));
        new.save(&path, Existing::Refuse).expect("written");
        tally.note(format.name(), problem(&path, expected.clone()));
    }
    tally.close("formats loaded as given");
}
