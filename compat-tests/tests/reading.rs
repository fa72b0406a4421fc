//! Elements read by the library are those that PyTorch, NumPy and safetensors load.

use std::env;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use compat_tests::{Tally, Zoo, oracle, text};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use statedict_checkpoint::half::{bf16, f16};
use statedict_checkpoint::num_complex::Complex;
use statedict_checkpoint::{Checkpoint, Error};
use statedict_core::{DType, TensorEntry};

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is wrong with a file, if something is; `truth` is what its own library loads.
fn problem(path: &Path, truth: &Value) -> Option<String> {
    let checkpoint = match Checkpoint::open(path) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Some(error.to_string()),
    };
    let truth = truth.as_array().expect("a list of tensors");
    let rows = &checkpoint.catalog().rows;
    if rows.len() != truth.len() {
        return Some(format!("{} tensors, expected {}", rows.len(), truth.len()));
    }
    let is_named = |expected: &Value, row: &TensorEntry| {
        *text(&expected["at"]) == *row.path && text(&expected["key"]) == row.key.as_str()
    };
    rows.iter().enumerate().find_map(|(i, row)| {
        // A header of safetensors has an order that its own library does not keep.
        let sorted = || truth.iter().find(|expected| is_named(expected, row));
        let expected = if path.extension().is_some_and(|it| it == "safetensors") {
            sorted()?
        } else {
            &truth[i]
        };
        let wrong = wrong(&checkpoint, row, expected)?;
        Some(format!("{}: {wrong}", row.full_path()))
    })
}

fn wrong(checkpoint: &Checkpoint, row: &TensorEntry, expected: &Value) -> Option<String> {
    let read = checkpoint.read(row);
    let Some(hash) = expected["sha256"].as_str() else {
        // Arrays of NumPy's that have a type of their own are read as what they are.
        let is_named = |error: &Error| error.tensor() == Some(&row.full_path());
        return match read {
            Err(error) if is_named(&error) => None,
            Err(error) => Some(format!("the error does not name it: {error}")),
            Ok(_) if expected["dtype"] == "other" => None,
            Ok(_) => Some("no plain elements were expected".into()),
        };
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => return Some(error.to_string()),
    };
    let mut buffer = vec![0xAA; bytes.len()];
    let filled = checkpoint.read_into(row, &mut buffer);
    let checks = [
        ("read", hex(&bytes) == hash || expected["dtype"] == "other"),
        ("read_into", filled.is_ok() && buffer == bytes),
        ("array", array(checkpoint, row).is_none_or(|array| array.ok() == Some(bytes.clone()))),
        ("stored", stored(checkpoint, row).is_none_or(|stored| stored == bytes)),
        ("slice", halves(checkpoint, row).is_none_or(|halves| halves.ok() == Some(bytes.clone()))),
    ];
    checks.iter().find(|(_, good)| !good).map(|(what, _)| format!("{what} gives other elements"))
}

/// The bytes of a tensor's array, if there is a Rust type for its elements.
fn array(checkpoint: &Checkpoint, row: &TensorEntry) -> Option<Result<Vec<u8>, Error>> {
    macro_rules! bytes {
        ($number:ty) => {
            checkpoint.array::<$number>(row).map(|array| {
                assert!(array.shape().iter().map(|size| *size as u64).eq(row.tensor.shape.clone()));
                array.iter().flat_map(|number| number.to_le_bytes()).collect()
            })
        };
        (complex $part:ty) => {
            checkpoint.array::<Complex<$part>>(row).map(|array| {
                let parts = array.iter().flat_map(|number| [number.re, number.im]);
                parts.flat_map(|part| part.to_le_bytes()).collect()
            })
        };
    }
    Some(match &row.tensor.dtype {
        DType::F64 => bytes!(f64),
        DType::F32 => bytes!(f32),
        DType::F16 => bytes!(f16),
        DType::Bf16 => bytes!(bf16),
        DType::I64 => bytes!(i64),
        DType::I32 => bytes!(i32),
        DType::I16 => bytes!(i16),
        DType::I8 => bytes!(i8),
        DType::U64 => bytes!(u64),
        DType::U32 => bytes!(u32),
        DType::U16 => bytes!(u16),
        DType::U8 => bytes!(u8),
        DType::C64 => bytes!(complex f32),
        DType::C128 => bytes!(complex f64),
        DType::Bool => {
            let array = checkpoint.array::<bool>(row);
            array.map(|array| array.iter().map(|flag| u8::from(*flag)).collect())
        }
        _ => return None,
    })
}

/// The bytes of the file where the elements are said to be as they are.
fn stored(checkpoint: &Checkpoint, row: &TensorEntry) -> Option<Vec<u8>> {
    let stored = checkpoint.stored(row).expect("it was read")?;
    let mut file = stored.file.try_clone().expect("a handle");
    file.seek(SeekFrom::Start(stored.range.start)).expect("within");
    let mut bytes = vec![0; usize::try_from(stored.range.end - stored.range.start).expect("fits")];
    file.read_exact(&mut bytes).expect("within");
    Some(bytes)
}

/// The bytes of both halves of a tensor's rows.
fn halves(checkpoint: &Checkpoint, row: &TensorEntry) -> Option<Result<Vec<u8>, Error>> {
    let size = *row.tensor.shape.first()?;
    let part = |range: Range<u64>| checkpoint.read(&checkpoint.slice(row, 0, range)?);
    let both = part(0..size / 2).and_then(|first| Ok([first, part(size / 2..size)?].concat()));
    Some(both)
}

#[test]
fn every_tensor_of_generated_files_is_read_as_its_own_library_loads_it() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for entry in &zoo.entries {
        let truth = oracle(json!({ "do": "truth", "file": entry.path }));
        tally.note(&entry.name, problem(&entry.path, &truth));
    }
    tally.close("files read as loaded");
}

#[test]
fn shards_are_read_as_one_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sharded");
    let mut truth = Vec::new();
    for shard in ["1.safetensors", "2.safetensors"] {
        let rows = oracle(json!({ "do": "truth", "file": folder.join(shard) }));
        truth.extend(rows.as_array().expect("a list of tensors").clone());
    }
    let checkpoint = Checkpoint::open(&folder).expect("opens");
    assert_eq!(checkpoint.catalog().rows.len(), truth.len());
    for expected in &truth {
        let key = text(&expected["key"]);
        let row = checkpoint.catalog().rows.iter().find(|row| row.key.as_str() == key);
        assert_eq!(wrong(&checkpoint, row.expect("listed"), expected), None, "{key}");
    }
}

#[test]
fn old_and_packed_files_are_read_as_pytorch_loads_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut tally = Tally::new();
    for name in ["legacy.pth", "deflated.pth", "deflated.npz", "module.pth", "scripted.pt"] {
        let path = folder.join(name);
        let truth = oracle(json!({ "do": "truth", "file": path }));
        tally.note(name, problem(&path, &truth));
    }
    tally.close("fixtures read as loaded");
}

#[test]
fn every_tensor_of_real_files_is_read_as_its_own_library_loads_it() {
    let Some(folder) = env::var_os("STATEDICT_CORPUS").filter(|folder| !folder.is_empty()) else {
        println!("skipped: STATEDICT_CORPUS names no folder");
        return;
    };
    let corpus = Path::new(&folder).join("corpus");
    let truth = fs::read_to_string(corpus.join("truth.jsonl")).expect("the truth can be read");
    let mut tally = Tally::new();
    for line in truth.lines() {
        let line: Value = serde_json::from_str(line).expect("a JSON document a line");
        if line.get("error").is_none() {
            let file = text(&line["file"]);
            tally.note(&file, problem(&corpus.join(&file), &line["tensors"]));
        }
    }
    tally.close("real files read as loaded");
}

#[test]
fn arrays_are_cast_as_pytorch_casts() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, out) = (folder.path().join("a.pth"), folder.path().join("cast"));
    let script = "\
names = 'float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 float8_e5m2fnuz'.split()
numbers = [0.0, -0.0, 1.0, 1 + 2**-11 + 2**-40, 400.0, 1e-8, 3.5, 0.1]
tensors = {name: torch.tensor(numbers).double().to(getattr(torch, name)) for name in names}
torch.save(tensors, out)
with open(out.replace('a.pth', 'cast'), 'wb') as file:
    for to in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        for tensor in tensors.values():
            file.write(tensor.to(to).view(torch.uint8).numpy().tobytes())
";
    oracle(json!({ "do": "script", "script": script, "out": file }));
    let checkpoint = Checkpoint::open(&file).expect("opens");
    let mut found = Vec::new();
    macro_rules! cast {
        ($($number:ty)*) => {$(
            for row in &checkpoint.catalog().rows {
                let array = checkpoint.array_as::<$number>(row).expect("cast");
                found.extend(array.iter().flat_map(|number| number.to_le_bytes()));
            }
        )*};
    }
    cast!(f32 f16 bf16 f64);
    assert_eq!(found, fs::read(out).expect("written"));
}

#[test]
fn reading_takes_little_more_memory_than_what_is_read() {
    const LEN: u64 = 24 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("a.pth");
    let script = "\
table = torch.arange(24 * 2**18).float().reshape(3072, 2048)
torch.save({'whole': table, 'turned': table.t(), 'stepped': table.repeat(2, 2)[::2, ::2]}, out)";
    oracle(json!({ "do": "script", "script": script, "out": out }));
    let checkpoint = Checkpoint::open(&out).expect("opens");
    for (name, beside) in [("whole", 4 << 20), ("turned", 40 << 20), ("stepped", 40 << 20)] {
        let taken = allocation_counter::measure(|| {
            let array = checkpoint.array::<f32>(name).expect("read");
            assert_eq!(array.len() as u64 * 4, LEN);
        });
        assert!(taken.bytes_max < LEN + beside, "{name} takes {} MiB", taken.bytes_max >> 20);
    }
}
