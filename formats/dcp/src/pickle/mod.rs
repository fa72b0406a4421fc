//! Pickles of metadata as data: followed from front to back in bounded memory, never executed.

mod edit;
mod fetched;
mod machine;
mod reader;
mod value;

pub(crate) use edit::{Edits, edited};
pub(crate) use machine::{Built, follow};
pub(crate) use value::{Kind, Names, Node, SizesId, Text, Value};
