//! What we write, the reference crate reads equally.

mod files;

use std::sync::Arc;

use files::{built, renamed};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use safetensors::SafeTensors;
use statedict_core::{DType, Elements, Format, Layout, Storage, Tensor, TensorSet};
use statedict_safetensors::SAFETENSORS;

const DTYPES: [&str; 22] = [
    "BOOL",
    "F4",
    "F6_E2M3",
    "F6_E3M2",
    "U8",
    "I8",
    "F8_E5M2",
    "F8_E4M3",
    "F8_E8M0",
    "F8_E4M3FNUZ",
    "F8_E5M2FNUZ",
    "I16",
    "U16",
    "F16",
    "BF16",
    "I32",
    "U32",
    "F32",
    "C64",
    "F64",
    "I64",
    "U64",
];

#[derive(Clone, Debug)]
struct Described {
    key: String,
    dtype: DType,
    shape: Vec<u64>,
}

fn described() -> impl Strategy<Value = Described> {
    let key = prop_oneof![
        "[a-c]{1,2}\\.[a-c0-9]{1,3}".prop_map(|key| key),
        any::<String>(),
        Just("a\"b\\\n".to_string()),
    ];
    let shape = proptest::collection::vec(0u64..4, 0..3);
    (key, 0..DTYPES.len(), shape).prop_map(|(key, dtype, mut shape)| {
        let dtype = DType::named(DTYPES[dtype]).expect("known");
        if dtype.bytes().is_none() {
            shape.push(4);
        }
        Described { key, dtype, shape }
    })
}

/// The tensors side by side in one source, and its bytes.
fn contents(described: &[Described]) -> (TensorSet, Vec<u8>) {
    let mut contents = TensorSet::default();
    let mut source = Vec::new();
    for Described { key, dtype, shape } in described {
        let start = source.len() as u64;
        let len = shape.iter().product::<u64>() * dtype.bits() / 8;
        source.extend((0..len).map(|i| (start + i) as u8));
        let storage = Arc::new(Storage::stored(start..start + len));
        let tensor = Tensor::dense(dtype.clone(), shape.clone(), 0, storage).expect("within");
        contents.tensors.push((key.clone(), Elements::new(tensor, None).expect("plain")));
    }
    contents.metadata.push(("note".to_string(), "a \"quoted\" one".to_string()));
    (contents, source)
}

fn assert_equal(file: &[u8], source: &[u8], contents: &TensorSet) {
    let (_, header) = SafeTensors::read_metadata(file).expect("the reference reads the header");
    let metadata = header.metadata().as_ref().expect("metadata");
    assert_eq!(metadata.get("note").map(String::as_str), Some("a \"quoted\" one"));
    let read = SafeTensors::deserialize(file).expect("the reference reads the file");
    assert_eq!(read.len(), contents.tensors.len());
    for (key, elements) in &contents.tensors {
        let view = read.tensor(key).expect("the tensor is there");
        let range = elements.verbatim().expect("plain bytes");
        assert_eq!(view.dtype().to_string(), elements.dtype().name());
        assert_eq!(view.shape().iter().map(|&n| n as u64).collect::<Vec<_>>(), elements.shape());
        assert_eq!(view.data(), &source[range.start as usize..range.end as usize]);
        let start = view.data().as_ptr().addr() - file.as_ptr().addr();
        let width = elements.dtype().bytes().unwrap_or(1) as usize;
        assert!(view.data().is_empty() || start.is_multiple_of(width), "'{key}' is not aligned");
    }
}

fn encoded(contents: &TensorSet) -> Layout {
    SAFETENSORS.encode(contents).expect("holdable").into_layout().expect("one file")
}

proptest! {
    #[test]
    fn new_files_are_read_by_the_reference(
        mut tensors in proptest::collection::vec(described(), 0..8),
    ) {
        let mut seen = std::collections::HashSet::new();
        tensors.retain(|tensor| tensor.key != "__metadata__" && seen.insert(tensor.key.clone()));
        let (contents, source) = contents(&tensors);
        let file = built(&encoded(&contents), &source);
        assert_equal(&file, &source, &contents);

        let opened = SAFETENSORS.open(&file.as_slice()).expect("sound").expect("safetensors");
        let keys: Vec<_> = opened.catalog().rows.iter().map(|row| row.key.as_str()).collect();
        let expected: Vec<_> = tensors.iter().map(|tensor| tensor.key.as_str()).collect();
        assert_eq!(keys, expected, "the header keeps the contents' order");
    }

    #[test]
    fn renamed_files_are_read_by_the_reference_and_renaming_back_restores_them(
        mut tensors in proptest::collection::vec(described(), 1..8),
    ) {
        let mut seen = std::collections::HashSet::new();
        tensors.retain(|tensor| tensor.key != "__metadata__" && seen.insert(tensor.key.clone()));
        tensors.retain(|tensor| !tensor.key.is_empty());
        proptest::prop_assume!(!tensors.is_empty());
        let (mut contents, source) = contents(&tensors);
        let file = built(&encoded(&contents), &source);
        let wrapped = renamed(&file, &["add:module"]).expect("a rewrite");
        assert_eq!(renamed(&wrapped, &["strip:module"]).expect("a rewrite"), file);
        for (key, _) in &mut contents.tensors {
            *key = format!("module.{key}");
        }
        assert_equal(&wrapped, &source, &contents);
    }
}

#[test]
fn what_the_format_cannot_hold_is_listed_whole() {
    let named = |key: &str, dtype: DType, shape: &[u64]| Described {
        key: key.to_string(),
        dtype,
        shape: shape.to_vec(),
    };
    let (contents, _) = contents(&[
        named("fine", DType::F32, &[2]),
        named("wide", DType::C128, &[1]),
        named("quantized", DType::other("torch.qint8", 8), &[1]),
        named("__metadata__", DType::F32, &[1]),
        named("fine", DType::F32, &[1]),
    ]);
    let refused = SAFETENSORS.encode(&contents).expect_err("refused");
    let keys: Vec<_> = refused.entries.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["wide", "quantized", "__metadata__", "fine"]);
}

#[test]
fn pairs_of_f4_double_the_last_dimension() {
    let pairs = DType::other("torch.float4_e2m1fn_x2", 8);
    let (contents, source) =
        contents(&[Described { key: "w".to_string(), dtype: pairs, shape: vec![2, 8] }]);
    let file = built(&encoded(&contents), &source);
    let read = SafeTensors::deserialize(&file).expect("readable");
    let view = read.tensor("w").expect("there");
    assert_eq!((view.dtype(), view.shape()), (safetensors::Dtype::F4, &[2, 16][..]));
    assert_eq!(view.data(), source);
}

#[test]
fn ties_and_the_framework_are_recorded() {
    let (mut contents, source) =
        contents(&[Described { key: "w".to_string(), dtype: DType::U8, shape: vec![1] }]);
    contents.ties.push(("alias".to_string(), "w".to_string()));
    let file = built(&encoded(&contents), &source);
    let container = SAFETENSORS.open(&file.as_slice()).expect("sound").expect("safetensors");
    let text = |a: &str, b: &str| (a.to_string(), b.to_string());
    let expected = [text("format", "pt"), text("note", "a \"quoted\" one"), text("alias", "w")];
    assert_eq!(container.metadata(), expected);
}
