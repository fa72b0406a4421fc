//! What pickles would run, found by following their opcodes and running none.
//!
//! A pickle is a program: it names things to import and calls them. [`scan`] follows the pickles
//! of a stretch of bytes, wherever in a file it is, [`search`] looks for hidden ones, and both tell
//! what would be brought in, judged by the table in `judge`.

mod admitted;
mod care;
mod containers;
mod elements;
mod imports;
mod inert;
mod integer;
mod judge;
mod kind;
mod known;
mod layers;
mod literal;
mod machine;
mod python2;
mod reader;
mod records;
mod region;
mod shown;
mod signature;
mod standard;
mod unread;
mod value;

pub(crate) use integer::is_python_integer;
pub use judge::Loader;
pub use machine::Trust;
pub use region::{Scan, scan, search};
pub use unread::Unread;
