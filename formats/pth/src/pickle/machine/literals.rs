//! Opcodes that push a value which they spell out.

use statedict_core::Fault;

use super::{EMPTY_TUPLE, FALSE, Machine, NONE, TRUE};
use crate::pickle::graph::{Compound, Kind, Node, Value};
use crate::pickle::literal::{is_utf8_with_surrogates, plain};
use crate::pickle::opcode::{self, Op};

impl Machine<'_> {
    pub(super) fn literal(&mut self, op: Op) -> Result<(), Fault> {
        let now = self.now;
        let empty = |kind| Compound { kind, ..Compound::default() };
        match op.code {
            opcode::EMPTY_DICT => self.push_compound(empty(Kind::Dict), now),
            opcode::EMPTY_LIST => self.push_compound(empty(Kind::List), now),
            opcode::EMPTY_SET => self.push_compound(empty(Kind::Set), now),
            opcode::EMPTY_TUPLE => {
                let node = self.common[EMPTY_TUPLE].unwrap_or_else(|| self.tuple_of(&[]));
                self.common[EMPTY_TUPLE] = Some(node);
                self.push_slot(node, now);
            }
            // The buffer is outside the stream; what it holds is unknown either way.
            opcode::READONLY_BUFFER => {
                self.top(op)?;
            }
            code if opcode::is_text(code) => {
                self.check_text(op)?;
                self.push(Node::Text(now));
            }
            _ => {
                let place = common(op, &self.graph.pickle);
                let known = place.and_then(|place| self.common[place]);
                let node = match known {
                    Some(node) => node,
                    None => {
                        let node = self.plain(op)?;
                        self.node(node)
                    }
                };
                if let Some(place) = place {
                    self.common[place] = Some(node);
                }
                self.push_slot(node, now);
            }
        }
        Ok(())
    }

    /// A text is UTF-8, lone surrogates allowed as Python's `surrogatepass` allows them.
    fn check_text(&self, op: Op) -> Result<(), Fault> {
        let bytes = op.argument.of(&self.graph.pickle);
        match op.code {
            opcode::UNICODE | opcode::STRING | opcode::BINSTRING | opcode::SHORT_BINSTRING => {
                Ok(())
            }
            _ if is_utf8_with_surrogates(bytes) => Ok(()),
            _ => Err(self.fault(op, "holds a text that is not UTF-8")),
        }
    }

    /// A value without parts.
    fn plain(&self, op: Op) -> Result<Node, Fault> {
        let value = plain(&self.graph.pickle, op);
        Ok(match value.ok_or_else(|| self.fault(op, "holds no number"))? {
            Value::None => Node::None,
            Value::Bool(truth) => Node::Bool(truth),
            Value::Unknown => Node::Unknown,
            _ => Node::Literal(self.now),
        })
    }
}

/// The place among [`Machine::common`] values of what an opcode pushes.
fn common(op: Op, pickle: &[u8]) -> Option<usize> {
    match op.code {
        opcode::BININT1 => op.argument.of(pickle).first().map(|number| usize::from(*number)),
        opcode::NONE => Some(NONE),
        opcode::NEWTRUE => Some(TRUE),
        opcode::NEWFALSE => Some(FALSE),
        _ => None,
    }
}
