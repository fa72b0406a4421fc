//! Follows a pickle as far as it goes, to see what it brings in and what it calls.
//!
//! Unlike the reader's machine, which must understand a pickle to edit it, this one only has to
//! know what would run: it keeps no contents of lists and dicts, goes on where a loader would
//! give up, and takes what it cannot know as unknown. Where Python would give up for certain, it
//! notes the first such place as the pickle's fault.

mod calls;
mod names;
mod stack;

use std::collections::HashMap;
use std::ops::Range;

use statedict_core::{Fault, IndexMap, Source};

use crate::memo::Memo;
use crate::pickle::opcode;
use crate::reserve::reserved;
use crate::scan::imports::{Import, Named};
use crate::scan::layers::Layers;
use crate::scan::reader::{Bad, Op, Reader};
use crate::scan::records::Records;
use crate::scan::unread::Unread;
use crate::scan::value::Value;
use crate::scan::{integer, literal};

/// The most memory for the values on stack, in memo and in tuples, beside the pickle's length, in
/// bytes.
const MAX_MEMORY: u64 = 24 << 20;

/// How much more that is for a pickle of some megabytes, at most: half its length.
const MAX_SHARE: u64 = 4 << 20;

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
    /// Stack heights at which marks are.
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
    pub(super) records: Records,
    pub(super) layers: Layers,
    /// How many calls went through a container that was used before.
    pub(super) repeated: u32,
    /// Bytes of texts and numbers that were used before, of all calls that went through them.
    pub(super) repeated_bytes: u64,
}

/// Whether an opcode could be followed; if not, why.
pub(super) type Followable = Result<(), &'static str>;

const TOO_MANY_VALUES: &str = "its values take over 24 MiB and its length, the limit";
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
            records: Records::default(),
            layers: Layers::default(),
            repeated: 0,
            repeated_bytes: 0,
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
        if let Err(limit) = self.check_memory(0) {
            return Ok(Err(limit));
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
                let id = self.argument(op)?;
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
        let number = self.argument(op)?;
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
        Ok(self.push(Value::literal(op)))
    }
}
