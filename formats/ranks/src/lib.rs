//! Checkpoints of one file for each rank, as FSDP and tensor parallelism leave them.
//!
//! Every rank saved its own state dict by `torch.save`. Its tensors are `ShardedTensor` or `DTensor`
//! and say which part of the whole they are; plain tensors are copies and have to be the same in
//! all files. Nothing is put together because it looks like a part.
//!
//! | file | what |
//! |---|---|
//! | `names` | which files are those of ranks, and of which |
//! | `placement` | which elements a rank has |
//! | `wrapped` | what a tensor says of itself |
//! | `flat` | several parameters as one vector |
//! | `open` | all ranks together |
//!
//! # Example
//! ```
//! use statedict_core::FolderFormat;
//! use statedict_ranks::RANKS;
//!
//! let names = ["model_world_size_2_rank_0.pt", "model_world_size_2_rank_1.pt"].map(String::from);
//! assert_eq!(RANKS.manifests_among(&names)?, [names[0].as_str()]);
//! # Ok::<(), statedict_core::Fault>(())
//! ```

mod flat;
mod names;
mod open;
mod placement;
mod wrapped;

use statedict_core::{Facts, Fault, Folder, FolderFormat, Format, Opening, Store};

/// Checkpoints of one file for each rank.
pub struct Ranks;

/// The format, for the registry.
pub static RANKS: Ranks = Ranks;

static FACTS: Facts =
    Facts { orders_keys: true, holds_objects: true, ..Facts::of_tensors("per-rank", &[]) };

impl Format for Ranks {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn folders(&self) -> Option<&dyn FolderFormat> {
        Some(self)
    }
}

impl FolderFormat for Ranks {
    fn kind(&self) -> &'static str {
        "files of ranks"
    }

    fn manifest(&self) -> &'static str {
        "file of a rank"
    }

    fn is_manifest(&self, _name: &str) -> bool {
        // A file of one rank can be looked at by itself.
        false
    }

    fn manifests_among(&self, names: &[String]) -> Result<Vec<String>, Fault> {
        Ok(names::sets(names))
    }

    fn may_be_the_last_of(&self, name: &str) -> bool {
        names::RankFile::of(name).is_some()
    }

    fn title<'n>(&self, manifest: &'n str) -> Option<&'n str> {
        names::RankFile::of(manifest).map(|file| file.title())
    }

    fn files(&self, store: &dyn Store, manifest: &str) -> Result<Vec<String>, Fault> {
        Ok(names::set_of(manifest, &store.list()?).into_values().collect())
    }

    fn open(
        &self,
        store: &dyn Store,
        manifest: &str,
        opening: &Opening,
    ) -> Result<Box<dyn Folder>, Fault> {
        Ok(Box::new(open::open(store, manifest, opening)?))
    }
}
