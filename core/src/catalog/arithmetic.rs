//! Constants that elements are combined with as they are read.

use core::fmt;
use core::hash::{Hash, Hasher};

/// A constant that every element of a tensor is combined with, in the precision PyTorch takes for
/// it: an `F16` or `BF16` as an `F32`, any other float as it is; then rounded to the tensor's type.
///
/// The constant is finite, and no factor is 0; the constructors see to it.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic {
    operation: Operation,
    constant: f64,
}

/// What is done with a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// It is added.
    Add,
    /// It is the factor.
    Multiply,
    /// It is the divisor.
    Divide,
}

impl Arithmetic {
    /// Every element and a constant; none for one that is infinite or no number.
    pub fn add(constant: f64) -> Option<Arithmetic> {
        constant.is_finite().then_some(Arithmetic { operation: Operation::Add, constant })
    }

    /// Every element times a constant; none for 0, and one that is infinite or no number.
    pub fn multiply(constant: f64) -> Option<Arithmetic> {
        let is_factor = constant.is_finite() && constant != 0.0;
        is_factor.then_some(Arithmetic { operation: Operation::Multiply, constant })
    }

    /// Every element divided by a constant; none for 0, and one that is infinite or no number.
    pub fn divide(constant: f64) -> Option<Arithmetic> {
        let is_divisor = constant.is_finite() && constant != 0.0;
        is_divisor.then_some(Arithmetic { operation: Operation::Divide, constant })
    }

    /// What is done with the constant.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The constant.
    pub fn constant(&self) -> f64 {
        self.constant
    }

    /// What leads back, so far as rounding lets it.
    #[must_use]
    pub fn inverse(&self) -> Arithmetic {
        let (operation, constant) = match self.operation {
            Operation::Add => (Operation::Add, -self.constant),
            Operation::Multiply => (Operation::Divide, self.constant),
            Operation::Divide => (Operation::Multiply, self.constant),
        };
        Arithmetic { operation, constant }
    }
}

impl PartialEq for Arithmetic {
    fn eq(&self, other: &Arithmetic) -> bool {
        self.operation == other.operation && self.constant.to_bits() == other.constant.to_bits()
    }
}

impl Eq for Arithmetic {}

impl Hash for Arithmetic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operation.hash(state);
        self.constant.to_bits().hash(state);
    }
}

/// What follows the tensor: ` + 1`, ` - 1`, ` * 0.5`, ` / 3`.
impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation {
            Operation::Add if self.constant < 0.0 => write!(f, " - {}", -self.constant),
            Operation::Add => write!(f, " + {}", self.constant),
            Operation::Multiply => write!(f, " * {}", self.constant),
            Operation::Divide => write!(f, " / {}", self.constant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn what_leads_back_is_the_opposite() {
        let check = |step: Option<Arithmetic>, shown: &str, back: &str| {
            let step = step.expect("a constant");
            assert_eq!(
                (step.to_string().as_str(), step.inverse().to_string().as_str()),
                (shown, back)
            );
        };
        check(Arithmetic::add(1.0), " + 1", " - 1");
        check(Arithmetic::add(-0.5), " - 0.5", " + 0.5");
        check(Arithmetic::multiply(4.0), " * 4", " / 4");
        check(Arithmetic::divide(3.0), " / 3", " * 3");
    }

    #[test]
    fn constants_that_lose_everything_are_none() {
        assert_eq!(Arithmetic::multiply(0.0), None);
        assert_eq!(Arithmetic::divide(0.0), None);
        assert_eq!(Arithmetic::add(f64::NAN), None);
        assert_eq!(Arithmetic::multiply(f64::INFINITY), None);
    }
}
