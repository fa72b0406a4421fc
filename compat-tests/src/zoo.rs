//! A folder of files of every shape, written by the real libraries.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oracle;

/// Generated checkpoints, and room for what is made of them; gone when dropped.
#[derive(Debug)]
pub struct Zoo {
    folder: TempDir,
    /// The files, in the order in which they were written.
    pub entries: Vec<Entry>,
}

/// One generated file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name, extension included.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The paths of the state dicts in it whose keys can be renamed.
    pub at: Vec<String>,
}

impl Zoo {
    /// Has Python write every file.
    ///
    /// # Panics
    /// If that fails.
    pub fn new() -> Zoo {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let entries = oracle(json!({ "do": "zoo", "folder": folder.path() }));
        let entries = entries.as_array().expect("a list of entries");
        let entries = entries.iter().map(|entry| Entry::read(entry, folder.path())).collect();
        Zoo { folder, entries }
    }

    /// The files that have keys which can be renamed.
    pub fn renamable(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.at.is_empty())
    }

    /// The file of that name.
    ///
    /// # Panics
    /// If there is none.
    pub fn entry(&self, name: &str) -> &Entry {
        self.entries.iter().find(|entry| entry.name == name).expect("a file of the zoo")
    }

    /// A fresh place for an output of this name.
    ///
    /// # Panics
    /// If the folder cannot be made.
    pub fn output(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("out");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder can be made");
        folder.join(name)
    }
}

impl Default for Zoo {
    fn default() -> Zoo {
        Zoo::new()
    }
}

impl Entry {
    fn read(entry: &Value, folder: &Path) -> Entry {
        let name = text(&entry["file"]);
        let at = entry["at"].as_array().map(|at| at.iter().map(text).collect());
        Entry { path: folder.join(&name), name, at: at.unwrap_or_default() }
    }

    /// What follows the last dot of its name.
    pub fn extension(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

/// A JSON string's text; other values as JSON.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}
