//! Integers beyond 64 bits in decimal, as Python prints them.

/// The longest that is written out, in bytes, which all have that `LONG1` holds: time grows with
/// the square of the length.
const MAX_LEN: usize = 255;

/// Nine decimal digits.
const BILLION: u64 = 1_000_000_000;

/// The number of a text that Python takes for a whole one.
pub(crate) fn of_text(text: &[u8]) -> String {
    let text = std::str::from_utf8(text).map(str::trim).unwrap_or_default();
    let text = text.strip_suffix('L').unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    format!("{sign}{}", digits.trim_start_matches('0'))
}

/// The number of bytes in two's complement, the lowest first; in hexadecimal if it is very long.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    if bytes.len() > MAX_LEN {
        let hex: String = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
        return format!("{}{hex}", if is_negative { "0x…" } else { "0x" });
    }
    let mut magnitude = bytes.to_vec();
    if is_negative {
        negate(&mut magnitude);
    }
    let mut groups = groups(&magnitude).into_iter();
    let first = groups.next().unwrap_or_default();
    let rest: String = groups.map(|group| format!("{group:09}")).collect();
    format!("{}{first}{rest}", if is_negative { "-" } else { "" })
}

/// The number times minus one, as long as before: the magnitude of one below zero.
fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes {
        let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
        (*byte, carry) = (sum, over);
    }
}

/// Groups of nine digits, the highest first.
fn groups(magnitude: &[u8]) -> Vec<u64> {
    let mut groups: Vec<u64> = Vec::new();
    for byte in magnitude.iter().rev() {
        let mut carry = u64::from(*byte);
        for group in &mut groups {
            let wide = *group * 256 + carry;
            (*group, carry) = (wide % BILLION, wide / BILLION);
        }
        if carry > 0 {
            groups.push(carry);
        }
    }
    groups.reverse();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_python_prints() {
        let check = |bytes: &[u8], expected| assert_eq!(of_bytes(bytes), expected, "{bytes:x?}");
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], "18446744073709551615");
        check(&[0, 0, 0, 0, 0, 0, 0, 0, 1], "18446744073709551616");
        check(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff], "-18446744073709551616");
        check(b"1234567890", "227729106355936394687025");
        check(b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\0", "119547037146038801333356");
        assert_eq!(of_text(b"-0018446744073709551616L"), "-18446744073709551616");
    }
}
