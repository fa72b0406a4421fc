//! Whole numbers in text, as Python's `int` reads them.

/// The digits of a number that Python's `int` takes in base 10: no leading zeros, no underscores,
/// a minus sign if it is below zero. `None` if it takes it for no number.
pub(super) fn digits(text: &[u8]) -> Option<String> {
    let (sign, digits) = signed(trimmed(text));
    let digits = without_underscores(digits, |byte| byte.is_ascii_digit())?;
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let sign = if sign == Some(b'-') && digits != "0" { "-" } else { "" };
    Some(format!("{sign}{digits}"))
}

/// True if Python's `int` takes these bytes for a number: unlike a pickle's, none with a NUL.
pub(crate) fn is_python_integer(text: &[u8]) -> bool {
    !text.contains(&0) && digits(text).is_some()
}

/// True if Python takes a text for a whole number when the number itself says its base: `0x1f`,
/// `-0b_11`, `1_000`, and with an `L` behind as Python 2 wrote it.
pub(super) fn is_whole_number(text: &[u8]) -> bool {
    let text = trimmed(text);
    let (_, text) = signed(text.strip_suffix(b"L").unwrap_or(text));
    let is_digit: fn(u8) -> bool = match text {
        [b'0', b'x' | b'X', ..] => |byte| byte.is_ascii_hexdigit(),
        [b'0', b'o' | b'O', ..] => |byte| matches!(byte, b'0'..=b'7'),
        [b'0', b'b' | b'B', ..] => |byte| matches!(byte, b'0' | b'1'),
        _ => |byte| byte.is_ascii_digit(),
    };
    let digits = match text {
        [b'0', base, rest @ ..] if base.is_ascii_alphabetic() => {
            rest.strip_prefix(b"_").unwrap_or(rest)
        }
        digits => digits,
    };
    without_underscores(digits, is_digit).is_some()
}

/// What C reads of a text: as far as its first NUL, without the white space of `isspace`.
fn trimmed(text: &[u8]) -> &[u8] {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

fn signed(text: &[u8]) -> (Option<u8>, &[u8]) {
    match text {
        [sign @ (b'+' | b'-'), digits @ ..] => (Some(*sign), digits),
        digits => (None, digits),
    }
}

/// Digits that single underscores may separate.
fn without_underscores(text: &[u8], is_digit: fn(u8) -> bool) -> Option<String> {
    let groups = text.split(|byte| *byte == b'_');
    let are_digits =
        groups.clone().all(|group| !group.is_empty() && group.iter().all(|byte| is_digit(*byte)));
    are_digits.then(|| groups.flatten().map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(digits(text.as_bytes()).as_deref(), expected, "{text:?}");
        };
        check("7", Some("7"));
        check("+7", Some("7"));
        check(" 7\x0b\r", Some("7"));
        check("1_0", Some("10"));
        check("007", Some("7"));
        check("000000000000000000015", Some("15"));
        check(
            "340282366920938463463374607431768211456",
            Some("340282366920938463463374607431768211456"),
        );
        check("-0", Some("0"));
        check("-12", Some("-12"));
        check("7\0x", Some("7"));
        for text in ["", "_1", "1_", "1__0", "+-1", "0x1", "1L", "1.0", "\u{661}"] {
            check(text, None);
        }
    }

    #[test]
    fn numbers_may_name_their_base() {
        for text in ["1", "-1", "00", "0x1f", "0x_1f", "12L", "+7", "1_000", "0b11", "0o17"] {
            assert!(is_whole_number(text.as_bytes()), "{text}");
        }
        for text in ["", "x", "-", "1.5", "0x", "1 2", "L", "0b12", "0o8", "1__0"] {
            assert!(!is_whole_number(text.as_bytes()), "{text}");
        }
    }
}
