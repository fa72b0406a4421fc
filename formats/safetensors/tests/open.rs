//! What is opened, what is refused, and what is left to other formats.

mod files;

use files::file;
use statedict_core::Format;
use statedict_safetensors::SAFETENSORS;

fn check(file: &[u8], expected: &str) {
    let found = match SAFETENSORS.open(&file) {
        Ok(Some(container)) => {
            let rows = container.catalog().rows.iter();
            rows.map(|row| format!("{} {} ", row.key, row.tensor.dtype)).collect()
        }
        Ok(None) => "another format".to_string(),
        Err(fault) => fault.to_string(),
    };
    assert_eq!(found, expected);
}

#[test]
fn tensors_are_listed_in_header_order() {
    let header = concat!(
        r#"{"b":{"dtype":"BF16","shape":[1],"data_offsets":[1,3]},"#,
        r#""a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}"#
    );
    check(&file(header, &[1, 2, 3]), "b BF16 a F8_E4M3 ");
    check(&file(&format!(" \n{header}   "), &[1, 2, 3]), "b BF16 a F8_E4M3 ");
    check(&file("{}", &[]), "");
}

#[test]
fn other_bytes_are_left_to_other_formats() {
    check(b"", "another format");
    check(b"\x02\0\0\0\0\0\0\0", "another format");
    check(&[0; 24], "another format");
    check(&file("[]", &[]), "another format");
    check(br#"{"data":{"a":1}}"#, "another format");
    check(b"PK\x03\x04\0\0\x08\x08\0\0\0\0", "another format");
}

#[test]
fn a_length_beyond_the_file_is_named() {
    let mut file = 9_000_000_000u64.to_le_bytes().to_vec();
    file.resize(512, b' ');
    file[8] = b'{';
    check(&file, "at byte 0: header length 9000000000 exceeds the file's 512 bytes");
}

#[test]
fn a_duplicate_key_is_refused() {
    let entry = r#"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
    check(
        &file(&format!(r#"{{"w":{entry},"\u0077":{entry}}}"#), &[]),
        "at byte 61: key 'w' occurs twice",
    );
}

#[test]
fn text_that_is_none_is_named() {
    check(
        &file("{\"\u{0}\":1}", &[]),
        "at byte 9: the header: control character (\\u0000-\\u001F) found while parsing a string",
    );
    let mut bytes = file("{\"x\":{}}", &[]);
    bytes[10] = 0xFF;
    check(&bytes, "at byte 10: the header is not UTF-8");
}

#[test]
fn every_prefix_of_a_file_fails_politely() {
    let whole = file(r#"{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, b"data");
    for len in 0..whole.len() {
        assert!(!matches!(SAFETENSORS.open(&&whole[..len]), Ok(Some(_))), "{len} bytes");
    }
}

#[test]
fn no_changed_byte_makes_it_panic() {
    let whole = file(r#"{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, b"data");
    for at in 0..whole.len() {
        for byte in 0..=255 {
            let mut changed = whole.clone();
            changed[at] = byte;
            if let Ok(Some(container)) = SAFETENSORS.open(&changed.as_slice()) {
                assert_eq!(container.catalog().rows.len(), 1);
            }
        }
    }
}
