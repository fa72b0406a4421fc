//! Which opcodes weights-only loading reads, and which others picklers write.

use crate::pickle::opcode;

/// An opcode that weights-only loading does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Picklers write it under the protocol that the pickle names.
    OfProtocol(u8),
    /// No pickler writes it under that protocol.
    Odd(u8),
}

impl Unread {
    /// `None` if weights-only loading reads the opcode.
    pub(super) fn new(code: u8, protocol: u64) -> Option<Unread> {
        let is_written = match protocol {
            0 | 1 => is_of_text_protocols(code),
            2 => is_of_python_2(code),
            3 => is_of_python_2(code) || is_of_protocol_3(code),
            _ => is_of_python_2(code) || is_of_protocol_3(code) || is_of_later_protocols(code),
        };
        match is_written {
            _ if is_read(code) => None,
            true => Some(Unread::OfProtocol(code)),
            false => Some(Unread::Odd(code)),
        }
    }
}

/// The opcodes that weights-only loading reads.
///
/// Source: `Unpickler.load` in `torch/_weights_only_unpickler.py` of PyTorch 2.15.
fn is_read(code: u8) -> bool {
    matches!(
        code,
        opcode::GLOBAL
            | opcode::NEWOBJ
            | opcode::REDUCE
            | opcode::BUILD
            | opcode::APPEND
            | opcode::APPENDS
            | opcode::SETITEM
            | opcode::SETITEMS
            | opcode::MARK
            | opcode::TUPLE
            | opcode::TUPLE1
            | opcode::TUPLE2
            | opcode::TUPLE3
            | opcode::NONE
            | opcode::NEWFALSE
            | opcode::NEWTRUE
            | opcode::EMPTY_TUPLE
            | opcode::EMPTY_LIST
            | opcode::EMPTY_DICT
            | opcode::EMPTY_SET
            | opcode::BININT
            | opcode::BININT1
            | opcode::BININT2
            | opcode::BINFLOAT
            | opcode::BINUNICODE
            | opcode::SHORT_BINSTRING
            | opcode::BINPERSID
            | opcode::BINGET
            | opcode::LONG_BINGET
            | opcode::BINPUT
            | opcode::LONG_BINPUT
            | opcode::LONG1
            | opcode::PROTO
            | opcode::STOP
    )
}

/// What picklers write under protocols 0 and 1, where numbers and texts are lines.
fn is_of_text_protocols(code: u8) -> bool {
    matches!(
        code,
        opcode::INT
            | opcode::LONG
            | opcode::FLOAT
            | opcode::UNICODE
            | opcode::STRING
            | opcode::BINSTRING
            | opcode::PUT
            | opcode::GET
    ) || matches!(code, opcode::DICT | opcode::LIST | opcode::INST | opcode::OBJ | opcode::PERSID)
}

/// What picklers write under protocol 2 for long texts of Python 2 and for long numbers.
fn is_of_python_2(code: u8) -> bool {
    matches!(code, opcode::BINSTRING | opcode::LONG4)
}

fn is_of_protocol_3(code: u8) -> bool {
    matches!(code, opcode::BINBYTES | opcode::SHORT_BINBYTES)
}

fn is_of_later_protocols(code: u8) -> bool {
    matches!(
        code,
        opcode::FRAME
            | opcode::MEMOIZE
            | opcode::STACK_GLOBAL
            | opcode::NEWOBJ_EX
            | opcode::SHORT_BINUNICODE
            | opcode::BINUNICODE8
    ) || matches!(
        code,
        opcode::BINBYTES8 | opcode::BYTEARRAY8 | opcode::ADDITEMS | opcode::FROZENSET
    ) || matches!(code, opcode::NEXT_BUFFER | opcode::READONLY_BUFFER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_are_those_of_weights_only_loading_of_another_protocol_or_odd() {
        let check = |code, protocol, expected| {
            assert_eq!(Unread::new(code, protocol), expected, "{code:#04x} in {protocol}");
        };
        for code in [opcode::BINPUT, opcode::EMPTY_SET, opcode::SHORT_BINSTRING] {
            check(code, 2, None);
        }
        for code in [opcode::POP, opcode::POP_MARK, opcode::DUP, opcode::EXT1] {
            (0..=5).for_each(|protocol| check(code, protocol, Some(Unread::Odd(code))));
        }
        let written = |code, protocol| check(code, protocol, Some(Unread::OfProtocol(code)));
        written(opcode::MEMOIZE, 4);
        written(opcode::SHORT_BINBYTES, 3);
        written(opcode::INT, 1);
        written(opcode::BINSTRING, 2);
        for code in [opcode::MEMOIZE, opcode::SHORT_BINBYTES, opcode::INT] {
            check(code, 2, Some(Unread::Odd(code)));
        }
    }
}
