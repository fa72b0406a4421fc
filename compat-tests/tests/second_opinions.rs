//! Other Rust libraries on the files that they read: `npyz` on arrays of NumPy, `serde-pickle` on
//! pickles of plain values.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use compat_tests::{Tally, Zoo, oracle};
use npyz::{Deserialize, NpyFile, Order};
use serde_json::{Value, json};
use statedict_checkpoint::half::f16;
use statedict_checkpoint::ndarray::{Array, ArrayD};
use statedict_checkpoint::num_complex::Complex;
use statedict_checkpoint::{Checkpoint, Element, Existing, NewCheckpoint};
use statedict_core::{DType, TensorEntry};
use statedict_zip::Archive;
use zip::ZipArchive;

/// What `npyz` finds otherwise in the arrays of a file, and how many it can read.
fn problem(path: &Path) -> (usize, Option<String>) {
    let checkpoint = Checkpoint::open(path).expect("opens");
    let mut archive = ZipArchive::new(File::open(path).expect("readable")).expect("an archive");
    let mut read = 0;
    for entry in &checkpoint.catalog().rows {
        let mut bytes = Vec::new();
        let member = archive.by_name(&format!("{}.npy", entry.key));
        member.expect("a member").read_to_end(&mut bytes).expect("whole");
        let same = match &entry.tensor.dtype {
            DType::F64 => same::<f64>(&checkpoint, entry, &bytes),
            DType::F32 => same::<f32>(&checkpoint, entry, &bytes),
            DType::F16 => same::<f16>(&checkpoint, entry, &bytes),
            DType::I64 => same::<i64>(&checkpoint, entry, &bytes),
            DType::I32 => same::<i32>(&checkpoint, entry, &bytes),
            DType::I16 => same::<i16>(&checkpoint, entry, &bytes),
            DType::I8 => same::<i8>(&checkpoint, entry, &bytes),
            DType::U64 => same::<u64>(&checkpoint, entry, &bytes),
            DType::U32 => same::<u32>(&checkpoint, entry, &bytes),
            DType::U16 => same::<u16>(&checkpoint, entry, &bytes),
            DType::U8 => same::<u8>(&checkpoint, entry, &bytes),
            DType::Bool => same::<bool>(&checkpoint, entry, &bytes),
            DType::C64 => same::<Complex<f32>>(&checkpoint, entry, &bytes),
            DType::C128 => same::<Complex<f64>>(&checkpoint, entry, &bytes),
            _ => None,
        };
        match same {
            Some(false) => return (read, Some(format!("{} has other elements", entry.key))),
            Some(true) => read += 1,
            None => {}
        }
    }
    (read, None)
}

/// True if `npyz` reads the same array; none if it does not read this one.
fn same<T: Element + Deserialize + PartialEq>(
    checkpoint: &Checkpoint,
    entry: &TensorEntry,
    member: &[u8],
) -> Option<bool> {
    let npy = NpyFile::new(member).ok()?;
    let (shape, order) = (npy.shape().to_vec(), npy.order());
    let theirs: Vec<T> = npy.into_vec().ok()?;
    let ours: ArrayD<T> = checkpoint.array(entry).expect("read");
    let elements: Vec<T> = match order {
        Order::C => ours.iter().copied().collect(),
        Order::Fortran => ours.t().iter().copied().collect(),
    };
    Some(shape == entry.tensor.shape && elements == theirs)
}

#[test]
fn npyz_reads_the_same_from_what_numpy_wrote() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    let mut arrays = 0;
    for entry in zoo.entries.iter().filter(|entry| entry.extension() == "npz") {
        let (read, problem) = problem(&entry.path);
        arrays += read;
        tally.note(&entry.name, problem);
    }
    tally.close("files read alike");
    assert!(arrays > 50, "{arrays} arrays were read by both");
}

#[test]
fn npyz_reads_every_array_that_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.npz");
    let numbers = Array::from_iter((0..24).map(|i| i as f32 / 3.0));
    let numbers = numbers.into_shape_with_order((2, 3, 4)).expect("24");
    let mut new = NewCheckpoint::new();
    new.tensor("f32", &numbers).tensor("turned", numbers.t());
    new.tensor("f16", numbers.mapv(f16::from_f32)).tensor("f64", numbers.mapv(f64::from));
    new.tensor("c64", numbers.mapv(|re| Complex { re, im: -re }));
    new.tensor("c128", numbers.mapv(|re| Complex { re: f64::from(re), im: 1.0 }));
    new.tensor("i64", numbers.mapv(|it| -it as i64)).tensor("u64", numbers.mapv(|it| it as u64));
    new.tensor("i32", numbers.mapv(|it| -it as i32)).tensor("u32", numbers.mapv(|it| it as u32));
    new.tensor("i16", numbers.mapv(|it| -it as i16)).tensor("u16", numbers.mapv(|it| it as u16));
    new.tensor("i8", numbers.mapv(|it| -it as i8)).tensor("u8", numbers.mapv(|it| it as u8));
    new.tensor("bool", numbers.mapv(|it| it > 3.0));
    new.tensor("number", Array::from_elem((), 7i32)).tensor("none", Array::<f32, _>::zeros((0, 3)));
    new.save(&path, Existing::Refuse).expect("written");
    assert_eq!(problem(&path), (17, None));
}

/// Random plain values, some nested in others, each in a file of its own.
///
/// No list or dict is in two places: `serde-pickle` calls that a recursive structure.
const RANDOM: &str = "
import os, random
dice = random.Random(0)
def value(depth):
    kind = dice.randrange(9 if depth else 6)
    if kind == 0: return None
    if kind == 1: return dice.random() < 0.5
    if kind == 2: return dice.choice([0, -1, 255, 256, 65536, -2**31, 2**31, 2**63 - 1, -2**63, dice.randrange(-9**9, 9**9)])
    if kind == 3: return dice.choice([0.5, -1e300, 1e-300, dice.random()])
    if kind in (4, 5): return ''.join(dice.choice('aä模 \\n\\'\\\\0') for _ in range(dice.randrange(9)))
    values = [value(depth - 1) for _ in range(dice.randrange(6))]
    if kind == 6: return values
    if kind == 7: return tuple(values)
    return {f'k{i}.{dice.randrange(99)}': child for i, child in enumerate(values)}
for number in range(200):
    torch.save({'a': value(4), 'b': value(2), 'c': [value(1), value(3)]}, os.path.join(os.path.dirname(out), f'{number}.pth'), pickle_protocol=2 + number % 4)
";

/// The bytes of the pickle in an archive of PyTorch's.
fn pickle(file: &[u8], stem: &str) -> Vec<u8> {
    let archive = Archive::open(&file).expect("sound").expect("an archive");
    let entry = archive.find(&format!("{stem}/data.pkl")).expect("a pickle");
    let place = entry.locate(&file).expect("in the file").data;
    let within =
        usize::try_from(place.start).expect("fits")..usize::try_from(place.end).expect("fits");
    file[within].to_vec()
}

#[test]
fn serde_pickle_reads_the_same_plain_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("none");
    oracle(json!({ "do": "script", "script": RANDOM, "out": out }));
    let mut tally = Tally::new();
    for number in 0..200 {
        let path = folder.path().join(format!("{number}.pth"));
        let pickle = pickle(&fs::read(&path).expect("readable"), &number.to_string());
        let theirs: Value = serde_pickle::from_slice(&pickle, Default::default()).expect("plain");
        let ours = Checkpoint::open(&path).and_then(|it| it.payload_as::<Value>());
        let problem = match ours {
            Ok(ours) if ours == theirs => None,
            Ok(ours) => Some(format!("{ours} and {theirs}")),
            Err(error) => Some(error.to_string()),
        };
        tally.note(number.to_string(), problem);
    }
    tally.close("pickles of plain values read alike");
}
