//! Elements read into memory: whole tensors, parts of them, and where the file has them as they are.

mod folder;

use std::fs;
use std::io;

use folder::Folder;
use statedict_checkpoint::half::bf16;
use statedict_checkpoint::ndarray::array;
use statedict_checkpoint::{Checkpoint, Disk, Error, Kind, System};
use statedict_core::{Data, Tensor};

/// `w` is F32 [2, 3], `h` BF16 [2], `flags` BOOL [3], `i` I16 [], `none` F64 [0, 3], `packed` F4 [4].
fn checkpoint(folder: &Folder) -> Checkpoint {
    let header = r#"{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
        "h":{"dtype":"BF16","shape":[2],"data_offsets":[24,28]},
        "flags":{"dtype":"BOOL","shape":[3],"data_offsets":[28,31]},
        "i":{"dtype":"I16","shape":[],"data_offsets":[31,33]},
        "none":{"dtype":"F64","shape":[0,3],"data_offsets":[33,33]},
        "packed":{"dtype":"F4","shape":[4],"data_offsets":[33,35]}}"#;
    let numbers = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].map(f32::to_le_bytes).concat();
    let rest = [0x80, 0x3F, 0, 0x40, 1, 0, 1, 0xFE, 0xFF, 0x21, 0x43];
    let len = (header.len() as u64).to_le_bytes();
    let file = [&len[..], header.as_bytes(), &numbers, &rest].concat();
    Checkpoint::open(&folder.file("a.safetensors", &file)).expect("a checkpoint")
}

/// What an error says after the file's name.
fn message<T>(found: Result<T, Error>) -> (Kind, String) {
    let error = found.err().expect("an error");
    let text = error.to_string();
    let reason = text.split_once("': ").expect("the file is named").1;
    (error.kind(), reason.to_string())
}

#[test]
fn elements_are_read_by_key_by_row_and_by_tensor() {
    let folder = Folder::new();
    let checkpoint = checkpoint(&folder);
    let row = &checkpoint.catalog().rows[0];
    let expected = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].map(f32::to_le_bytes).concat();
    assert_eq!(checkpoint.read("w").expect("read"), expected);
    assert_eq!(checkpoint.read(row).expect("read"), expected);
    assert_eq!(checkpoint.read(&row.tensor).expect("read"), expected);
    let mut buffer = [0; 24];
    checkpoint.read_into("w", &mut buffer).expect("read");
    assert_eq!(buffer[..], expected);
    assert_eq!(checkpoint.read("packed").expect("read"), [0x21, 0x43]);
    assert_eq!(checkpoint.read("none").expect("read"), Vec::<u8>::new());
}

#[test]
fn arrays_have_the_shape_and_the_type_of_the_tensor() {
    let folder = Folder::new();
    let checkpoint = checkpoint(&folder);
    let w = array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]].into_dyn();
    assert_eq!(checkpoint.array::<f32>("w").expect("read"), w);
    assert_eq!(
        checkpoint.array::<bool>("flags").expect("read"),
        array![true, false, true].into_dyn()
    );
    assert_eq!(
        checkpoint.array::<i16>("i").expect("read"),
        array![-2i16].into_shape_with_order(vec![]).expect("one")
    );
    assert_eq!(checkpoint.array::<f64>("none").expect("read").shape(), [0, 3]);
    let halves = array![bf16::from_f32(1.0), bf16::from_f32(2.0)].into_dyn();
    assert_eq!(checkpoint.array::<bf16>("h").expect("read"), halves);
}

#[test]
fn another_type_is_cast_only_if_that_is_asked_for() {
    let folder = Folder::new();
    let checkpoint = checkpoint(&folder);
    let expected = "tensor 'h': expected F32 elements, found BF16 (array_as casts)";
    assert_eq!(message(checkpoint.array::<f32>("h")), (Kind::Mismatch, expected.to_string()));
    assert_eq!(checkpoint.array_as::<f32>("h").expect("cast"), array![1.0f32, 2.0].into_dyn());
    assert_eq!(checkpoint.array_as::<f64>("w").expect("cast")[[1, 2]], 6.0);
    let expected = "tensor 'i': expected F32 elements, found I16";
    assert_eq!(message(checkpoint.array_as::<f32>("i")), (Kind::Mismatch, expected.to_string()));
}

#[test]
fn a_part_of_a_tensor_is_read_like_a_whole_one() {
    let folder = Folder::new();
    let checkpoint = checkpoint(&folder);
    let part = checkpoint.slice("w", 0, 1..2).expect("a row");
    assert_eq!(
        checkpoint.array::<f32>(&part).expect("read"),
        array![[4.0f32, 5.0, 6.0]].into_dyn()
    );
    let part = checkpoint.slice("w", 1, 1..).expect("columns");
    assert_eq!(
        checkpoint.array::<f32>(&part).expect("read"),
        array![[2.0f32, 3.0], [5.0, 6.0]].into_dyn()
    );
    let corner = checkpoint.slice(&part, 0, 1..2).expect("a row of the columns");
    assert_eq!(checkpoint.array::<f32>(&corner).expect("read"), array![[5.0f32, 6.0]].into_dyn());
    let turned = checkpoint.tensor("w").expect("there").transposed().expect("a matrix");
    assert_eq!(
        checkpoint.array::<f32>(&turned).expect("read"),
        array![[1.0f32, 4.0], [2.0, 5.0], [3.0, 6.0]].into_dyn()
    );
    let check = |name, dimension, range: std::ops::Range<u64>, expected: &str| {
        assert_eq!(message(checkpoint.slice(name, dimension, range)).1, expected);
    };
    check("w", 0, 1..3, "tensor 'w': range 1..3 is outside dimension 0 of size 2");
    check("w", 2, 0..1, "tensor 'w': no dimension 2 in shape [2, 3]");
    check("packed", 0, 1..2, "tensor 'packed': F4 elements are packed and cannot be split here");
}

#[test]
fn a_buffer_of_another_length_is_refused() {
    let folder = Folder::new();
    let checkpoint = checkpoint(&folder);
    for len in [0, 23, 25] {
        let expected = format!("tensor 'w': expected a buffer of 24 bytes, found {len}");
        let found = checkpoint.read_into("w", &mut vec![0; len]);
        assert_eq!(message(found), (Kind::Mismatch, expected));
    }
}

#[test]
fn a_name_that_no_tensor_has_is_an_error() {
    let folder = Folder::new();
    let checkpoint = checkpoint(&folder);
    let expected = "no tensor 'x' among 6, 'w' to 'packed'".to_string();
    assert_eq!(message(checkpoint.read("x")), (Kind::NoSuchTensor, expected));
}

#[test]
fn stored_elements_are_found_in_their_file() {
    let folder = Folder::new();
    let checkpoint = checkpoint(&folder);
    let bytes = fs::read(checkpoint.path()).expect("readable");
    for name in ["w", "h", "flags", "i", "packed"] {
        let stored = checkpoint.stored(name).expect("there").expect("as they are");
        let range = stored.range.start as usize..stored.range.end as usize;
        assert_eq!(bytes[range], checkpoint.read(name).expect("read"), "{name}");
        assert_eq!(stored.file.metadata().expect("open").len(), bytes.len() as u64);
    }
    let column = checkpoint.slice("w", 1, 1..2).expect("a column");
    assert!(checkpoint.stored(&column).expect("there").is_none());
    let row = checkpoint.slice("w", 0, 1..2).expect("a row");
    let (whole, part) = (checkpoint.stored("w"), checkpoint.stored(&row));
    let start = |found: Result<Option<statedict_checkpoint::Stored>, Error>| {
        found.expect("there").expect("as they are").range.start
    };
    assert_eq!(start(part), start(whole) + 12);
}

#[test]
fn the_storage_of_a_part_is_that_of_the_whole() {
    let folder = Folder::new();
    let checkpoint = checkpoint(&folder);
    let column = checkpoint.slice("w", 1, 1..2).expect("a column");
    let range = |found: Result<Option<statedict_checkpoint::Stored>, Error>| {
        found.expect("there").expect("as it is").range
    };
    assert_eq!(range(checkpoint.stored_storage(&column)), range(checkpoint.stored("w")));
    let mut negated = column;
    let Data::View(view) = &mut negated.data else { panic!("a view") };
    view.negate = true;
    assert!(checkpoint.stored_storage(&negated).expect("there").is_none());
}

#[test]
fn a_file_that_became_shorter_is_an_error_that_names_the_tensor() {
    let folder = Folder::new();
    let header = r#"{"w":{"dtype":"U8","shape":[8192],"data_offsets":[0,8192]}}"#;
    let len = (header.len() as u64).to_le_bytes();
    let file = [&len[..], header.as_bytes(), &[7; 8192]].concat();
    let checkpoint = Checkpoint::open(&folder.file("a.safetensors", &file)).expect("a checkpoint");
    let file = System.open(checkpoint.path()).expect("open");
    System.set_len(&file, checkpoint.len() - 4).expect("cut");
    let error = checkpoint.read("w").expect_err("cut off");
    assert_eq!((error.kind(), error.tensor()), (Kind::Malformed, Some("w")));
    let error = checkpoint.read_into("w", &mut [0; 8192]).expect_err("cut off");
    assert_eq!((error.kind(), error.tensor()), (Kind::Malformed, Some("w")));
}

#[test]
fn the_systems_error_is_the_source() {
    let folder = Folder::new();
    let error = Checkpoint::open(&folder.at("none.pth")).expect_err("missing");
    let source = std::error::Error::source(&error).and_then(|it| it.downcast_ref::<io::Error>());
    assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::NotFound));
}

#[test]
fn another_tensor_that_is_not_the_catalogs_is_described() {
    let folder = Folder::new();
    let checkpoint = checkpoint(&folder);
    let part: Tensor = checkpoint.slice("w", 0, ..=0).expect("a row");
    let expected = "tensor 'F32 [1, 3]': expected a buffer of 12 bytes, found 0";
    assert_eq!(message(checkpoint.read_into(&part, &mut [])).1, expected);
}
