//! `quantised · scale`, each scale being that of a block.

use statedict_core::{Elements, Source, row_major_strides};

use super::{Term, numbers};
use crate::elements::StreamError;
use crate::elements::window::size;

/// Scales that are held; of more, those are read that are needed.
const HELD: u64 = 512 << 10;

/// The scales of blocks.
pub(super) struct Dequantise<'a> {
    source: &'a dyn Source,
    /// In one dimension.
    scales: Elements,
    /// All of them, if they are held.
    held: Option<Vec<f64>>,
    /// For each dimension its size, that of a block, and the distance of scales.
    axes: Vec<[u64; 3]>,
}

impl<'a> Dequantise<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        (shape, blocks): (&[u64], &[u64]),
        scales: &Elements,
    ) -> Result<Dequantise<'a>, StreamError> {
        let counts: Vec<u64> =
            shape.iter().zip(blocks).map(|(size, block)| size.div_ceil(*block)).collect();
        let strides = row_major_strides(&counts);
        let axes = shape.iter().zip(blocks).zip(strides);
        let axes = axes.map(|((size, block), stride)| [*size, *block, stride]).collect();
        let scales = super::flat(scales)?;
        let is_held = scales.count() <= HELD;
        let held = if is_held { Some(numbers::all(source, &scales)?) } else { None };
        Ok(Dequantise { source, scales, held, axes })
    }

    /// The place of the scale of the first number of a row, the rows being counted.
    fn scale_of_row(&self, mut row: u64) -> u64 {
        let outer = self.axes.iter().rev().skip(1);
        outer.fold(0, |place, [size, block, stride]| {
            let index = row % size;
            row /= size;
            place + index / block * stride
        })
    }

    /// Multiplies some numbers of a row, from `column` on, by its scales.
    fn scale(&self, scales: &[f64], column: u64, numbers: &mut [f64]) {
        let [_, block, _] = self.axes.last().copied().unwrap_or([1; 3]);
        let (mut left, mut column) = (numbers, column);
        while !left.is_empty() {
            let here = size(block - column % block).min(left.len());
            let (now, later) = left.split_at_mut(here);
            let scale = scales[size(column / block)];
            now.iter_mut().for_each(|number| *number *= scale);
            (left, column) = (later, column + here as u64);
        }
    }
}

impl Term for Dequantise<'_> {
    fn apply(&mut self, first: u64, numbers: &mut [f64]) -> Result<(), StreamError> {
        let [row_len, block, _] = self.axes.last().copied().unwrap_or([1; 3]);
        let in_row = size(row_len.div_ceil(block));
        let (mut left, mut place) = (numbers, first);
        while !left.is_empty() {
            let (row, column) = (place / row_len, place % row_len);
            let here = size(row_len - column).min(left.len());
            let (now, later) = left.split_at_mut(here);
            let start = self.scale_of_row(row);
            match &self.held {
                Some(all) => self.scale(&all[size(start)..][..in_row], column, now),
                None => {
                    let some = super::cut(&self.scales, 0, start..start + in_row as u64)?;
                    self.scale(&numbers::all(self.source, &some)?, column, now);
                }
            }
            (left, place) = (later, place + here as u64);
        }
        Ok(())
    }
}
