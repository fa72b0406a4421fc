//! What the `descr` of a header says of an array's elements.

use statedict_core::{ByteOrder, DType};

use crate::literal::{Value, parse, quoted, tuple};

/// The elements of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) dtype: DType,
    pub(crate) form: Form,
}

/// How elements stand in the file.
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

/// A part of a record, or the whole element.
struct Part {
    /// As `str(dtype)` shows it within a record.
    spelled: String,
    size: u64,
    pickled: bool,
    big_endian: bool,
}

/// A type that is no record, such as `<f4` or `>M8[ns]`.
struct Scalar {
    big_endian: bool,
    kind: char,
    size: u64,
    unit: String,
}

/// Bytes of a character of a `U` string.
const CHARACTER_LEN: u64 = 4;
/// Bytes of an object as NumPy counts them, which are none of the file's.
const POINTER_LEN: u64 = 8;

/// Types that NumPy also knows by a name.
const NAMED: [(&str, &str); 18] = [
    ("bool", "|b1"),
    ("int8", "|i1"),
    ("int16", "<i2"),
    ("int32", "<i4"),
    ("int64", "<i8"),
    ("uint8", "|u1"),
    ("uint16", "<u2"),
    ("uint32", "<u4"),
    ("uint64", "<u8"),
    ("float16", "<f2"),
    ("float32", "<f4"),
    ("float64", "<f8"),
    ("float128", "<f16"),
    ("complex64", "<c8"),
    ("complex128", "<c16"),
    ("complex256", "<c32"),
    ("datetime64", "<M8"),
    ("timedelta64", "<m8"),
];

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
        let descr = match name.starts_with('[') {
            true => parse(name).ok()?,
            false => Value::Text(name.clone()),
        };
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

impl Scalar {
    fn parse(text: &str) -> Result<Scalar, String> {
        let named = NAMED.iter().find(|(name, _)| *name == text);
        let text = named.map_or(text, |(_, spelled)| spelled);
        if let Some((name, unit)) = text.split_once("64[") {
            match name {
                "datetime" => return Scalar::parse(&format!("<M8[{unit}")),
                "timedelta" => return Scalar::parse(&format!("<m8[{unit}")),
                _ => {}
            }
        }
        let unknown = || format!("dtype {} is not known", quoted(text));
        let typed = text.strip_prefix(['<', '>', '|', '=']).unwrap_or(text);
        let (sized, unit) = typed.split_at(typed.find('[').unwrap_or(typed.len()));
        let mut digits = sized.chars();
        let kind = digits.next().ok_or_else(unknown)?;
        let digits = digits.as_str();
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(unknown());
        }
        let size = if digits.is_empty() { Ok(0) } else { digits.parse() };
        let scalar = Scalar {
            big_endian: text.starts_with('>'),
            kind: if kind == 'a' { 'S' } else { kind },
            size: size.map_err(|_| unknown())?,
            unit: unit.to_string(),
        };
        scalar.checked().ok_or_else(unknown)
    }

    /// The same with its size in bytes, if NumPy has such a type.
    fn checked(self) -> Option<Scalar> {
        let plain = self.unit.is_empty();
        let one_of = |sizes: &[u64]| sizes.contains(&self.size);
        let (kind, size, known) = match self.kind {
            '?' => ('b', 1, plain && self.size == 0),
            'b' => ('b', 1, plain && self.size == 1),
            'i' | 'u' => (self.kind, self.size, plain && one_of(&[1, 2, 4, 8])),
            'f' => ('f', self.size, plain && one_of(&[2, 4, 8, 16])),
            'c' => ('c', self.size, plain && one_of(&[8, 16, 32])),
            'M' | 'm' => (self.kind, 8, self.size == 8 && (plain || self.unit.ends_with(']'))),
            'O' => ('O', POINTER_LEN, plain && one_of(&[0, 4, 8])),
            'U' => ('U', self.size.checked_mul(CHARACTER_LEN)?, plain),
            'S' | 'V' => (self.kind, self.size, plain),
            _ => return None,
        };
        known.then_some(Scalar { kind, size, ..self })
    }

    fn element(&self) -> Result<Element, String> {
        let spelled = self.descr();
        if let Some((dtype, _)) = KNOWN.iter().find(|(_, known)| *known == spelled) {
            return Ok(Element { dtype: dtype.clone(), form: Form::Plain(self.byte_order()) });
        }
        let parts_swap = matches!(self.kind, 'U' | 'c') && self.big_endian;
        let name = match self.kind {
            'f' => "float128".to_string(),
            'c' if !parts_swap => "complex256".to_string(),
            'M' => format!("datetime64{}", self.unit),
            'm' => format!("timedelta64{}", self.unit),
            'O' => "object".to_string(),
            _ if parts_swap => spelled.replacen('<', ">", 1),
            _ => spelled,
        };
        let form = match self.kind {
            'O' => Form::Pickled,
            _ if self.size == 0 => Form::Empty,
            _ if parts_swap => Form::BigEndianParts,
            _ => Form::Plain(self.byte_order()),
        };
        Ok(Element { dtype: other(&name, self.size)?, form })
    }

    fn byte_order(&self) -> ByteOrder {
        if self.big_endian { ByteOrder::Big } else { ByteOrder::Little }
    }

    /// As NumPy writes it in a header, little-endian.
    fn descr(&self) -> String {
        let Scalar { kind, size, unit, .. } = self;
        match kind {
            'O' => "|O".to_string(),
            'U' => format!("<U{}", size / CHARACTER_LEN),
            'S' | 'V' => format!("|{kind}{size}"),
            _ if *size == 1 => format!("|{kind}1"),
            _ => format!("<{kind}{size}{unit}"),
        }
    }

    /// As NumPy prints it within a record.
    fn in_record(&self) -> String {
        let spelled = match self.kind {
            'b' => "?".to_string(),
            _ => self.descr().trim_start_matches('|').to_string(),
        };
        if self.big_endian { spelled.replacen('<', ">", 1) } else { spelled }
    }
}

impl Part {
    fn of(descr: &Value) -> Result<Part, String> {
        match descr {
            Value::Text(text) => {
                let scalar = Scalar::parse(text)?;
                let spelled = scalar.in_record();
                let big_endian = spelled.starts_with('>');
                let pickled = scalar.kind == 'O';
                Ok(Part { spelled: quoted(&spelled), size: scalar.size, pickled, big_endian })
            }
            Value::List(fields) => Part::record(fields),
            Value::Tuple(pair) => match pair.as_slice() {
                [descr, shape] => {
                    let (part, shape) = (Part::of(descr)?, field_shape(shape)?);
                    let spelled = format!("({}, {})", part.spelled, tuple(&shape));
                    part.repeated(&shape, spelled)
                }
                _ => Err("a descr that is a tuple has a type and a shape".to_string()),
            },
            _ => Err("descr is neither a string, a list of fields nor a tuple".to_string()),
        }
    }

    fn record(fields: &[Value]) -> Result<Part, String> {
        let mut record =
            Part { spelled: String::new(), size: 0, pickled: false, big_endian: false };
        let mut spelled = Vec::new();
        for field in fields {
            let part = Part::field(field)?;
            record.size = record.size.checked_add(part.size).ok_or("a record beyond counting")?;
            record.pickled |= part.pickled;
            record.big_endian |= part.big_endian;
            spelled.push(part.spelled);
        }
        record.spelled = format!("[{}]", spelled.join(", "));
        Ok(record)
    }

    /// A field: `(name, type)` or `(name, type, shape)`.
    fn field(field: &Value) -> Result<Part, String> {
        let items = if let Value::Tuple(items) = field { items.as_slice() } else { &[] };
        match items {
            [name, descr] => {
                let (name, part) = (field_name(name)?, Part::of(descr)?);
                let spelled = format!("({name}, {})", part.spelled);
                Ok(Part { spelled, ..part })
            }
            [name, descr, shape] => {
                let (name, part, shape) =
                    (field_name(name)?, Part::of(descr)?, field_shape(shape)?);
                let spelled = format!("({name}, {}, {})", part.spelled, tuple(&shape));
                part.repeated(&shape, spelled)
            }
            _ => Err("a field of a record is (name, type) or (name, type, shape)".to_string()),
        }
    }

    /// An array of this in place of it.
    fn repeated(self, shape: &[u64], spelled: String) -> Result<Part, String> {
        let size = shape.iter().try_fold(self.size, |size, times| size.checked_mul(*times));
        let size = size.ok_or("an array in a record has more bytes than 64 bits can count")?;
        Ok(Part { spelled, size, ..self })
    }

    fn element(self) -> Result<Element, String> {
        let form = match () {
            () if self.pickled => Form::Pickled,
            () if self.size == 0 => Form::Empty,
            () if self.big_endian => Form::BigEndianParts,
            () => Form::Plain(ByteOrder::Little),
        };
        Ok(Element { dtype: other(&self.spelled, self.size)?, form })
    }
}

fn other(name: &str, bytes: u64) -> Result<DType, String> {
    let bits = bytes.checked_mul(8).and_then(|bits| u32::try_from(bits).ok());
    let bits = bits.ok_or_else(|| format!("elements of {bytes} bytes are over 2^29"))?;
    Ok(DType::other(name, bits))
}

/// A field's name, or its title and name, as Python prints them.
fn field_name(name: &Value) -> Result<String, String> {
    match name {
        Value::Text(name) => Ok(quoted(name)),
        Value::Tuple(pair) => match pair.as_slice() {
            [Value::Text(title), Value::Text(name)] => {
                Ok(format!("({}, {})", quoted(title), quoted(name)))
            }
            _ => Err("a field with a title is named (title, name)".to_string()),
        },
        _ => Err("a field of a record has a name".to_string()),
    }
}

/// The shape of an array in a record, which one whole number may stand for.
fn field_shape(shape: &Value) -> Result<Vec<u64>, String> {
    match shape {
        Value::Number(size) => Ok(vec![*size]),
        shape => sizes(shape),
    }
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
