//! What the command does, as values: a request has public fields, `run` does the work and gives an
//! outcome, an [`Observer`] follows it and can stop it.
//!
//! Nothing here prints, parses a command line or reads the environment.
//!
//! | request | what it does |
//! |---|---|
//! | [`Rename`] | renames, drops and keeps keys by rules, a recipe or a saved plan |
//! | [`Convert`] | writes a file in another format, with casts |
//! | [`Fit`] | makes a checkpoint load into a model |

pub mod convert;
pub mod error;
pub mod fit;
pub mod model_dtype;
pub mod observer;
pub mod recipe;
pub mod rename;
pub mod rules;
pub mod selection;
pub mod suggestions;
pub mod target;

pub mod words;

mod nearest;
mod opening;

pub use convert::Convert;
pub use error::{Advice, Error, ErrorKind};
pub use fit::Fit;
pub use observer::{Notice, Observer, silent};
pub use rename::Rename;
pub use rules::Rules;
pub use selection::Input;
