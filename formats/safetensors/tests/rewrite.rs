//! What renaming and dropping make of a header's text and data.

mod files;

use files::{built, file, header_of, renamed};
use statedict_core::{Format, Headroom, Part, Plan};
use statedict_safetensors::SAFETENSORS;

/// A header, the rules, and the header that must come out.
fn check(header: &str, rules: &[&str], expected: &str) {
    let old = file(header, b"abcdefgh");
    let new = renamed(&old, rules).expect("a rewrite");
    assert_eq!(header_of(&new).trim_end_matches(' '), expected);
    assert!((new.len() - data_of(&new).len()).is_multiple_of(8));
    SAFETENSORS.open(&new.as_slice()).expect("sound").expect("safetensors");
}

fn data_of(file: &[u8]) -> &[u8] {
    &file[8 + header_of(file).len()..]
}

const TWO: &str = concat!(
    r#"{"m.b":{"dtype":"U8","shape":[3],"data_offsets":[5,8]} , "__metadata__":{"z":"1","a":"m.b"},"#,
    r#" "m.\u0061" : { "x": 1.50, "shape":[5],"dtype":"U8", "data_offsets":[ 0,5 ]} }"#
);

#[test]
fn a_rename_changes_the_keys_and_nothing_else() {
    check(
        r#"{"m.b":{"dtype":"U8","shape":[3],"data_offsets":[5,8]},"m.\u0061":{"y":1.50,"shape":[5],"dtype":"U8", "data_offsets":[0,5 ]}}"#,
        &["table:m.b -> x\ty"],
        r#"{"x\ty":{"dtype":"U8","shape":[3],"data_offsets":[5,8]},"m.\u0061":{"y":1.50,"shape":[5],"dtype":"U8", "data_offsets":[0,5 ]}}"#,
    );
    let old = file(TWO, b"abcdefgh");
    assert_eq!(data_of(&renamed(&old, &["strip:m"]).expect("a rewrite")), b"abcdefgh");
}

#[test]
fn dropping_moves_the_data_that_follows() {
    check(
        TWO,
        &["drop:m.a"],
        r#"{"m.b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]} , "__metadata__":{"z":"1","a":"m.b"} }"#,
    );
    check(
        TWO,
        &["drop:m.b"],
        r#"{"__metadata__":{"z":"1","a":"m.b"}, "m.\u0061" : { "x": 1.50, "shape":[5],"dtype":"U8", "data_offsets":[ 0,5 ]} }"#,
    );
    check(TWO, &["drop:**"], r#"{"__metadata__":{"z":"1","a":"m.b"} }"#);
    let old = file(TWO, b"abcdefgh");
    assert_eq!(data_of(&renamed(&old, &["drop:m.a"]).expect("a rewrite")), b"fgh");
    assert_eq!(data_of(&renamed(&old, &["drop:m.b"]).expect("a rewrite")), b"abcde");
}

#[test]
fn entries_in_front_behind_and_between_can_go() {
    let entry = |key: &str, at: u64| {
        format!(r#""{key}":{{"dtype":"U8","shape":[2],"data_offsets":[{at},{}]}}"#, at + 2)
    };
    let header = |keys: &[(&str, u64)]| {
        let entries: Vec<_> = keys.iter().map(|(key, at)| entry(key, *at)).collect();
        format!("{{{}}}", entries.join(","))
    };
    let four = header(&[("a", 0), ("b", 2), ("c", 4), ("d", 6)]);
    let case = |rule: &str, left: &[(&str, u64)]| check(&four, &[rule], &header(left));
    case("drop:a b", &[("c", 0), ("d", 2)]);
    case("drop:c d", &[("a", 0), ("b", 2)]);
    case("drop:b c", &[("a", 0), ("d", 2)]);
    case("drop:a c", &[("b", 0), ("d", 2)]);
    case("drop:b d", &[("a", 0), ("c", 2)]);
}

#[test]
fn a_recorded_tie_follows_its_tensor() {
    let header = |alias: &str, key: &str| {
        format!(
            r#"{{"__metadata__":{{"format":"pt","{alias}":"{key}"}},"{key}":{{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}}}"#
        )
    };
    let case = |old: (&str, &str), rule: &str, new: (&str, &str)| {
        check(&header(old.0, old.1), &[rule], &header(new.0, new.1));
    };
    case(("module.head", "module.embed"), "strip:module", ("head", "embed"));
    case(("head", "embed"), "add:module", ("module.head", "module.embed"));
    case(("head", "module.embed"), "strip:module", ("head", "embed"));
}

#[test]
fn no_change_is_one_copy_of_the_file() {
    let old = file(TWO, b"abcdefgh");
    let container = SAFETENSORS.open(&old.as_slice()).expect("sound").expect("safetensors");
    let layout = container.rewrite(&Plan::default(), Headroom::Usual).expect("a rewrite");
    assert!(matches!(layout.parts(), [Part::Copy(all)] if *all == (0..old.len() as u64)));
    assert_eq!(built(&layout, &old), old);
}

#[test]
fn a_tensor_cannot_be_named_metadata() {
    let old = file(r#"{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, b"");
    let message = renamed(&old, &["rename:w -> __metadata__"]).expect_err("refused");
    assert_eq!(
        message,
        "tensor 'w' cannot become '__metadata__': safetensors keeps that name for itself"
    );
}
