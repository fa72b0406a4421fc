//! Tensors in memory.

use std::io;

use ndarray::{ArrayBase, ArrayViewD, Axis, Data, Dimension};
use statedict_core::DType;

use crate::elements::Element;

/// A tensor to be written to a file: its type, its shape, and its elements.
///
/// Arrays of `ndarray` and views of them are such, whatever their strides; so are references to
/// what is such. Tensors of other libraries become it by three methods.
pub trait TensorData: Send + Sync {
    /// The type of its elements.
    fn dtype(&self) -> DType;

    /// Its size in each dimension; empty for a single number.
    fn shape(&self) -> Vec<u64>;

    /// How many bytes its elements have, if that is known otherwise than by type and shape.
    fn byte_len(&self) -> Option<u64> {
        None
    }

    /// Fills `buffer` with the bytes of its elements from byte `offset` on; they are row-major,
    /// little-endian, side by side.
    ///
    /// Called when the file is written, for ranges in any order that may begin and end within an
    /// element, from several threads.
    ///
    /// # Errors
    /// What keeps the elements from being had.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl<T: TensorData + ?Sized> TensorData for &T {
    fn dtype(&self) -> DType {
        T::dtype(self)
    }

    fn shape(&self) -> Vec<u64> {
        T::shape(self)
    }

    fn byte_len(&self) -> Option<u64> {
        T::byte_len(self)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        T::read_at(self, offset, buffer)
    }
}

/// A tensor given by its bytes.
pub(super) struct Bytes<'a> {
    pub(super) dtype: DType,
    pub(super) shape: Vec<u64>,
    pub(super) bytes: &'a [u8],
}

impl TensorData for Bytes<'_> {
    fn dtype(&self) -> DType {
        self.dtype.clone()
    }

    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.saturating_add(buffer.len());
        let bytes = self.bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl<T, S, D> TensorData for ArrayBase<S, D>
where
    T: Element,
    S: Data<Elem = T>,
    D: Dimension,
    ArrayBase<S, D>: Send + Sync,
{
    fn dtype(&self) -> DType {
        T::DTYPE
    }

    fn shape(&self) -> Vec<u64> {
        ArrayBase::shape(self).iter().map(|size| *size as u64).collect()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let (first, skip) = (offset / T::LEN, offset % T::LEN);
        let filled = match self.as_slice() {
            Some(elements) => {
                fill(elements.get(first..).unwrap_or_default().iter().copied(), skip, buffer)
            }
            None => fill(elements_from(self.view().into_dyn(), first), skip, buffer),
        };
        filled.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Fills a buffer with the bytes of elements, the first `skip` left out; none if they are too few.
fn fill<T: Element>(
    mut elements: impl Iterator<Item = T>,
    skip: usize,
    buffer: &mut [u8],
) -> Option<()> {
    let head = if skip == 0 { 0 } else { (T::LEN - skip).min(buffer.len()) };
    let (head, rest) = buffer.split_at_mut(head);
    let mut one = vec![0; T::LEN];
    if !head.is_empty() {
        elements.next()?.encode(&mut one);
        head.copy_from_slice(&one[skip..skip + head.len()]);
    }
    let mut whole = rest.chunks_exact_mut(T::LEN);
    for into in whole.by_ref() {
        elements.next()?.encode(into);
    }
    let tail = whole.into_remainder();
    if !tail.is_empty() {
        elements.next()?.encode(&mut one);
        tail.copy_from_slice(&one[..tail.len()]);
    }
    Some(())
}

/// The elements of an array in row-major order from one on, found without passing over those
/// before it.
fn elements_from<T: Element>(array: ArrayViewD<'_, T>, first: usize) -> impl Iterator<Item = T> {
    let array = if array.ndim() == 0 { array.insert_axis(Axis(0)) } else { array };
    let (lane, outer) = array.shape().split_last().map_or((0, vec![]), |(n, it)| (*n, it.to_vec()));
    let lanes: usize = outer.iter().product();
    let start = first.checked_div(lane).unwrap_or(lanes);
    (start..lanes).flat_map(move |number| {
        let mut along = array.clone();
        let mut below = lanes;
        let mut number_below = number;
        for size in &outer {
            below /= size;
            along = along.index_axis_move(Axis(0), number_below / below);
            number_below %= below;
        }
        let skip = if number == start { first % lane } else { 0 };
        along.slice_axis_inplace(Axis(0), (skip..).into());
        along.into_iter().copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array1, Slice, arr0};

    /// Every range of the bytes of an array, against all of them.
    fn check<T: Element, D: Dimension>(array: &ndarray::ArrayView<'_, T, D>) {
        let mut all = vec![0; array.len() * T::LEN];
        for (into, element) in all.chunks_exact_mut(T::LEN).zip(array.iter()) {
            element.encode(into);
        }
        for start in 0..=all.len() {
            for end in start..=all.len() {
                let mut buffer = vec![0xAA; end - start];
                array.read_at(start as u64, &mut buffer).expect("within");
                assert_eq!(buffer, all[start..end], "{start}..{end}");
            }
        }
        assert!(array.read_at(0, &mut vec![0; all.len() + 1]).is_err());
    }

    #[test]
    fn any_range_of_any_array_is_had() {
        let numbers = Array::from_iter(0..24u32).into_shape_with_order((2, 3, 4)).expect("24");
        check(&numbers.view());
        check(&numbers.t());
        check(&numbers.slice_each_axis(|axis| Slice::new(axis.axis.index() as isize / 2, None, 2)));
        check(
            &numbers.slice_each_axis(|axis| Slice::new(0, None, -1 - axis.axis.index() as isize)),
        );
        check(&numbers.view().permuted_axes([1, 2, 0]));
        check(&arr0(7.5f64).view());
        check(&Array1::<u8>::zeros(0).view());
        check(&Array::<i16, _>::zeros((3, 0)).t());
        check(&Array1::from_iter(0..9i16).slice_axis(Axis(0), Slice::new(0, None, 2)));
    }
}
