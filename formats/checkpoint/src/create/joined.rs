//! Tensors in memory and files, laid end to end in one address space.

use std::error;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use statedict_core::{Elements, Fault, Source, Storage, Tensor};

use crate::checkpoint::Checkpoint;
use crate::source::Backed;

use super::data::TensorData;

/// The sources of a new file's elements.
#[derive(Default)]
pub(super) struct Joined<'a> {
    /// In the order of their places, without gaps, none of them empty.
    pieces: Vec<Piece<'a>>,
    /// Where the checkpoints among them start; they are few.
    checkpoints: Vec<(&'a Checkpoint, u64)>,
    len: u64,
}

struct Piece<'a> {
    range: Range<u64>,
    origin: Origin<'a>,
}

#[derive(Clone, Copy)]
enum Origin<'a> {
    Tensor { key: &'a str, data: &'a dyn TensorData },
    Checkpoint(&'a Checkpoint),
}

impl<'a> Joined<'a> {
    /// Gives a tensor in memory a place; an error is why it can have none.
    pub(super) fn place(
        &mut self,
        key: &'a str,
        data: &'a dyn TensorData,
    ) -> Result<Elements, String> {
        let (dtype, shape) = (data.dtype(), data.shape());
        let beyond = || format!("shape {shape:?} of {dtype} has more bytes than 64 bits can count");
        let needed = bytes_of(&shape, dtype.bits()).ok_or_else(beyond)?;
        match data.byte_len() {
            Some(given) if given != needed => {
                return Err(format!(
                    "expected {needed} bytes for {dtype} {shape:?}, found {given}"
                ));
            }
            _ => {}
        }
        let range = self.add(Origin::Tensor { key, data }, needed).ok_or_else(beyond)?;
        let storage = Arc::new(Storage::stored(range));
        let tensor = Tensor::dense(dtype, shape, 0, storage).map_err(|why| why.to_string())?;
        Elements::new(tensor, None)
    }

    /// Gives the elements of a checkpoint's tensor the place that the checkpoint has here.
    pub(super) fn place_stored(
        &mut self,
        from: &'a Checkpoint,
        elements: &Elements,
    ) -> Result<Elements, String> {
        let known = self.checkpoints.iter().find(|(known, _)| std::ptr::eq(*known, from));
        let start = match known {
            Some((_, start)) => *start,
            None => {
                let range = self.add(Origin::Checkpoint(from), from.len());
                let start = range.ok_or("its file is too long")?.start;
                self.checkpoints.push((from, start));
                start
            }
        };
        let tensor = elements.tensor().ok_or("its elements are not those of one tensor")?;
        Elements::new(tensor.moved(start), None)
    }

    fn add(&mut self, origin: Origin<'a>, len: u64) -> Option<Range<u64>> {
        let range = self.len..self.len.checked_add(len)?;
        self.len = range.end;
        if len > 0 {
            self.pieces.push(Piece { range: range.clone(), origin });
        }
        Some(range)
    }

    /// The piece that has this byte.
    fn piece_at(&self, offset: u64) -> Option<&Piece<'a>> {
        let after = self.pieces.partition_point(|piece| piece.range.start <= offset);
        self.pieces.get(after.checked_sub(1)?).filter(|piece| offset < piece.range.end)
    }
}

impl Source for Joined<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<(), Fault> {
        while !buffer.is_empty() {
            let Some(piece) = self.piece_at(offset) else {
                return Err(Fault::malformed(offset, "there is no tensor to read"));
            };
            let left = piece.range.end - offset;
            let here = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let (now, later) = buffer.split_at_mut(here);
            piece.read_at(offset - piece.range.start, now)?;
            (offset, buffer) = (offset + here as u64, later);
        }
        Ok(())
    }
}

impl Piece<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        match self.origin {
            Origin::Checkpoint(checkpoint) => checkpoint.source().read_at(offset, buffer),
            Origin::Tensor { key, data } => data.read_at(offset, buffer).map_err(|error| {
                Fault::Unreadable(Unavailable { key: key.to_string(), error }.into())
            }),
        }
    }
}

impl Backed for Joined<'_> {
    fn file_at(&self, offset: u64) -> Option<(Arc<File>, u64)> {
        let piece = self.piece_at(offset)?;
        let Origin::Checkpoint(checkpoint) = piece.origin else { return None };
        let (file, start) = checkpoint.source().file_at(offset - piece.range.start)?;
        Some((file, piece.range.start + start))
    }
}

/// Elements that a [`TensorData`] did not give.
#[derive(Debug)]
struct Unavailable {
    key: String,
    error: io::Error,
}

impl error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.error)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the elements of tensor '{}' cannot be read: {}", self.key, self.error)
    }
}

/// Bytes of all elements side by side, if 64 bits can count them.
fn bytes_of(shape: &[u64], bits: u64) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    let count = shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size))?;
    Some(count.checked_mul(bits)?.div_ceil(8))
}
