//! The terminal: words, progress, signals, sizes.

pub(crate) mod color;
pub(crate) mod columns;
pub(crate) mod numbers;
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

impl OutputFormat {
    /// The form that `--json` chooses.
    pub(crate) fn of(json: bool) -> OutputFormat {
        if json { OutputFormat::Json } else { OutputFormat::Text }
    }
}

/// How much is said on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    All,
    Errors,
}

impl Verbosity {
    /// The loudness that `--quiet` chooses.
    pub(crate) fn of(quiet: bool) -> Verbosity {
        if quiet { Verbosity::Errors } else { Verbosity::All }
    }
}
