//! Ties recorded in `__metadata__` as `alias: kept`, and what a renaming makes of them.

use std::collections::HashSet;

use statedict_core::{SEPARATOR, Section};

use crate::header::{Header, Pair};

/// The metadata key that names a framework and never a tensor.
pub(crate) const FORMAT: &str = "format";

/// Decides what becomes of recorded ties when keys are renamed.
pub(crate) struct Ties<'a> {
    section: &'a Section,
    /// The leading segments that every key changes, old and new, if it is the same for all.
    change: Option<(String, String)>,
    /// Names that an alias cannot take: tensors of the new file and keys of `__metadata__`.
    taken: HashSet<&'a str>,
}

impl<'a> Ties<'a> {
    pub(crate) fn new(header: &'a Header<'_>, section: &'a Section) -> Ties<'a> {
        let tensors = section.kept().map(|(_, new)| new);
        let pairs = header.metadata().iter().map(|pair| pair.key.decoded.as_str());
        let taken = tensors.chain(pairs).chain([FORMAT]).collect();
        Ties { section, change: common_change(section), taken }
    }

    /// The new alias and kept key of a pair; `None` for a pair that stays as it is.
    ///
    /// A pair is a tie if its value is a renamed tensor and its key names nothing else of the file.
    pub(crate) fn follow(&self, pair: &Pair) -> Option<(String, String)> {
        let (alias, kept) = (pair.key.decoded.as_str(), pair.value.decoded.as_str());
        if alias == FORMAT || self.section.fate(alias).is_some() {
            return None;
        }
        let renamed = self.section.fate(kept)?.filter(|new| *new != kept)?;
        let change = self.change.as_ref();
        let new = change.and_then(|(from, to)| along(alias, from, to));
        let new = new.filter(|new| !self.taken.contains(new.as_str()));
        Some((new.unwrap_or_else(|| alias.to_string()), renamed.to_string()))
    }
}

/// The change of leading segments, if all kept keys have the same.
fn common_change(section: &Section) -> Option<(String, String)> {
    let mut changes = section.kept().map(|(old, new)| changed(old, new));
    let first = changes.next()?;
    changes.all(|change| change == first).then_some(first)
}

/// The alias with its leading segments changed.
fn along(alias: &str, from: &str, to: &str) -> Option<String> {
    let rest = match from {
        "" => alias,
        from => alias.strip_prefix(from)?.strip_prefix(SEPARATOR)?,
    };
    let named = if to.is_empty() { rest.to_string() } else { format!("{to}{SEPARATOR}{rest}") };
    (!rest.is_empty()).then_some(named)
}

/// What is left of both names without the segments that they end on together.
fn changed(old: &str, new: &str) -> (String, String) {
    let mut from: Vec<&str> = old.split(SEPARATOR).collect();
    let mut to: Vec<&str> = new.split(SEPARATOR).collect();
    while from.last().is_some() && from.last() == to.last() {
        from.pop();
        to.pop();
    }
    let separator = SEPARATOR.to_string();
    (from.join(&separator), to.join(&separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_changes_as_the_keys_do() {
        let check = |alias, old, new, expected: Option<&str>| {
            let (from, to) = changed(old, new);
            assert_eq!(along(alias, &from, &to).as_deref(), expected, "{alias}: {old} -> {new}");
        };
        check("module.b", "module.a", "a", Some("b"));
        check("module.h.w", "module.module.w", "module.w", Some("h.w"));
        check("head.w", "embed.w", "model.embed.w", Some("model.head.w"));
        check("f.module.1.w", "f.module.0.w", "f.0.w", Some("f.1.w"));
        check("head.w", "module.embed.w", "embed.w", None);
        check("modules.w", "module.w", "w", None);
    }
}
