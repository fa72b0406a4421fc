//! Short texts that messages are made of.

use std::borrow::Cow;

use statedict_core::{DType, Omitted};

/// Characters of a name that are shown; the middle of a longer one is cut out.
const MAX_NAME: usize = 160;

/// Things of one kind that a sentence names; the rest is counted.
pub const NAMED: usize = 6;

/// Things with tensors in them that a sentence names, since they are what people look for.
const TENSORS_NAMED: usize = 24;

/// `1 key`, `2 keys`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// `1 finite value`, `2 finite values`; of a type without infinities, what is cut to its largest
/// number, infinite values too.
pub fn overflowed_values(to: &DType, number: u64) -> String {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    count(number, if *to == DType::F8E4M3 { "value" } else { "finite value" })
}

/// What a type makes of numbers beyond its range.
pub fn overflow_result(to: &DType) -> &'static str {
    if *to == DType::F8E4M3 { "±448 (the largest of F8_E4M3)" } else { "infinite" }
}

/// The first few of some things, and how many there are beyond.
pub fn first_few(things: &[String], few: usize) -> String {
    let shown = things.iter().take(few).map(|thing| short(thing)).collect::<Vec<_>>().join(", ");
    match things.len().saturating_sub(few) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What is not in a new file: first what holds tensors, and of the rest the first few.
pub fn omitted(omitted: &Omitted) -> String {
    let metadata = omitted.metadata.iter().map(|key| (key.clone(), "metadata".to_string()));
    let metadata: Vec<_> = metadata.collect();
    let all = omitted.keys.iter().chain(&metadata).chain(&omitted.payload);
    let (tensors, rest): (Vec<_>, Vec<_>) = all.partition(|(_, kind)| holds_tensors(kind));
    let few = NAMED.max(tensors.len().min(TENSORS_NAMED));
    let all = tensors.into_iter().chain(rest);
    first_few(&all.map(|(path, kind)| format!("{path} ({kind})")).collect::<Vec<_>>(), few)
}

fn holds_tensors(kind: &str) -> bool {
    kind.ends_with("tensor") || kind.ends_with("tensors")
}

/// The text without the middle of a name that is too long.
pub fn short(text: &str) -> Cow<'_, str> {
    cut(text, MAX_NAME)
}

/// The same of a name that stands alone: in quotes where its ends would not be seen.
pub fn bounded_name(text: &str) -> Cow<'_, str> {
    let name = short(text);
    let is_seen = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
    if is_seen(name.chars().next()) && is_seen(name.chars().next_back()) {
        return name;
    }
    Cow::Owned(format!("\"{name}\""))
}

/// The beginning and the end of a text that has more characters.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    // No character has more bytes than four, and most texts are short.
    if text.len() <= most || text.chars().count() <= most {
        return Cow::Borrowed(text);
    }
    let end = most / 3;
    let position = |number: usize| text.char_indices().nth(number).map_or(text.len(), |(at, _)| at);
    let last = text.char_indices().rev().nth(end - 1).map_or(0, |(at, _)| at);
    Cow::Owned(format!("{}\u{2026}{}", &text[..position(most - end - 1)], &text[last..]))
}

/// The text without characters that would steer a terminal or deceive its reader.
pub fn printable(text: &str) -> Cow<'_, str> {
    // Most texts are plain, which is checked faster.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain || !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| match c {
        c if is_hidden(c) => c.escape_default().to_string(),
        c => c.to_string(),
    });
    Cow::Owned(escaped.collect())
}

/// True for characters that are not seen: controls, marks that turn the direction of what follows,
/// separators of lines, and what takes no room.
pub fn is_hidden(c: char) -> bool {
    let is_unseen = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    c.is_control() || is_unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_whose_ends_are_not_seen_are_quoted() {
        let cases =
            [("", r#""""#), (" ", r#"" ""#), ("w ", r#""w ""#), ("\n", "\"\n\""), ("a b", "a b")];
        for (name, expected) in cases {
            assert_eq!(bounded_name(name), expected);
        }
    }

    #[test]
    fn long_names_keep_their_beginning_and_their_end() {
        let long = format!("{}.weight", "a".repeat(70_000));
        let shown = short(&long);
        assert_eq!(shown.chars().count(), MAX_NAME);
        assert!(
            shown.starts_with("aaa") && shown.ends_with("a.weight") && shown.contains('\u{2026}')
        );
        let exact = "\u{e9}".repeat(MAX_NAME);
        assert_eq!(short(&exact), exact);
        assert_eq!(short(&(exact + "b")).chars().count(), MAX_NAME);
    }
}
