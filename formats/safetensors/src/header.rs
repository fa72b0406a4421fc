//! The JSON header: every member with the places of its tokens in the text, order kept.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::vec;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use statedict_core::{DType, Fault};

/// The name in the header that is not a tensor's.
pub(crate) const METADATA: &str = "__metadata__";

/// The longest header that the reference reader accepts.
pub(crate) const MAX_HEADER: u64 = 100_000_000;

/// Bytes before the header: its length.
pub(crate) const PREAMBLE: u64 = 8;

/// A range of bytes of the header's text.
pub(crate) type Token = Range<usize>;

/// A token as it is kept for every tensor: headers are shorter than 4 GiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// The token.
    pub(crate) fn token(self) -> Token {
        self.start as usize..self.end as usize
    }
}

impl From<Token> for Place {
    fn from(token: Token) -> Place {
        let place = |at: usize| u32::try_from(at).expect("a header is at most 100 MB long");
        Place { start: place(token.start), end: place(token.end) }
    }
}

/// A header's text and the place of everything in it.
#[derive(Debug)]
pub(crate) struct Header<'t> {
    pub(crate) text: &'t str,
    pub(crate) members: Vec<Member>,
}

/// The members of a header as they are read, one after another.
pub(crate) struct Reading<'t> {
    text: &'t str,
    rest: vec::IntoIter<(Place, Place)>,
    has_metadata: bool,
}

/// What a member says, as it is read.
pub(crate) enum Read {
    /// Pairs of text.
    Metadata(Vec<Pair>),
    /// A tensor, its type and its shape.
    Tensor(Entry, DType, Vec<u64>),
}

/// A key of the header with its value.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) key: Place,
    pub(crate) value: Place,
    pub(crate) body: Body,
}

/// What a member says.
#[derive(Debug)]
pub(crate) enum Body {
    Metadata(Vec<Pair>),
    Tensor(Entry),
}

/// A pair of `__metadata__`.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) key: Text,
    pub(crate) value: Text,
}

/// A string with the place of its token.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) decoded: String,
    pub(crate) token: Token,
}

/// What the header says of one tensor.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    /// Where its bytes are, counted from the start of the data.
    pub(crate) data: Range<u64>,
    /// The token of `data_offsets`' value.
    pub(crate) offsets: Place,
}

impl<'t> Header<'t> {
    /// Reads the header; the text may have whitespace on either side.
    pub(crate) fn parse(text: &'t str) -> Result<Header<'t>, Fault> {
        let members = Reading::of(text)?.map(|read| {
            let (key, value, read) = read?;
            let body = match read {
                Read::Metadata(pairs) => Body::Metadata(pairs),
                Read::Tensor(entry, ..) => Body::Tensor(entry),
            };
            Ok(Member { key, value, body })
        });
        Ok(Header { text, members: members.collect::<Result<_, Fault>>()? })
    }

    /// The tensors in header order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> + Clone {
        self.members.iter().filter_map(|member| match &member.body {
            Body::Tensor(entry) => Some(entry),
            Body::Metadata(_) => None,
        })
    }

    /// The pairs of `__metadata__`, in order.
    pub(crate) fn metadata(&self) -> &[Pair] {
        let metadata = self.members.iter().find_map(|member| match &member.body {
            Body::Metadata(pairs) => Some(pairs.as_slice()),
            Body::Tensor(_) => None,
        });
        metadata.unwrap_or_default()
    }
}

impl<'t> Reading<'t> {
    /// The text may have whitespace on either side.
    pub(crate) fn of(text: &'t str) -> Result<Reading<'t>, Fault> {
        let members = object(text, 0..text.len(), "the header")?;
        let places = members.into_iter().map(|(key, value)| (key.into(), value.into()));
        let places: Vec<(Place, Place)> = places.collect();
        Ok(Reading { text, rest: places.into_iter(), has_metadata: false })
    }

    fn read(&mut self, key: Place, value: Place) -> Result<Read, Fault> {
        let name = string(self.text, key.token(), "a key of the header")?;
        if name != METADATA {
            return read_tensor(self.text, &name, value.token());
        }
        if std::mem::replace(&mut self.has_metadata, true) {
            return Err(fault(key.token().start, "duplicate key '__metadata__' in the header"));
        }
        Ok(Read::Metadata(metadata(self.text, value.token())?))
    }
}

impl Iterator for Reading<'_> {
    /// The places of a key and of its value, and what that says.
    type Item = Result<(Place, Place, Read), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.rest.next()?;
        Some(self.read(key, value).map(|read| (key, value, read)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl Member {
    /// The tensor, unless the member is `__metadata__`.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        match &self.body {
            Body::Tensor(entry) => Some(entry),
            Body::Metadata(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Fields<'a> {
    dtype: String,
    shape: Vec<u64>,
    #[serde(borrow)]
    data_offsets: &'a RawValue,
}

fn read_tensor(text: &str, key: &str, value: Token) -> Result<Read, Fault> {
    let whose = format!("tensor '{key}'");
    let fields: Fields<'_> = json(text, value.clone(), &whose)?;
    let Some(dtype) = DType::named(&fields.dtype).filter(|dtype| *dtype != DType::C128) else {
        let what = "is not among the dtypes of safetensors that this version knows";
        return Err(Fault::Unsupported(format!("{whose}: dtype '{}' {what}", fields.dtype)));
    };
    let offsets = place(text, fields.data_offsets);
    let [start, end] = json::<[u64; 2]>(text, offsets.clone(), &whose)?;
    let entry = Entry { key: key.into(), data: start..end, offsets: offsets.into() };
    entry.check_length(&dtype, &fields.shape)?;
    Ok(Read::Tensor(entry, dtype, fields.shape))
}

impl Entry {
    /// The shape must need exactly the bytes it is given.
    fn check_length(&self, dtype: &DType, shape: &[u64]) -> Result<(), Fault> {
        let Entry { key, data, offsets } = self;
        let (start, end, at) = (data.start, data.end, offsets.token().start);
        if start > end {
            let what = format!("tensor '{key}': data_offsets [{start}, {end}] run backwards");
            return Err(fault(at, what));
        }
        let Some(bits) = bits_of(shape, dtype) else {
            let what = format!("tensor '{key}': {dtype} {shape:?} has more bits than 2^64");
            return Err(fault(at, what));
        };
        if !bits.is_multiple_of(8) {
            let what = format!("tensor '{key}': {dtype} {shape:?} does not fill whole bytes");
            return Err(fault(at, what));
        }
        if bits / 8 != end - start {
            let what = format!(
                "tensor '{key}': data_offsets [{start}, {end}] hold {} bytes, \
                 expected the {} of {dtype} {shape:?}",
                end - start,
                bits / 8
            );
            return Err(fault(at, what));
        }
        Ok(())
    }
}

/// Bits of a tensor; the sizes are multiplied in order, as the reference reader does.
pub(crate) fn bits_of(shape: &[u64], dtype: &DType) -> Option<u64> {
    let count = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
    count?.checked_mul(dtype.bits())
}

fn metadata(text: &str, value: Token) -> Result<Vec<Pair>, Fault> {
    if text.get(value.clone()) == Some("null") {
        return Ok(Vec::new());
    }
    let mut pairs: Vec<Pair> = Vec::new();
    let mut seen = HashSet::new();
    for (key, value) in object(text, value, METADATA)? {
        let read = |token: Token| {
            let decoded = string(text, token.clone(), METADATA)?;
            Ok::<_, Fault>(Text { decoded, token })
        };
        let pair = Pair { key: read(key)?, value: read(value)? };
        if !seen.insert(pair.key.decoded.clone()) {
            let what = format!("duplicate key '{}' in {METADATA}", pair.key.decoded);
            return Err(fault(pair.key.token.start, what));
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

/// The members of a JSON object, repeated ones too, as places in the text.
pub(crate) fn object(text: &str, within: Token, whose: &str) -> Result<Vec<(Token, Token)>, Fault> {
    let Members(members) = json(text, within, whose)?;
    Ok(members.into_iter().map(|(key, value)| (place(text, key), place(text, value))).collect())
}

/// The text that a token is, decoded.
pub(crate) fn string(text: &str, token: Token, whose: &str) -> Result<String, Fault> {
    json(text, token, whose)
}

/// Reads a part of the text; errors name their place in the file.
fn json<'a, T: Deserialize<'a>>(text: &'a str, within: Token, whose: &str) -> Result<T, Fault> {
    let part = text.get(within.clone()).expect("tokens are within the text they were read from");
    serde_json::from_str(part).map_err(|error| {
        let message = error.to_string();
        let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
        let start = within.start.saturating_add(offset_of(part, &error));
        fault(start, format!("{whose}: {what}"))
    })
}

/// The byte that a parse error speaks of.
fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1)
}

/// A contradiction at a byte of the header's text.
fn fault(at: usize, what: impl Into<String>) -> Fault {
    Fault::malformed(PREAMBLE.saturating_add(at as u64), what)
}

/// The place of a token in the text that it was borrowed from.
fn place(text: &str, token: &RawValue) -> Token {
    let start = token.get().as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    start..start + token.get().len()
}

struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match Header::parse(text) {
            Ok(header) => {
                let read = Reading::of(text).expect("sound").flatten();
                let tensors = read.filter_map(|(.., read)| match read {
                    Read::Tensor(e, dtype, shape) => {
                        Some(format!("{} {dtype} {shape:?} {:?}", e.key, e.data))
                    }
                    Read::Metadata(_) => None,
                });
                let pair = |p: &Pair| format!("{}={}", p.key.decoded, p.value.decoded);
                let all: Vec<_> = tensors.chain(header.metadata().iter().map(pair)).collect();
                all.join("; ")
            }
            Err(fault) => fault.to_string(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_the_reference_parser_accepts_is_read_in_order() {
        check("{}", "");
        check(" \n{ }\t ", "");
        check(r#"{"__metadata__":null}"#, "");
        check(
            r#"{"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                "a":{"extra":[[1.5]],"shape":[],"dtype":"U8","data_offsets":[8,9]}}"#,
            "b F32 [2] 0..8; a U8 [] 8..9",
        );
        check(
            r#"{"__metadata__":{"z":"1","\u0061":"\n"},"x":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}"#,
            "x F4 [2] 0..1; z=1; a=\n",
        );
    }

    #[test]
    fn each_broken_header_names_its_place() {
        check("{", "at byte 8: the header: EOF while parsing an object");
        check("[]", "at byte 8: the header: invalid type: sequence, expected a JSON object");
        check("{}x", "at byte 10: the header: trailing characters");
        check(
            r#"{"w":{"dtype":"F32","shape":[4.0],"data_offsets":[0,16]}}"#,
            "at byte 39: tensor 'w': invalid type: floating point `4.0`, expected u64",
        );
        check(
            r#"{"w":{"dtype":"F32","shape":[4],"data_offsets":[-16,0]}}"#,
            "at byte 58: tensor 'w': invalid value: integer `-16`, expected u64",
        );
        check(
            r#"{"w":{"dtype":"F32","shape":[4]}}"#,
            "at byte 39: tensor 'w': missing field `data_offsets`",
        );
        check(
            r#"{"w":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}}"#,
            "at byte 55: tensor 'w': data_offsets [0, 16] hold 16 bytes, expected the 20 of F32 [5]",
        );
        check(
            r#"{"w":{"dtype":"F32","shape":[5],"data_offsets":[9,1]}}"#,
            "at byte 55: tensor 'w': data_offsets [9, 1] run backwards",
        );
        check(
            r#"{"w":{"dtype":"F32","shape":[9999999999,9999999999],"data_offsets":[0,1]}}"#,
            "at byte 75: tensor 'w': F32 [9999999999, 9999999999] has more bits than 2^64",
        );
        check(
            r#"{"w":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#,
            "at byte 54: tensor 'w': F4 [3] does not fill whole bytes",
        );
        check(
            r#"{"w":{"dtype":"F33","shape":[4],"data_offsets":[0,16]}}"#,
            "tensor 'w': dtype 'F33' is not among the dtypes of safetensors that this version knows",
        );
    }

    #[test]
    fn metadata_is_text_only_with_unique_keys() {
        check(
            r#"{"__metadata__":{"a":1}}"#,
            "at byte 29: __metadata__: invalid type: integer `1`, expected a string",
        );
        check(
            r#"{"__metadata__":{},"__metadata__":{}}"#,
            "at byte 27: duplicate key '__metadata__' in the header",
        );
        check(
            r#"{"__metadata__":{"a":"1","\u0061":"2"}}"#,
            "at byte 33: duplicate key 'a' in __metadata__",
        );
    }

    #[test]
    fn deep_nesting_in_an_unknown_field_is_passed_over() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        let text =
            format!(r#"{{"w":{{"x":{deep},"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
        check(&text, "w U8 [1] 0..1");
    }
}
