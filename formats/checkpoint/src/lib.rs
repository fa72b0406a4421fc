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
//! - [`compare`] holds the elements of two files against each other, whatever their formats;
//!   [`kinship`] tells which tensors of one are those of the other under other names.
//! - Elements that no file has are drawn as they are written: the same seed gives the same bytes on
//!   every machine.
//! - The new file has the old one's mode, and its owner where that is permitted. A target is only
//!   replaced if the caller says so, and never if it is a folder, a device or a pipe.
//!
//! # Example
//! ```
//! use statedict_checkpoint::{Checkpoint, Existing};
//! use statedict_core::{Policy, Reserve, plan};
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
//! let layout = checkpoint.rewrite(&planned.plan, Reserve::Usual)?;
//! checkpoint.stage(&layout, &output, Existing::Refuse)?.commit()?;
//! assert_eq!(Checkpoint::open(&output)?.catalog().rows[0].key.as_str(), "w");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod axes;
mod cast;
mod check;
mod checkpoint;
mod compare;
mod components;
mod disk;
mod draw;
mod elements;
mod error;
mod float8;
mod gather;
mod identify;
mod in_place;
mod index;
mod inflate;
mod interleave;
mod model_folder;
mod observer;
mod overflow;
mod registry;
mod rewritten;
mod shards;
mod shares;
mod signatures;
mod source;
mod stage;
mod target;
mod window;
mod write;

pub use check::{AllowList, Checkable, Checked, check, check_source_named, checkable};
pub use checkpoint::Checkpoint;
pub use compare::{Scope, compare, compare_beside, kinship};
pub use disk::{Access, Disk, Front, Identity, Secret, System};
pub use error::{Error, Kind};
pub use in_place::{Interrupted, Journals, Replaced, Way, recover, recover_on};
pub use model_folder::{Indexing, NewIndex, SideFiles, index_folder};
pub use observer::Observer;
pub use overflow::Overflow;
pub use registry::{FORMATS, ending, format_called, format_named_by};
pub use rewritten::Rewritten;
pub use stage::{Existing, Staged, stage_text};
pub use target::{Protected, Protection};
