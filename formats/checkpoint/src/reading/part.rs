//! A part of a tensor, cut out as NumPy cuts arrays.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use statedict_core::{DType, Elements, Fault, Layout, Tensor};

use super::TensorRef;
use crate::checkpoint::Checkpoint;
use crate::disk::Existing;
use crate::elements;
use crate::error::{Action, Cause, Error};
use crate::write::Staged;

/// Entries that are taken one by one at most: each is a block of its own, and so many take 64 MB.
const MAX_PICKED: u64 = 1 << 15;

/// What is taken of one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// One entry, counted from the end if it is negative; the dimension goes.
    One(i64),
    /// Entries from the first on, up to the second and without it, each counted from the end if it
    /// is negative; what is beyond the dimension is nothing.
    Range {
        /// The first; where the step begins if there is none.
        start: Option<i64>,
        /// Where it ends.
        stop: Option<i64>,
        /// From one entry to the next, backwards if it is negative; 0 is taken for 1.
        step: i64,
    },
    /// All of the dimensions that no other index is for, once at most.
    Ellipsis,
}

/// A tensor, or a part of one, whose elements stay in the file until they are asked for.
#[derive(Debug)]
pub struct TensorPart<'a> {
    checkpoint: &'a Checkpoint,
    name: String,
    elements: Elements,
}

impl Checkpoint {
    /// A part of a tensor: an index for each of its first dimensions; the rest is taken whole.
    ///
    /// Reading it reads no more of the file than it needs, unless the tensor is compressed.
    ///
    /// # Errors
    /// There is no such tensor, it has no plain elements, or it has no such part.
    pub fn part<'a>(
        &self,
        tensor: impl Into<TensorRef<'a>>,
        indices: &[Index],
    ) -> Result<TensorPart<'_>, Error> {
        let which = tensor.into();
        let name = which.name(self.catalog());
        let cut = cut(self.elements(which, None)?, indices);
        let elements = cut.map_err(|cause| self.failed(which, cause))?;
        Ok(TensorPart { checkpoint: self, name, elements })
    }
}

impl TensorPart<'_> {
    /// The type of its elements.
    pub fn dtype(&self) -> &DType {
        self.elements.dtype()
    }

    /// Its size in each dimension.
    pub fn shape(&self) -> &[u64] {
        self.elements.shape()
    }

    /// How many bytes its elements have.
    pub fn byte_len(&self) -> u64 {
        self.elements.byte_len()
    }

    /// The same elements in another floating-point type, if they are floating-point numbers.
    #[must_use]
    pub fn cast(mut self, to: &DType) -> Self {
        self.elements = self.elements.cast(to);
        self
    }

    /// Its elements: row-major, little-endian, side by side.
    ///
    /// # Errors
    /// What keeps them from being read.
    pub fn read(&self) -> Result<Vec<u8>, Error> {
        self.collect(&self.elements)
    }

    /// The elements of its corners: of each dimension the first and last `edge` entries, or all of
    /// them where it has no more than twice as many.
    ///
    /// # Errors
    /// What keeps them from being read.
    pub fn read_corners(&self, edge: u64) -> Result<Vec<u8>, Error> {
        let mut corners = self.elements.clone();
        for axis in 0..self.shape().len() {
            let size = self.shape()[axis];
            if size > 2 * edge {
                let ends = [0..edge, size - edge..size];
                let ends = ends.map(|range| corners.clone().slice(axis, range));
                let joined = ends.into_iter().collect::<Result<Vec<_>, _>>();
                let joined = joined.and_then(|ends| Elements::concat(axis, ends));
                corners = joined.map_err(|why| self.failed(Fault::Unsupported(why).into()))?;
            }
        }
        self.collect(&corners)
    }

    /// Writes its elements, as [`read`](TensorPart::read) gives them, some at a time.
    ///
    /// # Errors
    /// What keeps them from being read or written.
    pub fn write_to(&self, out: &mut dyn Write) -> Result<io::Result<()>, Error> {
        let mut failed = None;
        let streamed = elements::stream(self.checkpoint.source(), &self.elements, &mut |bytes| {
            out.write_all(bytes).map_err(|error| {
                failed = Some(error);
                io::ErrorKind::Other.into()
            })
        });
        match (streamed, failed) {
            (_, Some(error)) => Ok(Err(error)),
            (Ok(()), None) => Ok(Ok(())),
            (Err(error), None) => Err(self.failed(error.into())),
        }
    }

    /// Writes it as a `.npy` file of NumPy beside `out`.
    ///
    /// # Errors
    /// A type that NumPy does not have, and what keeps it from being written.
    pub fn stage_npy(&self, out: &Path, existing: Existing) -> Result<Staged, Error> {
        let layout = statedict_npz::npy(&self.elements)
            .map_err(|why| self.failed(Fault::Unsupported(why).into()))?;
        self.checkpoint.stage(&layout.into(), out, existing)
    }

    /// Writes its elements and nothing else to a file beside `out`.
    ///
    /// # Errors
    /// What keeps it from being written.
    pub fn stage_bytes(&self, out: &Path, existing: Existing) -> Result<Staged, Error> {
        let mut layout = Layout::new();
        layout.elements(self.elements.clone());
        self.checkpoint.stage(&layout.into(), out, existing)
    }

    fn collect(&self, elements: &Elements) -> Result<Vec<u8>, Error> {
        let collected =
            self.checkpoint.collect(elements, |bytes, into| into.extend_from_slice(bytes));
        collected.map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: Cause) -> Error {
        let cause = Cause::Tensor { name: self.name.clone(), cause: Box::new(cause) };
        Error::new(Action::Read, self.checkpoint.path(), cause)
    }
}

/// Takes a part of each of the first dimensions.
fn cut(mut elements: Elements, indices: &[Index]) -> Result<Elements, Cause> {
    let shape = elements.shape().to_vec();
    let indices = &of_each(indices, &shape)?;
    let unsupported = |why| Cause::from(Fault::Unsupported(why));
    let mut picks = Vec::new();
    for (axis, (index, size)) in indices.iter().zip(&shape).enumerate() {
        let Entries { range, mut step, is_backwards } = index.within(*size, axis)?;
        if range != (0..*size) {
            elements = elements.slice(axis, range).map_err(unsupported)?;
        }
        if step > 1
            && let Some(every) = every(&elements, axis, step)
        {
            elements = every.map_err(unsupported)?;
            step = 1;
        }
        if step > 1 || is_backwards {
            picks.push(Pick { axis, step, is_backwards });
        }
    }
    elements = picked(elements, &picks).map_err(unsupported)?;
    let kept = |axis: usize| !matches!(indices.get(axis), Some(Index::One(_)));
    let sizes = elements.shape().iter().enumerate().filter(|(axis, _)| kept(*axis));
    let shape = sizes.map(|(_, size)| *size).collect();
    elements.reshape(shape).map_err(unsupported)
}

/// The indices, one for each of as many first dimensions.
fn of_each(indices: &[Index], shape: &[u64]) -> Result<Vec<Index>, Cause> {
    let others = indices.iter().filter(|index| **index != Index::Ellipsis).count();
    if others + 1 < indices.len() {
        return Err(Cause::Mismatch("several ellipses, '...'; expected one at most".into()));
    }
    let Some(left) = shape.len().checked_sub(others) else {
        let indices = if others == 1 { "index" } else { "indices" };
        let dimensions = if shape.len() == 1 { "dimension" } else { "dimensions" };
        let has = shape.len();
        let what = format!("{others} {indices} for {has} {dimensions}, {shape:?}");
        return Err(Cause::Mismatch(what));
    };
    let whole = Index::Range { start: None, stop: None, step: 1 };
    let each = indices.iter().flat_map(|index| match index {
        Index::Ellipsis => vec![whole; left],
        index => vec![*index],
    });
    Ok(each.collect())
}

/// Every few entries of a dimension, from the first on; none if that is no view of one tensor.
fn every(elements: &Elements, axis: usize, step: u64) -> Option<Result<Elements, String>> {
    let tensor: &Tensor = elements.tensor()?;
    Some(Elements::new(tensor.every(axis, step)?, None))
}

/// Entries of a dimension that are taken one by one.
struct Pick {
    axis: usize,
    step: u64,
    is_backwards: bool,
}

impl Pick {
    /// How many there are of a dimension of this size.
    fn count(&self, size: u64) -> u64 {
        size.div_ceil(self.step)
    }
}

/// Takes entries of some dimensions one by one.
fn picked(mut elements: Elements, picks: &[Pick]) -> Result<Elements, String> {
    let counts = picks.iter().map(|pick| pick.count(elements.shape()[pick.axis]));
    if counts.fold(1, u64::saturating_mul) > MAX_PICKED {
        let what = "backwards, or in steps where a tensor is in several places";
        return Err(format!("more than {MAX_PICKED} entries are not taken {what}"));
    }
    for pick in picks {
        let axis = pick.axis;
        let count = pick.count(elements.shape()[axis]);
        let parts = (0..count).map(|place| {
            let place = if pick.is_backwards { count - 1 - place } else { place };
            let entry = place * pick.step;
            elements.clone().slice(axis, entry..entry + 1)
        });
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        if !parts.is_empty() {
            elements = Elements::concat(axis, parts)?;
        }
    }
    Ok(elements)
}

/// Some entries of a dimension.
#[derive(Debug, PartialEq, Eq)]
struct Entries {
    /// Those between the first and the last in the order of the file.
    range: Range<u64>,
    /// From one to the next.
    step: u64,
    /// They are wanted in the other order.
    is_backwards: bool,
}

impl Entries {
    fn forwards(range: Range<u64>, step: u64) -> Entries {
        Entries { range, step, is_backwards: false }
    }

    /// From the entry below `above` on, down to that above `last`.
    fn backwards(above: u64, last: u64, step: u64) -> Entries {
        // The last one is not always reached: the range begins at the last that is.
        let first = match above.checked_sub(last).filter(|between| *between > 0) {
            Some(between) => above - 1 - (between - 1) / step * step,
            None => above,
        };
        Entries { range: first..above, step, is_backwards: true }
    }
}

impl Index {
    /// The entries that are meant of a dimension of this size.
    fn within(self, size: u64, axis: usize) -> Result<Entries, Cause> {
        let from_end = |index: i64| {
            if index < 0 { size.checked_sub(index.unsigned_abs()) } else { Some(index as u64) }
        };
        match self {
            Index::One(index) => match from_end(index).filter(|index| *index < size) {
                Some(index) => Ok(Entries::forwards(index..index + 1, 1)),
                None => {
                    let what = format!("index {index} is outside dimension {axis} of size {size}");
                    Err(Cause::Mismatch(what))
                }
            },
            Index::Range { start, stop, step } if step < 0 => {
                // Places are those behind the entries: 0 is before the first.
                let behind = |index: i64| from_end(index).map_or(0, |at| at.saturating_add(1));
                let above = start.map_or(size, |start| behind(start).min(size));
                let last = stop.map_or(0, |stop| behind(stop).min(size));
                Ok(Entries::backwards(above, last, step.unsigned_abs()))
            }
            Index::Range { start, stop, step } => {
                let at = |index: i64| from_end(index).unwrap_or(0).min(size);
                let start = start.map_or(0, at);
                let stop = stop.map_or(size, at).max(start);
                Ok(Entries::forwards(start..stop, step.unsigned_abs().max(1)))
            }
            Index::Ellipsis => Ok(Entries::forwards(0..size, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: Option<i64>, stop: Option<i64>) -> Index {
        Index::Range { start, stop, step: 1 }
    }

    #[test]
    fn indices_are_counted_from_both_ends() {
        let within = |index: Index| index.within(5, 0).ok().map(|entries| entries.range);
        assert_eq!(within(Index::One(0)), Some(0..1));
        assert_eq!(within(Index::One(-1)), Some(4..5));
        assert_eq!(within(Index::One(5)), None);
        assert_eq!(within(Index::One(-6)), None);
        assert_eq!(within(range(None, None)), Some(0..5));
        assert_eq!(within(range(Some(1), Some(-1))), Some(1..4));
        assert_eq!(within(range(Some(-2), None)), Some(3..5));
        assert_eq!(within(range(Some(-9), Some(99))), Some(0..5));
        assert_eq!(within(range(Some(4), Some(2))), Some(4..4));
        assert_eq!(within(range(Some(i64::MIN), Some(i64::MAX))), Some(0..5));
    }

    #[test]
    fn steps_backwards_take_the_entries_that_python_takes() {
        // What `range(7)[start:stop:step]` is.
        let check = |start, stop, step, expected: &[u64]| {
            let index = Index::Range { start, stop, step };
            let Entries { range, step, is_backwards } = index.within(7, 0).expect("a range");
            let mut entries: Vec<u64> = range.step_by(step as usize).collect();
            if is_backwards {
                entries.reverse();
            }
            assert_eq!(entries, expected, "{index:?}");
        };
        check(None, None, -1, &[6, 5, 4, 3, 2, 1, 0]);
        check(None, None, -2, &[6, 4, 2, 0]);
        check(None, None, -4, &[6, 2]);
        check(Some(5), Some(1), -3, &[5, 2]);
        check(Some(5), Some(2), -3, &[5]);
        check(Some(1), Some(5), -1, &[]);
        check(Some(-1), Some(-3), -1, &[6, 5]);
        check(Some(99), Some(-99), -3, &[6, 3, 0]);
        check(Some(-99), None, -1, &[]);
        check(Some(0), None, -1, &[0]);
        check(Some(3), Some(3), -1, &[]);
        check(None, Some(0), -1, &[6, 5, 4, 3, 2, 1]);
        check(None, None, i64::MIN, &[6]);
        check(None, None, i64::MAX, &[0]);
    }

    #[test]
    fn an_ellipsis_is_for_the_dimensions_that_are_left() {
        let (all, one) = (range(None, None), Index::One(1));
        let each = |indices: &[Index], dimensions| {
            of_each(indices, &vec![2; dimensions]).map_err(|cause| cause.to_string())
        };
        assert_eq!(each(&[Index::Ellipsis, one], 3), Ok(vec![all, all, one]));
        assert_eq!(each(&[one, Index::Ellipsis, one], 3), Ok(vec![one, all, one]));
        assert_eq!(each(&[one, Index::Ellipsis, one], 2), Ok(vec![one, one]));
        assert_eq!(each(&[Index::Ellipsis], 0), Ok(vec![]));
        assert!(each(&[one, Index::Ellipsis, one], 1).is_err());
        assert!(each(&[Index::Ellipsis, Index::Ellipsis], 3).is_err());
    }
}
