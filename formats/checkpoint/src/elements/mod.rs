//! A tensor's elements as a stream: row-major, little-endian, cast if so asked.
//!
//! Whatever the size, memory stays within a few dozen MiB (deflated storages that are not read
//! in their own order excepted, see [`inflate`]).

mod axes;
mod blocks;
pub(crate) mod cast;
mod combine;
pub(crate) mod components;
pub(crate) mod draw;
pub(crate) mod element;
pub(crate) mod float8;
mod formula;
pub(crate) mod gather;
pub(crate) mod inflate;
pub(crate) mod losses;
pub(crate) mod numbers;
pub(crate) mod overflow;
pub(crate) mod portions;
pub(crate) mod returning;
mod scatter;
mod window;

pub use element::Element;
pub use overflow::Overflow;

use std::io::{self, Read};

use sha2::{Digest, Sha256};
use statedict_core::{
    ByteOrder, DType, Elements, Fault, Layout, Location, Origin, Part, PendingFiles, Source,
    Tensor, View,
};

use crate::elements::blocks::{scatter_elements, scattered};
use crate::elements::cast::Cast;
use crate::elements::combine::Combine;
use crate::elements::gather::{BUDGET, Strided};
use crate::elements::losses::Losses;
use crate::elements::window::size;

/// Bytes that are read, finished and delivered at once.
pub(crate) const PIECE: u64 = 1 << 20;

/// A view that repeats its storage's elements may have this many bytes whatever its storage has,
pub(crate) const MAX_REPEATED: u64 = 1 << 30;

/// or this many times the bytes of its storage; beyond both a small file would fill a disk.
pub(crate) const MAX_REPETITION: u64 = 1024;

/// Takes the elements as they come.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Why a stream ended early.
#[derive(Debug)]
pub(crate) enum StreamError {
    /// The elements cannot be read.
    Read(Fault),
    /// The sink refused them.
    Sink(io::Error),
}

impl From<Fault> for StreamError {
    fn from(fault: Fault) -> StreamError {
        StreamError::Read(fault)
    }
}

/// Delivers the elements to `sink`, some at a time.
pub(crate) fn stream(
    source: &dyn Source,
    elements: &Elements,
    sink: &mut Sink<'_>,
) -> Result<(), StreamError> {
    stream_counting(source, elements, sink).map(drop)
}

/// The same; gives what the elements lost.
pub(crate) fn stream_counting(
    source: &dyn Source,
    elements: &Elements,
    sink: &mut Sink<'_>,
) -> Result<Losses, StreamError> {
    match elements.origin() {
        _ if elements.byte_len() == 0 => Ok(Losses::default()),
        Origin::Tensor(tensor) => Stored::new(tensor, elements.dtype()).stream(source, sink),
        Origin::Drawn(drawing) => {
            draw::stream(drawing, sink).map_err(StreamError::Sink).map(|()| Losses::default())
        }
        Origin::Computed(computed) => formula::stream(source, elements, computed, sink),
        Origin::Blocks(parts) => blocks::stream(source, elements, parts, sink),
    }
}

/// Puts the elements of a stored tensor into a buffer, in which neighbours in each dimension are
/// `targets` elements apart; gives what they lost.
pub(crate) fn place(
    source: &dyn Source,
    elements: &Elements,
    targets: &[u64],
    into: &mut [u8],
) -> Result<Losses, StreamError> {
    let tensor = elements.tensor().expect("elements of a tensor");
    Stored::new(tensor, elements.dtype()).place(source, targets, into)
}

/// How many finite numbers of the elements a cast makes infinite.
pub(crate) fn overflows(source: &dyn Source, elements: &Elements) -> Result<u64, Fault> {
    match stream_counting(source, elements, &mut |_| Ok(())) {
        Ok(losses) => Ok(losses.overflows),
        Err(StreamError::Read(fault)) => Err(fault),
        Err(StreamError::Sink(error)) => Err(Fault::Unreadable(error.into())),
    }
}

/// The SHA-256 of the elements.
pub(crate) fn sha256(source: &dyn Source, elements: &Elements) -> Result<[u8; 32], Fault> {
    let mut hash = Sha256::new();
    let hashed = stream(source, elements, &mut |bytes| {
        hash.update(bytes);
        Ok(())
    });
    match hashed {
        Ok(()) => Ok(hash.finalize().into()),
        Err(StreamError::Read(fault)) => Err(fault),
        Err(StreamError::Sink(error)) => Err(Fault::Unreadable(error.into())),
    }
}

/// Why the elements cannot be streamed, if they cannot.
pub(crate) fn obstacle(elements: &Elements) -> Option<Fault> {
    match elements.origin() {
        Origin::Tensor(tensor) => Stored::new(tensor, elements.dtype()).obstacle(),
        Origin::Drawn(_) => None,
        Origin::Computed(computed) => {
            let mut operands = computed.formula().operands().into_iter();
            formula::obstacle(computed).or_else(|| operands.find_map(obstacle))
        }
        Origin::Blocks(blocks) => blocks.iter().find_map(|block| obstacle(block.elements())),
    }
}

/// True if the elements are out of proportion to the storage they repeat.
pub(crate) fn is_bomb(elements: &Elements) -> bool {
    match elements.origin() {
        Origin::Tensor(tensor) => Stored::new(tensor, elements.dtype()).is_bomb(),
        Origin::Drawn(_) => false,
        Origin::Computed(computed) => computed.formula().operands().into_iter().any(is_bomb),
        Origin::Blocks(blocks) => blocks.iter().any(|block| is_bomb(block.elements())),
    }
}

/// The bytes of the elements that come from a file.
fn stored_len(elements: &Elements) -> u64 {
    match elements.origin() {
        Origin::Tensor(_) | Origin::Computed(_) => elements.byte_len(),
        Origin::Drawn(_) => 0,
        Origin::Blocks(blocks) => {
            let lens = blocks.iter().map(|block| stored_len(block.elements()));
            lens.fold(0, u64::saturating_add)
        }
    }
}

/// Why a file of `len` bytes is not written out like this: its tensors overlap, and would be out of
/// proportion to it together.
pub(crate) fn repetition(len: u64, rewritten: &PendingFiles) -> Option<Fault> {
    let parts = rewritten.layouts().flat_map(Layout::parts);
    let bytes = parts
        .map(|part| match part {
            Part::Elements(elements) => stored_len(elements),
            Part::Copy(range) => range.end - range.start,
            Part::New(_) | Part::Crc32(_) => 0,
        })
        .fold(0, u64::saturating_add);
    (bytes > MAX_REPEATED.max(len.saturating_mul(MAX_REPETITION))).then(|| {
        let what = format!(
            "its tensors overlap, and take {bytes} bytes when each is written out; the limit is \
             {MAX_REPETITION} times the file's {len}, or {MAX_REPEATED} bytes"
        );
        Fault::TooLarge { at: None, what }
    })
}

fn is_stored(tensor: &Tensor) -> bool {
    let location = tensor.as_view().map(|view| &view.storage().location);
    matches!(location, Some(Location::Stored(_)))
}

/// True if the elements are the bytes of the storage of one tensor.
fn is_plain(elements: &Elements) -> bool {
    let tensor = elements.tensor();
    tensor.is_some_and(|tensor| Stored::new(tensor, elements.dtype()).is_plain())
}

/// The bytes of an element; 1 for packed ones, which are always side by side.
fn item(dtype: &DType) -> u64 {
    dtype.bytes().unwrap_or(1).max(1)
}

/// A tensor's elements where a file has them.
struct Stored<'a> {
    tensor: &'a Tensor,
    view: &'a View,
    /// The type to cast to, if it is another one.
    cast: Option<&'a DType>,
}

impl<'a> Stored<'a> {
    fn new(tensor: &'a Tensor, dtype: &'a DType) -> Stored<'a> {
        let view = tensor.as_view().expect("elements are made of tensors that are views");
        Stored { tensor, view, cast: (tensor.dtype != *dtype).then_some(dtype) }
    }

    fn stream(&self, source: &dyn Source, sink: &mut Sink<'_>) -> Result<Losses, StreamError> {
        if let Some(fault) = self.obstacle() {
            return Err(fault.into());
        }
        let (view, item) = (self.view, self.item());
        let mut finish = Finish::new(self);
        let mut deliver = |pieces: &mut [u8]| {
            let whole = if item > PIECE { PIECE } else { PIECE - PIECE % item };
            let len = usize::try_from(whole).expect("a piece fits in memory");
            let mut pieces = pieces.chunks_mut(len);
            pieces.try_for_each(|piece| sink(finish.apply(piece)).map_err(StreamError::Sink))
        };
        let location = &view.storage().location;
        if view.is_contiguous() {
            let start = view.offset() * self.tensor.dtype.bits() / 8;
            let mut reader = inflate::reader(source, location, start)?;
            contiguous(&mut reader, self.tensor.byte_len(), item, &mut deliver)?;
            return Ok(finish.losses());
        }
        let strided = Strided::in_order(&self.tensor.shape, view.strides(), view.offset(), item);
        match location {
            Location::Stored(range) => strided.gather(source, range.start, BUDGET, &mut deliver)?,
            packed @ (Location::Deflated { .. }
            | Location::Zstandard { .. }
            | Location::Latin1 { .. }) => {
                let inflated = inflate::whole(source, packed, packed.len())?;
                strided.gather(&inflated, 0, BUDGET, &mut deliver)?;
            }
        }
        Ok(finish.losses())
    }

    fn place(
        &self,
        source: &dyn Source,
        targets: &[u64],
        into: &mut [u8],
    ) -> Result<Losses, StreamError> {
        if let (Location::Stored(range), true) = (&self.view.storage().location, self.is_plain()) {
            let (shape, strides, item) = (&self.tensor.shape, self.view.strides(), self.item());
            let strided = Strided::new(shape, strides, targets, self.view.offset(), item);
            strided.fill(source, range.start, BUDGET, into)?;
            return Ok(Losses::default());
        }
        let axes = scattered(&self.tensor.shape, targets);
        if axes.iter().all(|axis| axis.source == axis.target) {
            return self.collect(source, into);
        }
        let mut gathered = vec![0; size(self.byte_len())];
        let losses = self.collect(source, &mut gathered)?;
        scatter_elements(item(self.cast.unwrap_or(&self.tensor.dtype)), &gathered, into, axes);
        Ok(losses)
    }

    /// Fills the start of a buffer with the elements in their order.
    fn collect(&self, source: &dyn Source, into: &mut [u8]) -> Result<Losses, StreamError> {
        let mut filled = 0;
        self.stream(source, &mut |bytes| {
            into[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
            Ok(())
        })
    }

    /// True if the elements are the bytes of their storage.
    fn is_plain(&self) -> bool {
        let View { conjugate, negate, .. } = self.view;
        let is_read_as_it_is = !conjugate && !negate && self.view.arithmetic().is_empty();
        self.cast.is_none() && !self.must_swap() && is_read_as_it_is
    }

    fn obstacle(&self) -> Option<Fault> {
        let dtype = &self.tensor.dtype;
        if self.is_bomb() {
            let (len, storage) = (self.byte_len(), self.view.storage().len());
            let what = format!(
                "the tensor repeats the {storage} bytes of its storage up to {len} bytes; \
                 the limit is {MAX_REPETITION} times its storage, or {MAX_REPEATED} bytes"
            );
            return Some(Fault::TooLarge { at: None, what });
        }
        if let Some(to) = self.cast
            && Cast::new(dtype, to).is_none()
        {
            return Some(Fault::Unsupported(format!("no cast from {dtype} to {to} is known")));
        }
        if self.view.negate && !dtype.is_complex() && (!dtype.is_float() || dtype.bits() < 16) {
            return Some(Fault::Unsupported(format!("a lazily negated tensor of {dtype}")));
        }
        if self.item() > PIECE && self.must_swap() {
            return Some(Fault::Unsupported(format!("big-endian elements over {PIECE} bytes")));
        }
        None
    }

    fn is_bomb(&self) -> bool {
        let proportionate = self.view.storage().len().saturating_mul(MAX_REPETITION);
        self.byte_len() > MAX_REPEATED.max(proportionate)
    }

    /// Bytes of the elements as they are delivered.
    fn byte_len(&self) -> u64 {
        let bits = self.cast.unwrap_or(&self.tensor.dtype).bits();
        let bytes = (u128::from(self.tensor.count()) * u128::from(bits)).div_ceil(8);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn item(&self) -> u64 {
        item(&self.tensor.dtype)
    }

    fn must_swap(&self) -> bool {
        let big = self.view.storage().byte_order == ByteOrder::Big;
        big && self.tensor.dtype.swap_width() > 1
    }
}

/// Delivers the next `len` bytes of a reader in whole elements.
fn contiguous(
    reader: &mut dyn Read,
    len: u64,
    item: u64,
    deliver: &mut dyn FnMut(&mut [u8]) -> Result<(), StreamError>,
) -> Result<(), StreamError> {
    let whole = if item > PIECE { PIECE } else { PIECE - PIECE % item };
    let most = usize::try_from(whole.min(len)).expect("a piece fits in memory");
    let mut buffer = vec![0; most];
    let mut left = len;
    while left > 0 {
        let now = usize::try_from(left).map_or(most, |left| left.min(most));
        let piece = &mut buffer[..now];
        reader.read_exact(piece).map_err(inflate::fault)?;
        deliver(piece)?;
        left -= now as u64;
    }
    Ok(())
}

/// What is done to elements between the storage and the sink.
struct Finish {
    /// The width of the numbers whose bytes change places; 1 where none do.
    swap: usize,
    /// The width of the numbers whose signs flip.
    width: usize,
    conjugate: bool,
    negate: bool,
    combine: Option<Combine>,
    cast: Option<Cast>,
    out: Vec<u8>,
}

impl Finish {
    fn new(stored: &Stored<'_>) -> Finish {
        let Stored { tensor, view, cast } = stored;
        let dtype = &tensor.dtype;
        let width = usize::try_from(dtype.swap_width()).expect("an element's width is 32 bits");
        Finish {
            swap: if stored.must_swap() { width } else { 1 },
            width,
            conjugate: view.conjugate && dtype.is_complex(),
            negate: view.negate,
            combine: Combine::new(dtype, view.arithmetic()),
            cast: cast.and_then(|to| Cast::new(dtype, to)),
            out: Vec::new(),
        }
    }

    /// What was lost so far.
    fn losses(&self) -> Losses {
        Losses {
            overflows: self.cast.as_ref().map_or(0, Cast::overflows),
            changed: self.combine.as_ref().map_or(0, Combine::changed),
        }
    }

    fn apply<'a>(&'a mut self, piece: &'a mut [u8]) -> &'a [u8] {
        components::swap(piece, self.swap);
        if self.conjugate {
            components::conjugate(piece, self.width);
        }
        if self.negate {
            components::negate(piece, self.width);
        }
        if let Some(combine) = &mut self.combine {
            combine.apply(piece);
        }
        match &mut self.cast {
            None => piece,
            Some(cast) => {
                cast.apply(piece, &mut self.out);
                &self.out
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_core::{Data, Storage};
    use std::sync::Arc;

    fn streamed(source: &[u8], elements: &Elements) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let done = stream(&source, elements, &mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        match done {
            Ok(()) => Ok(out),
            Err(StreamError::Read(fault)) => Err(fault.to_string()),
            Err(StreamError::Sink(error)) => Err(error.to_string()),
        }
    }

    /// A 2 × 3 tensor with these strides, over a storage that starts at byte 1 of the source.
    fn tensor(dtype: DType, strides: [u64; 2], order: ByteOrder, len: u64) -> Tensor {
        let storage = Storage { byte_order: order, ..Storage::stored(1..len) };
        Tensor::view(dtype, vec![2, 3], strides.into(), 0, Arc::new(storage)).expect("within")
    }

    fn check(tensor: Tensor, cast: Option<DType>, expected: &[u8]) {
        let source: Vec<u8> = (0..=255).collect();
        let elements = Elements::new(tensor, cast.as_ref()).expect("plain");
        assert_eq!(streamed(&source, &elements).as_deref(), Ok(expected));
    }

    #[test]
    fn elements_come_in_order_whatever_the_strides() {
        let little = ByteOrder::Little;
        check(tensor(DType::U8, [3, 1], little, 9), None, &[1, 2, 3, 4, 5, 6]);
        check(tensor(DType::U8, [1, 2], little, 9), None, &[1, 3, 5, 2, 4, 6]);
        check(tensor(DType::U8, [0, 1], little, 9), None, &[1, 2, 3, 1, 2, 3]);
        check(
            tensor(DType::U16, [1, 2], ByteOrder::Big, 32),
            None,
            &[2, 1, 6, 5, 10, 9, 4, 3, 8, 7, 12, 11],
        );
    }

    #[test]
    fn elements_are_cast_after_they_are_gathered() {
        let halves = tensor(DType::Bf16, [1, 2], ByteOrder::Little, 32);
        let expected: Vec<u8> =
            [1, 5, 9, 3, 7, 11].into_iter().flat_map(|low| [0, 0, low, low + 1]).collect();
        check(halves, Some(DType::F32), &expected);
    }

    #[test]
    fn lazy_signs_are_made_real() {
        let mut complex = tensor(DType::C64, [3, 1], ByteOrder::Little, 64);
        let Data::View(view) = &mut complex.data else { panic!("a view") };
        view.conjugate = true;
        let expected: Vec<u8> = (1..49).map(|i| if i % 8 == 0 { i ^ 0x80 } else { i }).collect();
        check(complex, None, &expected);
    }

    #[test]
    fn a_view_out_of_proportion_is_refused() {
        let storage = Arc::new(Storage::stored(0..4));
        let huge = Tensor::view(DType::F32, vec![1 << 40], vec![0], 0, storage).expect("within");
        let elements = Elements::new(huge, None).expect("plain");
        assert_eq!(
            streamed(&[0; 4], &elements),
            Err("the tensor repeats the 4 bytes of its storage up to 4398046511104 bytes; \
                 the limit is 1024 times its storage, or 1073741824 bytes"
                .to_string())
        );
    }

    #[test]
    fn casts_that_are_unknown_are_refused() {
        let floats = tensor(DType::F32, [3, 1], ByteOrder::Little, 64);
        let elements = Elements::new(floats, Some(&DType::F4)).expect("plain");
        let message = "no cast from F32 to F4 is known".to_string();
        assert_eq!(streamed(&[0; 64], &elements), Err(message));
    }

    #[test]
    fn a_hash_is_over_the_elements_and_not_over_their_storage() {
        let little = ByteOrder::Little;
        let hash = |tensor: Tensor, source: &[u8]| {
            sha256(&source, &Elements::new(tensor, None).expect("plain")).expect("readable")
        };
        let rows = hash(tensor(DType::U8, [3, 1], little, 7), &[0, 1, 2, 3, 4, 5, 6]);
        let columns = hash(tensor(DType::U8, [1, 2], little, 7), &[0, 1, 4, 2, 5, 3, 6]);
        assert_eq!(rows, columns);
        assert_eq!(rows[..4], [0x71, 0x92, 0x38, 0x5c][..]);
    }
}
