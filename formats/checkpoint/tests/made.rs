//! New files with elements that the source does not have: drawn, or the target's.

mod folder;

use std::fs;

use folder::Folder;
use statedict_checkpoint::{Checkpoint, Existing, FORMATS};
use statedict_core::{
    DType, Elements, Expression, Origination, Tensor, TensorSet,
    init::{InitRule, Initialiser, Needed},
};

fn initialiser(rules: &[&str]) -> Initialiser {
    let rule = |text: &&str| InitRule::parse(text, '.').expect("a rule");
    Initialiser { rules: rules.iter().map(rule).collect(), seed: 0 }
}

/// A file of one tensor `key` of these bytes in rows of two.
fn file(folder: &Folder, name: &str, key: &str, bytes: &[u8]) -> Checkpoint {
    let (rows, end) = (bytes.len() / 2, bytes.len());
    let header =
        format!(r#"{{"{key}":{{"dtype":"U8","shape":[{rows},2],"data_offsets":[0,{end}]}}}}"#);
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), bytes].concat();
    Checkpoint::open(&folder.file(name, &file)).expect("a checkpoint")
}

/// The bytes of each tensor of a file, by key.
fn read(path: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let (checkpoint, file) =
        (Checkpoint::open(path).expect("opens"), fs::read(path).expect("bytes"));
    let bytes = |tensor: &Tensor| {
        let elements = Elements::new(tensor.clone(), None).expect("plain");
        let range = elements.verbatim().expect("as the file has them");
        file[range.start as usize..range.end as usize].to_vec()
    };
    let rows = checkpoint.catalog().rows.iter();
    rows.map(|row| (row.key.to_string(), bytes(&row.tensor))).collect()
}

#[test]
fn every_format_holds_elements_of_two_files_and_of_none() {
    let folder = Folder::new();
    let mut source = file(&folder, "source.safetensors", "a", &[1, 2, 3, 4]);
    let a = source.catalog().rows[0].tensor.clone();
    let target =
        source.append_sources(file(&folder, "target.safetensors", "a", &[5, 6, 7, 8, 9, 10]));
    let own = &target.rows[0].tensor;
    let needed = |key, target| Needed { key, dtype: &DType::U8, shape: &[3, 2], target };
    let all = initialiser(&["a=ones", "b=target", "c=constant(200)"]);
    let kept = Elements::new(own.clone(), None).expect("plain");
    let found = |of, _: &str| Some(if of == Origination::Source { &a } else { own });
    let made = [
        ("a", all.resize(("a", &a), None, needed("a", None), &[0])),
        ("b", all.resize(("a", &a), None, needed("b", Some(own)), &[0])),
        ("c", all.make(needed("c", None))),
    ];
    let evaluated = |(key, made): (&str, Result<Expression, _>)| {
        (key.to_string(), made.expect("made").evaluate(&found).expect("there"))
    };
    let mut tensors: Vec<_> = made.into_iter().map(evaluated).collect();
    tensors.push(("d".into(), kept));
    let contents = TensorSet { tensors, ..TensorSet::default() };
    let expected = [
        ("a", vec![1, 2, 3, 4, 1, 1]),
        ("b", vec![1, 2, 3, 4, 9, 10]),
        ("c", vec![200; 6]),
        ("d", vec![5, 6, 7, 8, 9, 10]),
    ];
    let expected = expected.map(|(key, bytes)| (key.to_string(), bytes));
    for &format in FORMATS {
        let out = folder.at(&format!("out.{}", format.facts().extensions[0]));
        let layout = source.encode(format, &contents).expect("holdable");
        source.stage(&layout, &out, Existing::Refuse).expect("staged").commit().expect("written");
        assert_eq!(read(&out), expected, "{}", format.name());
    }
}
