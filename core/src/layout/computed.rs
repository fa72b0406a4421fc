//! Elements that are calculated from those of several tensors as they are written.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::{Elements, Origin};
use crate::DType;
use crate::Formula;
use crate::catalog::views::has_arithmetic;

/// What a formula gives, or some of it: elements that follow each other in row-major order.
///
/// So rows can be cut off and put one after another; columns cannot, and nothing is turned.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    formula: Arc<Formula<Elements>>,
    range: Range<u64>,
}

impl Computed {
    /// The formula.
    pub fn formula(&self) -> &Formula<Elements> {
        &self.formula
    }

    /// Which of the elements that it gives these are, in row-major order.
    pub fn range(&self) -> &Range<u64> {
        &self.range
    }

    pub(super) fn shift(&mut self, by: u64) {
        let formula = Arc::make_mut(&mut self.formula);
        formula.operands_mut().into_iter().for_each(|operand| operand.shift(by));
    }

    /// What a range of one dimension counts of these elements, if it is a run of them.
    pub(super) fn cut(
        &self,
        shape: &[u64],
        axis: usize,
        range: &Range<u64>,
    ) -> Result<Computed, String> {
        if shape[..axis].iter().any(|size| *size != 1) {
            return Err(cannot_be(&format!("cut in dim {axis}")));
        }
        let row: u64 = shape[axis + 1..].iter().product();
        let start = self.range.start + range.start * row;
        let range = start..start + (range.end - range.start) * row;
        Ok(Computed { formula: self.formula.clone(), range })
    }
}

/// That what a formula gives cannot be changed in some way within the same plan.
pub(super) fn cannot_be(changed: &str) -> String {
    format!("what a formula gives cannot be {changed} in the same plan; rows of it can be cut")
}

impl Elements {
    /// What a formula gives.
    ///
    /// # Errors
    /// Operands whose shapes or types do not go together.
    pub fn computed(formula: Formula<Elements>) -> Result<Elements, String> {
        let operands = formula.operands();
        let shapes: Vec<&[u64]> = operands.iter().map(|operand| operand.shape()).collect();
        formula.check(&shapes)?;
        if let Some(other) = operands.iter().find(|operand| !is_number(operand.dtype())) {
            return Err(format!("{} is not calculated with", other.dtype()));
        }
        let first = operands[0];
        let (dtype, shape) = match &formula {
            Formula::Dequantise { dtype, .. } => (dtype.clone(), first.shape.clone()),
            _ => (first.dtype.clone(), first.shape.clone()),
        };
        if !has_arithmetic(&dtype) {
            return Err(format!("the result would be {dtype}; expected F16, BF16, F32 or F64"));
        }
        if let Formula::Sum { terms } = &formula
            && let Some(other) = terms.iter().find(|term| term.dtype != dtype)
        {
            return Err(format!("{dtype} and {} cannot be added", other.dtype));
        }
        let range = 0..first.count();
        let origin = Origin::Computed(Computed { formula: Arc::new(formula), range });
        Ok(Elements { origin, dtype, shape })
    }
}

/// True for types whose elements are numbers that double precision holds exactly.
fn is_number(dtype: &DType) -> bool {
    let is_small = matches!(dtype, DType::I8 | DType::U8);
    is_small || has_arithmetic(dtype) || is_small_float(dtype)
}

fn is_small_float(dtype: &DType) -> bool {
    matches!(
        dtype,
        DType::F8E4M3 | DType::F8E5M2 | DType::F8E4M3Fnuz | DType::F8E5M2Fnuz | DType::F8E8M0
    )
}
