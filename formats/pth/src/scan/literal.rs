//! Whether Python would accept the text of a literal.

use super::integer::is_whole_number;
use crate::pickle::literal::is_utf8_with_surrogates;
use crate::pickle::opcode;
use crate::pickle::unescape::{decoded, is_escaped_soundly};

const NO_UTF8: &str = "a text is no UTF-8";
const NO_NUMBER: &str = "a number in text is none";
const NO_QUOTES: &str = "a text in quotes has none, or a bad escape";

/// What is wrong with an opcode's argument; `None` for those that cannot be wrong.
pub(super) fn fault(code: u8, argument: &[u8]) -> Option<&'static str> {
    match code {
        opcode::BINUNICODE | opcode::SHORT_BINUNICODE | opcode::BINUNICODE8 => {
            (!is_utf8_with_surrogates(argument)).then_some(NO_UTF8)
        }
        opcode::STRING | opcode::UNICODE => {
            (!is_escaped_soundly(code, argument)).then_some(NO_QUOTES)
        }
        opcode::INT | opcode::LONG => (!is_whole_number(argument)).then_some(NO_NUMBER),
        opcode::FLOAT => (!is_number(argument)).then_some(NO_NUMBER),
        _ => None,
    }
}

/// False for a byte string of Python 2 that is not UTF-8.
pub(super) fn is_utf8_if_bytes(code: u8, argument: &[u8]) -> bool {
    match code {
        opcode::SHORT_BINSTRING | opcode::BINSTRING => std::str::from_utf8(argument).is_ok(),
        opcode::STRING => decoded(code, argument).is_some(),
        _ => true,
    }
}

fn is_number(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text.trim_ascii());
    text.is_ok_and(|text| text.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_sound_where_python_takes_them() {
        let check = |code, argument: &[u8], is_sound| {
            assert_eq!(fault(code, argument).is_none(), is_sound, "{}", argument.escape_ascii());
        };
        for number in ["1", "-1", "00", "0x1f", "12L", "+7"] {
            check(opcode::INT, number.as_bytes(), true);
        }
        for number in ["", "x", "-", "1.5", "0x", "1 2", "L"] {
            check(opcode::LONG, number.as_bytes(), false);
        }
        for (number, is_sound) in
            [("1.5", true), ("nan", true), ("-inf", true), ("1e5", true), ("", false), ("x", false)]
        {
            check(opcode::FLOAT, number.as_bytes(), is_sound);
        }
        check(opcode::BINUNICODE, b"\xed\xa0\x80b", true);
        check(opcode::BINUNICODE, b"a\xff", false);
        check(opcode::SHORT_BINUNICODE, b"\xc0\x80", false);
        check(opcode::STRING, b"'a\xff\\n'", true);
        check(opcode::STRING, b"'a", false);
        check(opcode::STRING, b"'\\x1'", false);
        check(opcode::UNICODE, b"\\u12", false);
        check(opcode::UNICODE, b"\\ud83d\\ude00", true);
        check(opcode::BINBYTES, b"\xff", true);
    }

    #[test]
    fn byte_strings_of_python_2_are_texts_where_they_are_utf_8() {
        let check = |code, argument: &[u8], is_text| {
            assert_eq!(is_utf8_if_bytes(code, argument), is_text, "{}", argument.escape_ascii());
        };
        check(opcode::SHORT_BINSTRING, b"\xff", false);
        check(opcode::SHORT_BINSTRING, "\u{e9}".as_bytes(), true);
        check(opcode::BINSTRING, b"a\xe9", false);
        check(opcode::STRING, b"'\\xe9'", false);
        check(opcode::STRING, b"'\\xc3\\xa9'", true);
        check(opcode::SHORT_BINBYTES, b"\xff", true);
    }
}
