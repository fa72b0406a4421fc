//! What is in a folder, byte for byte and as a reader sees it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, PrependSupport};

use crate::disk::Plain;

/// The files below a folder with their bytes.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Every tensor that a reader finds: where, under which key, of which kind, and its elements' sum.
pub(crate) type Seen = Vec<(String, String, String, Vec<u64>, Option<[u8; 32]>)>;

pub(crate) fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    collect(folder, folder, &mut found);
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Files) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let name = path.strip_prefix(root).expect("below").to_str().expect("plain");
            found.insert(name.to_string(), fs::read(&path).expect("readable"));
        }
    }
}

pub(crate) fn put(files: &Files, folder: &Path) {
    for (name, bytes) in files {
        let path: PathBuf = folder.join(name);
        fs::create_dir_all(path.parent().expect("below a folder")).expect("a folder");
        fs::write(path, bytes).expect("room");
    }
}

pub(crate) fn seen(path: &Path) -> Result<Seen, String> {
    let disk = Arc::new(Plain::new(PrependSupport::Copy));
    let checkpoint = Checkpoint::open_on(path, disk).map_err(|error| error.to_string())?;
    let rows = checkpoint.catalog().rows.iter().map(|row| {
        let tensor = &row.tensor;
        let sum = checkpoint.sha256(tensor).map_err(|error| error.to_string())?;
        let (key, dtype) = (row.key.to_string(), tensor.dtype.name().to_string());
        Ok((row.path.to_string(), key, dtype, tensor.shape.clone(), sum))
    });
    rows.collect()
}

/// True for the files that a kill may leave beside others: one that was being written.
fn is_unfinished(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or_default();
    name.starts_with(".statedict-") && name.ends_with(".tmp")
}

/// What is wrong with a folder that is to be as it was before or after a change, if something is.
///
/// Beside the files of the one there may be whole files of the other, which nothing names, and
/// files that were being written.
pub(crate) fn strange(now: &Files, before: &Files, after: &Files) -> Option<String> {
    let holds = |whole: &Files| whole.iter().all(|(name, bytes)| now.get(name) == Some(bytes));
    if !holds(before) && !holds(after) {
        return Some(format!("neither the old nor the new: {}", named(now)));
    }
    let known = |name: &String, bytes| [before, after].iter().any(|f| f.get(name) == Some(bytes));
    let other = now.iter().find(|(name, bytes)| !known(name, bytes) && !is_unfinished(name));
    other.map(|(name, _)| format!("'{name}' is left: {}", named(now)))
}

pub(crate) fn named(files: &Files) -> String {
    let names = files.iter().map(|(name, bytes)| format!("{name} ({} bytes)", bytes.len()));
    names.collect::<Vec<_>>().join(", ")
}
