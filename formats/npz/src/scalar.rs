//! Types that are not records: numbers, strings, dates, bytes, objects.

use statedict_core::ByteOrder;

use crate::element::{Element, Form, known, other};
use crate::literal::quoted;

/// A type that is not a record, such as `<f4` or `>M8[ns]`.
pub(crate) struct Scalar {
    /// Its bytes are in big-endian order; never true where they have no order.
    pub(crate) big_endian: bool,
    pub(crate) kind: char,
    /// In bytes.
    pub(crate) size: u64,
    /// With its brackets; empty for all but dates and times.
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

impl Scalar {
    /// Reads a type as NumPy spells it in a header, or a name that it has for one.
    pub(crate) fn parse(text: &str) -> Result<Scalar, String> {
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
            big_endian: text.starts_with('>') && !matches!(kind, 'S' | 'a' | 'V' | 'O'),
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

    /// The elements of an array of this type.
    pub(crate) fn element(&self) -> Result<Element, String> {
        let spelled = self.descr();
        if let Some(dtype) = known(&spelled) {
            return Ok(Element { dtype, form: Form::Plain(self.byte_order()) });
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
    pub(crate) fn descr(&self) -> String {
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
    pub(crate) fn in_record(&self) -> String {
        let spelled = match self.kind {
            'b' => "?".to_string(),
            _ => self.descr().trim_start_matches('|').to_string(),
        };
        if self.big_endian { spelled.replacen('<', ">", 1) } else { spelled }
    }
}
