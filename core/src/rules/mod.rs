//! Rules: what a user asks to become of keys, resolved against no file yet.

mod binding;
pub(crate) mod formula;
mod kind;
mod limits;
pub(crate) mod remap;
pub(crate) mod rule;
mod separators;
pub mod sizes;
mod spelling;
pub(crate) mod template;
pub mod tensor;
mod words;
pub(crate) mod wrapping;

pub use formula::{BadFill, Dequantise, Fill, FillProblem, FoldWeightNorm, FormulaRule};
pub use kind::{RuleKind, Words};
pub use remap::{BadRemap, Fate, Prefix, Remap, Rename, Table, TemplatePair};
pub use rule::{Replacement, Rule, WRAPPERS, Wrappers};
pub use separators::{BadSeparators, Separators};
pub use template::{BadTemplate, CannotFill, Held, Name, SEPARATOR, Template, Value as Captured};
pub use wrapping::{wrapper_name, wrapper_names, wrapping};
