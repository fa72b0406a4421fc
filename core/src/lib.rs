//! The keys of model checkpoints, as values: what a file holds, what becomes of it, what to write.
//!
//! A trained model is saved as a *state dict*, an ordered map from keys (`module.conv1.weight`) to
//! tensors.
//! Keys carry the history of how a model was wrapped, so a checkpoint saved under
//! `nn.DataParallel` will not load without it, and the reverse.
//! This crate renames keys without touching files: it is pure, `no_std`, and knows no format.
//!
//! ```text
//! Catalog ──┐
//! Rule ─────┴─plan─▶ Plan ──Container::rewrite──▶ Layout
//! ```
//!
//! - A [`Catalog`] says what a file holds: state dicts, keys in order, dtype, shape, place.
//! - A [`Remap`] is a renaming that never sends two keys to one; remaps compose and invert.
//! - A [`Rule`] is what a user asks for; [`plan`] resolves rules against a catalog into a [`Plan`],
//!   or refuses with every offence.
//! - A [`Complaint`] is what PyTorch says when a checkpoint does not load; [`diagnose`] says what
//!   would make it.
//! - A [`Derivation`] is the renaming behind two files of the same weights; an [`Initialiser`] makes
//!   tensors that no file has.
//! - A [`Layout`] describes a new file: bytes copied, bytes made, tensors computed on the way.
//! - A [`Format`] opens files and lays them out; formats live in crates of their own.
//!
//! # Example
//! Strip a prefix from a map:
//! ```
//! use statedict_core::{Catalog, Policy, plan};
//!
//! let weights = [("module.fc.weight", 1.0), ("module.fc.bias", 2.0)];
//! let catalog = Catalog::of_keys(weights.map(|(key, _)| key))?;
//! let strip = ["strip:module".parse()?];
//! let planned = plan(&strip, &catalog, &catalog.select(None)?, Policy::default())?;
//! let renamed: Vec<(String, f64)> = planned.plan.rename(weights)?;
//! assert_eq!(renamed, [("fc.weight".into(), 1.0), ("fc.bias".into(), 2.0)]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

#![no_std]

extern crate alloc;

mod casting;
mod catalog;
mod complaint;
mod derive;
mod diagnosis;
mod diff;
mod dtype;
mod elements;
mod finding;
mod fit;
mod format;
mod generalise;
mod init;
mod layout;
mod mentions;
mod metadata;
mod modules;
mod numbered;
mod objects;
mod plan;
mod plan_json;
mod planning;
mod refused;
mod remap;
mod renames;
mod reserve;
mod rule;
mod selection;
mod spelling;
mod template;
mod tensor;
mod value;
mod views;
mod wrapping;

pub use casting::{BadCast, CastRule, Casting, Uncast, UncastReason, UncastTensor};
pub use catalog::{Catalog, DuplicateKey, Key, NotSelected, Payload, Row, StateDict};
pub use complaint::{Complaint, Mismatch, Shapes};
pub use derive::{
    Alike, Arrangement, Derivation, Evidence, Lines, Owner, Portion, Rearranged, Unexplained,
};
pub use diagnosis::{Cause, Diagnosis, Remedy, diagnose};
pub use diff::{Change, Deviation, Diff, Entry, Matching, Pair, Side, Twins, Unplaced};
pub use dtype::DType;
pub use elements::{
    Contents, Elements, Interleaved, LeftBehind, Origin, Place, Ties, Unholdable, is_implied,
    is_recorded_tie,
};
pub use finding::{Finding, Findings, Verdict};
pub use fit::{
    Assembled, By, Casts, Composed, Composite, Filling, Fit, FitOptions, FitPair, Made, Making,
    Misfit, NotFitted, Open, Ordered, Reason, Unmet, Wanted, Whose, fit,
};
pub use format::{Container, Fault, Format, Growth, ShardNames, Source};
pub use generalise::{Generalised, generalise};
pub use init::{
    BadInit, Drawing, Fans, Init, InitRule, Initialiser, Needed, NotMade, ResizeRule, Stream,
};
pub use layout::{Edits, Layout, Part, Span};
pub use mentions::{Mentions, Places};
pub use metadata::{BadMetadata, Glob, MetadataChange, MetadataEdits};
pub use modules::Modules;
pub use objects::{
    Compared, Object, ObjectChange, ObjectId, Objects, Record, Scalar, Sequence, Uncompared, Whole,
};
pub use plan::{Plan, Section};
pub use plan_json::BadPlan;
pub use planning::{Planned, Policy, Undefined, Unmatched, plan};
pub use refused::{Offence, Refused};
pub use remap::{BadRemap, Fate, Prefix, Remap, Rename, Table, TemplatePair};
pub use reserve::Reserve;
pub use rule::{Replacement, Rule, WRAPPERS, Wrappers};
pub use template::{BadTemplate, SEPARATOR, Template};
pub use tensor::{ByteOrder, Data, Location, Misplaced, Storage, Tensor, View, row_major_strides};

pub use value::Value;
pub use wrapping::{wrapper_name, wrapper_names, wrapping};

/// An ordered map with a hasher that needs no standard library.
pub type IndexMap<K, V> = indexmap::IndexMap<K, V, foldhash::fast::RandomState>;

/// An ordered set with a hasher that needs no standard library.
pub type IndexSet<T> = indexmap::IndexSet<T, foldhash::fast::RandomState>;
