//! What PyTorch complains of when a checkpoint does not load, read from its own words.
//!
//! The words are those of every PyTorch since 0.1.12, of safetensors, and of libraries that load by
//! themselves (transformers, mmcv, fvcore), with any surrounding text.

mod faults;
mod lists;
mod mismatch;
mod words;

pub(crate) use faults::CONTAINERS;

use alloc::string::String;
use alloc::vec::Vec;

/// What a program complained of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The keys or shapes of a state dict are not those of the model.
    Mismatch(Mismatch),
    /// The program takes an entry out of the checkpoint that it does not have.
    NoEntry(String),
    /// The program uses a state dict as if it were a model.
    NotAModel {
        /// What it wanted the state dict to do: `eval`, `load_state_dict`.
        attribute: String,
    },
    /// The program loads something into a model that is not a state dict.
    NotAStateDict {
        /// The class of what it loads: `str`, `models.Net`.
        class: String,
    },
    /// The state of an optimizer is that of another model.
    Optimizer,
    /// The pickle names a class or module that the program does not have.
    NoClass(String),
    /// Weights-only loading rejects what the pickle names; empty if the message does not say.
    NotAllowed(Vec<String>),
    /// The pickle is of a protocol that the loader does not read.
    Protocol,
    /// The file begins with a byte that no pickle of PyTorch begins with.
    Foreign(u8),
    /// There is nothing in the file.
    Empty,
    /// The file ends early, or its parts contradict each other.
    Damaged,
    /// The file is an old tar archive.
    Tar,
    /// The file is a TorchScript archive.
    Script,
    /// The file is none.
    NotAScript,
    /// The file is newer than the PyTorch that reads it.
    Newer,
    /// The file is a bare pickle, which `torch.save` does not write.
    BarePickle,
    /// The file holds Python 2's texts.
    Encoding,
    /// The tensors were saved on a device that is not there.
    NoDevice(String),
    /// The file is not a safetensors file.
    NotSafetensors,
    /// The tensors to be saved as safetensors share memory.
    Shared,
    /// Something else than tensors was to be saved as safetensors.
    NotATensor {
        /// Its key.
        key: String,
        /// Its class: `int`.
        class: String,
    },
    /// The safetensors file does not say which framework its tensors are of.
    NoFramework,
    /// The pickle makes a path of another system's class: `PosixPath`.
    Path(String),
    /// The model's parameters have no data, and are not filled.
    Meta,
    /// Plain tensors and those that are spread over processes are mixed.
    Distributed,
    /// 8-bit floats are reckoned with.
    Float8,
    /// The checkpoint is of another architecture; the message says no more.
    OtherArchitecture,
}

/// Keys and shapes that are not those of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// The class of the model, if the message names it.
    pub model: Option<String>,
    /// Keys of the model that the state dict does not have.
    pub missing: Vec<String>,
    /// Keys of the state dict that the model does not have.
    pub unexpected: Vec<String>,
    /// Keys of both whose shapes differ.
    pub misfits: Vec<Shapes>,
    /// True if the lists are known to be cut short, or to hold the first key alone.
    pub is_cut: bool,
}

/// A key with the shapes that it has on either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// The key.
    pub key: String,
    /// The shape in the checkpoint.
    pub checkpoint: Vec<u64>,
    /// The shape in the model.
    pub model: Vec<u64>,
}

impl LoadError {
    /// Reads what was printed, tracebacks and noise included; `None` if nothing in it is known.
    ///
    /// ```
    /// use statedict_core::explain::LoadError;
    ///
    /// let text = r#"RuntimeError: Error(s) in loading state_dict for Net:
    ///     Missing key(s) in state_dict: "fc.weight".
    ///     Unexpected key(s) in state_dict: "module.fc.weight". "#;
    /// let Some(LoadError::Mismatch(mismatch)) = LoadError::read(text) else { panic!() };
    /// assert_eq!(mismatch.missing, ["fc.weight"]);
    /// assert_eq!(mismatch.unexpected, ["module.fc.weight"]);
    /// ```
    pub fn read(text: &str) -> Option<LoadError> {
        let plain = words::plain(text);
        let mismatch = Mismatch::read(&plain);
        let is_error = plain.contains("loading state_dict");
        if is_error && let Some(mismatch) = mismatch {
            return Some(LoadError::Mismatch(mismatch));
        }
        let fault = faults::read(text).or_else(|| faults::read(&plain));
        fault.or(mismatch.map(LoadError::Mismatch))
    }
}
