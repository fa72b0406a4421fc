//! Other views of a tensor's elements: some of its rows, its transpose; elsewhere, the same.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::{Arithmetic, DType, Data, Tensor, row_major_strides};

impl Tensor {
    /// Some of the rows, which are what the first dimension counts.
    ///
    /// None if there are no such rows, no plain elements, or packed ones that would be cut apart.
    pub fn rows(&self, range: Range<u64>) -> Option<Tensor> {
        self.narrowed(0, range)
    }

    /// Some of what a dimension counts.
    ///
    /// None if there is no such range, no plain elements, or packed ones that would be cut apart.
    pub fn narrowed(&self, dimension: usize, range: Range<u64>) -> Option<Tensor> {
        let (view, size) = (self.as_view()?, *self.shape.get(dimension)?);
        if range.start > range.end || range.end > size {
            return None;
        }
        let mut shape = self.shape.clone();
        shape[dimension] = range.end - range.start;
        let start = range.start.checked_mul(*view.strides().get(dimension)?)?;
        let offset = view.offset().checked_add(start)?;
        let cut = self.viewed(shape, view.strides().to_vec(), offset)?;
        let is_whole = |elements: u64| (elements % 8 * self.dtype.bits()).is_multiple_of(8);
        let is_apart = dimension == 0 || range == (0..size) || self.dtype.bits().is_multiple_of(8);
        (is_whole(offset) && is_whole(cut.count()) && is_apart).then_some(cut)
    }

    /// The first of what a dimension counts, and every one that is `step` further on.
    ///
    /// None if there is no such dimension, no plain elements in one place, or packed ones.
    pub fn every(&self, dimension: usize, step: u64) -> Option<Tensor> {
        let (mut shape, view) = (self.shape.clone(), self.as_view()?);
        let mut strides = view.strides().to_vec();
        let (size, stride) = (shape.get_mut(dimension)?, strides.get_mut(dimension)?);
        *size = size.div_ceil(step.max(1));
        *stride = if *size > 1 { stride.checked_mul(step)? } else { *stride };
        self.viewed(shape, strides, view.offset())
    }

    /// Two dimensions swapped; none for other numbers of dimensions, and where elements are packed.
    pub fn transposed(&self) -> Option<Tensor> {
        self.permuted(&[1, 0])
    }

    /// The dimensions in another order, each of `axes` being a dimension of this tensor.
    ///
    /// None if that is not all of them, or elements are packed.
    pub fn permuted(&self, axes: &[usize]) -> Option<Tensor> {
        let view = self.as_view()?;
        let is_whole = (0..self.shape.len()).all(|axis| axes.contains(&axis));
        if axes.len() != self.shape.len() || !is_whole {
            return None;
        }
        let of = |sizes: &[u64]| axes.iter().map(|axis| sizes[*axis]).collect::<Vec<u64>>();
        self.viewed(of(&self.shape), of(view.strides()), view.offset())
    }

    /// Some of the elements of a tensor that has them side by side: the one at `offset`, and others at
    /// these distances from it.
    ///
    /// None where they are not side by side, or packed, or where there are no such elements.
    pub fn strided(&self, shape: Vec<u64>, strides: Vec<u64>, offset: u64) -> Option<Tensor> {
        let view = self.as_view().filter(|view| view.is_contiguous())?;
        let mut steps = shape
            .iter()
            .zip(&strides)
            .map(|(size, stride)| size.checked_sub(1)?.checked_mul(*stride));
        let last = steps.try_fold(offset, |last, step| last.checked_add(step?))?;
        if last >= self.count() || !self.dtype.bits().is_multiple_of(8) {
            return None;
        }
        let offset = view.offset().checked_add(offset)?;
        self.viewed(shape, strides, offset)
    }

    /// The same elements in the same order under another shape; none if they are not side by side.
    pub(crate) fn reshaped(&self, shape: Vec<u64>) -> Option<Tensor> {
        let view = self.as_view().filter(|view| view.is_contiguous())?;
        let strides = row_major_strides(&shape);
        self.viewed(shape, strides, view.offset())
    }

    /// The same elements with their dimensions split, or without some that have one entry.
    pub(crate) fn refined(
        &self,
        shape: Vec<u64>,
        strides: impl FnOnce(&[u64]) -> Vec<u64>,
    ) -> Option<Tensor> {
        let view = self.as_view()?;
        self.viewed(shape, strides(view.strides()), view.offset())
    }

    /// The same tensor where its file starts `by` bytes further on, after other files.
    pub fn moved(&self, by: u64) -> Tensor {
        let mut moved = self.clone();
        match &mut moved.data {
            Data::View(view) => {
                let mut storage = view.storage().as_ref().clone();
                storage.location = storage.location.moved(by);
                view.move_to(Arc::new(storage));
            }
            Data::Blocks(blocks) => *blocks = blocks.moved(by),
            Data::Unlocated | Data::Opaque { .. } => {}
        }
        moved
    }

    /// Other elements of the same storage, read as these are.
    fn viewed(&self, shape: Vec<u64>, strides: Vec<u64>, offset: u64) -> Option<Tensor> {
        let own = self.as_view()?;
        let storage = own.storage().clone();
        let mut tensor = Tensor::view(self.dtype.clone(), shape, strides, offset, storage).ok()?;
        if let Data::View(view) = &mut tensor.data {
            (view.conjugate, view.negate) = (own.conjugate, own.negate);
            view.arithmetic.clone_from(&own.arithmetic);
        }
        Some(tensor)
    }

    /// The same tensor whose elements are combined with a constant, after those they are combined
    /// with already.
    ///
    /// # Errors
    /// Elements that PyTorch does not calculate with, or that are not floating-point numbers.
    pub(crate) fn combined(&self, step: Arithmetic) -> Result<Tensor, String> {
        let mut tensor = self.clone();
        match &mut tensor.data {
            Data::View(view) if has_arithmetic(&self.dtype) => {
                Arc::make_mut(view.arithmetic.get_or_insert_default()).push(step);
                Ok(tensor)
            }
            _ => Err(format!(
                "{}{step} is not known; only F16, BF16, F32 and F64 are calculated with",
                self.dtype
            )),
        }
    }
}

/// True for the types whose elements are calculated with.
pub(crate) fn has_arithmetic(dtype: &DType) -> bool {
    matches!(dtype, DType::F16 | DType::Bf16 | DType::F32 | DType::F64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Storage};

    fn tensor(dtype: DType, shape: &[u64], offset: u64) -> Tensor {
        let storage = Arc::new(Storage::stored(0..1000));
        Tensor::view(dtype, shape.into(), row_major_strides(shape), offset, storage)
            .expect("within")
    }

    /// Shape, strides and offset.
    fn parts(tensor: Option<Tensor>) -> Option<(Vec<u64>, Vec<u64>, u64)> {
        let tensor = tensor?;
        let view = tensor.as_view()?;
        Some((tensor.shape.clone(), view.strides().to_vec(), view.offset()))
    }

    #[test]
    fn every_few_entries_are_taken_from_the_first_on() {
        let whole = tensor(DType::U8, &[3, 5], 0);
        assert_eq!(parts(whole.every(1, 2)), Some(([3, 3].into(), [5, 2].into(), 0)));
        assert_eq!(parts(whole.every(0, 2)), Some(([2, 5].into(), [10, 1].into(), 0)));
        assert_eq!(parts(whole.every(0, u64::MAX)), Some(([1, 5].into(), [5, 1].into(), 0)));
        assert_eq!(whole.every(2, 1), None);
    }

    #[test]
    fn rows_are_cut_from_the_first_dimension() {
        let whole = tensor(DType::F32, &[6, 2, 3], 5);
        assert_eq!(parts(whole.rows(2..5)), Some(([3, 2, 3].into(), [6, 3, 1].into(), 17)));
        assert_eq!(parts(whole.rows(6..6)), Some(([0, 2, 3].into(), [6, 3, 1].into(), 41)));
        assert_eq!(whole.rows(2..7), None);
        assert_eq!(tensor(DType::F32, &[], 0).rows(0..0), None);
    }

    #[test]
    fn columns_are_cut_from_another_dimension() {
        let whole = tensor(DType::F32, &[6, 4, 3], 5);
        assert_eq!(parts(whole.narrowed(1, 1..3)), Some(([6, 2, 3].into(), [12, 3, 1].into(), 8)));
        assert_eq!(whole.narrowed(1, 2..5), None);
        assert_eq!(whole.narrowed(3, 0..1), None);
        assert_eq!(tensor(DType::F4, &[4, 4], 0).narrowed(1, 0..2), None);
    }

    #[test]
    fn packed_elements_are_cut_between_bytes() {
        let whole = tensor(DType::F4, &[4, 3], 0);
        assert!(whole.rows(0..2).is_some() && whole.rows(2..4).is_some());
        assert!(whole.rows(0..1).is_none() && whole.rows(1..3).is_none());
    }

    #[test]
    fn two_dimensions_are_swapped() {
        let mut whole = tensor(DType::F32, &[2, 3], 5);
        if let Data::View(view) = &mut whole.data {
            view.negate = true;
        }
        let transposed = whole.transposed();
        assert!(transposed.as_ref().and_then(Tensor::as_view).is_some_and(|view| view.negate));
        assert_eq!(parts(transposed), Some(([3, 2].into(), [1, 3].into(), 5)));
        assert_eq!(tensor(DType::F32, &[3], 0).transposed(), None);
    }

    #[test]
    fn dimensions_are_put_in_another_order() {
        let kernel = tensor(DType::F32, &[7, 5, 3, 2], 0);
        let expected = ([2, 3, 7, 5].into(), [1, 2, 30, 6].into(), 0);
        assert_eq!(parts(kernel.permuted(&[3, 2, 0, 1])), Some(expected));
        assert_eq!(kernel.permuted(&[1, 0]), None);
        assert_eq!(kernel.permuted(&[0, 0, 1, 2]), None);
    }
}
