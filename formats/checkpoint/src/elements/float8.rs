//! The values of 8-bit floating-point numbers.

use statedict_core::DType;

/// How an 8-bit number's bits are shared out, and which of them are no numbers.
struct Layout {
    mantissa: u32,
    bias: i32,
    special: Special,
}

enum Special {
    /// The largest exponent and mantissa together are no number; there are no infinities.
    AllOnes,
    /// The largest exponent is an infinity or no number, as in IEEE 754.
    LastExponent,
    /// Negative zero is no number.
    NegativeZero,
}

/// The value of each of the 256 bit patterns; `None` for other types.
pub(crate) fn values(dtype: &DType) -> Option<[f32; 256]> {
    let layout = match dtype {
        DType::F8E4M3 => Layout { mantissa: 3, bias: 7, special: Special::AllOnes },
        DType::F8E5M2 => Layout { mantissa: 2, bias: 15, special: Special::LastExponent },
        DType::F8E4M3Fnuz => Layout { mantissa: 3, bias: 8, special: Special::NegativeZero },
        DType::F8E5M2Fnuz => Layout { mantissa: 2, bias: 16, special: Special::NegativeZero },
        DType::F8E8M0 => return Some(each(power)),
        _ => return None,
    };
    Some(each(|byte| layout.value(byte)))
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

    /// Bits of PyTorch's `.to(torch.float32)` for some bytes of each type; 0 stands for no number.
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
