//! Sizes as people type them.

/// A number of bytes: `5GB`, `500MiB`, `1000000`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
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
        _ => return Err("expected a number and B, KB, MB, GB, KiB, MiB or GiB".into()),
    };
    let bytes = number.parse().ok().and_then(|number: u64| number.checked_mul(unit));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "expected a number of bytes above 0".into())
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
}
