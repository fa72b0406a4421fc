//! Archives that NumPy wrote, read, renamed and written.
//!
//! The fixtures are `np.savez` and `np.savez_compressed` of NumPy 2.4: `kinds.npz` has one array of
//! each kind and a text file beside them, `deflated.npz` zeros and a transposed range.

use std::sync::Arc;

use statedict_core::{
    ByteOrder, Catalog, Container, DType, Data, Elements, Fault, Format, Headroom, Layout,
    Location, Part, Policy, Rule, Storage, Tensor, TensorSet, UnsupportedTensors, plan,
};
use statedict_npz::NPZ;
use statedict_zip::{Archive, Writer};

const KINDS: &[u8] = include_bytes!("fixtures/kinds.npz");
const DEFLATED: &[u8] = include_bytes!("fixtures/deflated.npz");

/// The file that a layout describes.
fn write(layout: &Layout, source: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut starts = Vec::new();
    for part in layout.parts() {
        starts.push(file.len());
        match part {
            Part::Copy(range) => file.extend(&source[range.start as usize..range.end as usize]),
            Part::New(bytes) => file.extend(bytes),
            Part::Crc32(span) => {
                let end = starts[span.parts.end];
                file.extend(crc32fast::hash(&file[starts[span.parts.start]..end]).to_le_bytes());
            }
            Part::Elements(_) => panic!("these tests copy elements"),
        }
    }
    assert_eq!(file.len() as u64, layout.len());
    file
}

fn open(file: &[u8]) -> Result<Box<dyn Container>, Fault> {
    NPZ.open(&file).map(|container| container.expect("an archive of arrays"))
}

fn rename(file: &[u8], rules: &[&str]) -> Result<Vec<u8>, Fault> {
    let container = open(file)?;
    let catalog = container.catalog();
    let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().expect(rule)).collect();
    let selected = catalog.select(None).expect("one");
    let planned = plan(&rules, catalog, &selected, Policy::default()).expect("no offence");
    Ok(write(&container.rewrite(&planned.plan, Headroom::Usual)?, file))
}

/// Every key, and what is under it in the words of `ls`.
fn listing(catalog: &Catalog) -> Vec<String> {
    let state_dict = &catalog.state_dicts[0];
    let line = |key| match catalog.tensor(state_dict, key) {
        Some(tensor) => format!("{key} {} {:?}{}", tensor.dtype, tensor.shape, order(tensor)),
        None => format!("{key} no tensor"),
    };
    state_dict.keys().map(line).collect()
}

fn order(tensor: &Tensor) -> String {
    match &tensor.data {
        Data::Opaque { layout, .. } => format!(" {layout}"),
        Data::Blocks(_) => " in blocks".to_string(),
        Data::Unlocated => " unlocated".to_string(),
        Data::View(view) => {
            let big = view.storage().byte_order == ByteOrder::Big;
            let transposed = !view.is_contiguous();
            [(big, " big-endian"), (transposed, " transposed")]
                .iter()
                .filter_map(|(is, word)| is.then_some(*word))
                .collect()
        }
    }
}

/// The content of every member, in order.
fn contents(file: &[u8]) -> Vec<Vec<u8>> {
    let archive = Archive::open(&file).expect("sound").expect("a zip archive");
    let read = |entry: &statedict_zip::Entry| entry.read(&file, 1 << 20).expect("sound");
    archive.entries().iter().map(read).collect()
}

/// An archive of members with these bytes.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::numpy();
    for (name, bytes) in members {
        writer.bytes(name, bytes.to_vec());
    }
    write(&writer.finish(), b"")
}

/// The bytes of an array with this header text.
fn array(text: &str, data: &[u8]) -> Vec<u8> {
    let len = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0", &len[..], text.as_bytes(), data].concat()
}

#[test]
fn every_kind_of_array_is_listed_as_numpy_names_it() {
    let container = open(KINDS).expect("sound");
    let expected = [
        "module.c F32 [2, 3]",
        "module.f F32 [2, 3] transposed",
        "module.big F32 [2, 3] big-endian",
        "module.complex C64 [3] big-endian",
        "module.scalar I64 []",
        "module.empty U8 [0, 3]",
        "module.bool BOOL [2]",
        "module.text <U2 [2]",
        "module.big_text >U2 [1] big-endian",
        "module.record [('x', '<f4'), ('y', '<i2')] [1]",
        "module.date datetime64[D] [1]",
        "module.object object [1] object",
        "é/x.npy I8 []",
        "notes.txt no tensor",
    ];
    assert_eq!(listing(container.catalog()), expected);
    assert_eq!((container.kind(), container.catalog().payload.len()), ("npz", 1));
}

#[test]
fn elements_are_where_the_catalog_says() {
    let container = open(KINDS).expect("sound");
    let catalog = container.catalog();
    let tensor = catalog.tensor(&catalog.state_dicts[0], "module.c").expect("there");
    let elements = Elements::new(tensor.clone(), None).expect("plain");
    let range = elements.verbatim().expect("contiguous and little-endian");
    let bytes = &KINDS[range.start as usize..range.end as usize];
    assert_eq!(bytes, [0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0].map(f32::to_le_bytes).concat());
}

#[test]
fn deflated_arrays_are_found_within_their_streams() {
    let container = open(DEFLATED).expect("sound");
    let catalog = container.catalog();
    assert_eq!(listing(catalog), ["module.c F32 [100, 3]", "module.f I16 [20, 30] transposed"]);
    let storages = catalog.rows.iter().map(|row| row.tensor.as_view().expect("plain").storage());
    for (storage, bytes) in storages.zip([1200, 1200]) {
        let Location::Deflated { skip, len, .. } = &storage.location else { panic!("deflated") };
        assert_eq!((*skip, *len), (128, bytes));
    }
}

#[test]
fn a_rename_changes_names_and_nothing_else() {
    for file in [KINDS, DEFLATED] {
        let renamed = rename(file, &["strip:module"]).expect("can be");
        let names = listing(open(&renamed).expect("sound").catalog());
        let old = listing(open(file).expect("sound").catalog());
        let stripped: Vec<&str> =
            old.iter().map(|line| line.strip_prefix("module.").unwrap_or(line)).collect();
        assert_eq!(names, stripped);
        assert_eq!(contents(&renamed), contents(file));
    }
}

#[test]
fn renaming_and_back_is_renaming_nothing() {
    let once = rename(KINDS, &["add:model"]).expect("can be");
    let back = rename(&once, &["strip:model"]).expect("can be");
    assert_eq!(
        listing(open(&back).expect("sound").catalog()),
        listing(open(KINDS).expect("sound").catalog())
    );
    assert!(rename(&back, &["add:model"]).expect("can be") == once);
}

#[test]
fn a_plan_that_renames_nothing_copies_the_file() {
    let container = open(KINDS).expect("sound");
    let catalog = container.catalog();
    let selected = catalog.select(None).expect("one");
    let planned = plan(&[], catalog, &selected, Policy::default()).expect("nothing to refuse");
    let layout = container.rewrite(&planned.plan, Headroom::Usual).expect("can be");
    assert!(matches!(layout.parts(), [Part::Copy(range)] if *range == (0..KINDS.len() as u64)));
}

#[test]
fn dropped_members_are_left_out() {
    let dropped = rename(KINDS, &["drop:module.**"]).expect("can be");
    assert_eq!(
        listing(open(&dropped).expect("sound").catalog()),
        ["é/x.npy I8 []", "notes.txt no tensor"]
    );
}

#[test]
fn an_archive_whose_last_named_array_goes_is_still_one() {
    let one = array("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", &[7]);
    for (other, key) in [(&one[..], "o U8 [1]"), (b"words", "o no tensor")] {
        let file = archive(&[("w.npy", &one), ("o", other)]);
        let renamed = rename(&file, &["drop:w"]).expect("dropped");
        assert_eq!(listing(open(&renamed).expect("an npz").catalog()), [key]);
    }
    let file = archive(&[("w.npy", &one)]);
    let empty = rename(&file, &["drop:w"]).expect("dropped");
    assert_eq!(listing(open(&empty).expect("an npz").catalog()), [""; 0]);
}

#[test]
fn arrays_are_aligned_and_local_names_agree() {
    let renamed = rename(KINDS, &["add:é"]).expect("can be");
    let source = renamed.as_slice();
    let archive = Archive::open(&source).expect("sound").expect("a zip archive");
    for entry in archive.entries() {
        let located = entry.locate(&source).expect("there");
        assert!(located.other_name().is_none() && located.data.start % 64 == 0);
        assert_eq!(entry.raw_name(), entry.name().as_bytes());
    }
}

#[test]
fn a_key_that_ends_like_a_member_gets_a_suffix_of_its_own() {
    let file = archive(&[("x.npy", b"bytes"), ("y", b"bytes")]);
    let renamed = rename(&file, &["rename:y -> y.npy"]).expect("can be");
    assert_eq!(
        listing(open(&renamed).expect("sound").catalog()),
        ["x no tensor", "y.npy no tensor"]
    );
}

#[test]
fn names_that_no_archive_can_have_are_refused() {
    let long = format!("add:{}", "x".repeat(70_000));
    let fault = rename(KINDS, &[&long]).expect_err("too long").to_string();
    assert!(fault.contains("at most 65535 bytes") && fault.lines().count() == 14, "{fault}");
}

#[test]
fn archives_of_others_are_left_to_them() {
    let torch = archive(&[("m/data.pkl", b"."), ("m/x.npy", b"")]);
    let texts = archive(&[("a.txt", b"")]);
    for file in [&torch[..], &texts, b"\x93NUMPY\x01\0", b""] {
        assert!(NPZ.open(&file).expect("readable").is_none());
    }
    let empty = archive(&[]);
    assert_eq!(empty.len(), 22);
    assert!(listing(open(&empty).expect("sound").catalog()).is_empty());
}

fn refused(file: &[u8], expected: &str) {
    let fault = open(file).map(|_| ()).expect_err(expected).to_string();
    assert!(fault.contains(expected), "{fault}");
}

#[test]
fn arrays_that_contradict_their_archive_are_refused() {
    let one = |text: &str, data: &[u8]| archive(&[("k.npy", &array(text, data))]);
    let f4 = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
    refused(
        &one(&f4("(2, 3)"), &[0; 23]),
        "array 'k.npy': needs 24 bytes of a storage that has 23",
    );
    refused(&one(&f4("(4294967296, 4294967296)"), &[]), "more bytes than 63 bits count");
    refused(&one(&f4("[2]"), &[0; 8]), "array 'k.npy': a shape is a tuple");
    refused(&one("__import__('os').abort()", &[]), "array 'k.npy': expected a dict");
    refused(&archive(&[("k.npy", b"\x93NUMPY\x01\0\xFF\xFF{}")]), "a header of 65545 bytes");
    refused(&archive(&[("k.npy", b"\x93NUMPY\x02\0\xFF\xFF\xFF\xFF{}")]), "over 1048576");
    refused(&archive(&[("k.npy", b"\x93NUMPY\x09\0\xFF\xFF{}")]), "version 9.0");
    refused(&archive(&[("k.npy", b"\x93NUMPY\x01")]), "truncated");
    refused(&archive(&[("k.npy", b""), ("k", b"")]), "a second member: key 'k' occurs twice");
    assert!(open(&one(&f4("(2,)"), &[0; 99])).is_ok());
}

#[test]
fn a_local_name_of_its_own_is_refused() {
    let mut file = archive(&[("kk.npy", b"")]);
    file[30] = b'x';
    refused(&file, "member 'kk.npy' is named 'xk.npy' in its own header");
}

#[test]
fn every_prefix_is_refused_politely() {
    for file in [KINDS, DEFLATED] {
        for end in 4..file.len() {
            assert!(!matches!(NPZ.open(&&file[..end]), Ok(Some(_))), "{end} bytes");
        }
    }
}

#[test]
fn a_changed_byte_is_refused_or_gives_a_catalog() {
    for (at, flip) in (0..KINDS.len()).flat_map(|at| [1, 0xFF].map(|flip| (at, flip))) {
        let mut changed = KINDS.to_vec();
        changed[at] ^= flip;
        let Ok(Some(container)) = NPZ.open(&changed.as_slice()) else { continue };
        for row in &container.catalog().rows {
            let Some(view) = row.tensor.as_view() else { continue };
            assert!(row.tensor.byte_len() <= view.storage().len());
        }
    }
}

fn tensor(dtype: DType, shape: &[u64], bytes: u64) -> Elements {
    let storage = Arc::new(Storage::stored(0..bytes));
    let tensor = Tensor::dense(dtype, shape.to_vec(), 0, storage).expect("within");
    Elements::new(tensor, None).expect("plain")
}

fn encode(tensors: Vec<(&str, Elements)>) -> Result<Layout, UnsupportedTensors> {
    let tensors = tensors.into_iter().map(|(key, elements)| (key.to_string(), elements));
    let contents = TensorSet { tensors: tensors.collect(), ..TensorSet::default() };
    NPZ.encode(&contents).map(|pending| pending.into_layout().expect("one file"))
}

#[test]
fn what_is_encoded_opens_to_the_same_catalog() {
    let layout = encode(vec![
        ("a.weight", tensor(DType::F32, &[2, 3], 24)),
        ("é", tensor(DType::Bool, &[], 1)),
        ("empty", tensor(DType::C128, &[0, 5], 0)),
        ("text", tensor(DType::other("<U2", 64), &[3], 24)),
    ]);
    let file = write(&layout.expect("all can be held"), &[7; 24]);
    let container = open(&file).expect("sound");
    let expected = ["a.weight F32 [2, 3]", "é BOOL []", "empty C128 [0, 5]", "text <U2 [3]"];
    assert_eq!(listing(container.catalog()), expected);
    assert!(contents(&file)[0].ends_with(&[7; 24]));
}

#[test]
fn what_npz_cannot_hold_is_refused_all_of_it() {
    let one = |dtype: DType| tensor(dtype, &[], 16);
    let refused = encode(vec![
        ("half", one(DType::Bf16)),
        ("packed", tensor(DType::F4, &[2], 1)),
        ("quantized", one(DType::other("torch.qint8", 8))),
        ("nul\0", one(DType::F32)),
        ("deep", tensor(DType::F32, &[1; 65], 4)),
        ("fine", one(DType::F32)),
        ("fine", one(DType::F32)),
    ]);
    let expected = "\
'half': npz has no BF16; add --cast f32
'packed': npz has no F4; leave the tensor out with 'drop', or keep the file's own format
'quantized': npz has no torch.qint8; leave the tensor out with 'drop', or keep the file's own format
'nul\0': a name in a zip archive cannot have a NUL in it
'deep': 65 dimensions; NumPy has at most 64
'fine': the key occurs twice";
    assert_eq!(refused.map(|_| ()).expect_err("six reasons").to_string(), expected);
}

#[test]
fn ties_have_no_place_in_an_archive() {
    let ties = [("tied".to_string(), "kept".to_string())].into();
    let refused = NPZ.encode(&TensorSet { ties, ..TensorSet::default() }).map(|_| ());
    let refused = refused.expect_err("no place").to_string();
    assert_eq!(refused, "'tied': npz has no place to record ties; write them out with --ties each");
}
