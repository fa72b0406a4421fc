//! Rules: what a user asks to become of keys, resolved against no file yet.

mod kind;
pub(crate) mod remap;
pub(crate) mod rule;
mod spelling;
pub(crate) mod template;
pub(crate) mod wrapping;

pub use kind::{RuleKind, Words};
pub use remap::{BadRemap, Fate, Prefix, Remap, Rename, Table, TemplatePair};
pub use rule::{Replacement, Rule, WRAPPERS, Wrappers};
pub use template::{BadTemplate, SEPARATOR, Template};
pub use wrapping::{wrapper_name, wrapper_names, wrapping};
