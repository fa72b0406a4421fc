//! Pickles of metadata as data: followed from front to back in bounded memory, never executed.

mod ahead;
mod edit;
mod fetched;
mod flat;
mod machine;
mod memo;
mod reader;
mod template;
mod value;

pub(crate) use edit::{Edits, edited};
pub(crate) use machine::{Built, Detail, follow};
pub(crate) use value::{
    GlobalId, Info, Kind, Names, Node, Place, Placed, SizesId, Text, TextId, Value,
};
