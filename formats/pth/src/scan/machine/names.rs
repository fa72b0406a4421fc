//! What a pickle brings in: persistent ids, classes and functions by name, extensions.

use statedict_core::Fault;

use crate::pickle::opcode;
use crate::pickle::unescape::decoded;
use crate::scan::care::Care;
use crate::scan::imports::{Import, Named};
use crate::scan::integer;
use crate::scan::judge::is_harmful;
use crate::scan::kind::Kind;
use crate::scan::reader::{Bad, Op};
use crate::scan::value::Value;

use super::{
    Followable, IMPORT_SIZE, LAST_EXTENSION, MAGIC, MAGIC_TEXT, MAX_HARMFUL_IMPORTS, MAX_IMPORTS,
    MAX_NAME, MAX_NUMBER, Machine, NO_NAME, NO_STORAGE, SHORT_STACK, Trust,
};

impl Machine<'_> {
    /// A storage, or the class that a legacy file notes the source of.
    pub(super) fn persistent(&mut self) -> Result<Followable, Fault> {
        let id = match self.value() {
            Ok(id) => id,
            Err(why) => return Ok(Err(why)),
        };
        let Value::Tuple { place, .. } = id else {
            self.refuse_unless(id == Value::Unknown, NO_STORAGE);
            return Ok(self.push(Value::Unknown));
        };
        let items = self.items(place).to_vec();
        let class = match items[..] {
            [tag, class @ Value::Import(_), _, _] if self.is_word(tag, "module")? => Some(class),
            [class @ Value::Import(_), _, _] => Some(class),
            _ => None,
        };
        let is_storage = match items.first() {
            Some(first) => self.is_storage_word(*first)?,
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
    pub(super) fn is_storage_word(&mut self, value: Value) -> Result<bool, Fault> {
        let Value::Literal { at, .. } = value else { return Ok(false) };
        if self.storage_word == Some(at) {
            return Ok(true);
        }
        let is_word = self.is_word(value, "storage")?;
        if is_word {
            self.storage_word = Some(at);
        }
        Ok(is_word)
    }

    /// True if a value is this text, however it is spelled, or may be anything.
    fn is_word(&mut self, value: Value, word: &str) -> Result<bool, Fault> {
        if !matches!(value, Value::Literal { .. }) {
            return Ok(value == Value::Unknown);
        }
        let is_spelled_out = self.argument_of(value, 16)?.is_some_and(|it| it == word.as_bytes());
        Ok(is_spelled_out || self.text(value)?.is_some_and(|text| text == word))
    }

    pub(super) fn argument(&self, op: &Op) -> Result<u64, Fault> {
        self.reader.number_in(op.argument.clone())
    }

    pub(super) fn global(&mut self, op: &Op) -> Result<Followable, Fault> {
        let named = self.lines(op)?;
        Ok(self.push_import(op, named))
    }

    /// Pushes what a pickle brings in; a name that no module has ends a guess.
    pub(super) fn push_import(&mut self, op: &Op, named: Option<Named>) -> Followable {
        let import = self.checked_import(op, named)?;
        self.push(import)
    }

    pub(super) fn checked_import(
        &mut self,
        op: &Op,
        named: Option<Named>,
    ) -> Result<Value, &'static str> {
        match named {
            Some(named) if self.trust == Trust::Guess && !named.is_plausible() => Err(NO_NAME),
            Some(named) => Ok(self.import(op, named)),
            None => self.nonsense("a name is no UTF-8", Value::Unknown),
        }
    }

    /// The two lines of an argument, module and name; `None` if they are not text.
    pub(super) fn lines(&mut self, op: &Op) -> Result<Option<Named>, Fault> {
        let text = self.reader.bytes(op.argument.clone(), 2 * MAX_NAME)?;
        let is_whole = text.len() as u64 == u64::from(op.argument.end - op.argument.start);
        if is_whole && std::str::from_utf8(&text).is_err() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&text);
        let (module, name) = text.split_once('\n').unwrap_or((&text, ""));
        Ok(Some(Named::path(module, name, self.protocol)))
    }

    pub(super) fn stack_global(&mut self, op: &Op) -> Result<Followable, Fault> {
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
    pub(in crate::scan) fn text(&mut self, value: Value) -> Result<Option<String>, Fault> {
        let Value::Literal { code, .. } = value else { return Ok(None) };
        let argument = self.argument_of(value, MAX_NAME)?;
        Ok(argument.and_then(|argument| decoded(code, &argument)))
    }

    /// The bytes that an opcode pushed a value from, at most `limit` of them.
    pub(in crate::scan) fn argument_of(
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
    pub(in crate::scan) fn integer(&mut self, value: Value) -> Result<Option<i64>, Fault> {
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
    pub(super) fn is_magic(&mut self, value: Value) -> Result<bool, Fault> {
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

    pub(super) fn extension(&mut self, op: &Op) -> Result<Followable, Fault> {
        let code = self.argument(op)? as u32;
        if !(1..=LAST_EXTENSION).contains(&code) {
            self.doubt("no extension has this code");
            return Ok(self.push(Value::Unknown));
        }
        Ok(self.push_import(op, Some(Named::Extension(code))))
    }

    pub(super) fn import(&mut self, op: &Op, named: Named) -> Value {
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

    pub(in crate::scan) fn import_path(&mut self, op: &Op, path: String) -> Value {
        self.import(op, Named::Path(path))
    }

    /// A name, or what stands for all names that there is no room for.
    pub(super) fn with_room(&mut self, named: Named) -> Named {
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
    pub(in crate::scan) fn named(&self, place: u32) -> String {
        let import = self.imports.get_index(place as usize);
        import.map(|(named, _)| named.to_string()).unwrap_or_default()
    }

    /// The path of the import at a place; empty if it is not in the pickle.
    pub(in crate::scan) fn path(&self, place: u32) -> &str {
        let import = self.imports.get_index(place as usize);
        import.and_then(|(named, _)| named.as_path()).unwrap_or_default()
    }

    /// What a value is, as far as weights-only loading knows.
    pub(in crate::scan) fn kind(&self, value: Value) -> Kind {
        let import = match value {
            Value::Returned(place) => self.imports.get_index(place as usize),
            Value::ObjectElements | Value::PlainElements { .. } => return Kind::Elements,
            Value::Storage => return Kind::Storage,
            _ => None,
        };
        import.map_or(Kind::Other, |(_, import)| import.makes)
    }
}
