//! Objects of few attributes, read at once: a checkpoint has millions of them, of three classes.
//!
//! Nothing is built of their parts, each of which would be an allocation; what is fetched of them
//! later, or is otherwise than in what PyTorch writes, is left to the machine.

use std::rc::Rc;

use statedict_pth::opcode;

use super::fetched::Places;
use super::machine::Machine;
use super::value::{GlobalId, Info, Names, SizesId, TextId, Value};

/// The longest object of this kind, in bytes.
const LONGEST: usize = 1 << 10;

/// The most dimensions of a size.
const DIMENSIONS: usize = 16;

/// Classes of which objects are read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Chunk,
    Index,
    Info,
}

/// A value that is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    None,
    Int(i64),
    Text(TextId),
    Sizes(SizesId),
    /// `torch.Size` itself.
    SizeClass,
}

/// What was fetched last of the memo, by its place.
#[derive(Debug)]
pub(super) struct Recent([Option<(u32, Plain)>; Recent::LEN]);

impl Default for Recent {
    fn default() -> Recent {
        Recent([None; Recent::LEN])
    }
}

impl Recent {
    const LEN: usize = 64;

    /// Forgets what was at a place.
    pub(super) fn forget(&mut self, place: u32) {
        self.0[place as usize % Recent::LEN] = None;
    }
}

impl Machine<'_> {
    /// The object of a class that was just fetched, if it can be read at once.
    pub(super) fn flat(&mut self, class: GlobalId) -> Option<Value> {
        let class = class_of(self.names.global(class))?;
        let Machine { reader, fetched, names, memo, recent, memo_len, .. } = self;
        let bytes = reader.ahead(LONGEST)?;
        let fetch = |place: u32, names: &Names| {
            let slot = &mut recent.0[place as usize % Recent::LEN];
            if let Some((known, plain)) = slot
                && *known == place
            {
                return Some(*plain);
            }
            let plain = match memo.get(&place)? {
                Value::None => Plain::None,
                Value::Int(number) => Plain::Int(*number),
                Value::Text(text) => Plain::Text(text.id),
                Value::Sizes(sizes) => Plain::Sizes(*sizes),
                Value::Global(id) if names.global(*id) == SIZE => Plain::SizeClass,
                _ => return None,
            };
            *slot = Some((place, plain));
            Some(plain)
        };
        let mut flat = Flat { bytes, at: 0, names, fetched, memo_len: *memo_len, fetch };
        let read = flat.object(class)?;
        let (taken, places) = (flat.at, flat.memo_len);
        *memo_len = places;
        reader.pass(taken);
        Some(read)
    }
}

pub(super) const SIZE: &str = "torch.Size";

fn class_of(path: &str) -> Option<Class> {
    match path.rsplit('.').next()? {
        "ChunkStorageMetadata" => Some(Class::Chunk),
        "MetadataIndex" => Some(Class::Index),
        "_StorageInfo" => Some(Class::Info),
        _ => None,
    }
}

/// What follows the class of an object.
struct Flat<'m, F> {
    bytes: &'m [u8],
    at: usize,
    names: &'m mut Names,
    fetched: &'m Places,
    memo_len: u32,
    fetch: F,
}

impl<F: FnMut(u32, &Names) -> Option<Plain>> Flat<'_, F> {
    fn object(&mut self, class: Class) -> Option<Value> {
        self.expect(opcode::EMPTY_TUPLE)?;
        self.expect(opcode::NEWOBJ)?;
        self.memoized()?;
        self.expect(opcode::EMPTY_DICT)?;
        self.memoized()?;
        self.expect(opcode::MARK)?;
        let mut found = Found::default();
        while self.peek()? != opcode::SETITEMS {
            let Plain::Text(key) = self.plain()? else { return None };
            let value = self.plain()?;
            found.add(class, self.names.text(key), value)?;
        }
        self.at += 1;
        self.expect(opcode::BUILD)?;
        found.made(class, self.names)
    }

    fn plain(&mut self) -> Option<Plain> {
        let code = self.byte()?;
        match code {
            opcode::NONE => Some(Plain::None),
            opcode::BININT | opcode::BININT1 | opcode::BININT2 | opcode::LONG1 => {
                self.integer(code).map(Plain::Int)
            }
            opcode::SHORT_BINUNICODE | opcode::BINUNICODE => {
                let len = match code {
                    opcode::SHORT_BINUNICODE => usize::from(self.byte()?),
                    _ => usize::try_from(u32::from_le_bytes(self.array()?)).ok()?,
                };
                let end = self.at.checked_add(len)?;
                let text = std::str::from_utf8(self.bytes.get(self.at..end)?).ok()?;
                let text = self.names.add_text(text);
                self.at = end;
                self.memoized()?;
                Some(Plain::Text(text))
            }
            opcode::BINGET | opcode::LONG_BINGET => {
                let place = match code {
                    opcode::BINGET => u32::from(self.byte()?),
                    _ => u32::from_le_bytes(self.array()?),
                };
                match (self.fetch)(place, self.names)? {
                    Plain::SizeClass => self.sizes(),
                    plain => Some(plain),
                }
            }
            _ => None,
        }
    }

    /// What follows `torch.Size`: a tuple of a tuple of numbers.
    fn sizes(&mut self) -> Option<Plain> {
        let (mut sizes, mut count) = ([0; DIMENSIONS], 0);
        let code = loop {
            match self.byte()? {
                code @ (opcode::BININT | opcode::BININT1 | opcode::BININT2 | opcode::LONG1) => {
                    let number = self.integer(code)?;
                    *sizes.get_mut(count)? = u64::try_from(number).ok()?;
                    count += 1;
                }
                opcode::MARK if count == 0 => {}
                code => break code,
            }
        };
        let is_tuple = match code {
            opcode::EMPTY_TUPLE => count == 0,
            opcode::TUPLE1 => count == 1,
            opcode::TUPLE2 => count == 2,
            opcode::TUPLE3 => count == 3,
            // Of so many a mark was set.
            opcode::TUPLE => count > 3,
            _ => false,
        };
        if !is_tuple {
            return None;
        }
        if count > 0 {
            self.memoized()?;
        }
        self.expect(opcode::TUPLE1)?;
        self.memoized()?;
        self.expect(opcode::REDUCE)?;
        self.memoized()?;
        Some(Plain::Sizes(self.names.add_sizes(&sizes[..count])))
    }

    fn integer(&mut self, code: u8) -> Option<i64> {
        Some(match code {
            opcode::BININT => i64::from(i32::from_le_bytes(self.array()?)),
            opcode::BININT1 => i64::from(self.byte()?),
            opcode::BININT2 => i64::from(u16::from_le_bytes(self.array()?)),
            _ => {
                let len = usize::from(self.byte()?);
                super::machine::little_endian(self.take(len)?)?
            }
        })
    }

    /// Passes over an opcode that puts what was just made into the memo, where nobody fetches it.
    fn memoized(&mut self) -> Option<()> {
        match self.peek()? {
            opcode::MEMOIZE => self.at += 1,
            // Older protocols say the place.
            opcode::BINPUT | opcode::LONG_BINPUT => return None,
            _ => return Some(()),
        }
        let is_fetched = self.fetched.has(self.memo_len);
        self.memo_len = self.memo_len.checked_add(1)?;
        (!is_fetched).then_some(())
    }

    fn expect(&mut self, code: u8) -> Option<()> {
        (self.byte()? == code).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

/// The attributes of an object, so far as they are needed.
#[derive(Default)]
struct Found {
    text: Option<TextId>,
    at: Option<SizesId>,
    size: Option<SizesId>,
    offset: Option<u64>,
    length: Option<u64>,
}

impl Found {
    fn add(&mut self, class: Class, key: &str, value: Plain) -> Option<()> {
        match (class, key, value) {
            (Class::Chunk, "offsets", Plain::Sizes(sizes)) => self.at = Some(sizes),
            (Class::Chunk, "sizes", Plain::Sizes(sizes)) => self.size = Some(sizes),
            (Class::Index, "fqn", Plain::Text(text)) => self.text = Some(text),
            (Class::Index, "offset", Plain::Sizes(sizes)) => self.at = Some(sizes),
            (Class::Index, "offset" | "index", Plain::None) => {}
            (Class::Index, "index", Plain::Int(_)) => {}
            (Class::Info, "relative_path", Plain::Text(text)) => self.text = Some(text),
            (Class::Info, "offset", Plain::Int(number)) => {
                self.offset = Some(u64::try_from(number).ok()?);
            }
            (Class::Info, "length", Plain::Int(number)) => {
                self.length = Some(u64::try_from(number).ok()?);
            }
            (Class::Info, "transform_descriptors", Plain::None) => {}
            _ => return None,
        }
        Some(())
    }

    fn made(self, class: Class, names: &mut Names) -> Option<Value> {
        Some(match class {
            Class::Chunk => Value::Chunk(self.at?, self.size?),
            Class::Index => Value::Index(self.text?, self.at),
            Class::Info => {
                let (offset, length) = (self.offset?, self.length?);
                let file = names.add_file(self.text?);
                Value::Info(Rc::new(Info { file, offset, length }))
            }
        })
    }
}
