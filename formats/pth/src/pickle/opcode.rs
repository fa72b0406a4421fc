//! The opcodes of pickle protocols 0 to 5 and the lengths of their arguments.
//!
//! The source of every fact here is CPython's `pickletools`.

use statedict_core::Fault;

macro_rules! opcodes {
    ($($name:ident = $byte:literal),* $(,)?) => {
        $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: u8 = $byte;)*
    };
}

opcodes! {
    PROTO = 0x80, FRAME = 0x95, STOP = b'.', MARK = b'(',
    POP = b'0', POP_MARK = b'1', DUP = b'2',
    NONE = b'N', NEWTRUE = 0x88, NEWFALSE = 0x89,
    BININT = b'J', BININT1 = b'K', BININT2 = b'M', LONG1 = 0x8a, LONG4 = 0x8b,
    INT = b'I', LONG = b'L', FLOAT = b'F', BINFLOAT = b'G',
    BINUNICODE = b'X', SHORT_BINUNICODE = 0x8c, BINUNICODE8 = 0x8d, UNICODE = b'V',
    SHORT_BINSTRING = b'U', BINSTRING = b'T', STRING = b'S',
    BINBYTES = b'B', SHORT_BINBYTES = b'C', BINBYTES8 = 0x8e, BYTEARRAY8 = 0x96,
    NEXT_BUFFER = 0x97, READONLY_BUFFER = 0x98,
    EMPTY_DICT = b'}', EMPTY_LIST = b']', EMPTY_TUPLE = b')', EMPTY_SET = 0x8f,
    DICT = b'd', LIST = b'l', FROZENSET = 0x91,
    TUPLE = b't', TUPLE1 = 0x85, TUPLE2 = 0x86, TUPLE3 = 0x87,
    APPEND = b'a', APPENDS = b'e', SETITEM = b's', SETITEMS = b'u', ADDITEMS = 0x90,
    GLOBAL = b'c', STACK_GLOBAL = 0x93, REDUCE = b'R', NEWOBJ = 0x81, NEWOBJ_EX = 0x92,
    BUILD = b'b', INST = b'i', OBJ = b'o', PERSID = b'P', BINPERSID = b'Q',
    BINPUT = b'q', LONG_BINPUT = b'r', PUT = b'p', MEMOIZE = 0x94,
    BINGET = b'h', LONG_BINGET = b'j', GET = b'g',
    EXT1 = 0x82, EXT2 = 0x83, EXT4 = 0x84,
}

/// Adds a number, in the shortest opcode that weights-only loading reads, to a pickle.
pub fn push_integer(pickle: &mut Vec<u8>, number: u64) {
    let bytes = number.to_le_bytes();
    match number {
        0..=0xff => pickle.extend([BININT1, bytes[0]]),
        0x100..=0xffff => pickle.extend([BININT2, bytes[0], bytes[1]]),
        0x1_0000..=0x7fff_ffff => {
            pickle.push(BININT);
            pickle.extend(&bytes[..4]);
        }
        // A ninth byte of zero keeps the highest numbers from being read as negative.
        _ => {
            pickle.extend([LONG1, 9]);
            pickle.extend(bytes);
            pickle.push(0);
        }
    }
}

/// How an opcode's argument is laid out after its byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// This many bytes.
    Fixed(usize),
    /// A little-endian count of this many bytes, then as many bytes as it says.
    Counted(usize),
    /// The same, the count being signed.
    CountedSigned,
    /// Text up to a line feed, this many times.
    Lines(usize),
}

/// How the argument of an opcode is laid out; none of what is not an opcode.
pub fn argument(code: u8) -> Option<Argument> {
    use Argument::*;
    Some(match code {
        PROTO | BININT1 | BINPUT | BINGET | EXT1 => Fixed(1),
        BININT2 | EXT2 => Fixed(2),
        BININT | LONG_BINPUT | LONG_BINGET | EXT4 => Fixed(4),
        FRAME | BINFLOAT => Fixed(8),
        LONG1 | SHORT_BINUNICODE | SHORT_BINSTRING | SHORT_BINBYTES => Counted(1),
        BINUNICODE | BINBYTES => Counted(4),
        LONG4 | BINSTRING => CountedSigned,
        BINUNICODE8 | BINBYTES8 | BYTEARRAY8 => Counted(8),
        INT | LONG | FLOAT | UNICODE | STRING | PERSID | PUT | GET => Lines(1),
        GLOBAL | INST => Lines(2),
        STOP | MARK | POP | POP_MARK | DUP | NONE | NEWTRUE | NEWFALSE | EMPTY_DICT
        | EMPTY_LIST | EMPTY_TUPLE | EMPTY_SET | DICT | LIST | FROZENSET | TUPLE | TUPLE1
        | TUPLE2 | TUPLE3 | APPEND | APPENDS | SETITEM | SETITEMS | ADDITEMS | STACK_GLOBAL
        | REDUCE | NEWOBJ | NEWOBJ_EX | BUILD | OBJ | BINPERSID | MEMOIZE | NEXT_BUFFER
        | READONLY_BUFFER => Fixed(0),
        _ => return None,
    })
}

/// Text or bytes within a pickle: where they start and end, in bytes.
///
/// Pickles beyond 4 GiB are refused before they are decoded, so 32 bits are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Extent {
    pub(crate) fn of(self, pickle: &[u8]) -> &[u8] {
        pickle.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    fn checked(start: usize, end: usize, pickle: &[u8]) -> Option<Extent> {
        let within = start <= end && end <= pickle.len();
        let extent = Extent { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? };
        within.then_some(extent)
    }
}

/// One opcode as it is in a pickle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) code: u8,
    /// The whole opcode, argument included.
    pub(crate) whole: Extent,
    /// The argument: fixed bytes, counted bytes without their count, or lines without the last feed.
    pub(crate) argument: Extent,
}

impl Op {
    /// The opcode at a byte of a pickle.
    pub(crate) fn at(pickle: &[u8], start: usize) -> Result<Op, Fault> {
        let fault = |what: String| Fault::malformed(start as u64, what);
        let Some(&code) = pickle.get(start) else {
            return Err(fault("the pickle ends without STOP".into()));
        };
        let Some(argument) = argument(code) else {
            return Err(fault(format!("byte {code:#04x} is no pickle opcode")));
        };
        let cut = || fault(format!("the argument of opcode {code:#04x} ends beyond the pickle"));
        let (from, to, end) = extents(pickle, start + 1, argument).ok_or_else(cut)?;
        let whole = Extent::checked(start, end, pickle).ok_or_else(cut)?;
        let argument = Extent::checked(from, to, pickle).ok_or_else(cut)?;
        Ok(Op { code, whole, argument })
    }

    /// A fixed argument of up to eight bytes, read as an unsigned little-endian number.
    pub(crate) fn number(self, pickle: &[u8]) -> u64 {
        little_endian(self.argument.of(pickle))
    }
}

impl Op {
    /// The memo id that a `PUT` or `GET` names, in any of their forms.
    pub(crate) fn memo_id(self, pickle: &[u8]) -> Option<u32> {
        match self.code {
            PUT | GET => {
                let text = std::str::from_utf8(self.argument.of(pickle)).ok()?;
                text.trim().parse().ok()
            }
            _ => u32::try_from(self.number(pickle)).ok(),
        }
    }
}

/// Where an argument's content starts and ends, and where the opcode ends.
fn extents(pickle: &[u8], at: usize, argument: Argument) -> Option<(usize, usize, usize)> {
    match argument {
        Argument::Fixed(len) => Some((at, at + len, at + len)),
        Argument::Counted(width) => {
            let count = usize::try_from(little_endian(pickle.get(at..at + width)?)).ok()?;
            let end = at.checked_add(width)?.checked_add(count)?;
            Some((at + width, end, end))
        }
        Argument::CountedSigned => {
            let count = i32::from_le_bytes(pickle.get(at..at + 4)?.try_into().ok()?);
            let end = at.checked_add(4)?.checked_add(usize::try_from(count).ok()?)?;
            Some((at + 4, end, end))
        }
        Argument::Lines(lines) => {
            let rest = pickle.get(at..)?;
            let mut feeds = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            let (last, _) = feeds.nth(lines - 1)?;
            Some((at, at + last, at + last + 1))
        }
    }
}

/// A number without a sign, the lowest byte first; of more than eight bytes the lowest eight.
pub fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// True for the opcodes that put what is on top of the stack into the memo.
pub(crate) fn is_put(code: u8) -> bool {
    matches!(code, BINPUT | LONG_BINPUT | PUT | MEMOIZE)
}

/// True for the opcodes that push what is in the memo.
pub(crate) fn is_get(code: u8) -> bool {
    matches!(code, BINGET | LONG_BINGET | GET)
}

/// True for the opcodes that push a text.
pub fn is_text(code: u8) -> bool {
    matches!(
        code,
        BINUNICODE
            | SHORT_BINUNICODE
            | BINUNICODE8
            | UNICODE
            | SHORT_BINSTRING
            | BINSTRING
            | STRING
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pickle: &[u8], expected: Option<(&[u8], usize)>) {
        let op = Op::at(pickle, 0).ok();
        let found = op.map(|op| (op.argument.of(pickle), op.whole.end as usize));
        assert_eq!(found, expected, "{pickle:?}");
    }

    #[test]
    fn arguments_are_as_long_as_pickletools_says() {
        check(b"K\x07.", Some((b"\x07", 2)));
        check(b"X\x02\0\0\0ab.", Some((b"ab", 7)));
        check(b"\x8c\x02ab.", Some((b"ab", 4)));
        check(b"ctorch\nSize\n.", Some((b"torch\nSize", 12)));
        check(b"I42\n.", Some((b"42", 4)));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        check(b"X\xff\xff\xff\xffab", None);
        check(b"B\x03\0\0\0ab", None);
        check(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", None);
        check(b"\x8b\xff\xff\xff\xff", None);
        check(b"ctorch\nSize", None);
        check(b"\xff", None);
        check(b"", None);
    }
}
