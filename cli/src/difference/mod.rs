//! What `diff` found, as text, as JSON, and as the command that would rename likewise.

pub(crate) mod json;
pub(crate) mod remedy;
pub(crate) mod report;
