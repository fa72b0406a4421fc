//! One of two tensors that are compared, and the ways to read it.

use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::sync::mpsc::Receiver;

use sha2::{Digest, Sha256};
use statedict_core::{ByteOrder, DType, Data, Elements, Fault, Origin, Source, Tensor};

use crate::checkpoint::Checkpoint;
use crate::compare::comparator::Run;
use crate::elements::inflate;
use crate::elements::{self, PIECE, Sink, StreamError};
use crate::error::{Action, Error};

/// Bytes from which two tensors are distinguished in most cases.
pub(super) const HEAD: u64 = 64 << 10;

/// A tensor with plain elements, and the file it is in.
#[derive(Clone)]
pub(super) struct Operand<'a> {
    file: &'a Checkpoint,
    tensor: Tensor,
    elements: Elements,
    /// Bytes of an element; 1 for those that are smaller, or larger than what is read at once.
    unit: usize,
    /// Where the file holds these very bytes, if it does.
    verbatim: Option<Range<u64>>,
}

/// What another thread sends, as a reader.
pub(super) struct Pipe {
    pub(super) receiver: Receiver<Vec<u8>>,
    pub(super) piece: Cursor<Vec<u8>>,
}

impl<'a> Operand<'a> {
    /// The tensor, if it has elements that can be read.
    pub(super) fn of(file: &'a Checkpoint, tensor: &Tensor) -> Option<Operand<'a>> {
        Operand::cast(file, tensor, &tensor.dtype)
    }

    /// Elements that a plan puts together from those of a file, if they can be read.
    pub(super) fn made(file: &'a Checkpoint, elements: &Elements) -> Option<Operand<'a>> {
        if let Origin::Tensor(tensor) = elements.origin() {
            return Operand::cast(file, tensor, elements.dtype());
        }
        let unit = usize::try_from(elements.dtype().bytes().filter(|it| (1..=PIECE).contains(it))?);
        let (dtype, shape) = (elements.dtype().clone(), elements.shape().to_vec());
        // It is in no one place of the file.
        let data = Data::Opaque { layout: "blocks".into(), bytes: elements.byte_len() };
        let operand = Operand {
            file,
            tensor: Tensor { dtype, shape, data },
            elements: elements.clone(),
            unit: unit.ok()?,
            verbatim: None,
        };
        elements::obstacle(elements).is_none().then_some(operand)
    }

    /// The tensor cast to a type, if that can be read.
    pub(super) fn cast(file: &'a Checkpoint, tensor: &Tensor, to: &DType) -> Option<Operand<'a>> {
        let elements = Elements::new(tensor.clone(), Some(to)).ok()?;
        if elements::obstacle(&elements).is_some() {
            return None;
        }
        let whole =
            elements.dtype().bytes().filter(|bytes| (1..=PIECE).contains(bytes)).unwrap_or(1);
        let unit = usize::try_from(whole).expect("a piece fits in memory");
        let (tensor, verbatim) = (tensor.clone(), elements.verbatim());
        Some(Operand { file, tensor, elements, unit, verbatim })
    }

    /// The same tensor cast to a type; none where it is of that type, or cannot be cast.
    pub(super) fn cast_to(&self, dtype: &DType) -> Option<Operand<'a>> {
        let half = Operand::cast(self.file, &self.tensor, dtype)?;
        (self.dtype() != dtype && half.dtype() == dtype).then_some(half)
    }

    /// Another view of the tensor, of the same type.
    pub(super) fn viewed(&self, view: impl Fn(&Tensor) -> Option<Tensor>) -> Option<Operand<'a>> {
        Operand::cast(self.file, &view(&self.tensor)?, self.dtype())
    }

    pub(super) fn dtype(&self) -> &DType {
        self.elements.dtype()
    }

    pub(super) fn shape(&self) -> &[u64] {
        self.elements.shape()
    }

    pub(super) fn byte_len(&self) -> u64 {
        self.elements.byte_len()
    }

    pub(super) fn unit(&self) -> usize {
        self.unit
    }

    /// How many elements it has, or bytes, where its elements are not units.
    pub(super) fn units(&self) -> u64 {
        self.byte_len() / self.unit as u64
    }

    /// True if both are the same bytes of the same file.
    pub(super) fn is_place_of(&self, other: &Operand<'_>) -> bool {
        self.dtype() == other.dtype()
            && self.tensor.is_same_place(&other.tensor)
            && self.file.source().is_same_file(other.file.source())
    }

    /// True if the file holds the very bytes, so that any part can be read.
    pub(super) fn is_verbatim(&self) -> bool {
        self.verbatim.is_some()
    }

    /// True if the bytes are as the storage has them, side by side; it may be deflated.
    pub(super) fn is_plain(&self) -> bool {
        let tensor = &self.tensor;
        tensor.as_view().is_some_and(|view| {
            let little = view.storage().byte_order == ByteOrder::Little;
            let ordered = little || tensor.dtype.swap_width() <= 1;
            let plain = view.is_contiguous() && !view.conjugate && !view.negate;
            plain && ordered && tensor.dtype == *self.dtype()
        })
    }

    /// Fills the buffer with some elements of a tensor that is verbatim.
    pub(super) fn read(&self, units: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let unit = self.unit as u64;
        let start = self.verbatim.as_ref().map_or(0, |range| range.start) + units.start * unit;
        let len =
            usize::try_from((units.end - units.start) * unit).expect("a piece fits in memory");
        buffer.resize(len, 0);
        self.file.source().read_at(start, buffer).map_err(|fault| self.error(fault))
    }

    /// Reads the elements of a tensor that is plain.
    pub(super) fn reader(&self) -> Result<Box<dyn Read + '_>, Error> {
        let tensor = &self.tensor;
        let view = tensor.as_view().expect("elements are made of tensors that are views");
        let start = view.offset() * tensor.dtype.bits() / 8;
        let reader = inflate::reader(self.file.source(), &view.storage().location, start);
        reader.map_err(|fault| self.error(fault))
    }

    /// Delivers the elements, whatever their tensor is.
    pub(super) fn stream(&self, sink: &mut Sink<'_>) -> Result<(), StreamError> {
        elements::stream(self.file.source(), &self.elements, sink)
    }

    /// The SHA-256 of the first bytes, up to [`HEAD`].
    pub(super) fn head(&self) -> Result<[u8; 32], Error> {
        let mut left = HEAD.min(self.byte_len());
        let mut hash = Sha256::new();
        let streamed = self.stream(&mut |bytes| {
            let wanted = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            hash.update(&bytes[..wanted]);
            left -= wanted as u64;
            if left == 0 { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        });
        match streamed {
            Err(StreamError::Read(fault)) => Err(self.error(fault)),
            Ok(()) | Err(StreamError::Sink(_)) => Ok(hash.finalize().into()),
        }
    }

    /// True if there are elements, and all are the same.
    pub(super) fn is_constant(&self) -> Result<bool, Error> {
        let (mut first, mut differ) = (None::<Vec<u8>>, self.byte_len() == 0);
        let streamed = self.stream(&mut |bytes| {
            let mut units = bytes.chunks(self.unit);
            let first = first.get_or_insert_with(|| bytes[..self.unit.min(bytes.len())].to_vec());
            differ |= units.any(|unit| unit != first);
            if differ { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        });
        match streamed {
            Err(StreamError::Read(fault)) => Err(self.error(fault)),
            Ok(()) | Err(StreamError::Sink(_)) => Ok(!differ),
        }
    }

    /// The SHA-256 of all elements.
    pub(super) fn hash(&self) -> Result<[u8; 32], Error> {
        let hash = elements::sha256(self.file.source(), &self.elements);
        hash.map_err(|fault| self.error(fault))
    }

    /// Elements of this tensor, to be measured.
    pub(super) fn run<'b>(&'b self, bytes: &'b [u8]) -> Run<'b> {
        Run { dtype: self.dtype(), unit: self.unit, bytes }
    }

    pub(super) fn error(&self, fault: Fault) -> Error {
        Error::new(Action::Read, self.file.path(), fault)
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.piece.read(buffer)? {
                0 => match self.receiver.recv() {
                    Ok(piece) => self.piece = Cursor::new(piece),
                    Err(_) => return Ok(0),
                },
                read => return Ok(read),
            }
        }
    }
}
