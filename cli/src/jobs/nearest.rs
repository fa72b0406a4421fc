//! What was probably meant by a name that is not there.

use std::collections::HashSet;

use statedict_core::{SEPARATOR, Template};
use strsim::osa_distance;

/// Names that are compared, so that a refusal comes at once whatever a file holds.
const MAX_NAMES: usize = 100_000;

/// Characters of a name that are compared.
const MAX_LENGTH: usize = 200;

/// The name that is nearest, if one is near: a quarter of its characters may be others.
pub(crate) fn nearest<'a>(
    typed: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let names = names.into_iter().take(MAX_NAMES);
    let near = names.filter_map(|name| Some((distance(typed, name)?, name)));
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// The name that is near or, of names of segments, the one that this is a part of or that is a part
/// of this: `fc.weight` for `weight`, `weights` and `module.fc.weight`.
pub(crate) fn nearest_name<'a>(
    typed: &str,
    names: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let parts = || names.clone().into_iter().take(MAX_NAMES);
    let last = |name: &'a str| name.rsplit([SEPARATOR, '/']).next().unwrap_or(name);
    nearest(typed, parts())
        .or_else(|| parts().find(|name| is_end(name, typed) || is_end(typed, name)))
        .or_else(|| parts().find(|name| is_beginning(name, typed)))
        .or_else(|| parts().find(|name| name.eq_ignore_ascii_case(typed)))
        .or_else(|| {
            let meant = nearest(typed, parts().map(last))?;
            parts().find(|name| last(name) == meant)
        })
}

/// True if the last segments of a name are these.
fn is_end(name: &str, end: &str) -> bool {
    let rest = name.strip_suffix(end).filter(|_| !end.is_empty());
    rest.is_some_and(|rest| rest.ends_with([SEPARATOR, '/']))
}

/// True if the first segments of a name are these.
fn is_beginning(name: &str, beginning: &str) -> bool {
    let rest = name.strip_prefix(beginning).filter(|_| !beginning.is_empty());
    rest.is_some_and(|rest| rest.starts_with([SEPARATOR, '/']))
}

/// How many characters must be put in, taken out, replaced, or swapped with their neighbours;
/// `None` if the names are the same, or far apart.
fn distance(typed: &str, name: &str) -> Option<usize> {
    let (typed, name) = (start(typed), start(name));
    let lengths = [typed.chars().count(), name.chars().count()];
    let most = match lengths[0].max(lengths[1]) {
        0..=2 => 0,
        length => (length / 4).max(1),
    };
    if lengths[0].abs_diff(lengths[1]) > most {
        return None;
    }
    let distance = osa_distance(typed, name);
    (1..=most).contains(&distance).then_some(distance)
}

/// As much of a name as is compared.
fn start(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_LENGTH).map_or(name.len(), |(end, _)| end);
    &name[..end]
}

/// The pattern with other words where keys begin with words much like its own.
pub(crate) fn nearest_pattern<'a>(
    typed: &str,
    separator: char,
    keys: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let segments = typed.split(separator);
    let words = segments.take_while(|segment| !segment.contains(['*', '{', '}', '\\'])).count();
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
    fn parts_of_names_are_taken_for_them() {
        let check = |typed: &str, expected: Option<&str>| {
            let names = ["module.fc.weight", "module.fc.bias", "Scale"];
            assert_eq!(nearest_name(typed, names), expected, "{typed}");
        };
        check("fc.bias", Some("module.fc.bias"));
        check("bias", Some("module.fc.bias"));
        check("module.fc", Some("module.fc.weight"));
        check("net.module.fc.bias", Some("module.fc.bias"));
        check("wieght", Some("module.fc.weight"));
        check("scale", Some("Scale"));
        check("as", None);
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
