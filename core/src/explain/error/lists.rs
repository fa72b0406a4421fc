//! Lists of keys in an error text, however they are written.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::explain::error::words::{joined, regex};

/// Keys of one list, and whether some were cut off.
#[derive(Debug, Default, PartialEq)]
pub(super) struct List {
    pub(super) keys: Vec<String>,
    pub(super) is_cut: bool,
}

/// Characters between two keys of a list, for a line break and what a log puts before a line.
const MAX_GAP: usize = 200;

/// Combinations that the groups of one name may stand for.
const MAX_EXPANDED: usize = 4096;

/// What says that some keys were left out.
const CUTS: [&str; 3] = ["...", "\u{2026}", "[truncated"];

/// The keys in the text after a heading.
pub(super) fn read(text: &str) -> List {
    let start = text.trim_start();
    let start = start.strip_prefix("\"{").map_or(start, |_| &start[1..]);
    let start = start.strip_prefix("\"set(").map_or(start, |_| &start[1..]);
    let start = start.strip_prefix("set(").unwrap_or(start);
    match start.chars().next() {
        Some('"') => quoted(start),
        Some('[' | '{' | '(') => literal(start),
        Some('\'') => python(start),
        _ => bare(text),
    }
}

/// `"a", "b".`, in which a key may hold quotes itself.
fn quoted(text: &str) -> List {
    let mut list = List::default();
    let mut rest = text;
    while let Some(open) = rest.find('"') {
        let gap = &rest[..open];
        list.is_cut |= is_cut(gap);
        if gap.contains("key") {
            // The heading of another list.
            return list;
        }
        let first = list.keys.is_empty();
        if !first && (!gap.trim_start().starts_with([',', ';']) && !is_cut(gap))
            || gap.len() > MAX_GAP
        {
            return list;
        }
        let inside = &rest[open + 1..];
        let Some(close) = closing(inside) else {
            list.is_cut = true;
            return list;
        };
        let key = joined(&inside[..close]);
        if is_cut(&key) {
            list.is_cut = true
        } else {
            list.keys.push(key)
        }
        rest = &inside[close + 1..];
    }
    let end = rest.lines().next().unwrap_or("");
    list.is_cut |= is_cut(end.get(..8).unwrap_or(end));
    list
}

/// Where the quote is that ends a key: what follows is a comma, a full stop, or the line's end.
fn closing(text: &str) -> Option<usize> {
    text.match_indices('"').map(|(at, _)| at).find(|at| ends_key(&text[at + 1..]))
}

/// True if a quote before this text ends a key.
fn ends_key(after: &str) -> bool {
    let trimmed = after.trim_start_matches([' ', '\t']);
    match trimmed.chars().next() {
        None | Some('\n' | ';' | ']' | '}' | ')') => true,
        Some(',') => {
            let next = trimmed[1..].trim_start();
            next.is_empty()
                || next.starts_with(['"', '[', '\u{2026}', '.', '(', '>', '|'])
                || trimmed[1..].starts_with('\n')
        }
        Some('.') => is_stop(&trimmed[1..]),
        Some('"') => after.starts_with('"') && is_stop(&trimmed[1..]),
        _ => is_cut(trimmed.get(..3).unwrap_or("")),
    }
}

fn is_stop(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([' ', '\t', '\n', '"', '.'])
}

/// `['a', "it's"]`, `{'a'}` or `('a',)` as Python prints them.
///
/// Some programs join the keys before they print the list: `['a, b']`.
fn literal(text: &str) -> List {
    let inside = text.trim_start_matches(['[', '{', '(']);
    let mut list = python(inside);
    if let [joined] = list.keys.as_slice()
        && joined.contains(", ")
    {
        list.keys = joined.split(", ").map(ToString::to_string).collect();
    }
    list
}

/// Strings as Python prints them, up to the bracket that ends them.
fn python(text: &str) -> List {
    let mut list = List::default();
    let mut rest = text;
    loop {
        let Some(open) = rest.find(['\'', '"', ']', '}', ')']) else {
            list.is_cut = true;
            return list;
        };
        list.is_cut |= is_cut(&rest[..open]);
        let quote = rest[open..].chars().next().unwrap_or(']');
        let inside = &rest[open + 1..];
        if !matches!(quote, '\'' | '"') || open > MAX_GAP {
            return list;
        }
        let Some(close) = inside.match_indices(quote).map(|(at, _)| at).find(|at| {
            let after = inside[at + 1..].trim_start();
            after.is_empty() || after.starts_with([',', ']', '}', ')', '.', '\u{2026}'])
        }) else {
            list.is_cut = true;
            return list;
        };
        list.keys.push(joined(&inside[..close]));
        rest = &inside[close + 1..];
    }
}

/// `a, b` on the heading's own line, or one key a line below it.
fn bare(text: &str) -> List {
    let (own, below) = text.split_once('\n').unwrap_or((text, ""));
    let key = regex(r"^[\w.\-/:]*[A-Za-z_][\w.\-/:]*(\{[\w.\-, ]+\}[\w.\-]*)*$");
    let mut list = List { keys: Vec::new(), is_cut: is_cut(own) };
    let mut take = |word: &str| {
        let word = word.trim().trim_start_matches(['-', '*', ' ']).trim_end_matches(['.', ',']);
        let is_key = key.is_match(word);
        if is_key {
            list.keys.extend(expanded(word));
        }
        is_key
    };
    if !own.trim().is_empty() {
        for word in own.split(", ") {
            take(word);
        }
        return list;
    }
    for line in below.lines().skip_while(|line| line.trim().is_empty()) {
        // One key a line, or all of them in one.
        let is_list = take(line) || line.split(", ").all(&mut take);
        if !is_list || line.trim_end().ends_with('.') {
            break;
        }
    }
    list
}

/// The names that `a.{0...3}.{bias, weight}` expands to.
pub(super) fn expanded(name: &str) -> Vec<String> {
    let (Some(open), Some(close)) = (name.find('{'), name.find('}')) else {
        return vec![name.to_string()];
    };
    if close < open {
        return vec![name.to_string()];
    }
    let (before, inside, after) = (&name[..open], &name[open + 1..close], &name[close + 1..]);
    let afters = expanded(after);
    let alternatives = alternatives(inside);
    if alternatives.len().saturating_mul(afters.len()) > MAX_EXPANDED {
        return Vec::new();
    }
    let mut names = Vec::new();
    for middle in &alternatives {
        names.extend(afters.iter().map(|after| [before, middle, after].concat()));
    }
    names
}

/// The contents of braces: numbers from one to another, or words.
fn alternatives(inside: &str) -> Vec<String> {
    let mut all = Vec::new();
    for part in inside.split(',').map(str::trim) {
        let numbers = part.split_once("...").or_else(|| part.split_once(".."));
        let numbers = numbers.and_then(|(a, b)| Some((a.parse::<u32>().ok()?, b.parse().ok()?)));
        match numbers {
            Some((first, last)) if last >= first && last - first < MAX_EXPANDED as u32 => {
                all.extend((first..=last).map(|number| number.to_string()));
            }
            _ => all.push(part.to_string()),
        }
    }
    all
}

fn is_cut(text: &str) -> bool {
    CUTS.iter().any(|cut| text.contains(cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, keys: &[&str], is_cut: bool) {
        let keys = keys.iter().map(|key| key.to_string()).collect();
        assert_eq!(read(text), List { keys, is_cut }, "{text}");
    }

    #[test]
    fn keys_are_in_quotes_and_may_hold_some() {
        check(r#" "a.b", "c". "#, &["a.b", "c"], false);
        check("\"a\",\n\t\"b\".\n\tUnexpected: \"c\"", &["a", "b"], false);
        check("\"a\",\n[rank0]: \"b\". ", &["a", "b"], false);
        check(
            r#""with "quotes".weight", "it's.bias", "a, b.weight". "#,
            &[r#"with "quotes".weight"#, "it's.bias", "a, b.weight"],
            false,
        );
        check("\"layer1.0.con\n  v1.weight\", \"b\".", &["layer1.0.conv1.weight", "b"], false);
        check("\"bias\", \"weight\"\n    Unexpected key(s): \"c\"", &["bias", "weight"], false);
    }

    #[test]
    fn lists_that_were_cut_short_are_known_to_be() {
        check(r#""a", "b", ..."#, &["a", "b"], true);
        check(r#""a", "b", ... "z"."#, &["a", "b", "z"], true);
        check(r#""a", "b.wei"#, &["a"], true);
        check(r#""a", ... Unexpected key(s): "b"."#, &["a"], true);
        check("\"a\", \u{2026}", &["a"], true);
    }

    #[test]
    fn lists_are_read_as_python_prints_them() {
        check(r#"['a', "it's", 'b'], unexpected_keys=['c'])"#, &["a", "it's", "b"], false);
        check("[]", &[], false);
        check("{'a', 'b'}", &["a", "b"], false);
        check("\"{'a', 'b'}\"", &["a", "b"], false);
        check("\"set(['a'])\"", &["a"], false);
    }

    #[test]
    fn lists_without_quotes_end_with_their_line() {
        check(" a.b, c\n\nmissing keys: d", &["a.b", "c"], false);
        check(
            "\n  stem.{bias, weight}\n  fc.0.w\nThat is all",
            &["stem.bias", "stem.weight", "fc.0.w"],
            false,
        );
        check(" 0", &[], false);
    }

    #[test]
    fn groups_mean_many_names() {
        assert_eq!(expanded("h.{0...2}.b"), ["h.0.b", "h.1.b", "h.2.b"]);
        assert_eq!(expanded("a.{0, 2}.{b, w}"), ["a.0.b", "a.0.w", "a.2.b", "a.2.w"]);
        assert_eq!(expanded("a}b{"), ["a}b{"]);
    }
}
