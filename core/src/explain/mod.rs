//! What an error of PyTorch means, and what would make the file load.

mod diagnosis;
mod error;

pub use diagnosis::{Cause, Diagnosis, Remedy, diagnose, prefix_replacement};
pub use error::{LoadError, Mismatch, Shapes};
