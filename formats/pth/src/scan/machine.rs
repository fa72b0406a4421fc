//! Follows a pickle as far as it goes, to see what it brings in and what it calls.
//!
//! Unlike the reader's machine, which must understand a pickle to edit it, this one only has to
//! know what would run: it keeps no contents of lists and dicts, goes on where a loader would
//! give up, and takes what it cannot know as unknown. Where Python would give up for certain, it
//! notes the first such place as the pickle's fault.

use std::collections::HashMap;
use std::ops::Range;

use statedict_core::{Fault, IndexMap, Source};

use super::admitted::is_admitted;
use super::care::Care;
use super::imports::{Call, Harm, Import, Misuse, Named};
use super::integer;
use super::judge::is_harmful;
use super::kind::{Callable, Kind};
use super::layers::Layers;
use super::literal;
use super::reader::{Bad, Op, Reader};
use super::unread::Unread;
use super::value::Value;
use crate::memo::Memo;
use crate::pickle::opcode;
use crate::pickle::unescape::decoded;
use crate::reserve::reserved;

/// The most memory for the values on stack, in memo and in tuples, beside one and a half times the
/// pickle, in bytes.
const MAX_MEMORY: u64 = 24 << 20;

/// The most memory for what is brought in, in bytes: a pickle of real classes brings in hundreds,
/// of which each takes some hundreds of bytes.
const MAX_IMPORTS: usize = 16 << 20;

/// The same for those alone that could do harm, which nothing else may take the room of.
const MAX_HARMFUL_IMPORTS: usize = 8 << 20;

/// What an import takes beside its name, which is kept twice, in bytes.
const IMPORT_SIZE: usize = 400;

/// The longest name of a module or class that is shown and judged, in bytes; no real one is longer.
const MAX_NAME: u32 = 1 << 10;

/// How many items of a tuple are remembered: the states of NumPy's elements have eight.
const MAX_ITEMS: usize = 8;

/// The longest number in text that is read, in bytes; Python's `int` reads 4,300 digits.
const MAX_NUMBER: u32 = 4_400;

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
    pub(super) imports: Vec<(Named, Import)>,
    /// How it ended.
    pub(super) end: End,
    /// Where a loader would give up all the same, and why.
    pub(super) fault: Option<(u64, &'static str)>,
    /// Where weights-only loading would give up, though others go on, and why.
    pub(super) refusal: Option<(u64, &'static str)>,
    /// Where the first opcode is that weights-only loading does not read, and which.
    pub(super) unread: Option<(u64, Unread)>,
    /// True if it is nothing but the number that begins PyTorch's legacy streams.
    pub(super) is_magic: bool,
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
    let mut is_magic = false;
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
                Ok(value) => {
                    is_magic = machine.is_magic(value)?;
                    End::Stop(at.into())
                }
                Err(why) => End::Broken(op.at.into(), why.into()),
            };
        }
        if let Err(nonsense) = machine.step(&op)? {
            break End::Broken(op.at.into(), nonsense.into());
        }
    };
    machine.check_records();
    machine.check_layers();
    let (calls, steps) = (machine.calls, machine.steps);
    let place = |place: Option<(u32, &'static str)>| place.map(|(at, why)| (at.into(), why));
    let (fault, refusal) = (place(machine.fault), place(machine.refusal));
    let unread = machine.unread.map(|(at, unread)| (at.into(), unread));
    let imports = machine.imports.into_iter().collect();
    Ok(Followed { imports, end, fault, refusal, unread, is_magic, calls, steps })
}

/// The number that begins PyTorch's legacy streams, as a pickle's bytes and as text.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const MAGIC_TEXT: &str = "119547037146038801333356";

/// A pickle on its way.
pub(super) struct Machine<'s> {
    pub(super) reader: Reader<'s>,
    trust: Trust,
    stack: Vec<Value>,
    /// Stack heights at which marks stand.
    marks: Vec<usize>,
    memo: Memo<Value>,
    /// What was put aside under numbers of more than 32 bits, by their digits.
    far_memo: HashMap<String, Value>,
    /// The last protocol that the pickle named.
    protocol: u64,
    /// The first items of tuples: where they start and end among `items`, and how many there are.
    pub(super) tuples: Vec<(u32, u32, u32)>,
    items: Vec<Value>,
    pub(super) imports: IndexMap<Named, Import>,
    calls: bool,
    steps: u64,
    /// Where the opcode is that is being followed.
    at: u32,
    fault: Option<(u32, &'static str)>,
    refusal: Option<(u32, &'static str)>,
    unread: Option<(u32, Unread)>,
    /// Memory that imports take, and those that could do harm.
    imports_size: usize,
    harmful_size: usize,
    /// What stands for all imports that there was no room for.
    further: Option<Named>,
    /// The text 'storage' where it was last found.
    storage_word: Option<u32>,
    pub(super) numpy: Numpy,
    pub(super) layers: Layers,
}

/// What a pickle has of NumPy's descriptions of elements.
#[derive(Default)]
pub(super) struct Numpy {
    /// True if some elements are objects.
    pub(super) has_objects: bool,
    /// Where elements are described that have parts.
    pub(super) structured: Option<u32>,
}

/// Whether an opcode could be followed; if not, why.
pub(super) type Followable = Result<(), &'static str>;

const SHORT_STACK: &str = "an opcode needs a value that is not on the stack";
const NO_MARK: &str = "an opcode needs a mark that is not on the stack";
const BELOW_MARK: &str = "an opcode takes a value from below a mark";
const NO_MEMO: &str = "a memo id was never put";
const NOT_CALLABLE: &str = "what is called is no callable";
const NO_NAME: &str = "a name is none that a module or class can have";
const NO_UTF8: &str = "a byte string of Python 2 is not UTF-8, the encoding that torch.load takes unless it is given another";
const NO_STORAGE: &str = "weights-only loading takes no persistent id but that of a storage";

/// A number in the memo.
enum Id {
    Near(u32),
    /// The digits of one that 32 bits do not hold.
    Far(String),
}

impl<'s> Machine<'s> {
    fn new(source: &'s dyn Source, stretch: Range<u64>, trust: Trust) -> Machine<'s> {
        // Of what may be a pickle hardly anything is followed.
        let len =
            if trust == Trust::Pickle { stretch.end.saturating_sub(stretch.start) } else { 0 };
        Machine {
            reader: Reader::new(source, stretch),
            trust,
            stack: reserved(len),
            marks: Vec::new(),
            memo: Memo::default(),
            far_memo: HashMap::new(),
            protocol: 0,
            tuples: reserved(len),
            items: reserved(len),
            imports: IndexMap::default(),
            calls: false,
            steps: 0,
            at: 0,
            fault: None,
            refusal: None,
            unread: None,
            imports_size: 0,
            harmful_size: 0,
            further: None,
            storage_word: None,
            numpy: Numpy::default(),
            layers: Layers::default(),
        }
    }

    /// Notes what weights-only loading refuses to do, the first time.
    pub(super) fn refuse_unless(&mut self, is_admitted: bool, why: &'static str) {
        if !is_admitted {
            self.refusal.get_or_insert((self.at, why));
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
        if self.memory_of_values() > MAX_MEMORY + self.reader.len() * 3 / 2 {
            return Ok(Err("its values take over 24 MiB and 1.5 times its length, the limit"));
        }
        self.check_support(op);
        Ok(match op.code {
            opcode::GLOBAL => self.global(op)?,
            opcode::STACK_GLOBAL => self.stack_global(op)?,
            opcode::INST => self.inst(op)?,
            opcode::EXT1 | opcode::EXT2 | opcode::EXT4 => self.extension(op)?,
            opcode::REDUCE | opcode::NEWOBJ | opcode::NEWOBJ_EX | opcode::OBJ => self.made(op)?,
            opcode::BUILD => self.build(op)?,
            opcode::BINPERSID => self.persistent()?,
            opcode::TUPLE | opcode::TUPLE1 | opcode::TUPLE2 | opcode::TUPLE3 => self.tuple(op),
            opcode::BINPUT | opcode::LONG_BINPUT | opcode::BINGET | opcode::LONG_BINGET => {
                let id = self.argument(op, 4)?;
                self.memory(op, Id::Near(id as u32))
            }
            opcode::PUT | opcode::GET => {
                let text = self.reader.bytes(op.argument.clone(), MAX_NUMBER)?;
                let id = integer::digits(&text).filter(|digits| !digits.starts_with('-'));
                match id {
                    Some(digits) => {
                        let id = digits.parse().map_or(Id::Far(digits), Id::Near);
                        self.memory(op, id)
                    }
                    None => self.odd_memory(op),
                }
            }
            opcode::SETITEM | opcode::SETITEMS => self.set_items(op)?,
            opcode::DICT => self.dict(op)?,
            opcode::PROTO | opcode::FRAME => self.framing(op)?,
            code if opcode::is_text(code) => self.written(op)?,
            opcode::INT | opcode::LONG | opcode::FLOAT => self.written(op)?,
            _ => self.plain(op),
        })
    }

    /// Notes an opcode that weights-only loading does not read.
    fn check_support(&mut self, op: &Op) {
        if let Some(unread) = Unread::new(op.code, self.protocol) {
            self.unread.get_or_insert((op.at, unread));
        }
    }

    /// Opcodes that say how the pickle is written.
    fn framing(&mut self, op: &Op) -> Result<Followable, Fault> {
        let number = self.argument(op, 8)?;
        let left = self.reader.len().saturating_sub(op.end.into());
        match op.code {
            opcode::PROTO if number <= LAST_PROTOCOL => self.protocol = number,
            opcode::PROTO => self.doubt("its protocol is unknown"),
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
            let is_text = literal::is_utf8_if_bytes(op.code, &argument);
            self.refuse_unless(is_text, NO_UTF8);
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
            opcode::ADDITEMS => self.add_items(),
            opcode::EMPTY_DICT => self.push(Value::Dict),
            opcode::EMPTY_LIST => self.push(Value::List),
            opcode::EMPTY_SET => self.push(Value::Set),
            opcode::LIST | opcode::FROZENSET => self.collect(op),
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

    fn memory(&mut self, op: &Op, id: Id) -> Followable {
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
        self.push(value)
    }

    /// A memo id that is no number, which ends every loader.
    fn odd_memory(&mut self, op: &Op) -> Followable {
        self.nonsense("a memo id is no number", ())?;
        match opcode::is_put(op.code) {
            true => Ok(()),
            false => self.push(Value::Unknown),
        }
    }

    /// Memory that values take, in bytes.
    fn memory_of_values(&self) -> u64 {
        let values = self.stack.len() + self.items.len() + 2 * self.memo.len();
        let far = self.far_memo.len() * 8;
        (size_of::<Value>() * (values + far) + 12 * self.tuples.len() + 8 * self.marks.len()) as u64
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
    fn persistent(&mut self) -> Result<Followable, Fault> {
        let id = match self.value() {
            Ok(id) => id,
            Err(why) => return Ok(Err(why)),
        };
        let Value::Tuple { place, .. } = id else {
            self.refuse_unless(id == Value::Unknown, NO_STORAGE);
            return Ok(self.push(Value::Unknown));
        };
        let class = match *self.items(place) {
            [_, class @ Value::Import(_), _, _] => Some(class),
            [class @ Value::Import(_), _, _] => Some(class),
            _ => None,
        };
        let is_storage = match self.items(place).first().copied() {
            Some(first) => self.is_storage_word(first)?,
            None => false,
        };
        // Classes of whole models are refused by their names, if they are to be.
        let is_known = class.is_some() || (is_storage && self.is_storage_id(place));
        self.refuse_unless(is_known, NO_STORAGE);
        Ok(self.push(match class {
            Some(class) => class,
            None if is_storage => Value::Storage,
            None => Value::Unknown,
        }))
    }

    /// True if a value is the word that persistent ids of storages begin with.
    fn is_storage_word(&mut self, value: Value) -> Result<bool, Fault> {
        let Value::Literal { at, .. } = value else { return Ok(false) };
        if self.storage_word == Some(at) {
            return Ok(true);
        }
        let is_word = self.argument_of(value, 16)?.is_some_and(|text| text == b"storage");
        let is_word = is_word || self.text(value)?.is_some_and(|text| text == "storage");
        if is_word {
            self.storage_word = Some(at);
        }
        Ok(is_word)
    }

    fn argument(&self, op: &Op, width: u32) -> Result<u64, Fault> {
        Ok(opcode::little_endian(&self.reader.bytes(op.argument.clone(), width)?))
    }

    fn global(&mut self, op: &Op) -> Result<Followable, Fault> {
        let named = self.lines(op)?;
        Ok(self.push_import(op, named))
    }

    /// Pushes what a pickle brings in; a name that no module has ends a guess.
    fn push_import(&mut self, op: &Op, named: Option<Named>) -> Followable {
        let import = self.checked_import(op, named)?;
        self.push(import)
    }

    fn checked_import(&mut self, op: &Op, named: Option<Named>) -> Result<Value, &'static str> {
        match named {
            Some(named) if self.trust == Trust::Guess && !named.is_plausible() => Err(NO_NAME),
            Some(named) => Ok(self.import(op, named)),
            None => self.nonsense("a name is no UTF-8", Value::Unknown),
        }
    }

    /// The two lines of an argument, module and name; `None` if they are no text.
    fn lines(&mut self, op: &Op) -> Result<Option<Named>, Fault> {
        let text = self.reader.bytes(op.argument.clone(), 2 * MAX_NAME)?;
        let is_whole = text.len() as u64 == u64::from(op.argument.end - op.argument.start);
        if is_whole && std::str::from_utf8(&text).is_err() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&text);
        let (module, name) = text.split_once('\n').unwrap_or((&text, ""));
        Ok(Some(Named::path(module, name, self.protocol)))
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
            (Some(module), Some(name)) => Named::path(&module, &name, self.protocol),
            (module, name) => Named::Computed { module, name },
        };
        Ok(self.push_import(op, Some(named)))
    }

    /// The text that a value is, if an opcode holds it.
    pub(super) fn text(&mut self, value: Value) -> Result<Option<String>, Fault> {
        let Value::Literal { code, .. } = value else { return Ok(None) };
        let argument = self.argument_of(value, MAX_NAME)?;
        Ok(argument.and_then(|argument| decoded(code, &argument)))
    }

    /// The bytes that an opcode pushed a value from, at most `limit` of them.
    pub(super) fn argument_of(
        &mut self,
        value: Value,
        limit: u32,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let Value::Literal { at, .. } = value else { return Ok(None) };
        match self.reader.op(at) {
            Ok(op) => Ok(Some(self.reader.bytes(op.argument, limit)?)),
            Err(Bad::Fault(fault)) => Err(fault),
            Err(_) => Ok(None),
        }
    }

    /// The whole number that a value is; `None` if it is none, or longer than 64 bits.
    pub(super) fn integer(&mut self, value: Value) -> Result<Option<i64>, Fault> {
        let Value::Literal { code, .. } = value else { return Ok(None) };
        let Some(bytes) = self.argument_of(value, MAX_NUMBER)? else { return Ok(None) };
        let is_negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
        Ok(match code {
            opcode::BININT1 | opcode::BININT2 => Some(opcode::little_endian(&bytes) as i64),
            opcode::BININT => Some(i64::from(opcode::little_endian(&bytes) as u32 as i32)),
            opcode::LONG1 | opcode::LONG4 if bytes.len() <= 8 => {
                let mut wide = [if is_negative { 0xff } else { 0 }; 8];
                wide.iter_mut().zip(&bytes).for_each(|(wide, byte)| *wide = *byte);
                Some(i64::from_le_bytes(wide))
            }
            opcode::INT | opcode::LONG => {
                let text = bytes.strip_suffix(b"L").unwrap_or(&bytes);
                integer::digits(text).and_then(|digits| digits.parse().ok())
            }
            _ => None,
        })
    }

    /// True if a value is the number that begins PyTorch's legacy streams.
    fn is_magic(&mut self, value: Value) -> Result<bool, Fault> {
        let Value::Literal { code, .. } = value else { return Ok(false) };
        let Some(bytes) = self.argument_of(value, MAX_NUMBER)? else { return Ok(false) };
        Ok(match code {
            opcode::LONG1 | opcode::LONG4 => {
                let (number, filling) = bytes.split_at_checked(MAGIC.len()).unwrap_or_default();
                number == MAGIC && filling.iter().all(|byte| *byte == 0)
            }
            opcode::INT | opcode::LONG => {
                let text = bytes.strip_suffix(b"L").unwrap_or(&bytes);
                integer::digits(text).is_some_and(|digits| digits == MAGIC_TEXT)
            }
            _ => false,
        })
    }

    fn extension(&mut self, op: &Op) -> Result<Followable, Fault> {
        let code = self.argument(op, 4)? as u32;
        if !(1..=LAST_EXTENSION).contains(&code) {
            self.doubt("no extension has this code");
            return Ok(self.push(Value::Unknown));
        }
        Ok(self.push_import(op, Some(Named::Extension(code))))
    }

    fn import(&mut self, op: &Op, named: Named) -> Value {
        if let Some(place) = self.imports.get_index_of(&named) {
            return Value::Import(place as u32);
        }
        let named = self.with_room(named);
        let entry = self.imports.entry(named);
        let place = entry.index() as u32;
        let import = Import::new(entry.key(), op.at.into(), op.code);
        self.layers.is_there |= import.care == Care::Layers;
        entry.or_insert(import);
        Value::Import(place)
    }

    pub(super) fn import_path(&mut self, op: &Op, path: String) -> Value {
        self.import(op, Named::Path(path))
    }

    /// A name, or what stands for all names that there is no room for.
    fn with_room(&mut self, named: Named) -> Named {
        let size = 2 * named.len() + IMPORT_SIZE;
        if self.imports_size + size <= MAX_IMPORTS {
            self.imports_size += size;
            return named;
        }
        if named.as_path().is_some_and(is_harmful)
            && self.harmful_size + size <= MAX_HARMFUL_IMPORTS
        {
            self.harmful_size += size;
            return named;
        }
        self.further.get_or_insert_with(|| Named::Further(named.to_string())).clone()
    }

    /// What the import at a place is called.
    pub(super) fn named(&self, place: u32) -> String {
        let import = self.imports.get_index(place as usize);
        import.map(|(named, _)| named.to_string()).unwrap_or_default()
    }

    /// The path of the import at a place; empty if it is not in the pickle.
    pub(super) fn path(&self, place: u32) -> &str {
        let import = self.imports.get_index(place as usize);
        import.and_then(|(named, _)| named.as_path()).unwrap_or_default()
    }

    /// What a value is, as far as weights-only loading tells.
    pub(super) fn kind(&self, value: Value) -> Kind {
        let import = match value {
            Value::Returned(place) => self.imports.get_index(place as usize),
            Value::ObjectElements => return Kind::Elements,
            Value::Storage => return Kind::Storage,
            _ => None,
        };
        import.map_or(Kind::Other, |(_, import)| import.makes)
    }

    fn inst(&mut self, op: &Op) -> Result<Followable, Fault> {
        let arguments = match self.pop_to_mark() {
            Ok(arguments) => arguments,
            Err(why) => return Ok(Err(why)),
        };
        let named = self.lines(op)?;
        let class = match self.checked_import(op, named) {
            Ok(class) => class,
            Err(why) => return Ok(Err(why)),
        };
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
        Ok(match self.called(op, callable, arguments)? {
            Some(result) => self.push(result),
            // Numbers, texts and containers cannot be called, which is where a loader ends.
            None => {
                let result = self.nonsense(NOT_CALLABLE, Value::Unknown);
                result.and_then(|result| self.push(result))
            }
        })
    }

    /// What a call returns, with all the calls that it makes by the way; `None` if the thing cannot
    /// be called.
    fn called(
        &mut self,
        op: &Op,
        mut callable: Value,
        mut arguments: Value,
    ) -> Result<Option<Value>, Fault> {
        let mut first = None;
        for depth in 0.. {
            let (place, result) = match callable {
                Value::Import(place) => (place, Value::Returned(place)),
                Value::Returned(place) => (self.returned(op, place), callable),
                Value::Unknown => {
                    self.refuse_unless(false, "what is called comes from outside the pickle");
                    return Ok(Some(first.unwrap_or(Value::Unknown)));
                }
                _ => return Ok(first),
            };
            self.calls = true;
            let care = self.note_call(op, place, arguments)?;
            let outcome = self.outcome(op, care, arguments)?;
            if let Some(harm) = outcome.harm.or(Machine::nested_too_deep(depth)) {
                let what = format!("calls {}({})", self.named(place), self.shown(arguments)?);
                self.misuse(op, place, what, harm);
                return Ok(Some(first.or(outcome.result).unwrap_or(result)));
            }
            first = first.or(outcome.result).or(Some(result));
            match self.calls_further(arguments).filter(|_| care == Care::Rebuild) {
                Some(further) => (callable, arguments) = further,
                None => break,
            }
        }
        Ok(first)
    }

    /// Notes that an import is called, and gives what its arguments have to be held against.
    fn note_call(&mut self, op: &Op, place: u32, arguments: Value) -> Result<Care, Fault> {
        let is_new = matches!(op.code, opcode::NEWOBJ | opcode::NEWOBJ_EX);
        let Some((named, import)) = self.imports.get_index(place as usize) else {
            return Ok(Care::None);
        };
        let (care, is_first) = (import.care, import.call.is_none());
        let path = named.as_path().filter(|path| is_admitted(path)).map(str::to_string);
        if let Some(path) = path.filter(|_| self.refusal.is_none()) {
            self.check_admitted(&path, is_new, arguments)?;
        }
        let shown = match is_first && self.imports_size < MAX_IMPORTS {
            true => Some(self.shown(arguments)?),
            false => is_first.then(|| "…".to_string()),
        };
        self.imports_size += shown.as_ref().map_or(0, String::len);
        if let Some((_, import)) = self.imports.get_index_mut(place as usize) {
            import.reduced |= !is_new;
            if let Some(arguments) = shown {
                import.call = Some(Call { at: op.at.into(), opcode: op.code, arguments });
            }
        }
        Ok(care)
    }

    /// Holds a call of something admitted against how weights-only loading can call it.
    fn check_admitted(&mut self, path: &str, is_new: bool, given: Value) -> Result<(), Fault> {
        let is_called = match Callable::at(path) {
            Callable::Class => true,
            Callable::Function => !is_new,
            Callable::No => false,
        };
        self.refuse_unless(is_called, "what is called is a value to weights-only loading");
        let takes = self.takes(path, given)?;
        self.refuse_unless(takes, "the arguments of a call are not those of the function");
        Ok(())
    }

    /// Notes a use of an import that does harm, the first time.
    pub(super) fn misuse(&mut self, op: &Op, place: u32, what: String, harm: Harm) {
        self.misuse_at(op.at, op.code, place, what, harm);
    }

    pub(super) fn misuse_at(&mut self, at: u32, code: u8, place: u32, what: String, harm: Harm) {
        if let Some((_, import)) = self.imports.get_index_mut(place as usize) {
            let misuse = Misuse { at: at.into(), opcode: code, what, harm };
            import.misuse.get_or_insert(misuse);
        }
    }

    /// The import that stands for calling what another returned.
    fn returned(&mut self, op: &Op, place: u32) -> u32 {
        let named = Named::Returned(self.named(place));
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
        self.note_filled(target, state);
        let kind = self.kind(target);
        let takes_state = match kind {
            Kind::Mapping | Kind::OtherMapping => state.is_state(),
            _ => state.is_none() || target.takes_state(),
        };
        self.doubt_unless(takes_state, "what is filled has no such state");
        let is_admitted = match target {
            Value::Import(_) | Value::Unknown => true,
            // A tensor takes its storage and geometry by position.
            target if kind == Kind::Tensor => {
                target.takes_state() && matches!(state, Value::Tuple { .. } | Value::List)
            }
            target => target.takes_state() && kind.takes_state(),
        };
        self.refuse_unless(is_admitted, "weights-only loading fills no such thing with a state");
        if kind == Kind::Elements
            && let Some(harm) = self.check_elements(target, state, op.at)?
            && let Some(place) = self.imports.values().position(|i| i.makes == Kind::Elements)
        {
            let what = format!("describes elements as ({})", self.shown(state)?);
            self.misuse(op, place as u32, what, harm);
        }
        if let Value::Import(place) = target
            && let Some((_, import)) = self.imports.get_index_mut(place as usize)
        {
            self.calls = true;
            import.changed.get_or_insert(op.at.into());
        }
        Ok(Ok(()))
    }
}
