//! An opened file.

use crate::{Fault, Headroom, Layout, Opened, Plan};

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
pub trait Container: Opened {
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
