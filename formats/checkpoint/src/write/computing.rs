//! Long tensors that are gathered, cast or drawn, made portion by portion on every processor.

use std::collections::BTreeMap;

use statedict_core::Elements;

use crate::elements::gather::BUDGET;
use crate::elements::losses::Losses;
use crate::elements::portions::{Portion, portions};
use crate::elements::{self, StreamError};
use crate::parallel::{each_on, processors};
use crate::source::ReadOnce;

use super::aligned::Aligned;
use super::checksums::Sum;
use super::chunks::{Chunk, Work};
use super::filling::{Filling, Stretch};

/// Memory that all threads together take for what they compute before it is written, and for windows
/// of what they read: enough to read the columns of large matrices in long runs.
const MEMORY: u64 = 48 << 20;

/// Bytes that are written between two looks at whether the work is to stop.
const WRITTEN_AT_ONCE: u64 = 8 << 20;

/// A tensor, or a portion of it, that one thread makes and writes.
struct Job<'a> {
    chunk: &'a Chunk<'a>,
    elements: &'a Elements,
    /// All of it, from front to back, if none.
    portion: Option<Portion<'a>>,
}

/// What is to be remembered of what was made.
struct Made<'a> {
    /// The tensor, and where it is in the new file.
    of: (u64, &'a Elements),
    sum: Option<Sum>,
    losses: Losses,
}

impl Filling<'_> {
    /// Writes those of the stretches that are computed; gives the sums that were asked for.
    pub(super) fn compute_all(&self, stretches: &[&Chunk<'_>]) -> Result<Vec<Sum>, StreamError> {
        let threads = processors();
        let most = MEMORY / threads as u64 - BUDGET.window;
        let jobs = stretches.iter().flat_map(|chunk| jobs(chunk, most));
        let made = each_on(threads, jobs, || {
            let mut buffer = Aligned::default();
            move |job: Job| self.make(&job, &mut buffer)
        })?;
        let mut lossy = BTreeMap::<u64, (&Elements, Losses)>::new();
        let mut sums = Vec::new();
        for Made { of: (at, elements), sum, losses } in made {
            sums.extend(sum);
            lossy.entry(at).or_insert((elements, Losses::default())).1 += losses;
        }
        lossy.into_values().for_each(|(elements, losses)| self.note(elements, losses));
        Ok(sums)
    }

    fn make<'a>(&self, job: &Job<'a>, buffer: &mut Aligned) -> Result<Made<'a>, StreamError> {
        let Job { chunk, elements, portion } = job;
        if let Some(fault) = elements::obstacle(elements) {
            return Err(fault.into());
        }
        let at = chunk.at + portion.as_ref().map_or(0, |portion| portion.start);
        let mut written = Stretch::new(self, at, chunk.summed);
        let source = self.writing.source;
        let losses = match portion {
            None => elements::stream_counting(source, elements, &mut |bytes| written.put(bytes))?,
            Some(portion) => {
                let len = usize::try_from(portion.len).expect("a portion fits in memory");
                let bytes = buffer.for_place(at, len);
                let losses = if portion.is_in_order() && self.output.is_direct() {
                    portion.fill(&ReadOnce(source), bytes)?
                } else {
                    portion.fill(source, bytes)?
                };
                for piece in pieces(at, bytes) {
                    written.put(piece).map_err(StreamError::Sink)?;
                }
                losses
            }
        };
        let len = portion.as_ref().map_or(chunk.len(), |portion| portion.len);
        if written.at == at + len {
            Ok(Made { of: (chunk.at, elements), sum: written.sum, losses })
        } else {
            Err(self.unexpected(written.at))
        }
    }
}

fn jobs<'a>(chunk: &'a Chunk<'a>, most: u64) -> Vec<Job<'a>> {
    let Work::Elements(elements) = chunk.work else { return Vec::new() };
    match portions(elements, most) {
        None => vec![Job { chunk, elements, portion: None }],
        Some(portions) => {
            let job = |portion| Job { chunk, elements, portion: Some(portion) };
            portions.into_iter().map(job).collect()
        }
    }
}

/// Bytes for a place of the file in pieces, all but the last of which end where a block does.
fn pieces(at: u64, mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut first = WRITTEN_AT_ONCE - at % WRITTEN_AT_ONCE;
    std::iter::from_fn(move || {
        let len = usize::try_from(first).map_or(bytes.len(), |first| first.min(bytes.len()));
        first = WRITTEN_AT_ONCE;
        let (piece, rest) = bytes.split_at(len);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}
