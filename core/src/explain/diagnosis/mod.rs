//! Why a checkpoint does not load, and what would make it.

mod context;
mod faults;
mod filling;
mod mismatch;
mod renaming;

pub use renaming::prefix_replacement;

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Catalog, Rule, Undefined, explain::LoadError};

/// What happened, and what helps.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// What happened, in a word for programs.
    pub cause: Cause,
    /// What happened, in two or three sentences for people.
    pub message: String,
    /// What helps.
    pub remedy: Remedy,
    /// The path of the state dict that is meant, where it has to be named.
    pub path: Option<String>,
    /// Why the remedy would not do for the file that was looked at, if it would not.
    pub caveat: Option<String>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The file was saved under wrappers that the model is not in.
    Wrapped,
    /// The model is in wrappers that the file was not saved under.
    Unwrapped,
    /// One has a prefix that the other has not.
    Prefix,
    /// The two have other names for the same tensors.
    Renamed,
    /// What is loaded is a trainer's checkpoint, and the state dict is an entry of it.
    Trainer,
    /// The entry that is taken out is not there.
    NoEntry,
    /// Some tensors have other shapes: another number of classes, or of words.
    OtherShapes,
    /// The checkpoint has keys that the model does not know.
    Extra,
    /// The checkpoint lacks keys of the model.
    Incomplete,
    /// The checkpoint lacks the counters of batches, as old ones do.
    Counters,
    /// The checkpoint lacks keys that are tied to others.
    Tied,
    /// The checkpoint is of another model.
    OtherModel,
    /// The program takes one thing for another.
    Program,
    /// The pickle names classes.
    Classes,
    /// The pickle is of a protocol that is not read.
    Protocol,
    /// The file is of another format.
    OtherFormat,
    /// The file is not a checkpoint.
    NoCheckpoint,
    /// The file is damaged.
    Damaged,
    /// The tensors are on a device that is not there.
    Device,
    /// Tensors share memory.
    Shared,
    /// The parameters were taken apart among processes, and are not in the file as they are wanted.
    Partitioned,
}

/// What helps.
#[derive(Clone, Debug, PartialEq)]
pub enum Remedy {
    /// Other keys.
    Rename {
        /// What becomes of them.
        rule: Rule,
        /// What becomes of those that the rule says nothing about.
        undefined: Undefined,
        /// True if the state dict is to be written without what lies beside it.
        alone: bool,
    },
    /// The state dict alone in a new file, without its neighbours.
    Extract,
    /// A fit into the model.
    Fit {
        /// Patterns of keys that are made as the model has them.
        init: Vec<String>,
        /// Patterns of keys of which the rows that both have are kept.
        resize: Vec<String>,
    },
    /// The pickle written in a protocol that every loader reads.
    Protocol,
    /// Another format, by the extension of its files.
    Convert(&'static str),
    /// Floating-point tensors of another type, by the name that the command takes.
    Cast(&'static str),
    /// A text in the file's metadata, as `KEY=VALUE`.
    Metadata(&'static str),
    /// Nothing certain; examining the file says more.
    Check,
    /// Nothing in the file: its keys show what the program has to do.
    Look,
    /// Nothing.
    Nothing,
}

/// Says why a checkpoint does not load, and what would make it.
///
/// `held` is what the file holds, if it is at hand: then rules are held against all of its keys.
///
/// ```
/// use statedict_core::explain::{Cause, LoadError, Remedy, diagnose};
/// use statedict_core::Rule;
///
/// let text = r#"Missing key(s) in state_dict: "fc.weight". Unexpected key(s) in state_dict: "module.fc.weight"."#;
/// let error = LoadError::read(text).expect("it is known");
/// let diagnosis = diagnose(&error, None);
/// assert_eq!(diagnosis.cause, Cause::Wrapped);
/// assert!(matches!(diagnosis.remedy, Remedy::Rename { rule: Rule::Unwrap(_), .. }));
/// ```
pub fn diagnose(complaint: &LoadError, held: Option<&Catalog>) -> Diagnosis {
    match complaint {
        LoadError::Mismatch(mismatch) => mismatch::diagnose(mismatch, held),
        fault => faults::diagnose(fault, held),
    }
}

impl Diagnosis {
    fn new(cause: Cause, message: impl Into<String>, remedy: Remedy) -> Diagnosis {
        Diagnosis { cause, message: message.into(), remedy, path: None, caveat: None }
    }
}

impl Cause {
    /// The cause in a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Wrapped => "wrapped",
            Cause::Unwrapped => "unwrapped",
            Cause::Prefix => "prefix",
            Cause::Renamed => "renamed",
            Cause::Trainer => "trainer",
            Cause::NoEntry => "no entry",
            Cause::OtherShapes => "other shapes",
            Cause::Extra => "extra keys",
            Cause::Incomplete => "incomplete",
            Cause::Counters => "counters",
            Cause::Tied => "tied",
            Cause::OtherModel => "other model",
            Cause::Program => "program",
            Cause::Classes => "classes",
            Cause::Protocol => "protocol",
            Cause::OtherFormat => "other format",
            Cause::NoCheckpoint => "no checkpoint",
            Cause::Damaged => "damaged",
            Cause::Device => "device",
            Cause::Shared => "shared",
            Cause::Partitioned => "partitioned",
        }
    }
}
