//! What an opened checkpoint holds, whether it is one file or several.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Catalog, Fault, Mentions, Plan, Section, Value, objects::Objects};

/// An opened checkpoint, to be looked at.
pub trait Opened: Send + Sync {
    /// The name of its kind, as `ls --json` gives it; more precise than the name of its format.
    fn kind(&self) -> &'static str;

    /// The kind that rewriting it writes; another one where this kind is only read.
    fn rewritten_as(&self) -> &'static str {
        self.kind()
    }

    /// What it holds.
    fn catalog(&self) -> &Catalog;

    /// Text beside the tensors, in order, each under a name of its own.
    fn metadata(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The same under a renaming: names of keys in it that are known to follow have followed.
    fn metadata_after(&self, _section: &Section) -> Vec<(String, String)> {
        self.metadata()
    }

    /// Everything it builds, to be held against another's; `None` where that is tensors alone, or
    /// spread over several files.
    ///
    /// # Errors
    /// What is beyond the reader's limits.
    fn objects(&self) -> Result<Option<Objects>, Fault> {
        Ok(None)
    }

    /// What it holds beside its tensors; `None` where that is nothing, or spread over several files.
    ///
    /// # Errors
    /// Payload beyond the reader's limits.
    fn payload(&self) -> Result<Option<Value>, Fault> {
        Ok(None)
    }

    /// The names of keys that a plan changes which it holds outside its state dicts.
    ///
    /// # Errors
    /// What prevents it from being rewritten so.
    fn mentions(&self, _plan: &Plan) -> Result<Mentions, Fault> {
        Ok(Mentions::default())
    }
}
