//! Error texts as people paste them, made plain.

use alloc::string::{String, ToString};

use regex::Regex;

/// Signs that stand for others in texts that went through a terminal, a page, a log or a `repr`.
const STANDS_FOR: [(&str, &str); 15] = [
    ("\r\n", "\n"),
    ("\r", "\n"),
    ("&quot;", "\""),
    ("&#34;", "\""),
    ("&#39;", "'"),
    ("&#x27;", "'"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("\u{201c}", "\""),
    ("\u{201d}", "\""),
    ("\u{2018}", "'"),
    ("\u{2019}", "'"),
    ("\\\"", "\""),
    ("\\'", "'"),
    ("\\t", "\t"),
];

/// The text with plain quotes, and without colours and escapes; `\n` that was written out is a
/// line break again.
pub(super) fn plain(text: &str) -> String {
    let colours = regex(r"\x1b\[[0-9;?]*[A-Za-z]");
    let mut plain = colours.replace_all(text, "").into_owned();
    for (sign, meant) in STANDS_FOR {
        if plain.contains(sign) {
            plain = plain.replace(sign, meant);
        }
    }
    // A key that a load failed at may be a line break itself.
    let breaks = regex(r"([^'])\\n");
    breaks.replace_all(&plain, "$1\n").into_owned()
}

/// A pattern of this module's own.
pub(super) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is written here, and a test compiles it")
}

/// The byte that Python prints as `v`, `\x1f` or `\n`.
pub(super) fn byte(printed: &str) -> Option<u8> {
    let Some(escape) = printed.strip_prefix('\\') else { return one_byte(printed) };
    match escape.strip_prefix('x') {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => match escape {
            "n" => Some(b'\n'),
            "r" => Some(b'\r'),
            "t" => Some(b'\t'),
            other => one_byte(other),
        },
    }
}

fn one_byte(text: &str) -> Option<u8> {
    let mut chars = text.chars();
    let byte = u8::try_from(u32::from(chars.next()?)).ok()?;
    chars.next().is_none().then_some(byte)
}

/// The lengths in `torch.Size([64, 3])`, `(64, 3)` or `[64, 3]`; `None` if they are not numbers.
pub(super) fn shape(printed: &str) -> Option<alloc::vec::Vec<u64>> {
    let inside = printed.rsplit(['[', '(']).next()?.trim_end_matches([']', ')', ' ']);
    let lengths = inside.split(',').map(str::trim).filter(|length| !length.is_empty());
    lengths.map(|length| length.parse().ok()).collect()
}

/// A key whose line was broken by a terminal, in one piece.
pub(super) fn joined(key: &str) -> String {
    if key.contains('\n') {
        key.split('\n').map(str::trim_start).collect()
    } else {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lose_what_terminals_pages_and_logs_put_into_them() {
        let check = |text: &str, expected: &str| assert_eq!(plain(text), expected);
        check("\u{1b}[1ma\u{1b}[0m\r\nb", "a\nb");
        check("Missing: &quot;a&quot;, \u{201c}b\u{201d}", "Missing: \"a\", \"b\"");
        check(
            r#""text": "X:\n\tMissing key(s): \"a\"""#,
            "\"text\": \"X:\n\tMissing key(s): \"a\"\"",
        );
    }

    #[test]
    fn bytes_and_shapes_are_read_as_python_prints_them() {
        let bytes = [("v", b'v'), ("\\x1f", 0x1f), ("\\n", b'\n'), ("\u{e9}", 0xe9)];
        for (printed, expected) in bytes {
            assert_eq!(byte(printed), Some(expected), "{printed}");
        }
        assert_eq!(byte("ab"), None);
        assert_eq!(shape("torch.Size([64, 3])").as_deref(), Some([64, 3].as_slice()));
        assert_eq!(shape("(7,)").as_deref(), Some([7].as_slice()));
        assert_eq!(shape("torch.Size([])").as_deref(), Some([].as_slice()));
        assert_eq!(shape("torch.Size([a])"), None);
    }
}
