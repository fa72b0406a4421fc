//! What a file says it holds.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::{fmt, iter};

use thiserror::Error;

use crate::{IndexMap, SEPARATOR, Tensor};

/// Keys, tensors and state dicts of one checkpoint, in file order.
///
/// Within a state dict keys are unique; [`StateDict::insert`] sees to it.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Every tensor of the file, whichever container holds it.
    pub rows: Vec<Row>,
    /// The mappings whose keys can be renamed.
    pub state_dicts: Vec<StateDict>,
    /// What lies beside the tensors: epoch, optimizer, objects of unknown classes.
    pub payload: Vec<Payload>,
}

/// One tensor and where in the file's structure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The path of dict keys and list indices to the mapping that holds it, joined by `/`.
    pub at: String,
    /// Its key there.
    pub key: Key,
    /// What it is.
    pub tensor: Tensor,
}

impl Row {
    /// The path to the tensor: its mapping's, and its key.
    pub fn path(&self) -> String {
        match self.at.as_str() {
            "" => self.key.to_string(),
            at => alloc::format!("{at}/{}", self.key),
        }
    }
}

/// The name of a tensor in the mapping that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A string, which can be renamed.
    Text(String),
    /// Anything else, as Python prints it: `3`, `('t', 1)`. Shown, never renamed.
    Other(String),
}

/// A thing beside the tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The path to it, joined by `/`.
    pub at: String,
    /// What it is, in a word or two: `int`, `dict`, `argparse.Namespace`.
    pub kind: String,
}

/// A mapping from keys to tensors (and perhaps other values), in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateDict {
    /// The path to it, joined by `/`; empty at the root.
    pub at: String,
    /// Other paths that lead to the same object, so that renaming here renames there.
    pub aliases: Vec<String>,
    /// Module paths that its `_metadata` describes, with their versions where those are numbers; the
    /// root is `""`.
    pub modules: IndexMap<String, Option<u64>>,
    /// Why its keys cannot be renamed, if they cannot.
    pub fixed: Option<String>,
    entries: IndexMap<String, Option<usize>>,
}

/// Why no state dict was selected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotSelected {
    /// The file holds none.
    #[error("the file holds no state dict (no mapping from names to tensors)")]
    None,
    /// The file holds several and none was named.
    #[error("the file holds {} state dicts: {}", .0.len(), Listed(.0))]
    Several(Vec<(String, usize)>),
    /// None stands at the path that was named.
    #[error("no state dict at '{at}'; the file has: {}", Listed(.known))]
    Nowhere {
        /// The path that was asked for.
        at: String,
        /// What there is: paths with the number of keys.
        known: Vec<(String, usize)>,
    },
}

struct Listed<'a>(&'a [(String, usize)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (at, keys)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}'{at}' ({keys} keys)")?;
        }
        Ok(())
    }
}

impl Catalog {
    /// A catalog of one state dict at the root that holds these tensors; a repeated key is an error.
    pub fn flat(
        tensors: impl IntoIterator<Item = (String, Tensor)>,
    ) -> Result<Catalog, DuplicateKey> {
        let mut catalog = Catalog::default();
        let mut state_dict = StateDict::default();
        for (key, tensor) in tensors {
            state_dict.insert(key.clone(), Some(catalog.rows.len()))?;
            catalog.rows.push(Row { at: String::new(), key: Key::Text(key), tensor });
        }
        catalog.state_dicts.push(state_dict);
        Ok(catalog)
    }

    /// A catalog of one state dict with these keys and nothing known of their values.
    pub fn of_keys<K: AsRef<str>>(
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Catalog, DuplicateKey> {
        let mut state_dict = StateDict::default();
        for key in keys {
            state_dict.insert(key.as_ref().to_string(), None)?;
        }
        Ok(Catalog { state_dicts: [state_dict].into(), ..Catalog::default() })
    }

    /// The state dicts at `at`: all of them for `*`, and if `None` the one that can be meant.
    ///
    /// A mapping that has a state dict among its values is a trainer's, whatever tensors lie beside
    /// it; and what a module keeps in its `_extra_state` is a part of the state dict around it.
    pub fn select(&self, at: Option<&str>) -> Result<Vec<&StateDict>, NotSelected> {
        let known = || self.state_dicts.iter().map(|s| (s.at.clone(), s.len())).collect();
        match (at, self.state_dicts.as_slice()) {
            (_, []) => Err(NotSelected::None),
            (Some("*"), all) => Ok(all.iter().collect()),
            (None, all) => match models(all).as_slice() {
                [only] => Ok([*only].into()),
                _ => Err(NotSelected::Several(known())),
            },
            (Some(at), all) => match all.iter().find(|state_dict| state_dict.is_at(at)) {
                Some(found) => Ok([found].into()),
                None => Err(NotSelected::Nowhere { at: at.to_string(), known: known() }),
            },
        }
    }

    /// The tensor under a key of a state dict of this catalog; `None` for a key of other payload.
    pub fn tensor(&self, state_dict: &StateDict, key: &str) -> Option<&Tensor> {
        let row = (*state_dict.entries.get(key)?)?;
        self.rows.get(row).map(|row| &row.tensor)
    }
}

/// The state dicts that are a model's as a whole.
fn models<'a>(all: &'a [StateDict]) -> Vec<&'a StateDict> {
    let is_extra = |s: &&StateDict| s.at.split(['/', SEPARATOR]).any(|part| part == "_extra_state");
    let (extra, whole): (Vec<_>, Vec<_>) = all.iter().partition(is_extra);
    let whole = if whole.is_empty() { extra } else { whole };
    let around = |s: &&'a StateDict| iter::successors(Some(s.at.as_str()), |at| above(at)).skip(1);
    let enclosing: IndexMap<&str, ()> =
        whole.iter().flat_map(around).map(|path| (path, ())).collect();
    let is_inner = |s: &&StateDict| !enclosing.contains_key(s.at.as_str());
    whole.into_iter().filter(is_inner).collect()
}

/// The path that leads to what holds the thing at a path; the root is in nothing.
fn above(at: &str) -> Option<&str> {
    (!at.is_empty()).then(|| at.rsplit_once('/').map_or("", |(above, _)| above))
}

/// A key that one mapping holds twice.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("key '{0}' occurs twice")]
pub struct DuplicateKey(pub String);

impl StateDict {
    /// Adds a key after those that are there, with the row of its tensor if it has one.
    pub fn insert(&mut self, key: String, row: Option<usize>) -> Result<(), DuplicateKey> {
        match self.entries.entry(key) {
            indexmap::map::Entry::Occupied(entry) => Err(DuplicateKey(entry.key().clone())),
            indexmap::map::Entry::Vacant(entry) => {
                entry.insert(row);
                Ok(())
            }
        }
    }

    /// A state dict with these keys, none of them with a tensor yet.
    pub fn of_keys(keys: impl IntoIterator<Item = String>) -> StateDict {
        let entries = keys.into_iter().map(|key| (key, None)).collect();
        StateDict { entries, ..StateDict::default() }
    }

    /// Says which row is the tensor of a key that is there.
    pub fn set_row(&mut self, key: &str, row: usize) {
        if let Some(entry) = self.entries.get_mut(key) {
            *entry = Some(row);
        }
    }

    /// Its keys in file order, those of values that are no tensors included.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// True if it has this key.
    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if it has no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True if the path leads to it; `/` and the empty path are the root.
    pub fn is_at(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.at == path || self.aliases.iter().any(|alias| alias == path)
    }
}

impl Key {
    /// The key as it is shown.
    pub fn as_str(&self) -> &str {
        match self {
            Key::Text(key) | Key::Other(key) => key,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(paths: &[&str]) -> Catalog {
        let named = |at: &&str| StateDict { at: at.to_string(), ..StateDict::default() };
        Catalog { state_dicts: paths.iter().map(named).collect(), ..Catalog::default() }
    }

    fn two() -> Catalog {
        at(&["model", "ema"])
    }

    #[test]
    fn what_encloses_a_state_dict_is_not_meant_by_default() {
        let check = |paths: &[&str], expected: Option<&str>| {
            let catalog = at(paths);
            let found = catalog.select(None).map(|found| found[0].at.clone());
            assert_eq!(found.ok().as_deref(), expected, "{paths:?}");
        };
        check(&["", "state_dict"], Some("state_dict"));
        check(&["a", "a/b", "a/b/c"], Some("a/b/c"));
        check(&["", "model", "ema"], None);
        check(&["model", "modelx"], None);
        check(&["", "fc._extra_state"], Some(""));
        check(&["model", "model/fc._extra_state"], Some("model"));
        check(&["_extra_state"], Some("_extra_state"));
    }

    #[test]
    fn one_state_dict_needs_no_path_and_several_do() {
        let one = Catalog::of_keys(["a"]).expect("unique");
        assert_eq!(one.select(None).map(|found| found.len()), Ok(1));
        assert!(matches!(two().select(None), Err(NotSelected::Several(all)) if all.len() == 2));
        assert_eq!(two().select(Some("*")).map(|found| found.len()), Ok(2));
        assert_eq!(two().select(Some("ema")).map(|found| found[0].at.clone()), Ok("ema".into()));
        let message = two().select(Some("x")).expect_err("not there").to_string();
        assert_eq!(message, "no state dict at 'x'; the file has: 'model' (0 keys), 'ema' (0 keys)");
    }

    #[test]
    fn a_key_occurs_once() {
        assert_eq!(Catalog::of_keys(["a", "a"]).map(|_| ()), Err(DuplicateKey("a".into())));
    }
}
