//! One tensor: its type, its shape, and where its elements are.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use smallvec::SmallVec;
use thiserror::Error;

use crate::catalog::Blocks;
use crate::{Arithmetic, DType};

/// A tensor as a file describes it; the elements stay in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The type of its elements.
    pub dtype: DType,
    /// Its size in each dimension; empty for a single number.
    pub shape: Vec<u64>,
    /// Where its elements are.
    pub data: Data,
}

/// Where a tensor's elements are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Plain elements at regular places in a storage.
    View(View),
    /// Plain elements in several places.
    Blocks(Blocks),
    /// Plain elements whose places were not looked up, since a listing needs none.
    Unlocated,
    /// No plain elements: sparse, quantized, meta, a NumPy object array.
    Opaque {
        /// What it is instead, for instance `sparse_coo`.
        layout: String,
        /// Bytes it takes in the file, as far as one number can say.
        bytes: u64,
    },
}

/// A run of bytes in the file that one or more tensors look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Where the bytes are.
    pub location: Location,
    /// The order of the bytes within an element.
    pub byte_order: ByteOrder,
}

/// Where bytes are in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// As they are, in this range of the file.
    Stored(Range<u64>),
    /// In a raw deflate stream.
    Deflated {
        /// The compressed bytes' range in the file.
        compressed: Range<u64>,
        /// Inflated bytes to skip before the first byte of the storage.
        skip: u64,
        /// Inflated bytes of the storage.
        len: u64,
        /// The checksum of all inflated bytes, those that are skipped included; none if the writer
        /// left it out.
        crc32: Option<u32>,
    },
    /// In a Zstandard frame.
    Zstandard {
        /// The compressed bytes' range in the file.
        compressed: Range<u64>,
        /// Unpacked bytes to skip before the first byte of the storage.
        skip: u64,
        /// Unpacked bytes of the storage.
        len: u64,
    },
    /// As the characters of a UTF-8 text, each of which is the byte of its number: how pickles below
    /// protocol 3 hold bytes.
    Latin1 {
        /// Where the text is.
        text: Box<Location>,
        /// How many characters it has.
        len: u64,
    },
}

/// The order of the bytes within an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Why a tensor cannot be where its file says it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Misplaced {
    /// The number of elements is beyond 2⁶⁴.
    #[error("shape {shape:?} of {dtype} has more elements than 64 bits can count")]
    Overflow {
        /// The shape as the file gives it.
        shape: Vec<u64>,
        /// The element type as the file gives it.
        dtype: DType,
    },
    /// Some element would lie outside the storage.
    #[error("needs {needed} bytes of a storage that has {available}")]
    Beyond {
        /// Bytes from the start of the storage to the end of the last element.
        needed: u128,
        /// Bytes that the storage has.
        available: u64,
    },
    /// The number of strides is not the number of dimensions.
    #[error("{strides} strides for {dimensions} dimensions")]
    Rank {
        /// How many strides the file gives.
        strides: usize,
        /// How many dimensions the file gives.
        dimensions: usize,
    },
    /// Elements smaller than a byte that are not side by side.
    #[error("{dtype} elements are packed and cannot be strided")]
    Packed {
        /// The element type as the file gives it.
        dtype: DType,
    },
}

/// Elements at `offset + Σ index × stride` of a storage, counted in elements.
///
/// Every element lies within the storage; [`Tensor::view`] sees to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    storage: Arc<Storage>,
    offset: u64,
    /// Most tensors have two dimensions at most.
    strides: SmallVec<[u64; 2]>,
    contiguous: bool,
    /// The elements are to be conjugated when read (PyTorch's lazy `conj`).
    pub conjugate: bool,
    /// The elements are to be negated when read (PyTorch's lazy `neg`).
    pub negate: bool,
    /// Constants they are combined with when read, none in any file; last, one after another.
    pub(super) arithmetic: Option<Arc<Vec<Arithmetic>>>,
}

impl Storage {
    /// A storage whose bytes are in the file unencoded, little-endian.
    pub fn stored(range: Range<u64>) -> Storage {
        Storage { location: Location::Stored(range), byte_order: ByteOrder::Little }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.location.len()
    }

    /// True if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Location {
    /// How many bytes there are, once they are unpacked.
    pub fn len(&self) -> u64 {
        match self {
            Location::Stored(range) => range.end.saturating_sub(range.start),
            Location::Deflated { len, .. }
            | Location::Zstandard { len, .. }
            | Location::Latin1 { len, .. } => *len,
        }
    }

    /// True if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The range of the file that they are packed in.
    pub fn range(&self) -> &Range<u64> {
        match self {
            Location::Stored(range) => range,
            Location::Deflated { compressed, .. } | Location::Zstandard { compressed, .. } => {
                compressed
            }
            Location::Latin1 { text, .. } => text.range(),
        }
    }

    /// Some of the bytes; `None` if there are no such.
    pub fn part(&self, part: Range<u64>) -> Option<Location> {
        let len = part.end.checked_sub(part.start).filter(|_| part.end <= self.len())?;
        Some(match self {
            Location::Stored(range) => {
                Location::Stored(range.start + part.start..range.start + part.end)
            }
            // The checksum is over all of them.
            Location::Deflated { compressed, skip, .. } => Location::Deflated {
                compressed: compressed.clone(),
                skip: skip.checked_add(part.start)?,
                len,
                crc32: None,
            },
            Location::Zstandard { compressed, skip, .. } => Location::Zstandard {
                compressed: compressed.clone(),
                skip: skip.checked_add(part.start)?,
                len,
            },
            Location::Latin1 { .. } => return None,
        })
    }

    /// The same bytes where the file starts `by` bytes further on.
    pub(crate) fn moved(&self, by: u64) -> Location {
        let mut moved = self.clone();
        let range = match &mut moved {
            Location::Stored(range)
            | Location::Deflated { compressed: range, .. }
            | Location::Zstandard { compressed: range, .. } => range,
            Location::Latin1 { text, .. } => {
                **text = text.moved(by);
                return moved;
            }
        };
        *range = range.start + by..range.end + by;
        moved
    }
}

impl View {
    /// The storage looked at.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// Looks at the same bytes at another place, such as the same file within several.
    ///
    /// # Panics
    /// In debug builds, if the storage has another length.
    pub fn move_to(&mut self, storage: Arc<Storage>) {
        debug_assert_eq!(storage.len(), self.storage.len(), "the same bytes");
        self.storage = storage;
    }

    /// The first element's place in the storage, in elements.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The distance between neighbours in each dimension, in elements; 0 repeats.
    pub fn strides(&self) -> &[u64] {
        &self.strides
    }

    /// True if the elements are side by side in row-major order.
    pub fn is_contiguous(&self) -> bool {
        self.contiguous
    }

    /// Constants that the elements are combined with when read, one after another.
    pub fn arithmetic(&self) -> &[Arithmetic] {
        self.arithmetic.as_deref().map(Vec::as_slice).unwrap_or_default()
    }
}

impl Tensor {
    /// A tensor whose elements are a view of a storage, checked to lie within it.
    pub fn view(
        dtype: DType,
        shape: Vec<u64>,
        strides: Vec<u64>,
        offset: u64,
        storage: Arc<Storage>,
    ) -> Result<Tensor, Misplaced> {
        if strides.len() != shape.len() {
            return Err(Misplaced::Rank { strides: strides.len(), dimensions: shape.len() });
        }
        let Some(bits) = bits_of(&shape, &dtype) else {
            return Err(Misplaced::Overflow { shape, dtype });
        };
        let contiguous = bits == 0 || is_row_major(&shape, &strides);
        if !dtype.bits().is_multiple_of(8) && !contiguous {
            return Err(Misplaced::Packed { dtype });
        }
        let needed = if bits == 0 { 0 } else { span(&shape, &strides, offset, dtype.bits()) };
        if needed > u128::from(storage.len()) {
            return Err(Misplaced::Beyond { needed, available: storage.len() });
        }
        let strides = SmallVec::from_slice(&strides);
        let view = View {
            storage,
            offset,
            strides,
            contiguous,
            conjugate: false,
            negate: false,
            arithmetic: None,
        };
        Ok(Tensor { dtype, shape, data: Data::View(view) })
    }

    /// A tensor whose elements fill a storage from `offset` on (in elements), in row-major order.
    pub fn dense(
        dtype: DType,
        shape: Vec<u64>,
        offset: u64,
        storage: Arc<Storage>,
    ) -> Result<Tensor, Misplaced> {
        let strides = row_major_strides(&shape);
        Tensor::view(dtype, shape, strides, offset, storage)
    }

    /// A tensor of plain elements whose places are not looked up.
    pub fn unlocated(dtype: DType, shape: Vec<u64>) -> Tensor {
        Tensor { dtype, shape, data: Data::Unlocated }
    }

    /// How many elements it has; saturates where a file's shape is beyond counting.
    pub fn count(&self) -> u64 {
        count_of(&self.shape).unwrap_or(u64::MAX)
    }

    /// Bytes its elements take when they are side by side.
    pub fn byte_len(&self) -> u64 {
        match &self.data {
            Data::View(_) | Data::Blocks(_) | Data::Unlocated => bytes_of(&self.shape, &self.dtype),
            Data::Opaque { bytes, .. } => *bytes,
        }
    }

    /// The view, if the tensor has plain elements in one place.
    pub fn as_view(&self) -> Option<&View> {
        match &self.data {
            Data::View(view) => Some(view),
            Data::Blocks(_) | Data::Unlocated | Data::Opaque { .. } => None,
        }
    }

    /// True if it has plain elements, in one place or in several.
    pub fn has_elements(&self) -> bool {
        !matches!(self.data, Data::Opaque { .. })
    }

    /// True if both tensors are the same elements at the same place of the same file.
    pub fn is_same_place(&self, other: &Tensor) -> bool {
        self.has_elements() && self == other
    }
}

/// The product of the sizes, if 64 bits can hold it.
pub(crate) fn count_of(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size))
}

/// Bits of all elements side by side, if 64 bits can count the elements.
fn bits_of(shape: &[u64], dtype: &DType) -> Option<u128> {
    Some(u128::from(count_of(shape)?) * u128::from(dtype.bits()))
}

/// Bytes of all elements side by side; saturates where 64 bits cannot count them.
pub(crate) fn bytes_of(shape: &[u64], dtype: &DType) -> u64 {
    let bytes = bits_of(shape, dtype).map_or(u128::MAX, |bits| bits.div_ceil(8));
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Bytes from the start of the storage to the end of the last element.
fn span(shape: &[u64], strides: &[u64], offset: u64, bits: u64) -> u128 {
    let last = shape
        .iter()
        .zip(strides)
        .map(|(&size, &stride)| u128::from(size - 1) * u128::from(stride))
        .fold(u128::from(offset), u128::saturating_add);
    last.saturating_add(1).saturating_mul(u128::from(bits)).div_ceil(8)
}

fn is_row_major(shape: &[u64], strides: &[u64]) -> bool {
    let mut expected = 1u64;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == expected;
        expected = expected.saturating_mul(size);
        fits
    })
}

/// The strides, in elements, of a row-major tensor of this shape.
pub fn row_major_strides(shape: &[u64]) -> Vec<u64> {
    let mut strides: Vec<u64> = shape
        .iter()
        .rev()
        .scan(1u64, |next, &size| {
            let stride = *next;
            *next = next.saturating_mul(size.max(1));
            Some(stride)
        })
        .collect();
    strides.reverse();
    strides
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn view(shape: &[u64], strides: &[u64], offset: u64, bytes: u64) -> Result<Tensor, Misplaced> {
        let storage = Arc::new(Storage::stored(0..bytes));
        Tensor::view(DType::F32, shape.to_vec(), strides.to_vec(), offset, storage)
    }

    #[test]
    fn a_view_ends_where_its_last_element_ends() {
        assert!(view(&[2, 3], &[3, 1], 0, 24).is_ok());
        assert!(view(&[2, 3], &[1, 2], 0, 24).is_ok());
        assert_eq!(
            view(&[2, 3], &[3, 1], 1, 24),
            Err(Misplaced::Beyond { needed: 28, available: 24 })
        );
    }

    #[test]
    fn repeating_one_element_needs_one_element() {
        assert!(view(&[1 << 40], &[0], 0, 4).is_ok());
    }

    #[test]
    fn repeating_one_element_beyond_all_files_is_legal_to_list() {
        let tensor = view(&[1 << 31, 1 << 31], &[0, 0], 0, 4).expect("one element");
        assert_eq!((tensor.count(), tensor.byte_len()), (1 << 62, u64::MAX));
    }

    #[test]
    fn shapes_beyond_counting_are_refused() {
        let strides = [0, 0];
        assert!(matches!(
            view(&[1 << 40, 1 << 40], &strides, 0, 4),
            Err(Misplaced::Overflow { .. })
        ));
    }

    #[test]
    fn an_empty_tensor_needs_nothing() {
        assert!(view(&[0, 1 << 63, 1 << 63], &[1, 1, 1], 99, 0).is_ok());
    }

    #[test]
    fn dimensions_of_one_do_not_count_against_contiguity() {
        let tensor = view(&[1, 3], &[77, 1], 0, 12).expect("within");
        assert!(tensor.as_view().expect("a view").is_contiguous());
        let transposed = view(&[3, 2], &[1, 3], 0, 24).expect("within");
        assert!(!transposed.as_view().expect("a view").is_contiguous());
    }

    #[test]
    fn row_major_strides_multiply_from_the_right() {
        assert_eq!(row_major_strides(&[2, 3, 4]), vec![12, 4, 1]);
        assert_eq!(row_major_strides(&[]), Vec::<u64>::new());
    }
}
