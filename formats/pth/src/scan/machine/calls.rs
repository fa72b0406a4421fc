//! What a pickle calls: objects made, functions called, states set.

use statedict_core::Fault;

use crate::pickle::opcode;
use crate::scan::admitted::is_admitted;
use crate::scan::care::Care;
use crate::scan::imports::{Call, Harm, Misuse, Named};
use crate::scan::kind::{Callable, Kind};
use crate::scan::reader::Op;
use crate::scan::value::Value;

use super::{Followable, MAX_IMPORTS, Machine, NOT_CALLABLE, SHORT_STACK};

impl Machine<'_> {
    pub(super) fn inst(&mut self, op: &Op) -> Result<Followable, Fault> {
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
    pub(super) fn made(&mut self, op: &Op) -> Result<Followable, Fault> {
        match self.callee(op) {
            Ok((callable, arguments)) => self.call(op, callable, arguments),
            Err(why) => Ok(Err(why)),
        }
    }

    pub(super) fn callee(&mut self, op: &Op) -> Result<(Value, Value), &'static str> {
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

    pub(super) fn call(
        &mut self,
        op: &Op,
        callable: Value,
        arguments: Value,
    ) -> Result<Followable, Fault> {
        self.doubt_unless(arguments.is_arguments(), "the arguments of a call are no tuple");
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
    pub(super) fn called(
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
            let harm = outcome.harm.or(Machine::nested_too_deep(depth));
            if let Some(harm) = harm.or_else(|| self.repeats_literals(place, arguments)) {
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
    pub(super) fn note_call(
        &mut self,
        op: &Op,
        place: u32,
        arguments: Value,
    ) -> Result<Care, Fault> {
        let is_new = matches!(op.code, opcode::NEWOBJ | opcode::NEWOBJ_EX);
        let Some((named, import)) = self.imports.get_index(place as usize) else {
            return Ok(Care::None);
        };
        let (care, is_first) = (import.care, import.call.is_none());
        let path = named.as_path().filter(|path| is_admitted(path)).map(str::to_string);
        if let Some(path) = path.filter(|_| self.refusal.is_none()) {
            self.check_admitted(&path, is_new, arguments)?;
        }
        let shown = if is_first && self.imports_size < MAX_IMPORTS {
            Some(self.shown(arguments)?)
        } else {
            is_first.then(|| "…".to_string())
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
    pub(super) fn check_admitted(
        &mut self,
        path: &str,
        is_new: bool,
        given: Value,
    ) -> Result<(), Fault> {
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
    pub(in crate::scan) fn misuse(&mut self, op: &Op, place: u32, what: String, harm: Harm) {
        self.misuse_at(op.at, op.code, place, what, harm);
    }

    pub(in crate::scan) fn misuse_at(
        &mut self,
        at: u32,
        code: u8,
        place: u32,
        what: String,
        harm: Harm,
    ) {
        if let Some((_, import)) = self.imports.get_index_mut(place as usize) {
            let misuse = Misuse { at: at.into(), opcode: code, what, harm };
            import.misuse.get_or_insert(misuse);
        }
    }

    /// The import that stands for calling what another returned.
    pub(super) fn returned(&mut self, op: &Op, place: u32) -> u32 {
        let named = Named::Returned(self.named(place));
        match self.import(op, named) {
            Value::Import(place) => place,
            _ => place,
        }
    }

    /// `BUILD` on something that was brought in and not made here changes it for the whole program.
    pub(super) fn build(&mut self, op: &Op) -> Result<Followable, Fault> {
        let (state, target) = match (self.value(), self.top()) {
            (Ok(state), Ok(target)) => (state, target),
            _ => return Ok(Err(SHORT_STACK)),
        };
        self.note_filled(target, state);
        if let Value::Returned(place) = target
            && let Some(harm) = self.repeats_filling(place, state)
        {
            let what =
                format!("fills what {} made with ({})", self.named(place), self.shown(state)?);
            self.misuse(op, place, what, harm);
        }
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
                target.takes_state() && matches!(state, Value::Tuple { .. } | Value::List(_))
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
