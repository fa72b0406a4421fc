//! Tensors that a file, or several, keeps in parts.

use alloc::vec::Vec;

use thiserror::Error;

use super::coverage::{Rectangle, check_coverage};
use super::tensor::{Data, Tensor, count_of};
use crate::DType;
use crate::sorting;

/// The parts of a tensor, each a view of its own, which do not overlap and leave nothing out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    shape: Vec<u64>,
    parts: Vec<TensorBlock>,
}

/// One part of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorBlock {
    /// The index of its first element in each dimension of what the parts are rectangles of.
    pub at: Vec<u64>,
    /// The part: a view, of the size of the rectangle in each dimension.
    pub tensor: Tensor,
}

/// Why parts do not make a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unassembled {
    /// A part is not a view of the tensor's type, or is not within it.
    #[error("the part at {at:?} does not lie within {shape:?}, or is of another type")]
    Outside {
        /// Where the part is said to be.
        at: Vec<u64>,
        /// What it should be a part of.
        shape: Vec<u64>,
    },
    /// Two parts have elements in common.
    #[error("the parts at {first:?} and {second:?} overlap")]
    Overlap {
        /// Where one of them is.
        first: Vec<u64>,
        /// Where the other is.
        second: Vec<u64>,
    },
    /// Elements that no part has.
    #[error("{found} of {count} elements are there")]
    Incomplete {
        /// Elements that the parts have together.
        found: u64,
        /// Elements of the tensor.
        count: u64,
    },
}

impl Blocks {
    /// What the parts are rectangles of: as many elements as the tensor, in the same order.
    ///
    /// It is the tensor's own shape, or `[count]` where a trainer cut a flat buffer into runs.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The parts.
    pub fn parts(&self) -> &[TensorBlock] {
        &self.parts
    }

    pub(super) fn moved(&self, by: u64) -> Blocks {
        let moved =
            |part: &TensorBlock| TensorBlock { at: part.at.clone(), tensor: part.tensor.moved(by) };
        Blocks { shape: self.shape.clone(), parts: self.parts.iter().map(moved).collect() }
    }
}

impl TensorBlock {
    /// What it covers.
    fn rectangle(&self) -> Rectangle<'_> {
        Rectangle { at: &self.at, size: &self.tensor.shape }
    }
}

impl Tensor {
    /// A tensor kept in parts that are rectangles of `inner`, a shape with as many elements in the
    /// same order; parts without elements are left out.
    ///
    /// # Errors
    /// Parts that overlap, leave elements out, are of another type, or are not within the tensor.
    pub fn of_blocks(
        dtype: DType,
        shape: Vec<u64>,
        inner: Vec<u64>,
        parts: Vec<TensorBlock>,
    ) -> Result<Tensor, Unassembled> {
        let mut parts: Vec<TensorBlock> =
            parts.into_iter().filter(|part| part.tensor.count() > 0).collect();
        let is_odd =
            |part: &&TensorBlock| part.tensor.dtype != dtype || part.tensor.as_view().is_none();
        if let Some(odd) = parts.iter().find(is_odd) {
            return Err(Unassembled::Outside { at: odd.at.clone(), shape: inner });
        }
        sorting::sort_by(&mut parts, |a, b| a.at.cmp(&b.at));
        let rectangles: Vec<Rectangle<'_>> = parts.iter().map(TensorBlock::rectangle).collect();
        check_coverage(&inner, &rectangles)?;
        let (found, count) = (count_of(&inner), count_of(&shape));
        if found != count {
            let [found, count] = [found, count].map(|it| it.unwrap_or(u64::MAX));
            return Err(Unassembled::Incomplete { found, count });
        }
        Ok(Tensor { dtype, shape, data: Data::Blocks(Blocks { shape: inner, parts }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Storage;
    use alloc::string::{String, ToString};
    use alloc::sync::Arc;
    use alloc::vec;

    fn part(at: &[u64], shape: &[u64]) -> TensorBlock {
        let storage = Arc::new(Storage::stored(0..1000));
        let tensor = Tensor::dense(DType::U8, shape.into(), 0, storage).expect("within");
        TensorBlock { at: at.into(), tensor }
    }

    fn made(shape: &[u64], parts: Vec<TensorBlock>) -> Result<u64, String> {
        let tensor = Tensor::of_blocks(DType::U8, vec![12], shape.into(), parts);
        tensor.map(|tensor| tensor.byte_len()).map_err(|why| why.to_string())
    }

    #[test]
    fn parts_cover_a_tensor_once() {
        let halves =
            || vec![part(&[0, 2], &[3, 2]), part(&[0, 0], &[3, 2]), part(&[1, 1], &[0, 2])];
        assert_eq!(made(&[3, 4], halves()), Ok(12));
        let twice = vec![part(&[0, 0], &[3, 3]), part(&[2, 2], &[1, 2])];
        assert_eq!(made(&[3, 4], twice), Err("the parts at [0, 0] and [2, 2] overlap".into()));
        assert_eq!(
            made(&[3, 4], vec![part(&[0, 0], &[3, 3])]),
            Err("9 of 12 elements are there".into())
        );
        let outside = "the part at [2, 0] does not lie within [3, 4], or is of another type";
        assert_eq!(made(&[3, 4], vec![part(&[2, 0], &[2, 4])]), Err(outside.into()));
        assert_eq!(made(&[12], vec![part(&[5], &[7]), part(&[0], &[5])]), Ok(12));
    }
}
