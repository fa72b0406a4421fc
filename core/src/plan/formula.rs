//! Formulas: new tensors that are calculated from several others.
//!
//! The list is closed. Each is calculated in double precision and rounded once, to the type of the
//! new tensor; none leads back. What an operand is does not matter here: an [`Expression`] where a
//! formula is planned, [`Elements`](crate::Elements) where it is calculated.
//!
//! [`Expression`]: crate::Expression

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::DType;
use crate::catalog::tensor::count_of;

/// A tensor that is calculated from several others.
#[derive(Clone, Debug, PartialEq)]
pub enum Formula<T> {
    /// `base + scale · up × down`, a product of matrices: an adapter of low rank (LoRA) merged.
    ///
    /// The dimensions of the base after its first count as one; whoever has an adapter of a
    /// transposed weight turns `up` and `down`.
    LowRank {
        /// What is adapted, `[o, i…]`.
        base: T,
        /// `[o, r]`.
        up: T,
        /// `[r, i]`.
        down: T,
        /// What the product is multiplied by.
        scale: f64,
    },
    /// `direction · magnitude / ‖direction‖`: a weight norm folded.
    ///
    /// The norm is taken over the dimensions in which the magnitude has one entry.
    WeightNorm {
        /// The weight of which the direction counts.
        direction: T,
        /// As many dimensions as the direction, each of as many entries or of one; or one number.
        magnitude: T,
    },
    /// `quantised · scale`, each scale being that of a block.
    Dequantise {
        /// Small integers or floats.
        quantised: T,
        /// One for each block; those at the ends may be smaller.
        scales: T,
        /// The size of a block in each dimension.
        blocks: Vec<u64>,
        /// The type of the new tensor.
        dtype: DType,
    },
    /// The sum of tensors of one shape and type.
    Sum {
        /// At least one.
        terms: Vec<T>,
    },
}

impl<T> Formula<T> {
    /// Its name in plans.
    pub fn name(&self) -> &'static str {
        match self {
            Formula::LowRank { .. } => "low_rank",
            Formula::WeightNorm { .. } => "weight_norm",
            Formula::Dequantise { .. } => "dequantise",
            Formula::Sum { .. } => "sum",
        }
    }

    /// What becomes of it in words: what its result is.
    pub fn result(&self) -> &'static str {
        match self {
            Formula::LowRank { .. } => "has an adapter merged",
            Formula::WeightNorm { .. } => "has its weight norm folded",
            Formula::Dequantise { .. } => "was dequantised",
            Formula::Sum { .. } => "is a sum",
        }
    }

    /// What it is calculated from; the first has the shape of the result.
    pub fn operands(&self) -> Vec<&T> {
        match self {
            Formula::LowRank { base, up, down, .. } => [base, up, down].into(),
            Formula::WeightNorm { direction, magnitude } => [direction, magnitude].into(),
            Formula::Dequantise { quantised, scales, .. } => [quantised, scales].into(),
            Formula::Sum { terms } => terms.iter().collect(),
        }
    }

    /// The operands themselves.
    pub(crate) fn operands_mut(&mut self) -> Vec<&mut T> {
        match self {
            Formula::LowRank { base, up, down, .. } => [base, up, down].into(),
            Formula::WeightNorm { direction, magnitude } => [direction, magnitude].into(),
            Formula::Dequantise { quantised, scales, .. } => [quantised, scales].into(),
            Formula::Sum { terms } => terms.iter_mut().collect(),
        }
    }

    /// The same formula of what each operand becomes.
    ///
    /// # Errors
    /// The first that an operand gives.
    pub fn try_map<U, E>(&self, mut each: impl FnMut(&T) -> Result<U, E>) -> Result<Formula<U>, E> {
        Ok(match self {
            Formula::LowRank { base, up, down, scale } => Formula::LowRank {
                base: each(base)?,
                up: each(up)?,
                down: each(down)?,
                scale: *scale,
            },
            Formula::WeightNorm { direction, magnitude } => {
                Formula::WeightNorm { direction: each(direction)?, magnitude: each(magnitude)? }
            }
            Formula::Dequantise { quantised, scales, blocks, dtype } => Formula::Dequantise {
                quantised: each(quantised)?,
                scales: each(scales)?,
                blocks: blocks.clone(),
                dtype: dtype.clone(),
            },
            Formula::Sum { terms } => {
                Formula::Sum { terms: terms.iter().map(each).collect::<Result<_, _>>()? }
            }
        })
    }

    /// Holds the shapes of the operands against each other, in the order of
    /// [`operands`](Formula::operands).
    ///
    /// # Errors
    /// Which do not go together.
    pub(crate) fn check(&self, shapes: &[&[u64]]) -> Result<(), String> {
        match (self, shapes) {
            (Formula::LowRank { .. }, [base, up, down]) => check_low_rank(base, up, down),
            (Formula::WeightNorm { .. }, [direction, magnitude]) => {
                let goes = |(one, other): (&u64, &u64)| one == other || *other == 1;
                let alike = magnitude.len() == direction.len()
                    && direction.iter().zip(*magnitude).all(goes);
                if alike || count_of(magnitude) == Some(1) {
                    return Ok(());
                }
                Err(format!("a magnitude of shape {magnitude:?} is not one of {direction:?}"))
            }
            (Formula::Dequantise { blocks, .. }, [quantised, scales]) => {
                let fits = blocks.len() == quantised.len()
                    && !blocks.contains(&0)
                    && scales_of(quantised, blocks) == count_of(scales);
                if fits {
                    return Ok(());
                }
                Err(format!(
                    "{scales:?} are not the scales of {quantised:?} in blocks of {blocks:?}"
                ))
            }
            (Formula::Sum { .. }, [first, others @ ..]) => {
                match others.iter().find(|other| other != &first) {
                    Some(other) => Err(format!("{first:?} and {other:?} cannot be added")),
                    None => Ok(()),
                }
            }
            _ => Err("there is nothing to add".into()),
        }
    }
}

fn check_low_rank(base: &[u64], up: &[u64], down: &[u64]) -> Result<(), String> {
    let [outputs, inputs @ ..] = base else {
        return Err("a single number has no adapter".into());
    };
    match (up, down) {
        ([o, r], [s, i]) if r == s && o == outputs && Some(*i) == count_of(inputs) => Ok(()),
        _ => Err(format!("{up:?} and {down:?} do not make a product of shape {base:?}")),
    }
}

/// How many scales a tensor has in blocks of these sizes.
fn scales_of(shape: &[u64], blocks: &[u64]) -> Option<u64> {
    let counts = shape.iter().zip(blocks).map(|(size, block)| size.div_ceil(*block));
    count_of(&counts.collect::<Vec<_>>())
}

/// The sizes of the blocks that `scales` are for, as the shapes say them.
///
/// One scale is for all elements, and one for each row is for its rows. Otherwise there is a scale
/// for each block of a size that divides the tensor evenly, or is a power of two; where both could
/// be, nothing says which.
///
/// # Errors
/// Shapes that do not go together, and such as could mean several sizes.
pub fn block_sizes(quantised: &[u64], scales: &[u64]) -> Result<Vec<u64>, String> {
    if count_of(scales) == Some(1) {
        return Ok(quantised.iter().map(|size| (*size).max(1)).collect());
    }
    let (rank, mut scales_in_each) = (quantised.len(), scales.to_vec());
    if scales.len() < rank && quantised.starts_with(scales) {
        scales_in_each.resize(rank, 1);
    }
    if scales_in_each.len() != rank {
        return Err(format!("{scales:?} are not the scales of {quantised:?}"));
    }
    let sizes = quantised.iter().zip(&scales_in_each);
    sizes.enumerate().map(|(dim, (size, count))| block_size(*size, *count, dim)).collect()
}

/// The size of each of `count` blocks that together have `size` entries.
fn block_size(size: u64, count: u64, dim: usize) -> Result<u64, String> {
    if count == 1 || size == count {
        return Ok(if count == 1 { size.max(1) } else { 1 });
    }
    if count == 0 || size < count {
        return Err(format!("{count} scales are too many for {size} entries in dim {dim}"));
    }
    let least = size.div_ceil(count);
    let power = least.checked_next_power_of_two().filter(|block| size.div_ceil(*block) == count);
    let even = size.is_multiple_of(count).then_some(size / count);
    match (power, even) {
        (Some(power), Some(even)) if power != even => Err(format!(
            "{count} scales for {size} entries in dim {dim} could be for blocks of {even} or {power}"
        )),
        (Some(block), _) | (None, Some(block)) => Ok(block),
        (None, None) => Err(format!(
            "{count} scales for {size} entries in dim {dim}: no size of a block is known to give that"
        )),
    }
}

/// As one would write it: `a + 2·(b @ c)`.
impl<T: fmt::Display> fmt::Display for Formula<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Formula::LowRank { base, up, down, scale } => {
                write!(f, "{base} + {scale}·({up} @ {down})")
            }
            Formula::WeightNorm { direction, magnitude } => {
                write!(f, "{direction}·{magnitude}/‖{direction}‖")
            }
            Formula::Dequantise { quantised, scales, blocks, dtype } => {
                write!(f, "({quantised}·{scales} by {blocks:?}).to({dtype})")
            }
            Formula::Sum { terms } => {
                for (i, term) in terms.iter().enumerate() {
                    let plus = if i == 0 { "" } else { " + " };
                    write!(f, "{plus}{term}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_the_shapes_say() {
        let check = |quantised: &[u64], scales: &[u64], expected: &[u64]| {
            assert_eq!(block_sizes(quantised, scales).as_deref(), Ok(expected));
        };
        check(&[7168, 18432], &[56, 144], &[128, 128]);
        check(&[576, 7168], &[5, 56], &[128, 128]);
        check(&[24, 7168], &[1, 56], &[24, 128]);
        check(&[300, 200], &[], &[300, 200]);
        check(&[300, 200], &[1], &[300, 200]);
        check(&[300, 200], &[1, 1], &[300, 200]);
        check(&[300, 200], &[300], &[1, 200]);
        check(&[300, 200], &[300, 1], &[1, 200]);
        check(&[8, 2048, 7168], &[8, 16, 56], &[1, 128, 128]);
        check(&[8, 100, 96], &[8, 1, 3], &[1, 100, 32]);
        check(&[129], &[2], &[128]);
    }

    #[test]
    fn blocks_that_the_shapes_do_not_say_are_refused() {
        let check = |quantised: &[u64], scales: &[u64], expected: &str| {
            assert_eq!(block_sizes(quantised, scales), Err(expected.into()));
        };
        let why = "3 scales for 300 entries in dim 0 could be for blocks of 100 or 128";
        check(&[300, 8], &[3, 1], why);
        check(&[4, 8], &[4, 9], "9 scales are too many for 8 entries in dim 1");
        check(&[4, 8], &[2, 2, 2], "[2, 2, 2] are not the scales of [4, 8]");
        check(
            &[100, 7],
            &[3, 4],
            "3 scales for 100 entries in dim 0: no size of a block is known to give that",
        );
    }
}
