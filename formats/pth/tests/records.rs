//! Which records of an archive are read, and what may be done to a tensor: as PyTorch has it.

use statedict_core::{
    ByteOrder, Data, Fault, Format, Headroom, Location, Part, Policy, Source, plan,
};
use statedict_pth::PTH;
use statedict_zip::{Archive, Writer};

/// The bytes of the storages `0` and `1`.
const STORAGES: [&[u8]; 2] = [b"abcdefgh", b"ijklmnop"];

/// The persistent id of a storage of two numbers, with its class and key.
fn storage(class: &str, key: &str) -> Vec<u8> {
    let id = format!("(X\x07\0\0\0storagectorch\n{class}\nX\x01\0\0\0{key}X\x03\0\0\0cpuK\x02tQ");
    id.into_bytes()
}

/// The call of a function of `torch._utils` with arguments on the stack.
fn call(function: &str, arguments: &[u8]) -> Vec<u8> {
    [format!("ctorch._utils\n{function}\n(").as_bytes(), arguments, b"tR"].concat()
}

/// A tensor of two numbers, with metadata or without.
fn tensor(class: &str, key: &str, metadata: &[u8]) -> Vec<u8> {
    let place = &b"K\0K\x02\x85K\x01\x85\x89}"[..];
    call("_rebuild_tensor_v2", &[&storage(class, key)[..], place, metadata].concat())
}

fn float(key: &str) -> Vec<u8> {
    tensor("FloatStorage", key, b"")
}

/// A dict of one value under `w`.
fn dict(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02}X\x01\0\0\0w", value, b"s."].concat()
}

fn archive(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::torch(1);
    for (name, bytes) in records {
        writer.bytes(name, bytes.to_vec());
    }
    let layout = writer.finish();
    let parts = layout.parts().iter().map(|part| match part {
        Part::New(bytes) => &bytes[..],
        _ => panic!("all bytes are at hand"),
    });
    parts.collect::<Vec<_>>().concat()
}

/// An archive as PyTorch names its records, around a pickle.
fn around(pickle: &[u8]) -> Vec<u8> {
    let [first, second] = STORAGES;
    archive(&[("a/data.pkl", pickle), ("a/data/0", first), ("a/data/1", second)])
}

fn open(bytes: &[u8]) -> Result<Box<dyn statedict_core::Container>, Fault> {
    PTH.open(&bytes).map(|file| file.expect("a checkpoint"))
}

fn refused(bytes: &[u8], words: &str) {
    let fault = open(bytes).err().expect(words).to_string();
    assert!(fault.contains(words), "{fault}");
}

/// The bytes and the byte order of the only tensor's storage.
fn stored(file: &[u8]) -> (Vec<u8>, ByteOrder) {
    let opened = open(file).expect("readable");
    let Data::View(view) = &opened.catalog().rows[0].tensor.data else { panic!("a view") };
    let Location::Stored(range) = &view.storage().location else { panic!("stored") };
    (file.bytes(range.clone()).expect("within"), view.storage().byte_order)
}

#[test]
fn a_tensor_of_a_quantised_type_is_quantised_whoever_makes_it() {
    let file = around(&dict(&tensor("QInt32Storage", "0", b"")));
    let opened = open(&file).expect("readable");
    let data = &opened.catalog().rows[0].tensor.data;
    assert!(matches!(data, Data::Opaque { layout, bytes: 8 } if layout == "quantized"), "{data:?}");
}

#[test]
fn records_are_found_whatever_the_case_of_their_names() {
    let pickle = dict(&float("k"));
    let file = archive(&[("a/DATA.PKL", &pickle), ("A/Data/K", STORAGES[0])]);
    assert_eq!(stored(&file), (STORAGES[0].to_vec(), ByteOrder::Little));
    let pickle = dict(&float("0"));
    let records = [("a/data.pkl", &pickle[..]), ("a/data/0", STORAGES[0]), ("a/BYTEORDER", b"big")];
    assert_eq!(stored(&archive(&records)), (STORAGES[0].to_vec(), ByteOrder::Big));
}

#[test]
fn records_of_odd_case_are_read_and_not_written_again() {
    let pickle = dict(&float("k"));
    let file = archive(&[("a/data.pkl", &pickle), ("a/data/K", STORAGES[0])]);
    let file = open(&file).expect("readable");
    let catalog = file.catalog();
    let selected = catalog.select(None).expect("one state dict");
    let rules = ["add:m".parse().expect("a rule")];
    let plan = plan(&rules, catalog, &selected, Policy::default()).expect("a plan").plan;
    let fault = file.rewrite(&plan, Headroom::Bytes(0)).expect_err("refused").to_string();
    assert!(fault.contains("'a/data/K' differs in case"), "{fault}");
}

#[test]
fn two_records_that_differ_in_case_alone_are_refused() {
    let (one, other) = (dict(&float("0")), dict(&float("1")));
    let [first, second] = STORAGES;
    let words = "differ in case alone";
    for names in [["a/DATA.PKL", "a/data.pkl"], ["a/data.pkl", "a/Data.pkl"]] {
        let [upper, lower] = names;
        let records =
            [(upper, &one[..]), (lower, &other), ("a/data/0", first), ("a/data/1", second)];
        refused(&archive(&records), words);
    }
    let pickle = dict(&float("k"));
    refused(&archive(&[("a/data.pkl", &pickle), ("a/data/k", first), ("a/data/K", second)]), words);
}

#[test]
fn the_root_is_the_first_folder_of_the_first_record() {
    let pickle = dict(&float("0"));
    let records = [("b/x", &b"x"[..]), ("a/data.pkl", &pickle), ("a/data/0", STORAGES[0])];
    refused(&archive(&records), "'a/data.pkl' is not in the first record's folder, 'b'");
    let records = [("a/b/data.pkl", &pickle[..]), ("a/b/data/0", STORAGES[0])];
    refused(&archive(&records), "'a/b/data.pkl' is not in the first record's folder, 'a'");
}

#[test]
fn checksums_of_records_are_left_to_check() {
    let file = around(&dict(&float("0")));
    let source = file.as_slice();
    let archive = Archive::open(&source).expect("sound").expect("an archive");
    let crc32 = archive.find("a/data.pkl").expect("there").crc32().to_le_bytes();
    let at = file.windows(4).rposition(|four| four == crc32).expect("in the directory");
    let mut damaged = file.clone();
    damaged[at] ^= 1;
    assert_eq!(stored(&damaged), (STORAGES[0].to_vec(), ByteOrder::Little));
}

#[test]
fn the_numbers_of_a_legacy_stream_may_be_spelled_in_any_way() {
    let object = b"\x80\x02}.";
    let stream = |magic: &[u8], version: &[u8]| {
        [magic, version, b"\x80\x02}.", object, b"\x80\x02]."].concat()
    };
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    let ended = |bytes: &[u8], end: &[u8]| [bytes, end].concat();
    for end in [&b"."[..], b"q\0.", b"r\0\0\0\0.", b"\x94."] {
        let file = stream(&ended(magic, end), b"\x80\x02M\xe9\x03.");
        assert_eq!(open(&file).expect("readable").kind(), "pth-legacy");
    }
    for version in [&b"J\xe9\x03\0\0."[..], b"\x80\x02\x8a\x02\xe9\x03q\x01.", b"L1001L\n."] {
        let file = stream(&ended(magic, b"."), version);
        assert_eq!(open(&file).expect("readable").kind(), "pth-legacy");
    }
    refused(&stream(&ended(magic, b"."), b"\x80\x02M\xea\x03."), "1001");
    let popped = stream(&ended(magic, b"0N."), b"\x80\x02M\xe9\x03.");
    assert!(PTH.open(&popped.as_slice()).is_ok_and(|file| file.is_none()));
}

#[test]
fn what_changes_a_tensor_once_it_is_built_is_refused_by_name() {
    let (one, other) = (float("0"), float("1"));
    let check = |value: &[u8], words: &str| {
        let fault = open(&around(&dict(value))).err().expect(words).to_string();
        assert!(fault.starts_with("tensor 'w': ") && fault.contains(words), "{fault}");
    };
    let state = [&b"("[..], &storage("FloatStorage", "1"), b"K\0K\x02\x85K\x01\x85tb"].concat();
    let parameter = call("_rebuild_parameter", &[&one[..], b"\x89}"].concat());
    check(&[&one[..], &state].concat(), "BUILD");
    check(&[&parameter[..], &state].concat(), "BUILD");
    check(&[&one[..], b"K\0K\x01s"].concat(), "entries");
    check(&[&one[..], b"Na"].concat(), "appended");
    let with_state =
        |state: &[u8]| call("_rebuild_parameter_with_state", &[&one[..], b"\x89}", state].concat());
    let data = [b"}X\x04\0\0\0data", &other[..], b"s"].concat();
    check(&with_state(&data), "sets its 'data'");
    check(&with_state(&[b"N", &data[..], b"\x86"].concat()), "sets its 'data'");
    check(&with_state(b"}X\x09\0\0\0__class__Ns"), "sets its '__class__'");
    let typed = |state: &[u8]| {
        let function = b"ctorch._utils\n_rebuild_parameter\nctorch.nn.parameter\nParameter\n(";
        let arguments = [&function[..], &one, b"\x89}t", state].concat();
        [b"ctorch._tensor\n_rebuild_from_type_v2\n(", &arguments[..], b"tR"].concat()
    };
    check(&typed(&data), "sets its 'data'");
    let moved = |dtype: &str| {
        let dtype = [b"ctorch\n", dtype.as_bytes(), b"\nX\x03\0\0\0cpu\x89"].concat();
        call("_rebuild_device_tensor_from_cpu_tensor", &[&one[..], &dtype].concat())
    };
    check(&moved("float64"), "stored as F32 and cast to F64");
    check(b"ctorch\nTensor\n]G@\x14\0\0\0\0\0\0a\x85R", "torch.Tensor makes");
    check(b"ctorch\nFloatTensor\n)R", "torch.FloatTensor makes");
    check(b"ctorch\nFloatTensor\n)\x81", "torch.FloatTensor makes");
    check(b"ctorch.nn.parameter\nParameter\nK\x01\x85R", "called with no tensor");
    check(&tensor("FloatStorage", "0", b"}X\x03\0\0\0neg]s"), "neither True nor False");
}

#[test]
fn what_leaves_a_tensor_as_it_is_is_read() {
    let one = float("0");
    let check = |value: &[u8]| {
        let file = around(&dict(value));
        assert_eq!(stored(&file).0, STORAGES[0], "{:?}", value.escape_ascii().to_string());
    };
    check(&[b"ctorch.nn.parameter\nParameter\n(", &one[..], b"\x89tR"].concat());
    check(&call("_rebuild_parameter_with_state", &[&one[..], b"\x89}}X\x04\0\0\0nameNs"].concat()));
    check(&call("_rebuild_parameter_with_state", &[&one[..], b"\x89}N}\x86"].concat()));
    let moved = b"ctorch\nfloat32\nX\x03\0\0\0cpu\x89";
    check(&call("_rebuild_device_tensor_from_cpu_tensor", &[&one[..], moved].concat()));
}

#[test]
fn the_last_of_two_equal_flags_counts() {
    let negated = |metadata: &[u8]| {
        let file = around(&dict(&tensor("FloatStorage", "0", metadata)));
        let opened = open(&file).expect("readable");
        let Data::View(view) = &opened.catalog().rows[0].tensor.data else { panic!("a view") };
        view.negate
    };
    assert!(negated(b"}X\x03\0\0\0neg\x88s"));
    assert!(negated(b"}X\x03\0\0\0negK\x01s"));
    assert!(!negated(b"}X\x03\0\0\0neg\x88sX\x03\0\0\0neg\x89s"));
}

#[test]
fn a_storage_under_two_types_is_refused() {
    let (float, int) = (float("0"), tensor("IntStorage", "0", b""));
    let pickle = [b"\x80\x02}(X\x01\0\0\0w", &float[..], b"X\x01\0\0\0v", &int, b"u."].concat();
    refused(&around(&pickle), "storage '0' is named as one of F32 and as one of I32");
}

/// The keys, shapes and strides that are listed.
fn listed(pickle: &[u8]) -> Vec<(String, Vec<u64>, Vec<u64>)> {
    let opened = open(&around(pickle)).expect("readable");
    let rows = opened.catalog().rows.iter();
    let row = |row: &statedict_core::TensorEntry| {
        let view = row.tensor.as_view().expect("plain");
        (row.key.to_string(), row.tensor.shape.clone(), view.strides().to_vec())
    };
    rows.map(row).collect()
}

/// A pickle with some of its bytes replaced, once.
fn replaced(pickle: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = pickle.windows(old.len()).position(|part| part == old).expect("there");
    [&pickle[..at], new, &pickle[at + old.len()..]].concat()
}

#[test]
fn where_a_storage_was_may_be_anything() {
    let pickle = dict(&float("0"));
    for device in [&b"K\x07"[..], b"N", b"G\x3f\xf0\0\0\0\0\0\0", b")"] {
        let pickle = replaced(&pickle, b"X\x03\0\0\0cpu", device);
        assert_eq!(listed(&pickle), [("w".to_string(), vec![2], vec![1])]);
    }
}

#[test]
fn a_tensor_without_strides_is_row_major() {
    let pickle = replaced(&dict(&float("0")), b"K\0K\x02\x85K\x01\x85", b"K\0K\x01K\x02\x86)");
    assert_eq!(listed(&pickle), [("w".to_string(), vec![1, 2], vec![2, 1])]);
}

#[test]
fn keys_beyond_64_bits_are_shown_as_python_prints_them() {
    let key = b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\0";
    let pickle = replaced(&dict(&float("0")), b"X\x01\0\0\0w", key);
    assert_eq!(listed(&pickle)[0].0, "18446744073709551615");
    let pickle = replaced(&dict(&float("0")), b"X\x01\0\0\0w", b"\x8a\x0a1234567890");
    assert_eq!(listed(&pickle)[0].0, "227729106355936394687025");
    let pickle = replaced(&dict(&float("0")), b"X\x01\0\0\0w", b"L-018446744073709551616L\n");
    assert_eq!(listed(&pickle)[0].0, "-18446744073709551616");
}

#[test]
fn a_storage_that_is_a_folder_is_refused() {
    let mut file = around(&dict(&float("0")));
    let name = file.windows(8).rposition(|name| name == b"a/data/0").expect("in the directory");
    // The attributes are the last field but one in front of the name.
    file[name - 8] |= 0x10;
    refused(&file, "record 'a/data/0' is a folder by its attributes");
}
