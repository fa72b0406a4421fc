//! `check` of files that PyTorch's loader raises on, or that only another loader reads.

use std::path::Path;

use statedict_checkpoint::check_source_named;
use statedict_core::{Part, Verdict};
use statedict_zip::Writer;

/// The number of a legacy stream as a pickle, but for `PROTO` in front and `STOP` behind.
const MAGIC: &[u8] = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19";

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

/// The verdict on bytes, and all that is said of them.
fn judged(bytes: &[u8]) -> (Verdict, Vec<String>) {
    let checked = check_source_named(&bytes, Path::new("a.pth")).expect("at hand");
    let said = checked.findings.iter().chain(&checked.notes);
    (checked.verdict(), said.map(|finding| finding.what.clone()).collect())
}

/// An archive with one record more is malformed for this reason, or safe.
fn with_record(name: &str, bytes: &[u8], expected: Option<&str>) {
    let all = [("a/data.pkl", &b"\x80\x02}."[..]), ("a/version", b"3\n"), (name, bytes)];
    let (verdict, said) = judged(&archive(&all));
    let wanted = if expected.is_some() { Verdict::Malformed } else { Verdict::Safe };
    assert_eq!((verdict, said), (wanted, expected.into_iter().map(str::to_string).collect()));
}

#[test]
fn records_that_torch_load_raises_on_are_malformed() {
    with_record("a/.storage_alignment", b" 6_4\n", None);
    let expected = "record .storage_alignment is '64\\x00', expected a whole number";
    with_record("a/.storage_alignment", b"64\0", Some(expected));
    let expected = "record .storage_alignment is '', expected a whole number";
    with_record("a/.storage_alignment", b"", Some(expected));
    with_record("a/.data/serialization_id", b"0123", None);
    let expected = "record .data/serialization_id is '\\xff', which is not UTF-8";
    with_record("a/.data/serialization_id", b"\xff", Some(expected));
    with_record("a/.format_version", b"any", None);
}

#[test]
fn records_that_are_compressed_in_ways_that_check_does_not_know_are_malformed() {
    let expected = Some("a file compressed by bzip2, xz, zstd, lz4, 7z or rar");
    for front in [&b"BZh91AY&SY"[..], b"\xfd7zXZ\0\0\x04", b"\x28\xb5\x2f\xfd\x24"] {
        with_record("a/extra", front, expected);
    }
    with_record("a/data/0", b"BZh9 are four bytes of a number", None);
}

#[test]
fn a_changed_byte_is_found_wherever_in_a_long_record_it_is() {
    // Longer than what is summed at once, and not a multiple of it.
    let storage = vec![1; (17 << 20) + 5];
    let pickle = &b"\x80\x02}."[..];
    let records = [("a/data.pkl", pickle), ("a/data/0", &storage), ("a/version", b"3\n")];
    let sound = archive(&records);
    assert_eq!(judged(&sound), (Verdict::Safe, Vec::new()));
    let start = sound.windows(64).position(|bytes| bytes == [1; 64]).expect("the storage");
    for at in [0, storage.len() / 2, storage.len() - 1] {
        let mut changed = sound.clone();
        changed[start + at] = 2;
        let (verdict, said) = judged(&changed);
        assert_eq!(verdict, Verdict::Malformed);
        assert!(matches!(&said[..], [one] if one.starts_with("checksum ")), "{said:?}");
    }
}

#[test]
fn a_record_below_the_same_folder_in_capitals_is_malformed() {
    let expected = "record 'A/data/0' is not below 'a/', the first one's folder";
    with_record("A/data/0", b"", Some(expected));
    with_record("a/Data/0", b"", None);
}

#[test]
fn a_name_that_is_not_utf_8_is_malformed() {
    let records = [("a/data.pkl", &b"\x80\x02}."[..]), ("a/version", b"3\n"), ("a/QQ", b"")];
    let mut bytes = archive(&records);
    for place in 0..bytes.len() - 4 {
        // The flag that says that a name is UTF-8, in both kinds of header.
        match &bytes[place..place + 4] {
            b"PK\x03\x04" => bytes[place + 7] &= !0x08,
            b"PK\x01\x02" => bytes[place + 9] &= !0x08,
            b"a/QQ" => bytes[place + 2..place + 4].copy_from_slice(b"\xff\xfe"),
            _ => {}
        }
    }
    let (verdict, said) = judged(&bytes);
    assert_eq!(verdict, Verdict::Malformed, "{said:?}");
    assert!(said.iter().any(|what| what.ends_with("is not UTF-8")), "{said:?}");
}

/// A legacy stream whose first and third pickles are these, after `PROTO`.
fn stream(first: &[u8], third: &[u8]) -> Vec<u8> {
    let pickles =
        [&b"M\xe9\x03"[..], third, b"}", b"]"].map(|body| [b"\x80\x02", body, b"."].concat());
    [&[first, b"."].concat(), &pickles.concat()[..]].concat()
}

#[test]
fn a_legacy_stream_is_followed_whatever_comes_before_its_number() {
    let fronts: [&[u8]; 6] =
        [b"\x80\x02", b"K\x08\x80\x02", b"\x80\x05", b"", b"]q\0\x80\x02", b"N("];
    for front in fronts {
        let first = [front, MAGIC].concat();
        let (verdict, said) = judged(&stream(&first, b"}"));
        assert_eq!((verdict, said.len()), (Verdict::Safe, 0), "{front:x?}: {said:?}");
        let (verdict, said) = judged(&stream(&first, b"\x88K\x01Ns"));
        assert_eq!(verdict, Verdict::Malformed, "{front:x?}");
        assert_eq!(said.first().map(String::as_str), Some("what an entry is set in is no dict"));
        let (verdict, said) = judged(&stream(&first, b"ccollections\nOrderedDict\n)RK\x01a"));
        assert_eq!(verdict, Verdict::Malformed, "{front:x?}: {said:?}");
        let (verdict, said) = judged(&stream(&first, b"cposix\nsystem\n)R"));
        assert_eq!(verdict, Verdict::Dangerous, "{front:x?}: {said:?}");
    }
}

#[test]
fn files_that_another_loader_reads_have_a_note() {
    let noted = |bytes: &[u8], expected: &str| {
        assert_eq!(judged(bytes), (Verdict::Safe, vec![expected.to_string()]));
    };
    noted(b"\x80\x02}.more", "bytes follow a bare pickle");
    noted(b"\x80\x02}.\x80\x02}.", "bytes follow a bare pickle");
    assert_eq!(judged(b"\x80\x02}."), (Verdict::Safe, vec![]));
    let scripted = [
        ("a/data.pkl", &b"\x80\x02}."[..]),
        ("a/constants.pkl", b"\x80\x02)."),
        ("a/version", b"3\n"),
    ];
    noted(&archive(&scripted), "a TorchScript archive");
}

#[test]
fn arguments_that_are_not_a_tuple_are_malformed() {
    let pickle = b"\x80\x02ccollections\nOrderedDict\n]R.";
    let (verdict, said) = judged(&archive(&[("a/data.pkl", pickle), ("a/version", b"3\n")]));
    assert_eq!(verdict, Verdict::Malformed);
    assert_eq!(said, ["the arguments of a call are no tuple"]);
}
