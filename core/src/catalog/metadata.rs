//! Text beside the tensors, under names of its own, and what is to become of it.
//!
//! Safetensors keeps it as `__metadata__`; what is trained with LoRA has its settings there.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::IndexMap;

/// What someone wants changed in a file's metadata, whatever it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataEdits {
    /// Texts to put in, each under its key.
    pub set: Vec<(String, String)>,
    /// Keys to take out, unless a text is put in there.
    pub drop: Vec<Glob>,
}

/// What becomes of the text under one key of a file's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataChange {
    /// The key.
    pub key: String,
    /// The text there was, if any.
    pub old: Option<String>,
    /// The text there will be, if any.
    pub new: Option<String>,
}

/// A pattern for whole names: `*` matches any characters, `?` one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

/// Why a text is not `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadMetadata {
    /// There is no `=`.
    #[error("expected KEY=VALUE, found '{0}'")]
    NoValue(String),
    /// The name before the `=` is empty.
    #[error("expected KEY=VALUE with a key before '='")]
    NoKey,
    /// Two texts for one key.
    #[error("metadata key '{0}' is given twice")]
    Twice(String),
}

impl MetadataEdits {
    /// Edits that put in the texts of `KEY=VALUE`; only the first `=` counts.
    ///
    /// # Errors
    /// What is not of that form, or names a key a second time.
    pub fn parse<'a>(
        set: impl IntoIterator<Item = &'a str>,
        drop: Vec<Glob>,
    ) -> Result<MetadataEdits, BadMetadata> {
        let mut pairs = IndexMap::<String, String>::default();
        for text in set {
            let Some((key, value)) = text.split_once('=') else {
                return Err(BadMetadata::NoValue(text.to_string()));
            };
            if key.is_empty() {
                return Err(BadMetadata::NoKey);
            }
            if pairs.insert(key.to_string(), value.to_string()).is_some() {
                return Err(BadMetadata::Twice(key.to_string()));
            }
        }
        Ok(MetadataEdits { set: pairs.into_iter().collect(), drop })
    }

    /// True if nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.drop.is_empty()
    }

    /// What changes in a file with this metadata, in its order, new keys last.
    pub fn resolve(&self, metadata: &[(String, String)]) -> Vec<MetadataChange> {
        let set: IndexMap<&str, &str> =
            self.set.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let is_dropped = |key: &str| self.drop.iter().any(|glob| glob.matches(key));
        let there = metadata.iter().filter_map(|(key, old)| {
            let new = match set.get(key.as_str()) {
                Some(new) => Some((*new).to_string()),
                None if is_dropped(key) => None,
                None => return None,
            };
            let old = Some(old.clone());
            (old != new).then(|| MetadataChange { key: key.clone(), old, new })
        });
        let is_there = |key: &str| metadata.iter().any(|(old, _)| old == key);
        let added = self.set.iter().filter(|(key, _)| !is_there(key)).map(|(key, value)| {
            MetadataChange { key: key.clone(), old: None, new: Some(value.clone()) }
        });
        there.chain(added).collect()
    }

    /// The patterns that match no key of this metadata.
    pub fn unused(&self, metadata: &[(String, String)]) -> Vec<&Glob> {
        let is_used = |glob: &Glob| metadata.iter().any(|(key, _)| glob.matches(key));
        self.drop.iter().filter(|glob| !is_used(glob)).collect()
    }
}

impl MetadataChange {
    /// The metadata with these changes made: order kept, new keys last.
    pub fn apply(
        changes: &[MetadataChange],
        metadata: Vec<(String, String)>,
    ) -> Vec<(String, String)> {
        let mut all: IndexMap<String, Option<String>> =
            metadata.into_iter().map(|(key, value)| (key, Some(value))).collect();
        for change in changes {
            all.insert(change.key.clone(), change.new.clone());
        }
        all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// The changes that lead from one metadata to another, whatever their order.
    pub fn between(from: &[(String, String)], to: &[(String, String)]) -> Vec<MetadataChange> {
        let old: IndexMap<&str, &str> =
            from.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let new: IndexMap<&str, &str> =
            to.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let change = |key: &str| MetadataChange {
            key: key.to_string(),
            old: old.get(key).map(ToString::to_string),
            new: new.get(key).map(ToString::to_string),
        };
        let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(**key)));
        keys.map(|key| change(key)).filter(|change| change.old != change.new).collect()
    }

    /// The change that undoes this one.
    pub fn invert(&self) -> MetadataChange {
        MetadataChange { key: self.key.clone(), old: self.new.clone(), new: self.old.clone() }
    }
}

impl Glob {
    /// True if the pattern is that of the whole name.
    ///
    /// Takes at most the product of both lengths in steps.
    pub fn matches(&self, name: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let name: Vec<char> = name.chars().collect();
        let (mut p, mut n) = (0, 0);
        // Where the last `*` is, and how far into the name it reaches so far.
        let mut star = None;
        while n < name.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(c) if *c == '?' || *c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    let Some((at, reach)) = star else { return false };
                    star = Some((at, reach + 1));
                    p = at + 1;
                    n = reach + 1;
                }
            }
        }
        pattern[p..].iter().all(|c| *c == '*')
    }
}

impl FromStr for Glob {
    type Err = core::convert::Infallible;

    fn from_str(text: &str) -> Result<Glob, Self::Err> {
        Ok(Glob(text.to_string()))
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn edits(set: &[&str], drop: &[&str]) -> MetadataEdits {
        let drop = drop.iter().map(|glob| Glob(glob.to_string())).collect();
        MetadataEdits::parse(set.iter().copied(), drop).expect("KEY=VALUE")
    }

    #[test]
    fn globs_match_whole_names() {
        let check = |glob: &str, name: &str, expected: bool| {
            assert_eq!(Glob(glob.into()).matches(name), expected, "{glob} {name}");
        };
        check("ss_*", "ss_network_dim", true);
        check("ss_*", "xss_", false);
        check("*", "", true);
        check("", "", true);
        check("", "a", false);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("*.title", "modelspec.title", true);
        check("*a*b*", "xxaxxbxx", true);
        check("*a*b", "aabab", true);
        check("*ab", "aabba", false);
        check("format", "format", true);
        check("é*", "éa", true);
    }

    #[test]
    fn edits_become_changes_of_what_is_there() {
        let metadata = pairs(&[("format", "pt"), ("ss_a", "1"), ("ss_b", "2"), ("t", "x")]);
        let edits = edits(&["ss_b=3", "new=a=b", "t=x"], &["ss_*", "none"]);
        let changes = edits.resolve(&metadata);
        let change = |key: &str, old: Option<&str>, new: Option<&str>| MetadataChange {
            key: key.into(),
            old: old.map(Into::into),
            new: new.map(Into::into),
        };
        let expected = [
            change("ss_a", Some("1"), None),
            change("ss_b", Some("2"), Some("3")),
            change("new", None, Some("a=b")),
        ];
        assert_eq!(changes, expected);
        let changed = MetadataChange::apply(&changes, metadata.clone());
        assert_eq!(changed, pairs(&[("format", "pt"), ("ss_b", "3"), ("t", "x"), ("new", "a=b")]));
        let back: Vec<_> = changes.iter().map(MetadataChange::invert).collect();
        let mut restored = MetadataChange::apply(&back, changed);
        restored.sort();
        assert_eq!(restored, metadata);
        assert_eq!(edits.unused(&metadata), [&Glob("none".into())]);
    }

    #[test]
    fn what_is_not_a_pair_is_refused() {
        let check = |texts: &[&str], expected: &str| {
            let bad = MetadataEdits::parse(texts.iter().copied(), Vec::new()).expect_err("bad");
            assert_eq!(bad.to_string(), expected);
        };
        check(&["author"], "expected KEY=VALUE, found 'author'");
        check(&["=x"], "expected KEY=VALUE with a key before '='");
        check(&["a=1", "a=2"], "metadata key 'a' is given twice");
        assert_eq!(edits(&["a="], &[]).set, pairs(&[("a", "")]));
    }
}
