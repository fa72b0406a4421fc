//! What `derive` found, as text and as JSON.

pub(crate) mod json;
pub(crate) mod report;
