//! What the command does, as values: a request has public fields, `run` does the work and gives an
//! outcome, an [`Observer`] follows it and can stop it.
//!
//! Nothing here prints, parses a command line or reads the environment.
//!
//! | request | what it does |
//! |---|---|
//! | [`Rename`] | renames, drops and keeps keys by rules, a recipe or a saved plan |
//! | [`Convert`] | writes a file in another format, with casts |
//! | [`Merge`] | merges an adapter (LoRA) into the model it was trained for |
//! | [`Join`] | joins files, or state dicts of one, in one new file |
//! | [`Split`] | splits a file into several, by the names of its keys |
//! | [`Fit`] | makes a checkpoint load into a model |
//! | [`Derive`] | finds the recipe that leads from one file's keys to another's |
//! | [`Diff`] | compares two files |
//! | [`Explain`] | explains a loading error of PyTorch's, and finds the job that fixes it |
//! | [`Check`] | checks integrity, and what unpickling would execute |
//! | [`List`] | lists what a file holds |
//! | [`Cat`] | reads the values of one tensor |
//! | [`Stats`] | takes figures of what is in tensors: mean, deviation, extremes, NaN |
//! | [`Index`] | makes or corrects the index of a folder of shards |
//! | [`PlanParts`], [`RunPart`], [`FinishJob`] | cut what writes several files into parts, for many machines |
//! | [`Prune`] | leaves out of a trainer's file what its models do not need |
//! | [`Recover`] | restores a file whose editing in place was interrupted |

pub mod cat;
pub mod check;
pub mod convert;
pub mod derive;
pub mod diff;
pub mod error;
pub mod explain;
pub mod fit;
pub mod grouping;
pub mod index;
pub mod join;
pub mod library;
pub mod list;
pub mod merge;
pub mod model_dtype;
pub mod observer;
pub mod parts;
pub mod prune;
pub mod recipe;
pub mod recover;
pub mod rename;
pub mod rules;
pub mod selection;
pub mod shapes;
pub mod shown;
pub mod sizes;
pub mod split;
pub mod stats;
pub mod suggestions;
pub mod target;
pub mod words;

mod choice;
mod nearest;
mod opening;
mod text_file;

pub use cat::Cat;
pub use check::Check;
pub use convert::Convert;
pub use derive::Derive;
pub use diff::Diff;
pub use error::{Advice, Error, ErrorKind};
pub use explain::Explain;
pub use fit::Fit;
pub use index::Index;
pub use join::Join;
pub use list::List;
pub use merge::Merge;
pub use observer::{Notice, Observer, silent};
pub use parts::{FinishJob, PlanParts, RunPart};
pub use prune::Prune;
pub use recover::Recover;
pub use rename::Rename;
pub use rules::Rules;
pub use selection::Input;
pub use shown::Shown;
pub use split::Split;
pub use stats::Stats;
