//! Values that a pickle would make, as far as it matters here, and what they can be used for.

use crate::pickle::opcode::{self, is_text};

/// A value that a pickle would make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// What the opcode at this byte pushes.
    Literal { at: u32, code: u8 },
    /// A tuple, by its place in the machine's list.
    Tuple { place: u32, is_hashable: bool, used: Use },
    /// Something brought in, by its place among the imports.
    Import(u32),
    /// What a call of an import returned.
    Returned(u32),
    /// NumPy's description of elements that are objects.
    ObjectElements,
    /// A storage that the loader has at hand.
    Storage,
    /// A list.
    List(Use),
    /// A dict.
    Dict(Use),
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

impl Value {
    /// The same, used again.
    pub(super) fn again(self) -> Value {
        match self {
            Value::List(_) => Value::List(Use::Again),
            Value::Dict(_) => Value::Dict(Use::Again),
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
                | Value::Dict(Use::Again)
                | Value::Set(Use::Again)
                | Value::FrozenSet(Use::Again)
                | Value::Tuple { used: Use::Again, .. }
        )
    }

    /// False if it is known that no dict or set can have it as a key.
    pub(super) fn is_hashable(self) -> bool {
        match self {
            Value::List(_) | Value::Dict(_) | Value::Set(_) => false,
            Value::Literal { code, .. } => code != opcode::BYTEARRAY8,
            Value::Tuple { is_hashable, .. } => is_hashable,
            Value::Import(_)
            | Value::Returned(_)
            | Value::ObjectElements
            | Value::Storage
            | Value::FrozenSet(_)
            | Value::Unknown => true,
        }
    }

    /// False if it is known that nothing can be appended to it.
    pub(super) fn takes_items(self) -> bool {
        match self {
            Value::Dict(_) | Value::Set(_) | Value::FrozenSet(_) | Value::Tuple { .. } => false,
            Value::ObjectElements | Value::Storage => false,
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
                | Value::Storage
                | Value::Unknown
        )
    }

    /// False if it is known that it holds no attributes to fill something with.
    pub(super) fn is_state(self) -> bool {
        match self {
            Value::Dict(_) | Value::Tuple { .. } | Value::Returned(_) | Value::Unknown => true,
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
