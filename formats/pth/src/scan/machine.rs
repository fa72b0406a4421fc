//! Follows a pickle as far as it goes, to see what it brings in and what it calls.
//!
//! Unlike the reader's machine, which must understand a pickle to edit it, this one only has to
//! know what would run: it keeps no contents of lists and dicts, goes on where a loader would
//! give up, and takes what it cannot know as unknown. Where Python would give up for certain, it
//! notes the first such place as the pickle's fault.

use std::ops::Range;

use statedict_core::{Fault, IndexMap, Source};

use super::containers::MAPPINGS;
use super::imports::{Call, Import, Named};
use super::literal;
use super::reader::{Bad, Op, Reader};
use super::value::Value;
use crate::memo::Memo;
use crate::pickle::opcode;
use crate::pickle::unescape::decoded;

/// The most values on stack, in memo and in tuples together: 2 GiB of memory, which a pickle
/// reaches only if it is that long itself.
const MAX_VALUES: usize = 1 << 28;

/// The longest name of a module or class that is shown and judged, in bytes; no real one is longer.
const MAX_NAME: u32 = 1 << 10;

/// How many items of a tuple are remembered: storages' persistent ids have six.
const MAX_ITEMS: usize = 8;

/// The longest text that is held against its encoding, in bytes, to stay in bounded memory.
const MAX_TEXT: u32 = 1 << 20;

/// The last code of copyreg's extension registry.
const LAST_EXTENSION: u32 = i32::MAX as u32;

/// The latest protocol.
const LAST_PROTOCOL: u64 = 5;

/// Whether a stretch of bytes is known to be a pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A loader reads it as one, so it is followed even where it makes no sense.
    Pickle,
    /// It may be anything, so the first thing that no pickle has ends it.
    Guess,
}

/// How a pickle ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With `STOP`, before this byte of the stretch.
    Stop(u64),
    /// It made no sense from this byte on.
    Broken(u64, String),
}

/// What a pickle does.
#[derive(Debug)]
pub(super) struct Followed {
    /// What it brings in, in the order in which it does.
    pub(super) imports: Vec<Import>,
    /// How it ended.
    pub(super) end: End,
    /// Where a loader would give up all the same, and why.
    pub(super) fault: Option<(u64, &'static str)>,
    /// True if it called anything.
    pub(super) calls: bool,
    /// Opcodes that were followed.
    pub(super) steps: u64,
}

/// Follows the pickle that starts at the front of a stretch.
///
/// # Errors
/// Only what keeps the bytes from being read.
pub(super) fn follow(
    source: &dyn Source,
    stretch: Range<u64>,
    trust: Trust,
) -> Result<Followed, Fault> {
    let mut machine = Machine::new(source, stretch, trust);
    let mut at = 0;
    let end = loop {
        let op = match machine.reader.op(at) {
            Ok(op) => op,
            Err(Bad::Fault(fault)) => return Err(fault),
            Err(Bad::Cut) => break End::Broken(at.into(), "the pickle ends without STOP".into()),
            Err(Bad::Unknown(byte)) => {
                break End::Broken(at.into(), format!("byte {byte:#04x} is no pickle opcode"));
            }
        };
        machine.steps += 1;
        machine.at = at;
        at = op.end;
        if op.code == opcode::STOP {
            break match machine.value() {
                Ok(_) => End::Stop(at.into()),
                Err(why) => End::Broken(op.at.into(), why.into()),
            };
        }
        if let Err(nonsense) = machine.step(&op)? {
            break End::Broken(op.at.into(), nonsense.into());
        }
    };
    let (calls, steps) = (machine.calls, machine.steps);
    let fault = machine.fault.map(|(at, why)| (at.into(), why));
    Ok(Followed { imports: machine.imports.into_values().collect(), end, fault, calls, steps })
}

/// A pickle on its way.
pub(super) struct Machine<'s> {
    pub(super) reader: Reader<'s>,
    trust: Trust,
    stack: Vec<Value>,
    /// Stack heights at which marks stand.
    marks: Vec<usize>,
    memo: Memo<Value>,
    /// The first items of tuples: where they start and end among `items`, and how many there are.
    pub(super) tuples: Vec<(u32, u32, u32)>,
    items: Vec<Value>,
    pub(super) imports: IndexMap<Named, Import>,
    calls: bool,
    steps: u64,
    /// Where the opcode is that is being followed.
    at: u32,
    fault: Option<(u32, &'static str)>,
}

/// Whether an opcode could be followed; if not, why.
pub(super) type Followable = Result<(), &'static str>;

const SHORT_STACK: &str = "an opcode needs a value that is not on the stack";
const NO_MARK: &str = "an opcode needs a mark that is not on the stack";
const BELOW_MARK: &str = "an opcode takes a value from below a mark";
const NO_MEMO: &str = "a memo id was never put";
const NOT_CALLABLE: &str = "what is called is no callable";

impl<'s> Machine<'s> {
    fn new(source: &'s dyn Source, stretch: Range<u64>, trust: Trust) -> Machine<'s> {
        Machine {
            reader: Reader::new(source, stretch),
            trust,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Memo::default(),
            tuples: Vec::new(),
            items: Vec::new(),
            imports: IndexMap::default(),
            calls: false,
            steps: 0,
            at: 0,
            fault: None,
        }
    }

    /// Notes where a loader would give up, the first time.
    fn doubt(&mut self, why: &'static str) {
        self.fault.get_or_insert((self.at, why));
    }

    pub(super) fn doubt_unless(&mut self, is_sound: bool, why: &'static str) {
        if !is_sound {
            self.doubt(why);
        }
    }

    /// Nonsense ends a guess; a pickle is followed with something else instead.
    fn nonsense<T>(&mut self, why: &'static str, instead: T) -> Result<T, &'static str> {
        self.doubt(why);
        match self.trust {
            Trust::Pickle => Ok(instead),
            Trust::Guess => Err(why),
        }
    }

    /// Follows one opcode; the outer error is one of reading.
    fn step(&mut self, op: &Op) -> Result<Followable, Fault> {
        let held = self.stack.len() + self.memo.len() + self.items.len() + self.tuples.len();
        if held > MAX_VALUES {
            return Ok(Err("over 2^28 values at once, the limit of the scan"));
        }
        Ok(match op.code {
            opcode::GLOBAL => self.global(op)?,
            opcode::STACK_GLOBAL => self.stack_global(op)?,
            opcode::INST => self.inst(op)?,
            opcode::EXT1 | opcode::EXT2 | opcode::EXT4 => self.extension(op)?,
            opcode::REDUCE | opcode::NEWOBJ | opcode::NEWOBJ_EX | opcode::OBJ => self.made(op)?,
            opcode::BUILD => self.build(op)?,
            opcode::BINPERSID => self.persistent(),
            opcode::TUPLE | opcode::TUPLE1 | opcode::TUPLE2 | opcode::TUPLE3 => self.tuple(op),
            opcode::BINPUT | opcode::LONG_BINPUT | opcode::BINGET | opcode::LONG_BINGET => {
                let id = self.argument(op, 4)?;
                self.memory(op, id as u32)
            }
            opcode::PUT | opcode::GET => {
                let text = self.reader.bytes(op.argument.clone(), 20)?;
                let id = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
                id.map_or(Err("a memo id is no number"), |id| self.memory(op, id))
            }
            opcode::PROTO | opcode::FRAME => self.framing(op)?,
            code if opcode::is_text(code) => self.written(op)?,
            opcode::INT | opcode::LONG | opcode::FLOAT => self.written(op)?,
            _ => self.plain(op),
        })
    }

    /// Opcodes that say how the pickle is written.
    fn framing(&mut self, op: &Op) -> Result<Followable, Fault> {
        let number = self.argument(op, 8)?;
        let left = self.reader.len().saturating_sub(op.end.into());
        match op.code {
            opcode::PROTO => self.doubt_unless(number <= LAST_PROTOCOL, "its protocol is unknown"),
            _ => self.doubt_unless(number <= left, "a frame ends beyond the pickle"),
        }
        Ok(Ok(()))
    }

    /// Texts, and numbers that are written as text.
    fn written(&mut self, op: &Op) -> Result<Followable, Fault> {
        if op.argument.end - op.argument.start <= MAX_TEXT {
            let argument = self.reader.bytes(op.argument.clone(), MAX_TEXT)?;
            if let Some(why) = literal::fault(op.code, &argument) {
                self.doubt(why);
            }
        }
        Ok(self.push(Value::Literal { at: op.at, code: op.code }))
    }

    /// Opcodes that neither bring anything in nor name anything.
    fn plain(&mut self, op: &Op) -> Followable {
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
            opcode::POP_MARK => self.pop_to_mark().map(drop),
            opcode::APPEND | opcode::APPENDS => self.append(op),
            opcode::SETITEM | opcode::SETITEMS => self.set_items(op),
            opcode::ADDITEMS => self.add_items(),
            opcode::EMPTY_DICT => self.push(Value::Dict),
            opcode::EMPTY_LIST => self.push(Value::List),
            opcode::EMPTY_SET => self.push(Value::Set),
            opcode::DICT | opcode::LIST | opcode::FROZENSET => self.collect(op),
            opcode::EMPTY_TUPLE => {
                let tuple = self.new_tuple(&[]);
                self.push(tuple)
            }
            opcode::DUP => {
                let top = self.top()?;
                self.push(top)
            }
            opcode::MEMOIZE => {
                let top = self.top()?;
                self.memo.push(top);
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
            _ => self.push(Value::Literal { at: op.at, code: op.code }),
        }
    }

    pub(super) fn push(&mut self, value: Value) -> Followable {
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Option<Value> {
        self.doubt_unless(self.marks.last() != Some(&self.stack.len()), BELOW_MARK);
        let value = self.stack.pop();
        // What a loader would refuse here, another may read on; so marks just move down.
        while self.marks.last().is_some_and(|mark| *mark > self.stack.len()) {
            self.marks.pop();
        }
        value
    }

    /// The top value; a stack that is too short ends a guess, and is unknown in a pickle.
    pub(super) fn top(&mut self) -> Result<Value, &'static str> {
        self.doubt_unless(self.marks.last() != Some(&self.stack.len()), BELOW_MARK);
        self.or_unknown(self.stack.last().copied())
    }

    pub(super) fn value(&mut self) -> Result<Value, &'static str> {
        let value = self.pop();
        self.or_unknown(value)
    }

    fn or_unknown(&mut self, value: Option<Value>) -> Result<Value, &'static str> {
        match value {
            Some(value) => Ok(value),
            None => self.nonsense(SHORT_STACK, Value::Unknown),
        }
    }

    pub(super) fn pop_to_mark(&mut self) -> Result<Vec<Value>, &'static str> {
        let mark = match self.marks.pop() {
            Some(mark) => mark.min(self.stack.len()),
            None => self.nonsense(NO_MARK, 0)?,
        };
        Ok(self.stack.split_off(mark))
    }

    fn memory(&mut self, op: &Op, id: u32) -> Followable {
        match op.code {
            opcode::BINPUT | opcode::LONG_BINPUT | opcode::PUT => {
                let top = self.top()?;
                self.memo.put(id, top);
                Ok(())
            }
            _ => {
                let value = match self.memo.get(id) {
                    Some(value) => value,
                    None => self.nonsense(NO_MEMO, Value::Unknown)?,
                };
                self.push(value)
            }
        }
    }

    fn tuple(&mut self, op: &Op) -> Followable {
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

    fn new_tuple(&mut self, values: &[Value]) -> Value {
        let start = self.items.len() as u32;
        self.items.extend(values.iter().take(MAX_ITEMS));
        self.tuples.push((start, self.items.len() as u32, values.len() as u32));
        let is_hashable = values.iter().all(|value| self.is_hashable(*value));
        Value::Tuple { place: self.tuples.len() as u32 - 1, is_hashable }
    }

    pub(super) fn items(&self, tuple: u32) -> &[Value] {
        let range = self.tuples.get(tuple as usize).map(|(start, end, _)| *start..*end);
        let range =
            range.and_then(|range| self.items.get(range.start as usize..range.end as usize));
        range.unwrap_or_default()
    }

    /// A storage, or the class that a legacy file notes the source of.
    fn persistent(&mut self) -> Followable {
        let class = match self.value()? {
            Value::Tuple { place, .. } => match *self.items(place) {
                [_, class @ Value::Import(_), _, _] => Some(class),
                [class @ Value::Import(_), _, _] => Some(class),
                _ => None,
            },
            _ => None,
        };
        self.push(class.unwrap_or(Value::Unknown))
    }

    fn argument(&self, op: &Op, width: u32) -> Result<u64, Fault> {
        Ok(opcode::little_endian(&self.reader.bytes(op.argument.clone(), width)?))
    }

    fn global(&mut self, op: &Op) -> Result<Followable, Fault> {
        let named = self.lines(op)?;
        let import = named.map_or(Value::Unknown, |named| self.import(op, named));
        Ok(self.push(import))
    }

    /// The two lines of an argument, module and name; `None` if they are no text.
    fn lines(&mut self, op: &Op) -> Result<Option<Named>, Fault> {
        let text = self.reader.bytes(op.argument.clone(), 2 * MAX_NAME)?;
        let is_whole = text.len() as u64 == u64::from(op.argument.end - op.argument.start);
        if is_whole && std::str::from_utf8(&text).is_err() {
            self.doubt("a name is no UTF-8");
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&text);
        Ok(Some(match text.split_once('\n') {
            Some((module, name)) => Named::path(module, name),
            None => Named::path(&text, ""),
        }))
    }

    fn stack_global(&mut self, op: &Op) -> Result<Followable, Fault> {
        let (name, module) = match (self.value(), self.value()) {
            (Ok(name), Ok(module)) => (name, module),
            _ => return Ok(Err(SHORT_STACK)),
        };
        if !name.is_text() || !module.is_text() {
            self.doubt("a module or a name is no text");
            return Ok(self.push(Value::Unknown));
        }
        let named = match (self.text(module)?, self.text(name)?) {
            (Some(module), Some(name)) => Named::path(&module, &name),
            (module, name) => Named::Computed { module, name },
        };
        let import = self.import(op, named);
        Ok(self.push(import))
    }

    /// The text that a value is, if an opcode holds it.
    fn text(&mut self, value: Value) -> Result<Option<String>, Fault> {
        let Value::Literal { at, .. } = value else { return Ok(None) };
        let op = match self.reader.op(at) {
            Ok(op) => op,
            Err(Bad::Fault(fault)) => return Err(fault),
            Err(_) => return Ok(None),
        };
        Ok(decoded(op.code, &self.reader.bytes(op.argument, MAX_NAME)?))
    }

    fn extension(&mut self, op: &Op) -> Result<Followable, Fault> {
        let code = self.argument(op, 4)? as u32;
        if !(1..=LAST_EXTENSION).contains(&code) {
            self.doubt("no extension has this code");
            return Ok(self.push(Value::Unknown));
        }
        let named = Named::Extension(code);
        let import = self.import(op, named);
        Ok(self.push(import))
    }

    fn import(&mut self, op: &Op, named: Named) -> Value {
        let entry = self.imports.entry(named.clone());
        let place = entry.index() as u32;
        entry.or_insert_with(|| Import::new(named, op.at.into(), op.code));
        Value::Import(place)
    }

    fn inst(&mut self, op: &Op) -> Result<Followable, Fault> {
        let arguments = match self.pop_to_mark() {
            Ok(arguments) => arguments,
            Err(why) => return Ok(Err(why)),
        };
        let named = self.lines(op)?;
        let class = named.map_or(Value::Unknown, |named| self.import(op, named));
        let arguments = self.new_tuple(&arguments);
        self.call(op, class, arguments)
    }

    /// Opcodes that call what is on the stack.
    fn made(&mut self, op: &Op) -> Result<Followable, Fault> {
        match self.callee(op) {
            Ok((callable, arguments)) => self.call(op, callable, arguments),
            Err(why) => Ok(Err(why)),
        }
    }

    fn callee(&mut self, op: &Op) -> Result<(Value, Value), &'static str> {
        if op.code == opcode::OBJ {
            let values = self.pop_to_mark()?;
            let (class, arguments) = values.split_first().ok_or(SHORT_STACK)?;
            let arguments = self.new_tuple(arguments);
            return Ok((*class, arguments));
        }
        if op.code == opcode::NEWOBJ_EX {
            self.value()?;
        }
        let arguments = self.value()?;
        Ok((self.value()?, arguments))
    }

    fn call(&mut self, op: &Op, callable: Value, arguments: Value) -> Result<Followable, Fault> {
        self.doubt_unless(arguments.is_arguments(), "the arguments of a call are none");
        let (place, result) = match callable {
            Value::Import(place) => (place, Value::Returned(place)),
            Value::Returned(place) => (self.returned(op, place), callable),
            Value::Unknown => return Ok(self.push(Value::Unknown)),
            // Numbers, texts and containers cannot be called, which is where a loader ends.
            _ => {
                let result = self.nonsense(NOT_CALLABLE, Value::Unknown);
                return Ok(result.and_then(|result| self.push(result)));
            }
        };
        self.calls = true;
        let shown = match self.imports.get_index(place as usize) {
            Some((_, Import { call: None, .. })) => Some(self.shown(arguments)?),
            _ => None,
        };
        if let Some((_, import)) = self.imports.get_index_mut(place as usize) {
            import.reduced |= !matches!(op.code, opcode::NEWOBJ | opcode::NEWOBJ_EX);
            if let Some(arguments) = shown {
                import.call = Some(Call { at: op.at.into(), opcode: op.code, arguments });
            }
        }
        Ok(self.push(result))
    }

    /// The import that stands for calling what another returned.
    fn returned(&mut self, op: &Op, place: u32) -> u32 {
        let by = self.imports.get_index(place as usize).map(|(named, _)| named.to_string());
        let named = Named::Returned(by.unwrap_or_default());
        match self.import(op, named) {
            Value::Import(place) => place,
            _ => place,
        }
    }

    /// `BUILD` on something that was brought in and not made here changes it for the whole program.
    fn build(&mut self, op: &Op) -> Result<Followable, Fault> {
        let (state, target) = match (self.value(), self.top()) {
            (Ok(state), Ok(target)) => (state, target),
            _ => return Ok(Err(SHORT_STACK)),
        };
        let takes_state = match target {
            Value::Returned(place) => state.is_state() || !self.is_named(place, &MAPPINGS),
            target => state.is_none() || target.takes_state(),
        };
        self.doubt_unless(takes_state, "what is filled has no such state");
        if let Value::Import(place) = target
            && let Some((_, import)) = self.imports.get_index_mut(place as usize)
        {
            self.calls = true;
            import.changed.get_or_insert(op.at.into());
        }
        Ok(Ok(()))
    }
}
