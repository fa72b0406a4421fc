//! Figures of tensors' elements, taken in one pass over the file by all processors.
//!
//! A tensor is cut into portions of a fixed size, which are put together in their order; so the
//! figures are the same to the last bit whatever the number of threads.

mod tally;

use std::collections::HashMap;

use statedict_core::{Elements, Fault, Place, Statistics, Tensor, sorting};

use crate::checkpoint::Checkpoint;
use crate::elements::numbers::is_real;
use crate::elements::portions::{Portion, portions};
use crate::elements::{self, MAX_REPEATED, MAX_REPETITION, StreamError};
use crate::error::{Action, Error};
use crate::parallel::each;
use tally::Tally;

/// Bytes that one thread takes at a time.
const SHARE: u64 = 32 << 20;

/// Bytes of a tensor that has to be gathered that one thread takes at a time.
const GATHERED: u64 = 4 << 20;

/// Bytes that are read at once; they stay in a processor's cache.
const STEP: u64 = 256 << 10;

/// The figures of a tensor, or why it has none.
pub type Measured = Result<Statistics, String>;

impl Checkpoint {
    /// The figures of some tensors' elements: of complex numbers those of their magnitudes.
    ///
    /// Tensors that share their elements are read once.
    ///
    /// # Errors
    /// What keeps the elements from being read, and views that overlap so often that reading each is
    /// out of proportion to the file.
    pub fn statistics(&self, tensors: &[&Tensor]) -> Result<Vec<Measured>, Error> {
        let readable: Vec<Result<Elements, String>> =
            tensors.iter().map(|tensor| readable(tensor)).collect();
        let (distinct, of) = distinct(&readable);
        self.refuse_repetition(&distinct)?;
        let jobs = distinct.iter().enumerate().flat_map(|(of, elements)| jobs(of, elements));
        let mut parts = each(jobs, || {
            let mut tally = Tally::default();
            move |job: Job<'_>| job.take(self, &mut tally)
        })
        .map_err(|fault| Error::new(Action::Read, self.path(), fault))?;
        sorting::sort_by_key(&mut parts, |part| (part.of, part.start));
        let mut found = vec![Statistics::default(); distinct.len()];
        parts.iter().for_each(|part| found[part.of].merge(&part.statistics));
        let measured = readable.iter().zip(of).map(|(readable, of)| match (readable, of) {
            (Err(why), _) => Err(why.clone()),
            (Ok(_), place) => Ok(place.map_or_else(Statistics::default, |at| found[at].clone())),
        });
        Ok(measured.collect())
    }

    fn refuse_repetition(&self, distinct: &[&Elements]) -> Result<(), Error> {
        let lens = distinct.iter().map(|elements| elements.byte_len());
        if lens.fold(0, u64::saturating_add)
            <= MAX_REPEATED.max(self.len().saturating_mul(MAX_REPETITION))
        {
            return Ok(());
        }
        let what = format!(
            "its tensors overlap, and have over {MAX_REPETITION} times the file's bytes together, \
             the limit of statistics"
        );
        Err(Error::new(Action::Read, self.path(), Fault::TooLarge { at: None, what }))
    }
}

/// The elements of a tensor, if they are numbers that can be read.
fn readable(tensor: &Tensor) -> Result<Elements, String> {
    let dtype = &tensor.dtype;
    let elements = Elements::new(tensor.clone(), None)?;
    if !is_real(dtype) && !dtype.is_complex() {
        return Err(format!("elements of type {dtype} are not read as numbers"));
    }
    match elements::obstacle(&elements) {
        Some(fault) => Err(fault.to_string()),
        None => Ok(elements),
    }
}

/// Elements that are in different places, and which of them each is; none for those without any.
fn distinct(all: &[Result<Elements, String>]) -> (Vec<&Elements>, Vec<Option<usize>>) {
    let (mut places, mut distinct) = (HashMap::<Place<'_>, usize>::new(), Vec::new());
    let of = all.iter().map(|elements| {
        let elements = elements.as_ref().ok().filter(|elements| elements.byte_len() > 0)?;
        let next = distinct.len();
        let known = elements.place().map_or(next, |place| *places.entry(place).or_insert(next));
        if known == next {
            distinct.push(elements);
        }
        Some(known)
    });
    let of = of.collect();
    (distinct, of)
}

/// Some of a tensor's elements.
struct Job<'a> {
    of: usize,
    start: u64,
    elements: &'a Elements,
    content: Content<'a>,
}

enum Content<'a> {
    /// Bytes that the file has as they are.
    Stored { at: u64, len: u64 },
    /// Elements that are gathered.
    Gathered(Portion<'a>),
    /// All of them, from front to back.
    Streamed,
}

/// The figures of some of a tensor's elements.
struct Part {
    of: usize,
    start: u64,
    statistics: Statistics,
}

fn jobs<'a>(of: usize, elements: &'a Elements) -> Vec<Job<'a>> {
    let job = |start, content| Job { of, start, elements, content };
    if let Some(range) = elements.verbatim() {
        // A multiple of every element's bytes.
        let starts = (range.start..range.end).step_by(SHARE as usize);
        let stored = |at| Content::Stored { at, len: SHARE.min(range.end - at) };
        return starts.map(|at| job(at, stored(at))).collect();
    }
    match portions(elements, GATHERED) {
        Some(portions) => portions
            .into_iter()
            .map(|portion| job(portion.start, Content::Gathered(portion)))
            .collect(),
        None => vec![job(0, Content::Streamed)],
    }
}

impl Job<'_> {
    fn take(self, checkpoint: &Checkpoint, tally: &mut Tally) -> Result<Part, Fault> {
        let (source, dtype) = (checkpoint.source(), self.elements.dtype());
        tally.begin(dtype);
        match self.content {
            Content::Stored { at, len } => tally.read(source, at, len, STEP)?,
            Content::Gathered(portion) => tally.fill(portion.len, |buffer| {
                portion.fill(source, buffer).map(drop).map_err(read_fault)
            })?,
            Content::Streamed => {
                let streamed = elements::stream(source, self.elements, &mut |bytes| {
                    tally.add(bytes);
                    Ok(())
                });
                streamed.map_err(read_fault)?;
            }
        }
        Ok(Part { of: self.of, start: self.start, statistics: tally.end() })
    }
}

fn read_fault(error: StreamError) -> Fault {
    match error {
        StreamError::Read(fault) => fault,
        StreamError::Sink(error) => Fault::Unreadable(error.into()),
    }
}
