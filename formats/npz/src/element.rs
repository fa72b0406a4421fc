//! What the `descr` of a header says of an array's elements.

use statedict_core::{ByteOrder, DType};

use crate::literal::{Value, parse, quoted};
use crate::record::Part;
use crate::scalar::Scalar;

/// The elements of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) dtype: DType,
    pub(crate) form: Form,
}

/// How elements are stored in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Side by side, as plain bytes.
    Plain(ByteOrder),
    /// As one pickle of the whole array.
    Pickled,
    /// Side by side, with parts in an order of bytes that only NumPy undoes.
    BigEndianParts,
    /// Not at all: an element has no bytes.
    Empty,
}

/// Types of ours that NumPy has, and how it spells them.
const KNOWN: [(DType, &str); 14] = [
    (DType::Bool, "|b1"),
    (DType::I8, "|i1"),
    (DType::U8, "|u1"),
    (DType::I16, "<i2"),
    (DType::U16, "<u2"),
    (DType::I32, "<i4"),
    (DType::U32, "<u4"),
    (DType::I64, "<i8"),
    (DType::U64, "<u8"),
    (DType::F16, "<f2"),
    (DType::F32, "<f4"),
    (DType::F64, "<f8"),
    (DType::C64, "<c8"),
    (DType::C128, "<c16"),
];

impl Element {
    /// Reads a `descr`.
    pub(crate) fn of(descr: &Value) -> Result<Element, String> {
        match descr {
            Value::Text(text) => Scalar::parse(text)?.element(),
            other => Part::of(other)?.element(),
        }
    }

    /// The element of a type as NumPy prints it, little-endian; none if NumPy has no such type.
    fn named(dtype: &DType) -> Option<Element> {
        let DType::Other { name, .. } = dtype else { return None };
        let descr =
            if name.starts_with('[') { parse(name).ok()? } else { Value::Text(name.to_string()) };
        let element = Element::of(&descr).ok()?;
        let plain = element.form == Form::Plain(ByteOrder::Little);
        (plain && element.dtype == *dtype).then_some(element)
    }
}

/// The `descr` of a little-endian array of this type; none if NumPy has no such type.
pub(crate) fn descr(dtype: &DType) -> Option<String> {
    if let Some((_, descr)) = KNOWN.iter().find(|(known, _)| known == dtype) {
        return Some(quoted(descr));
    }
    let element = Element::named(dtype)?;
    let name = element.dtype.name();
    match Scalar::parse(name) {
        Ok(scalar) => Some(quoted(&scalar.descr())),
        Err(_) => Some(name.to_string()),
    }
}

/// The type of ours that NumPy spells like this, little-endian.
pub(crate) fn known(spelled: &str) -> Option<DType> {
    let (dtype, _) = KNOWN.iter().find(|(_, known)| *known == spelled)?;
    Some(dtype.clone())
}

/// A type with NumPy's own name.
pub(crate) fn other(name: &str, bytes: u64) -> Result<DType, String> {
    let bits = bytes.checked_mul(8).and_then(|bits| u32::try_from(bits).ok());
    let bits = bits.ok_or_else(|| format!("elements of {bytes} bytes are over 2^29"))?;
    Ok(DType::other(name, bits))
}

/// A shape: a tuple of whole numbers.
pub(crate) fn sizes(shape: &Value) -> Result<Vec<u64>, String> {
    let Value::Tuple(items) = shape else { return Err("a shape is a tuple".to_string()) };
    let size = |item: &Value| match item {
        Value::Number(size) => Ok(*size),
        _ => Err("a shape has whole numbers only".to_string()),
    };
    items.iter().map(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spelled: &str, name: &str, bytes: u64, form: Form) {
        let element = parse(spelled).and_then(|value| Element::of(&value)).expect(spelled);
        let found = (element.dtype.name(), element.dtype.bits(), element.form);
        assert_eq!(found, (name, bytes * 8, form), "{spelled}");
    }

    const LITTLE: Form = Form::Plain(ByteOrder::Little);
    const BIG: Form = Form::Plain(ByteOrder::Big);

    #[test]
    fn numbers_have_safetensors_names() {
        check("'<f4'", "F32", 4, LITTLE);
        check("'>f4'", "F32", 4, BIG);
        check("'=i2'", "I16", 2, LITTLE);
        check("'u8'", "U64", 8, LITTLE);
        check("'|b1'", "BOOL", 1, LITTLE);
        check("'?'", "BOOL", 1, LITTLE);
        check("'>c16'", "C128", 16, BIG);
        check("'float32'", "F32", 4, LITTLE);
    }

    #[test]
    fn other_types_have_numpys_names() {
        check("'<U2'", "<U2", 8, LITTLE);
        check("'|S3'", "|S3", 3, LITTLE);
        check("'<V2'", "|V2", 2, LITTLE);
        check("'>f16'", "float128", 16, BIG);
        check("'<c32'", "complex256", 32, LITTLE);
        check("'>M8[25s]'", "datetime64[25s]", 8, BIG);
        check("'<m8'", "timedelta64", 8, LITTLE);
        check("'|O'", "object", 8, Form::Pickled);
        check("'>U2'", ">U2", 8, Form::BigEndianParts);
        check("'>c32'", ">c32", 32, Form::BigEndianParts);
        check("'|V0'", "|V0", 0, Form::Empty);
        check("'>V2'", "|V2", 2, LITTLE);
        check("'>S2'", "|S2", 2, LITTLE);
    }

    #[test]
    fn records_are_named_as_numpy_prints_them() {
        let fields = "[('x', '<f4'), ('y', '|u1'), ('b', '|b1'), ('v', '|V3')]";
        check(fields, "[('x', '<f4'), ('y', 'u1'), ('b', '?'), ('v', 'V3')]", 9, LITTLE);
        check(
            "[('x', '<f4', (2,)), ('y', '<f8', (2, 3))]",
            "[('x', '<f4', (2,)), ('y', '<f8', (2, 3))]",
            56,
            LITTLE,
        );
        check("[(('t', 'n'), '<f4')]", "[(('t', 'n'), '<f4')]", 4, LITTLE);
        check("[('p', [('c', '<i4')])]", "[('p', [('c', '<i4')])]", 4, LITTLE);
        check(
            "[('x', '>f4'), ('y', '|u1')]",
            "[('x', '>f4'), ('y', 'u1')]",
            5,
            Form::BigEndianParts,
        );
        check("[('s', '<U3'), ('o', '|O')]", "[('s', '<U3'), ('o', 'O')]", 20, Form::Pickled);
        check("('<f4', (2,))", "('<f4', (2,))", 8, LITTLE);
    }

    #[test]
    fn what_numpy_does_not_know_is_refused() {
        for spelled in ["'<f3'", "'<W4'", "'f1'", "'<i+4'", "'<f4[ns]'", "'<M8[ns'", "''", "'<'"] {
            assert!(parse(spelled).and_then(|value| Element::of(&value)).is_err(), "{spelled}");
        }
        for spelled in ["3", "[3]", "[('x',)]", "[(3, '<f4')]", "('<f4',)", "{}"] {
            assert!(parse(spelled).and_then(|value| Element::of(&value)).is_err(), "{spelled}");
        }
        let huge = "[('x', '<f4', (18446744073709551615, 2))]";
        assert!(parse(huge).and_then(|value| Element::of(&value)).is_err());
    }

    #[test]
    fn every_plain_type_is_written_as_it_is_read() {
        let spelled =
            ["'<f4'", "'|u1'", "'<U2'", "'|S3'", "'|V2'", "'<f16'", "'<c32'", "'<M8[ns]'"];
        for spelled in spelled.into_iter().chain(["[('x', '<f4'), ('y', 'u1')]"]) {
            let element = parse(spelled).and_then(|value| Element::of(&value)).expect(spelled);
            assert_eq!(descr(&element.dtype).as_deref(), Some(spelled));
        }
    }

    #[test]
    fn types_that_numpy_lacks_have_no_descr() {
        let torch = ["torch.qint8", "torch.complex32", ">U2", "object", "i4"];
        for dtype in torch.map(|name| DType::other(name, 32)) {
            assert_eq!(descr(&dtype), None);
        }
        assert_eq!(descr(&DType::Bf16), None);
        assert_eq!(descr(&DType::other("<U2", 8)), None);
    }
}
