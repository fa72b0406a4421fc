//! Whole files in memory: written, read back, renamed, cut and damaged.

use std::sync::Arc;

use statedict_core::{
    Container, DType, Elements, Fault, Format, Headroom, Layout, Part, Plan, Policy, Source,
    Storage, Tensor, TensorSet, plan,
};
use statedict_pth::PTH;

/// Twelve bytes that the tensors of the tests look at.
const WEIGHTS: [u8; 12] = *b"abcdefghijkl";

/// A layout as bytes, its copies taken from `source`.
fn written(layout: &Layout, source: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut starts = Vec::new();
    for part in layout.parts() {
        starts.push(out.len());
        match part {
            Part::Copy(range) => {
                out.extend(source.bytes(range.clone()).expect("a checked range"));
            }
            Part::New(bytes) => out.extend(bytes),
            Part::Crc32(span) => {
                let covered = &out[starts[span.parts.start]..starts[span.parts.end]];
                out.extend(crc32fast::hash(covered).to_le_bytes());
            }
            Part::Elements(_) => panic!("every tensor here is copied"),
        }
    }
    assert_eq!(out.len() as u64, layout.len());
    out
}

fn tensor(shape: &[u64], from: u64) -> Elements {
    let storage = Arc::new(Storage::stored(from..from + shape.iter().product::<u64>() * 2));
    let tensor = Tensor::dense(DType::F16, shape.to_vec(), 0, storage).expect("within");
    Elements::new(tensor, None).expect("plain")
}

/// An archive of three tensors, the first two tied.
fn archive() -> Vec<u8> {
    let tensors = [("module.a", 0), ("module.b", 0), ("module.c", 8)];
    let tensors = tensors.map(|(key, from)| (key.to_string(), tensor(&[1, 2], from)));
    let contents = TensorSet { tensors: tensors.into(), ..TensorSet::default() };
    let pending = PTH.encode(&contents).expect("holdable");
    written(&pending.into_layout().expect("one file"), &WEIGHTS)
}

/// A legacy stream of two tensors, as PyTorch 1.0 writes it.
fn stream() -> Vec<u8> {
    let tensor = |key: &[u8], storage: &[u8]| {
        let storage = [b"((X\x07\0\0\0storagectorch\nHalfStorage\nX\x01\0\0\0", storage].concat();
        let geometry = b"X\x03\0\0\0cpuK\x02NtQK\0K\x02\x85K\x01\x85\x89}tR";
        let call = b"ctorch._utils\n_rebuild_tensor_v2\n";
        [b"X\x08\0\0\0module.", key, call, &storage, geometry].concat()
    };
    [
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".as_slice(),
        b"\x80\x02}X\x0d\0\0\0little_endian\x88s.",
        b"\x80\x02}(",
        &tensor(b"a", b"7"),
        &tensor(b"b", b"9"),
        b"u.",
        b"\x80\x02](X\x01\0\0\x007X\x01\0\0\x009e.",
        b"\x02\0\0\0\0\0\0\0abcd\x02\0\0\0\0\0\0\0efgh",
    ]
    .concat()
}

/// A tar archive of one storage, a view of it, and a tensor over each, as PyTorch 0.1 wrote it.
fn tar() -> Vec<u8> {
    let storages = [
        b"\x80\x02K\x01.".as_slice(),
        b"\x80\x02K\x64U\x03cpuctorch\nHalfStorage\n\x87.",
        b"\x06\0\0\0\0\0\0\0abcdefghijkl",
        b"\x80\x02]((K\x65K\x64K\x02K\x02te.",
    ];
    let tensor = |key: u8, storage: u8, size: u8| {
        let head = [&b"\x80\x02K"[..], &[key], b"K", &[storage], b"ctorch\nHalfTensor\n\x87."];
        let raw = [
            [1, 0, 0, 0, 9, 9, 9, 9],
            [size, 0, 0, 0, 0, 0, 0, 0],
            [1, 0, 0, 0, 0, 0, 0, 0],
            [0; 8],
        ];
        [head.concat(), raw.concat()].concat()
    };
    let tensors = [b"\x80\x02K\x02.".to_vec(), tensor(200, 100, 6), tensor(201, 101, 2)].concat();
    let pickle = b"\x80\x02}(U\x08module.aU\x03200QU\x08module.bU\x03201Qu.";
    let member = |name: &str, content: &[u8]| {
        let mut block = vec![0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block.extend(content);
        block.resize(block.len().next_multiple_of(512), 0);
        block
    };
    [member("storages", &storages.concat()), member("tensors", &tensors), member("pickle", pickle)]
        .concat()
}

fn open(bytes: &[u8]) -> Result<Option<Box<dyn Container>>, Fault> {
    PTH.open(&bytes)
}

fn opened(bytes: &[u8]) -> Box<dyn Container> {
    open(bytes).expect("sound").expect("a PyTorch file")
}

fn planned(file: &dyn Container, rule: &str) -> Plan {
    let catalog = file.catalog();
    let rules = [rule.parse().expect("a rule")];
    let selected = catalog.select(None).expect("one state dict");
    plan(&rules, catalog, &selected, Policy::default()).expect("possible").plan
}

fn renamed(bytes: &[u8], rule: &str) -> Vec<u8> {
    let file = opened(bytes);
    let layout = file.rewrite(&planned(file.as_ref(), rule), Headroom::Usual).expect("possible");
    written(&layout, bytes)
}

fn keys(bytes: &[u8]) -> Vec<String> {
    opened(bytes).catalog().rows.iter().map(|row| row.key.to_string()).collect()
}

fn holds(bytes: &[u8], record: &str) -> bool {
    bytes.windows(record.len()).any(|window| window == record.as_bytes())
}

#[test]
fn what_is_written_is_read() {
    let bytes = archive();
    let file = opened(&bytes);
    assert_eq!(file.kind(), "pth");
    assert_eq!(keys(&bytes), ["module.a", "module.b", "module.c"]);
    let rows = &file.catalog().rows;
    assert!(rows[0].tensor.is_same_place(&rows[1].tensor));
    assert_eq!(
        (&rows[2].tensor.dtype, rows[2].tensor.shape.as_slice()),
        (&DType::F16, &[1, 2][..])
    );
}

#[test]
fn renaming_there_and_back_gives_the_same_bytes() {
    for bytes in [archive(), stream()] {
        let stripped = renamed(&bytes, "strip:module");
        assert_eq!(keys(&stripped), keys(&bytes).iter().map(|k| &k[7..]).collect::<Vec<_>>());
        assert_eq!(renamed(&stripped, "add:module"), bytes);
        assert_eq!(renamed(&bytes, "identity"), bytes);
    }
}

#[test]
fn a_dropped_storage_goes_and_takes_the_computed_offsets_along() {
    let bytes = archive();
    assert!(holds(&bytes, ".format_version") && holds(&bytes, "archive/data/0"));
    let rest = renamed(&bytes, "drop:module.a module.b");
    assert_eq!(keys(&rest), ["module.c"]);
    assert!(!holds(&rest, ".format_version") && !holds(&rest, "archive/data/0"));
    // The other one of two tied tensors still needs the storage.
    let tied = renamed(&bytes, "drop:module.a");
    assert!(holds(&tied, ".format_version") && holds(&tied, "archive/data/0"));
}

#[test]
fn a_dropped_storage_leaves_a_stream_and_its_list() {
    let rest = renamed(&stream(), "drop:module.a");
    assert_eq!(keys(&rest), ["module.b"]);
    assert!(!holds(&rest, "abcd") && holds(&rest, "efgh"));
}

#[test]
fn a_tar_archive_is_renamed_into_a_zip_archive() {
    let bytes = tar();
    assert_eq!(
        (opened(&bytes).kind(), keys(&bytes)),
        ("pth-tar", vec!["module.a".into(), "module.b".into()])
    );
    let new = renamed(&bytes, "strip:module");
    let file = opened(&new);
    assert_eq!((file.kind(), keys(&new)), ("pth", vec!["a".into(), "b".into()]));
    let rows = &file.catalog().rows;
    let elements = |i: usize| {
        let range = Elements::new(rows[i].tensor.clone(), None).expect("plain").verbatim();
        new[..].bytes(range.expect("contiguous")).expect("within")
    };
    // The view is still a view: both tensors look at one storage.
    assert_eq!((elements(0), elements(1)), (b"abcdefghijkl".to_vec(), b"efgh".to_vec()));
    assert!(holds(&new, "archive/data/0") && !holds(&new, "archive/data/1"));
}

#[test]
fn a_view_of_a_storage_is_a_slice_of_its_bytes() {
    // As PyTorch 0.3 wrote it: the tensor's storage is elements 1 and 2 of storage 7.
    let plain = stream();
    let at = plain.windows(5).position(|five| five == b"K\x02NtQ").expect("a count and no view");
    let viewed = b"K\x02(X\x01\0\0\0vK\x01K\x01ttQ";
    let mut bytes = [&plain[..at], viewed, &plain[at + 5..]].concat();
    // One element of the view is all that is left to look at.
    let size = bytes.windows(6).position(|six| six == b"K\0K\x02\x85K").expect("offset and size");
    bytes[size + 3] = 1;
    let file = opened(&bytes);
    let elements = Elements::new(file.catalog().rows[0].tensor.clone(), None).expect("plain");
    let range = elements.verbatim().expect("contiguous");
    assert_eq!(bytes[..].bytes(range).expect("within"), b"cd");
    bytes[size + 3] = 2;
    assert!(matches!(open(&bytes), Err(Fault::Malformed { .. })));
}

#[test]
fn slices_of_storages_are_named_as_pytorch_takes_them() {
    let refused = |first: &[u8], second: &[u8], words: &str| {
        let mut bytes = stream();
        for view in [second, first] {
            let at = bytes.windows(5).rposition(|five| five == b"K\x02NtQ").expect("no view");
            bytes.splice(at + 2..at + 3, view.iter().copied());
        }
        let fault = open(&bytes).err().expect(words).to_string();
        assert!(fault.contains(words), "{fault}");
    };
    let whole = |key: u8| [b"(X\x01\0\0\0", &[key][..], b"K\0K\x02t"].concat();
    refused(&whole(b'9'), b"N", "'9' is a storage and a slice of one");
    refused(&whole(b'v'), &whole(b'v'), "slice 'v' of a storage is named as two of them");
    refused(b"]", b"N", "a persistent id is not ('storage', class, key, location, count)");
    refused(b"", b"N", "a persistent id has 5 parts, and 6 are known");
    refused(b"NN", b"N", "a persistent id has 7 parts, and 6 are known");
}

#[test]
fn a_key_dropped_from_a_tar_archive_takes_its_tensor_along() {
    let bytes = tar();
    let dropped = renamed(&bytes, "drop:module.a");
    assert_eq!(keys(&dropped), ["module.b"]);
}

#[test]
fn every_prefix_of_a_tar_archive_is_refused_up_to_its_last_member() {
    let bytes = tar();
    let end = bytes.len() - 512 + 34;
    for cut in 1..end {
        assert!(!matches!(open(&bytes[..cut]), Ok(Some(_))), "{cut} of {} bytes", bytes.len());
    }
}

#[test]
fn every_prefix_of_a_file_is_refused() {
    for bytes in [archive(), stream()] {
        for end in 1..bytes.len() {
            let cut = open(&bytes[..end]);
            assert!(!matches!(cut, Ok(Some(_))), "{end} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn a_changed_byte_is_refused_or_read() {
    for bytes in [archive(), stream(), tar()] {
        for at in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                let Ok(Some(file)) = open(&damaged) else { continue };
                let catalog = file.catalog();
                let Ok(selected) = catalog.select(None) else { continue };
                let rules = ["strip:module".parse().expect("a rule")];
                let Ok(planned) = plan(&rules, catalog, &selected, Policy::default()) else {
                    continue;
                };
                // A rename that succeeds gives a file with the renamed keys.
                let Ok(layout) = file.rewrite(&planned.plan, Headroom::Usual) else { continue };
                let out = written(&layout, &damaged);
                let new: Vec<&str> =
                    planned.plan.sections()[0].kept().map(|(_, new)| new).collect();
                let reread = opened(&out);
                let found: Vec<&str> = reread.catalog().state_dicts[0].keys().collect();
                assert_eq!(found, new, "byte {at} changed by {change:#x}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let message = |bytes: &[u8]| match open(bytes) {
        Err(fault) => fault.to_string(),
        Ok(_) => "sound".into(),
    };
    let bytes = stream();
    assert_eq!(
        message(&bytes[..bytes.len() - 1]),
        format!(
            "at byte {}: storage '9' of 2 F16 elements ends beyond the file's {} bytes",
            bytes.len() - 12,
            bytes.len() - 1
        )
    );
    let count = bytes.windows(4).position(|four| four == b"K\x02Nt").expect("a count");
    let mut lying = bytes.clone();
    lying[count + 1] = 3;
    assert_eq!(
        message(&lying),
        "tensor 'module.a': storage '7' has 4 bytes, and 3 elements of F16 are 6"
    );
}
