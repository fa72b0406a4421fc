//! Types that are records of others, and arrays within records.

use std::collections::HashSet;

use statedict_core::ByteOrder;

use crate::element::{Element, Form, other, sizes};
use crate::literal::{Value, quoted, tuple};
use crate::scalar::Scalar;

/// A part of a record, or the whole element.
pub(crate) struct Part {
    /// As `str(dtype)` shows it within a record.
    spelled: String,
    size: u64,
    pickled: bool,
    big_endian: bool,
}

impl Part {
    /// Reads a `descr`.
    pub(crate) fn of(descr: &Value) -> Result<Part, String> {
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
        let mut names = HashSet::new();
        for field in fields {
            if let Some(name) = name_of(field).filter(|name| !names.insert(*name)) {
                return Err(format!("a record has two fields named '{}'", name.escape_debug()));
            }
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

    /// The elements of an array of this type.
    pub(crate) fn element(self) -> Result<Element, String> {
        let form = match () {
            () if self.pickled => Form::Pickled,
            () if self.size == 0 => Form::Empty,
            () if self.big_endian => Form::BigEndianParts,
            () => Form::Plain(ByteOrder::Little),
        };
        Ok(Element { dtype: other(&self.spelled, self.size)?, form })
    }
}

/// The name by which a field is found; padding has none.
fn name_of(field: &Value) -> Option<&str> {
    let Value::Tuple(items) = field else { return None };
    let name = match items.first()? {
        Value::Tuple(titled) => titled.last()?,
        name => name,
    };
    match name {
        Value::Text(name) if !name.is_empty() => Some(name),
        _ => None,
    }
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
