//! `check`, `ls` and the model of weights-only loading, on pickles that a fuzzer or a thought found.

use std::fs;
use std::path::Path;

use compat_tests::restricted::{Outcome, admitted, load};
use compat_tests::{agree, agree_on_pickle, oracle};
use serde_json::json;
use statedict_zip::Archive;

/// A tensor of two floats of storage 0, whose pickle ends here.
const TENSOR: &[u8] =
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n\
    X\x01\0\0\x000X\x03\0\0\0cpuK\x02tQK\0K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR";

/// What the model makes of pieces of a pickle, in an archive with storages of 8 and 16 bytes.
fn loaded(pieces: &[&[u8]]) -> Outcome {
    load(&[b"\x80\x02", &pieces.concat()[..]].concat(), &[8, 16])
}

/// The paths to tensors that the model finds.
fn found(pieces: &[&[u8]]) -> Vec<String> {
    match loaded(pieces) {
        Outcome::Loaded(Some(found)) => {
            found.iter().map(|f| format!("{}/{}", f.at, f.key)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_model_finds_tensors_by_their_paths() {
    assert_eq!(found(&[b"}X\x01\0\0\0a", TENSOR, b"s."]), ["/a"]);
    assert_eq!(found(&[b"}K\x01](", TENSOR, b"Nes."]), ["1/0"]);
    assert_eq!(found(&[b"}(K\x01", TENSOR, b"\x88", TENSOR, b"u."]), ["/1"]);
    assert_eq!(found(&[TENSOR, b"."]), ["/"]);
}

#[test]
fn the_model_refuses_what_weights_only_loading_refuses() {
    let refused =
        |pieces: &[&[u8]]| assert!(matches!(loaded(pieces), Outcome::Refused(_)), "{pieces:?}");
    refused(&[b"cposix\nsystem\n."]);
    refused(&[b"K\x01)R."]);
    refused(&[b"))R."]);
    refused(&[b")Na."]);
    refused(&[TENSOR, b"K\x00Ns."]);
    refused(&[b")Nb."]);
    refused(&[b"K\x01)\x81."]);
    refused(&[b"X\x01\0\0\0aQ."]);
}

#[test]
fn every_name_that_pytorch_admits_is_in_the_table() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let names = oracle(json!({ "do": "admitted", "out": folder.path().join("admitted.pkl") }));
    for name in names.as_array().expect("a list of names") {
        let (module, name) = name.as_str().and_then(|n| n.rsplit_once('.')).expect("a path");
        assert!(admitted(module, name).is_some(), "{module}.{name}: run python/admitted.py");
    }
}

#[test]
fn pickles_of_the_fixtures_are_read_alike() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("fixtures") {
        let path = entry.expect("readable").path();
        if !path.is_file() {
            continue;
        }
        let bytes = fs::read(path).expect("readable");
        let Ok(Some(archive)) = Archive::open(&bytes.as_slice()) else { continue };
        for entry in archive.entries().iter().filter(|entry| entry.name().ends_with(".pkl")) {
            agree(&entry.read(&bytes.as_slice(), 1 << 20).expect("a pickle"));
            count += 1;
        }
    }
    assert!(count > 5, "{count} pickles");
}

#[test]
fn a_persistent_id_is_a_storage_or_the_source_of_a_module() {
    let class: &[u8] = b"ctorch\nTensor\n";
    let none: &[u8] = b"N";
    let id = |items: &[&[u8]]| [b"(", &items.concat()[..], b"tQ."].concat();
    // Old streams and tar archives name the class of a module so; an archive's loader gives up.
    let tag: &[u8] = b"X\x06\0\0\0module";
    agree_on_pickle(&id(&[tag, class, b"NN"]));
    agree_on_pickle(&id(&[class, tag, none]));
    let source = loaded(&[&id(&[tag, class, b"NN"])]);
    assert!(matches!(source, Outcome::Failed(_)), "{source:?}");
    // Anything else in its place is refused by both.
    let other = id(&[none, class, tag, none]);
    assert!(matches!(loaded(&[&other]), Outcome::Refused(_)));
    agree_on_pickle(&other);
}

#[test]
fn tensors_of_what_is_not_a_storage_are_not_called_safe_though_nothing_holds_them() {
    // The pickle's value is the class at its end; the tensor is made by the way.
    let made = |arguments: &[u8]| {
        let call: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n";
        let rest = b"ccollections\nOrderedDict\n)RtRctorch\nTensor\n.";
        [b"\x80\x02", call, arguments, rest].concat()
    };
    for storage in ["X\x01\0\0\0s", "N", ")", "]", "}", "ctorch\nFloatStorage\n"] {
        let pickle = made(&[b"(", storage.as_bytes(), b"K\0K\x02\x85K\x01\x85\x89"].concat());
        assert!(matches!(load(&pickle, &[8, 16]), Outcome::Failed(_)), "{storage:?}");
        agree(&pickle);
    }
}

#[test]
fn names_of_python_2_are_admitted_under_any_protocol_and_mapped_by_others_under_the_first() {
    let set: &[u8] = b"c__builtin__\nset\n.";
    for protocol in [b"\x80\x02", b"\x80\x04"] {
        let pickle = [&protocol[..], set].concat();
        assert_eq!(load(&pickle, &[8, 16]), Outcome::Loaded(Some(Vec::new())));
        agree(&pickle);
        agree_on_pickle(&pickle);
    }
}

#[test]
fn a_storage_by_itself_is_listed_and_is_no_tensor() {
    let storage: &[u8] =
        b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ";
    for pieces in [&[b"\x80\x02", storage, b"."][..], &[b"\x80\x02}X\x01\0\0\0a", storage, b"s."]] {
        let pickle = pieces.concat();
        assert_eq!(load(&pickle, &[8, 16]), Outcome::Loaded(Some(Vec::new())));
        agree(&pickle);
    }
}
