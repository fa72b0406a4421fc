//! Open, detect and safely write model checkpoints: the only crate of statedict that touches the disk.
//!
//! ```text
//! path ──open──▶ Checkpoint ──▶ Catalog          FORMATS: the one list of formats
//!                    │ rewrite(plan), encode(format, contents)
//!                    ▼
//!                 Layout ──stage──▶ Staged ──commit──▶ the file
//! ```
//!
//! - [`Checkpoint::open`] asks each of the [`FORMATS`] whether the bytes are its own; a file that
//!   is none of theirs is named for what it is in the [`Error`].
//! - Opening reads headers and never tensors; the time it takes does not depend on their size.
//! - [`Checkpoint::stage`] writes beside the target in pieces of a few MiB, whatever the size of
//!   the file; [`Staged::commit`] puts it in place in one step; a `Staged` that is dropped leaves
//!   nothing behind.
//! - [`Checkpoint::array`], [`read`](Checkpoint::read) and [`read_into`](Checkpoint::read_into) read
//!   tensors into memory, [`Checkpoint::stored`] says where a file has them, and
//!   [`Checkpoint::payload_as`] reads what is next to them.
//! - [`NewCheckpoint`] makes a file of tensors in memory.
//! - [`compare`] holds the elements of two files against each other, whatever their formats;
//!   [`match_contents`] finds which tensors of one are those of the other under other names.
//! - Elements that no file has are drawn as they are written: the same seed gives the same bytes on
//!   every machine.
//! - The new file has the old one's mode, and its owner where that is permitted. A target is only
//!   replaced if the caller says so, and never if it is a folder, a device or a pipe.
//!
//! # Example
//! ```
//! use statedict_checkpoint::{Checkpoint, Existing};
//! use statedict_core::{Headroom, Policy, plan};
//!
//! # let folder = tempfile::tempdir()?;
//! # let input = folder.path().join("in.safetensors");
//! # let output = folder.path().join("out.safetensors");
//! # let header = br#"{"module.w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
//! # std::fs::write(&input, [&60u64.to_le_bytes()[..], header, &[7]].concat())?;
//! let checkpoint = Checkpoint::open(&input)?;
//! let catalog = checkpoint.catalog();
//! let strip = ["strip:module".parse()?];
//! let planned = plan(&strip, catalog, &catalog.select(None)?, Policy::default())?;
//! let layout = checkpoint.rewrite(&planned.plan, Headroom::Usual)?;
//! checkpoint.stage(&layout, &output, Existing::Refuse)?.commit()?;
//! assert_eq!(Checkpoint::open(&output)?.catalog().rows[0].key.as_str(), "w");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod checkpoint;
mod compare;
mod create;
mod disk;
mod elements;
mod error;
mod folder;
mod identify;
mod in_place;
mod model_folder;
mod observer;
mod one_file;
mod open_files;
mod parallel;
mod payload;
#[cfg(test)]
mod raw_arrays;
mod reading;
mod registry;
mod several;
mod shards;
mod source;
mod statistics;
mod write;

pub use check::{
    AllowList, Checkable, Checked, Checksums, check, check_observed, check_source_named, checkable,
};
pub use checkpoint::{Checkpoint, InputFile, JoinedPart, Shard, Unequal, Workshop};
pub use compare::{Scope, are_made, compare, compare_beside, match_contents};
pub use create::{NewCheckpoint, TensorData};
pub use disk::{
    Access, DirectFile, Disk, Existing, Identity, PrependSupport, Secret, System, remove_unplaced,
};
pub use elements::{Element, Overflow};
pub use error::{Error, Kind, plain};
pub use in_place::{Interrupted, Journals, Replaced, WriteMethod, recover, recover_on};
pub use model_folder::{Indexing, NewIndex, SideFiles, index_folder};
pub use observer::Observer;
pub use reading::{Index, Stored, TensorPart, TensorRef};
pub use registry::{
    FOLDER_FORMATS, FORMATS, ending, format_called, format_named_by, written_formats,
};
pub use statistics::Measured;
pub use write::{Protected, Protection, Staged, stage_text};

pub use statedict_core::PendingFiles;

/// The crates whose types arrays and their elements have.
pub use {half, ndarray, num_complex};
