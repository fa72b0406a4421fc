//! From what a pickle brings in to what that makes the file.
//!
//! | what is brought in | verdict |
//! |---|---|
//! | what weights-only loading admits (`admitted`) | safe |
//! | what does nothing, used so (`inert`) | safe, with a note |
//! | a class of the archive's own code, in TorchScript | safe |
//! | what is known to do harm (`known`) | dangerous, saying how |
//! | anything else, computed names, extension codes, results that are called | dangerous: unknown |
//! | `BUILD` on any of these themselves, instead of on an instance | dangerous |
//!
//! It does not matter whether a thing is called: weights-only loading refuses to bring it in, and
//! importing a module runs it.

use statedict_core::Finding;

use super::admitted::is_admitted;
use super::imports::{Import, Named};
use super::inert::{Inert, inert};
use super::known::known;

/// Who reads a pickle, which decides what its names mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loader {
    /// Python's `pickle`, in one of its guises.
    Python,
    /// PyTorch's reader of TorchScript, which imports nothing: classes are the archive's own code.
    TorchScript,
}

/// What something that a pickle brings in says of the file; `None` if nothing.
///
/// Places count from the pickle's own start.
pub(super) fn judge(import: &Import, loader: Loader) -> Option<Finding> {
    let verb = if import.call.is_some() { "calls" } else { "imports" };
    let what = match &import.call {
        Some(call) => format!("{verb} {}({})", import.named, call.arguments),
        None => format!("{verb} {}", import.named),
    };
    let mut place = format!("{} at byte {}", import.opcode, import.at);
    if let Some(call) = &import.call
        && call.at != import.at
    {
        place = format!("{place}, {} at byte {}", call.opcode(), call.at);
    }
    if let Some(at) = import.changed {
        let place = format!("BUILD at byte {at}");
        let what = format!("changes {} itself", import.named);
        return Some(Finding::dangerous(place, what, "it alters the running program"));
    }
    match reason(import, loader) {
        Reason::Admitted => None,
        Reason::Inert => Some(Finding::note(place, what, NOTED)),
        Reason::Harmful(why) => Some(Finding::dangerous(place, what, why)),
    }
}

const NOTED: &str = "weights-only loading refuses it, and it does nothing";
const UNKNOWN: &str = "unknown: weights-only loading does not admit it, and what it does depends on what is installed";
const COMPUTED: &str = "its name is computed while the pickle is loaded, so it can be anything";
const EXTENSION: &str = "the number stands for whatever the loading program registered under it";
const RETURNED: &str = "what a call returns is called in turn, so it can be anything";

enum Reason {
    Admitted,
    Inert,
    Harmful(&'static str),
}

fn reason(import: &Import, loader: Loader) -> Reason {
    let path = match &import.named {
        Named::Path(path) => path.as_str(),
        Named::Computed { .. } => return Reason::Harmful(COMPUTED),
        Named::Extension(_) => return Reason::Harmful(EXTENSION),
        Named::Returned(_) => return Reason::Harmful(RETURNED),
    };
    if is_admitted(path) || (loader == Loader::TorchScript && is_scripted(path)) {
        return Reason::Admitted;
    }
    match inert(path) {
        Some(Inert::Called) => return Reason::Inert,
        Some(Inert::Filled) if !import.reduced => return Reason::Inert,
        _ => {}
    }
    Reason::Harmful(known(path).unwrap_or(UNKNOWN))
}

/// Source: `Unpickler::readGlobal` in `torch/csrc/jit/serialization/unpickler.cpp`.
fn is_scripted(path: &str) -> bool {
    ["__torch__.", "torch.jit._pickle."].iter().any(|own| path.starts_with(own))
}
