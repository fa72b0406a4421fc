//! Another reader, `pytorch-reader`, beside ours on the files that it can read.
//!
//! Where the two differed PyTorch would decide: `listing.rs` and `corpus.rs` hold every listing of
//! ours against what PyTorch loads.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use compat_tests::{Tally, Zoo, statedict, text};
use pytorch_reader::PytorchReader;
use sha2::{Digest, Sha256};

/// The tensors of a file as the other reader has them: name to shape and digest.
fn theirs(path: &Path) -> Option<HashMap<String, (Vec<usize>, String)>> {
    let reader = PytorchReader::new(path).ok()?;
    let tensor = |(name, tensor): (&String, &pytorch_reader::Tensor)| {
        let digest = Sha256::digest(tensor.read().ok()?);
        let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Some((name.clone(), (tensor.shape().to_vec(), digest)))
    };
    reader.tensors().iter().map(tensor).collect()
}

/// The same of ours, the path joined by dots as the other reader joins it.
fn ours(path: &Path) -> Option<HashMap<String, (Vec<usize>, String)>> {
    let run = statedict(["ls".as_ref(), "--json".as_ref(), "--hash".as_ref(), path.as_os_str()]);
    if run.status != Some(0) {
        return None;
    }
    let listing = run.json();
    let tensor = |row: &serde_json::Value| {
        let at = text(&row["at"]).replace('/', ".");
        let name =
            if at.is_empty() { text(&row["key"]) } else { format!("{at}.{}", text(&row["key"])) };
        let shape = row["shape"].as_array().expect("a shape").iter();
        let shape = shape.map(|size| size.as_u64().expect("a size") as usize).collect();
        (name, (shape, text(&row["sha256"])))
    };
    Some(listing["tensors"].as_array().expect("tensors").iter().map(tensor).collect())
}

/// What the other reader says otherwise, of the tensors that it lists.
fn difference(path: &Path) -> Option<Option<String>> {
    let theirs = theirs(path)?;
    let Some(ours) = ours(path) else { return Some(Some("only the other reader reads it".into())) };
    let mut differing: Vec<String> = Vec::new();
    for (name, tensor) in &theirs {
        if ours.get(name) != Some(tensor) {
            differing.push(format!("{name}: theirs {tensor:?}, ours {:?}", ours.get(name)));
        }
    }
    differing.sort();
    Some(differing.first().cloned())
}

#[test]
fn another_reader_agrees_on_what_it_can_read() {
    let zoo = Zoo::new();
    let mut files: Vec<PathBuf> = zoo.entries.iter().map(|entry| entry.path.clone()).collect();
    files.retain(|path| {
        !["npz", "safetensors"].iter().any(|end| path.extension() == Some(end.as_ref()))
    });
    let real = env::var_os("STATEDICT_CORPUS").map(|shared| Path::new(&shared).join("corpus/real"));
    for entry in real.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder")) {
        files.push(entry.expect("a readable folder").path());
    }
    let mut tally = Tally::new();
    let mut unread = 0;
    for path in &files {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        match difference(path) {
            None => unread += 1,
            Some(problem) => tally.note(name, problem),
        }
    }
    println!("{unread} of {} files the other reader cannot read", files.len());
    tally.close("files on which another reader agrees");
}
