//! Pickles of metadata as data: followed from front to back in bounded memory, never executed.

mod edit;
mod fetched;
mod flat;
mod machine;
mod reader;
mod value;

pub(crate) use edit::{Edits, edited};
pub(crate) use machine::{Built, Detail, follow};
pub(crate) use value::{Info, Kind, Names, Node, Placed, SizesId, Text, TextId, Value};
