//! Pickles as data: decoded, followed, edited; never executed.

mod emit;
pub(crate) mod graph;
mod literal;
mod machine;
pub(crate) mod opcode;
pub(crate) mod patch;
mod protocol;
pub(crate) mod texts;

pub(crate) use graph::Graph;
