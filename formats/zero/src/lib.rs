//! DeepSpeed ZeRO checkpoints for statedict.
//!
//! In stages 1 and 2 every group of parameters is one flat vector that is cut over the ranks; in
//! stage 3 every parameter is. The names and shapes are in the model states. So a parameter is a
//! list of runs of flat tensors, which are put together as they are written.
//!
//! Parameters are the masters in full precision where there are any; the optimizer's moments are at
//! `optimizer/<parameter>`.
//!
//! Each rank of tensor parallelism is such a save of its own, and has a share of some parameters: how
//! they were cut is what the user says, what DeepSpeed writes down, or what known models do; what
//! nobody knows has to be the same in all ranks.
//!
//! | file | what |
//! |---|---|
//! | `names` | what files are, by their names |
//! | `states` | names with their shapes, as files of a save have them |
//! | `flat` | flat vectors, and parameters as runs of them |
//! | `partitions`, `shards` | stages 1 and 2, stage 3 |
//! | `universal` | what `ds_to_universal` writes |
//! | `save` | all that a rank of tensor parallelism saved |
//! | `cutting` | how tensors were cut over those ranks |
//! | `info`, `patterns`, `pieces` | what DeepSpeed writes down of that |
//! | `join` | what the ranks have, joined |
//! | `open` | all of it together |
//!
//! # Example
//! ```
//! use statedict_core::FolderFormat;
//! use statedict_zero::ZERO;
//!
//! let names = ["latest", "zero_to_fp32.py"].map(String::from);
//! assert_eq!(ZERO.manifests_among(&names)?, ["latest"]);
//! # Ok::<(), statedict_core::Fault>(())
//! ```

mod cutting;
mod flat;
mod info;
mod join;
mod names;
mod open;
mod partitions;
mod patterns;
mod pieces;
mod save;
mod shards;
mod states;
mod universal;

use std::fmt::Write;

use statedict_core::{Facts, Fault, Folder, FolderFormat, Format, Opening, Store};

use crate::names::role;

/// DeepSpeed checkpoints.
pub struct Zero;

/// The format, for the registry.
pub static ZERO: Zero = Zero;

static FACTS: Facts =
    Facts { orders_keys: true, holds_objects: true, ..Facts::of_tensors("deepspeed", &[]) };

/// Files that say which folder the newest save is in.
const LATEST: [&str; 2] = ["latest", "latest_universal"];

/// The converter that DeepSpeed copies beside what it saves.
const CONVERTER: &str = "zero_to_fp32.py";

/// The longest name of a save, in bytes.
const MAX_TAG: u64 = 4096;

/// The endings of files that are checkpoints by themselves.
const WEIGHTS: [&str; 5] = [".safetensors", ".bin", ".pt", ".pth", ".ckpt"];

impl Format for Zero {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn folders(&self) -> Option<&dyn FolderFormat> {
        Some(self)
    }
}

impl FolderFormat for Zero {
    fn kind(&self) -> &'static str {
        "DeepSpeed checkpoint"
    }

    fn manifest(&self) -> &'static str {
        "save"
    }

    fn is_manifest(&self, name: &str) -> bool {
        LATEST.contains(&name)
    }

    fn manifests_among(&self, names: &[String]) -> Result<Vec<String>, Fault> {
        if let Some(states) = names.iter().find(|name| role(name).is_some()) {
            return Ok(vec![states.clone()]);
        }
        let is_weights = |name: &String| WEIGHTS.iter().any(|ending| name.ends_with(ending));
        let is_own = names.iter().any(|name| name == CONVERTER) || !names.iter().any(is_weights);
        let latest = LATEST.iter().find(|latest| names.iter().any(|name| name == *latest));
        Ok(latest.filter(|_| is_own).map(|latest| latest.to_string()).into_iter().collect())
    }

    fn files(&self, store: &dyn Store, manifest: &str) -> Result<Vec<String>, Fault> {
        let at = folder(store, manifest)?;
        let path = |name: String| if at.is_empty() { name } else { format!("{at}/{name}") };
        let names = store.list_in(&at)?.into_iter().filter(|name| role(name).is_some());
        let mut files: Vec<String> = names.map(path).collect();
        let zero = if at.is_empty() { universal::FOLDER.into() } else { format!("{at}/zero") };
        for parameter in store.folders_in(&zero).unwrap_or_default() {
            let folder = format!("{zero}/{parameter}");
            let names = store.list_in(&folder)?;
            files.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
        }
        Ok(files)
    }

    fn open(
        &self,
        store: &dyn Store,
        manifest: &str,
        opening: &Opening,
    ) -> Result<Box<dyn Folder>, Fault> {
        let at = folder(store, manifest)?;
        Ok(Box::new(open::open(store, &at, opening)?))
    }
}

/// The folder that holds the save a manifest leads to: its own, or the one it names.
///
/// # Errors
/// A name that leads nowhere, or out of the folder.
fn folder(store: &dyn Store, manifest: &str) -> Result<String, Fault> {
    if !LATEST.contains(&manifest) {
        return Ok(String::new());
    }
    let text = store.read(manifest, MAX_TAG)?;
    let tag = String::from_utf8_lossy(&text).trim().to_string();
    let is_name = !tag.is_empty() && !tag.contains(['/', '\\', '\0']) && tag != "." && tag != "..";
    if is_name && store.folders_in("")?.contains(&tag) {
        return Ok(tag);
    }
    let mut what = format!("it names '{}', and there is no such folder", tag.escape_debug());
    if let Some(save) = newest(store)? {
        let _ = write!(what, "; there is '{save}', which opens by itself");
    }
    Err(Fault::broken(what).in_file(manifest))
}

/// The last of the folders that hold files of a save, in the order of their names.
fn newest(store: &dyn Store) -> Result<Option<String>, Fault> {
    let is_save = |folder: &String| {
        store.list_in(folder).is_ok_and(|names| names.iter().any(|name| role(name).is_some()))
    };
    Ok(store.folders_in("")?.into_iter().rfind(is_save))
}
