//! The values of 8-bit floating-point numbers, and the 8-bit numbers nearest to others.

use statedict_core::DType;

/// How an 8-bit number's bits are shared out, and which of them are not numbers.
#[derive(Clone, Copy)]
struct Layout {
    mantissa: u32,
    bias: i32,
    special: Special,
}

#[derive(Clone, Copy)]
enum Special {
    /// The largest exponent and mantissa together are not a number; there are no infinities.
    AllOnes,
    /// The largest exponent is an infinity or no number, as in IEEE 754.
    LastExponent,
    /// Negative zero is not a number.
    NegativeZero,
}

const E4M3: Layout = Layout { mantissa: 3, bias: 7, special: Special::AllOnes };
const E5M2: Layout = Layout { mantissa: 2, bias: 15, special: Special::LastExponent };

/// The value of each of the 256 bit patterns; `None` for other types.
pub(crate) fn values(dtype: &DType) -> Option<[f32; 256]> {
    let layout = match dtype {
        DType::F8E4M3 => E4M3,
        DType::F8E5M2 => E5M2,
        DType::F8E4M3Fnuz => Layout { mantissa: 3, bias: 8, special: Special::NegativeZero },
        DType::F8E5M2Fnuz => Layout { mantissa: 2, bias: 16, special: Special::NegativeZero },
        DType::F8E8M0 => return Some(each(power)),
        _ => return None,
    };
    Some(each(|byte| layout.value(byte)))
}

/// A type that numbers are rounded to.
#[derive(Clone, Copy)]
pub(crate) struct Encoder(Layout);

impl Encoder {
    /// The encoder of a type, if numbers can be cast to it.
    pub(crate) fn of(dtype: &DType) -> Option<Encoder> {
        match dtype {
            DType::F8E4M3 => Some(Encoder(E4M3)),
            DType::F8E5M2 => Some(Encoder(E5M2)),
            _ => None,
        }
    }

    /// The nearest number of the type, the even one of two, as PyTorch's `.to()` gives it.
    ///
    /// What is beyond the range becomes infinite, or the largest number where there is no infinity.
    pub(crate) fn encode(self, number: f32) -> u8 {
        let (sign, magnitude) = (u8::from(number.is_sign_negative()) << 7, number.abs());
        let beyond = match self.0.special {
            Special::LastExponent => 0x7C,
            Special::AllOnes | Special::NegativeZero => 0x7E,
        };
        let bits = if number.is_nan() {
            0x7F
        } else {
            u8::try_from(self.0.rounded(magnitude)).unwrap_or(beyond).min(beyond)
        };
        sign | bits
    }

    /// True if a number, also an infinite one, is cut to the largest of the type.
    pub(crate) fn saturates(self, number: f32) -> bool {
        let cuts = !matches!(self.0.special, Special::LastExponent);
        cuts && !number.is_nan() && self.0.rounded(number.abs()) > 0x7E
    }
}

fn each(value: impl Fn(u8) -> f32) -> [f32; 256] {
    let mut byte = 0;
    [(); 256].map(|()| {
        let found = value(byte);
        byte = byte.wrapping_add(1);
        found
    })
}

/// The value of an `F8_E8M0`: a power of two alone.
fn power(byte: u8) -> f32 {
    if byte == 0xFF { f32::NAN } else { two_to(i32::from(byte) - 127) }
}

/// A power of two, also below the normal numbers.
fn two_to(exponent: i32) -> f32 {
    let biased = u64::try_from(exponent + 1023).expect("8-bit exponents are far within an f64's");
    f64::from_bits(biased << 52) as f32
}

impl Layout {
    /// The bits of a magnitude, rounded to even, as if exponents had no end.
    fn rounded(&self, magnitude: f32) -> u32 {
        let smallest = two_to(1 - self.bias);
        if magnitude < smallest {
            // In this sum the last bit of the mantissa counts the steps below the normal numbers.
            let steps = two_to(24 - self.bias - self.mantissa as i32);
            return (magnitude + steps).to_bits() - steps.to_bits();
        }
        let bits = magnitude.to_bits();
        let dropped = 23 - self.mantissa;
        let to_even = (bits >> dropped) & 1;
        let rounded = (bits + (1 << (dropped - 1)) - 1 + to_even) >> dropped;
        rounded - ((smallest.to_bits() >> dropped) - (1 << self.mantissa))
    }

    fn value(&self, byte: u8) -> f32 {
        let magnitude = u32::from(byte & 0x7F);
        let exponent = magnitude >> self.mantissa;
        let mantissa = magnitude & ((1 << self.mantissa) - 1);
        let sign = if byte & 0x80 == 0 { 1.0 } else { -1.0 };
        match self.special {
            Special::AllOnes if magnitude == 0x7F => f32::NAN,
            Special::NegativeZero if byte == 0x80 => f32::NAN,
            Special::LastExponent if exponent == 31 && mantissa == 0 => sign * f32::INFINITY,
            Special::LastExponent if exponent == 31 => f32::NAN,
            _ => sign * self.finite(exponent, mantissa),
        }
    }

    fn finite(&self, exponent: u32, mantissa: u32) -> f32 {
        let hidden = if exponent == 0 { 0 } else { 1 << self.mantissa };
        let scale = exponent.max(1) as i32 - self.bias - self.mantissa as i32;
        (hidden + mantissa) as f32 * two_to(scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits of PyTorch's `.to(torch.float32)` for some bytes of each type; 0 stands for NaN.
    fn check(dtype: DType, expected: [(u8, u32); 8]) {
        let values = values(&dtype).expect("8-bit");
        for (byte, bits) in expected {
            let value = values[usize::from(byte)];
            match bits {
                0x7FC0_0000 => assert!(value.is_nan(), "{dtype} {byte:#x}"),
                bits => assert_eq!(value.to_bits(), bits, "{dtype} {byte:#x}"),
            }
        }
    }

    #[test]
    fn every_number_is_the_nearest_to_itself() {
        for dtype in [DType::F8E4M3, DType::F8E5M2] {
            let encoder = Encoder::of(&dtype).expect("8-bit");
            for (byte, value) in (0..=u8::MAX).zip(values(&dtype).expect("8-bit")) {
                let is_number = !value.is_nan();
                assert!(!is_number || encoder.encode(value) == byte, "{dtype} {byte:#x}");
                assert!(is_number || encoder.encode(value) & 0x7F == 0x7F, "{dtype} {byte:#x}");
            }
        }
    }

    #[test]
    fn numbers_round_and_saturate_as_pytorch_rounds_them() {
        let check = |number: f32, e4m3: u8, e5m2: u8| {
            let of = |dtype| Encoder::of(&dtype).expect("8-bit").encode(number);
            assert_eq!((of(DType::F8E4M3), of(DType::F8E5M2)), (e4m3, e5m2), "{number}");
        };
        check(0.0, 0, 0);
        check(-0.0, 0x80, 0x80);
        check(1.0, 0x38, 0x3C);
        check(1.0625, 0x38, 0x3C);
        check(1.1875, 0x3A, 0x3D);
        check(464.0, 0x7E, 0x5F);
        check(480.0, 0x7E, 0x60);
        check(61439.0, 0x7E, 0x7B);
        check(61440.0, 0x7E, 0x7C);
        check(f32::MAX, 0x7E, 0x7C);
        check(f32::NEG_INFINITY, 0xFE, 0xFC);
        // Halfway to the smallest number below the normal ones, and a little more.
        check(f32::powi(2.0, -10), 0x00, 0x14);
        check(f32::from_bits(0x3A80_0001), 0x01, 0x14);
        check(f32::powi(2.0, -17), 0x00, 0x00);
        check(f32::from_bits(0x3700_0001), 0x00, 0x01);
        check(f32::from_bits(1), 0x00, 0x00);
    }

    const NAN: u32 = 0x7FC0_0000;

    #[test]
    fn values_are_those_pytorch_reads() {
        check(
            DType::F8E4M3,
            [
                (0, 0),
                (1, 0x3B00_0000),
                (9, 0x3C90_0000),
                (0x7E, 0x43E0_0000),
                (0x7F, NAN),
                (0x80, 0x8000_0000),
                (0x81, 0xBB00_0000),
                (0xFF, NAN),
            ],
        );
        check(
            DType::F8E5M2,
            [
                (1, 0x3780_0000),
                (3, 0x3840_0000),
                (4, 0x3880_0000),
                (0x7B, 0x4760_0000),
                (0x7C, 0x7F80_0000),
                (0x7D, NAN),
                (0x80, 0x8000_0000),
                (0xFC, 0xFF80_0000),
            ],
        );
        check(
            DType::F8E4M3Fnuz,
            [
                (0, 0),
                (1, 0x3A80_0000),
                (8, 0x3C00_0000),
                (0x7F, 0x4370_0000),
                (0x78, 0x4300_0000),
                (0x80, NAN),
                (0x81, 0xBA80_0000),
                (0xFF, 0xC370_0000),
            ],
        );
        check(
            DType::F8E5M2Fnuz,
            [
                (0, 0),
                (1, 0x3700_0000),
                (0x78, 0x4680_0000),
                (0x7F, 0x4760_0000),
                (0x80, NAN),
                (0x81, 0xB700_0000),
                (0xFC, 0xC700_0000),
                (0xFF, 0xC760_0000),
            ],
        );
        check(
            DType::F8E8M0,
            [
                (0, 0x0040_0000),
                (1, 0x0080_0000),
                (2, 0x0100_0000),
                (127, 0x3F80_0000),
                (128, 0x4000_0000),
                (253, 0x7E80_0000),
                (254, 0x7F00_0000),
                (255, NAN),
            ],
        );
    }
}
