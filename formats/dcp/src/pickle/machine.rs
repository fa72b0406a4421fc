//! Follows a pickle's opcodes; nothing that it names is imported or called.

use statedict_core::{Fault, Source};
use statedict_pth::opcode;

use super::fetched::{fetched, pass_argument};
use super::flat::{Known, SIZE};
use super::memo::{Kept, Memo, NotKept};
use super::reader::{Reader, is_text};
use super::value::{GlobalId, Kind, Misbuilt, Names, Text, TextId, Value};

/// What a pickle builds, and the names in it.
pub(crate) struct Built {
    pub(crate) root: Value,
    pub(crate) names: Names,
}

/// How much of a pickle is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Everything, as it was built.
    Everything,
    /// What objects say whose classes have millions of them.
    Contents,
}

/// Follows the pickle at the start of a source.
///
/// # Errors
/// A pickle that is broken, one that names anything which `is_admitted` does not know, by its path,
/// and one that uses opcodes which no such pickle has.
pub(crate) fn follow(
    source: &dyn Source,
    is_admitted: fn(&str) -> bool,
    detail: Detail,
) -> Result<Built, Fault> {
    if source.is_empty() || source.bytes(0..1)? != [opcode::PROTO] {
        let what = "it does not begin as a pickle of Python 3 does: expected byte 0x80";
        return Err(Fault::malformed(0, what));
    }
    // Whatever goes wrong, and what nobody writes like that, is for the thorough way.
    if detail == Detail::Contents
        && let Ok(built) = Machine::new(source, is_admitted, detail, Kept::Usual).run()
    {
        return Ok(built);
    }
    let kept = Kept::Fetched(fetched(source)?);
    Machine::new(source, is_admitted, detail, kept).run()
}

pub(super) struct Machine<'s> {
    pub(super) reader: Reader<'s>,
    is_admitted: fn(&str) -> bool,
    detail: Detail,
    pub(super) memo: Memo,
    /// The classes whose objects are read at once.
    pub(super) known: Vec<Known>,
    stack: Vec<Value>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    pub(super) names: Names,
    /// How many texts were pushed.
    pushes: u32,
    /// Where the opcode is that is followed.
    at: u64,
}

impl Machine<'_> {
    fn new(
        source: &dyn Source,
        is_admitted: fn(&str) -> bool,
        detail: Detail,
        kept: Kept,
    ) -> Machine<'_> {
        Machine {
            reader: Reader::new(source),
            is_admitted,
            detail,
            memo: Memo::new(kept),
            known: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            names: Names::default(),
            pushes: 0,
            at: 0,
        }
    }

    fn run(mut self) -> Result<Built, Fault> {
        loop {
            self.at = self.reader.at();
            match self.reader.byte()? {
                opcode::STOP => {
                    let root = self.pop()?;
                    return Ok(Built { root, names: self.names });
                }
                code => self.step(code)?,
            }
        }
    }

    fn step(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            opcode::PROTO | opcode::FRAME => pass_argument(&mut self.reader, code)?,
            opcode::MARK => self.marks.push(self.stack.len()),
            opcode::POP => drop(self.pop()?),
            opcode::POP_MARK => drop(self.above_mark()?),
            opcode::DUP => {
                let top = self.top()?.clone();
                self.stack.push(top);
            }
            opcode::NONE => self.stack.push(Value::None),
            opcode::NEWTRUE | opcode::NEWFALSE => self.stack.push(Value::Opaque),
            opcode::BININT
            | opcode::BININT1
            | opcode::BININT2
            | opcode::INT
            | opcode::LONG
            | opcode::LONG1
            | opcode::LONG4 => self.integer(code)?,
            opcode::BINFLOAT
            | opcode::FLOAT
            | opcode::BINBYTES
            | opcode::SHORT_BINBYTES
            | opcode::BINBYTES8 => {
                pass_argument(&mut self.reader, code)?;
                self.stack.push(Value::Opaque);
            }
            code if is_text(code) => self.text(code)?,
            opcode::GLOBAL | opcode::STACK_GLOBAL => self.global(code)?,
            opcode::PUT | opcode::BINPUT | opcode::LONG_BINPUT | opcode::MEMOIZE => {
                self.put(code)?
            }
            opcode::GET | opcode::BINGET | opcode::LONG_BINGET => self.get(code)?,
            opcode::REDUCE | opcode::NEWOBJ | opcode::NEWOBJ_EX => self.call(code)?,
            opcode::BUILD => {
                let state = self.pop()?;
                let built = self.top()?.build(state, &self.names);
                self.checked(built)?;
            }
            _ => self.container(code)?,
        }
        Ok(())
    }

    fn container(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            opcode::EMPTY_TUPLE | opcode::EMPTY_LIST | opcode::EMPTY_SET => {
                self.sequence(Vec::new())
            }
            opcode::TUPLE1 => self.tuple(1),
            opcode::TUPLE2 => self.tuple(2),
            opcode::TUPLE3 => self.tuple(3),
            opcode::TUPLE | opcode::LIST | opcode::FROZENSET => {
                let items = self.above_mark()?;
                self.sequence(items)
            }
            opcode::EMPTY_DICT => {
                self.stack.push(Value::dict());
                Ok(())
            }
            opcode::DICT => {
                let mut items = self.above_mark()?;
                let dict = Value::dict();
                let inserted = dict.insert(&mut items);
                self.checked(inserted)?;
                self.stack.push(dict);
                Ok(())
            }
            opcode::SETITEMS => {
                let mark = self.marks.pop().ok_or_else(|| self.underflow())?;
                self.grow(mark, Value::insert)
            }
            opcode::SETITEM => self.grow(self.stack.len().saturating_sub(2), Value::insert),
            opcode::APPENDS | opcode::ADDITEMS => {
                let mark = self.marks.pop().ok_or_else(|| self.underflow())?;
                self.grow(mark, Value::extend)
            }
            opcode::APPEND => self.grow(self.stack.len().saturating_sub(1), Value::extend),
            _ => Err(self.broken(format!("opcode 0x{code:02x}, which no such pickle has"))),
        }
    }

    fn tuple(&mut self, len: usize) -> Result<(), Fault> {
        let start = self.stack.len().checked_sub(len).filter(|start| *start >= self.floor());
        let items = self.stack.split_off(start.ok_or_else(|| self.underflow())?);
        self.sequence(items)
    }

    fn sequence(&mut self, items: Vec<Value>) -> Result<(), Fault> {
        let made = Value::sequence(items);
        let made = self.checked(made)?;
        self.stack.push(made);
        Ok(())
    }

    /// Adds what is on the stack from a place on to the value below.
    fn grow(
        &mut self,
        from: usize,
        add: fn(&Value, &mut [Value]) -> Result<(), Misbuilt>,
    ) -> Result<(), Fault> {
        let floor = self.floor();
        let (below, added) = self.stack.split_at_mut(from);
        let grown = match below.last() {
            Some(value) if below.len() > floor => add(value, added),
            _ => return Err(self.underflow()),
        };
        self.stack.truncate(from);
        self.checked(grown)
    }

    fn integer(&mut self, code: u8) -> Result<(), Fault> {
        let number = match code {
            opcode::BININT => Some(i64::from(i32::from_le_bytes(self.reader.bytes()?))),
            opcode::BININT1 => Some(i64::from(self.reader.byte()?)),
            opcode::BININT2 => Some(i64::from(u16::from_le_bytes(self.reader.bytes()?))),
            opcode::LONG1 => {
                let len = self.reader.byte()?;
                little_endian(self.reader.take(u64::from(len))?)
            }
            opcode::LONG4 => {
                let len = u32::from_le_bytes(self.reader.bytes()?);
                little_endian(self.reader.take(u64::from(len))?)
            }
            _ => {
                let line = String::from_utf8(self.reader.line()?).unwrap_or_default();
                // Protocol 0 spells truth values so.
                match line.as_str() {
                    "00" | "01" => {
                        self.stack.push(Value::Opaque);
                        return Ok(());
                    }
                    line => line.trim_end_matches('L').parse().ok(),
                }
            }
        };
        let number = number.ok_or_else(|| self.broken("an integer beyond 64 bits".into()))?;
        self.stack.push(Value::Int(number));
        Ok(())
    }

    fn text(&mut self, code: u8) -> Result<(), Fault> {
        let text = self.reader.text(code)?;
        let id = self.names.add_text(&text);
        self.push_text(id);
        Ok(())
    }

    fn push_text(&mut self, id: TextId) {
        self.stack.push(Value::Text(Text { id, push: self.pushes }));
        self.pushes = self.pushes.saturating_add(1);
    }

    fn global(&mut self, code: u8) -> Result<(), Fault> {
        let path = if code == opcode::GLOBAL {
            let lines = [self.reader.line()?, self.reader.line()?];
            let [module, name] = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
            format!("{module}.{name}")
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            let (Value::Text(module), Value::Text(name)) = (module, name) else {
                return Err(self.broken("a class whose name is not a text".into()));
            };
            format!("{}.{}", self.names.text(module.id), self.names.text(name.id))
        };
        if !(self.is_admitted)(&path) {
            let what = format!(
                "at byte {}: it names {}, which the metadata of a checkpoint has no use for; \
                 loading it in Python would import that, and nothing of it was run here",
                self.at,
                path.escape_debug()
            );
            return Err(Fault::Unsupported(what));
        }
        let id = self.names.add_global(path);
        self.stack.push(Value::Global(id));
        Ok(())
    }

    fn call(&mut self, code: u8) -> Result<(), Fault> {
        if code == opcode::NEWOBJ_EX {
            self.pop()?;
        }
        let (args, callable) = (self.pop()?, self.pop()?);
        let Value::Global(class) = callable else {
            return Err(self.broken("calls something that is not a class".into()));
        };
        let Value::Node(args) = args else {
            return Err(self.broken("calls a class with something other than a tuple".into()));
        };
        let made = match &*args.kind() {
            Kind::Sequence(args) => self.made(class, args)?,
            _ => return Err(self.broken("calls a class with something other than a tuple".into())),
        };
        self.stack.push(made);
        Ok(())
    }

    /// What a class makes of its arguments.
    fn made(&mut self, class: GlobalId, args: &[Value]) -> Result<Value, Fault> {
        match self.names.global(class) {
            SIZE => {
                let sizes: Option<Vec<u64>> = match args {
                    [] => Some(Vec::new()),
                    [Value::Node(sizes)] => match &*sizes.kind() {
                        Kind::Sequence(sizes) => sizes.iter().map(count).collect(),
                        _ => None,
                    },
                    _ => None,
                };
                let what = "a torch.Size that is not made of numbers from 0 on";
                let sizes = sizes.ok_or_else(|| self.broken(what.into()))?;
                Ok(Value::Sizes(self.names.add_sizes(&sizes)))
            }
            "collections.OrderedDict" => Ok(Value::dict()),
            _ => {
                let made = Value::object(class, args.to_vec());
                self.checked(made)
            }
        }
    }

    fn put(&mut self, code: u8) -> Result<(), Fault> {
        let place = match code {
            opcode::MEMOIZE => self.memo.next(),
            opcode::BINPUT => u32::from(self.reader.byte()?),
            opcode::LONG_BINPUT => u32::from_le_bytes(self.reader.bytes()?),
            _ => self.place_in_line()?,
        };
        let value = self.top()?.clone();
        let put = self.memo.put(place, value);
        put.map_err(|NotKept| self.broken("puts values into the memo out of order".into()))
    }

    fn get(&mut self, code: u8) -> Result<(), Fault> {
        let place = match code {
            opcode::BINGET => u32::from(self.reader.byte()?),
            opcode::LONG_BINGET => u32::from_le_bytes(self.reader.bytes()?),
            _ => self.place_in_line()?,
        };
        if let Some(value) = self.alike(place) {
            self.stack.push(value);
            return Ok(());
        }
        let what = || "fetches a value that was not put into the memo before".to_string();
        match self.memo.get(place).cloned() {
            Some(Value::Text(text)) => self.push_text(text.id),
            Some(Value::Global(class)) => {
                let flat = match self.detail {
                    Detail::Contents => self.flat(class, place),
                    Detail::Everything => None,
                };
                self.stack.push(flat.unwrap_or(Value::Global(class)));
            }
            Some(value) => self.stack.push(value),
            None => return Err(self.broken(what())),
        }
        Ok(())
    }

    fn place_in_line(&mut self) -> Result<u32, Fault> {
        let line = String::from_utf8(self.reader.line()?).unwrap_or_default();
        line.trim().parse().map_err(|_| self.broken("a place in the memo is not a number".into()))
    }

    /// Where the stack begins that opcodes see: they do not reach below a mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value, Fault> {
        if self.stack.len() <= self.floor() {
            return Err(self.underflow());
        }
        self.stack.pop().ok_or_else(|| self.underflow())
    }

    fn top(&self) -> Result<&Value, Fault> {
        let top = self.stack.last().filter(|_| self.stack.len() > self.floor());
        top.ok_or_else(|| self.underflow())
    }

    /// What was pushed since the last mark.
    fn above_mark(&mut self) -> Result<Vec<Value>, Fault> {
        let mark = self.marks.pop().ok_or_else(|| self.underflow())?;
        Ok(self.stack.split_off(mark))
    }

    fn underflow(&self) -> Fault {
        self.broken("takes something from an empty stack".into())
    }

    fn broken(&self, what: String) -> Fault {
        Fault::malformed(self.at, what)
    }

    fn checked<T>(&self, made: Result<T, Misbuilt>) -> Result<T, Fault> {
        made.map_err(|why| match why {
            Misbuilt::Nesting => Fault::too_large(self.at, "values nest too deeply"),
            Misbuilt::Recursive => self.broken("adds to a value that is part of another".into()),
            Misbuilt::NotGrowing => self.broken("adds to a value that cannot grow".into()),
            Misbuilt::KeyAlone => self.broken("a key without a value".into()),
        })
    }
}

/// A size or index.
fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// A number in two's complement, the lowest byte first; `None` beyond 64 bits.
pub(super) fn little_endian(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let sign = if negative { 0xff } else { 0 };
    let (low, high) = bytes.split_at(bytes.len().min(8));
    let mut all = [sign; 8];
    all[..low.len()].copy_from_slice(low);
    let number = i64::from_le_bytes(all);
    let is_whole = high.iter().all(|byte| *byte == sign) && (number < 0) == negative;
    is_whole.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_have_more_bytes_than_they_need() {
        let check =
            |bytes: &[u8], expected| assert_eq!(little_endian(bytes), expected, "{bytes:?}");
        check(&[], Some(0));
        check(&[0xff], Some(-1));
        check(&[0, 0, 0, 0, 2], Some(1 << 33));
        check(&[0, 0, 0, 0, 2, 0, 0, 0, 0], Some(1 << 33));
        check(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Some(-2));
        check(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0], None);
        check(&[0, 0, 0, 0, 0, 0, 0, 0, 1], None);
    }
}
