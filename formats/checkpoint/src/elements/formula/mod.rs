//! Elements that formulas give, calculated in double precision as they are written.
//!
//! The first operand comes in row-major order, some numbers at a time; what the others change of
//! them is a [`Term`]. So memory stays within a few MiB, whatever the sizes.

mod dequantise;
mod low_rank;
mod numbers;
mod weight_norm;

use std::ops::Range;

use statedict_core::{Computed, Elements, Fault, Formula, Source};

use super::losses::Losses;
use super::{Sink, StreamError};

use dequantise::Dequantise;
use low_rank::LowRank;
use numbers::{Deliver, Rounding};
use weight_norm::WeightNorm;

/// Magnitudes beyond which no weight norm is folded: each is held, and there are as many as rows.
const MAX_MAGNITUDES: u64 = 1 << 20;

/// What is done to the numbers of a formula's first operand.
trait Term {
    /// Changes numbers that follow each other, the first of which is at this place.
    fn apply(&mut self, first: u64, numbers: &mut [f64]) -> Result<(), StreamError>;
}

/// Delivers what a formula gives, rounded to the type of the elements.
pub(super) fn stream(
    source: &dyn Source,
    elements: &Elements,
    computed: &Computed,
    sink: &mut Sink<'_>,
) -> Result<Losses, StreamError> {
    let mut rounding = Rounding::to(elements.dtype())?;
    calculate(source, computed, &mut |numbers| {
        rounding.round(numbers, sink).map_err(StreamError::Sink)
    })?;
    Ok(Losses::of_overflows(rounding.overflows()))
}

/// Why a formula cannot be calculated, if it cannot, apart from its operands.
pub(super) fn obstacle(computed: &Computed) -> Option<Fault> {
    let Formula::WeightNorm { magnitude, .. } = computed.formula() else { return None };
    let count = magnitude.count();
    (count > MAX_MAGNITUDES).then(|| {
        let what = format!("a weight norm of {count} magnitudes; the limit is {MAX_MAGNITUDES}");
        Fault::TooLarge { at: None, what }
    })
}

/// Delivers what a formula gives as it is.
fn calculate(
    source: &dyn Source,
    computed: &Computed,
    deliver: &mut Deliver<'_>,
) -> Result<(), StreamError> {
    let (formula, range) = (computed.formula(), computed.range());
    let first = formula.operands()[0];
    let mut term = term(source, formula)?;
    let mut place = range.start;
    numbers::deliver(source, &some_of(first, range.clone())?, &mut |numbers| {
        term.apply(place, numbers)?;
        place += numbers.len() as u64;
        deliver(numbers)
    })
}

fn term<'a>(
    source: &'a dyn Source,
    formula: &'a Formula<Elements>,
) -> Result<Box<dyn Term + 'a>, StreamError> {
    Ok(match formula {
        Formula::LowRank { up, down, scale, .. } => {
            Box::new(LowRank::new(source, up, down, *scale)?)
        }
        Formula::WeightNorm { direction, magnitude } => {
            Box::new(WeightNorm::new(source, direction, magnitude)?)
        }
        Formula::Dequantise { quantised, scales, blocks, .. } => {
            Box::new(Dequantise::new(source, (quantised.shape(), blocks), scales)?)
        }
        Formula::Sum { terms } => Box::new(Sum { source, others: &terms[1..] }),
    })
}

/// Tensors that are added to the first.
struct Sum<'a> {
    source: &'a dyn Source,
    others: &'a [Elements],
}

impl Term for Sum<'_> {
    fn apply(&mut self, first: u64, numbers: &mut [f64]) -> Result<(), StreamError> {
        for other in self.others {
            let some = some_of(other, first..first + numbers.len() as u64)?;
            let more = numbers::all(self.source, &some)?;
            numbers.iter_mut().zip(more).for_each(|(number, more)| *number += more);
        }
        Ok(())
    }
}

/// Some of the elements, as they follow each other in row-major order.
fn some_of(elements: &Elements, range: Range<u64>) -> Result<Elements, Fault> {
    if range == (0..elements.count()) {
        return Ok(elements.clone());
    }
    let row: u64 = elements.shape().iter().skip(1).product();
    if row > 0 && range.start.is_multiple_of(row) && range.end.is_multiple_of(row) {
        return cut(elements, 0, range.start / row..range.end / row);
    }
    cut(&flat(elements)?, 0, range)
}

/// The elements in one dimension.
fn flat(elements: &Elements) -> Result<Elements, Fault> {
    elements.clone().reshape([elements.count()].into()).map_err(Fault::Unsupported)
}

fn cut(elements: &Elements, axis: usize, range: Range<u64>) -> Result<Elements, Fault> {
    elements.clone().slice(axis, range).map_err(Fault::Unsupported)
}

#[cfg(test)]
mod tests;
