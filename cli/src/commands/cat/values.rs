//! The values of a tensor, read from its bytes one at a time.

use statedict::checkpoint::half::f16;
use statedict::core::DType;

/// Elements of a type whose values can be printed.
pub(super) struct Values {
    pub(super) kind: Kind,
    bytes: Vec<u8>,
}

/// What the elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Signed(usize),
    Unsigned(usize),
    Real(Real),
    /// Two real numbers each.
    Complex(Real),
}

/// Floating-point types that NumPy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Real {
    F64,
    F32,
    F16,
}

impl Real {
    /// From where on NumPy writes numbers of an array with powers of ten.
    pub(super) fn largest_in_arrays(self) -> f64 {
        match self {
            Real::F64 => 1e8,
            Real::F32 => 1e6,
            Real::F16 => 1e3,
        }
    }

    /// From where on NumPy writes a number by itself with a power of ten.
    pub(super) fn largest_alone(self) -> f64 {
        match self {
            Real::F64 => 1e16,
            Real::F32 | Real::F16 => self.largest_in_arrays(),
        }
    }

    fn bytes(self) -> usize {
        match self {
            Real::F64 => 8,
            Real::F32 => 4,
            Real::F16 => 2,
        }
    }
}

impl Values {
    /// The values of whole little-endian elements; none if they are not numbers that NumPy has.
    pub(super) fn of(dtype: &DType, bytes: Vec<u8>) -> Option<Values> {
        let kind = match dtype {
            DType::Bool => Kind::Bool,
            DType::I8 => Kind::Signed(1),
            DType::I16 => Kind::Signed(2),
            DType::I32 => Kind::Signed(4),
            DType::I64 => Kind::Signed(8),
            DType::U8 => Kind::Unsigned(1),
            DType::U16 => Kind::Unsigned(2),
            DType::U32 => Kind::Unsigned(4),
            DType::U64 => Kind::Unsigned(8),
            DType::F64 => Kind::Real(Real::F64),
            DType::F32 => Kind::Real(Real::F32),
            DType::F16 => Kind::Real(Real::F16),
            DType::C64 => Kind::Complex(Real::F32),
            DType::C128 => Kind::Complex(Real::F64),
            _ => return None,
        };
        Some(Values { kind, bytes })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let width = match self.kind {
            Kind::Bool => 1,
            Kind::Signed(width) | Kind::Unsigned(width) => width,
            Kind::Real(real) => real.bytes(),
            Kind::Complex(part) => 2 * part.bytes(),
        };
        self.bytes.len() / width
    }

    /// An integer or truth value.
    pub(super) fn integer(&self, place: usize) -> i128 {
        match self.kind {
            Kind::Signed(width) => {
                let bytes = self.element(place, width);
                // The sign is that of the last byte.
                let fill = if bytes.last().is_some_and(|last| *last > 0x7F) { 0xFF } else { 0 };
                i128::from_le_bytes(widened(bytes, fill))
            }
            Kind::Unsigned(width) => i128::from_le_bytes(widened(self.element(place, width), 0)),
            _ => i128::from(self.element(place, 1).first().is_some_and(|byte| *byte != 0)),
        }
    }

    /// A real number, or one of the parts of complex numbers, which follow each other.
    pub(super) fn real(&self, place: usize, real: Real) -> f64 {
        let bytes = self.element(place, real.bytes());
        match real {
            Real::F64 => f64::from_le_bytes(widened(bytes, 0)),
            Real::F32 => f64::from(f32::from_le_bytes(widened(bytes, 0))),
            Real::F16 => f16::from_le_bytes(widened(bytes, 0)).to_f64(),
        }
    }

    fn element(&self, place: usize, width: usize) -> &[u8] {
        self.bytes.get(place * width..(place + 1) * width).unwrap_or_default()
    }
}

/// As many bytes as are wanted, the missing ones being `fill`.
fn widened<const N: usize>(bytes: &[u8], fill: u8) -> [u8; N] {
    let mut wide = [fill; N];
    for (to, from) in wide.iter_mut().zip(bytes) {
        *to = *from;
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_their_sign() {
        let of = |dtype, bytes: &[u8]| Values::of(&dtype, bytes.to_vec()).expect("a number");
        assert_eq!(of(DType::I16, &[1, 0, 0xFE, 0xFF]).integer(1), -2);
        assert_eq!(of(DType::U64, &[0xFF; 8]).integer(0), i128::from(u64::MAX));
        assert_eq!(of(DType::Bool, &[0, 2]).integer(1), 1);
        assert_eq!(of(DType::U32, &[0; 12]).len(), 3);
    }

    #[test]
    fn reals_are_read_in_their_precision() {
        let of = |dtype, bytes: &[u8]| Values::of(&dtype, bytes.to_vec()).expect("a number");
        assert_eq!(of(DType::F16, &[0, 0x3C]).real(0, Real::F16), 1.0);
        assert_eq!(of(DType::C64, &[0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]).real(1, Real::F32), -2.0);
    }
}
