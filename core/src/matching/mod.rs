//! Which tensors of two files, or of a file and a model, belong together.

pub mod derive;
pub mod diff;
pub mod fit;
pub mod generalise;
mod numbered;
mod renames;
