//! Sizes as people type them.

/// The most room that can be asked for: the longest header that safetensors has.
const MOST_RESERVED: u64 = 100_000_000;

/// A number of bytes above 0.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let some = bytes(text)?.filter(|bytes| *bytes > 0);
    some.ok_or_else(|| "expected a number of bytes above 0".into())
}

/// A number of bytes to keep free, which may be none.
pub(crate) fn reserve(text: &str) -> Result<u64, String> {
    let some = bytes(text)?.filter(|bytes| *bytes <= MOST_RESERVED);
    some.ok_or_else(|| "expected at most 100MB".into())
}

/// A number of bytes: `5GB`, `500MiB`, `1000000`; `None` if it is beyond counting.
fn bytes(text: &str) -> Result<Option<u64>, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return expected(),
    };
    if digits == 0 {
        return expected();
    }
    Ok(number.parse().ok().and_then(|number: u64| number.checked_mul(unit)))
}

fn expected<T>() -> Result<T, String> {
    Err("expected a number and B, KB, MB, GB, KiB, MiB or GiB".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_unless_they_say_otherwise() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(parse(text).ok(), expected, "{text}");
        };
        check("5GB", Some(5_000_000_000));
        check("2 MiB", Some(2 << 20));
        check("123", Some(123));
        check("0", None);
        check("5XB", None);
        check("GB", None);
        check("99999999999GB", None);
    }

    #[test]
    fn nothing_can_be_reserved_and_not_everything() {
        assert_eq!(reserve("0"), Ok(0));
        assert_eq!(reserve("64KiB"), Ok(65_536));
        assert_eq!(reserve("101MB").ok(), None);
        assert_eq!(reserve("B").ok(), None);
    }
}
