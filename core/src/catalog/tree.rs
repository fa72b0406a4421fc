//! Catalogs of things that are found by their paths.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::{Catalog, DuplicateKey, IndexMap, Key, Payload, StateDict, Tensor, TensorEntry, Value};

/// A step of a path into nested mappings and lists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A key of a mapping.
    Key(Arc<str>),
    /// A place in a list.
    Index(u64),
}

/// Tensors and other things by their paths, which become a catalog.
#[derive(Default)]
pub struct Tree {
    catalog: Catalog,
    levels: IndexMap<Arc<str>, Level>,
}

/// A mapping or list.
#[derive(Default)]
struct Level {
    /// Its keys that are texts, with the rows of those that are tensors.
    keys: IndexMap<Arc<str>, Option<usize>>,
    is_list: bool,
}

impl Step {
    /// A key of a mapping.
    pub fn key(text: impl Into<Arc<str>>) -> Step {
        Step::Key(text.into())
    }

    /// The paths of keys, joined by `/`.
    pub fn joined(path: &[Step]) -> String {
        let steps = path.iter().map(|step| step.to_key().to_string());
        steps.collect::<Vec<_>>().join("/")
    }

    fn to_key(&self) -> Key {
        match self {
            Step::Key(text) => Key::Text(text.clone()),
            Step::Index(index) => Key::Other(index.to_string().into()),
        }
    }
}

impl Tree {
    /// Adds a tensor.
    ///
    /// # Errors
    /// Another thing at its path.
    pub fn add_tensor(&mut self, path: &[Step], tensor: Tensor) -> Result<(), DuplicateKey> {
        let row = self.catalog.rows.len();
        let (path, key) = self.add(path, Some(row))?;
        self.catalog.rows.push(TensorEntry { path, key, tensor });
        Ok(())
    }

    /// Adds something else: what it is, in a word or two.
    ///
    /// # Errors
    /// Another thing at its path.
    pub fn add_object(&mut self, path: &[Step], kind: &str) -> Result<(), DuplicateKey> {
        self.add(path, None)?;
        let path = Step::joined(path);
        self.catalog.payload.push(Payload { path, kind: kind.into() });
        Ok(())
    }

    /// Adds the last step of a path to the level that the others lead to.
    fn add(&mut self, path: &[Step], row: Option<usize>) -> Result<(Arc<str>, Key), DuplicateKey> {
        let root = (Key::Text("".into()), path);
        let (last, above) = path.split_last().map_or(root, |(last, above)| (last.to_key(), above));
        let mut at: Arc<str> = "".into();
        for (depth, step) in above.iter().enumerate() {
            let level = self.levels.entry(at).or_default();
            level.is_list |= matches!(step, Step::Index(_));
            if let Step::Key(key) = step {
                level.keys.entry(key.clone()).or_insert(None);
            }
            at = Step::joined(&path[..=depth]).into();
        }
        let level = self.levels.entry(at.clone()).or_default();
        match &last {
            Key::Text(key) => {
                if level.keys.insert(key.clone(), row).is_some() {
                    return Err(DuplicateKey(Step::joined(path)));
                }
            }
            Key::Other(_) => level.is_list = true,
        }
        Ok((at, last))
    }

    /// What all of it is: every mapping that holds a tensor is a state dict.
    pub fn into_catalog(self) -> Catalog {
        let Tree { mut catalog, levels } = self;
        for (path, level) in levels {
            if !path.is_empty() {
                let kind = if level.is_list { "list" } else { "dict" };
                catalog.payload.push(Payload { path: path.to_string(), kind: kind.into() });
            }
            if level.keys.values().any(Option::is_some) {
                let mut state_dict = StateDict::of_keys(level.keys.keys().cloned());
                state_dict.path = path.to_string();
                for (key, row) in &level.keys {
                    row.iter().for_each(|row| state_dict.set_row(key, *row));
                }
                catalog.state_dicts.push(state_dict);
            }
        }
        catalog
    }
}

impl Catalog {
    /// Adds what another checkpoint holds below a path of its own; its files are `by` bytes further
    /// on.
    pub fn append_below(&mut self, prefix: &str, other: &Catalog, by: u64) {
        let below = |path: &str| match path {
            "" => prefix.to_string(),
            path => alloc::format!("{prefix}/{path}"),
        };
        let first = self.rows.len();
        let mut known = IndexMap::<Arc<str>, Arc<str>>::default();
        for row in &other.rows {
            let path = known.entry(row.path.clone()).or_insert_with(|| below(&row.path).into());
            let (path, key) = (path.clone(), row.key.clone());
            self.rows.push(TensorEntry { path, key, tensor: row.tensor.moved(by) });
        }
        for state_dict in &other.state_dicts {
            let mut moved = state_dict.clone();
            moved.path = below(&moved.path);
            moved.aliases.iter_mut().for_each(|alias| *alias = below(alias));
            moved.entries.values_mut().for_each(|row| *row = row.moved(first));
            self.state_dicts.push(moved);
        }
        let kind = "checkpoint".to_string();
        self.payload.push(Payload { path: prefix.to_string(), kind });
        self.payload.extend(
            other
                .payload
                .iter()
                .map(|payload| Payload { path: below(&payload.path), kind: payload.kind.clone() }),
        );
    }
}

/// Values at paths, put into each other.
#[derive(Default)]
pub struct Nested {
    parts: IndexMap<Step, Nested>,
    value: Option<Value>,
}

impl Nested {
    /// Puts a value at a path.
    pub fn place(&mut self, path: &[Step], value: Value) {
        let mut at = self;
        for step in path {
            at = at.parts.entry(step.clone()).or_default();
        }
        at.value = Some(value);
    }

    /// All of them as one value; lists are shown as mappings from numbers, since some of their items
    /// may be missing.
    pub fn into_value(self) -> Value {
        if let Some(value) = self.value {
            return value;
        }
        let part = |(step, part): (Step, Nested)| (step.to_key().to_string(), part.into_value());
        Value::Map(self.parts.into_iter().map(part).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use alloc::vec;

    fn path(steps: &[&str]) -> Vec<Step> {
        let step = |step: &&str| step.parse().map_or(Step::key(*step), Step::Index);
        steps.iter().map(step).collect()
    }

    #[test]
    fn mappings_with_tensors_are_state_dicts_and_everything_else_is_beside_them() {
        let tensor = || Tensor::unlocated(DType::F32, vec![2]);
        let mut tree = Tree::default();
        tree.add_tensor(&path(&["model", "a.weight"]), tensor()).expect("new");
        tree.add_tensor(&path(&["lists", "0"]), tensor()).expect("new");
        tree.add_object(&path(&["model", "extra"]), "object").expect("new");
        let twice = tree.add_object(&path(&["model", "extra"]), "object");
        assert_eq!(twice, Err(DuplicateKey("model/extra".into())));
        let catalog = tree.into_catalog();
        let [model] = catalog.state_dicts.as_slice() else { panic!("one state dict") };
        assert_eq!((model.path.as_str(), model.tensors(), model.len()), ("model", 1, 2));
        let kinds: Vec<_> =
            catalog.payload.iter().map(|it| (it.path.as_str(), it.kind.as_str())).collect();
        assert_eq!(kinds, [("model/extra", "object"), ("model", "dict"), ("lists", "list")]);
    }
}
