//! `direction · magnitude / ‖direction‖`.

use statedict_core::{Elements, Source, row_major_strides};

use super::{Term, numbers};
use crate::elements::StreamError;
use crate::elements::window::size;

/// The factor of each norm.
pub(super) struct WeightNorm {
    norms: Norms,
    factors: Vec<f64>,
}

impl WeightNorm {
    /// Reads the direction once for its norms.
    pub(super) fn new(
        source: &dyn Source,
        direction: &Elements,
        magnitude: &Elements,
    ) -> Result<WeightNorm, StreamError> {
        let norms = Norms::new(direction.shape(), magnitude.shape());
        let mut factors = vec![0.0; size(magnitude.count())];
        let mut first = 0;
        numbers::deliver(source, direction, &mut |numbers| {
            norms.each(first, numbers, |norm, number| factors[norm] += *number * *number);
            first += numbers.len() as u64;
            Ok(())
        })?;
        let magnitude = numbers::all(source, magnitude)?;
        for (factor, magnitude) in factors.iter_mut().zip(magnitude) {
            *factor = magnitude / factor.sqrt();
        }
        Ok(WeightNorm { norms, factors })
    }
}

impl Term for WeightNorm {
    fn apply(&mut self, first: u64, numbers: &mut [f64]) -> Result<(), StreamError> {
        self.norms.each(first, numbers, |norm, number| *number *= self.factors[norm]);
        Ok(())
    }
}

/// Which norm each number has a part in.
struct Norms {
    /// The size of each dimension, and the distance of norms along it; 0 where there is one norm.
    axes: Vec<(u64, u64)>,
}

impl Norms {
    fn new(shape: &[u64], of: &[u64]) -> Norms {
        // A single number is the magnitude of all, whatever its shape.
        let strides = if of.len() == shape.len() { row_major_strides(of) } else { Vec::new() };
        let mut axes = Vec::<(u64, u64)>::new();
        for (axis, size) in shape.iter().enumerate() {
            let is_one = of.get(axis).is_none_or(|size| *size == 1);
            let stride = if is_one { 0 } else { strides.get(axis).copied().unwrap_or(0) };
            match axes.last_mut() {
                Some((outer, 0)) if stride == 0 => *outer *= size,
                _ => axes.push((*size, stride)),
            }
        }
        Norms { axes }
    }

    /// Visits numbers in row-major order, each with its norm, from the number `first` on.
    fn each(&self, first: u64, numbers: &mut [f64], mut visit: impl FnMut(usize, &mut f64)) {
        let [outer @ .., (row, step)] = self.axes.as_slice() else {
            numbers.iter_mut().for_each(|number| visit(0, number));
            return;
        };
        let (mut left, mut place) = (numbers, first);
        while !left.is_empty() {
            let (mut number, column) = (place / row, place % row);
            let mut norm = column * step;
            for (size, stride) in outer.iter().rev() {
                norm += number % size * stride;
                number /= size;
            }
            let here = size(row - column).min(left.len());
            let (now, later) = left.split_at_mut(here);
            for (i, number) in now.iter_mut().enumerate() {
                visit(size(norm + i as u64 * step), number);
            }
            (left, place) = (later, place + here as u64);
        }
    }
}
