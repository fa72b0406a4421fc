//! Pickles as data: decoded, followed, edited; never executed.

pub(crate) mod graph;
mod machine;
pub(crate) mod opcode;
pub(crate) mod patch;
mod protocol;

pub(crate) use graph::Graph;
