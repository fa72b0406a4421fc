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

/// What is taken of one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// One entry, counted from the end if it is negative; the dimension goes.
    One(i64),
    /// Entries from the first on, up to the second and without it, each counted from the end if it
    /// is negative; what is beyond the dimension is nothing.
    Range {
        /// The first; the dimension's own if there is none.
        start: Option<i64>,
        /// Where it ends.
        stop: Option<i64>,
        /// From one entry to the next, at least 1.
        step: u64,
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
    for (axis, (index, size)) in indices.iter().zip(&shape).enumerate() {
        let (range, step) = index.within(*size, axis)?;
        if range != (0..*size) {
            elements = elements.slice(axis, range).map_err(unsupported)?;
        }
        if step > 1 {
            elements = every(&elements, axis, step)?;
        }
    }
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
        let has = shape.len();
        return Err(Cause::Mismatch(format!("{others} indices for {has} dimensions, {shape:?}")));
    };
    let whole = Index::Range { start: None, stop: None, step: 1 };
    let each = indices.iter().flat_map(|index| match index {
        Index::Ellipsis => vec![whole; left],
        index => vec![*index],
    });
    Ok(each.collect())
}

fn every(elements: &Elements, axis: usize, step: u64) -> Result<Elements, Cause> {
    let tensor = elements.tensor().and_then(|tensor: &Tensor| tensor.every(axis, step));
    let tensor = tensor.ok_or_else(|| {
        Fault::Unsupported("only elements that are in one place are taken in steps".into())
    })?;
    Ok(Elements::new(tensor, None).map_err(Fault::Unsupported)?)
}

impl Index {
    /// The entries that are meant of a dimension of this size, and the step between them.
    fn within(self, size: u64, axis: usize) -> Result<(Range<u64>, u64), Cause> {
        let from_end = |index: i64| {
            if index < 0 { size.checked_sub(index.unsigned_abs()) } else { Some(index as u64) }
        };
        match self {
            Index::One(index) => match from_end(index).filter(|index| *index < size) {
                Some(index) => Ok((index..index + 1, 1)),
                None => {
                    let what = format!("index {index} is outside dimension {axis} of size {size}");
                    Err(Cause::Mismatch(what))
                }
            },
            Index::Range { start, stop, step } => {
                let at = |index: i64| from_end(index).unwrap_or(0).min(size);
                let start = start.map_or(0, at);
                let stop = stop.map_or(size, at).max(start);
                Ok((start..stop, step.max(1)))
            }
            Index::Ellipsis => Ok((0..size, 1)),
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
        let within = |index: Index| index.within(5, 0).ok().map(|(range, _)| range);
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
