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
//! | `container`, `encode` | the archive, read and rewritten, or made anew |
//! | `metadata` | the record for text that other formats keep beside their tensors |
//!
//! # Example
//! ```
//! use statedict_core::{Catalog, TensorSet, Format};
//! use statedict_pth::PTH;
//!
//! // An archive without tensors, in memory.
//! let layout = PTH.encode(&TensorSet::default()).expect("nothing to refuse");
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
mod scan;
mod stream;
mod tar;
mod tensors;
mod torchscript;
mod walk;

use statedict_core::{
    Container, Fault, Format, Layout, ShardNames, Source, TensorSet, UnsupportedTensors,
};

use crate::archive::ZipFile;
use crate::stream::StreamFile;
use crate::tar::TarFile;

pub use scan::{Loader, Scan, Trust, Unread, is_python_integer, scan, search};
pub use tar::{TarMember, tar_members};

/// PyTorch checkpoints.
pub struct Pth;

/// The format, for the registry.
pub static PTH: Pth = Pth;

impl Format for Pth {
    fn name(&self) -> &'static str {
        "pth"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["pth", "pt", "ckpt", "bin", "pth.tar", "pt.tar", "ckpt.tar"]
    }

    fn shard_names(&self) -> Option<ShardNames> {
        Some(ShardNames { stem: "pytorch_model", extension: "bin" })
    }

    fn versions_modules(&self) -> bool {
        true
    }

    fn shares_elements(&self) -> bool {
        true
    }

    fn casts_in_files(&self) -> bool {
        true
    }

    fn orders_keys(&self) -> bool {
        true
    }

    fn holds_metadata(&self) -> bool {
        true
    }

    fn holds_objects(&self) -> bool {
        true
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

    fn encode(&self, contents: &TensorSet) -> Result<Layout, UnsupportedTensors> {
        encode::encode(contents)
    }
}
