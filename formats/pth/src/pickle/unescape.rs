//! Texts of a pickle, as Python decodes them.

use super::opcode;

/// The text that an opcode of this code pushes with this argument.
///
/// `None` for bytes, and for what Python would refuse.
pub(crate) fn decoded(code: u8, argument: &[u8]) -> Option<String> {
    match code {
        opcode::UNICODE => raw_unicode_escape(argument),
        opcode::STRING => String::from_utf8(quoted(argument.trim_ascii())?).ok(),
        _ if opcode::is_text(code) => String::from_utf8(argument.to_vec()).ok(),
        _ => None,
    }
}

/// True if Python finds nothing wrong with the quotes and escapes of a text in protocol 0, whatever
/// encoding the text is in.
pub(crate) fn is_escaped_soundly(code: u8, argument: &[u8]) -> bool {
    match code {
        opcode::UNICODE => raw_characters(argument).is_some(),
        _ => quoted(argument.trim_ascii()).is_some(),
    }
}

/// Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
fn raw_unicode_escape(bytes: &[u8]) -> Option<String> {
    raw_characters(bytes)?.into_iter().map(char::from_u32).collect()
}

/// The numbers of its characters, which may be surrogates.
fn raw_characters(bytes: &[u8]) -> Option<Vec<u32>> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let digits = match (first, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => 0,
        };
        rest = after;
        if digits > 0 {
            out.push(number(after.get(1..=digits)?, 16).filter(|number| *number <= 0x10_FFFF)?);
            rest = after.get(1 + digits..)?;
            continue;
        }
        out.push(first.into());
        // A backslash after another is itself.
        if let (b'\\', Some((&second, after))) = (first, after.split_first()) {
            out.push(second.into());
            rest = after;
        }
    }
    Some(out)
}

/// A quoted text with the escapes of Python's bytes literals.
fn quoted(bytes: &[u8]) -> Option<Vec<u8>> {
    let quote = *bytes.first().filter(|quote| matches!(quote, b'\'' | b'"'))?;
    let mut rest = bytes.get(1..)?.strip_suffix(&[quote])?;
    let mut out = Vec::new();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            out.push(first);
            continue;
        }
        let (byte, taken) = escaped(after)?;
        out.extend(byte);
        rest = after.get(taken..)?;
    }
    Some(out)
}

/// What stands for the bytes after a backslash, and how many of them it takes.
fn escaped(after: &[u8]) -> Option<(Vec<u8>, usize)> {
    let first = *after.first()?;
    let simple = |byte: u8| Some((vec![byte], 1));
    match first {
        b'\n' => Some((Vec::new(), 1)),
        b'a' => simple(7),
        b'b' => simple(8),
        b't' => simple(b'\t'),
        b'n' => simple(b'\n'),
        b'v' => simple(11),
        b'f' => simple(12),
        b'r' => simple(b'\r'),
        b'\\' | b'\'' | b'"' => simple(first),
        b'x' => Some((vec![number(after.get(1..3)?, 16)? as u8], 3)),
        b'0'..=b'7' => {
            let len = after.iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
            Some((vec![number(after.get(..len)?, 8)? as u8], len))
        }
        other => Some((vec![b'\\', other], 1)),
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_that_python_decodes() {
        let check = |code, argument: &[u8], expected: Option<&str>| {
            assert_eq!(decoded(code, argument).as_deref(), expected, "{argument:?}");
        };
        check(opcode::BINUNICODE, b"os", Some("os"));
        check(opcode::BINUNICODE, b"\xff", None);
        check(opcode::SHORT_BINBYTES, b"os", None);
        check(opcode::UNICODE, br"s\u0079stem", Some("system"));
        check(opcode::UNICODE, br"a\\u0041", Some(r"a\\u0041"));
        check(opcode::UNICODE, br"\ud83d", None);
        check(opcode::STRING, br"'\163y\x73tem'", Some("system"));
        check(opcode::STRING, br"'a\'b\q\n'", Some("a'b\\q\n"));
        check(opcode::STRING, b"'open", None);
    }
}
