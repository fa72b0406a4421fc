//! What the Python package does in Rust: files, plans and jobs, behind Python files that know
//! PyTorch and NumPy.
//!
//! Nothing here imports either of them, or knows more of a tensor in memory than its type, its shape
//! and where it is.
//! Whatever takes long runs without the interpreter's lock, and no panic reaches Python.

mod advice;
mod check;
mod checkpoint;
mod error;
mod files;
mod payload;
mod rules;
mod run;
mod save;

use pyo3::prelude::*;

#[pymodule]
mod _statedict {
    #[pymodule_export]
    use super::check::check;
    #[pymodule_export]
    use super::checkpoint::{File, open};
    #[pymodule_export]
    use super::files::rename_file;
    #[pymodule_export]
    use super::save::save_file;

    /// The version of the package and of the command in it.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
