//! `join` and `split`: several files in one, and one in several.

pub(crate) mod args;
