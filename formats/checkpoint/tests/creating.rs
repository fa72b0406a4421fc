//! New files of tensors in memory.

mod folder;

use std::error::Error as _;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use folder::Folder;
use statedict_checkpoint::half::f16;
use statedict_checkpoint::ndarray::{Array, Axis, Slice, arr0, array};
use statedict_checkpoint::{
    Checkpoint, Error, Existing, FORMATS, Kind, NewCheckpoint, TensorData, format_called,
};
use statedict_core::{DType, Expression, Formula, Origination};

/// What an error says after the file's name.
fn message(error: &Error) -> String {
    let text = error.to_string();
    text.split_once("': ").expect("the file is named").1.to_string()
}

/// A tensor whose elements cannot be had.
struct Lost;

impl TensorData for Lost {
    fn dtype(&self) -> DType {
        DType::U8
    }

    fn shape(&self) -> Vec<u64> {
        vec![2]
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

#[test]
fn every_format_holds_arrays_whatever_their_strides() {
    let folder = Folder::new();
    let numbers = Array::from_iter(0..24i32).into_shape_with_order((4, 6)).expect("24");
    let part = numbers.slice_axis(Axis(1), Slice::new(1, Some(5), 2));
    let halves = array![f16::from_f32(0.5), f16::from_f32(-2.0)];
    for &format in FORMATS {
        let path = folder.at(&format!("a.{}", format.facts().extensions[0]));
        NewCheckpoint::new()
            .tensor("whole", &numbers)
            .tensor("turned", numbers.t())
            .tensor("part", part)
            .tensor("number", arr0(true))
            .tensor("none", Array::<f64, _>::zeros((0, 3)))
            .tensor("halves", halves.view())
            .bytes("bytes", DType::U16, &[2, 1], &[1, 2, 3, 4])
            .save(&path, Existing::Refuse)
            .expect("written");
        let found = Checkpoint::open(&path).expect("opens");
        let keys: Vec<&str> = found.catalog().rows.iter().map(|row| row.key.as_str()).collect();
        let expected = ["whole", "turned", "part", "number", "none", "halves", "bytes"];
        assert_eq!(keys, expected, "{}", format.name());
        assert_eq!(found.array::<i32>("whole").expect("read"), numbers.clone().into_dyn());
        assert_eq!(found.array::<i32>("turned").expect("read"), numbers.t().into_dyn());
        assert_eq!(found.array::<i32>("part").expect("read"), part.into_dyn());
        assert_eq!(found.array::<bool>("number").expect("read"), arr0(true).into_dyn());
        assert_eq!(found.array::<f64>("none").expect("read").shape(), [0, 3]);
        assert_eq!(found.array::<f16>("halves").expect("read"), halves.clone().into_dyn());
        assert_eq!(found.array::<u16>("bytes").expect("read"), array![[0x201], [0x403]].into_dyn());
    }
}

#[test]
fn tensors_of_several_megabytes_are_whole() {
    let folder = Folder::new();
    let large = Array::from_iter(0..3_000_001u32);
    let every_second = large.slice_axis(Axis(0), Slice::new(0, None, 2));
    for name in ["a.safetensors", "a.pth", "a.npz"] {
        let path = folder.at(name);
        NewCheckpoint::new()
            .tensor("x", array![7u8])
            .tensor("large", &large)
            .tensor("every second", every_second)
            .save(&path, Existing::Refuse)
            .expect("written");
        let found = Checkpoint::open(&path).expect("opens");
        assert_eq!(found.array::<u32>("large").expect("read"), large.clone().into_dyn());
        let second = found.array::<u32>("every second").expect("read");
        assert_eq!(second, every_second.into_dyn());
    }
}

#[test]
fn metadata_is_kept_where_the_format_has_a_place_for_it() {
    let folder = Folder::new();
    let mut new = NewCheckpoint::new();
    new.tensor("w", array![1u8]).metadata("license", "mit");
    for name in ["a.safetensors", "a.pth"] {
        let path = folder.at(name);
        new.save(&path, Existing::Refuse).expect("written");
        let found = Checkpoint::open(&path).expect("opens").metadata();
        assert!(found.contains(&("license".to_string(), "mit".to_string())), "{name}");
    }
    let error = new.save(&folder.at("a.npz"), Existing::Refuse).expect_err("no place");
    assert_eq!(message(&error), "npz cannot store metadata: 'license'");
    assert_eq!(folder.names(), ["a.pth", "a.safetensors"]);
}

#[test]
fn a_file_is_replaced_only_if_that_is_asked_for() {
    let folder = Folder::new();
    let path = folder.file("a.npz", b"mine");
    let mut new = NewCheckpoint::new();
    new.tensor("w", array![1u8]);
    let error = new.save(&path, Existing::Refuse).expect_err("it exists");
    assert_eq!(error.kind(), Kind::AlreadyExists);
    assert_eq!(fs::read(&path).expect("readable"), b"mine");
    new.save(&path, Existing::Replace).expect("replaced");
    assert_eq!(folder::keys(&path), ["w"]);
    assert_eq!(folder.names(), ["a.npz"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_nothing_is_written() {
    let folder = Folder::new();
    let error = NewCheckpoint::new()
        .bytes("w", DType::F32, &[2, 3], &[0; 12])
        .tensor("x", array![1u8])
        .tensor("x", array![2u8])
        .bytes("y", DType::F32, &[u64::MAX, 2], &[])
        .save(&folder.at("a.safetensors"), Existing::Refuse)
        .expect_err("refused");
    let expected = "tensor 'w': expected 24 bytes for F32 [2, 3], found 12; \
                    tensor 'x': duplicate key; \
                    tensor 'y': shape [18446744073709551615, 2] of F32 has more bytes than 64 bits can count";
    assert_eq!(message(&error), expected);
    let error = NewCheckpoint::new()
        .bytes("w", DType::C128, &[1], &[0; 16])
        .save(&folder.at("a.safetensors"), Existing::Refuse)
        .expect_err("refused");
    assert!(message(&error).starts_with("tensor 'w': safetensors has no C128"), "{error}");
    let error = NewCheckpoint::new().save(&folder.at("a.txt"), Existing::Refuse).expect_err("no");
    assert!(
        message(&error).starts_with("unknown file extension; expected one of .pth, "),
        "{error}"
    );
    assert!(folder.names().is_empty());
}

#[test]
fn elements_that_cannot_be_had_leave_nothing_behind() {
    let folder = Folder::new();
    let error = NewCheckpoint::new()
        .tensor("w", Lost)
        .save(&folder.at("a.safetensors"), Existing::Refuse)
        .expect_err("lost");
    assert_eq!(message(&error), "the elements of tensor 'w' cannot be read: connection reset");
    let cause = error.source().and_then(|it| it.source());
    let cause = cause.and_then(|it| it.downcast_ref::<io::Error>()).map(io::Error::kind);
    assert_eq!(cause, Some(io::ErrorKind::ConnectionReset));
    assert!(folder.names().is_empty());
}

#[test]
fn an_observer_sees_what_is_written_and_stops_it() {
    let folder = Folder::new();
    let large = vec![0; 3 << 20];
    let mut new = NewCheckpoint::new();
    new.bytes("w", DType::U8, &[3 << 20], &large).observed_by(Arc::new(|_| ControlFlow::Break(())));
    let error = new.save(&folder.at("a.pth"), Existing::Refuse).expect_err("stopped");
    assert_eq!(error.kind(), Kind::Stopped);
    assert!(folder.names().is_empty());
}

#[test]
fn one_tensor_of_a_file_is_changed_and_the_others_are_copied() {
    let folder = Folder::new();
    let old = folder.at("old.pth");
    NewCheckpoint::new()
        .tensor("a", array![[1.0f32, 2.0], [3.0, 4.0]])
        .tensor("b", array![5i64])
        .save(&old, Existing::Refuse)
        .expect("written");
    let old = Checkpoint::open(&old).expect("opens");
    let other = folder.checkpoint();
    let doubled = old.array::<f32>("a").expect("read") * 2.0;
    let part = old.slice("a", 1, 1..2).expect("a column");
    let path = folder.at("new.safetensors");
    let mut new = NewCheckpoint::new();
    new.tensor("a", &doubled);
    new.copy("b", &old, "b").expect("there");
    new.copy("column", &old, &part).expect("there");
    new.copy("other", &other, "module.w").expect("there");
    new.save(&path, Existing::Refuse).expect("written");
    let new = Checkpoint::open(&path).expect("opens");
    assert_eq!(new.array::<f32>("a").expect("read"), doubled);
    assert_eq!(new.array::<i64>("b").expect("read"), array![5].into_dyn());
    assert_eq!(new.array::<f32>("column").expect("read"), array![[2.0], [4.0]].into_dyn());
    assert_eq!(new.array::<u8>("other").expect("read"), array![7, 8, 9].into_dyn());
}

#[test]
fn a_tie_is_one_storage_where_the_format_has_such() {
    let folder = Folder::new();
    let numbers = array![[1.0f32, 2.0], [3.0, 4.0]];
    let mut new = NewCheckpoint::new();
    new.tensor("a", &numbers).tensor("b", array![7u8]).tied("c", "a").module("", 2);
    for (name, is_one) in [("a.pth", true), ("a.safetensors", false), ("a.npz", false)] {
        new.save(&folder.at(name), Existing::Refuse).expect("written");
        let found = Checkpoint::open(&folder.at(name)).expect("opens");
        let tensor = |key| found.tensor(key).expect("there");
        assert_eq!(tensor("a").is_same_place(tensor("c")), is_one, "{name}");
        assert_eq!(found.array::<f32>("c").expect("read"), numbers.clone().into_dyn());
    }
    let found = Checkpoint::open(&folder.at("a.pth")).expect("opens");
    assert_eq!(found.catalog().state_dicts[0].modules[""], Some(2));
    let mut new = NewCheckpoint::new();
    let error = new.tied("c", "a").save(&folder.at("b.pth"), Existing::Refuse);
    let expected = "tensor 'c': no tensor 'a' was added before";
    assert_eq!(message(&error.expect_err("no a")), expected);
}

#[test]
fn shards_are_as_large_as_they_may_be() {
    let folder = Folder::new();
    let format = format_called("safetensors").expect("known");
    let numbers = Array::from_iter(0..10u8);
    let mut new = NewCheckpoint::new();
    for key in ["a", "b", "c"] {
        new.tensor(key, &numbers);
    }
    let staged = new.stage_shards(format, "net", 20, &folder.at("out"), Existing::Refuse);
    staged.expect("written").commit().expect("put in place");
    let found = Checkpoint::open(&folder.at("out/net.safetensors.index.json")).expect("opens");
    assert_eq!(found.array::<u8>("c").expect("read"), numbers.clone().into_dyn());
    assert!(folder.at("out/net-00002-of-00002.safetensors").exists());
    let staged = new.stage_shards(format, "net", 30, &folder.at("one"), Existing::Refuse);
    staged.expect("written").commit().expect("put in place");
    assert!(folder.at("one/net.safetensors").exists());
}

#[test]
fn a_tensor_is_made_of_those_before_it() {
    let folder = Folder::new();
    let (a, b) = (array![[1.0f32, 2.0]], array![[0.5f32, 4.0]]);
    let key =
        |key: &str| Expression::Key { of: Origination::Source, key: key.into(), shape: vec![1, 2] };
    let mut new = NewCheckpoint::new();
    new.tensor("a", &a).tensor("b", &b);
    let sum = Formula::Sum { terms: vec![key("a"), key("b")] };
    new.made("sum", Expression::Formula(Box::new(sum)));
    new.made("both", Expression::Concat { axis: 0, parts: vec![key("b"), key("a")] });
    let (dtype, shape, elements) = new.read("sum").expect("made");
    assert_eq!((dtype, shape), (DType::F32, vec![1, 2]));
    assert_eq!(elements, [1.5f32, 6.0].map(f32::to_le_bytes).concat());
    new.save(&folder.at("a.npz"), Existing::Refuse).expect("written");
    let found = Checkpoint::open(&folder.at("a.npz")).expect("opens");
    assert_eq!(
        found.array::<f32>("both").expect("read"),
        array![[0.5, 4.0], [1.0, 2.0]].into_dyn()
    );
    new.made("none", key("later"));
    let error = new.read("sum").expect_err("'later' is nowhere");
    assert_eq!(message(&error), "tensor 'none': no tensor 'later'");
}
