//! The checksums that a layout asks for; nothing else is summed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use crc32fast::Hasher;
use statedict_core::{Layout, Part};

/// The sum of some bytes of a part, computed by whoever wrote them.
pub(super) struct Sum {
    pub(super) part: usize,
    /// Where in the new file the bytes start.
    pub(super) at: u64,
    pub(super) hasher: Hasher,
}

/// Sums of spans, as their parts come from front to back.
pub(super) struct Checksums {
    wanted: HashMap<usize, HashSet<usize>>,
    running: Vec<(Range<usize>, Hasher)>,
    done: HashMap<Range<usize>, u32>,
    /// Sums of parts that were written apart, by part and place.
    apart: BTreeMap<(usize, u64), Hasher>,
}

impl Checksums {
    pub(super) fn of(layout: &Layout, apart: Vec<Sum>) -> Checksums {
        let mut wanted = HashMap::<usize, HashSet<usize>>::new();
        for part in layout.parts() {
            if let Part::Crc32(span) = part {
                wanted.entry(span.parts.start).or_default().insert(span.parts.end);
            }
        }
        let apart = apart.into_iter().map(|sum| ((sum.part, sum.at), sum.hasher)).collect();
        Checksums { wanted, running: Vec::new(), done: HashMap::new(), apart }
    }

    /// Ends the sums of the spans before part `i`, and begins those of the spans that start there.
    pub(super) fn reach(&mut self, i: usize) {
        let ends = self.wanted.remove(&i).unwrap_or_default();
        self.running.extend(ends.into_iter().map(|end| (i..end, Hasher::new())));
        for (span, hasher) in self.running.extract_if(.., |(span, _)| span.end <= i) {
            self.done.insert(span, hasher.finalize());
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.running.iter_mut().for_each(|(_, hasher)| hasher.update(bytes));
    }

    /// Adds what was written apart of part `i`.
    pub(super) fn join(&mut self, i: usize) {
        for (_, sum) in self.apart.range((i, 0)..(i + 1, 0)) {
            self.running.iter_mut().for_each(|(_, hasher)| hasher.combine(sum));
        }
    }

    pub(super) fn sum(&self, span: &Range<usize>) -> u32 {
        *self.done.get(span).expect("a layout's checksums are over parts before them")
    }
}
