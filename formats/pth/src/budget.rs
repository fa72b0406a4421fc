//! How much may be made of a pickle: listings in proportion to it, whatever it says.
//!
//! What a pickle builds can be reached by ever more paths, and each of them costs memory and time:
//! thirty lists, each twice in the next, are a billion. So whoever follows paths pays for each step.

use std::cell::Cell;

use statedict_core::Fault;

use crate::pickle::Graph;
use crate::pickle::graph::{Compound, Entry};

/// What may be made of a file's pickle, in bytes, whatever the file's length: with the command
/// itself that is less than 64 MiB.
const LEAST_ROOM: usize = 36 << 20;

/// How much of its length a file of some megabytes gets in addition: one half.
const SHARE: usize = 2;

/// The most that this comes to, in bytes.
const MOST_SHARE: usize = 8 << 20;

/// What a tensor takes in a graph and in a listing, in bytes, beside what it takes of the pickle.
const TENSOR: usize = 1_400;

/// How many times the pickle's length all tensors may take: one has at least 100 bytes of it.
const OF_TENSORS: usize = 14;

/// What it costs to look at an entry, in bytes.
const ENTRY: usize = 8;

/// How much memory what a pickle builds and the listing of it may take, in bytes, of a file of this
/// length, with as many storages that are spelled out.
///
/// The pickle itself is in memory too, so what else is in the file is what there is room for.
pub(crate) fn room(file_len: u64, pickle_len: usize, spelled_out: usize) -> usize {
    let len = usize::try_from(file_len).unwrap_or(usize::MAX);
    let share = (len / SHARE).min(MOST_SHARE).saturating_add(len.saturating_sub(pickle_len));
    let tensors = spelled_out.saturating_mul(TENSOR).min(pickle_len.saturating_mul(OF_TENSORS));
    LEAST_ROOM.saturating_add(share).saturating_add(tensors)
}

/// What may still be spent on a listing.
pub(crate) struct Budget {
    left: Cell<usize>,
}

impl Budget {
    pub(crate) fn of(graph: &Graph<'_>) -> Budget {
        Budget { left: Cell::new(graph.room) }
    }

    /// Takes what a step costs, in bytes; a step that takes time alone costs a few.
    pub(crate) fn spend(&self, cost: usize) -> Result<(), Fault> {
        let Some(left) = self.left.get().checked_sub(cost) else {
            let what = "what the pickle builds is reached by ever more paths: a list of it takes more \
                        memory than the reader's limit for a file of this length";
            return Err(Fault::TooLarge { at: None, what: what.into() });
        };
        self.left.set(left);
        Ok(())
    }

    /// The entries of a mapping one after another, paid for.
    pub(crate) fn each_entry<'g>(
        &self,
        graph: &'g Graph<'_>,
        compound: &'g Compound,
    ) -> Result<impl Iterator<Item = Entry> + use<'g>, Fault> {
        let entries = graph.pairs_in_arguments(compound) + graph.each_entry(compound).count();
        self.spend(ENTRY.saturating_mul(entries + 1))?;
        Ok(graph.each_entry(compound))
    }

    /// The entries of a mapping, paid for.
    pub(crate) fn entries(
        &self,
        graph: &Graph<'_>,
        compound: &Compound,
    ) -> Result<Vec<Entry>, Fault> {
        Ok(self.each_entry(graph, compound)?.collect())
    }
}
