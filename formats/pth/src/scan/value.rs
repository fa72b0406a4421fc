//! Values that a pickle would make, as far as it matters here, and what they can be used for.

use super::reader::Op;
use crate::pickle::opcode::{self, is_text};

/// A value that a pickle would make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// What the opcode at this byte pushes, whose argument has a length of so many bits.
    Literal { at: u32, code: u8, bits: u8, used: Use },
    /// A tuple, by its place in the machine's list.
    Tuple { place: u32, is_hashable: bool, used: Use },
    /// Something brought in, by its place among the imports.
    Import(u32),
    /// What a call of an import returned.
    Returned(u32),
    /// NumPy's description of elements that are objects.
    ObjectElements,
    /// Its description of others, of so many bytes; of none where that is not known.
    PlainElements { size: u32 },
    /// A storage that the loader has at hand.
    Storage,
    /// A list.
    List(Use),
    /// A dict, by the byte of the opcode that made it.
    Dict { at: u32, used: Use },
    /// A set.
    Set(Use),
    /// A frozen set.
    FrozenSet(Use),
    /// Something that only the loader knows.
    Unknown,
}

/// Whether a container was fetched from the memo or repeated since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Once,
    Again,
}

/// A text or number with fewer bits of length is short: under 64 bytes, no more than some opcodes.
const BITS_OF_LONG: u8 = 7;

impl Value {
    /// What an opcode pushes that is its argument.
    pub(super) fn literal(op: &Op) -> Value {
        let len = op.argument.end.saturating_sub(op.argument.start);
        let bits = (u32::BITS - len.leading_zeros()) as u8;
        Value::Literal { at: op.at, code: op.code, bits, used: Use::Once }
    }

    /// The bytes of a long text or number that was used before, at most; 0 for all else.
    pub(super) fn repeated_len(self, is_again: bool) -> u64 {
        match self {
            Value::Literal { bits: bits @ BITS_OF_LONG.., used, .. }
                if is_again || used == Use::Again =>
            {
                1u64 << bits.min(32)
            }
            _ => 0,
        }
    }

    /// The same, used again.
    pub(super) fn again(self) -> Value {
        match self {
            Value::Literal { at, code, bits, .. } => {
                Value::Literal { at, code, bits, used: Use::Again }
            }
            Value::List(_) => Value::List(Use::Again),
            Value::Dict { at, .. } => Value::Dict { at, used: Use::Again },
            Value::Set(_) => Value::Set(Use::Again),
            Value::FrozenSet(_) => Value::FrozenSet(Use::Again),
            Value::Tuple { place, is_hashable, .. } => {
                Value::Tuple { place, is_hashable, used: Use::Again }
            }
            other => other,
        }
    }

    /// True for a container that was used before.
    pub(super) fn is_used_again(self) -> bool {
        matches!(
            self,
            Value::List(Use::Again)
                | Value::Dict { used: Use::Again, .. }
                | Value::Set(Use::Again)
                | Value::FrozenSet(Use::Again)
                | Value::Tuple { used: Use::Again, .. }
        )
    }

    /// False if it is known that no dict or set can have it as a key.
    pub(super) fn is_hashable(self) -> bool {
        match self {
            Value::List(_) | Value::Dict { .. } | Value::Set(_) => false,
            Value::Literal { code, .. } => code != opcode::BYTEARRAY8,
            Value::Tuple { is_hashable, .. } => is_hashable,
            Value::Import(_)
            | Value::Returned(_)
            | Value::ObjectElements
            | Value::PlainElements { .. }
            | Value::Storage
            | Value::FrozenSet(_)
            | Value::Unknown => true,
        }
    }

    /// False if it is known that nothing can be appended to it.
    pub(super) fn takes_items(self) -> bool {
        match self {
            Value::Dict { .. } | Value::Set(_) | Value::FrozenSet(_) | Value::Tuple { .. } => false,
            Value::ObjectElements | Value::PlainElements { .. } | Value::Storage => false,
            Value::Literal { code, .. } => code == opcode::BYTEARRAY8,
            Value::List(_) | Value::Import(_) | Value::Returned(_) | Value::Unknown => true,
        }
    }

    /// False if it is known that it has no entries to set: lists have, by numbers.
    pub(super) fn takes_entries(self) -> bool {
        !matches!(
            self,
            Value::Set(_) | Value::FrozenSet(_) | Value::Tuple { .. } | Value::Literal { .. }
        )
    }

    /// False if it is known that it is not a set.
    pub(super) fn takes_members(self) -> bool {
        matches!(self, Value::Set(_) | Value::Import(_) | Value::Returned(_) | Value::Unknown)
    }

    /// False if it is known that it has no attributes, so that `BUILD` cannot fill it.
    pub(super) fn takes_state(self) -> bool {
        matches!(
            self,
            Value::Import(_)
                | Value::Returned(_)
                | Value::ObjectElements
                | Value::PlainElements { .. }
                | Value::Storage
                | Value::Unknown
        )
    }

    /// False if it is known that it holds no attributes to fill something with.
    pub(super) fn is_state(self) -> bool {
        match self {
            Value::Dict { .. } | Value::Tuple { .. } | Value::Returned(_) | Value::Unknown => true,
            value => value.is_none(),
        }
    }

    /// False if it is known that it is not a tuple, which the arguments of a call are: weights-only
    /// loading takes them from other things too, and Python's own loader does not.
    pub(super) fn is_arguments(self) -> bool {
        matches!(self, Value::Tuple { .. } | Value::Returned(_) | Value::Unknown)
    }

    /// False if it is known that it is not text.
    pub(super) fn is_text(self) -> bool {
        match self {
            Value::Literal { code, .. } => is_text(code),
            Value::Returned(_) | Value::Unknown => true,
            _ => false,
        }
    }

    /// False if it is known that it holds no bytes.
    pub(super) fn is_buffer(self) -> bool {
        match self {
            Value::Literal { code, .. } => is_bytes(code) || code == opcode::BYTEARRAY8,
            value => value.takes_state(),
        }
    }

    /// True if it is a whole number that is written out.
    pub(super) fn is_integer(self) -> bool {
        matches!(self, Value::Literal { code, .. } if is_integer(code))
    }

    /// True if it is `True` or `False`.
    pub(super) fn is_bool(self) -> bool {
        matches!(self, Value::Literal { code: opcode::NEWTRUE | opcode::NEWFALSE, .. })
    }

    /// True if it is `None`.
    pub(super) fn is_none(self) -> bool {
        matches!(self, Value::Literal { code: opcode::NONE, .. })
    }
}

/// True for the opcodes that push a whole number.
pub(super) fn is_integer(code: u8) -> bool {
    matches!(
        code,
        opcode::BININT
            | opcode::BININT1
            | opcode::BININT2
            | opcode::LONG1
            | opcode::LONG4
            | opcode::INT
            | opcode::LONG
    )
}

/// True for the opcodes that push bytes that do not change.
pub(super) fn is_bytes(code: u8) -> bool {
    matches!(code, opcode::BINBYTES | opcode::SHORT_BINBYTES | opcode::BINBYTES8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_no_more_than_eight_bytes() {
        assert_eq!(size_of::<Value>(), 8);
    }
}
