//! What opcodes do to the stack and the memo.

use crate::pickle::opcode;
use crate::scan::reader::Op;
use crate::scan::value::{Use, Value};

use super::{
    BELOW_MARK, Followable, Id, MAX_ITEMS, MAX_MEMORY, MAX_SHARE, Machine, NO_MARK, NO_MEMO,
    SHORT_STACK, TOO_MANY_VALUES,
};

impl Machine<'_> {
    /// Opcodes that neither bring anything in nor name anything.
    pub(super) fn plain(&mut self, op: &Op) -> Followable {
        match op.code {
            opcode::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            opcode::POP if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
                Ok(())
            }
            opcode::POP => self.value().map(drop),
            opcode::POP_MARK => self.drop_to_mark().map(drop),
            opcode::APPEND | opcode::APPENDS => self.append(op),
            opcode::ADDITEMS => self.add_items(),
            opcode::EMPTY_DICT => self.push(Value::Dict { at: op.at, used: Use::Once }),
            opcode::EMPTY_LIST => self.push(Value::List(Use::Once)),
            opcode::EMPTY_SET => self.push(Value::Set(Use::Once)),
            opcode::LIST | opcode::FROZENSET => self.collect(op),
            opcode::EMPTY_TUPLE => {
                let tuple = self.new_tuple(&[]);
                self.push(tuple)
            }
            opcode::DUP => {
                let top = self.top()?;
                self.push(top.again())
            }
            opcode::MEMOIZE => {
                let top = self.top()?;
                let next = self.memo.len() + self.far_memo.len();
                self.memo.put(next as u32, top);
                Ok(())
            }
            opcode::NEXT_BUFFER => {
                self.doubt("a buffer is taken from outside the pickle");
                self.push(Value::Unknown)
            }
            opcode::READONLY_BUFFER => {
                let buffer = self.top()?;
                self.doubt_unless(buffer.is_buffer(), "what is made read-only is no buffer");
                Ok(())
            }
            opcode::PERSID => self.push(Value::Unknown),
            _ => self.push(Value::literal(op)),
        }
    }

    pub(in crate::scan) fn push(&mut self, value: Value) -> Followable {
        self.stack.push(value);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<Value> {
        self.doubt_unless(self.marks.last() != Some(&self.stack.len()), BELOW_MARK);
        let value = self.stack.pop();
        // What a loader would refuse here, another may read on; so marks just move down.
        while self.marks.last().is_some_and(|mark| *mark > self.stack.len()) {
            self.marks.pop();
        }
        value
    }

    /// The top value; a stack that is too short ends a guess, and is unknown in a pickle.
    pub(in crate::scan) fn top(&mut self) -> Result<Value, &'static str> {
        self.doubt_unless(self.marks.last() != Some(&self.stack.len()), BELOW_MARK);
        self.or_unknown(self.stack.last().copied())
    }

    pub(in crate::scan) fn value(&mut self) -> Result<Value, &'static str> {
        let value = self.pop();
        self.or_unknown(value)
    }

    pub(super) fn or_unknown(&mut self, value: Option<Value>) -> Result<Value, &'static str> {
        match value {
            Some(value) => Ok(value),
            None => self.nonsense(SHORT_STACK, Value::Unknown),
        }
    }

    /// The values above the last mark, of which there is a copy for a moment.
    pub(in crate::scan) fn pop_to_mark(&mut self) -> Result<Vec<Value>, &'static str> {
        let mark = self.mark()?;
        let copied = size_of::<Value>() * (self.stack.len() - mark);
        self.check_memory(copied as u64)?;
        Ok(self.stack.split_off(mark))
    }

    /// Takes the values above the last mark from the stack; true if there are any.
    pub(in crate::scan) fn drop_to_mark(&mut self) -> Result<bool, &'static str> {
        let mark = self.mark()?;
        let has_values = mark < self.stack.len();
        self.stack.truncate(mark);
        Ok(has_values)
    }

    /// The height at which the last mark is, which is taken away.
    fn mark(&mut self) -> Result<usize, &'static str> {
        match self.marks.pop() {
            Some(mark) => Ok(mark.min(self.stack.len())),
            None => self.nonsense(NO_MARK, 0),
        }
    }

    /// Refuses to follow a pickle whose values take more memory than there is room for, with so many
    /// bytes more.
    pub(super) fn check_memory(&self, more: u64) -> Followable {
        let len = self.reader.len();
        if self.memory_of_values() + more > MAX_MEMORY + len + (len / 2).min(MAX_SHARE) {
            Err(TOO_MANY_VALUES)
        } else {
            Ok(())
        }
    }

    pub(super) fn memory(&mut self, op: &Op, id: Id) -> Followable {
        if opcode::is_put(op.code) {
            let top = self.top()?;
            match id {
                Id::Near(id) => self.memo.put(id, top),
                Id::Far(digits) => drop(self.far_memo.insert(digits, top)),
            }
            return Ok(());
        }
        let held = match id {
            Id::Near(id) => self.memo.get(id),
            Id::Far(digits) => self.far_memo.get(&digits).copied(),
        };
        let value = match held {
            Some(value) => value,
            None => self.nonsense(NO_MEMO, Value::Unknown)?,
        };
        self.push(value.again())
    }

    /// A memo id that is not a number, which ends every loader.
    pub(super) fn odd_memory(&mut self, op: &Op) -> Followable {
        self.nonsense("a memo id is no number", ())?;
        if opcode::is_put(op.code) { Ok(()) } else { self.push(Value::Unknown) }
    }

    /// Memory that values take, in bytes.
    pub(super) fn memory_of_values(&self) -> u64 {
        let values = self.stack.len() + self.items.len() + 8 * self.far_memo.len();
        let lists = 12 * self.tuples.len() + 8 * self.marks.len() + self.memo.weight();
        (size_of::<Value>() * values + lists) as u64
    }

    pub(super) fn tuple(&mut self, op: &Op) -> Followable {
        let values = match op.code {
            opcode::TUPLE => self.pop_to_mark()?,
            code => {
                let count = usize::from(code - opcode::TUPLE1) + 1;
                let mut values = Vec::with_capacity(count);
                for _ in 0..count {
                    values.push(self.value()?);
                }
                values.reverse();
                values
            }
        };
        let tuple = self.new_tuple(&values);
        self.push(tuple)
    }

    pub(super) fn new_tuple(&mut self, values: &[Value]) -> Value {
        let start = self.items.len() as u32;
        self.items.extend(values.iter().take(MAX_ITEMS));
        self.tuples.push((start, self.items.len() as u32, values.len() as u32));
        let is_hashable = values.iter().all(|value| self.is_hashable(*value));
        Value::Tuple { place: self.tuples.len() as u32 - 1, is_hashable, used: Use::Once }
    }

    pub(in crate::scan) fn items(&self, tuple: u32) -> &[Value] {
        let range = self.tuples.get(tuple as usize).map(|(start, end, _)| *start..*end);
        let range =
            range.and_then(|range| self.items.get(range.start as usize..range.end as usize));
        range.unwrap_or_default()
    }
}
