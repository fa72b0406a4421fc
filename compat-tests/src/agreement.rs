//! `check` and `ls` held against the model of weights-only loading, in memory.

use std::path::Path;
use std::sync::LazyLock;

use statedict_checkpoint::{FORMATS, check_source_named};
use statedict_core::{Catalog, Data, Finding, Format, Location, TensorEntry, Verdict};
use statedict_pth::{Loader, Scan, Trust, scan};
use statedict_zip::{Archive, Writer};

use crate::restricted::{Found, Outcome, load};
use crate::trial::written;

/// The storages of the archive around a pickle.
const STORAGES: [&[u8]; 2] = [b"abcdefgh", b"ABCDEFGHIJKLMNOP"];

/// Where in the archive each storage begins, which the pickle behind them does not change.
static STARTS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let file = around(b"N.");
    let archive = Archive::open(&file.as_slice()).ok().flatten().expect("an archive");
    let start = |number: usize| {
        let entry = archive.find(&format!("a/data/{number}")).expect("a storage");
        entry.locate(&file.as_slice()).expect("in the file").data.start
    };
    (0..STORAGES.len()).map(start).collect()
});

/// A PyTorch archive around a pickle, with storages of 8 and 16 bytes.
fn around(pickle: &[u8]) -> Vec<u8> {
    let mut writer = Writer::torch(1);
    writer.bytes("a/byteorder", b"little".to_vec());
    writer.bytes("a/version", b"3\n".to_vec());
    for (number, storage) in STORAGES.iter().enumerate() {
        writer.bytes(&format!("a/data/{number}"), storage.to_vec());
    }
    writer.bytes("a/data.pkl", pickle.to_vec());
    written(&writer.finish(), &[])
}

/// Holds `check` and `ls` against what weights-only loading makes of a pickle.
///
/// - What it refuses, or raises for, is not safe without a note.
/// - What it loads has nothing dangerous or unknown in it.
/// - What it loads is listed so, or refused.
///
/// # Panics
/// If one of these does not hold.
pub fn agree(pickle: &[u8]) {
    let file = around(pickle);
    let lens = STORAGES.map(|storage| storage.len() as u64);
    let outcome = load(pickle, &lens);
    let checked = check_source_named(&file.as_slice(), Path::new("a.pth")).expect("at hand");
    let verdict = checked.verdict();
    match &outcome {
        Outcome::Refused(why) | Outcome::Failed(why) => {
            let is_safe = verdict == Verdict::Safe && checked.notes.is_empty();
            assert!(!is_safe, "safe, where weights-only loading says: {why}");
        }
        Outcome::Loaded(Some(found)) => {
            let harm = checked.findings.iter().find(|finding| !is_harmless(finding));
            assert!(harm.is_none(), "{verdict} and loaded: {:?}", checked.findings);
            if let Some(listed) = listed(&file) {
                assert_eq!(listed, *found, "listed and loaded");
            }
        }
        Outcome::Unsupported(opcode) => {
            let is_safe = verdict == Verdict::Safe && checked.notes.is_empty();
            assert!(!is_safe, "safe, where weights-only loading does not know {opcode:#04x}");
        }
        Outcome::Loaded(None) => {}
    }
}

/// Holds what `check` finds in a bare pickle against what weights-only loading makes of it.
///
/// - Where it refuses a global, an operation or an opcode, something is found.
/// - What it loads has nothing dangerous or unknown in it.
///
/// # Panics
/// If one of these does not hold.
pub fn agree_on_pickle(pickle: &[u8]) {
    let lens = STORAGES.map(|storage| storage.len() as u64);
    let outcome = load(pickle, &lens);
    let found = scan(&pickle, 0..pickle.len() as u64, Trust::Pickle, Loader::Python);
    let found = found.expect("at hand");
    match outcome {
        Outcome::Refused(why) => assert!(!is_clean(&found), "clean, and refused: {why}"),
        Outcome::Unsupported(opcode) => assert!(!is_clean(&found), "clean with {opcode:#04x}"),
        Outcome::Loaded(Some(_)) => {
            let harm = found.findings.iter().find(|finding| !is_harmless(finding));
            assert!(harm.is_none(), "loaded: {:?}", found.findings);
        }
        Outcome::Loaded(None) | Outcome::Failed(_) => {}
    }
}

/// True if a finding can be of what weights-only loading loads: it takes names of Python 2 for
/// those of Python 3 under any protocol, other loaders under the first three alone.
fn is_harmless(finding: &Finding) -> bool {
    match finding.verdict {
        Verdict::Safe | Verdict::Malformed => true,
        Verdict::Unknown => finding.why.starts_with("a module of Python 2"),
        Verdict::Dangerous => false,
    }
}

/// True if nothing in a pickle is worth telling.
fn is_clean(found: &Scan) -> bool {
    let is_sound = found.broken.is_none() && found.fault.is_none() && found.refusal.is_none();
    is_sound && found.unread.is_none() && found.findings.is_empty()
}

/// The tensors as `ls` lists them, if the file is not refused.
fn listed(file: &[u8]) -> Option<Vec<Found>> {
    for &format in FORMATS {
        if let Some(opened) = Format::open(format, &file).ok()? {
            return Some(all(opened.catalog()));
        }
    }
    None
}

fn all(catalog: &Catalog) -> Vec<Found> {
    // A storage that no tensor looks at is listed too, and is no tensor to the model.
    let is_tensor = |row: &&TensorEntry| !matches!(&row.tensor.data, Data::Opaque { layout, .. } if layout == "storage");
    let mut found: Vec<Found> = catalog.rows.iter().filter(is_tensor).map(row).collect();
    found.sort();
    found
}

fn row(row: &TensorEntry) -> Found {
    let tensor = &row.tensor;
    let (mut storage, mut places) = (None, Vec::new());
    if let Data::View(view) = &tensor.data
        && tensor.count() > 0
    {
        if let Location::Stored(range) = &view.storage().location {
            storage = STARTS.iter().position(|start| *start == range.start);
        }
        let size = tensor.dtype.bits() / 8;
        places =
            elements(&tensor.shape, view.strides(), view.offset()).map(|at| at * size).collect();
        assert!(!view.conjugate && !view.negate, "neither is modelled");
    }
    Found {
        at: row.path.to_string(),
        key: row.key.as_str().to_string(),
        dtype: tensor.dtype.name().to_string(),
        shape: tensor.shape.clone(),
        storage,
        places,
    }
}

/// The places of elements in row-major order; the model knows of no more than a few thousand.
fn elements<'a>(
    shape: &'a [u64],
    strides: &'a [u64],
    offset: u64,
) -> impl Iterator<Item = u64> + 'a {
    let count = shape.iter().fold(1u64, |count, size| count.saturating_mul(*size)).min(1 << 13);
    (0..count).map(move |number| {
        let (mut rest, mut at) = (number, offset);
        for (size, stride) in shape.iter().zip(strides).rev() {
            at += rest % size * stride;
            rest /= size;
        }
        at
    })
}
