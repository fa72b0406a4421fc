//! PyTorch checkpoints for statedict: pickles edited opcode by opcode, never executed.
//!
//! A `.pth` of PyTorch 1.6 and later is a zip archive: one pickle that builds the state dict (and
//! whatever the trainer put beside it), and one record of raw bytes for each storage.
//! The pickle is followed by a small machine into a graph whose nodes remember the opcodes that
//! pushed them.
//! Renaming replaces a few opcodes and leaves every other byte as it is; nothing named in a pickle
//! is ever imported or called.
//!
//! | file | what |
//! |---|---|
//! | `pickle` | opcodes, the machine, the graph, the editor |
//! | `tensors`, `arrays`, `disguise`, `mapping`, `walk` | from calls to tensors and mappings, from a graph to a catalog |
//! | `mentions` | names of keys outside the state dicts |
//! | `edit`, `recast` | from a plan to the changes of a pickle: keys, element types |
//! | `scan` | what a pickle would run, for those who only want to know |
//! | `container`, `encode` | the archive, read and rewritten, or created |
//! | `metadata` | the record for text that other formats keep beside their tensors |
//!
//! # Example
//! ```
//! use statedict_core::{Catalog, TensorSet, Format};
//! use statedict_pth::PTH;
//!
//! // An archive without tensors, in memory.
//! let pending = PTH.encode(&TensorSet::default()).expect("nothing to refuse");
//! let layout = pending.into_layout().expect("one file");
//! let mut bytes = Vec::new();
//! for part in layout.parts() {
//!     let statedict_core::Part::New(part) = part else { continue };
//!     bytes.extend(part);
//! }
//! let file = PTH.open(&bytes.as_slice())?.expect("a PyTorch archive");
//! assert_eq!((file.kind(), file.catalog().rows.len()), ("pth", 0));
//! # Ok::<(), statedict_core::Fault>(())
//! ```

mod archive;
mod arrays;
mod attributes;
mod big_int;
mod budget;
mod disguise;
mod dtype;
mod edit;
mod encode;
mod examine;
mod holding;
mod keys;
mod mapping;
mod memo;
mod mentions;
mod metadata;
mod modules;
mod objects;
mod payload;
mod pickle;
mod python_repr;
mod recast;
mod reserve;
mod saved;
mod scan;
mod stream;
mod tar;
mod target;
mod tensors;
mod torchscript;
mod walk;

use statedict_core::{
    Container, Facts, Fault, Finding, Format, PendingFiles, ShardNames, Source, TensorSet,
    UnsupportedTensors,
};

use crate::archive::ZipFile;
use crate::stream::StreamFile;
use crate::tar::TarFile;

pub use dtype::named as torch_dtype;
pub use encode::SavedTensor;
pub use pickle::opcode;
pub use saved::SavedFile;
pub use scan::{Loader, Scan, Trust, Unread, scan, search};
pub use tar::{TarMember, tar_members};

/// PyTorch checkpoints.
pub struct Pth;

/// The format, for the registry.
pub static PTH: Pth = Pth;

static FACTS: Facts = Facts {
    shard_names: Some(ShardNames { kind: "pth-sharded", stem: "pytorch_model", extension: "bin" }),
    shares_elements: true,
    orders_keys: true,
    holds_objects: true,
    versions_modules: true,
    casts_in_files: true,
    holds_metadata: true,
    ..Facts::of_tensors("pth", &["pth", "pt", "ckpt", "bin", "pth.tar", "pt.tar", "ckpt.tar"])
};

impl Format for Pth {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn open(&self, source: &dyn Source) -> Result<Option<Box<dyn Container>>, Fault> {
        if let Some(file) = ZipFile::open(source)? {
            return Ok(Some(Box::new(file)));
        }
        if let Some(file) = StreamFile::open(source)? {
            return Ok(Some(Box::new(file)));
        }
        if let Some(file) = TarFile::open(source)? {
            return Ok(Some(Box::new(file)));
        }
        Ok(None)
    }

    fn examine(&self, source: &dyn Source, _name: &str) -> Result<Vec<Finding>, Fault> {
        examine::examine(source)
    }

    fn encode(&self, contents: &TensorSet) -> Result<PendingFiles, UnsupportedTensors> {
        encode::encode(contents).map(PendingFiles::from)
    }
}
