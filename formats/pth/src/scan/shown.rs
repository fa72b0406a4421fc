//! The arguments of a call as a finding shows them.

use statedict_core::Fault;

use super::machine::Machine;
use super::value::Value;
use crate::pickle::opcode;
use crate::pickle::unescape::decoded;

/// How much of a text among the arguments of a call is shown, in bytes.
const MAX_SHOWN: u32 = 80;

impl Machine<'_> {
    /// The arguments of a call as they are shown.
    pub(super) fn shown(&mut self, arguments: Value) -> Result<String, Fault> {
        let Value::Tuple { place, .. } = arguments else { return Ok("…".into()) };
        let items = self.items(place).to_vec();
        let all = self.tuples.get(place as usize).is_some_and(|t| t.2 as usize == items.len());
        let mut shown = Vec::new();
        for item in items {
            shown.push(self.item(item)?);
        }
        if !all {
            shown.push("…".into());
        }
        Ok(shown.join(", "))
    }

    fn item(&mut self, value: Value) -> Result<String, Fault> {
        Ok(match value {
            Value::Literal { at, .. } => self.literal(at)?,
            Value::Tuple { .. } => "(…)".into(),
            Value::Import(place) | Value::Returned(place) => {
                let call = if matches!(value, Value::Returned(_)) { "(…)" } else { "" };
                self.named(place) + call
            }
            _ => "…".into(),
        })
    }

    fn literal(&mut self, at: u32) -> Result<String, Fault> {
        let Ok(op) = self.reader.op(at) else { return Ok("…".into()) };
        let long = op.argument.end - op.argument.start > MAX_SHOWN;
        let argument = self.reader.bytes(op.argument, MAX_SHOWN)?;
        Ok(match op.code {
            opcode::NONE => "None".into(),
            opcode::NEWTRUE => "True".into(),
            opcode::NEWFALSE => "False".into(),
            opcode::BININT1 | opcode::BININT2 => opcode::little_endian(&argument).to_string(),
            code if opcode::is_text(code) && !long => {
                decoded(code, &argument).map_or("…".into(), |text| format!("{text:?}"))
            }
            code if opcode::is_text(code) => {
                format!("\"{}…\"", String::from_utf8_lossy(&argument).escape_debug())
            }
            _ => "…".into(),
        })
    }
}
