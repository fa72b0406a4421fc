//! A folder with a small checkpoint in it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

use statedict_checkpoint::{Checkpoint, PendingFiles};
use statedict_core::{Headroom, Plan, Policy, plan};
use tempfile::TempDir;

/// A folder that goes when it is dropped.
pub(crate) struct Folder {
    folder: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in the folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, bytes).expect("writable");
        path
    }

    /// An opened safetensors file with the tensor `module.w`.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let header = br#"{"module.w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#;
        let file = [&(header.len() as u64).to_le_bytes()[..], header, &[7, 8, 9]].concat();
        Checkpoint::open(&self.file("in.safetensors", &file)).expect("a checkpoint")
    }

    /// The names of what is in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("readable");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<_> = entries.map(|entry| name(entry.expect("readable"))).collect();
        names.sort();
        names
    }
}

/// The checkpoint without its prefix.
pub(crate) fn stripped(checkpoint: &Checkpoint) -> PendingFiles {
    checkpoint.rewrite(&planned(checkpoint), Headroom::Usual).expect("a layout")
}

/// What takes the prefix of its keys away.
pub(crate) fn planned(checkpoint: &Checkpoint) -> Plan {
    let catalog = checkpoint.catalog();
    let rules = ["strip:module".parse().expect("a rule")];
    let state_dicts = catalog.select(None).expect("one");
    plan(&rules, catalog, &state_dicts, Policy::default()).expect("a plan").plan
}

/// The keys of a file.
pub(crate) fn keys(path: &Path) -> Vec<String> {
    let checkpoint = Checkpoint::open(path).expect("a checkpoint");
    checkpoint.catalog().rows.iter().map(|row| row.key.to_string()).collect()
}
