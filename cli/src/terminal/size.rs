//! Sizes as people type them.

use bytesize::ByteSize;
use statedict::core::Headroom;

/// A number of bytes above 0.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        0 | u64::MAX => Err("expected a number of bytes above 0 and below 16 EiB".into()),
        bytes => Ok(bytes),
    }
}

/// A number of bytes to keep free, which may be none.
pub(crate) fn reserve(text: &str) -> Result<u64, String> {
    let bytes = bytes(text)?;
    if bytes > Headroom::LIMIT { Err("expected at most 100MB".into()) } else { Ok(bytes) }
}

/// A number of bytes: `5GB`, `1.5 GiB`, `1000000`; the largest number if it is beyond counting.
fn bytes(text: &str) -> Result<u64, String> {
    let size: Result<ByteSize, String> = text.parse();
    let bytes = size.map(|size| size.as_u64());
    bytes.map_err(|_| "expected a number and B, KB, MB, GB, KiB, MiB or GiB".into())
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
        check("7b", Some(7));
        check("1.5gib", Some(3 << 29));
        check("0", None);
        check("5XB", None);
        check("GB", None);
        check("99999999999GB", None);
        check("-1", None);
        check("184467440737095516155", None);
        check("", None);
    }

    #[test]
    fn nothing_can_be_reserved_and_not_everything() {
        assert_eq!(reserve("0"), Ok(0));
        assert_eq!(reserve("64KiB"), Ok(65_536));
        assert_eq!(reserve("101MB").ok(), None);
        assert_eq!(reserve("B").ok(), None);
    }
}
