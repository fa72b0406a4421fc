//! `base + scale · up × down`.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis, Slice};
use statedict_core::{Elements, Fault, Source};

use super::{Term, numbers};
use crate::elements::StreamError;
use crate::elements::window::size;

/// Numbers of the right factor that are held; a longer one is read again for each block of rows.
const HELD: u64 = 1 << 20;

/// Numbers of the left factor that are read at once.
const ROWS: u64 = 256 << 10;

/// What is added to the base.
pub(super) struct LowRank<'a> {
    source: &'a dyn Source,
    up: &'a Elements,
    down: &'a Elements,
    scale: f64,
    columns: u64,
    /// Columns of the right factor that are read at once.
    tile: u64,
    /// The right factor, if all of it is read at once.
    held: Option<Array2<f64>>,
}

impl<'a> LowRank<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        up: &'a Elements,
        down: &'a Elements,
        scale: f64,
    ) -> Result<LowRank<'a>, StreamError> {
        let [rank, columns] = down.shape() else {
            return Err(Fault::broken("an adapter that is not a matrix").into());
        };
        let (columns, tile) = (*columns, (HELD / (*rank).max(1)).max(1));
        let mut own = LowRank { source, up, down, scale, columns, tile, held: None };
        if columns <= tile {
            own.held = Some(own.matrix(down)?);
        }
        Ok(own)
    }

    fn matrix(&self, elements: &Elements) -> Result<Array2<f64>, StreamError> {
        let shape: Vec<usize> = elements.shape().iter().map(|it| size(*it)).collect();
        let all = numbers::all(self.source, elements)?;
        let matrix = Array2::from_shape_vec((shape[0], shape[1]), all);
        Ok(matrix.expect("as many numbers as the shape says"))
    }

    /// Adds the product in some rows and columns, whose numbers are row after row.
    fn add(
        &self,
        rows: Range<u64>,
        columns: Range<u64>,
        numbers: &mut [f64],
    ) -> Result<(), StreamError> {
        let up = self.matrix(&super::cut(self.up, 0, rows)?)?;
        let width = size(columns.end - columns.start);
        let mut start = columns.start;
        while start < columns.end {
            let end = columns.end.min(start + self.tile);
            let product = match &self.held {
                Some(down) => {
                    up.dot(&down.slice_axis(Axis(1), Slice::from(size(start)..size(end))))
                }
                None => up.dot(&self.matrix(&super::cut(self.down, 1, start..end)?)?),
            };
            let at = size(start - columns.start);
            self.add_tile(&product.view(), at, width, numbers);
            start = end;
        }
        Ok(())
    }

    fn add_tile(&self, product: &ArrayView2<f64>, at: usize, width: usize, numbers: &mut [f64]) {
        for (row, product) in numbers.chunks_exact_mut(width).zip(product.rows()) {
            let row = &mut row[at..at + product.len()];
            row.iter_mut().zip(product).for_each(|(number, more)| *number += self.scale * more);
        }
    }
}

impl Term for LowRank<'_> {
    fn apply(&mut self, first: u64, numbers: &mut [f64]) -> Result<(), StreamError> {
        let most = (ROWS / self.up.shape()[1].max(1)).max(1);
        let mut done = 0;
        while done < numbers.len() {
            let (place, left) = (first + done as u64, (numbers.len() - done) as u64);
            let (row, column) = (place / self.columns, place % self.columns);
            // Some whole rows, or a part of one.
            let (rows, columns) = if column == 0 && left >= self.columns {
                (row..row + most.min(left / self.columns), 0..self.columns)
            } else {
                (row..row + 1, column..self.columns.min(column + left))
            };
            let len = size((rows.end - rows.start) * (columns.end - columns.start));
            self.add(rows, columns, &mut numbers[done..done + len])?;
            done += len;
        }
        Ok(())
    }
}
