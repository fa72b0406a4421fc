//! Rust types whose values are elements of tensors.

use half::{bf16, f16};
use num_complex::Complex;
use statedict_core::DType;

/// A Rust type that elements of a tensor are read into and written from.
///
/// Integers, floats, `bool`, and complex numbers of `f32` and `f64`; the list is closed.
/// 8-bit floats have no Rust type: read them with
/// [`array_as::<f32>`](crate::Checkpoint::array_as), or as bytes.
pub trait Element: Copy + Send + Sync + 'static + sealed::Bytes {
    /// The element type in a file.
    const DTYPE: DType;
}

pub(crate) mod sealed {
    /// How elements are stored in files: little-endian.
    pub trait Bytes: Sized {
        /// Bytes of an element.
        const LEN: usize;

        /// Appends whole elements to `into`.
        fn decode(bytes: &[u8], into: &mut Vec<Self>);

        /// Writes an element into as many bytes as it has.
        fn encode(self, into: &mut [u8]);
    }
}

macro_rules! elements {
    ($($number:ty: $dtype:ident, |$bytes:ident| $decoded:expr, |$value:ident| $encoded:expr;)*) => {$(
        impl Element for $number {
            const DTYPE: DType = DType::$dtype;
        }

        impl sealed::Bytes for $number {
            const LEN: usize = size_of::<$number>();

            fn decode(bytes: &[u8], into: &mut Vec<$number>) {
                let (chunks, _) = bytes.as_chunks::<{ size_of::<$number>() }>();
                into.extend(chunks.iter().map(|$bytes| $decoded));
            }

            fn encode(self, into: &mut [u8]) {
                let $value = self;
                into.copy_from_slice(&$encoded);
            }
        }
    )*};
}

macro_rules! numbers {
    ($($number:ty: $dtype:ident,)*) => {
        elements! { $($number: $dtype, |bytes| <$number>::from_le_bytes(*bytes), |value| value.to_le_bytes();)* }
    };
}

numbers! {
    f64: F64,
    f32: F32,
    f16: F16,
    bf16: Bf16,
    i64: I64,
    i32: I32,
    i16: I16,
    i8: I8,
    u64: U64,
    u32: U32,
    u16: U16,
    u8: U8,
}

elements! {
    bool: Bool, |bytes| bytes[0] != 0, |value| [u8::from(value)];
    Complex<f32>: C64, |bytes| complex(bytes, f32::from_le_bytes), |value| joined::<4, 8>([value.re, value.im].map(f32::to_le_bytes));
    Complex<f64>: C128, |bytes| complex(bytes, f64::from_le_bytes), |value| joined::<8, 16>([value.re, value.im].map(f64::to_le_bytes));
}

/// The number whose real and imaginary parts follow each other.
fn complex<const N: usize, T>(bytes: &[u8], part: fn([u8; N]) -> T) -> Complex<T> {
    match bytes.as_chunks::<N>().0 {
        [re, im] => Complex { re: part(*re), im: part(*im) },
        _ => unreachable!("a complex number has two parts"),
    }
}

fn joined<const N: usize, const BOTH: usize>(parts: [[u8; N]; 2]) -> [u8; BOTH] {
    let mut both = [0; BOTH];
    both[..N].copy_from_slice(&parts[0]);
    both[N..].copy_from_slice(&parts[1]);
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn check<T: Element + Debug + PartialEq>(value: T, bytes: &[u8]) {
        assert_eq!(T::DTYPE.bytes(), Some(T::LEN as u64));
        let mut encoded = vec![0; T::LEN];
        value.encode(&mut encoded);
        assert_eq!(encoded, bytes);
        let mut decoded = Vec::new();
        T::decode(&[bytes, bytes].concat(), &mut decoded);
        assert_eq!(decoded, [value, value]);
    }

    #[test]
    fn elements_are_little_endian() {
        check(1.0f64, &[0, 0, 0, 0, 0, 0, 0xF0, 0x3F]);
        check(1.0f32, &[0, 0, 0x80, 0x3F]);
        check(f16::ONE, &[0, 0x3C]);
        check(bf16::ONE, &[0x80, 0x3F]);
        check(-2i64, &[0xFE, 255, 255, 255, 255, 255, 255, 255]);
        check(-2i32, &[0xFE, 255, 255, 255]);
        check(-2i16, &[0xFE, 255]);
        check(-2i8, &[0xFE]);
        check(1u64 << 40, &[0, 0, 0, 0, 0, 1, 0, 0]);
        check(0x0102_0304u32, &[4, 3, 2, 1]);
        check(0x0102u16, &[2, 1]);
        check(7u8, &[7]);
        check(true, &[1]);
        check(false, &[0]);
        check(Complex { re: 1.0f32, im: -1.0 }, &[0, 0, 0x80, 0x3F, 0, 0, 0x80, 0xBF]);
        check(
            Complex { re: 1.0f64, im: -1.0 },
            &[0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0xF0, 0xBF],
        );
    }
}
