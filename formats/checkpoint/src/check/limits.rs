//! How far a check goes; crossing one of these makes a file malformed, and the finding names it.
//!
//! There is one budget for a whole file, however many archives are in it and however often its
//! members share their bytes, so that no file takes more than some seconds for each megabyte.

use std::sync::atomic::{AtomicU64, Ordering};

use statedict_core::{Fault, Source};

/// How deep archives may be nested in archives.
pub(super) const MAX_DEPTH: usize = 4;

/// How much is held in memory at once, inflated, to look into it: 16 MiB, of all archives in
/// archives together.
pub(super) const MAX_HELD: u64 = 16 << 20;

/// How much is looked into of a member that is too long and grows beyond belief: 4 MiB, which is a
/// fraction of a second's work.
pub(super) const MAX_HELD_OF_BOMBS: u64 = 4 << 20;

/// A member that grows to over this many times its length is hardly more than one byte over and
/// over.
pub(super) const MAX_GROWTH: u64 = 100;

/// How much is read of even the smallest file.
const LEAST_READ: u64 = 4 << 20;

/// How many times its length a small file may be read: pickles that were deflated are as long.
const READS_OF_SMALL: u64 = 40;

/// How much that may come to.
const MOST_READ_OF_SMALL: u64 = 192 << 20;

/// How many times its length a file of any length may be read: once for its checksums, once to
/// look into it, and once more for what is in archives of it.
const READS: u64 = 3;

/// The most that deflate makes of a byte, so the most that a file without overlaps inflates to.
const MOST_INFLATED: u64 = 1_032;

/// How much a file of some megabytes may inflate to, which is some seconds' work.
const LEAST_INFLATED: u64 = 4 << 30;

/// How many times its length a long file may inflate to.
const INFLATION: u64 = 64;

/// Whether the bytes of members are held against their checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksums {
    /// All of the file is read.
    #[default]
    Verified,
    /// What would be executed is found all the same; elements are not read.
    Skipped,
}

/// How much more may be read and inflated of a file.
pub(super) struct Budget {
    pub(super) checksums: Checksums,
    read: AtomicU64,
    inflated: AtomicU64,
}

impl Budget {
    pub(super) fn for_file(len: u64) -> Budget {
        let of_small = len.saturating_mul(READS_OF_SMALL).min(MOST_READ_OF_SMALL);
        let read = len.saturating_mul(READS).saturating_add(of_small + LEAST_READ);
        let inflated = LEAST_INFLATED.max(len.saturating_mul(INFLATION));
        let inflated = inflated.min(len.saturating_mul(MOST_INFLATED)).saturating_add(LEAST_READ);
        let (read, inflated) = (AtomicU64::new(read), AtomicU64::new(inflated));
        Budget { checksums: Checksums::Verified, read, inflated }
    }

    /// The same, with checksums or without.
    pub(super) fn with(self, checksums: Checksums) -> Budget {
        Budget { checksums, ..self }
    }

    /// How many more bytes may be read.
    pub(super) fn left(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Takes what has been read from the budget.
    fn spend(&self, bytes: u64) {
        // It never fails, since there is always a number to put there.
        let _ = self.read.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(left.saturating_sub(bytes))
        });
    }

    /// Leaves nothing that may be read.
    pub(super) fn exhaust(&self) {
        self.read.store(0, Ordering::Relaxed);
    }

    /// Takes what is to be inflated from the budget; false if there is not as much left.
    pub(super) fn take_inflated(&self, bytes: u64) -> bool {
        self.inflated
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes))
            .is_ok()
    }
}

/// A source whose reads are taken from a budget.
pub(super) struct Metered<'s> {
    source: &'s dyn Source,
    budget: &'s Budget,
}

impl<'s> Metered<'s> {
    pub(super) fn new(source: &'s dyn Source, budget: &'s Budget) -> Metered<'s> {
        Metered { source, budget }
    }
}

impl Source for Metered<'_> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        self.budget.spend(buffer.len() as u64);
        self.source.read_at(offset, buffer)
    }
}
