//! Words on a terminal: lines on standard error, sizes, quoting.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

/// Writes a line to standard error; where that fails there is nobody left to tell.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(line));
}

/// The text without characters that would steer a terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape =
        |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
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

/// `1 key`, `2 keys`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// The first few of some things, and how many there are beyond.
pub(crate) fn first_few(things: &[String], few: usize) -> String {
    let shown = things.iter().take(few).cloned().collect::<Vec<_>>().join(", ");
    match things.len().saturating_sub(few) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A word as a shell reads it back.
pub(crate) fn shell_word(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
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
    fn what_looks_like_an_option_is_written_so_that_it_is_none() {
        assert_eq!(shell_path(Path::new("-x y.pth")), "'./-x y.pth'");
        assert_eq!(shell_path(Path::new("a/-x.pth")), "a/-x.pth");
        assert_eq!(shell_option("--at", "model"), "--at model");
        assert_eq!(shell_option("--at", "-x"), "--at=-x");
    }

    #[test]
    fn keys_do_not_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\nb"), r"a\u{1b}[2J\nb");
    }
}
