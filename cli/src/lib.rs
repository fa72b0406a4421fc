//! Rename, match, convert and check the keys of model checkpoints: PyTorch `.pth`, safetensors, NumPy
//! `.npz`.
//!
//! The `statedict` command is built on this library, which has neither command line nor terminal in it.
//! A program that wants the library alone leaves the command's dependencies out:
//! `statedict = { version = "…", default-features = false }`.
//!
//! - [`jobs`] has what the command does as values: a request, `run`, an outcome, an observer.
//! - [`core`] has the keys as values: catalogs, rules, plans, layouts. It touches no file.
//! - [`checkpoint`] opens files of any format, reads their tensors, and writes new files safely.
//!
//! The [`guide`] has an example of each thing that is done often.
//!
//! # Example
//! Strip a prefix from the keys of a file and save it under another name:
//! ```
//! use statedict::checkpoint::{Checkpoint, Existing};
//! use statedict::core::{Headroom, Policy, plan};
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
//! let renamed = checkpoint.rewrite(&planned.plan, Headroom::Usual)?;
//! checkpoint.stage(&renamed, &output, Existing::Refuse)?.commit()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[doc = include_str!("../docs/library.md")]
pub mod guide {}

/// The program of the package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod jobs;

pub use jobs::{
    Advice, Cat, Check, Convert, Derive, Diff, Error, ErrorKind, Explain, FinishJob, Fit, Index,
    Input, Join, List, Merge, Notice, Observer, PlanParts, Prune, Recover, Rename, Rules, RunPart,
    Shown, Split, Stats, silent,
};
pub use statedict_checkpoint as checkpoint;
pub use statedict_core as core;
