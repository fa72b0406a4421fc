//! What the Python package does in Rust: files, plans and jobs, behind Python files that know
//! PyTorch and NumPy.
//!
//! Nothing here imports either of them, or knows more of a tensor in memory than its type, its shape
//! and where it is.
//! Whatever takes long runs without the interpreter's lock, and no panic reaches Python.

mod advice;
mod check;
mod checkpoint;
mod diff;
mod error;
mod explain;
mod files;
mod fit;
mod memory;
mod parts;
mod payload;
mod plan;
mod rules;
mod run;
mod save;
mod stats;
mod words;

use pyo3::prelude::*;

#[pymodule]
mod _statedict {
    #[pymodule_export]
    use super::check::check;
    #[pymodule_export]
    use super::checkpoint::{File, open};
    #[pymodule_export]
    use super::diff::diff;
    #[pymodule_export]
    use super::explain::explain;
    #[pymodule_export]
    use super::files::rename_file;
    #[pymodule_export]
    use super::fit::fit;
    #[pymodule_export]
    use super::parts::{finish, run_part};
    #[pymodule_export]
    use super::plan::{Computed, Plan, plan};
    #[pymodule_export]
    use super::save::save_file;
    #[pymodule_export]
    use super::stats::stats;
    #[pymodule_export]
    use super::words::printable;

    /// The version of the package and of the command in it.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
