//! The opcodes of the restricted unpickler, each as its branch in `Unpickler.load`.

use std::collections::HashMap;

use super::admitted::{Admitted, admitted};
use super::calls::set;
use super::values::{DictKind, Id, Value};
use super::{Outcome, Stop, walk};

pub(super) struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    pub(super) values: Vec<Value>,
    stack: Vec<Id>,
    below: Vec<Vec<Id>>,
    memo: HashMap<u32, Id>,
    /// The lengths of the archive's storages, by their numbers.
    pub(super) storages: &'b [u64],
    /// The types under which storages were loaded; the first counts for those that follow.
    pub(super) loaded: HashMap<usize, &'static str>,
    /// True if something was done that the model does not know, which may have raised.
    pub(super) is_doubtful: bool,
}

/// What loading a pickle gives, in an archive with storages of these lengths.
pub fn load(pickle: &[u8], storages: &[u64]) -> Outcome {
    let mut machine = Machine {
        bytes: pickle,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        below: Vec::new(),
        memo: HashMap::new(),
        storages,
        loaded: HashMap::new(),
        is_doubtful: false,
    };
    match machine.run() {
        // What follows a pickle is not read, and may be anything.
        Ok(_) if machine.is_doubtful || machine.at < pickle.len() => Outcome::Loaded(None),
        Ok(root) => Outcome::Loaded(walk::tensors(&machine.values, root)),
        Err(stop) => stop.into(),
    }
}

impl<'b> Machine<'b> {
    fn run(&mut self) -> Result<Id, Stop> {
        loop {
            match self.byte()? {
                b'c' => self.global()?,
                0x81 => self.new_object()?,
                b'R' => self.reduce()?,
                b'b' => {
                    let state = self.pop()?;
                    let object = self.top()?;
                    self.build(object, state)?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.extend(&[item])?;
                }
                b'e' => {
                    let items = self.pop_mark()?;
                    self.extend(&items)?;
                }
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set_items(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_mark()?;
                    self.set_items(&items)?;
                }
                b'(' => {
                    let stack = std::mem::take(&mut self.stack);
                    self.below.push(stack);
                }
                b't' => {
                    let items = self.pop_mark()?;
                    self.push(Value::Tuple(items));
                }
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b'N' => self.push(Value::None),
                0x89 => self.push(Value::Bool(false)),
                0x88 => self.push(Value::Bool(true)),
                b')' => self.push(Value::Tuple(Vec::new())),
                b']' => self.push(Value::List(Vec::new())),
                b'}' => self.push(Value::Dict(DictKind::Plain, Vec::new())),
                0x8f => self.push(Value::Set),
                b'J' => {
                    let number = i32::from_le_bytes(self.array()?);
                    self.push(Value::Int(number.into()));
                }
                b'K' => {
                    let number = self.byte()?;
                    self.push(Value::Int(number.into()));
                }
                b'M' => {
                    let number = u16::from_le_bytes(self.array()?);
                    self.push(Value::Int(number.into()));
                }
                b'G' => {
                    let number = f64::from_be_bytes(self.array()?);
                    self.push(Value::Float(number));
                }
                b'X' => {
                    let len = u32::from_le_bytes(self.array()?);
                    let text = self.take(len as usize)?;
                    if !is_text(text) {
                        return Err(Stop::Failed("a text is not UTF-8"));
                    }
                    self.push(Value::Text(text.to_vec()));
                }
                b'U' => {
                    let len = self.byte()?;
                    let text = self.take(len.into())?;
                    if std::str::from_utf8(text).is_err() {
                        return Err(Stop::Failed("a byte string is not UTF-8"));
                    }
                    self.push(Value::Text(text.to_vec()));
                }
                b'Q' => {
                    let id = self.pop()?;
                    let storage = self.storage(id)?;
                    self.push(storage);
                }
                b'h' => {
                    let number = self.byte()?;
                    self.get(number.into())?;
                }
                b'j' => {
                    let number = u32::from_le_bytes(self.array()?);
                    self.get(number)?;
                }
                b'q' => {
                    let number = self.byte()?;
                    let top = self.top()?;
                    self.memo.insert(number.into(), top);
                }
                b'r' => {
                    let number = u32::from_le_bytes(self.array()?);
                    let top = self.top()?;
                    self.memo.insert(number, top);
                }
                0x8a => self.long()?,
                0x80 => {
                    self.byte()?;
                }
                b'.' => return self.pop(),
                opcode => return Err(Stop::Unsupported(opcode)),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = self.bytes.get(self.at).ok_or(Stop::Failed("unexpected end of the pickle"))?;
        self.at += 1;
        Ok(*byte)
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], Stop> {
        let end = self.at.checked_add(len);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        self.at = end.unwrap_or(usize::MAX);
        taken.ok_or(Stop::Failed("unexpected end of the pickle"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.take(N).map(|bytes| bytes.try_into().expect("as many as were taken"))
    }

    /// A line without its end; as in Python, the last line loses its last byte.
    fn line(&mut self) -> Result<String, Stop> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let line = &rest[..len.saturating_sub(1)];
        self.at += len;
        String::from_utf8(line.to_vec()).map_err(|_| Stop::Failed("a name is not UTF-8"))
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, Stop> {
        self.stack.pop().ok_or(Stop::Failed("nothing is on the stack"))
    }

    fn top(&self) -> Result<Id, Stop> {
        self.stack.last().copied().ok_or(Stop::Failed("nothing is on the stack"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, Stop> {
        let below = self.below.pop().ok_or(Stop::Failed("there is no mark"))?;
        Ok(std::mem::replace(&mut self.stack, below))
    }

    fn tuple(&mut self, count: usize) -> Result<(), Stop> {
        let start = self.stack.len().checked_sub(count);
        let start = start.ok_or(Stop::Failed("nothing is on the stack"))?;
        let items = self.stack.split_off(start);
        self.push(Value::Tuple(items));
        Ok(())
    }

    fn get(&mut self, number: u32) -> Result<(), Stop> {
        let id = self.memo.get(&number).ok_or(Stop::Failed("a memo id was never put"))?;
        self.stack.push(*id);
        Ok(())
    }

    fn global(&mut self) -> Result<(), Stop> {
        let (module, name) = (self.line()?, self.line()?);
        match admitted(&module, &name) {
            Some((path, kind)) => {
                self.push(Value::Global(path, kind));
                Ok(())
            }
            None => Err(Stop::Refused("a global is not admitted")),
        }
    }

    fn new_object(&mut self) -> Result<(), Stop> {
        let args = self.pop()?;
        let made = match self.pop().map(|class| self.values[class].clone())? {
            Value::Global("collections.OrderedDict", _) => Some(DictKind::Ordered),
            Value::Global("collections.Counter", _) => Some(DictKind::Counter),
            Value::Global(_, Admitted::DType | Admitted::Value) => {
                return Err(Stop::Failed("it is not a class"));
            }
            Value::Global(..) | Value::Opaque => None,
            // These compare with admitted values in ways of their own.
            Value::Tensor(_) | Value::Parameter(_) | Value::Storage(_) => None,
            _ => return Err(Stop::Refused("a new object of what is not an admitted class")),
        };
        let value = match (made, &self.values[args]) {
            (Some(kind), Value::Tuple(_)) => Value::Dict(kind, Vec::new()),
            _ => self.unknown(),
        };
        self.push(value);
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), Stop> {
        let args = self.pop()?;
        let function = self.top()?;
        let result = match self.values[function].clone() {
            Value::Global(path, kind) => self.call(path, kind, args)?,
            Value::Opaque | Value::Tensor(_) | Value::Parameter(_) | Value::Storage(_) => {
                self.unknown()
            }
            _ => return Err(Stop::Refused("what is called is not admitted")),
        };
        self.stack.pop();
        self.push(result);
        Ok(())
    }

    fn extend(&mut self, items: &[Id]) -> Result<(), Stop> {
        let list = self.top()?;
        match &mut self.values[list] {
            Value::List(known) => known.extend(items),
            Value::Opaque => {}
            _ => return Err(Stop::Refused("what is extended is not a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), Stop> {
        let dict = self.top()?;
        let mut entries = match &mut self.values[dict] {
            Value::Dict(_, entries) => std::mem::take(entries),
            Value::Opaque => return Ok(()),
            _ => return Err(Stop::Refused("what an entry is set in is not a dict")),
        };
        for pair in items.chunks(2) {
            let &[key, value] = pair else { return Err(Stop::Failed("a key has no value")) };
            let key = self.key(key)?;
            set(&mut entries, key, value);
        }
        if let Value::Dict(_, place) = &mut self.values[dict] {
            *place = entries;
        }
        Ok(())
    }

    fn long(&mut self) -> Result<(), Stop> {
        let len = self.byte()?;
        let bytes = self.take(len.into())?;
        let number = match bytes.len() {
            0..=16 => {
                let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
                let mut wide = if negative { [0xff; 16] } else { [0; 16] };
                wide[..bytes.len()].copy_from_slice(bytes);
                Value::Int(i128::from_le_bytes(wide))
            }
            _ => self.unknown(),
        };
        self.push(number);
        Ok(())
    }
}

/// UTF-8 in which surrogates may be by themselves.
fn is_text(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        let Err(error) = std::str::from_utf8(rest) else { return true };
        let [0xed, 0xa0..=0xbf, 0x80..=0xbf, after @ ..] = &rest[error.valid_up_to()..] else {
            return false;
        };
        rest = after;
    }
}
