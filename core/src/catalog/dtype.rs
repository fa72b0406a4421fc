//! Element types, named as safetensors names them.

use alloc::boxed::Box;
use core::fmt;

/// The type of a tensor's elements.
///
/// Types that safetensors knows have its names (`F32`, `BF16`, `F8_E4M3`); complex128 is `C128`.
/// Any other type keeps the name its own framework gives it: `torch.qint8`, `<U2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 16-bit integer.
    U16,
    /// Signed 16-bit integer.
    I16,
    /// Unsigned 32-bit integer.
    U32,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned 64-bit integer.
    U64,
    /// Signed 64-bit integer.
    I64,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an `F32`.
    Bf16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// Two `F32`: real part, imaginary part.
    C64,
    /// Two `F64`: real part, imaginary part.
    C128,
    /// 8-bit float, 4 bits of exponent, no infinities.
    F8E4M3,
    /// 8-bit float, 5 bits of exponent.
    F8E5M2,
    /// 8-bit float, 4 bits of exponent, no negative zero.
    F8E4M3Fnuz,
    /// 8-bit float, 5 bits of exponent, no negative zero.
    F8E5M2Fnuz,
    /// A power of two in 8 bits.
    F8E8M0,
    /// 4-bit float; two elements share a byte.
    F4,
    /// 6-bit float, 2 bits of exponent.
    F6E2M3,
    /// 6-bit float, 3 bits of exponent.
    F6E3M2,
    /// A type only its own framework knows.
    Other {
        /// The framework's name for it.
        name: Box<str>,
        /// Bits in one element.
        bits: u32,
    },
}

/// Every type with a name of its own, with that name and its bits.
const NAMED: [(DType, &str, u32); 23] = [
    (DType::Bool, "BOOL", 8),
    (DType::U8, "U8", 8),
    (DType::I8, "I8", 8),
    (DType::U16, "U16", 16),
    (DType::I16, "I16", 16),
    (DType::U32, "U32", 32),
    (DType::I32, "I32", 32),
    (DType::U64, "U64", 64),
    (DType::I64, "I64", 64),
    (DType::F16, "F16", 16),
    (DType::Bf16, "BF16", 16),
    (DType::F32, "F32", 32),
    (DType::F64, "F64", 64),
    (DType::C64, "C64", 64),
    (DType::C128, "C128", 128),
    (DType::F8E4M3, "F8_E4M3", 8),
    (DType::F8E5M2, "F8_E5M2", 8),
    (DType::F8E4M3Fnuz, "F8_E4M3FNUZ", 8),
    (DType::F8E5M2Fnuz, "F8_E5M2FNUZ", 8),
    (DType::F8E8M0, "F8_E8M0", 8),
    (DType::F4, "F4", 4),
    (DType::F6E2M3, "F6_E2M3", 6),
    (DType::F6E3M2, "F6_E3M2", 6),
];

impl DType {
    /// The type with this name, if it is one of those listed by name above.
    pub fn named(name: &str) -> Option<DType> {
        let (dtype, _, _) = NAMED.iter().find(|(_, known, _)| *known == name)?;
        Some(dtype.clone())
    }

    /// A type that only its framework knows.
    pub fn other(name: &str, bits: u32) -> DType {
        DType::Other { name: name.into(), bits }
    }

    /// The name, as `ls` prints it.
    pub fn name(&self) -> &str {
        match self {
            DType::Other { name, .. } => name,
            known => known.fact().1,
        }
    }

    /// Bits in one element; 4 and 6 for the packed floats, 8 or more otherwise.
    pub fn bits(&self) -> u64 {
        match self {
            DType::Other { bits, .. } => u64::from(*bits),
            known => u64::from(known.fact().2),
        }
    }

    /// Bytes in one element, for types that fill whole bytes.
    pub fn bytes(&self) -> Option<u64> {
        self.bits().is_multiple_of(8).then(|| self.bits() / 8)
    }

    /// Bytes that change places when the byte order changes: an element, or a complex number's half.
    pub fn swap_width(&self) -> u64 {
        let bytes = self.bits().div_ceil(8);
        if self.is_complex() { bytes / 2 } else { bytes }
    }

    /// True for complex numbers.
    pub fn is_complex(&self) -> bool {
        matches!(self, DType::C64 | DType::C128)
            || matches!(self, DType::Other { name, .. } if &**name == "torch.complex32")
    }

    /// True for real floating-point numbers that fill whole bytes, which are those a cast changes.
    pub fn is_float(&self) -> bool {
        use DType::*;
        matches!(self, F16 | Bf16 | F32 | F64 | F8E4M3 | F8E5M2 | F8E4M3Fnuz | F8E5M2Fnuz | F8E8M0)
    }

    fn fact(&self) -> &'static (DType, &'static str, u32) {
        NAMED
            .iter()
            .find(|(dtype, _, _)| dtype == self)
            .expect("every variant but Other is in the table")
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_types() {
        for (dtype, name, bits) in &NAMED {
            assert_eq!(DType::named(name).as_ref(), Some(dtype));
            assert_eq!((dtype.name(), dtype.bits()), (*name, u64::from(*bits)));
        }
    }

    #[test]
    fn a_complex_number_swaps_its_halves() {
        assert_eq!(DType::C128.swap_width(), 8);
        assert_eq!(DType::F64.swap_width(), 8);
        assert_eq!(DType::other("<U2", 64).swap_width(), 8);
    }
}
