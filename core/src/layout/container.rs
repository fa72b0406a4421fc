//! An opened file.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Catalog, Fault, Headroom, Layout, Mentions, Plan, Section, Value, objects::Objects};

/// What a revision may do to the tensors' places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Nothing: every copied range stays at its offset.
    Within,
    /// Move all of them on by one multiple of a block, as a file system can insert blocks in front
    /// of a file without moving a byte.
    Insert {
        /// The length of a block in bytes; at least 1.
        block: u64,
    },
}

impl Growth {
    /// How long the head of a file becomes that has `old` bytes and needs `needed`; `None` if it
    /// may not grow so far.
    pub fn of_head(self, old: u64, needed: u64) -> Option<u64> {
        let missing = needed.saturating_sub(old);
        let inserted = match self {
            Growth::Within => 0,
            Growth::Insert { block } => missing.checked_next_multiple_of(block.max(1))?,
        };
        (inserted >= missing).then(|| old.checked_add(inserted)).flatten()
    }
}

/// An opened file.
pub trait Container: Send + Sync {
    /// The name of its kind, as `ls --json` gives it; more precise than the name of its format.
    fn kind(&self) -> &'static str;

    /// The kind that [`Container::rewrite`] writes; another one where this kind is only read.
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

    /// Everything the file builds, to be held against another file's; `None` where that is tensors
    /// alone.
    ///
    /// # Errors
    /// What is beyond the reader's limits.
    fn objects(&self) -> Result<Option<Objects>, Fault> {
        Ok(None)
    }

    /// What the file holds beside its tensors; `None` where the format holds nothing else.
    ///
    /// # Errors
    /// Payload beyond the reader's limits.
    fn payload(&self) -> Result<Option<Value>, Fault> {
        Ok(None)
    }

    /// The names of keys that a plan changes which the file holds outside its state dicts.
    ///
    /// # Errors
    /// As [`Container::rewrite`].
    fn mentions(&self, _plan: &Plan) -> Result<Mentions, Fault> {
        Ok(Mentions::default())
    }

    /// The same file with other keys, everything else as it was, save for names of keys elsewhere
    /// that are known to follow.
    ///
    /// Where the format [casts in files](crate::Facts::casts_in_files), some tensors get other element
    /// types as well.
    /// A plan that changes nothing gives a copy of the whole file; any other a file that keeps
    /// `reserve`.
    ///
    /// # Errors
    /// The reason, for instance names that code in the file refers to.
    fn rewrite(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault>;

    /// The same, spelled so that loaders read it by default: pickles in protocol 2.
    ///
    /// A format that has one spelling only is written as by [`Container::rewrite`].
    ///
    /// # Errors
    /// As [`Container::rewrite`], and what cannot be spelled so.
    fn rewrite_plainly(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault> {
        self.rewrite(plan, reserve)
    }

    /// The file of [`Container::rewrite`] laid out around its tensors where they are, so that
    /// writing it is writing a few small ranges of the old file: [`Layout::edits`] says which.
    ///
    /// It holds what the rewritten file holds; where the two differ is only in padding and order
    /// of what is not a tensor, and in bytes that nothing refers to.
    /// `None` where the format, this file or these names leave no way to do that, and for plans that
    /// cast.
    ///
    /// # Errors
    /// As [`Container::rewrite`].
    fn rewrite_in_place(&self, _plan: &Plan, _growth: Growth) -> Result<Option<Layout>, Fault> {
        Ok(None)
    }
}
