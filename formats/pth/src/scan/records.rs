//! The states of NumPy's descriptions of elements: of objects, and of records, which have fields.
//!
//! NumPy believes what a state says of where in an element each field is; whoever prints an array
//! whose fields are beyond its elements reads what is next to them in memory.

use std::collections::HashMap;

use statedict_core::Fault;

use super::care::{MEMORY, POINTER};
use super::elements;
use super::imports::Harm;
use super::kind::Kind;
use super::machine::Machine;
use super::value::{Use, Value};
use crate::pickle::opcode;

const BEYOND: &str = "whoever looks at such elements reads memory that is not theirs";

/// What a pickle has of records.
#[derive(Default)]
pub(super) struct Records {
    /// True if some elements are objects.
    pub(super) has_objects: bool,
    /// True if some elements have another size than their name says.
    are_resized: bool,
    /// Where elements are described that have parts.
    structured: Option<u32>,
    /// The fields that dicts hold, by the bytes of the opcodes that made those.
    fields: HashMap<u32, Fields>,
}

/// The fields of a record.
#[derive(Default)]
struct Fields {
    count: u32,
    /// Where in the element the last of them ends.
    end: u64,
    /// True if one of the entries is no field, or not known to be one.
    are_odd: bool,
}

impl Machine<'_> {
    /// Notes the fields of a record that are set in a dict: its elements, place, and perhaps title.
    pub(super) fn note_fields(&mut self, dict: Value, items: &[Value]) -> Result<(), Fault> {
        let Value::Dict { at, .. } = dict else { return Ok(()) };
        let is_known = self.records.fields.contains_key(&at);
        let has_fields = items.chunks_exact(2).any(|pair| self.first_of(pair[1]).is_some());
        if !is_known && !has_fields {
            return Ok(());
        }
        let mut fields = self.records.fields.remove(&at).unwrap_or_default();
        for pair in items.chunks_exact(2) {
            fields.count += 1;
            match self.field_end(pair[1])? {
                Some(end) => fields.end = fields.end.max(end),
                None => fields.are_odd = true,
            }
        }
        self.records.fields.insert(at, fields);
        Ok(())
    }

    /// The description that a tuple begins with.
    fn first_of(&self, field: Value) -> Option<Value> {
        let Value::Tuple { place, .. } = field else { return None };
        let first = self.items(place).first().copied()?;
        (self.kind(first) == Kind::Elements).then_some(first)
    }

    /// Where a field ends.
    fn field_end(&mut self, field: Value) -> Result<Option<u64>, Fault> {
        let Value::Tuple { place, .. } = field else { return Ok(None) };
        let items = self.items(place).to_vec();
        let [elements, offset, ..] = items[..] else { return Ok(None) };
        let offset = self.integer(offset)?.and_then(|offset| u64::try_from(offset).ok());
        let size = size_of_elements(elements);
        Ok(offset.zip(size).and_then(|(offset, size)| offset.checked_add(size)))
    }

    /// Holds the state of a description of elements against what it could hide.
    pub(super) fn check_elements(
        &mut self,
        target: Value,
        state: Value,
        at: u32,
    ) -> Result<Option<Harm>, Fault> {
        let items = self.arguments(state);
        let (Some(8 | 9), [_, _, subarray, names, fields, size, _, flags, ..]) =
            (self.count(state), &items[..])
        else {
            return Ok(Some(Harm::Runs(POINTER)));
        };
        let (size, flags) = (self.integer(*size)?, self.integer(*flags)?);
        let Some(size) = size.filter(|size| *size <= elements::MAX_SIZE) else {
            return Ok(Some(Harm::Runs(MEMORY)));
        };
        let is_plain = flags.is_some_and(|flags| flags & elements::OBJECT_FLAGS == 0);
        if [subarray, names, fields].iter().any(|part| !part.is_none()) {
            self.records.structured.get_or_insert(at);
            if !is_plain {
                return Ok(Some(Harm::Runs(POINTER)));
            }
            let is_within = u64::try_from(size)
                .is_ok_and(|size| self.are_within(*names, *fields, size))
                && self.is_subarray(*subarray, size)?;
            return Ok((!is_within).then_some(Harm::Runs(BEYOND)));
        }
        let declared = size_of_elements(target);
        self.records.are_resized |= size >= 0 && declared.is_some_and(|it| it != size as u64);
        let is_sound = match target {
            Value::ObjectElements => flags == Some(elements::FLAGS_OF_OBJECTS),
            _ => is_plain,
        };
        Ok((!is_sound).then_some(Harm::Runs(POINTER)))
    }

    /// True if all fields are within an element of a size, and there are no fields without names.
    fn are_within(&self, names: Value, fields: Value, size: u64) -> bool {
        if names.is_none() && fields.is_none() {
            return true;
        }
        let (Some(names), Value::Dict { at, used: Use::Once }) = (self.count(names), fields) else {
            return false;
        };
        match self.records.fields.get(&at) {
            // A field with a title is there under that as well.
            Some(fields) => !fields.are_odd && fields.end <= size && fields.count >= names,
            None => names == 0,
        }
    }

    /// True if elements of a size are arrays of others of as many bytes.
    fn is_subarray(&mut self, subarray: Value, size: i64) -> Result<bool, Fault> {
        if subarray.is_none() {
            return Ok(true);
        }
        let [elements, shape @ Value::Tuple { .. }] = self.arguments(subarray)[..] else {
            return Ok(false);
        };
        let Some(mut bytes) = size_of_elements(elements) else { return Ok(false) };
        let sizes = self.arguments(shape);
        if self.count(shape).is_none_or(|count| count as usize != sizes.len()) {
            return Ok(false);
        }
        for size in sizes {
            let size = self.integer(size)?.and_then(|size| u64::try_from(size).ok());
            let Some(size) = size else { return Ok(false) };
            bytes = bytes.saturating_mul(size);
        }
        Ok(i64::try_from(bytes).is_ok_and(|bytes| bytes == size))
    }

    /// Notes a record whose parts may be objects, which bytes would stand for, or longer than they
    /// were taken for.
    pub(super) fn check_records(&mut self) {
        let (what, why) = match &self.records {
            Records { has_objects: true, .. } => ("records that may hold objects", POINTER),
            Records { are_resized: true, .. } => ("records of elements of odd sizes", BEYOND),
            _ => return,
        };
        let place = self.imports.values().position(|import| import.makes == Kind::Elements);
        if let Some((at, place)) = self.records.structured.zip(place) {
            let what = format!("describes {what}");
            self.misuse_at(at, opcode::BUILD, place as u32, what, Harm::Runs(why));
        }
    }
}

/// The bytes of an element of a description, if they are known.
fn size_of_elements(elements: Value) -> Option<u64> {
    match elements {
        Value::PlainElements { size } if size != elements::UNKNOWN_SIZE => Some(size.into()),
        _ => None,
    }
}
