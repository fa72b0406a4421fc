//! Objects of few attributes, read at once: a checkpoint has millions of them, of four classes.
//!
//! Nothing is built of their parts, each of which would be an allocation; what is otherwise than in
//! what PyTorch writes is left to the machine.

use statedict_pth::opcode;

use super::ahead::Ahead;
use super::machine::Machine;
use super::memo::Memo;
use super::template::{Hole, Template, Templates};
use super::value::{GlobalId, Info, Names, SizesId, Text, TextId, Value};

/// The longest object of this kind, in bytes.
const LONGEST: usize = 1 << 10;

/// The most dimensions of a size.
pub(super) const DIMENSIONS: usize = 16;

/// The most places of the memo that have a class of such objects.
const MOST_CLASSES: usize = 8;

pub(super) const SIZE: &str = "torch.Size";

/// Classes of which objects are read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Chunk,
    Index,
    Info,
    Properties,
}

/// A class in the memo, and how objects of it were written so far.
#[derive(Debug)]
pub(super) struct Known {
    place: u32,
    class: Class,
    templates: Templates,
}

/// What attributes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    /// Where something begins in a tensor.
    At,
    Size,
    Name,
    Path,
    /// Where something begins in a file.
    Offset,
    Length,
    Ignored,
}

/// A value that is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    None,
    Int(i64),
    Text(TextId),
    Sizes(SizesId),
}

impl Machine<'_> {
    /// The object whose class is at a place of the memo, if objects like it were read before.
    #[inline]
    pub(super) fn alike(&mut self, place: u32) -> Option<Value> {
        // Another value may be at the place since, which nobody writes who writes in order.
        if !self.memo.is_in_order() {
            return None;
        }
        let known = self.known.iter_mut().find(|known| known.place == place)?;
        let bytes = self.reader.ahead(LONGEST)?;
        let (found, template, len) = known.templates.read(bytes, &mut self.names)?;
        if !self.memo.is_free(template.places) {
            return None;
        }
        let made = found.made(known.class)?;
        self.memo.pass(template.places);
        self.reader.pass(len);
        Some(made)
    }

    /// The object of a class that was just fetched from a place of the memo, if it can be read at
    /// once.
    pub(super) fn flat(&mut self, class: GlobalId, place: u32) -> Option<Value> {
        let class = class_of(self.names.global(class))?;
        let Machine { reader, names, memo, known, .. } = self;
        if !memo.is_in_order() {
            return None;
        }
        let bytes = reader.ahead(LONGEST)?;
        let next = memo.next();
        let mut flat = Flat {
            ahead: Ahead::new(bytes),
            names,
            memo,
            next,
            kept: Vec::new(),
            holes: Vec::new(),
            is_framed: false,
        };
        let found =
            if class == Class::Properties { flat.properties()? } else { flat.object(class)? };
        let Flat { ahead, next: end, kept, holes, is_framed, .. } = flat;
        let made = found.made(class)?;
        if kept.is_empty() && !is_framed {
            let object = ahead.range(0, ahead.at());
            let template = Template::new(object, &holes, found, end - next);
            let number = known.iter().position(|known| known.place == place);
            match number {
                Some(number) => known[number].templates.add(template),
                None if known.len() < MOST_CLASSES => {
                    let mut templates = Templates::default();
                    templates.add(template);
                    known.push(Known { place, class, templates });
                }
                None => {}
            }
        }
        let len = ahead.at();
        for (place, value) in kept {
            memo.keep(place, value.unwrap_or_else(|| made.clone()));
        }
        memo.pass(end - next);
        reader.pass(len);
        Some(made)
    }
}

fn class_of(path: &str) -> Option<Class> {
    match path.rsplit('.').next()? {
        "ChunkStorageMetadata" => Some(Class::Chunk),
        "MetadataIndex" => Some(Class::Index),
        "_StorageInfo" => Some(Class::Info),
        "TensorProperties" => Some(Class::Properties),
        _ => None,
    }
}

/// What an attribute of this name says.
fn attribute(class: Class, name: &str) -> Option<Attribute> {
    Some(match (class, name) {
        (Class::Chunk, "offsets") | (Class::Index, "offset") => Attribute::At,
        (Class::Chunk, "sizes") => Attribute::Size,
        (Class::Index, "fqn") => Attribute::Name,
        (Class::Index, "index") | (Class::Info, "transform_descriptors") => Attribute::Ignored,
        (Class::Info, "relative_path") => Attribute::Path,
        (Class::Info, "offset") => Attribute::Offset,
        (Class::Info, "length") => Attribute::Length,
        _ => return None,
    })
}

/// What follows the class of an object.
struct Flat<'m> {
    ahead: Ahead<'m>,
    names: &'m mut Names,
    memo: &'m Memo,
    /// The place of what is put into the memo next.
    next: u32,
    /// What has to be in the memo, by its place: a value, or the object itself.
    kept: Vec<(u32, Option<Value>)>,
    holes: Vec<(Hole, usize, usize)>,
    /// True if a frame begins within.
    is_framed: bool,
}

/// What was just put into the memo.
enum Memoized {
    Object,
    Text(TextId, Attribute),
    Sizes(SizesId),
    /// A dict or tuple, which is not made.
    Part,
}

impl Flat<'_> {
    fn object(&mut self, class: Class) -> Option<Found> {
        self.begin()?;
        self.expect(opcode::EMPTY_DICT)?;
        self.memoized(Memoized::Part)?;
        self.expect(opcode::MARK)?;
        let mut found = Found::default();
        while self.peek()? != opcode::SETITEMS {
            let attribute = self.attribute(class)?;
            let value = self.plain(attribute)?;
            found.set(attribute, value, self.names)?;
        }
        self.expect(opcode::SETITEMS)?;
        self.expect(opcode::BUILD)?;
        Some(found)
    }

    /// Properties are built of a tuple, of which the first says all that is needed.
    fn properties(&mut self) -> Option<Found> {
        self.begin()?;
        self.expect(opcode::MARK)?;
        let code = self.code()?;
        let Value::Global(dtype) = self.memo.get(self.ahead.place(code)?)? else { return None };
        let found = Found { dtype: Some(*dtype), ..Found::default() };
        loop {
            match self.peek()? {
                opcode::NONE | opcode::NEWTRUE | opcode::NEWFALSE => drop(self.code()?),
                opcode::BINGET | opcode::LONG_BINGET => {
                    let code = self.code()?;
                    self.memo.get(self.ahead.place(code)?)?;
                }
                opcode::TUPLE => break,
                _ => drop(self.tuple(Attribute::Ignored)?),
            }
        }
        self.expect(opcode::TUPLE)?;
        self.memoized(Memoized::Part)?;
        self.expect(opcode::BUILD)?;
        Some(found)
    }

    fn begin(&mut self) -> Option<()> {
        self.expect(opcode::EMPTY_TUPLE)?;
        self.expect(opcode::NEWOBJ)?;
        self.memoized(Memoized::Object)
    }

    /// The name of an attribute.
    fn attribute(&mut self, class: Class) -> Option<Attribute> {
        if matches!(self.peek()?, opcode::SHORT_BINUNICODE | opcode::BINUNICODE) {
            let name = self.names.add_text_of(self.ahead.text()?)?;
            self.memoized(Memoized::Text(name, Attribute::Path))?;
            return attribute(class, self.names.text(name));
        }
        let code = self.code()?;
        match self.memo.get(self.ahead.place(code)?)? {
            Value::Text(name) => attribute(class, self.names.text(name.id)),
            _ => None,
        }
    }

    fn plain(&mut self, attribute: Attribute) -> Option<Plain> {
        match self.peek()? {
            opcode::NONE => self.code().map(|_| Plain::None),
            opcode::SHORT_BINUNICODE | opcode::BINUNICODE => {
                let start = self.ahead.at();
                let text = self.names.add_text_of(self.ahead.text()?)?;
                self.holes.push((Hole::Text(attribute), start, self.ahead.at()));
                self.memoized(Memoized::Text(text, attribute))?;
                Some(Plain::Text(text))
            }
            opcode::BINGET | opcode::LONG_BINGET => {
                let code = self.code()?;
                match self.memo.get(self.ahead.place(code)?)? {
                    Value::None => Some(Plain::None),
                    Value::Int(number) => Some(Plain::Int(*number)),
                    Value::Text(text) => Some(Plain::Text(text.id)),
                    Value::Sizes(sizes) => Some(Plain::Sizes(*sizes)),
                    Value::Global(id) if self.names.global(*id) == SIZE => {
                        self.sizes(attribute).map(Plain::Sizes)
                    }
                    _ => None,
                }
            }
            _ => {
                let start = self.ahead.at();
                let number = self.ahead.integer()?;
                self.holes.push((Hole::Number(attribute), start, self.ahead.at()));
                Some(Plain::Int(number))
            }
        }
    }

    /// What follows `torch.Size`: a tuple of a tuple of numbers.
    fn sizes(&mut self, attribute: Attribute) -> Option<SizesId> {
        let sizes = self.tuple(attribute)?;
        self.expect(opcode::TUPLE1)?;
        self.memoized(Memoized::Part)?;
        self.expect(opcode::REDUCE)?;
        self.memoized(Memoized::Sizes(sizes))?;
        Some(sizes)
    }

    /// A tuple of numbers.
    fn tuple(&mut self, attribute: Attribute) -> Option<SizesId> {
        let is_marked = self.peek()? == opcode::MARK;
        if is_marked {
            self.code()?;
        }
        let (mut sizes, mut count, start) = ([0; DIMENSIONS], 0, self.ahead.at());
        while is_integer(self.peek()?) {
            *sizes.get_mut(count)? = u64::try_from(self.ahead.integer()?).ok()?;
            count += 1;
        }
        self.holes.push((Hole::Sizes(attribute, count), start, self.ahead.at()));
        let is_whole = match self.code()? {
            opcode::EMPTY_TUPLE => count == 0 && !is_marked,
            opcode::TUPLE1 => count == 1 && !is_marked,
            opcode::TUPLE2 => count == 2 && !is_marked,
            opcode::TUPLE3 => count == 3 && !is_marked,
            opcode::TUPLE => is_marked,
            _ => false,
        };
        if !is_whole {
            return None;
        }
        self.memoized(Memoized::Part)?;
        Some(self.names.add_sizes(&sizes[..count]))
    }

    /// Passes over an opcode that puts what was just made into the memo.
    fn memoized(&mut self, what: Memoized) -> Option<()> {
        match self.peek()? {
            opcode::MEMOIZE => self.code()?,
            // Older protocols say the place.
            opcode::BINPUT | opcode::LONG_BINPUT | opcode::PUT => return None,
            _ => return Some(()),
        };
        let place = self.next;
        self.next = place.checked_add(1)?;
        // A file's path is written out once, and fetched by all that is in the file.
        let is_path = matches!(what, Memoized::Text(_, Attribute::Path));
        if !self.memo.is_fetched(place).unwrap_or(is_path) {
            return Some(());
        }
        let value = match what {
            Memoized::Object => None,
            Memoized::Text(id, _) => Some(Value::Text(Text { id, push: 0 })),
            Memoized::Sizes(sizes) => Some(Value::Sizes(sizes)),
            Memoized::Part => return None,
        };
        self.kept.push((place, value));
        Some(())
    }

    fn expect(&mut self, code: u8) -> Option<()> {
        (self.code()? == code).then_some(())
    }

    fn code(&mut self) -> Option<u8> {
        self.peek()?;
        self.ahead.byte()
    }

    /// The next opcode; a frame may begin before any.
    fn peek(&mut self) -> Option<u8> {
        while self.ahead.peek()? == opcode::FRAME {
            self.ahead.take(FRAME)?;
            self.is_framed = true;
        }
        self.ahead.peek()
    }
}

/// How long the opcode is that begins a frame.
const FRAME: usize = 9;

fn is_integer(code: u8) -> bool {
    matches!(code, opcode::BININT | opcode::BININT1 | opcode::BININT2 | opcode::LONG1)
}

/// The attributes of an object, so far as they are needed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    name: Option<TextId>,
    /// The number of a file.
    file: Option<u32>,
    at: Option<SizesId>,
    size: Option<SizesId>,
    offset: Option<u64>,
    length: Option<u64>,
    dtype: Option<GlobalId>,
}

impl Found {
    #[inline]
    pub(super) fn set(
        &mut self,
        attribute: Attribute,
        value: Plain,
        names: &mut Names,
    ) -> Option<()> {
        match (attribute, value) {
            (Attribute::At, Plain::Sizes(sizes)) => self.at = Some(sizes),
            (Attribute::At, Plain::None) => self.at = None,
            (Attribute::Size, Plain::Sizes(sizes)) => self.size = Some(sizes),
            (Attribute::Name, Plain::Text(name)) => self.name = Some(name),
            (Attribute::Path, Plain::Text(path)) => self.file = Some(names.add_file(path)),
            (Attribute::Offset, Plain::Int(number)) => self.offset = u64::try_from(number).ok(),
            (Attribute::Length, Plain::Int(number)) => self.length = u64::try_from(number).ok(),
            (Attribute::Ignored, Plain::None | Plain::Int(_) | Plain::Sizes(_)) => {}
            _ => return None,
        }
        Some(())
    }

    #[inline]
    fn made(self, class: Class) -> Option<Value> {
        Some(match class {
            Class::Chunk => Value::Chunk(self.at?, self.size?),
            Class::Index => Value::Index(self.name?, self.at),
            Class::Info => {
                let (file, offset, length) = (self.file?, self.offset?, self.length?);
                Value::Info(Info { file, offset, length })
            }
            Class::Properties => Value::Properties(self.dtype?),
        })
    }
}
