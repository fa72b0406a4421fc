//! Archives held to more than reading them takes.

use statedict_core::{Part, Verdict};
use statedict_zip::{Archive, Writer};

/// An archive of two members as PyTorch lays it out, or as NumPy does.
fn written(mut writer: Writer) -> Vec<u8> {
    writer.bytes("m/data.pkl", b"pickle".to_vec());
    writer.bytes("m/version", b"3\n".to_vec());
    let layout = writer.finish();
    let part = |part: &Part| match part {
        Part::New(bytes) => bytes.clone(),
        part => panic!("all bytes are at hand: {part:?}"),
    };
    layout.parts().iter().flat_map(part).collect()
}

/// What an audit and a reading of every byte find, and the gaps.
fn found(bytes: &[u8]) -> (Vec<String>, usize) {
    let archive = Archive::open(&bytes).expect("readable").expect("an archive");
    let audit = archive.audit(&bytes).expect("readable");
    let mut findings = audit.findings;
    for (entry, located) in archive.entries().iter().zip(&audit.located) {
        let located = located.as_ref().expect("every member has a header");
        findings.extend(entry.verify(&bytes, located).expect("readable"));
    }
    let faults = findings.iter().filter(|finding| finding.verdict != Verdict::Safe);
    (faults.map(|fault| format!("{}: {}", fault.place, fault.what)).collect(), audit.gaps.len())
}

/// One change to an archive of PyTorch's layout makes one finding.
fn check(change: impl Fn(&mut Vec<u8>), expected: &str) {
    let mut bytes = written(Writer::torch(64));
    change(&mut bytes);
    let (findings, _) = found(&bytes);
    assert_eq!(findings, [expected]);
}

fn position(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).expect("it is there")
}

#[test]
fn archives_as_pytorch_and_numpy_lay_them_out_are_sound() {
    assert_eq!(found(&written(Writer::torch(64))), (Vec::new(), 0));
    assert_eq!(found(&written(Writer::numpy())), (Vec::new(), 0));
}

#[test]
fn a_changed_byte_of_data_is_found() {
    let mut bytes = written(Writer::torch(64));
    let at = position(&bytes, b"pickle");
    bytes[at] = b'P';
    let (findings, _) = found(&bytes);
    assert!(matches!(findings.as_slice(), [one] if one.starts_with("m/data.pkl: checksum")));
}

#[test]
fn a_local_header_that_says_otherwise_is_found() {
    check(
        |bytes| {
            let at = position(bytes, b"m/version");
            bytes[at] = b'n';
        },
        "m/version: the local header names the member 'n/version'",
    );
    check(|bytes| bytes[8] = 8, "m/data.pkl: method 8 in the local header, 0 in the directory");
    check(
        |bytes| bytes[7] ^= 8,
        "m/data.pkl: flags 0x0008 in the local header, 0x0808 in the directory",
    );
}

#[test]
fn directory_entries_that_no_writer_makes_are_found() {
    let entry = |bytes: &[u8]| position(bytes, b"PK\x01\x02");
    check(
        |bytes| {
            let at = entry(bytes);
            bytes[at + 5] = 3;
            bytes[at + 38..at + 42].copy_from_slice(&(0o120_777u32 << 16).to_le_bytes());
        },
        "m/data.pkl: the member is a link",
    );
    check(
        |bytes| {
            let at = entry(bytes);
            bytes[at + 38] = 0x10;
        },
        "m/data.pkl: a folder that has bytes",
    );
    check(
        |bytes| {
            let at = entry(bytes);
            bytes[at + 6] = 173;
        },
        "m/data.pkl: version 17.3 of zip is needed",
    );
    check(
        |bytes| {
            let at = entry(bytes);
            bytes[at + 34] = 1;
        },
        "m/data.pkl: the member is said to be in volume 1",
    );
    check(
        |bytes| {
            for signature in [&b"PK\x03\x04"[..], b"PK\x01\x02"] {
                let at = position(bytes, signature);
                let at = at + position(&bytes[at..], b"m/data.pkl");
                bytes[at + 9] = b'/';
            }
        },
        "m/data.pk/: a folder that has bytes",
    );
}

#[test]
fn end_records_that_readers_pass_over_are_found() {
    check(
        |bytes| {
            let last = bytes.len() - 2;
            bytes[last] = 9;
        },
        "byte 397: the comment of the archive ends beyond the file",
    );
    check(
        |bytes| {
            let at = position(bytes, b"PK\x06\x06");
            bytes[at + 4] = 45;
        },
        "byte 397: the zip64 end record does not end where its locator begins",
    );
    check(
        |bytes| {
            let at = position(bytes, b"PK\x06\x07");
            bytes[at + 16] = 2;
        },
        "byte 397: the zip64 locator speaks of several volumes",
    );
    check(
        |bytes| {
            let at = position(bytes, b"PK\x06\x07");
            bytes[at + 16] = 0;
        },
        "byte 397: the zip64 locator speaks of no volume",
    );
    check(
        |bytes| {
            let at = position(bytes, b"PK\x06\x07");
            bytes[at + 8] += 1;
        },
        "byte 397: the zip64 locator does not lead to a zip64 end record",
    );
    check(
        |bytes| {
            let at = position(bytes, b"PK\x06\x06");
            bytes[at + 24] = 1;
        },
        "byte 397: the end record speaks of several volumes",
    );
}

#[test]
fn bytes_between_members_are_gaps_and_no_fault() {
    let mut bytes = written(Writer::torch(64));
    bytes.extend(b"junk");
    assert_eq!(found(&bytes), (Vec::new(), 1));
}
