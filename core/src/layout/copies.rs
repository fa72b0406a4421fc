//! Tensors that several files have whole, and that have to be the same.

use alloc::vec::Vec;

use crate::{Fault, Location, Source, Tensor, row_major_strides};

/// How much of two tensors is compared at once, in bytes.
const WINDOW: u64 = 1 << 20;

/// What two tensors are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// They have the same elements, looked at in the same way.
    Same,
    /// They differ in type or shape, or look at their elements in another order.
    Unlike,
    /// They have other elements.
    OtherElements,
    /// What is packed is not known to be the same.
    Packed,
}

/// A tensor that a file has whole.
#[derive(Clone, Copy)]
pub struct WholeTensor<'a> {
    /// The file.
    pub source: &'a dyn Source,
    /// Where it starts in the address space of the tensor's places.
    pub start: u64,
    /// The tensor.
    pub tensor: &'a Tensor,
}

impl WholeTensor<'_> {
    /// What it is to another one.
    ///
    /// # Errors
    /// What keeps elements from being read.
    pub fn compared(&self, other: &WholeTensor<'_>) -> Result<Comparison, Fault> {
        let is_alike = self.tensor.dtype == other.tensor.dtype
            && self.tensor.shape == other.tensor.shape
            && strides(self.tensor) == strides(other.tensor);
        if !is_alike {
            return Ok(Comparison::Unlike);
        }
        if self.tensor.count() == 0 {
            return Ok(Comparison::Same);
        }
        let (Some((mut at, len)), Some((mut beside, _))) = (self.span(), other.span()) else {
            return Ok(Comparison::Packed);
        };
        let mut left = len;
        while left > 0 {
            let some = left.min(WINDOW);
            let (a, b) = (at..at + some, beside..beside + some);
            if self.source.bytes(a)? != other.source.bytes(b)? {
                return Ok(Comparison::OtherElements);
            }
            (at, beside, left) = (at + some, beside + some, left - some);
        }
        Ok(Comparison::Same)
    }

    /// Where in its file the elements begin, and how many bytes they span; none if they are packed.
    fn span(&self) -> Option<(u64, u64)> {
        let view = self.tensor.as_view()?;
        let Location::Stored(range) = &view.storage().location else { return None };
        let item = self.tensor.dtype.bytes()?;
        let steps = self.tensor.shape.iter().zip(view.strides());
        let last: u64 = steps.map(|(size, stride)| (size - 1) * stride).sum();
        let start = range.start.checked_sub(self.start)?.checked_add(view.offset() * item)?;
        Some((start, (last + 1) * item))
    }
}

/// How a tensor steps through its storage; one that is side by side as its shape says.
fn strides(tensor: &Tensor) -> Vec<u64> {
    match tensor.as_view() {
        Some(view) if view.is_contiguous() => row_major_strides(&tensor.shape),
        Some(view) => view.strides().to_vec(),
        None => Vec::new(),
    }
}
