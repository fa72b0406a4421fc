//! Calls that do nothing with most arguments and harm with some.
//!
//! What is admitted or inert by its name is held here against what it is given: arguments that
//! take memory or time out of proportion, bytes that would be read as addresses, functions that
//! are called by the way.

use statedict_core::Fault;

use super::admitted::is_admitted;
use super::elements::{self, Elements};
use super::imports::Harm;
use super::inert::inert;
use super::judge::is_harmful;
use super::kind::Kind;
use super::machine::Machine;
use super::reader::Op;
use super::value::{Value, is_bytes, is_integer};
use crate::pickle::opcode;

/// What the arguments of a call have to be held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// Nothing: no arguments do harm.
    None,
    /// It is a class that others take as an argument, and harm when it is called itself.
    NeverCalled,
    /// A number is a length, which it allocates.
    Lengths,
    /// The same, of what weights-only loading calls too.
    AdmittedLengths,
    /// Its numbers are the ends of a row that others go through.
    Span,
    /// It converts numbers and texts, and much else that is given to it.
    Literals,
    /// It goes through what it is given.
    Items,
    /// The same, of what weights-only loading calls too.
    AdmittedItems,
    /// It copies one element of NumPy's, and makes one by itself if it is given none.
    Scalar,
    /// Its fourth argument is the state of what it returns, which it goes through.
    State,
    /// It allocates as many elements as a size says, whatever strides say of how few are stored.
    Quantized,
    /// It writes out what it is given.
    Text,
    /// It reads digits, in more than linear time.
    Digits,
    /// It converts numbers, in more than linear time.
    Number,
    /// The same, and exponents.
    Ratio,
    /// The elements of NumPy's arrays.
    Elements,
    /// An array without elements, which a state fills.
    EmptyArray,
    /// `base.__new__(class, state)`.
    Reconstructor,
    /// The first argument is called with the third.
    Rebuild,
    /// The name of something in a class.
    Attribute,
    /// A module that makes names for as many layers as its state says.
    Layers,
    /// A function that is kept for later.
    Partial,
    /// The class of its only argument; with three it makes a class.
    Type,
}

pub(super) const MEMORY: &str = "with these arguments it takes memory or time without measure";
pub(super) const POINTER: &str = "it takes bytes of the file for addresses of objects";
const LOOKUP: &str = "it reaches any attribute of any object, and with that any function";
const INDIRECT: &str = "it calls whatever function it is given";
const MAKES_CLASS: &str = "it makes a class of the file's choosing";
const PLANTED: &str = "the loader calls what an object has under this name";

/// The longest that a call may allocate, in elements; no pickler writes such calls at all.
const MAX_LENGTH: i64 = 1 << 24;

/// The longest row of numbers; it takes 40 bytes for each if something goes through it.
const MAX_SPAN: i64 = 1 << 24;

/// How many calls may go through containers that were used before.
const MAX_REPEATED: u32 = 16;

/// How many bytes calls may go through of long texts and numbers that were used before, for each
/// byte of the pickle and beside those: picklers keep what a call returned, and do not call again.
const REPEATED_SHARE: u64 = 4;
const LEAST_REPEATED: u64 = 1 << 20;

/// A tuple of more items is none that picklers use again, as they may do with shapes.
const LONGEST_SHARED: u32 = 64;

/// The most digits that Python's `int` reads of a decimal text.
const MAX_DIGITS: u32 = 4_300;

/// How deep calls may be in the arguments of calls that call.
const MAX_NESTED: usize = 8;

/// Names that loaders look up in objects and call.
const CALLED_BY_LOADERS: [&str; 4] = ["__setstate__", "append", "extend", "add"];

impl Care {
    /// What calls of the thing at a path have to be held against.
    pub(super) fn of(path: &str) -> Care {
        match path {
            "numpy.ndarray" => Care::NeverCalled,
            "builtins.bytes" => Care::Lengths,
            "builtins.range" => Care::Span,
            "builtins.bytearray" | "torch.Tensor" => Care::AdmittedLengths,
            "builtins.list"
            | "builtins.tuple"
            | "builtins.frozenset"
            | "builtins.dict"
            | "collections.deque"
            | "collections.defaultdict"
            | "array.array"
            | "array._array_reconstructor" => Care::Items,
            "builtins.set" | "collections.Counter" | "collections.OrderedDict" | "torch.Size" => {
                Care::AdmittedItems
            }
            "numpy._core.multiarray.scalar" | "numpy.core.multiarray.scalar" => Care::Scalar,
            "torch._utils._rebuild_parameter_with_state" => Care::State,
            "torch._utils._rebuild_qtensor" => Care::Quantized,
            "builtins.str" => Care::Text,
            "builtins.int" => Care::Digits,
            "decimal.Decimal" => Care::Number,
            "fractions.Fraction" => Care::Ratio,
            "numpy.dtype" => Care::Elements,
            "numpy._core.multiarray._reconstruct" | "numpy.core.multiarray._reconstruct" => {
                Care::EmptyArray
            }
            "copyreg._reconstructor" => Care::Reconstructor,
            "torch._tensor._rebuild_from_type" | "torch._tensor._rebuild_from_type_v2" => {
                Care::Rebuild
            }
            "builtins.getattr" => Care::Attribute,
            "functools.partial" => Care::Partial,
            "builtins.type" => Care::Type,
            "torch.nn.modules.rnn.GRU"
            | "torch.nn.modules.rnn.LSTM"
            | "torch.nn.modules.rnn.RNN"
            | "torch.nn.modules.rnn.RNNBase" => Care::Layers,
            path if elements::is_number(path) => Care::Literals,
            path if Kind::made_by(path) == Kind::Storage => Care::AdmittedLengths,
            path if path.starts_with("torch.") && path.ends_with("Tensor") => Care::AdmittedLengths,
            _ => Care::None,
        }
    }
}

/// What a call comes to.
pub(super) struct Outcome {
    /// The harm of these arguments, if they do any.
    pub(super) harm: Option<Harm>,
    /// What it returns, where that is known better than by the callee's kind.
    pub(super) result: Option<Value>,
}

impl Machine<'_> {
    /// Holds the arguments of a call against what its callee does with them.
    pub(super) fn outcome(
        &mut self,
        op: &Op,
        care: Care,
        arguments: Value,
    ) -> Result<Outcome, Fault> {
        let mut result = None;
        let harm = match care {
            Care::None | Care::Layers => None,
            Care::Rebuild => self.repeats_state(arguments).then_some(Harm::Fails(MEMORY)),
            Care::NeverCalled => Some(Harm::Runs(POINTER)),
            Care::Lengths => {
                let is_long = self.is_long(arguments)? || self.is_repeated(arguments);
                is_long.then_some(Harm::Runs(MEMORY))
            }
            Care::AdmittedLengths => {
                let is_long = self.is_long(arguments)? || self.is_repeated(arguments);
                is_long.then_some(Harm::Fails(MEMORY))
            }
            Care::Span => (!self.is_short_span(arguments)?).then_some(Harm::Runs(MEMORY)),
            Care::Literals => (!self.are_literals(arguments)).then_some(Harm::Runs(MEMORY)),
            Care::Items => self.takes_long(arguments).then_some(Harm::Runs(MEMORY)),
            Care::AdmittedItems => self.takes_long(arguments).then_some(Harm::Fails(MEMORY)),
            Care::Scalar => (self.count(arguments) != Some(2)).then_some(Harm::Runs(MEMORY)),
            Care::State => self.repeats_state(arguments).then_some(Harm::Fails(MEMORY)),
            Care::Quantized => self.is_expanded(arguments)?.then_some(Harm::Fails(MEMORY)),
            Care::Text => (!self.are_literals(arguments)).then_some(Harm::Runs(MEMORY)),
            Care::Digits => (!self.are_short(arguments, b"")?).then_some(Harm::Runs(MEMORY)),
            Care::Number => (!self.are_quick(arguments)?).then_some(Harm::Runs(MEMORY)),
            Care::Ratio => (!self.are_short(arguments, b"eE")?).then_some(Harm::Runs(MEMORY)),
            Care::Elements => {
                let elements = self.elements(arguments)?;
                result = match elements {
                    Elements::Objects => Some(Value::ObjectElements),
                    Elements::Plain(size) => Some(Value::PlainElements { size }),
                    Elements::Other => None,
                };
                self.records.has_objects |= elements == Elements::Objects;
                (elements == Elements::Other).then_some(Harm::Runs(POINTER))
            }
            Care::EmptyArray => (!self.is_empty_array(arguments)?).then_some(Harm::Runs(MEMORY)),
            Care::Reconstructor => self.reconstructed(arguments),
            Care::Attribute => {
                result = self.attribute(op, arguments)?;
                result.is_none().then_some(Harm::Runs(LOOKUP))
            }
            Care::Partial => (!self.keeps_quiet(arguments)).then_some(Harm::Runs(INDIRECT)),
            Care::Type => {
                let count = self.count(arguments);
                (count != Some(1)).then_some(Harm::Runs(MAKES_CLASS))
            }
        };
        Ok(Outcome { harm, result })
    }

    /// The first values of a tuple of arguments.
    pub(super) fn arguments(&self, arguments: Value) -> Vec<Value> {
        match arguments {
            Value::Tuple { place, .. } => self.items(place).to_vec(),
            other => vec![other],
        }
    }

    /// How many values a tuple has.
    pub(super) fn count(&self, arguments: Value) -> Option<u32> {
        let Value::Tuple { place, .. } = arguments else { return None };
        self.tuples.get(place as usize).map(|(_, _, count)| *count)
    }

    /// True if numbers among the arguments make more elements than a pickler ever asks for.
    fn is_long(&mut self, arguments: Value) -> Result<bool, Fault> {
        let mut elements = 1i64;
        for argument in self.arguments(arguments) {
            match argument {
                Value::Literal { code, .. } if is_integer(code) => {
                    let number = self.integer(argument)?.unwrap_or(i64::MAX);
                    elements = elements.saturating_mul(number.max(1));
                }
                argument if self.is_endless(argument) => return Ok(true),
                _ => {}
            }
        }
        Ok(elements > MAX_LENGTH)
    }

    /// True if a tensor has many more elements than its strides lead to.
    fn is_expanded(&mut self, arguments: Value) -> Result<bool, Fault> {
        let given = self.arguments(arguments);
        let [_, _, sizes @ Value::Tuple { .. }, strides @ Value::Tuple { .. }, ..] = given[..]
        else {
            return Ok(false);
        };
        let (count, sizes) = (self.count(sizes), self.arguments(sizes));
        if count.is_none_or(|count| count as usize > sizes.len()) {
            return Ok(true);
        }
        let (mut elements, mut stored) = (1i64, 1i64);
        for (size, stride) in sizes.into_iter().zip(self.arguments(strides)) {
            let (size, stride) = (self.integer(size)?, self.integer(stride)?);
            let (Some(size), Some(stride)) = (size, stride) else { return Ok(true) };
            elements = elements.saturating_mul(size.max(1));
            stored = stored.saturating_add(size.saturating_sub(1).saturating_mul(stride));
        }
        Ok(elements > MAX_LENGTH && elements / 2 > stored)
    }

    /// True if going through the arguments takes memory or time out of proportion.
    fn takes_long(&mut self, arguments: Value) -> bool {
        self.has_endless(arguments) || self.is_repeated(arguments)
    }

    /// True if a container is gone through that others went through before, too often: picklers make
    /// the arguments of each call anew, and one long list for many calls takes quadratic time.
    fn is_repeated(&mut self, arguments: Value) -> bool {
        let given = self.arguments(arguments);
        let is_again = |value: &Value| value.is_used_again() || self.is_copy(*value);
        let are_again = arguments.is_used_again() && !given.is_empty();
        self.repeated += u32::from(are_again || given.iter().any(is_again));
        self.repeated > MAX_REPEATED
    }

    /// The harm of a call that goes through long texts or numbers that were used before, too often:
    /// many short calls of one long text take quadratic memory or time.
    pub(super) fn repeats_literals(&mut self, place: u32, arguments: Value) -> Option<Harm> {
        let is_again = arguments.is_used_again();
        let given = self.arguments(arguments).into_iter();
        let len: u64 = given.map(|argument| argument.repeated_len(is_again)).sum();
        self.repeated_bytes = self.repeated_bytes.saturating_add(len);
        let most = self.reader.len().saturating_mul(REPEATED_SHARE).saturating_add(LEAST_REPEATED);
        if len == 0 || self.repeated_bytes <= most {
            return None;
        }
        self.excess(place)
    }

    /// The harm of filling an object with a long container that others were filled with before, too
    /// often, or with long texts.
    pub(super) fn repeats_filling(&mut self, place: u32, state: Value) -> Option<Harm> {
        if self.is_repeated_state(state) {
            return self.excess(place);
        }
        self.repeats_literals(place, state)
    }

    fn repeats_state(&mut self, arguments: Value) -> bool {
        let state = self.arguments(arguments).get(3).copied();
        state.is_some_and(|state| self.is_repeated_state(state))
    }

    fn is_repeated_state(&mut self, state: Value) -> bool {
        let is_again = |value: &Value| match value {
            Value::Tuple { .. } => {
                value.is_used_again() && self.count(*value) > Some(LONGEST_SHARED)
            }
            value => value.is_used_again(),
        };
        let repeats = is_again(&state) || self.arguments(state).iter().any(is_again);
        self.repeated += u32::from(repeats);
        repeats && self.repeated > MAX_REPEATED
    }

    /// The harm of taking memory or time without measure; nothing of what is harm or unknown anyway.
    fn excess(&self, place: u32) -> Option<Harm> {
        let path = self.path(place);
        if is_admitted(path) {
            return Some(Harm::Fails(MEMORY));
        }
        inert(path).map(|_| Harm::Runs(MEMORY))
    }

    /// True for what a call returned that went through its own arguments.
    fn is_copy(&self, value: Value) -> bool {
        let Value::Returned(place) = value else { return false };
        let import = self.imports.get_index(place as usize);
        import.is_some_and(|(_, import)| import.care == Care::Items)
    }

    fn has_endless(&self, arguments: Value) -> bool {
        self.arguments(arguments).into_iter().any(|argument| self.is_endless(argument))
    }

    /// True for what takes little memory itself and much when it is gone through.
    fn is_endless(&self, value: Value) -> bool {
        match value {
            Value::Storage => true,
            Value::Returned(_) => matches!(
                self.kind(value),
                Kind::Range | Kind::Array | Kind::Tensor | Kind::Subclass | Kind::Storage
            ),
            _ => false,
        }
    }

    /// True if all arguments are numbers, texts or bytes.
    fn are_literals(&self, arguments: Value) -> bool {
        self.arguments(arguments).into_iter().all(|argument| match argument {
            Value::Literal { .. } => true,
            argument => self.kind(argument) == Kind::Fixed,
        })
    }

    /// True if the ends of a row are whole numbers, and not too far from each other.
    fn is_short_span(&mut self, arguments: Value) -> Result<bool, Fault> {
        let (mut least, mut most) = (0i64, 0i64);
        for argument in self.arguments(arguments).into_iter().take(2) {
            let Some(number) = self.integer(argument)? else { return Ok(false) };
            (least, most) = (least.min(number), most.max(number));
        }
        Ok(most.saturating_sub(least) <= MAX_SPAN)
    }

    /// True if no number among the arguments has so many digits that converting it takes long.
    fn are_quick(&mut self, arguments: Value) -> Result<bool, Fault> {
        for argument in self.arguments(arguments) {
            let Value::Literal { code, .. } = argument else { continue };
            let is_long = |bytes: Vec<u8>| bytes.len() > MAX_DIGITS as usize;
            let bytes = self.argument_of(argument, MAX_DIGITS + 1)?;
            if is_integer(code) && bytes.is_some_and(is_long) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True if all arguments are numbers or texts no longer than Python reads digits of, and no text
    /// has one of these letters.
    fn are_short(&mut self, arguments: Value, letters: &[u8]) -> Result<bool, Fault> {
        for argument in self.arguments(arguments) {
            let Value::Literal { code, .. } = argument else { return Ok(false) };
            let Some(text) = self.argument_of(argument, MAX_DIGITS + 1)? else { return Ok(false) };
            let is_text = opcode::is_text(code) || is_bytes(code);
            let has_letters = is_text && text.iter().any(|c| letters.contains(c));
            if text.len() > MAX_DIGITS as usize || has_letters {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn elements(&mut self, arguments: Value) -> Result<Elements, Fault> {
        let Some(first) = self.arguments(arguments).first().copied() else {
            return Ok(Elements::Other);
        };
        Ok(match first {
            Value::Import(place) => elements::of_class(self.path(place)),
            Value::Literal { .. } => match self.text(first)? {
                Some(text) => elements::of_text(&text),
                None => Elements::Other,
            },
            _ => Elements::Other,
        })
    }

    /// True if the second argument is a shape of at most one element.
    fn is_empty_array(&mut self, arguments: Value) -> Result<bool, Fault> {
        let Some(shape @ Value::Tuple { .. }) = self.arguments(arguments).get(1).copied() else {
            return Ok(false);
        };
        let items = self.arguments(shape);
        if self.count(shape).is_none_or(|count| count as usize > items.len()) {
            return Ok(false);
        }
        for item in items {
            if !matches!(self.integer(item)?, Some(0 | 1)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `copyreg._reconstructor(class, base, state)`: the base makes the object from the state.
    fn reconstructed(&mut self, arguments: Value) -> Option<Harm> {
        let arguments = self.arguments(arguments);
        let [_, Value::Import(base), state] = arguments[..] else {
            return Some(Harm::Runs(INDIRECT));
        };
        if self.path(base) == "builtins.object" {
            return None;
        }
        if let Some((_, import)) = self.imports.get_index_mut(base as usize) {
            import.reduced = true;
        }
        let takes_long = self.is_endless(state) || matches!(state, Value::Returned(_));
        (takes_long || self.is_repeated(state)).then_some(Harm::Runs(MEMORY))
    }

    /// The class or function in a class that a name stands for; `None` if it could be anything.
    fn attribute(&mut self, op: &Op, arguments: Value) -> Result<Option<Value>, Fault> {
        let [Value::Import(place), name] = self.arguments(arguments)[..] else { return Ok(None) };
        let Some(name) = self.text(name)? else { return Ok(None) };
        let is_plain = name.starts_with(|c: char| c.is_alphabetic())
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let outer = self.path(place);
        if !is_plain || outer.is_empty() || is_harmful(outer) {
            return Ok(None);
        }
        let inner = format!("{outer}.{name}");
        Ok(Some(self.import_path(op, inner)))
    }

    /// True if the function that is kept for later is not known to do harm.
    fn keeps_quiet(&self, arguments: Value) -> bool {
        let first = self.arguments(arguments).first().copied();
        matches!(first, Some(Value::Import(place)) if !is_harmful(self.path(place)))
    }

    /// The call that a call makes by the way: of its first argument, with its third.
    pub(super) fn calls_further(&self, arguments: Value) -> Option<(Value, Value)> {
        match self.arguments(arguments)[..] {
            [callable, _, arguments, ..] => Some((callable, arguments)),
            _ => None,
        }
    }

    /// The harm of calls that are too deep in the arguments of others.
    pub(super) fn nested_too_deep(depth: usize) -> Option<Harm> {
        (depth > MAX_NESTED).then_some(Harm::Runs(INDIRECT))
    }

    /// Notes functions that are put where a loader will look for one to call.
    pub(super) fn check_planted(&mut self, op: &Op, items: &[Value]) -> Result<(), Fault> {
        for pair in items.chunks_exact(2) {
            let [key, value @ (Value::Import(place) | Value::Returned(place))] = *pair else {
                continue;
            };
            if self.kind(value) == Kind::Tensor {
                continue;
            }
            let Value::Literal { code, at, .. } = key else { continue };
            if !opcode::is_text(code) || self.is_long_key(at)? {
                continue;
            }
            let Some(key) = self.text(key)? else { continue };
            let can_be_data = matches!(value, Value::Returned(_)) && key != CALLED_BY_LOADERS[0];
            if CALLED_BY_LOADERS.contains(&key.as_str()) && !can_be_data {
                let what = format!("sets {} as {key}", self.named(place));
                self.misuse(op, place, what, Harm::Runs(PLANTED));
            }
        }
        Ok(())
    }

    /// True if a key is too long to be one that loaders look up, which saves reading most of them.
    pub(super) fn is_long_key(&mut self, at: u32) -> Result<bool, Fault> {
        Ok(match self.reader.op(at) {
            Ok(op) => op.argument.end - op.argument.start > 4 * CALLED_BY_LOADERS[0].len() as u32,
            Err(_) => true,
        })
    }
}
