//! Elements of two origins by turns: tensors joined along another dimension than the first.
//!
//! The first origin is streamed as it comes; after each of its pieces comes one of the second, which
//! is drawn, or cut from the tensor it is of.

use std::io;

use statedict_core::{Elements, Interleaved, Location, Origin, Source, Tensor};

use crate::elements::draw::Drawn;
use crate::elements::{self, Sink, StreamError};

/// Delivers the elements to `sink`, some at a time; gives how many finite numbers a cast made
/// infinite.
pub(crate) fn stream(
    source: &dyn Source,
    parts: &Interleaved,
    sink: &mut Sink<'_>,
) -> Result<u64, StreamError> {
    let mut others = Others::of(source, &parts.second, parts.pieces)?;
    let piece = parts.first.byte_len() / parts.pieces.max(1);
    if piece == 0 {
        return (0..parts.pieces).try_for_each(|_| others.next(sink)).map(|()| 0);
    }
    let (mut left, mut stop) = (piece, None);
    let streamed = elements::stream_counting(source, &parts.first, &mut |mut bytes| {
        while !bytes.is_empty() {
            let now = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            sink(&bytes[..now])?;
            (bytes, left) = (&bytes[now..], left - now as u64);
            if left == 0 {
                left = piece;
                // The stream ends with an error of the sink's, and the true one is kept.
                others.next(sink).map_err(|why| {
                    stop = Some(why);
                    io::Error::other("the other elements cannot be had")
                })?;
            }
        }
        Ok(())
    });
    stop.map_or(streamed, Err)
}

/// The pieces of the second origin, one after another.
enum Others<'a> {
    Drawn {
        numbers: Box<Drawn>,
        count: u64,
    },
    /// Cut from a tensor by the position among the dimensions that pieces are counted in.
    Cut {
        source: &'a dyn Source,
        elements: &'a Elements,
        tensor: &'a Tensor,
        next: u64,
        pieces: u64,
    },
    /// Held in memory, for a deflated storage is read from its start each time.
    Held {
        bytes: Vec<u8>,
        len: usize,
        next: usize,
    },
}

impl<'a> Others<'a> {
    fn of(
        source: &'a dyn Source,
        elements: &'a Elements,
        pieces: u64,
    ) -> Result<Self, StreamError> {
        let is_stored = |tensor: &Tensor| {
            let location = tensor.as_view().map(|view| &view.storage().location);
            matches!(location, Some(Location::Stored(_)))
        };
        match elements.origin() {
            Origin::Drawn(drawing) => {
                let count = elements.count() / pieces.max(1);
                Ok(Others::Drawn { numbers: Box::new(Drawn::new(drawing)), count })
            }
            Origin::Tensor(tensor) if is_stored(tensor) => {
                Ok(Others::Cut { source, elements, tensor, next: 0, pieces })
            }
            _ => {
                let mut bytes = Vec::new();
                elements::stream(source, elements, &mut |piece| {
                    bytes.extend_from_slice(piece);
                    Ok(())
                })?;
                let len = usize::try_from(pieces).map_or(0, |pieces| bytes.len() / pieces.max(1));
                Ok(Others::Held { bytes, len, next: 0 })
            }
        }
    }

    fn next(&mut self, sink: &mut Sink<'_>) -> Result<(), StreamError> {
        match self {
            Others::Drawn { numbers, count } => {
                numbers.deliver(*count, sink).map_err(StreamError::Sink)
            }
            Others::Cut { source, elements, tensor, next, pieces } => {
                let piece = piece(tensor, *next, *pieces);
                *next += 1;
                let piece = piece.and_then(|it| Elements::new(it, Some(elements.dtype())).ok());
                let piece = piece.expect("a piece of a tensor that could be narrowed");
                elements::stream(*source, &piece, sink)
            }
            Others::Held { bytes, len, next } => {
                let start = *next;
                *next += *len;
                sink(&bytes[start..*next]).map_err(StreamError::Sink)
            }
        }
    }
}

/// One of so many pieces of a tensor, which the first dimensions count.
fn piece(tensor: &Tensor, number: u64, pieces: u64) -> Option<Tensor> {
    let (mut cut, mut number, mut below) = (tensor.clone(), number, pieces);
    let mut dimension = 0;
    while below > 1 {
        below /= (*tensor.shape.get(dimension)?).max(1);
        let at = number / below.max(1);
        number %= below.max(1);
        cut = cut.narrowed(dimension, at..at + 1)?;
        dimension += 1;
    }
    Some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use statedict_core::{
        DType, Storage,
        init::{InitRule, Initialiser, Needed},
    };

    /// A tensor of bytes that stand from `start` on, its dimensions in the order of its strides.
    fn bytes(shape: &[u64], strides: &[u64], start: u64) -> Tensor {
        let storage = Arc::new(Storage::stored(start..200));
        Tensor::view(DType::U8, shape.into(), strides.into(), 0, storage).expect("within")
    }

    fn resized(source: &Tensor, target: &Tensor, init: &str, dimensions: &[usize]) -> Vec<u8> {
        let rule = InitRule::parse(&format!("k={init}"), '.').expect("a rule");
        let initialiser = Initialiser { rules: vec![rule], seed: 0 };
        let shape = &target.shape;
        let needed = Needed { key: "k", dtype: &DType::U8, shape, target: Some(target) };
        let made = initialiser.resize(source, None, needed, dimensions).expect("resized");
        assert_eq!(made.shape(), shape);
        let file: Vec<u8> = (0..200).collect();
        let mut out = Vec::new();
        let streamed = elements::stream(&&file[..], &made, &mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        assert!(streamed.is_ok() && out.len() as u64 == made.byte_len());
        out
    }

    #[test]
    fn columns_are_kept_and_others_stand_beside_them() {
        let source = bytes(&[2, 2], &[2, 1], 0);
        let target = bytes(&[2, 3], &[3, 1], 100);
        assert_eq!(resized(&source, &target, "constant(9)", &[1]), [0, 1, 9, 2, 3, 9]);
        assert_eq!(resized(&source, &target, "target", &[1]), [0, 1, 102, 2, 3, 105]);
        let narrow = bytes(&[2, 1], &[1, 1], 100);
        assert_eq!(resized(&source, &narrow, "zeros", &[1]), [0, 2]);
    }

    #[test]
    fn several_dimensions_are_resized_at_once() {
        let source = bytes(&[1, 2, 1, 2], &[4, 2, 2, 1], 0);
        let target = bytes(&[2, 2, 2, 3], &[12, 6, 3, 1], 100);
        let expected =
            [[0, 1, 102, 103, 104, 105, 2, 3, 108, 109, 110, 111].to_vec(), (112..124).collect()];
        assert_eq!(resized(&source, &target, "target", &[0, 2, 3]), expected.concat());
        let smaller = bytes(&[1, 1, 1, 3], &[3, 3, 3, 1], 100);
        assert_eq!(resized(&source, &smaller, "constant(7)", &[1, 3]), [0, 1, 7]);
    }

    #[test]
    fn strides_of_either_side_are_followed() {
        let source = bytes(&[2, 2], &[1, 2], 0);
        let target = bytes(&[2, 3], &[1, 2], 100);
        assert_eq!(resized(&source, &target, "target", &[1]), [0, 2, 104, 1, 3, 105]);
    }

    #[test]
    fn a_side_without_elements_leaves_the_other() {
        let source = bytes(&[2, 0], &[1, 1], 0);
        let target = bytes(&[2, 2], &[2, 1], 100);
        assert_eq!(resized(&source, &target, "target", &[1]), [100, 101, 102, 103]);
    }
}
