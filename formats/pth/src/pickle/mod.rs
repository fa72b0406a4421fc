//! Pickles as data: decoded, followed, edited; never executed.

mod chains;
mod emit;
pub(crate) mod graph;
pub(crate) mod literal;
mod machine;
pub mod opcode;
mod padding;
pub(crate) mod patch;
mod protocol;
pub(crate) mod strings;
pub(crate) mod unescape;

pub(crate) use graph::Graph;

use statedict_core::Fault;

/// A fault with its offset counted from where the pickle's `start` is.
pub(crate) fn shifted(fault: Fault, start: u64) -> Fault {
    match fault {
        Fault::Malformed { at: Some(at), what } => Fault::malformed(at + start, what),
        other => other,
    }
}
