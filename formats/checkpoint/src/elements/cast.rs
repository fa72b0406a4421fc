//! Casts between floating-point types, bit for bit as PyTorch's `.to()` makes them.
//!
//! Every cast passes through `f32`, which holds each smaller type exactly. PyTorch too rounds an
//! `f64` to `f32` before it rounds it to a half, so that a half may differ from the nearest one.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use statedict_core::DType;

use crate::elements::float8::{self, Encoder};

/// A cast from one floating-point type to another, with room for a piece on its way.
pub(crate) struct Cast {
    decode: Decode,
    encode: Encode,
    numbers: Vec<f32>,
    halves: Vec<f16>,
    overflow: Overflow,
    overflows: u64,
}

/// How to find which numbers the new type has no room for.
#[derive(Clone, Copy)]
enum Overflow {
    /// It has room for all.
    Never,
    /// Finite ones become infinite; the infinities on either side.
    Infinite([Infinity; 2]),
    /// They are cut to the largest number.
    Saturated(Encoder),
}

/// The bit pattern of the positive infinity of a type.
#[derive(Clone, Copy)]
enum Infinity {
    /// There is none.
    None,
    Bits8(u8),
    Bits16(u16),
    Bits32(u32),
    Bits64(u64),
}

enum Decode {
    F64,
    F32,
    F16,
    Bf16,
    F8(Box<[f32; 256]>),
}

#[derive(Clone, Copy)]
enum Encode {
    F64,
    F32,
    F16,
    Bf16,
    F8(Encoder),
}

impl Cast {
    /// The cast, if both types are such that it is known.
    pub(crate) fn new(from: &DType, to: &DType) -> Option<Cast> {
        let decode = match from {
            DType::F64 => Decode::F64,
            DType::F32 => Decode::F32,
            DType::F16 => Decode::F16,
            DType::Bf16 => Decode::Bf16,
            other => Decode::F8(Box::new(float8::values(other)?)),
        };
        let encode = match to {
            DType::F64 => Encode::F64,
            DType::F32 => Encode::F32,
            DType::F16 => Encode::F16,
            DType::Bf16 => Encode::Bf16,
            other => Encode::F8(Encoder::of(other)?),
        };
        Some(Cast {
            decode,
            encode,
            numbers: Vec::new(),
            halves: Vec::new(),
            overflow: Overflow::of(from, to),
            overflows: 0,
        })
    }

    /// How many numbers the new type had no room for so far: finite ones that became infinite, and
    /// those that were cut to the largest number.
    pub(crate) fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Casts whole little-endian elements and leaves the result in `out`.
    pub(crate) fn apply(&mut self, elements: &[u8], out: &mut Vec<u8>) {
        out.clear();
        self.read(elements);
        match self.encode {
            Encode::F64 => write(&self.numbers, out, |n| f64::from(n).to_le_bytes()),
            Encode::F32 => write(&self.numbers, out, f32::to_le_bytes),
            Encode::Bf16 => write(&self.numbers, out, |n| bf16::from_f32(n).to_le_bytes()),
            Encode::F8(encoder) => write(&self.numbers, out, |n| [encoder.encode(n)]),
            Encode::F16 => {
                self.halves.resize(self.numbers.len(), f16::ZERO);
                self.halves.convert_from_f32_slice(&self.numbers);
                write(&self.halves, out, f16::to_le_bytes);
            }
        }
        self.overflows += match self.overflow {
            Overflow::Never => 0,
            Overflow::Saturated(encoder) => {
                self.numbers.iter().map(|number| u64::from(encoder.saturates(*number))).sum()
            }
            // What was infinite stays so, so the rest of the infinities have overflowed.
            Overflow::Infinite([before, after]) => match after.count(out) {
                0 => 0,
                infinite => infinite.saturating_sub(before.count(elements)),
            },
        }
    }

    fn read(&mut self, elements: &[u8]) {
        let numbers = &mut self.numbers;
        match &self.decode {
            Decode::F64 => read(elements, numbers, |bytes| f64::from_le_bytes(bytes) as f32),
            Decode::F32 => read(elements, numbers, f32::from_le_bytes),
            Decode::Bf16 => read(elements, numbers, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Decode::F8(values) => read(elements, numbers, |[byte]| values[usize::from(byte)]),
            Decode::F16 => {
                read(elements, &mut self.halves, f16::from_le_bytes);
                numbers.resize(self.halves.len(), 0.0);
                self.halves.convert_to_f32_slice(numbers);
            }
        }
    }
}

impl Overflow {
    fn of(from: &DType, to: &DType) -> Overflow {
        use DType::{Bf16, F8E4M3, F8E5M2, F8E8M0, F16, F32, F64};
        if *to == F8E4M3 {
            return Encoder::of(to).map_or(Overflow::Never, Overflow::Saturated);
        }
        let can_overflow = matches!(
            (from, to),
            (F64, F32 | F16 | Bf16 | F8E5M2)
                | (F32, F16 | Bf16 | F8E5M2)
                | (Bf16 | F8E8M0, F16 | F8E5M2)
                | (F16, F8E5M2)
        );
        match (infinity(from), infinity(to)) {
            (Some(before), Some(after)) if can_overflow => Overflow::Infinite([before, after]),
            _ => Overflow::Never,
        }
    }
}

fn infinity(dtype: &DType) -> Option<Infinity> {
    Some(match dtype {
        DType::F64 => Infinity::Bits64(f64::INFINITY.to_bits()),
        DType::F32 => Infinity::Bits32(f32::INFINITY.to_bits()),
        DType::F16 => Infinity::Bits16(f16::INFINITY.to_bits()),
        DType::Bf16 => Infinity::Bits16(bf16::INFINITY.to_bits()),
        DType::F8E5M2 => Infinity::Bits8(0x7C),
        DType::F8E8M0 => Infinity::None,
        _ => return None,
    })
}

impl Infinity {
    /// How many of these little-endian elements are infinite.
    fn count(self, elements: &[u8]) -> u64 {
        fn count<const N: usize>(elements: &[u8], is_infinite: impl Fn([u8; N]) -> bool) -> u64 {
            elements.as_chunks::<N>().0.iter().map(|it| u64::from(is_infinite(*it))).sum()
        }
        match self {
            Infinity::None => 0,
            Infinity::Bits8(bits) => count(elements, |[it]| it << 1 == bits << 1),
            Infinity::Bits16(bits) => {
                count(elements, |it| u16::from_le_bytes(it) << 1 == bits << 1)
            }
            Infinity::Bits32(bits) => {
                count(elements, |it| u32::from_le_bytes(it) << 1 == bits << 1)
            }
            Infinity::Bits64(bits) => {
                count(elements, |it| u64::from_le_bytes(it) << 1 == bits << 1)
            }
        }
    }
}

fn read<const N: usize, T>(elements: &[u8], into: &mut Vec<T>, number: impl Fn([u8; N]) -> T) {
    into.clear();
    into.extend(elements.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)));
}

fn write<const N: usize, T: Copy>(from: &[T], out: &mut Vec<u8>, bytes: impl Fn(T) -> [u8; N]) {
    out.extend(from.iter().flat_map(|number| bytes(*number)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(from: &DType, to: &DType, elements: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Cast::new(from, to).expect("known").apply(elements, &mut out);
        out
    }

    /// An `f64` by its bits, and what PyTorch makes of it.
    fn check(from: u64, f32: u32, f16: u16, bf16: u16) {
        let bytes = from.to_le_bytes();
        let of = |to| cast(&DType::F64, &to, &bytes);
        assert_eq!(of(DType::F32), f32.to_le_bytes(), "{from:#x} to F32");
        assert_eq!(of(DType::F16), f16.to_le_bytes(), "{from:#x} to F16");
        assert_eq!(of(DType::Bf16), bf16.to_le_bytes(), "{from:#x} to BF16");
    }

    #[test]
    fn numbers_round_as_pytorch_rounds_them() {
        check(0, 0, 0, 0);
        check(0x8000_0000_0000_0000, 0x8000_0000, 0x8000, 0x8000);
        check(1.0f64.to_bits(), 0x3F80_0000, 0x3C00, 0x3F80);
        check(f64::INFINITY.to_bits(), 0x7F80_0000, 0x7C00, 0x7F80);
        check(65520.0f64.to_bits(), 0x477F_F000, 0x7C00, 0x4780);
        check(65519.0f64.to_bits(), 0x477F_EF00, 0x7BFF, 0x4780);
        check(5.960464477539063e-8f64.to_bits(), 0x3380_0000, 0x0001, 0x3380);
        check(2.980232238769531e-8f64.to_bits(), 0x3300_0000, 0x0000, 0x3300);
        check(1e300f64.to_bits(), 0x7F80_0000, 0x7C00, 0x7F80);
        check(1e-310f64.to_bits(), 0, 0, 0);
    }

    #[test]
    fn halves_of_an_f64_are_rounded_twice() {
        let just_above_the_middle = 1.0 + f64::powi(2.0, -11) + f64::powi(2.0, -40);
        check(just_above_the_middle.to_bits(), 0x3F80_1000, 0x3C00, 0x3F80);
    }

    #[test]
    fn no_number_stays_none() {
        for to in [DType::F32, DType::F16, DType::Bf16] {
            let out = cast(&DType::F64, &to, &f64::NAN.to_le_bytes());
            let wide = if to == DType::F32 { out } else { cast(&to, &DType::F32, &out) };
            assert!(f32::from_le_bytes(wide.try_into().expect("one number")).is_nan());
        }
    }

    #[test]
    fn every_half_survives_the_way_to_f64_and_back() {
        for dtype in [DType::F16, DType::Bf16] {
            let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
            let back = cast(&DType::F64, &dtype, &cast(&dtype, &DType::F64, &all));
            let pairs = all.as_chunks::<2>().0.iter().zip(back.as_chunks::<2>().0);
            for (old, new) in pairs {
                let is_nan = |bits: &[u8; 2]| match dtype {
                    DType::F16 => f16::from_le_bytes(*bits).is_nan(),
                    _ => bf16::from_le_bytes(*bits).is_nan(),
                };
                assert!(old == new || is_nan(old) && is_nan(new), "{dtype} {old:?} {new:?}");
            }
        }
    }

    #[test]
    fn finite_numbers_that_become_infinite_are_counted() {
        let check = |from: DType, to: DType, elements: &[u8], expected| {
            let mut cast = Cast::new(&from, &to).expect("known");
            cast.apply(elements, &mut Vec::new());
            assert_eq!(cast.overflows(), expected, "{from} to {to}");
        };
        let singles = [65519.0, 65520.0, -7e4, f32::INFINITY, f32::NAN, f32::MAX];
        let singles: Vec<u8> = singles.into_iter().flat_map(f32::to_le_bytes).collect();
        check(DType::F32, DType::F16, &singles, 3);
        check(DType::F32, DType::Bf16, &singles, 1);
        check(DType::F32, DType::F64, &singles, 0);
        let doubles = [1e300, -1e300, f64::NEG_INFINITY, 1e38];
        let doubles: Vec<u8> = doubles.into_iter().flat_map(f64::to_le_bytes).collect();
        check(DType::F64, DType::F32, &doubles, 2);
        check(DType::F64, DType::F16, &doubles, 3);
        check(DType::Bf16, DType::F16, &[0x80, 0x47, 0x80, 0x7F], 1);
        check(DType::F8E8M0, DType::F16, &[127, 143, 255], 1);
        check(DType::F8E5M2, DType::F16, &[0x7C, 0x7B], 0);
        check(DType::F16, DType::F8E5M2, &[0xFF, 0x7B, 0x00, 0x7C, 0xFF, 0x77], 1);
        check(DType::F32, DType::F8E5M2, &singles, 4);
    }

    #[test]
    fn numbers_that_are_cut_to_the_largest_are_counted_infinite_ones_too() {
        let mut cast = Cast::new(&DType::F32, &DType::F8E4M3).expect("known");
        let numbers = [464.0, 464.1, -1e9, f32::INFINITY, f32::NAN, 448.0];
        let numbers: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
        let mut out = Vec::new();
        cast.apply(&numbers, &mut out);
        assert_eq!(out, [0x7E, 0x7E, 0xFE, 0x7E, 0x7F, 0x7E]);
        assert_eq!(cast.overflows(), 3);
    }

    #[test]
    fn only_floats_are_cast() {
        assert!(Cast::new(&DType::I64, &DType::F32).is_none());
        assert!(Cast::new(&DType::F32, &DType::F8E4M3Fnuz).is_none());
    }
}
