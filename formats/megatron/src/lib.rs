//! Megatron-LM checkpoints for statedict.
//!
//! A folder has a save in each of its folders, and a file that says which is the newest. A save is a
//! distributed checkpoint (`torch_dist`), or one file for each rank of tensor and pipeline
//! parallelism. Of the latter no file says along which dimension tensors were cut: known models have
//! a table, and what neither it nor the user knows has to be the same in all ranks.
//!
//! | file | what |
//! |---|---|
//! | `names` | which folders are those of ranks |
//! | `cut` | along which dimension tensors were cut |
//! | `ranks` | all ranks together |
//!
//! # Example
//! ```
//! use statedict_core::FolderFormat;
//! use statedict_megatron::MEGATRON;
//!
//! let names = ["latest_checkpointed_iteration.txt"].map(String::from);
//! assert_eq!(MEGATRON.manifests_among(&names)?, names);
//! # Ok::<(), statedict_core::Fault>(())
//! ```

mod cut;
mod names;
mod ranks;

use statedict_core::{
    Assembled, Below, Facts, Fault, Folder, FolderFormat, Format, Opening, Store,
};
use statedict_dcp::{DCP, open_part};

use crate::names::{LATEST, Rank, STATES, folder_of};

/// Megatron-LM checkpoints.
pub struct Megatron;

/// The format, for the registry.
pub static MEGATRON: Megatron = Megatron;

static FACTS: Facts =
    Facts { orders_keys: true, holds_objects: true, ..Facts::of_tensors("megatron", &[]) };

/// The metadata of a save that is a distributed checkpoint.
const DISTRIBUTED: &str = ".metadata";

/// What says in which way a save was written.
const BACKEND: &str = "metadata.json";

/// The longest file that says one thing, in bytes.
const MAX_NOTE: u64 = 1 << 16;

impl Format for Megatron {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn folders(&self) -> Option<&dyn FolderFormat> {
        Some(self)
    }
}

impl FolderFormat for Megatron {
    fn kind(&self) -> &'static str {
        "Megatron checkpoint"
    }

    fn manifest(&self) -> &'static str {
        "save"
    }

    fn is_manifest(&self, name: &str) -> bool {
        name == LATEST
    }

    fn manifests_among(&self, names: &[String]) -> Result<Vec<String>, Fault> {
        if names.iter().any(|name| name == LATEST) {
            return Ok(vec![LATEST.into()]);
        }
        let is_rank = |name: &str| name.strip_suffix('/').and_then(Rank::of).is_some();
        let first = names.iter().filter(|name| is_rank(name)).min();
        Ok(first.map(|folder| format!("{folder}{STATES}")).into_iter().collect())
    }

    fn files(&self, store: &dyn Store, manifest: &str) -> Result<Vec<String>, Fault> {
        let folder = folder(store, manifest)?;
        let save = Below::new(store, folder.as_str());
        let files = if save.has(DISTRIBUTED) {
            let files = DCP.folders().map_or(Ok(Vec::new()), |it| it.files(&save, DISTRIBUTED))?;
            [vec![DISTRIBUTED.to_string()], files].concat()
        } else {
            let ranks = save.folders_in("")?.into_iter().filter(|name| Rank::of(name).is_some());
            ranks.map(|rank| format!("{rank}/{STATES}")).collect()
        };
        let path = |file: String| if folder.is_empty() { file } else { format!("{folder}/{file}") };
        Ok(files.into_iter().map(path).collect())
    }

    fn open(
        &self,
        store: &dyn Store,
        manifest: &str,
        opening: &Opening,
    ) -> Result<Box<dyn Folder>, Fault> {
        let folder = folder(store, manifest)?;
        if folder.is_empty() {
            return Ok(Box::new(ranks::open(store, opening)?));
        }
        let save = Below::new(store, folder.as_str());
        let opened = open_save(&save, opening).map_err(|fault| fault.below(&folder))?;
        let files = opened.files.iter().map(|file| format!("{folder}/{file}")).collect();
        Ok(Box::new(Assembled { files, ..opened }))
    }
}

/// Opens one save.
fn open_save(save: &dyn Store, opening: &Opening) -> Result<Assembled, Fault> {
    if save.has(DISTRIBUTED) {
        return open_part(save, DISTRIBUTED, opening);
    }
    if save.folders_in("")?.iter().any(|name| Rank::of(name).is_some()) {
        return ranks::open(save, opening);
    }
    if save.has(BACKEND) {
        let text = save.read(BACKEND, MAX_NOTE)?;
        let known: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
        let backend = known.as_ref().and_then(|it| it.get("sharded_backend")?.as_str());
        let fault = match backend {
            Some("torch_dist") => Fault::broken(
                "'.metadata' is missing: the save did not finish, or files that begin with a dot \
                 were left behind when the folder was copied",
            ),
            Some(other) => {
                let what = format!("it was saved by the backend '{other}', which is not read");
                Fault::Unsupported(what)
            }
            None => Fault::Unsupported("it does not say by which backend it was saved".into()),
        };
        return Err(fault.in_file(BACKEND));
    }
    Err(Fault::broken("the save has no files of ranks, and no '.metadata'"))
}

/// The folder of the save that a manifest leads to, or none if it is in the save itself.
fn folder(store: &dyn Store, manifest: &str) -> Result<String, Fault> {
    if manifest != LATEST {
        return Ok(String::new());
    }
    let text = store.read(manifest, MAX_NOTE)?;
    let text = String::from_utf8_lossy(&text);
    let folder = folder_of(&text);
    match folder.filter(|folder| store.folders_in("").is_ok_and(|all| all.contains(folder))) {
        Some(folder) => Ok(folder),
        None => {
            let said = text.trim().chars().take(40).collect::<String>();
            let what = format!("it says '{}', and there is no such save", said.escape_debug());
            Err(Fault::broken(what).in_file(manifest))
        }
    }
}
