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
//! - A [`LoadError`](explain::LoadError) is what PyTorch says when a checkpoint does not load; [`diagnose`](explain::diagnose) says what
//!   would make it.
//! - A [`Derivation`](derive::Derivation) is the renaming behind two files of the same weights; an [`Initialiser`](init::Initialiser) makes
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

pub mod casting;
mod catalog;
pub mod explain;
mod finding;
pub mod init;
mod layout;
mod matching;
pub mod merge;
mod plan;
mod rules;
#[doc(hidden)] // For the crates of this workspace.
pub mod sorting;
mod statistics;

pub use catalog::{
    Arithmetic, BadMetadata, Blocks, ByteOrder, Catalog, Collision, DType, Data, DuplicateKey,
    Glob, Joint, Key, Location, MetadataChange, MetadataEdits, Misplaced, Nested, Node,
    NotSelected, Operation, Payload, Piece, PieceCopy, Rectangle, StateDict, Step, Storage, Tensor,
    TensorBlock, TensorEntry, Tree, Unassembled, Value, View, check_coverage, objects,
    row_major_strides,
};
pub use finding::{Finding, Findings, Verdict};
pub use layout::{
    Assembled, Below, Block, Comparison, Computed, Container, Cut, Depth, Edits, Elements,
    EndToEnd, Facts, Fault, FilePart, Folder, FolderFormat, Format, Growth, Headroom, Incomplete,
    Layout, LeftOut, Manifest, Manner, NamedCopy, NewFile, Omitted, Opened, Opening, Origin, Part,
    PendingFiles, Place, ReadPayload, Renamed, ShardNames, Shortfall, Source, Span, Store,
    StoreFile, Stretch, TensorSet, Ties, Total, UnsupportedTensors, Which, WholeTensor, is_implied,
    is_recorded_tie,
};
pub use matching::{derive, diff, fit, generalise};
pub use plan::{
    BadPlan, Example, Expression, Foreseen, Formula, Issue, Mentions, Modules, NotInvertible,
    Origination, Places, Plan, PlanError, Planned, Policy, Regrouping, Returns, Section, Undefined,
    Unmatched, block_sizes, plan, plan_inverse, plan_stages, plan_stages_after,
};
pub use rules::{
    BadFill, BadRemap, BadSeparators, BadTemplate, CannotFill, Captured, Dequantise, Fate, Fill,
    FillProblem, FoldWeightNorm, FormulaRule, Held, Name, Prefix, Remap, Rename, Replacement, Rule,
    RuleKind, SEPARATOR, Separators, Table, Template, TemplatePair, WRAPPERS, Words, Wrappers,
    sizes, tensor, wrapper_name, wrapper_names, wrapping,
};
pub use statistics::{Histogram, Statistics};

/// An ordered map with a hasher that needs no standard library.
pub type IndexMap<K, V> = indexmap::IndexMap<K, V, foldhash::fast::RandomState>;

/// An ordered set with a hasher that needs no standard library.
pub type IndexSet<T> = indexmap::IndexSet<T, foldhash::fast::RandomState>;
