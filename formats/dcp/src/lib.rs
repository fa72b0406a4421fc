//! Distributed PyTorch checkpoints (`torch.distributed.checkpoint`) for statedict.
//!
//! Such a checkpoint is a folder. Its catalog is a pickle, `.metadata`, which says for every tensor
//! of which rectangles it is made and which range of which `.distcp` file holds each; a range is an
//! archive of `torch.save`. The pickle is followed, never loaded: it may name the few classes that
//! such metadata needs, and nothing else.
//!
//! | file | what |
//! |---|---|
//! | `pickle` | pickles of any length followed from front to back |
//! | `metadata` | what they say: names, shapes, chunks, places |
//! | `whole` | which tensors have all their elements, and what is missing of the others |
//! | `item` | what a range of a data file holds |
//! | `examine` | what loading it would run |
//! | `hub` | pieces of safetensors, without metadata |
//! | `rename` | other names, in the metadata alone |
//! | `open` | all of it together: a folder, opened |
//! | `encode` | new checkpoints |
//!
//! # Example
//! ```
//! use statedict_core::FolderFormat;
//! use statedict_dcp::DCP;
//!
//! let names = [".metadata", "__0_0.distcp"].map(String::from);
//! assert_eq!(DCP.manifests_among(&names)?, [".metadata"]);
//! let unfinished = DCP.manifests_among(&names[1..]).expect_err("nothing leads to it");
//! assert!(unfinished.to_string().contains("unfinished save"));
//! # Ok::<(), statedict_core::Fault>(())
//! ```

mod encode;
mod examine;
mod hub;
mod item;
mod metadata;
mod names;
mod open;
mod pickle;
mod rename;
mod whole;

use statedict_core::{
    Assembled, Facts, Fault, FilePart, Finding, Folder, FolderFormat, Format, Opening,
    PendingFiles, Store, TensorSet, UnsupportedTensors,
};

use crate::rename::Renamable;

pub use hub::{HUB, Hub};
pub use metadata::is_admitted;

/// Opens a folder with a distributed checkpoint that is part of another one.
///
/// # Errors
/// As [`FolderFormat::open`].
pub fn open_part(store: &dyn Store, manifest: &str, opening: &Opening) -> Result<Assembled, Fault> {
    Ok(open::open(store, manifest, opening)?.assembled)
}

/// Distributed checkpoints.
pub struct Dcp;

/// The format, for the registry.
pub static DCP: Dcp = Dcp;

static FACTS: Facts = Facts {
    orders_keys: true,
    holds_objects: true,
    writes_folders: true,
    ..Facts::of_tensors("dcp", &[])
};

impl Format for Dcp {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn folders(&self) -> Option<&dyn FolderFormat> {
        Some(self)
    }

    fn encode(&self, contents: &TensorSet) -> Result<PendingFiles, UnsupportedTensors> {
        encode::encode(std::slice::from_ref(contents))
    }

    fn encode_files(&self, files: &[TensorSet]) -> Result<PendingFiles, UnsupportedTensors> {
        encode::encode(files)
    }
}

impl FolderFormat for Dcp {
    fn kind(&self) -> &'static str {
        "distributed checkpoint of PyTorch"
    }

    fn manifest(&self) -> &'static str {
        "metadata"
    }

    fn is_manifest(&self, name: &str) -> bool {
        name == names::METADATA || names::rank_of_metadata(name).is_some()
    }

    fn manifests_among(&self, names: &[String]) -> Result<Vec<String>, Fault> {
        names::manifest(names).map(|manifest| manifest.into_iter().collect())
    }

    fn files(&self, store: &dyn Store, manifest: &str) -> Result<Vec<String>, Fault> {
        open::files(store, manifest)
    }

    fn examine(&self, store: &dyn Store, manifest: &str) -> Result<Vec<Finding>, Fault> {
        examine::examine(store, manifest)
    }

    fn parts(&self, store: &dyn Store, manifest: &str) -> Result<Vec<FilePart>, Fault> {
        examine::parts(store, manifest)
    }

    fn open(
        &self,
        store: &dyn Store,
        manifest: &str,
        opening: &Opening,
    ) -> Result<Box<dyn Folder>, Fault> {
        Ok(Box::new(Renamable::open(store, manifest, opening)?))
    }
}
