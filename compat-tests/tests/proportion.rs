//! Files of a megabyte or two that would take gigabytes or hours of a reader that trusts them.
//!
//! Each is opened, listed and shown, or refused, in memory and time in proportion to its length.

use std::fmt::Write as _;
use std::time::Duration;

use compat_tests::{Trial, archive, npz, processor_time, safetensors, trial};
use statedict_checkpoint::FORMATS;
use statedict_core::{Container, Fault, Format};

/// The most memory that a file may take, as a multiple of its length; the allocator counts a
/// vector that grows twice, which the system does not.
const GROWTH: usize = 144;

/// What a file may take whatever its length, in bytes.
const SMALL: usize = 128 << 20;

/// The longest that a file may take of the processor, unoptimised.
const TIME: Duration = Duration::from_secs(20);

/// How often the part of a pickle is repeated that is to take too much.
const MANY: usize = 1 << 18;

/// The opcodes of a tensor of one number of the first storage, memoized as 0.
const TENSOR: &[u8] =
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n\
    X\x01\0\0\x000X\x03\0\0\0cpuK\x02tQK\0K\x01\x85K\x01\x85\x89)tRq\0";

/// Opens a file and looks at its payload within the bounds.
fn within_bounds(name: &str, bytes: &[u8]) -> Result<Option<Box<dyn Container>>, Fault> {
    let (start, mut outcome) = (processor_time(), Ok(None));
    let taken = allocation_counter::measure(|| {
        outcome = opened(bytes);
        if let Ok(Some(file)) = &outcome {
            let _ = file.payload();
        }
    });
    let (found, limit) = (taken.bytes_max as usize, bytes.len() * GROWTH + SMALL);
    let time = processor_time() - start;
    println!("{name}: {} bytes take {} MiB and {time:?}", bytes.len(), found >> 20);
    assert!(found <= limit, "{name}: {} bytes take {} MiB", bytes.len(), found >> 20);
    assert!(time < TIME, "{name} takes {time:?}");
    outcome
}

fn opened(bytes: &[u8]) -> Result<Option<Box<dyn Container>>, Fault> {
    for &format in FORMATS {
        if let Some(file) = Format::open(format, &bytes)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The pickle is read, whatever is found in it.
fn read(name: &str, parts: &[&[u8]]) {
    let outcome = within_bounds(name, &archive(&parts.concat()));
    assert!(matches!(outcome, Ok(Some(_))), "{name}: {:?}", outcome.err());
}

/// The pickle is refused, and the message says which limit.
fn refused(name: &str, parts: &[&[u8]], limit: &str) {
    let fault = within_bounds(name, &archive(&parts.concat())).err().expect(name).to_string();
    assert!(fault.contains(limit), "{name}: {fault}");
}

fn many(part: &[u8]) -> Vec<u8> {
    part.repeat(MANY)
}

/// A text of many bytes, put into the memo as 1 and taken from the stack again.
fn long_text() -> Vec<u8> {
    [b"X", &(MANY as u32).to_le_bytes()[..], &many(b"x"), b"q\x010"].concat()
}

#[test]
fn containers_without_end_are_refused() {
    let limit = "more memory than the reader's limit";
    refused("empty lists", &[&many(b"]]]]]]]]"), b"."], limit);
    refused("empty dicts", &[&many(b"}}}}}}}}"), b"."], limit);
    read("marks", &[b"N", &many(b"(1(1"), b"."]);
    read("empty tuples", &[&many(b"))"), b"."]);
    read("memoized lists", &[b"](", &many(b"]\x94")[..MANY], b"e."]);
    read("short lists", &[b"](", &many(b"]K\x01a")[..2 * MANY], b"e."]);
    read("small numbers", &[b"](", &many(b"K\x01K\x02")[..2 * MANY], b"e."]);
    read("a dict of small numbers", &[b"}(", &many(b"K\x01K\x02")[..2 * MANY], b"u."]);
    read("one value under many ids", &[b"N", &many(b"\x94\x94"), b"."]);
}

#[test]
fn depth_is_not_dangerous() {
    let limit = "nest deeper than 128";
    refused("lists", &[&many(b"]"), &many(b"a")[1..], b"."], limit);
    refused("tuples", &[b")", &many(b"\x85"), b"."], limit);
    refused("dicts", &[&many(b"}K\x01"), b"N", &many(b"s"), b"."], limit);
    read("calls", &[b"cm\nn\n)R", &many(b")\x81"), b"."]);
    read("states", &[b"cm\nn\n)R", &many(b"Nb"), b"."]);
    read("states of states", &[&many(b"]"), &many(b"b")[1..], b"."]);
    read("sets", &[&many(b"(")[1..], b"(N\x91", &many(b"\x91")[1..], b"."]);
    let json = format!(r#"{{"w":{{"x":{}1{}}}}}"#, "[".repeat(MANY), "]".repeat(MANY));
    assert!(within_bounds("json", &safetensors(&json, &[])).is_err());
}

#[test]
fn what_is_shared_is_not_multiplied() {
    let limit = "the reader's limit for a file of this length";
    let doubled: Vec<u8> =
        (2..60u8).flat_map(|i| [b']', b'q', i, b'(', b'h', i - 1, b'h', i - 1, b'e']).collect();
    refused("lists of two of the one before", &[b"]q\x01", &doubled, b"."], limit);
    refused("one tensor in many places", &[b"](", TENSOR, &many(b"h\0"), b"e."], limit);
    read("a long text many times", &[&long_text(), b"](", &many(b"h\x01"), b"e."]);
    refused("a long key many times", &[&long_text(), b"}(", &many(b"h\x01h\x01"), b"u."], limit);
    refused(
        "a long path to many tensors",
        &[&long_text(), b"}h\x01](", TENSOR, &many(b"h\0"), b"es."],
        limit,
    );
    let tuples: Vec<u8> = (2..6u8)
        .flat_map(|i| [b"(", [b'h', i - 1].repeat(1000).as_slice(), b"tq", &[i]].concat())
        .collect();
    refused("a key of tuples of tuples", &[b"Nq\x01", &tuples, b"}h\x05Ns."], limit);
    let own = [b"}q\x01(", &many(b"h\x01h\x01")[..2 * MANY], b"u."].concat();
    read("a dict of itself", &[&own]);
    let repeated = [b"}(", &many(b"NN")[..], b"uq\x01"].concat();
    refused("one key many times", &[&repeated, b"0](", &many(b"h\x01"), b"e."], limit);
    let list = [b"](", &many(b"N")[..], b"eq\x010"].concat();
    let ordered = b"ccollections\nOrderedDict\nq\x02h\x01\x85q\x030";
    refused("dicts of one list", &[&list, ordered, b"](", &many(b"h\x02h\x03R"), b"e."], limit);
}

#[test]
fn modules_and_their_metadata_are_not_multiplied() {
    let limit = "the reader's limit for a file of this length";
    let names: Vec<u8> = (0..MANY as u32 / 4)
        .flat_map(|i| [b"X\x04\0\0\0", &format!("{i:04x}").as_bytes()[..4], b"N"].concat())
        .collect();
    let module = [
        b"cm\nn\n)R}(X\x0b\0\0\0_parametersq\x02}(".as_slice(),
        &names,
        b"uX\x08\0\0\0_modules}ubq\x010",
    ];
    refused("one module many times", &[&module.concat(), b"](", &many(b"h\x01"), b"e."], limit);
    let metadata = [b"}X\x09\0\0\0_metadata}(".as_slice(), &names, b"usq\x010"].concat();
    let dicts = b"ccollections\nOrderedDict\n)RX\x01\0\0\0wh\0sh\x01b".repeat(1 << 12);
    refused("one metadata many times", &[TENSOR, b"0", &metadata, b"](", &dicts, b"e."], limit);
    let sparse = b"ctorch._utils\n_rebuild_sparse_tensor\nctorch\nsparse_coo\nq\x02(h\0h\0K\x01\x85t\x86Rq\0".repeat(1 << 12);
    refused("sparse tensors of each other", &[TENSOR, &sparse, b"."], "not plain tensors");
}

#[test]
fn names_and_storage_keys_have_a_length() {
    let name = [b"c", &many(b"m")[..], b"\nn\n."].concat();
    refused("a long class name", &[&name], "a name of over 1024 bytes");
    let id = [b"(X\x07\0\0\0storagectorch\nFloatStorage\n", &b"h\x01X\x03\0\0\0cpuK\x02tq\x02"[..]];
    refused(
        "a long storage key",
        &[&long_text(), &id.concat(), b"0](", &many(b"h\x02Q"), b"e."],
        "a storage's key is longer than 1024 bytes",
    );
}

#[test]
fn headers_of_one_kind_of_thing_are_read_in_proportion() {
    let dimensions = "1,".repeat(2 * MANY);
    let shape = format!(r#"{{"w":{{"dtype":"U8","shape":[{dimensions}1],"data_offsets":[0,1]}}}}"#);
    assert!(within_bounds("a shape", &safetensors(&shape, &[7])).is_ok());
    let mut pairs = String::new();
    for i in 0..MANY / 2 {
        write!(pairs, r#""{i:x}":"","#).expect("strings take all");
    }
    let metadata = format!(r#"{{"__metadata__":{{{}}}}}"#, pairs.trim_end_matches(','));
    assert!(within_bounds("metadata", &safetensors(&metadata, &[])).is_ok());
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({dimensions}), }}");
    let length = (header.len() as u32).to_le_bytes();
    let member = [b"\x93NUMPY\x02\0", &length[..], header.as_bytes(), &[0; 4]].concat();
    let fault = within_bounds("an npy header", &npz(&member)).err().expect("refused").to_string();
    assert!(fault.contains("over 1048576"), "{fault}");
}

#[test]
fn a_hundred_thousand_tensors_are_renamed() {
    let mut entries = Vec::new();
    for i in 0..100_000u32 {
        let key = format!("module.layers.{i}.weight");
        entries.extend(b"X");
        entries.extend((key.len() as u32).to_le_bytes());
        entries.extend(key.as_bytes());
        entries.extend(TENSOR);
    }
    let file = archive(&[b"}(", &entries[..], b"u."].concat());
    let outcome = within_bounds("100000 tensors", &file);
    let file = outcome.expect("sound").expect("an archive");
    assert_eq!(file.catalog().rows.len(), 100_000);
    assert_eq!(trial(&archive(b"}.")), Trial::Listed);
}
