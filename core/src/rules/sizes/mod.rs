//! Sizes: the numbers that rules are told by name.

mod expression;
mod table;

pub(crate) use expression::parse_number;
pub use expression::{BadSize, Lookup, Operation, SizeExpression};
pub use table::{BadSizeOf, BadSizes, Entry, SizeReason, SizeTable, Sizes};
