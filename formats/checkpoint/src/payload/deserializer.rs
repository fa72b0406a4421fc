//! Objects of a pickle as what `serde` reads.

use std::cell::Cell;
use std::error;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use statedict_core::Key;
use statedict_core::objects::{ObjectId, Objects};

use super::view::{Node, View};

/// How deep values may nest, which keeps the stack of a thread from being used up.
const MAX_DEPTH: usize = 128;

/// How often one object may be reached on average, by ever more paths to it.
const MAX_REPETITION: usize = 16;

/// What may be read whatever the file holds.
const MAX_SMALL: usize = 1 << 20;

/// Bytes of a text or key that cost as much as an object.
const TEXT: usize = 32;

/// What may still be read: a few small lists, each twice in the next, are billions of values.
pub(super) struct Budget(Cell<usize>);

impl Budget {
    pub(super) fn of(objects: &Objects) -> Budget {
        let whole = objects.all.len().saturating_mul(MAX_REPETITION).saturating_add(MAX_SMALL);
        Budget(Cell::new(whole))
    }

    fn spend(&self, bytes: usize) -> Result<(), PayloadError> {
        let left = self.0.get().checked_sub(1 + bytes / TEXT);
        self.0
            .set(left.ok_or_else(|| de::Error::custom("too many paths lead to the same values"))?);
        Ok(())
    }
}

/// An object that is being read.
#[derive(Clone, Copy)]
pub(super) struct PayloadDeserializer<'a> {
    node: Node<'a>,
    budget: &'a Budget,
    depth: usize,
}

/// Why an object is not what was asked for, and where it is.
#[derive(Debug)]
pub(super) struct PayloadError {
    what: String,
    /// Keys and indices that lead to it, the last one first.
    within: Vec<String>,
}

impl PayloadError {
    /// The path to where it went wrong, below another path.
    pub(super) fn path(&self, root: &str) -> String {
        let root = Some(root.trim_matches('/')).filter(|root| !root.is_empty());
        let below = self.within.iter().rev().map(String::as_str);
        root.into_iter().chain(below).collect::<Vec<_>>().join("/")
    }

    fn within(mut self, label: impl fmt::Display) -> PayloadError {
        self.within.push(label.to_string());
        self
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl error::Error for PayloadError {}

impl de::Error for PayloadError {
    fn custom<T: fmt::Display>(what: T) -> PayloadError {
        PayloadError { what: what.to_string(), within: Vec::new() }
    }
}

impl<'a> PayloadDeserializer<'a> {
    pub(super) fn new(node: Node<'a>, budget: &'a Budget) -> PayloadDeserializer<'a> {
        PayloadDeserializer { node, budget, depth: 0 }
    }

    fn below(self, id: ObjectId) -> PayloadDeserializer<'a> {
        PayloadDeserializer { node: self.node.at(id), depth: self.depth + 1, ..self }
    }

    /// The value, paid for.
    fn view(self) -> Result<View<'a>, PayloadError> {
        if self.depth > MAX_DEPTH {
            return Err(de::Error::custom(format!("nested deeper than {MAX_DEPTH}")));
        }
        let view = self.node.view();
        self.budget.spend(match &view {
            View::Text(text) => text.len(),
            View::Bytes(bytes) => bytes.len(),
            View::Map(entries) => entries.iter().map(|(key, _)| TEXT + key.as_str().len()).sum(),
            View::Sequence(items) => items.len(),
            _ => 0,
        })?;
        Ok(view)
    }

    fn sequence(self, items: Vec<ObjectId>) -> Items<'a> {
        Items { parent: self, items: items.into_iter(), index: 0 }
    }

    fn map(self, entries: Vec<(&'a Key, ObjectId)>) -> Entries<'a> {
        Entries { parent: self, entries: entries.into_iter(), value: None }
    }

    fn visit<'de, V: Visitor<'de>>(
        self,
        view: View<'a>,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        match view {
            View::None => visitor.visit_unit(),
            View::Bool(value) => visitor.visit_bool(value),
            View::Int(number) => match (i64::try_from(number), u64::try_from(number)) {
                (Ok(number), _) => visitor.visit_i64(number),
                (_, Ok(number)) => visitor.visit_u64(number),
                _ => visitor.visit_i128(number),
            },
            View::Unsigned(number) => match u64::try_from(number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_u128(number),
            },
            View::Float(number) => visitor.visit_f64(number),
            View::Text(text) => visitor.visit_str(&text),
            View::Bytes(bytes) => visitor.visit_bytes(&bytes),
            View::Sequence(items) => visitor.visit_seq(self.sequence(items.into_owned())),
            View::Map(entries) => visitor.visit_map(self.map(entries)),
            View::Other(what) => Err(de::Error::custom(format!("found {what}"))),
        }
    }
}

impl<'de> Deserializer<'de> for PayloadDeserializer<'_> {
    type Error = PayloadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        self.visit(self.view()?, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        match self.view()? {
            View::None => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// Bytes are a sequence of numbers for those who ask for one.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        match self.view()? {
            View::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            view => self.visit(view, visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        visitor.visit_newtype_struct(self)
    }

    /// A text is a variant without fields, and a mapping of one entry a variant with some.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        match self.view()? {
            View::Text(text) => {
                visitor.visit_enum(IntoDeserializer::<PayloadError>::into_deserializer(&*text))
            }
            View::Map(entries) => visitor.visit_enum(MapAccessDeserializer::new(self.map(entries))),
            view => self.visit(view, visitor),
        }
    }

    /// Nothing is looked at that nobody asks for: tensors, objects that cannot be followed.
    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map struct identifier
    }
}

struct Items<'a> {
    parent: PayloadDeserializer<'a>,
    items: std::vec::IntoIter<ObjectId>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = PayloadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, PayloadError> {
        let Some(id) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        let value = seed.deserialize(self.parent.below(id));
        value.map(Some).map_err(|error| error.within(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'a> {
    parent: PayloadDeserializer<'a>,
    entries: std::vec::IntoIter<(&'a Key, ObjectId)>,
    value: Option<(&'a Key, ObjectId)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = PayloadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, PayloadError> {
        self.value = self.entries.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        seed.deserialize(KeyDeserializer(key)).map(Some).map_err(|error| error.within(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, PayloadError> {
        let taken = self.value.take();
        let (key, id) =
            taken.ok_or_else(|| de::Error::custom("a value is asked for before its key"))?;
        seed.deserialize(self.parent.below(id)).map_err(|error: PayloadError| error.within(key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A key: a text, or what Python prints of another.
struct KeyDeserializer<'a>(&'a Key);

impl<'de> Deserializer<'de> for KeyDeserializer<'_> {
    type Error = PayloadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        match self.0 {
            Key::Text(text) => visitor.visit_str(text),
            Key::Other(printed) => match &**printed {
                "True" => visitor.visit_bool(true),
                "False" => visitor.visit_bool(false),
                "None" => visitor.visit_unit(),
                printed => match (printed.parse(), printed.parse()) {
                    (Ok(number), _) => visitor.visit_i64(number),
                    (_, Ok(number)) => visitor.visit_f64(number),
                    _ => visitor.visit_str(printed),
                },
            },
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        visitor.visit_str(self.0.as_str())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        visitor.visit_str(self.0.as_str())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PayloadError> {
        visitor.visit_str(self.0.as_str())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PayloadError> {
        let text: StrDeserializer<'_, PayloadError> = self.0.as_str().into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct ignored_any
    }
}
