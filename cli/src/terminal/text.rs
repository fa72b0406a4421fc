//! Words on a terminal: lines on standard error, sizes, quoting.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

pub(crate) use statedict::jobs::words::{NAMED, count, first_few, is_hidden, printable, short};
use statedict::jobs::words::{bounded_name, cut};

use crate::terminal::color;

/// Writes a line to standard error; where that fails nothing can be said.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", color::said(&printable(line)));
}

/// Characters of a sentence that are shown.
const MAX_SENTENCE: usize = 2000;

/// A name as a line has room for it, in quotes where it would not be seen; `--json` gives it whole.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    match bounded_name(text) {
        Cow::Borrowed(whole) => printable(whole),
        Cow::Owned(cut) => Cow::Owned(printable(&cut).into_owned()),
    }
}

/// The text without the middle of a sentence that is too long.
pub(crate) fn sentence(text: &str) -> Cow<'_, str> {
    cut(text, MAX_SENTENCE)
}

/// Standard output as a terminal may show it: characters that are not seen are written `\u202e`, as
/// JSON and TOML read them.
pub(crate) struct Visible<W>(pub(crate) W);

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_ascii() {
            return self.0.write(bytes);
        }
        let is_meant = |c: char| c.is_ascii() || !is_hidden(c);
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().all(is_meant) => {
                let text: String = text
                    .chars()
                    .map(|c| if is_meant(c) { c.to_string() } else { units(c) })
                    .collect();
                self.0.write_all(text.as_bytes()).map(|()| bytes.len())
            }
            _ => self.0.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A character by its units in UTF-16, as JSON has it.
fn units(c: char) -> String {
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// Characters of a text that are shown on one line; what `--json` prints is whole.
const SHOWN: usize = 120;

/// The text as far as one line has room, with how much there is beyond.
pub(crate) fn bounded(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            let more = text[end..].chars().count();
            Cow::Owned(format!("{}… ({more} more characters)", &text[..end]))
        }
    }
}

/// A number of bytes as people say it.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A word as a shell reads it back.
pub(crate) fn shell_word(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    if word.contains(is_hidden) {
        return Cow::Owned(format!("$'{}'", word.chars().map(in_dollars).collect::<String>()));
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// A text between quotes, so that it can be copied as a word even if some of it is not seen.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains(is_hidden) { shell_word(text).into_owned() } else { format!("'{text}'") }
}

/// A character within `$'…'`, where what is not seen is written by its bytes.
fn in_dollars(c: char) -> String {
    match c {
        '\'' | '\\' => format!("\\{c}"),
        c if is_hidden(c) => {
            c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")).collect()
        }
        c => c.to_string(),
    }
}

/// A path that no option is like: `./-x` for `-x`.
pub(crate) fn as_operand(path: &Path) -> String {
    let text = path.display().to_string();
    if text.starts_with('-') { format!("./{text}") } else { text }
}

/// A path as a shell and the command read it back.
pub(crate) fn shell_path(path: &Path) -> String {
    shell_word(&as_operand(path)).into_owned()
}

/// An option with its value: `--at model`, `--at=-x`.
pub(crate) fn shell_option(option: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!("{option}{between}{}", shell_word(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_figures() {
        let cases = [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB")];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!(size(u64::MAX), "18.4 EB");
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        let cases =
            [("a.pth", "a.pth"), ("a -> b", "'a -> b'"), ("it's", r"'it'\''s'"), ("", "''")];
        for (word, expected) in cases {
            assert_eq!(shell_word(word), expected);
        }
    }

    #[test]
    fn another_reader_of_shell_words_reads_them_back() {
        let words = ["a b", "it's", "", "a\\b$c`d`", "\"x\"", "{a..} -> *", "#a", "~", "!x", "é"];
        let line = words.map(shell_word).join(" ");
        assert_eq!(shlex::split(&line).expect("a line"), words);
    }

    #[test]
    fn what_looks_like_an_option_is_written_so_that_it_is_none() {
        assert_eq!(shell_path(Path::new("-x y.pth")), "'./-x y.pth'");
        assert_eq!(shell_path(Path::new("a/-x.pth")), "a/-x.pth");
        assert_eq!(shell_option("--at", "model"), "--at model");
        assert_eq!(shell_option("--at", "-x"), "--at=-x");
    }

    #[test]
    fn keys_do_not_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\nb"), r"a\u{1b}[2J\nb");
        let hidden = [
            '\u{202a}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{200e}',
            '\u{200f}',
            '\u{61c}',
            '\u{85}',
            '\u{9b}',
            '\u{2028}',
            '\u{2029}',
            '\u{200b}',
            '\u{200d}',
            '\u{feff}',
            '\u{2060}',
            '\u{e0041}',
            '\u{ad}',
            '\u{fe0f}',
        ];
        for c in hidden {
            let text = format!("a{c}b");
            assert_eq!(printable(&text), format!("a{}b", c.escape_unicode()));
        }
        let plain = "weights\u{e9}\u{4e2d}\u{646}\u{1f600} \u{2026}";
        assert_eq!(printable(plain), plain);
    }

    #[test]
    fn words_with_unseen_characters_can_be_copied() {
        assert_eq!(shell_word("a\u{202e}b"), r"$'a\342\200\256b'");
        assert_eq!(shell_word("it's\n\\"), r"$'it\'s\012\\'");
    }

    #[test]
    fn output_shows_what_is_not_seen_and_stays_json() {
        let mut out = Visible(Vec::new());
        let text = "a\u{202e}b\u{e0041}\n";
        serde_json::to_writer(&mut out, text).expect("written");
        assert_eq!(out.0, br#""a\u202eb\udb40\udc41\n""#);
        assert_eq!(serde_json::from_slice::<String>(&out.0).expect("JSON"), text);
    }
}
