//! Opcodes that fill lists, dicts and sets, of which only what a loader would refuse matters.

use statedict_core::Fault;

use super::imports::{Harm, Named};
use super::machine::{Followable, Machine};
use super::reader::Op;
use super::value::{Use, Value};
use crate::pickle::opcode;

/// What pickles call for by name and no dict has as a key.
const MUTABLE: [&str; 8] = [
    "collections.OrderedDict",
    "collections.Counter",
    "collections.defaultdict",
    "builtins.bytearray",
    "builtins.dict",
    "builtins.list",
    "builtins.set",
    "collections.deque",
];

const NOT_APPENDED: &str = "weights-only loading appends to lists alone";
const NOT_SET: &str = "weights-only loading sets entries of dicts alone";
const UNHASHABLE: &str = "a key is a list, a dict or a set";
const DOUBLES: &str = "a few of these take memory without measure";
const ODD: &str = "a key has no value";

impl Machine<'_> {
    /// `APPEND` and `APPENDS`.
    pub(super) fn append(&mut self, op: &Op) -> Followable {
        let has_items = match op.code {
            opcode::APPEND => self.value().map(|_| true)?,
            _ => self.drop_to_mark()?,
        };
        let target = self.top()?;
        self.doubt_unless(!has_items || target.takes_items(), "what is appended to is no list");
        let is_admitted = match target {
            Value::List(_) | Value::Unknown => true,
            Value::Returned(_) => self.kind(target).takes_items(),
            _ => false,
        };
        self.refuse_unless(is_admitted, NOT_APPENDED);
        Ok(())
    }

    /// `SETITEM` and `SETITEMS`.
    pub(super) fn set_items(&mut self, op: &Op) -> Result<Followable, Fault> {
        let (items, target) = match self.items_to_set(op) {
            Ok(taken) => taken,
            Err(why) => return Ok(Err(why)),
        };
        self.check_items(&items);
        self.check_planted(op, &items)?;
        self.note_layers(&items)?;
        let takes_entries = items.is_empty() || target.takes_entries();
        self.doubt_unless(takes_entries, "what an entry is set in is no dict");
        let is_admitted = match target {
            Value::Dict { .. } | Value::Unknown => true,
            Value::Returned(_) => self.kind(target).takes_entries(),
            _ => false,
        };
        self.refuse_unless(is_admitted, NOT_SET);
        self.check_slices(op, &items);
        self.note_fields(target, &items)?;
        if let Value::Import(place) = target {
            let what = format!("sets entries of {}", self.named(place));
            self.misuse(op, place, what, Harm::Runs("it alters the running program"));
        }
        Ok(Ok(()))
    }

    /// Notes slices that are replaced, by which a few opcodes double a list, and double it again.
    fn check_slices(&mut self, op: &Op, items: &[Value]) {
        for key in items.iter().step_by(2) {
            if let Value::Returned(place) = *key
                && self.is_named(place, &["builtins.slice"])
            {
                self.misuse(op, place, "replaces a slice of a list".into(), Harm::Runs(DOUBLES));
            }
        }
    }

    /// Keys and values, and what they are for.
    fn items_to_set(&mut self, op: &Op) -> Result<(Vec<Value>, Value), &'static str> {
        let items = match op.code {
            opcode::SETITEM => {
                let value = self.value()?;
                vec![self.value()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        Ok((items, self.top()?))
    }

    /// Keys and values by turns.
    fn check_items(&mut self, items: &[Value]) {
        self.doubt_unless(items.len().is_multiple_of(2), ODD);
        let are_hashable = items.iter().step_by(2).all(|key| self.is_hashable(*key));
        self.doubt_unless(are_hashable, UNHASHABLE);
    }

    /// False if it is known that no dict or set can have it as a key.
    pub(super) fn is_hashable(&self, value: Value) -> bool {
        match value {
            Value::Returned(place) => !self.is_named(place, &MUTABLE),
            value => value.is_hashable(),
        }
    }

    /// True if an import has one of these paths.
    pub(super) fn is_named(&self, place: u32, paths: &[&str]) -> bool {
        let import = self.imports.get_index(place as usize);
        matches!(import, Some((Named::Path(path), _)) if paths.contains(&path.as_str()))
    }

    /// `ADDITEMS`.
    pub(super) fn add_items(&mut self) -> Followable {
        let items = self.pop_to_mark()?;
        self.doubt_unless(items.iter().all(|item| self.is_hashable(*item)), UNHASHABLE);
        let target = self.top()?;
        self.doubt_unless(target.takes_members(), "what is added to is no set");
        Ok(())
    }

    /// `DICT`.
    pub(super) fn dict(&mut self, op: &Op) -> Result<Followable, Fault> {
        let items = match self.pop_to_mark() {
            Ok(items) => items,
            Err(why) => return Ok(Err(why)),
        };
        self.check_items(&items);
        self.check_planted(op, &items)?;
        self.note_layers(&items)?;
        let made = Value::Dict { at: op.at, used: Use::Once };
        self.note_fields(made, &items)?;
        Ok(self.push(made))
    }

    /// `LIST` and `FROZENSET`.
    pub(super) fn collect(&mut self, op: &Op) -> Followable {
        match op.code {
            opcode::LIST => {
                self.drop_to_mark()?;
                self.push(Value::List(Use::Once))
            }
            _ => {
                let items = self.pop_to_mark()?;
                self.doubt_unless(items.iter().all(|item| self.is_hashable(*item)), UNHASHABLE);
                self.push(Value::FrozenSet(Use::Once))
            }
        }
    }
}
