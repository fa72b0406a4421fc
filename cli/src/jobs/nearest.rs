//! What was probably meant by a name that is not there.

use std::collections::HashSet;

use statedict_core::{SEPARATOR, Template};

/// Names that are compared, so that a refusal comes at once whatever a file holds.
const MAX_NAMES: usize = 100_000;

/// Characters of a name that are compared.
const MAX_LENGTH: usize = 200;

/// The name that is nearest, if one is near: a quarter of its characters may be others.
pub(crate) fn nearest<'a>(
    typed: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let typed: Vec<char> = typed.chars().take(MAX_LENGTH).collect();
    let near = |name: &'a str| {
        let name_chars: Vec<char> = name.chars().take(MAX_LENGTH).collect();
        let most = match typed.len().max(name_chars.len()) {
            0..=2 => 0,
            length => (length / 4).max(1),
        };
        let apart = typed.len().abs_diff(name_chars.len());
        if apart > most {
            return None;
        }
        let distance = distance(&typed, &name_chars);
        (1..=most).contains(&distance).then_some((distance, name))
    };
    let found = names.into_iter().take(MAX_NAMES).filter_map(near);
    found.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// The pattern with other words where keys begin with words much like its own.
pub(crate) fn nearest_pattern<'a>(
    typed: &str,
    separator: char,
    keys: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let is_word = |segment: &&str| !segment.contains(['*', '{', '}', '\\']);
    let words = typed.split(separator).take_while(is_word).count();
    let begins: HashSet<&str> =
        keys.into_iter().take(MAX_NAMES).filter_map(|key| begin(key, separator, words)).collect();
    let own = begin(typed, separator, words)?;
    let mut begins: Vec<&str> = begins.into_iter().collect();
    begins.sort_unstable();
    let meant = nearest(own, begins)?;
    Some(format!("{}{}", Template::literal(meant, SEPARATOR), &typed[own.len()..]))
}

/// The first segments of a name that has as many.
fn begin(name: &str, separator: char, segments: usize) -> Option<&str> {
    if segments == 0 {
        return None;
    }
    match name.match_indices(separator).nth(segments - 1) {
        Some((at, _)) => Some(&name[..at]),
        None => (name.split(separator).count() == segments).then_some(name),
    }
}

/// How many characters must be put in, taken out, replaced, or swapped with their neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let check = |typed: &str, expected: Option<&str>| {
            assert_eq!(nearest(typed, ["model", "model_ema", "optimizer"]), expected, "{typed}");
        };
        check("modle", Some("model"));
        check("modl", Some("model"));
        check("optimiser", Some("optimizer"));
        check("model", None);
        check("weights", None);
        check("", None);
    }

    #[test]
    fn patterns_keep_what_is_not_a_word() {
        let keys = ["encoder.0.w", "encoder.1.w", "head.w"];
        let check = |typed: &str, expected: Option<&str>| {
            assert_eq!(nearest_pattern(typed, '.', keys).as_deref(), expected, "{typed}");
        };
        check("encodr.**", Some("encoder.**"));
        check("encoder.O.w", Some("encoder.0.w"));
        check("haed.{r..}", Some("head.{r..}"));
        check("**", None);
        check("decoder.x.**", None);
    }
}
