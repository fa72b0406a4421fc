//! How much may be made of a pickle: listings in proportion to it, whatever it says.
//!
//! What a pickle builds can be reached by ever more paths, and each of them costs memory and time:
//! thirty lists, each twice in the next, are a billion. So whoever follows paths pays for each step.

use std::cell::Cell;

use statedict_core::Fault;

use crate::pickle::Graph;
use crate::pickle::graph::{Compound, Entry};

/// What a listing may take, in bytes, as a multiple of the pickle's length.
///
/// A tensor takes some 150 bytes of a pickle and 600 of a listing; a dict of small numbers takes 50
/// times its bytes in the pickle.
const MAX_GROWTH: usize = 64;

/// What a listing may take whatever the pickle's length, in bytes.
const MAX_SMALL: usize = 16 << 20;

/// What it costs to look at an entry, in bytes.
const ENTRY: usize = 8;

/// What may still be spent on a listing.
pub(crate) struct Budget {
    left: Cell<usize>,
}

impl Budget {
    pub(crate) fn of(graph: &Graph<'_>) -> Budget {
        let whole = graph.pickle.len().saturating_mul(MAX_GROWTH).saturating_add(MAX_SMALL);
        Budget { left: Cell::new(whole) }
    }

    /// Takes what a step costs, in bytes; a step that takes time alone costs a few.
    pub(crate) fn spend(&self, cost: usize) -> Result<(), Fault> {
        let Some(left) = self.left.get().checked_sub(cost) else {
            let what = format!(
                "what the pickle builds is reached by ever more paths: a list of it takes more than \
                 {MAX_GROWTH} times its length, the reader's limit"
            );
            return Err(Fault::TooLarge { at: None, what });
        };
        self.left.set(left);
        Ok(())
    }

    /// The entries of a mapping, paid for.
    pub(crate) fn entries(
        &self,
        graph: &Graph<'_>,
        compound: &Compound,
    ) -> Result<Vec<Entry>, Fault> {
        let entries = graph.entries(compound);
        self.spend(ENTRY.saturating_mul(graph.pairs_in_arguments(compound) + entries.len() + 1))?;
        Ok(entries)
    }
}
