//! Tensors cut into portions that can be made in any order, and several at the same time.

use std::ops::Range;

use statedict_core::{Block, Elements, Formula, Origin, Source, Tensor, View};

use super::losses::Losses;
use super::{StreamError, blocks, is_plain, is_stored, item, place, stream_counting};

/// Some of a tensor's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Portion<'a> {
    /// Where they start among all of the tensor's.
    pub(crate) start: u64,
    pub(crate) len: u64,
    content: Content<'a>,
}

#[derive(Clone, Debug)]
enum Content<'a> {
    /// A part of a stored tensor, or of what a formula gives.
    Part(Elements),
    /// The elements at these places of a tensor of blocks.
    Places(&'a Elements, Range<u64>),
}

/// The portions of a tensor, each of at most `most` bytes and made in about as much memory; none where
/// it has to be made from front to back.
pub(crate) fn portions(elements: &Elements, most: u64) -> Option<Vec<Portion<'_>>> {
    match elements.origin() {
        Origin::Tensor(tensor) if is_stored(tensor) => {
            // Elements that are cast are gathered as they are first.
            let most = if is_plain(elements) { most } else { most / 3 };
            in_rows(elements, most / item(&tensor.dtype).max(item(elements.dtype())))
        }
        Origin::Blocks(blocks) if blocks.iter().all(is_of_stored) => {
            let is_plain = blocks.iter().all(|block| is_plain(block.elements()));
            let most = if is_plain { most } else { most / 4 };
            Some(in_places(elements, most / item(elements.dtype())))
        }
        // Norms are taken of all of a tensor.
        Origin::Computed(computed) if !matches!(computed.formula(), Formula::WeightNorm { .. }) => {
            // The numbers take memory, too.
            in_rows(elements, most / 3 / item(elements.dtype()))
        }
        _ => None,
    }
}

fn is_of_stored(block: &Block) -> bool {
    block.elements().tensor().is_some_and(is_stored)
}

/// Whole entries of one dimension, for each combination of those before it.
fn in_rows(elements: &Elements, most: u64) -> Option<Vec<Portion<'static>>> {
    let shape = elements.shape();
    let (mut axis, mut inner) = (shape.len().checked_sub(1)?, 1);
    while axis > 0 && inner * shape[axis] <= most {
        inner *= shape[axis];
        axis -= 1;
    }
    let mut portions = Vec::new();
    cut(elements.clone(), 0, axis, (most / inner).max(1), &mut portions).ok()?;
    Some(portions)
}

/// Cuts the dimensions from `depth` to `last`, the last one into ranges of `chunk` entries.
fn cut(
    elements: Elements,
    depth: usize,
    last: usize,
    chunk: u64,
    portions: &mut Vec<Portion<'static>>,
) -> Result<(), String> {
    let size = elements.shape()[depth];
    let mut from = 0;
    while from < size {
        let to = if depth < last { from + 1 } else { size.min(from + chunk) };
        let part = elements.clone().slice(depth, from..to)?;
        if depth < last {
            cut(part, depth + 1, last, chunk, portions)?;
        } else {
            let start = portions.last().map_or(0, |before| before.start + before.len);
            let len = part.byte_len();
            portions.push(Portion { start, len, content: Content::Part(part) });
        }
        from = to;
    }
    Ok(())
}

fn in_places(elements: &Elements, most: u64) -> Vec<Portion<'_>> {
    let (item, most) = (item(elements.dtype()), most.max(1));
    let mut portions = Vec::new();
    let mut from = 0;
    while from < elements.count() {
        let to = elements.count().min(from + most);
        let content = Content::Places(elements, from..to);
        portions.push(Portion { start: from * item, len: (to - from) * item, content });
        from = to;
    }
    portions
}

impl Portion<'_> {
    /// True if it is read from front to back, and nothing of it for another portion.
    pub(crate) fn is_in_order(&self) -> bool {
        let Content::Part(elements) = &self.content else { return false };
        let view = elements.tensor().and_then(Tensor::as_view);
        view.is_some_and(View::is_contiguous)
    }

    /// Fills a buffer of its length; gives what was lost.
    pub(crate) fn fill(&self, source: &dyn Source, into: &mut [u8]) -> Result<Losses, StreamError> {
        match &self.content {
            Content::Part(elements) if elements.tensor().is_none() => {
                let mut filled = 0;
                stream_counting(source, elements, &mut |bytes| {
                    into[filled..filled + bytes.len()].copy_from_slice(bytes);
                    filled += bytes.len();
                    Ok(())
                })
            }
            Content::Part(elements) => {
                let targets = statedict_core::row_major_strides(elements.shape());
                place(source, elements, &targets, into)
            }
            Content::Places(elements, range) => blocks::fill(source, elements, range.clone(), into),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::elements::stream;
    use statedict_core::{ByteOrder, DType, Storage, Tensor};
    use std::sync::Arc;

    /// The bytes of a tensor, made portion by portion, the last one first.
    pub(in crate::elements) fn in_portions(
        source: &[u8],
        elements: &Elements,
        most: u64,
    ) -> Option<Vec<u8>> {
        let portions = portions(elements, most)?;
        let mut bytes = vec![0; elements.byte_len() as usize];
        let mut filled = 0;
        for portion in portions.iter().rev() {
            let start = portion.start as usize;
            let into = &mut bytes[start..start + portion.len as usize];
            portion.fill(&source, into).ok()?;
            filled += portion.len;
        }
        assert_eq!(filled, elements.byte_len());
        Some(bytes)
    }

    #[test]
    fn portions_of_stored_tensors_are_what_a_stream_delivers() {
        let source: Vec<u8> = (0..2000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        let tensor = |dtype: &DType, strides: [u64; 3], byte_order| {
            let storage = Storage { byte_order, ..Storage::stored(3..1999) };
            let strides = strides.into_iter().collect();
            let shape = vec![3, 4, 5].into_iter().collect();
            Tensor::view(dtype.clone(), shape, strides, 1, Arc::new(storage)).expect("within")
        };
        for strides in [[20, 5, 1], [1, 3, 12], [40, 1, 4], [0, 1, 9]] {
            for (dtype, cast) in
                [(DType::U8, None), (DType::F32, Some(DType::F16)), (DType::F16, None)]
            {
                for order in [ByteOrder::Little, ByteOrder::Big] {
                    let elements = Elements::new(tensor(&dtype, strides, order), cast.as_ref());
                    let elements = elements.expect("plain");
                    let mut expected = Vec::new();
                    let streamed = stream(&source.as_slice(), &elements, &mut |bytes| {
                        expected.extend_from_slice(bytes);
                        Ok(())
                    });
                    assert!(streamed.is_ok());
                    for most in [1, 7, 40, 1 << 20] {
                        let made = in_portions(&source, &elements, most);
                        assert_eq!(made.as_ref(), Some(&expected), "{dtype} {strides:?} {most}");
                    }
                }
            }
        }
    }

    #[test]
    fn portions_are_no_larger_than_asked_for() {
        let storage = Arc::new(Storage::stored(0..1 << 20));
        let tensor = Tensor::dense(DType::F16, vec![7, 100, 300], 0, storage).expect("within");
        let turned = Elements::new(tensor, None).and_then(|elements| elements.permute(&[2, 0, 1]));
        let turned = turned.expect("plain");
        for most in [2, 1000, 1 << 12, 1 << 18] {
            let portions = portions(&turned, most).expect("stored");
            assert!(portions.iter().all(|portion| portion.len <= most));
            assert!(portions.len() as u64 <= 1 + 2 * turned.byte_len() / most);
        }
    }
}
