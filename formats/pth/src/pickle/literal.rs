//! The values that single opcodes push: numbers, truth values, bytes, texts.

use super::graph::Value;
use super::opcode::{self, Op};

/// The value of an opcode that pushes one without parts; `None` for a number that is none.
pub(super) fn plain(pickle: &[u8], op: Op) -> Option<Value> {
    let argument = op.argument.of(pickle);
    let text = || std::str::from_utf8(argument).map(str::trim).unwrap_or_default();
    Some(match op.code {
        opcode::NONE => Value::None,
        opcode::NEWTRUE => Value::Bool(true),
        opcode::NEWFALSE => Value::Bool(false),
        opcode::BININT1 | opcode::BININT2 => Value::Int(op.number(pickle) as i64),
        opcode::BININT => Value::Int(i64::from(op.number(pickle) as u32 as i32)),
        opcode::LONG1 | opcode::LONG4 => signed(argument).unwrap_or(Value::BigInt(op.argument)),
        opcode::INT if argument == b"00" => Value::Bool(false),
        opcode::INT if argument == b"01" => Value::Bool(true),
        opcode::INT | opcode::LONG => decimal(text())?.unwrap_or(Value::Digits(op.argument)),
        opcode::FLOAT => Value::Float(text().parse().ok()?),
        opcode::BINFLOAT => Value::Float(f64::from_bits(op.number(pickle).swap_bytes())),
        opcode::BINBYTES | opcode::SHORT_BINBYTES | opcode::BINBYTES8 | opcode::BYTEARRAY8 => {
            Value::Bytes(op.argument)
        }
        _ => Value::Unknown,
    })
}

/// A little-endian two's complement integer; none if it is beyond 64 bits.
fn signed(bytes: &[u8]) -> Option<Value> {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let mut wide = [fill; 8];
    for (i, byte) in bytes.iter().enumerate() {
        match wide.get_mut(i) {
            Some(place) => *place = *byte,
            None if *byte == fill => {}
            None => return None,
        }
    }
    let number = i64::from_le_bytes(wide);
    let is_beyond = bytes.len() > 8 && (number < 0) != negative;
    (!is_beyond).then_some(Value::Int(number))
}

/// A decimal integer, none in it if it is beyond 64 bits, with the `L` that Python 2 put after long ones.
fn decimal(text: &str) -> Option<Option<Value>> {
    let text = text.strip_suffix('L').unwrap_or(text);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().ok().map(Value::Int))
}

/// True for UTF-8 that may contain lone surrogates, as Python's `surrogatepass` writes them.
pub(crate) fn is_utf8_with_surrogates(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Err(error) = std::str::from_utf8(rest) {
        match rest.get(error.valid_up_to()..) {
            Some([0xed, 0xa0..=0xbf, 0x80..=0xbf, after @ ..]) => rest = after,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_their_sign() {
        let check = |bytes: &[u8], expected: Option<i64>| {
            let found = match signed(bytes) {
                Some(Value::Int(number)) => Some(number),
                _ => None,
            };
            assert_eq!(found, expected, "{bytes:?}");
        };
        check(&[], Some(0));
        check(&[0xff], Some(-1));
        check(&[0, 0, 0, 0, 1], Some(1 << 32));
        check(&[0xff; 9], Some(-1));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], None);
    }
}
