//! Tensors that several files have whole, and that have to be the same.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Data, Fault, Location, Source, Tensor, TensorBlock, row_major_strides};

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

/// A tensor that a file has whole, by the file's name.
#[derive(Clone, Copy)]
pub struct NamedCopy<'a> {
    /// The file.
    pub file: &'a str,
    /// The tensor.
    pub whole: WholeTensor<'a>,
}

/// Why nobody knows how a tensor was cut.
const NO_RULE: &str = "no rule says along which dimension it was cut";

impl NamedCopy<'_> {
    /// Refuses another copy that is not the same as this one, of a tensor of which nothing says that
    /// it was cut.
    ///
    /// # Errors
    /// That it is not the same, or what keeps elements from being read.
    pub fn refuse_uncut(&self, key: &str, other: &NamedCopy<'_>) -> Result<(), Fault> {
        if self.whole.compared(&other.whole)? == Comparison::Same {
            return Ok(());
        }
        let what = alloc::format!("'{key}' is not the same as in '{}', and {NO_RULE}", self.file);
        Err(Fault::Uncut { what, key: key.into() }.in_file(other.file))
    }

    /// Refuses another copy that is not the same as this one, where it has to be for a reason.
    ///
    /// # Errors
    /// That it is not the same, or what keeps elements from being read.
    pub fn refuse_other(
        &self,
        key: &str,
        other: &NamedCopy<'_>,
        reason: &str,
    ) -> Result<(), Fault> {
        if self.whole.compared(&other.whole)? == Comparison::Same {
            return Ok(());
        }
        let what: String =
            alloc::format!("'{key}' is not the same as in '{}', and {reason}", self.file);
        Err(Fault::broken(what).in_file(other.file))
    }
}

impl WholeTensor<'_> {
    /// What it is to another one.
    ///
    /// # Errors
    /// What keeps elements from being read.
    pub fn compared(&self, other: &WholeTensor<'_>) -> Result<Comparison, Fault> {
        let (one, two) = (self.tensor, other.tensor);
        if one.dtype != two.dtype || one.shape != two.shape {
            return Ok(Comparison::Unlike);
        }
        if one.count() == 0 {
            return Ok(Comparison::Same);
        }
        if one.as_view().is_some() && two.as_view().is_some() {
            return self.views_compared(other);
        }
        match (runs(one), runs(two)) {
            (Some(own), Some(others)) => self.runs_compared(&own, other, &others),
            _ => Ok(Comparison::Unlike),
        }
    }

    /// The same of two that are each in one place.
    fn views_compared(&self, other: &WholeTensor<'_>) -> Result<Comparison, Fault> {
        if strides(self.tensor) != strides(other.tensor) {
            return Ok(Comparison::Unlike);
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

    /// The same of two that are in runs, which need not end at the same places.
    fn runs_compared(
        &self,
        own: &[TensorBlock],
        other: &WholeTensor<'_>,
        others: &[TensorBlock],
    ) -> Result<Comparison, Fault> {
        let (mut own, mut others) = (own.iter().peekable(), others.iter().peekable());
        let mut at = 0;
        while let (Some(a), Some(b)) = (own.peek(), others.peek()) {
            let (end, other_end) = (a.at[0] + a.tensor.count(), b.at[0] + b.tensor.count());
            let next = end.min(other_end);
            let part = |run: &TensorBlock| run.tensor.rows(at - run.at[0]..next - run.at[0]);
            let (Some(first), Some(second)) = (part(a), part(b)) else {
                return Ok(Comparison::Packed);
            };
            let first = WholeTensor { tensor: &first, ..*self };
            let compared = first.views_compared(&WholeTensor { tensor: &second, ..*other })?;
            if compared != Comparison::Same {
                return Ok(compared);
            }
            if end == next {
                own.next();
            }
            if other_end == next {
                others.next();
            }
            at = next;
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

/// The runs of a tensor that lie one after another, in order; none where its parts are no runs.
fn runs(tensor: &Tensor) -> Option<Vec<TensorBlock>> {
    match &tensor.data {
        Data::View(_) => {
            let tensor = tensor.reshaped([tensor.count()].into())?;
            Some([TensorBlock { at: [0].into(), tensor }].into())
        }
        Data::Blocks(blocks) if blocks.shape().len() == 1 => Some(blocks.parts().to_vec()),
        Data::Blocks(_) | Data::Unlocated | Data::Opaque { .. } => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Storage};
    use alloc::sync::Arc;
    use alloc::vec;

    fn dense(start: u64, count: u64) -> Tensor {
        let storage = Arc::new(Storage::stored(start..start + count));
        Tensor::dense(DType::U8, vec![count], 0, storage).expect("within")
    }

    /// A tensor in runs, each of some bytes from a place of the file on.
    fn in_runs(runs: &[(u64, u64)]) -> Tensor {
        let (mut at, mut parts) = (0, Vec::new());
        for (start, count) in runs {
            parts.push(TensorBlock { at: vec![at], tensor: dense(*start, *count) });
            at += count;
        }
        Tensor::of_blocks(DType::U8, vec![2, at / 2], vec![at], parts).expect("whole")
    }

    #[test]
    fn runs_are_compared_wherever_they_end() {
        let file: &[u8] = b"abcdef abcdeX abc def";
        let check = |one: &Tensor, two: &Tensor, expected: Comparison| {
            let of = |tensor| WholeTensor { source: &file, start: 0, tensor };
            assert_eq!(of(one).compared(&of(two)).expect("readable"), expected);
        };
        let whole = dense(0, 6).reshaped(vec![2, 3]).expect("flat");
        check(&whole, &in_runs(&[(0, 6)]), Comparison::Same);
        check(&in_runs(&[(0, 2), (2, 4)]), &in_runs(&[(14, 3), (18, 3)]), Comparison::Same);
        check(&whole, &in_runs(&[(7, 1), (8, 5)]), Comparison::OtherElements);
        check(&whole, &in_runs(&[(7, 5), (5, 1)]), Comparison::Same);
        check(&dense(0, 6), &in_runs(&[(0, 6)]), Comparison::Unlike);
    }
}
