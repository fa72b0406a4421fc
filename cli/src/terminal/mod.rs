//! The terminal: words, progress, signals, sizes.

pub(crate) mod progress;
mod signals;
pub(crate) mod size;
pub(crate) mod text;

/// How the outcome is put on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    Text,
    Json,
}

/// How much is said on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    All,
    Errors,
}
