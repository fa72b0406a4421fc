//! Reading the elements of tensors into memory.
//!
//! Whatever the file does with them (deflated, strided, big-endian, lazily negated or conjugated),
//! what is read is row-major and little-endian. Beside the result, memory is bounded as it is for
//! [`stream`](crate::elements::stream), which does the work.

mod lookup;
mod part;
mod stored;

use std::io;
use std::ops::{Bound, RangeBounds};

use ndarray::{ArrayD, IxDyn};
use statedict_core::{ByteOrder, DType, Elements, Fault, Location, Source, Tensor};

use crate::checkpoint::Checkpoint;
use crate::elements::{self, Element, StreamError};
use crate::error::{Action, Cause, Error};

pub use lookup::TensorRef;
pub use part::{Index, TensorPart};
pub use stored::Stored;

/// How many bytes one byte of a deflate stream can become, rounded up.
const MAX_DEFLATION: u64 = 1033;

impl Checkpoint {
    /// The tensor of this key or path.
    ///
    /// A key is looked up in the state dict that is clearly meant (see
    /// [`Catalog::select`](statedict_core::Catalog::select)), and then in the whole file, where it
    /// must be unambiguous; a path such as `optimizer/state/0/exp_avg` is unambiguous.
    ///
    /// # Errors
    /// No tensor, or several, have that name.
    pub fn tensor<'a>(&'a self, tensor: impl Into<TensorRef<'a>>) -> Result<&'a Tensor, Error> {
        self.resolve(tensor.into())
    }

    /// The elements of a tensor: row-major, little-endian, side by side.
    ///
    /// # Errors
    /// There is no such tensor, it has no plain elements (sparse, quantized, meta), or the file
    /// cannot be read.
    pub fn read<'a>(&self, tensor: impl Into<TensorRef<'a>>) -> Result<Vec<u8>, Error> {
        let tensor = tensor.into();
        let elements = self.elements(tensor, None)?;
        self.collect(&elements, |bytes, into| into.extend_from_slice(bytes))
            .map_err(|cause| self.failed(tensor, cause))
    }

    /// Fills `buffer` with the elements of a tensor, as [`read`](Checkpoint::read) gives them.
    ///
    /// # Errors
    /// As [`read`](Checkpoint::read), and if `buffer` has not exactly the tensor's length.
    pub fn read_into<'a>(
        &self,
        tensor: impl Into<TensorRef<'a>>,
        buffer: &mut [u8],
    ) -> Result<(), Error> {
        let tensor = tensor.into();
        let elements = self.elements(tensor, None)?;
        self.fill(&elements, buffer).map_err(|cause| self.failed(tensor, cause))
    }

    /// The elements of a tensor of exactly this type as an array.
    ///
    /// ```no_run
    /// # use std::path::Path;
    /// # use statedict_checkpoint::Checkpoint;
    /// let checkpoint = Checkpoint::open(Path::new("model.pth"))?;
    /// let weight = checkpoint.array::<f32>("fc.weight")?;
    /// let first_row = checkpoint.array::<f32>(&checkpoint.slice("fc.weight", 0, ..1)?)?;
    /// # Ok::<(), statedict_checkpoint::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read`](Checkpoint::read), and if the tensor has elements of another type.
    pub fn array<'a, T: Element>(
        &self,
        tensor: impl Into<TensorRef<'a>>,
    ) -> Result<ArrayD<T>, Error> {
        let tensor = tensor.into();
        let elements = self.elements(tensor, None)?;
        self.collect_array(&elements).map_err(|cause| self.failed(tensor, cause))
    }

    /// The same, cast to this type where the tensor has another one, bit for bit as PyTorch's
    /// `.to()` casts.
    ///
    /// # Errors
    /// As [`read`](Checkpoint::read), and if no such cast is known; floats of 8 bits and more are
    /// cast to `f16`, `bf16`, `f32` and `f64`.
    pub fn array_as<'a, T: Element>(
        &self,
        tensor: impl Into<TensorRef<'a>>,
    ) -> Result<ArrayD<T>, Error> {
        let tensor = tensor.into();
        let elements = self.elements(tensor, Some(&T::DTYPE))?;
        self.collect_array(&elements).map_err(|cause| self.failed(tensor, cause))
    }

    /// A part of a tensor, to be read like a whole one: what is in a range along one dimension.
    ///
    /// A part can be cut along another dimension in turn.
    /// Nothing is read for it, and reading it reads no more of the file than it needs, unless the
    /// tensor is compressed.
    ///
    /// # Errors
    /// There is no such tensor, or it has no such part.
    pub fn slice<'a>(
        &self,
        tensor: impl Into<TensorRef<'a>>,
        dimension: usize,
        range: impl RangeBounds<u64>,
    ) -> Result<Tensor, Error> {
        let name = tensor.into();
        let tensor = self.resolve(name)?;
        sliced(tensor, dimension, range).map_err(|cause| self.failed(name, cause))
    }

    /// The file and the range of it that hold the elements exactly as [`read`](Checkpoint::read)
    /// would give them, for callers who map or send files; `None` where they are compressed,
    /// strided, big-endian or the like.
    ///
    /// # Errors
    /// There is no such tensor, or it has no plain elements.
    pub fn stored<'a>(&self, tensor: impl Into<TensorRef<'a>>) -> Result<Option<Stored>, Error> {
        let elements = self.elements(tensor.into(), None)?;
        Ok(elements.verbatim().and_then(|range| Stored::of(self.source(), range)))
    }

    /// The file and the range of it that hold the storage which a tensor is a view of, as it is, for
    /// callers who map files and look at them through strides of their own; `None` where it is
    /// compressed, big-endian or the like, or its elements are changed as they are read.
    ///
    /// # Errors
    /// There is no such tensor.
    pub fn stored_storage<'a>(
        &'a self,
        tensor: impl Into<TensorRef<'a>>,
    ) -> Result<Option<Stored>, Error> {
        let tensor = self.resolve(tensor.into())?;
        let Some(view) = tensor.as_view() else { return Ok(None) };
        let storage = view.storage();
        let is_swapped = storage.byte_order == ByteOrder::Big && tensor.dtype.swap_width() > 1;
        let is_changed = view.conjugate || view.negate || !view.arithmetic().is_empty();
        Ok(match &storage.location {
            Location::Stored(range) if !is_swapped && !is_changed => {
                Stored::of(self.source(), range.clone())
            }
            _ => None,
        })
    }

    /// The elements of a tensor that can be read, cast where that is asked for.
    pub(crate) fn elements(
        &self,
        which: TensorRef<'_>,
        cast: Option<&DType>,
    ) -> Result<Elements, Error> {
        let tensor = self.resolve(which)?;
        let elements = Elements::new(tensor.clone(), cast)
            .map_err(|why| self.failed(which, Fault::Unsupported(why).into()))?;
        match elements::obstacle(&elements) {
            Some(fault) => Err(self.failed(which, fault.into())),
            None => Ok(elements),
        }
    }

    /// Reads elements one piece after another, so that what a file merely claims takes no memory.
    fn collect<T>(
        &self,
        elements: &Elements,
        decode: impl Fn(&[u8], &mut Vec<T>),
    ) -> Result<Vec<T>, Cause> {
        let expected = elements.byte_len() / size_of::<T>() as u64;
        let at_once = expected.min(self.len().saturating_mul(MAX_DEFLATION));
        let mut all = Vec::new();
        all.try_reserve_exact(usize::try_from(at_once).unwrap_or(usize::MAX)).map_err(|_| {
            let what = format!("cannot allocate its {} bytes", elements.byte_len());
            Fault::TooLarge { at: None, what }
        })?;
        elements::stream(self.source(), elements, &mut |bytes| {
            all.try_reserve(bytes.len() / size_of::<T>())
                .map_err(|_| io::ErrorKind::OutOfMemory)?;
            decode(bytes, &mut all);
            Ok(())
        })?;
        if all.len() as u64 == expected {
            Ok(all)
        } else {
            Err(unexpected_length(all.len() as u64, expected))
        }
    }

    fn collect_array<T: Element>(&self, elements: &Elements) -> Result<ArrayD<T>, Cause> {
        if *elements.dtype() != T::DTYPE {
            let found = elements.dtype();
            let cast = if found.is_float() { " (array_as casts)" } else { "" };
            let what = format!("expected {} elements, found {found}{cast}", T::DTYPE);
            return Err(Cause::Mismatch(what));
        }
        let sizes = elements.shape().iter().map(|size| usize::try_from(*size));
        let shape: Vec<usize> = sizes.collect::<Result<_, _>>().map_err(|_| uncountable())?;
        let all = self.collect(elements, T::decode)?;
        ArrayD::from_shape_vec(IxDyn(&shape), all).map_err(|_| uncountable())
    }

    fn fill(&self, elements: &Elements, buffer: &mut [u8]) -> Result<(), Cause> {
        let expected = elements.byte_len();
        if buffer.len() as u64 != expected {
            let found = buffer.len();
            let what = format!("expected a buffer of {expected} bytes, found {found}");
            return Err(Cause::Mismatch(what));
        }
        if let Some(range) = elements.verbatim() {
            return Ok(self.source().read_at(range.start, buffer)?);
        }
        let mut filled = 0;
        elements::stream(self.source(), elements, &mut |bytes| {
            let end = filled + bytes.len();
            let place = buffer.get_mut(filled..end).ok_or(io::ErrorKind::InvalidData)?;
            place.copy_from_slice(bytes);
            filled = end;
            Ok(())
        })?;
        if filled == buffer.len() {
            Ok(())
        } else {
            Err(unexpected_length(filled as u64, expected))
        }
    }

    fn failed(&self, tensor: TensorRef<'_>, cause: Cause) -> Error {
        let name = tensor.name(self.catalog());
        Error::new(Action::Read, self.path(), Cause::Tensor { name, cause: Box::new(cause) })
    }
}

fn sliced(
    tensor: &Tensor,
    dimension: usize,
    range: impl RangeBounds<u64>,
) -> Result<Tensor, Cause> {
    let Some(&size) = tensor.shape.get(dimension) else {
        let what = format!("no dimension {dimension} in shape {:?}", tensor.shape);
        return Err(Cause::Mismatch(what));
    };
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => size,
    };
    if start > end || end > size {
        let what = format!("range {start}..{end} is outside dimension {dimension} of size {size}");
        return Err(Cause::Mismatch(what));
    }
    Ok(tensor.narrowed(dimension, start..end).ok_or_else(|| {
        let what = format!("{} elements are packed and cannot be split here", tensor.dtype);
        Fault::Unsupported(what)
    })?)
}

fn uncountable() -> Cause {
    let what = "its shape is too large for an array".to_string();
    Fault::TooLarge { at: None, what }.into()
}

fn unexpected_length(found: u64, expected: u64) -> Cause {
    Fault::broken(format!("expected {expected} elements or bytes, read {found}")).into()
}

impl From<StreamError> for Cause {
    fn from(error: StreamError) -> Cause {
        match error {
            StreamError::Read(fault) => fault.into(),
            StreamError::Sink(error) => error.into(),
        }
    }
}
