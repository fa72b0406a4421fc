//! How far a check goes; crossing one of these makes a file malformed, and the finding names it.

use std::sync::atomic::{AtomicU64, Ordering};

/// How deep archives may lie in archives.
pub(super) const MAX_DEPTH: usize = 4;

/// How much of a member is held in memory at once, inflated, to look into it: 32 MiB, as much as
/// the reader inflates of a pickle.
pub(super) const MAX_HELD: u64 = 32 << 20;

/// How much is looked into of a member that is too long and grows beyond belief: 4 MiB, which is a
/// fraction of a second's work.
pub(super) const MAX_HELD_OF_BOMBS: u64 = 4 << 20;

/// How much a small file may inflate to while it is checked.
const LEAST_INFLATED: u64 = 4 << 30;

/// How many times its length a file may inflate to: deflate makes at most 1,032 bytes of one, so
/// without this a small file could keep a check busy for hours.
pub(super) const MAX_GROWTH: u64 = 100;

/// How many more bytes may be inflated of a file.
pub(super) struct Budget(AtomicU64);

impl Budget {
    pub(super) fn for_file(len: u64) -> Budget {
        Budget(AtomicU64::new(LEAST_INFLATED.max(len.saturating_mul(MAX_GROWTH))))
    }

    /// Takes from the budget; false if there is not as much left.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let taken = |left: u64| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }
}
