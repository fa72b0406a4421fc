//! Elements as numbers.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use statedict_core::DType;

use crate::elements::float8;

/// True for whole numbers and truth values.
pub(crate) fn is_integer(dtype: &DType) -> bool {
    use DType::{Bool, I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(dtype, Bool | U8 | I8 | U16 | I16 | U32 | I32 | U64 | I64)
}

/// True for types whose elements are floating-point numbers, or can be made so.
pub(crate) fn is_real(dtype: &DType) -> bool {
    dtype.is_float() || is_integer(dtype)
}

/// Makes whole little-endian elements into integers; does nothing for other types.
pub(crate) fn integers(dtype: &DType, elements: &[u8], into: &mut Vec<i128>) {
    into.clear();
    match dtype {
        DType::Bool => each(elements, into, |[byte]: [u8; 1]| i128::from(byte != 0)),
        DType::U8 => each(elements, into, |bytes| u8::from_le_bytes(bytes).into()),
        DType::I8 => each(elements, into, |bytes| i8::from_le_bytes(bytes).into()),
        DType::U16 => each(elements, into, |bytes| u16::from_le_bytes(bytes).into()),
        DType::I16 => each(elements, into, |bytes| i16::from_le_bytes(bytes).into()),
        DType::U32 => each(elements, into, |bytes| u32::from_le_bytes(bytes).into()),
        DType::I32 => each(elements, into, |bytes| i32::from_le_bytes(bytes).into()),
        DType::U64 => each(elements, into, |bytes| u64::from_le_bytes(bytes).into()),
        DType::I64 => each(elements, into, |bytes| i64::from_le_bytes(bytes).into()),
        _ => {}
    }
}

/// Makes whole little-endian elements into floating-point numbers, complex ones into two each.
pub(crate) fn floats(dtype: &DType, elements: &[u8], into: &mut Vec<f64>) {
    into.clear();
    match dtype {
        DType::F64 | DType::C128 => each(elements, into, f64::from_le_bytes),
        DType::F32 | DType::C64 => each(elements, into, |bytes| f32::from_le_bytes(bytes).into()),
        DType::Bf16 => each(elements, into, |bytes| bf16::from_le_bytes(bytes).to_f32().into()),
        DType::F16 => halves(elements, into),
        complex if complex.is_complex() => halves(elements, into),
        // What weights are quantized to: without the way over wider integers.
        DType::U8 => each(elements, into, |bytes| u8::from_le_bytes(bytes).into()),
        DType::I8 => each(elements, into, |bytes| i8::from_le_bytes(bytes).into()),
        integer if is_integer(integer) => {
            let mut whole = Vec::new();
            integers(integer, elements, &mut whole);
            into.extend(whole.into_iter().map(|number| number as f64));
        }
        other => {
            let Some(values) = float8::values(other) else { return };
            into.extend(elements.iter().map(|byte| f64::from(values[usize::from(*byte)])));
        }
    }
}

/// The same as complex numbers, whatever the type.
pub(crate) fn complex(dtype: &DType, elements: &[u8], into: &mut Vec<f64>) {
    floats(dtype, elements, into);
    if !dtype.is_complex() {
        *into = into.iter().flat_map(|real| [*real, 0.0]).collect();
    }
}

fn halves(elements: &[u8], into: &mut Vec<f64>) {
    let mut halves = Vec::new();
    each(elements, &mut halves, f16::from_le_bytes);
    into.resize(halves.len(), 0.0);
    halves.convert_to_f64_slice(into);
}

fn each<const N: usize, T>(elements: &[u8], into: &mut Vec<T>, number: impl Fn([u8; N]) -> T) {
    into.extend(elements.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dtype: DType, elements: &[u8], expected: &[f64]) {
        let mut found = Vec::new();
        floats(&dtype, elements, &mut found);
        assert_eq!(found, expected, "{dtype}");
    }

    #[test]
    fn every_type_has_its_numbers() {
        check(DType::Bool, &[0, 1, 2], &[0.0, 1.0, 1.0]);
        check(DType::U8, &[255, 2], &[255.0, 2.0]);
        check(DType::I8, &[255, 2], &[-1.0, 2.0]);
        check(DType::U16, &[1, 1], &[257.0]);
        check(DType::I64, &[255; 8], &[-1.0]);
        check(DType::F16, &[0, 0x3C, 0, 0xC0], &[1.0, -2.0]);
        check(DType::Bf16, &[0x80, 0x3F], &[1.0]);
        check(DType::F8E4M3, &[0x38], &[1.0]);
        check(DType::C64, &[0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0], &[1.0, -2.0]);
        check(DType::other("torch.complex32", 32), &[0, 0x3C, 0, 0xC0], &[1.0, -2.0]);
        check(DType::other("<U1", 32), &[0, 0, 0, 0], &[]);
    }

    #[test]
    fn the_largest_integers_stay_exact() {
        let mut found = Vec::new();
        integers(&DType::U64, &[255; 8], &mut found);
        assert_eq!(found, [i128::from(u64::MAX)]);
        integers(&DType::I64, &i64::MIN.to_le_bytes(), &mut found);
        assert_eq!(found, [i128::from(i64::MIN)]);
    }
}
